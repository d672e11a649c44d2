/*
 * server/webhook_sign.h: the signature of Standard Webhooks' own example, RFC 4231's digest as a
 * second opinion, and what is no secret.
 */
#include "server/webhook_sign.h"

#include "tests/unit/unit.h"

#include <string.h>

static const char *sign(const char *secret, const char *id, int64_t when, const char *body)
{
	static char out[WEBHOOK_SIGNATURE_SIZE];
	struct err err;

	assert_int_equal(webhook_sign(secret, id, when, body, strlen(body), out, &err), 0);
	return out;
}

/* Of the libraries that Standard Webhooks names as reference. */
static void the_published_example(void **state)
{
	(void)state;
	assert_string_equal(
		sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek",
			1614265330, "{\"test\": 2432232314}"),
		"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

static void every_part_counts(void **state)
{
	static const char secret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
	char first[WEBHOOK_SIGNATURE_SIZE];

	(void)state;
	strcpy(first, sign(secret, "msg_a", 1, "x"));
	assert_string_equal(first, sign(secret, "msg_a", 1, "x"));
	assert_string_not_equal(first, sign(secret, "msg_b", 1, "x"));
	assert_string_not_equal(first, sign(secret, "msg_a", 2, "x"));
	assert_string_not_equal(first, sign(secret, "msg_a", 1, "y"));
	assert_string_not_equal(
		first, sign("whsec_NfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_a", 1, "x"));
}

static void what_is_a_secret(void **state)
{
	static const char *const good[] = {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		/* 25 and 26 bytes, with padding; 64, the longest */
		"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
		"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==")};
	static const char *const bad[] = {"", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_",
		"whsec_ MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n\n\n\n",
		/* 23 bytes; 65; padding that hides bits */
		"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
		"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=="};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (webhook_secret_check(good[i], &err) < 0)
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (webhook_secret_check(bad[i], &err) == 0)
			fail_msg("taken: \"%s\"", bad[i]);
		assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
		if (strlen(bad[i]) > 8)
			assert_null(strstr(err.msg, bad[i] + 6));
	}
}

static void those_that_are_made_are_secrets(void **state)
{
	char one[WEBHOOK_SECRET_SIZE];
	char two[WEBHOOK_SECRET_SIZE];
	struct err err;

	(void)state;
	assert_int_equal(webhook_secret_make(one, &err), 0);
	assert_int_equal(webhook_secret_make(two, &err), 0);
	assert_int_equal(webhook_secret_check(one, &err), 0);
	assert_string_not_equal(one, two);
	assert_int_equal(strlen(one), 6 + 44);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_example),
		cmocka_unit_test(every_part_counts),
		cmocka_unit_test(what_is_a_secret),
		cmocka_unit_test(those_that_are_made_are_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

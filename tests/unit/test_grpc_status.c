/* server/grpc_status.c, grpc_request.c and grpc_utf8.c: the texts of gRPC's headers. */
#include "server/grpc_internal.h"
#include "server/grpc_utf8.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

static void timeouts_by_the_grammar(void **state)
{
	static const struct {
		const char *text;
		uint64_t usec;
	} good[] = {
		{"1H", 3600000000},
		{"2M", 120000000},
		{"3S", 3000000},
		{"4m", 4000},
		{"5u", 5},
		{"1n", 1},
		{"1000n", 1},
		{"1001n", 2},
		{"0S", 0},
		{"00000001S", 1000000},
		{"99999999H", UINT64_C(99999999) * 3600000000},
	};
	static const char *const bad[] = {"", "S", "1", "-1S", "+1S", " 1S", "1S ", "1 S", "1.5S",
		"100000000S", "000000001S", "1s", "1h", "1SS", "0x1S", "1\xc2\xb5",
		"99999999999999999999S"};
	uint64_t usec;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(grpc_request_parse_timeout(good[i].text, &usec), 0);
		assert_true(usec == good[i].usec);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(grpc_request_parse_timeout(bad[i], &usec), -EINVAL);
}

static void add(struct grpc_request *request, const char *name, const char *value)
{
	grpc_request_add(request, (const uint8_t *)name, strlen(name), (const uint8_t *)value,
		strlen(value));
}

static void content_types(void **state)
{
	static const struct {
		const char *value;
		bool ok;
	} types[] = {
		{"application/grpc", true},
		{"application/grpc+proto", true},
		{"application/grpc;charset=utf-8", true},
		{"application/grpc+proto;x=y", true},
		{"application/grpc+json", false},
		{"application/grpc-web", false},
		{"application/grpcx", false},
		{"application/json", false},
		{"text/plain", false},
		{"", false},
	};
	struct grpc_request request;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		grpc_request_reset(&request);
		add(&request, "content-type", types[i].value);
		assert_int_equal(request.content_type_ok, types[i].ok);
	}
}

static void headers_count_as_http2_says(void **state)
{
	struct grpc_request request;
	char value[GRPC_HEADERS_MAX];

	(void)state;
	grpc_request_reset(&request);
	add(&request, "te", "trailers");
	assert_int_equal(request.list_size, 2 + 8 + 32);
	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	add(&request, "x", value);
	add(&request, "grpc-timeout", "1S"); /* beyond the limit nothing is looked at */
	assert_true(request.list_size > GRPC_HEADERS_MAX);
	assert_false(request.has_timeout);
}

static void percent_encoding(void **state)
{
	static const struct {
		const char *text, *encoded;
	} texts[] = {
		{"", ""},
		{"plain text ~", "plain text ~"},
		{"100%", "100%25"},
		{"a\nb\x7f", "a%0Ab%7F"},
		{"gr\xc3\xbc\xc3\x9f", "gr%C3%BC%C3%9F"},
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		size_t n = grpc_status_percent_encode(texts[i].text, out);

		assert_string_equal(out, texts[i].encoded);
		assert_int_equal(n, strlen(out));
	}
}

static void base64_of_rfc_4648(void **state)
{
	static const char *const pairs[][2] = {{"", ""}, {"f", "Zg"}, {"fo", "Zm8"},
		{"foo", "Zm9v"}, {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"},
		{"\xff\xfe\xfd", "//79"}};
	char out[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		size_t n = grpc_status_base64(
			(const uint8_t *)pairs[i][0], strlen(pairs[i][0]), out);

		assert_string_equal(out, pairs[i][1]);
		assert_int_equal(n, strlen(out));
	}
}

static void utf8_by_rfc_3629(void **state)
{
	static const struct {
		const char *text, *repaired;
	} texts[] = {
		{"", NULL},
		{"ascii", NULL},
		{"\xc2\x80\xdf\xbf", NULL},
		{"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80", NULL},
		{"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", NULL},
		{"a\x80", "a?"},
		{"\xc0\xaf", "??"},	      /* overlong */
		{"\xe0\x9f\xbf", "???"},      /* overlong */
		{"\xed\xa0\x80", "???"},      /* a surrogate */
		{"\xf0\x8f\xbf\xbf", "????"}, /* overlong */
		{"\xf4\x90\x80\x80", "????"}, /* above U+10FFFF */
		{"\xf5\x80\x80\x80", "????"},
		{"\xc3", "?"}, /* cut */
		{"\xe2\x82", "??"},
		{"\xe2\x82z", "??z"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const char *expected = texts[i].repaired ? texts[i].repaired : texts[i].text;
		size_t size = strlen(texts[i].text);
		char text[32] = {0};

		memcpy(text, texts[i].text, size);
		assert_int_equal(
			grpc_utf8_is_valid((const uint8_t *)text, size), !texts[i].repaired);
		grpc_utf8_repair(text);
		assert_string_equal(text, expected);
	}
}

static void methods_are_found_by_path(void **state)
{
	(void)state;
	for (size_t i = 0; i < grpc_n_methods; i++) {
		assert_ptr_equal(grpc_method_find(grpc_methods[i].path), &grpc_methods[i]);
		assert_true(grpc_methods[i].role >= GRPC_ROLE_ANYONE);
		if (strncmp(grpc_methods[i].path, "/grpc.", 6) == 0)
			assert_int_equal(grpc_methods[i].role, GRPC_ROLE_ANYONE);
	}
	assert_null(grpc_method_find(""));
	assert_null(grpc_method_find("/"));
	assert_null(grpc_method_find("/croft.v1.Tenants/CreateTenant/"));
	assert_null(grpc_method_find("croft.v1.Tenants/CreateTenant"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(timeouts_by_the_grammar),
		cmocka_unit_test(content_types),
		cmocka_unit_test(headers_count_as_http2_says),
		cmocka_unit_test(percent_encoding),
		cmocka_unit_test(base64_of_rfc_4648),
		cmocka_unit_test(utf8_by_rfc_3629),
		cmocka_unit_test(methods_are_found_by_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

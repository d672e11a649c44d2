/* server/webhook_backoff.h: twice as long each time, within bounds, whatever chance says. */
#include "server/webhook_backoff.h"

#include "tests/unit/unit.h"

#define CAP UINT64_C(1800000)

static void it_doubles_up_to_the_cap(void **state)
{
	uint64_t full = WEBHOOK_RETRY_FIRST_MS;

	(void)state;
	for (unsigned attempts = 1; attempts < 2000; attempts++) {
		uint64_t least = webhook_backoff_ms(attempts, CAP, 0, 0);
		uint64_t most = webhook_backoff_ms(attempts, CAP, 0, UINT32_MAX);

		assert_int_equal(least, full / 2);
		assert_in_range(most, full - full / 100 - 1, full);
		if (full < CAP)
			full = full * 2 < CAP ? full * 2 : CAP;
	}
	assert_int_equal(full, CAP);
	/* What no caller counts to. */
	assert_int_equal(webhook_backoff_ms(0, CAP, 0, 0), WEBHOOK_RETRY_FIRST_MS / 2);
	assert_int_equal(webhook_backoff_ms(UINT32_MAX, CAP, 0, 0), CAP / 2);
}

static void chance_spreads_it(void **state)
{
	(void)state;
	assert_int_equal(webhook_backoff_ms(3, CAP, 0, UINT32_MAX / 2 + 1), 3000);
	assert_true(
		webhook_backoff_ms(3, CAP, 0, 1u << 30) < webhook_backoff_ms(3, CAP, 0, 3u << 30));
}

static void what_the_receiver_asks_for(void **state)
{
	(void)state;
	assert_int_equal(webhook_backoff_ms(1, CAP, 60, 0), 60000);
	assert_int_equal(webhook_backoff_ms(1, 1000, 3600, 0), 3600000);
	/* Not less than there would be without, and not for ever. */
	assert_int_equal(webhook_backoff_ms(12, CAP, 1, 0), CAP / 2);
	assert_int_equal(webhook_backoff_ms(1, CAP, INT64_MAX, 0),
		WEBHOOK_RETRY_AFTER_MAX_S * UINT64_C(1000));
	assert_int_equal(webhook_backoff_ms(1, CAP, INT64_MIN, 0), WEBHOOK_RETRY_FIRST_MS / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_doubles_up_to_the_cap),
		cmocka_unit_test(chance_spreads_it),
		cmocka_unit_test(what_the_receiver_asks_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

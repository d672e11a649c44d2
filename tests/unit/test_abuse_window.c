/* server/abuse_window.h: sums of a window that slides. */
#include "server/abuse_window.h"

#include "tests/unit/unit.h"

#define S	 UINT64_C(1000000)
#define WINDOW_S 160

static struct abuse_window make(void)
{
	struct abuse_window w;

	abuse_window_init(&w, WINDOW_S * S);
	return w;
}

static void assert_near(uint64_t value, uint64_t wanted, uint64_t by)
{
	if (value + by < wanted || value > wanted + by)
		fail_msg("%llu is not about %llu", (unsigned long long)value,
			(unsigned long long)wanted);
}

/* At whatever moment one looks, and however often it was told. */
static void what_is_even_has_an_even_sum(void **state)
{
	static const uint64_t steps[] = {1, 3, 7, 10, 16, 25, 100, 159, 333};

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		struct abuse_window w = make();
		uint64_t at = 12345 * S + 678901;

		for (uint64_t n = 0; n < 2000 / steps[i] + 3; n++) {
			abuse_window_add(&w, at, at + steps[i] * S, steps[i] * S);
			at += steps[i] * S;
			if (n * steps[i] > WINDOW_S + WINDOW_S / ABUSE_BUCKETS)
				assert_near(abuse_window_sum(&w, at), WINDOW_S * S, S / 10);
		}
	}
}

static void all_of_it_counts_once_and_leaves(void **state)
{
	struct abuse_window w = make();
	uint64_t at = 1000 * S;

	(void)state;
	assert_int_equal(abuse_window_sum(&w, at), 0);
	for (int i = 0; i < 10; i++)
		abuse_window_add(&w, at + i * S, at + (i + 1) * S, 7);
	assert_int_equal(abuse_window_sum(&w, at + 10 * S), 70);
	assert_int_equal(abuse_window_sum(&w, at + (WINDOW_S - 1) * S), 70);
	assert_true(abuse_window_sum(&w, at + (WINDOW_S + 5) * S) < 70);
	assert_int_equal(abuse_window_sum(&w, at + (WINDOW_S + 21) * S), 0);
	assert_int_equal(abuse_window_sum(&w, at + 1000000 * S), 0);
}

/* croftd was down: only what falls into the window is of now. */
static void of_a_long_interval_the_last_part_counts(void **state)
{
	struct abuse_window w = make();

	(void)state;
	abuse_window_add(&w, 1000 * S, 1000 * S + 10 * WINDOW_S * S, 1000);
	assert_near(abuse_window_sum(&w, 1000 * S + 10 * WINDOW_S * S), 100, 2);
}

static void odd_times_do_no_harm(void **state)
{
	struct abuse_window w = make();

	(void)state;
	abuse_window_add(&w, 0, 0, 5);
	assert_int_equal(abuse_window_sum(&w, 0), 5);
	abuse_window_add(&w, 900 * S, 800 * S, 3);
	assert_int_equal(abuse_window_sum(&w, 800 * S), 3);
	abuse_window_add(&w, 10 * S, 20 * S, 9); /* of long ago */
	assert_int_equal(abuse_window_sum(&w, 800 * S), 3);
	abuse_window_add(&w, 799 * S, 800 * S, UINT64_MAX / 4);
	assert_true(abuse_window_sum(&w, 800 * S) >= UINT64_MAX / 4);
	abuse_window_init(&w, 1);
	abuse_window_add(&w, 5, 9, 4);
	assert_true(abuse_window_sum(&w, 9) <= 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_even_has_an_even_sum),
		cmocka_unit_test(all_of_it_counts_once_and_leaves),
		cmocka_unit_test(of_a_long_interval_the_last_part_counts),
		cmocka_unit_test(odd_times_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

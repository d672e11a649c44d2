/* server/event_pace.h: a storm is told in few events, and a quiet one at once. */
#include "server/event_pace.h"

#include "tests/unit/unit.h"

#define SECOND UINT64_C(1000000)

/* How many are told of what happens every second. */
static unsigned told(struct event_pace *pace, uint64_t *now, unsigned seconds)
{
	unsigned n = 0;

	for (unsigned i = 0; i < seconds; i++, *now += SECOND) {
		if (!event_pace_is_due(pace, *now))
			continue;
		event_pace_take(pace, *now);
		n++;
	}
	return n;
}

static void a_storm_is_told_some_times_and_then_rarely(void **state)
{
	struct event_pace pace = {0};
	uint64_t now = 50 * SECOND;

	(void)state;
	assert_true(event_pace_is_due(&pace, now));
	/* The first at once; then not more than one in five seconds; then none for minutes. */
	assert_int_equal(told(&pace, &now, 5), 1);
	assert_int_equal(told(&pace, &now, 25), EVENT_PACE_BURST - 1);
	assert_int_equal(told(&pace, &now, 500), 0);
	/* A day of it. */
	assert_in_range(told(&pace, &now, 86400), 143, 145);
}

static void who_was_quiet_is_heard_at_once(void **state)
{
	struct event_pace pace = {0};
	uint64_t now = 50 * SECOND;

	(void)state;
	told(&pace, &now, 3600);
	now += 2 * 3600 * SECOND;
	assert_int_equal(told(&pace, &now, 30), EVENT_PACE_BURST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_storm_is_told_some_times_and_then_rarely),
		cmocka_unit_test(who_was_quiet_is_heard_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

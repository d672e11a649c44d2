/* server/forks.h: what two looks at a table of forks say together. */
#include "tests/unit/unit.h"

#include "server/forks.h"

#define START 1000u

static const struct run run = {.start_boot_usec = START};

static void expect(struct forks_look from, struct forks_look to, uint64_t n, uint64_t since)
{
	uint64_t got = 0;
	uint64_t got_since = 0;

	assert_true(forks_between(&run, &from, &to, &got, &got_since));
	assert_int_equal(got, n);
	assert_int_equal(got_since, since);
}

static void a_difference(void **state)
{
	(void)state;
	expect((struct forks_look){2000, 10, 1}, (struct forks_look){3000, 25, 1}, 15, 2000);
	expect((struct forks_look){2000, 10, 1}, (struct forks_look){3000, 10, 1}, 0, 2000);
}

static void before_the_first_look_since_its_start(void **state)
{
	(void)state;
	expect((struct forks_look){0}, (struct forks_look){3000, 25, 1}, 25, START);
}

/* Though it may have come further than the old one had. */
static void another_table_is_from_0(void **state)
{
	(void)state;
	expect((struct forks_look){2000, 10, 1}, (struct forks_look){3000, 25, 2}, 25, 2000);
	expect((struct forks_look){2000, 10, 1}, (struct forks_look){3000, 3, 2}, 3, 2000);
}

/* One that was taken out of the table and came back. */
static void one_that_fell_is_from_0(void **state)
{
	(void)state;
	expect((struct forks_look){2000, 10, 1}, (struct forks_look){3000, 3, 1}, 3, 2000);
}

static void what_is_not_known_tells_nothing(void **state)
{
	struct forks_look before = {2000, 10, 1};
	struct forks_look none = {0};
	uint64_t n;
	uint64_t since;

	(void)state;
	assert_false(forks_between(&run, &before, &none, &n, &since));
	assert_false(forks_between(&run, &none, &none, &n, &since));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_difference),
		cmocka_unit_test(before_the_first_look_since_its_start),
		cmocka_unit_test(another_table_is_from_0),
		cmocka_unit_test(one_that_fell_is_from_0),
		cmocka_unit_test(what_is_not_known_tells_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

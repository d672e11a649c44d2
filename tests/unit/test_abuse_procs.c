/* server/abuse_procs.h: /proc/PID/stat, whose second field is a tenant's to choose. */
#include "server/abuse_procs.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TAIL " 0 -1 4194560 1 2 3 4 250 50 7 8 20 0 1 0 99 12345678 300 18446744073709551615 1"

static void a_line_is_read(void **state)
{
	struct abuse_process p;

	(void)state;
	assert_int_equal(abuse_procs_parse("42 (busybox) S 7 1 1" TAIL, &p), 0);
	assert_int_equal(p.pid, 42);
	assert_int_equal(p.parent, 7);
	assert_int_equal(p.state, 'S');
	assert_string_equal(p.command, "busybox");
	assert_int_equal(p.cpu_usec, 300 * UINT64_C(1000000) / (uint64_t)sysconf(_SC_CLK_TCK));
	assert_int_equal(p.rss_bytes, 300 * sysconf(_SC_PAGESIZE));
}

static void a_name_is_only_a_name(void **state)
{
	static const char *const names[] = {
		"", ")", "(", ") R 1 1 1", "a\nb", "\x1b[2J", "a) S 1 (b"};
	struct abuse_process p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char text[512];

		snprintf(text, sizeof(text), "42 (%s) S 7 1 1" TAIL, names[i]);
		assert_int_equal(abuse_procs_parse(text, &p), 0);
		assert_string_equal(p.command, names[i]);
		assert_int_equal(p.parent, 7);
		assert_int_equal(p.state, 'S');
	}
}

static void what_is_none_is_refused(void **state)
{
	static const char *const bad[] = {"", "42", "42 (a", "42 a) S 7", ")(", "42 (a) S",
		"42 (a) S 7 1 1 0 -1 4194560 1 2 3 4 250 50", ("42 (a) S x 1 1" TAIL)};
	struct abuse_process p = {.pid = 5};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(abuse_procs_parse(bad[i], &p) < 0);
	assert_int_equal(p.pid, 5);
}

static void a_long_name_is_cut(void **state)
{
	char text[512];
	char name[200];
	struct abuse_process p;

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	snprintf(text, sizeof(text), "42 (%s) S 7 1 1" TAIL, name);
	assert_int_equal(abuse_procs_parse(text, &p), 0);
	assert_int_equal(strlen(p.command), ABUSE_COMMAND_MAX - 1);
}

static void nothing_to_look_at_is_nothing(void **state)
{
	struct abuse_process list[2];
	uint32_t left_out = 7;

	(void)state;
	assert_int_equal(abuse_procs_read(NULL, list, 2, &left_out), 0);
	assert_int_equal(left_out, 0);
	abuse_procs_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_read),
		cmocka_unit_test(a_name_is_only_a_name),
		cmocka_unit_test(what_is_none_is_refused),
		cmocka_unit_test(a_long_name_is_cut),
		cmocka_unit_test(nothing_to_look_at_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Lists of snapshots: what is written is read, and nothing else is. */
#include "sandbox/snapshot_list.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct snapshot_row row(const char *name, int64_t created, uint64_t left, bool automatic)
{
	struct snapshot_row r = {
		.created_wall_usec = created, .left_s = left, .automatic = automatic};

	snprintf(r.name, sizeof(r.name), "%s", name);
	return r;
}

static void fill(struct snapshot_list *list, size_t n)
{
	struct err err;

	list->n = 0;
	for (size_t i = 0; i < n; i++) {
		/* The longest line that there is. */
		char name[NAME_SIZE];
		struct snapshot_row r;

		snprintf(name, sizeof(name), "a%031zu", i);
		r = row(name, (INT64_C(1) << 55) - (int64_t)i, UINT64_C(1) << 33, i % 2);
		snprintf(r.base, sizeof(r.base), "b%zu", i);
		assert_int_equal(snapshot_list_add(list, &r, &err), 0);
	}
}

static void what_is_sent_is_received(void **state)
{
	static struct snapshot_list list, got;
	struct err err;

	(void)state;
	for (size_t n = 0; n <= SNAPSHOT_LIST_MAX; n += SNAPSHOT_LIST_MAX / 2) {
		_cleanup_close_ int fd = -1;

		fill(&list, n);
		assert_int_equal(snapshot_list_send(&list, &fd, &err), 0);
		assert_int_equal(snapshot_list_receive(fd, &got, &err), 0);
		assert_int_equal(got.n, n);
		assert_memory_equal(got.rows, list.rows, n * sizeof(list.rows[0]));
	}
}

static void what_is_formatted_is_parsed(void **state)
{
	static char text[SNAPSHOT_LIST_TEXT_MAX];
	static struct snapshot_list list, got;
	struct err err;
	size_t size;

	(void)state;
	fill(&list, SNAPSHOT_LIST_MAX);
	size = snapshot_list_format(&list, text);
	assert_true(size < sizeof(text));
	assert_int_equal(snapshot_list_parse(text, size, &got, &err), 0);
	assert_int_equal(got.n, SNAPSHOT_LIST_MAX);
	for (size_t i = 0; i < got.n; i++) {
		/* Images mean nothing elsewhere. */
		assert_string_equal(got.rows[i].base, "");
		memset(list.rows[i].base, 0, sizeof(list.rows[i].base));
	}
	assert_memory_equal(got.rows, list.rows, sizeof(list.rows));
	assert_int_equal(snapshot_list_parse("", 0, &got, &err), 0);
	assert_int_equal(got.n, 0);
}

static void nothing_else_is_parsed(void **state)
{
	static const char *const wrong[] = {
		"\n",
		"a\n",
		"a 1\n",
		"a 1 0\n",
		"a 1 0 made", /* no end */
		"a 1 0 made\n\n",
		"a 1 0 made \n",
		" 1 0 made\n",
		"a  1 0 made\n",
		"a 1  0 made\n",
		"a 01 0 made\n",
		"a 1 00 made\n",
		"a +1 0 made\n",
		"a -1 0 made\n",
		"a 0x1 0 made\n",
		"a 0 0 made\n",
		"a 1 0 MADE\n",
		"a 1 0 made\nb 1 0\n",
		"a 1 0 made\na 2 0 scheduled\n",
		"A 1 0 made\n",
		"tasks 1 0 made\n",
		"a/b 1 0 made\n",
		".. 1 0 made\n",
		"a.new 1 0 made\n",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1 0 made\n",
		"a 36028797018963969 0 made\n",
		"a 1 8589934593 made\n",
		"a 18446744073709551617 0 made\n",
	};
	static struct snapshot_list got;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		if (snapshot_list_parse(wrong[i], strlen(wrong[i]), &got, &err) == 0)
			fail_msg("taken: %s", wrong[i]);
		assert_string_equal(err.reason, "EXPORT_DAMAGED");
	}
	assert_int_not_equal(snapshot_list_parse("a 1 0 made\0\n", 12, &got, &err), 0);
	assert_int_equal(snapshot_list_parse("a 1 0 made\n", 11, &got, &err), 0);
}

static void rows_of_others_are_checked(void **state)
{
	static struct snapshot_list list;
	struct snapshot_row good = row("a", 1, 0, false);
	struct snapshot_row bad;
	struct err err;

	(void)state;
	bad = good;
	memset(bad.name, 'a', sizeof(bad.name)); /* without an end */
	assert_int_not_equal(snapshot_list_add(&list, &bad, &err), 0);
	bad = good;
	memset(bad.base, 'a', sizeof(bad.base));
	assert_int_not_equal(snapshot_list_add(&list, &bad, &err), 0);
	bad = good;
	memcpy(bad.base, "../x", 5);
	assert_int_not_equal(snapshot_list_add(&list, &bad, &err), 0);
	bad = good;
	bad.automatic = 2;
	assert_int_not_equal(snapshot_list_add(&list, &bad, &err), 0);
	bad = good;
	bad.created_wall_usec = INT64_MIN;
	assert_int_not_equal(snapshot_list_add(&list, &bad, &err), 0);
	bad = good;
	bad.left_s = UINT64_MAX;
	assert_int_not_equal(snapshot_list_add(&list, &bad, &err), 0);
	fill(&list, SNAPSHOT_LIST_MAX);
	assert_int_not_equal(snapshot_list_add(&list, &good, &err), 0);
	assert_int_equal(list.n, SNAPSHOT_LIST_MAX);
	list.n = 0;
	assert_int_equal(snapshot_list_add(&list, &good, &err), 0);
}

static void what_is_no_list_is_refused(void **state)
{
	static struct snapshot_list list;
	static uint8_t bytes[sizeof(struct snapshot_row) * (SNAPSHOT_LIST_MAX + 1)];
	struct err err;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_not_equal(snapshot_list_receive(fds[0], &list, &err), 0);
	close(fds[0]);
	close(fds[1]);
	fds[0] = fd_sealed_memfd("test", bytes, sizeof(struct snapshot_row) - 1);
	assert_int_not_equal(snapshot_list_receive(fds[0], &list, &err), 0);
	close(fds[0]);
	fds[0] = fd_sealed_memfd("test", bytes, sizeof(bytes));
	assert_int_not_equal(snapshot_list_receive(fds[0], &list, &err), 0);
	close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sent_is_received),
		cmocka_unit_test(what_is_formatted_is_parsed),
		cmocka_unit_test(nothing_else_is_parsed),
		cmocka_unit_test(rows_of_others_are_checked),
		cmocka_unit_test(what_is_no_list_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

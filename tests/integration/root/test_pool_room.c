/*
 * Room to start in: what is full may hold a little more for as long as a root is mounted, and not a
 * moment longer, whoever is killed meanwhile. With simple and full quotas of btrfs, and projects.
 */
#include "tests/integration/root/pool_fixture.h"

#include "sandbox/pool_room.h"

#include <sys/wait.h>

/* To where no file of one byte fits. */
static void fill_up(int upper)
{
	int r = 0;

	for (int i = 0; r == 0; i++) {
		char name[32];

		snprintf(name, sizeof(name), "brim-%d", i);
		r = write_file(upper, name, 1);
	}
	assert_full(r);
}

static int make_directory(int upper)
{
	int r;

	with_root_rights(false);
	r = mkdirat(upper, "directory", 0755) < 0 ? -errno
						  : unlinkat(upper, "directory", AT_REMOVEDIR);
	with_root_rights(true);
	return r;
}

static void begin_in_room(struct fixture *f, const char *name, uint64_t bytes)
{
	_cleanup_close_ int upper = open_upper(f, "acme", name);
	struct pool_room room;

	assert_ok(f, pool_room_begin(f->pool, "acme", name, DISK(bytes), &room, &f->err));
	assert_int_equal(make_directory(upper), 0);
	assert_ok(f, pool_room_end(&room, &f->err));
	assert_full(make_directory(upper));
}

/* Of its own limit, or its tenant's; and whoever dies meanwhile leaves what the next puts right. */
static void what_is_full_has_room_to_start(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int a = -1;
	_cleanup_close_ int b = -1;
	struct pool_room room;

	make_container(f, "acme", 64 * MIB, "a", 16 * MIB);
	make_container(f, "acme", 64 * MIB, "b", LIMIT_UNSET);
	a = open_upper(f, "acme", "a");
	b = open_upper(f, "acme", "b");
	assert_full(write_file(a, "file", 64 * MIB));
	fill_up(a);
	assert_full(write_file(b, "file", 64 * MIB));
	fill_up(b);
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			pool_room_begin(f->pool, "acme", i == 1 ? "a" : "b",
				DISK(i == 1 ? 16 * MIB : LIMIT_UNSET), &room, &f->err);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
	begin_in_room(f, "a", 16 * MIB);
	begin_in_room(f, "b", LIMIT_UNSET);
	assert_int_equal(pool_tenant_check(f->pool, "acme", DISK(32 * MIB), &f->err), -EBUSY);
	assert_string_equal(f->err.reason, "LIMIT_BELOW_USE");
	assert_ok(f, pool_tenant_check(f->pool, "acme", DISK(64 * MIB), &f->err));
	assert_ok(f, pool_tenant_check(f->pool, "nobody", DISK(32 * MIB), &f->err));
}

/* Without limits there is nothing to make room in. */
static void plain_has_room(void **state)
{
	struct fixture *f = *state;
	struct pool_room room;

	make_container(f, "acme", LIMIT_UNSET, "a", LIMIT_UNSET);
	assert_ok(f, pool_room_begin(f->pool, "acme", "a", DISK(LIMIT_UNSET), &room, &f->err));
	assert_ok(f, pool_room_end(&room, &f->err));
	assert_int_equal(
		pool_room_begin(f->pool, "acme", "b", DISK(LIMIT_UNSET), &room, &f->err), -ENOENT);
}

static int run_project(void)
{
	struct CMUnitTest tests[] = {
		on_xfs(what_is_full_has_room_to_start),
		on_ext4(what_is_full_has_room_to_start),
	};

	if (!skip_what_cannot_be(tests, ARRAY_SIZE(tests)))
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* With an argument: the driver `project`, on the file systems that it is for. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_is_full_has_room_to_start, setup_btrfs, teardown),
		{"full_quotas_what_is_full_has_room_to_start", what_is_full_has_room_to_start,
			setup_full_quotas, teardown, NULL},
		cmocka_unit_test_setup_teardown(plain_has_room, setup_plain, teardown),
	};

	if (geteuid() != 0) {
		print_message("1..0 # SKIP mounting a pool needs root\n");
		return 0;
	}
	(void)argv;
	if (enter_mount_namespace() < 0)
		return 1;
	return argc > 1 ? run_project() : cmocka_run_group_tests(tests, NULL, NULL);
}

/* Who has filled its disk, on the real kernel: tenants, containers and volumes, each by itself. */
#include "tests/integration/root/pool_fixture.h"

#include "sandbox/pool_fill.h"
#include "sandbox/pool_volume.h"

#define N	    8
#define FREE_WAIT_S 90 /* what was removed is counted off in the background */

struct found {
	struct pool_fill all[N];
	size_t n;
};

static void note(const struct pool_fill *fill, void *arg)
{
	struct found *found = arg;

	assert_true(found->n < N);
	found->all[found->n++] = *fill;
}

static struct found look_at(struct fixture *f, bool all)
{
	struct found found = {.n = 0};
	char path[96];
	int fd;

	/* The figures are those of the last commit. */
	snprintf(path, sizeof(path), "%s/pool", f->dir);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0 && syncfs(fd) == 0);
	close(fd);
	assert_ok(f, pool_fill_look(f->pool, all, note, &found, &f->err));
	return found;
}

static struct found look(struct fixture *f)
{
	return look_at(f, false);
}

static enum disk_state state_of(const struct found *found, enum disk_owner owner, const char *name)
{
	for (size_t i = 0; i < found->n; i++)
		if (found->all[i].owner == owner && !strcmp(found->all[i].tenant, "acme") &&
			!strcmp(found->all[i].name, name))
			return found->all[i].state;
	return DISK_ROOM;
}

static void who_is_full_is_told(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int volume = -1;
	_cleanup_close_ int a = -1;
	_cleanup_close_ int b = -1;
	struct found found;

	make_container(f, "acme", 96 * MIB, "a", 24 * MIB);
	make_container(f, "acme", 96 * MIB, "b", LIMIT_UNSET);
	make_container(f, "other", 96 * MIB, "a", LIMIT_UNSET);
	assert_ok(f, pool_volume_make(f->pool, "acme", "a", 24 * MIB, &f->err));
	assert_ok(f, pool_volume_open(f->pool, "acme", "a", &volume, &f->err));
	a = open_upper(f, "acme", "a");
	b = open_upper(f, "acme", "b");
	found = look(f);
	assert_int_equal(found.n, 0);
	/* Of who has room, too: two tenants, three containers and a volume. */
	found = look_at(f, true);
	assert_int_equal(found.n, 6);

	assert_full(write_file(a, "file", 64 * MIB));
	found = look(f);
	assert_int_equal(found.n, 1);
	assert_int_equal(state_of(&found, DISK_OF_CONTAINER, "a"), DISK_FULL);
	assert_int_equal(found.all[0].limit.bytes, 24 * MIB);
	assert_in_range(found.all[0].used.bytes, 22 * MIB, 24 * MIB);

	assert_full(write_file(volume, "file", 64 * MIB));
	found = look(f);
	assert_int_equal(found.n, 2);
	assert_int_equal(state_of(&found, DISK_OF_VOLUME, "a"), DISK_FULL);

	assert_full(write_file(b, "file", 96 * MIB));
	found = look(f);
	assert_int_equal(found.n, 3);
	assert_int_equal(state_of(&found, DISK_OF_TENANT, ""), DISK_FULL);
}

static void room_is_seen(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int a = -1;
	struct found found;

	make_container(f, "acme", LIMIT_UNSET, "a", 24 * MIB);
	a = open_upper(f, "acme", "a");
	assert_full(write_file(a, "file", 64 * MIB));
	/* A little more makes it neither full, nor one with room. */
	assert_ok(f, pool_set_limit(f->pool, "acme", "a", DISK(27 * MIB), true, &f->err));
	found = look(f);
	assert_int_equal(state_of(&found, DISK_OF_CONTAINER, "a"), DISK_LITTLE);
	assert_int_equal(unlinkat(a, "file", 0), 0);
	for (int i = 0; i < FREE_WAIT_S * 10 && look(f).n; i++)
		usleep(100000);
	found = look(f);
	assert_int_equal(found.n, 0);
}

static void inodes_run_out(void **state)
{
	struct fixture *f = *state;
	const struct disk_limits quota = {24 * MIB, 64};
	_cleanup_close_ int a = -1;
	struct found found;
	int r = 0;

	assert_ok(f, pool_tenant_make(f->pool, "acme", DISK(64 * MIB), &f->err));
	assert_ok(f, pool_upper_make(f->pool, "acme", "a", &quota, &f->err));
	a = open_upper(f, "acme", "a");
	for (int i = 0; i < 100 && r == 0; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d", i);
		r = write_file(a, name, 0);
	}
	assert_full(r);
	found = look(f);
	assert_int_equal(state_of(&found, DISK_OF_CONTAINER, "a"), DISK_INODES_FULL);
}

#define on_btrfs(t) cmocka_unit_test_setup_teardown(t, setup_btrfs, teardown)
#define on_full(t)                                                                                 \
	{                                                                                          \
		"full_quotas_" #t, t, setup_full_quotas, teardown, NULL                            \
	}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		on_btrfs(who_is_full_is_told),
		on_btrfs(room_is_seen),
		on_full(who_is_full_is_told),
		on_full(room_is_seen),
	};
	struct CMUnitTest project[] = {
		on_xfs(who_is_full_is_told),
		on_ext4(who_is_full_is_told),
		on_xfs(room_is_seen),
		on_ext4(room_is_seen),
		on_xfs(inodes_run_out),
		on_ext4(inodes_run_out),
	};

	(void)argv;
	if (geteuid() != 0) {
		print_message("1..0 # SKIP mounting a pool needs root\n");
		return 0;
	}
	if (enter_mount_namespace() < 0)
		return 1;
	if (argc == 1)
		return cmocka_run_group_tests(tests, NULL, NULL);
	if (!skip_what_cannot_be(project, ARRAY_SIZE(project)))
		return 0;
	return cmocka_run_group_tests(project, NULL, NULL);
}

/*
 * Disk limits on the real kernel: they hold, also through an overlay and over a tenant's
 * containers, can be managed when reached, and survive a restart. With simple quotas, and with the
 * full ones of kernels before 6.7.
 */
#include "tests/integration/root/pool_fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define FREE_WAIT_S 90 /* the kernel drops subvolumes in the background */

static void container_limit_holds(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int upper = -1;

	make_container(f, "acme", LIMIT_UNSET, "web", 16 * MIB);
	upper = open_upper(f, "acme", "web");
	assert_int_equal(write_file(upper, "fits", 8 * MIB), 0);
	assert_full(write_file(upper, "big", 64 * MIB));

	/* The control: with a higher limit the same write goes through. */
	assert_ok(f, pool_set_limit(f->pool, "acme", "web", DISK(128 * MIB), false, &f->err));
	assert_int_equal(write_file(upper, "big", 64 * MIB), 0);
}

static void tenant_limit_holds_over_its_containers(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int a = -1;
	_cleanup_close_ int b = -1;
	_cleanup_close_ int other = -1;

	make_container(f, "acme", 32 * MIB, "a", 24 * MIB);
	make_container(f, "acme", 32 * MIB, "b", 24 * MIB);
	make_container(f, "other", 32 * MIB, "a", LIMIT_UNSET);
	a = open_upper(f, "acme", "a");
	b = open_upper(f, "acme", "b");
	other = open_upper(f, "other", "a");
	assert_int_equal(write_file(a, "file", 20 * MIB), 0);
	assert_full(write_file(b, "file", 20 * MIB));
	assert_int_equal(write_file(other, "file", 20 * MIB), 0);
	assert_full(write_file(other, "more", 20 * MIB));

	assert_ok(f, pool_tenant_make(f->pool, "acme", DISK(64 * MIB), &f->err));
	assert_int_equal(write_file(b, "file", 20 * MIB), 0);
	/* ... and b's own limit is still there. */
	assert_full(write_file(b, "more", 20 * MIB));
}

static int mount_overlay(struct fixture *f, const char *tenant, const char *container)
{
	_cleanup_close_ int layer = -1;
	char options[256];
	char lower[96];
	char merged[96];
	int fd;

	snprintf(lower, sizeof(lower), "%s/lower", f->dir);
	snprintf(merged, sizeof(merged), "%s/merged-%s", f->dir, container);
	mkdir(lower, 0755);
	mkdir(merged, 0755);
	assert_ok(f, pool_upper_open(f->pool, tenant, container, &layer, &f->err));
	snprintf(options, sizeof(options),
		"lowerdir=%s,upperdir=/proc/self/fd/%d/upper,workdir=/proc/self/fd/%d/work", lower,
		layer, layer);
	assert_int_equal(mount("overlay", merged, "overlay", 0, options), 0);
	fd = open(merged, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void unmount_overlay(struct fixture *f, const char *container)
{
	char merged[96];

	snprintf(merged, sizeof(merged), "%s/merged-%s", f->dir, container);
	assert_int_equal(umount(merged), 0);
}

static void limits_hold_through_an_overlay(void **state)
{
	struct fixture *f = *state;
	int a;
	int b;

	make_container(f, "acme", 32 * MIB, "a", 16 * MIB);
	make_container(f, "acme", 32 * MIB, "b", LIMIT_UNSET);
	a = mount_overlay(f, "acme", "a");
	b = mount_overlay(f, "acme", "b");
	assert_int_equal(write_file(a, "file", 12 * MIB), 0);
	assert_full(write_file(a, "more", 12 * MIB));
	/* Who is at the limit can still delete. */
	assert_int_equal(unlinkat(a, "more", 0), 0);
	assert_int_equal(write_file(b, "file", 12 * MIB), 0);
	assert_full(write_file(b, "more", 20 * MIB));
	close(a);
	close(b);
	unmount_overlay(f, "a");
	unmount_overlay(f, "b");
}

/* Metadata is limited too: else a tenant fills the pool with empty files. */
static void many_small_files_count(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int upper = -1;
	int r = 0;

	make_container(f, "acme", LIMIT_UNSET, "web", 4 * MIB);
	upper = open_upper(f, "acme", "web");
	for (int i = 0; i < 200000 && r == 0; i++) {
		char name[32];
		int fd;

		snprintf(name, sizeof(name), "file-%d", i);
		fd = openat(upper, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			r = -errno;
		else
			close(fd);
		if (i % 1000 == 0)
			syncfs(upper);
	}
	assert_full(r);
}

static uint64_t exact_usage(struct fixture *f, const char *tenant, const char *container)
{
	struct disk_limits used;
	char path[96];
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "%s/pool", f->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(syncfs(fd), 0);
	assert_ok(f, pool_usage(f->pool, tenant, container, &used, &f->err));
	return used.bytes;
}

static void usage_is_measured(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int upper = -1;
	uint64_t bytes;

	make_container(f, "acme", LIMIT_UNSET, "web", 64 * MIB);
	upper = open_upper(f, "acme", "web");
	assert_true(exact_usage(f, "acme", "web") < MIB);
	assert_int_equal(write_file(upper, "file", 20 * MIB), 0);
	bytes = exact_usage(f, "acme", "web");
	assert_in_range(bytes, 20 * MIB, 21 * MIB);
	assert_in_range(exact_usage(f, "acme", ""), bytes, bytes + MIB);
}

static void limit_below_use_is_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int upper = -1;

	make_container(f, "acme", LIMIT_UNSET, "web", 64 * MIB);
	upper = open_upper(f, "acme", "web");
	assert_int_equal(write_file(upper, "file", 20 * MIB), 0);
	assert_int_equal(
		pool_set_limit(f->pool, "acme", "web", DISK(10 * MIB), false, &f->err), -EBUSY);
	assert_string_equal(f->err.reason, "LIMIT_BELOW_USE");
	assert_non_null(strstr(f->err.msg, "10 MiB"));
	assert_int_equal(
		pool_set_limit(f->pool, "acme", "", DISK(10 * MIB), false, &f->err), -EBUSY);
	assert_ok(f, pool_set_limit(f->pool, "acme", "web", DISK(10 * MIB), true, &f->err));
	assert_full(write_file(upper, "more", MIB));
}

/* Waits until the tenant uses less than `bytes`; the kernel frees in the background. */
static bool wait_usage_below(struct fixture *f, const char *tenant, uint64_t bytes)
{
	for (time_t end = time(NULL) + FREE_WAIT_S; time(NULL) < end; usleep(50 * 1000))
		if (exact_usage(f, tenant, "") < bytes)
			return true;
	return false;
}

static void removal_gives_the_space_back(void **state)
{
	struct fixture *f = *state;
	int upper;

	make_container(f, "acme", 64 * MIB, "web", LIMIT_UNSET);
	upper = open_upper(f, "acme", "web");
	assert_int_equal(write_file(upper, "file", 48 * MIB), 0);
	close(upper);
	assert_int_equal(pool_tenant_remove(f->pool, "acme", &f->err), -EBUSY);
	assert_ok(f, pool_upper_remove(f->pool, "acme", "web", &f->err));
	assert_ok(f, pool_upper_remove(f->pool, "acme", "web", &f->err));
	assert_int_equal(pool_upper_open(f->pool, "acme", "web", &upper, &f->err), -ENOENT);
	assert_true(wait_usage_below(f, "acme", MIB));

	make_container(f, "acme", 64 * MIB, "web", LIMIT_UNSET);
	upper = open_upper(f, "acme", "web");
	assert_int_equal(write_file(upper, "file", 48 * MIB), 0);
	close(upper);
	assert_ok(f, pool_upper_remove(f->pool, "acme", "web", &f->err));
	assert_ok(f, pool_tenant_remove(f->pool, "acme", &f->err));
	assert_ok(f, pool_tenant_remove(f->pool, "acme", &f->err));
	assert_int_equal(
		pool_usage(f->pool, "acme", "", &(struct disk_limits){0}, &f->err), -ENOENT);
}

static void full_tenant_can_be_managed(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int upper = -1;
	int r = 0;

	make_container(f, "acme", 4 * MIB, "web", LIMIT_UNSET);
	upper = open_upper(f, "acme", "web");
	assert_full(write_file(upper, "file", 16 * MIB));
	with_root_rights(false);
	for (int i = 0; i < 200000 && r == 0; i++) {
		char name[32];

		snprintf(name, sizeof(name), "dir-%d", i);
		r = mkdirat(upper, name, 0755) < 0 ? -errno : 0;
		if (i % 1000 == 0)
			syncfs(upper);
	}
	with_root_rights(true);
	assert_full(r);
	close_fd(&upper);
	assert_ok(f, pool_tenant_make(f->pool, "acme", DISK(3 * MIB), &f->err));
	if (!is_project(f))
		assert_ok(f, pool_set_limit(f->pool, "acme", "web", DISK(2 * MIB), true, &f->err));
	assert_ok(f, pool_upper_remove(f->pool, "acme", "web", &f->err));
	assert_ok(f, pool_tenant_remove(f->pool, "acme", &f->err));
}

static void limits_survive_a_new_attach(void **state)
{
	struct fixture *f = *state;
	char driver[POOL_DRIVER_SIZE];
	int upper;

	make_container(f, "acme", 32 * MIB, "a", 16 * MIB);
	make_container(f, "acme", 32 * MIB, "b", LIMIT_UNSET);
	upper = open_upper(f, "acme", "a");
	assert_int_equal(write_file(upper, "file", 10 * MIB), 0);
	close(upper);
	snprintf(driver, sizeof(driver), "%s", pool_driver(f->pool));
	f->config.driver[0] = '\0'; /* the pool that is there is the one that is used */
	reattach(f);
	assert_string_equal(pool_driver(f->pool), driver);
	upper = open_upper(f, "acme", "a");
	assert_full(write_file(upper, "more", 10 * MIB));
	unlinkat(upper, "more", 0);
	close(upper);
	upper = open_upper(f, "acme", "b");
	assert_full(write_file(upper, "file", 30 * MIB));
	close(upper);
}

static void numbers_used_again_bring_no_old_limit(void **state)
{
	struct fixture *f = *state;
	int upper;

	/* btrfs hands out the last subvolume's number again after a mount. */
	make_container(f, "acme", 8 * MIB, "web", 4 * MIB);
	assert_ok(f, pool_upper_remove(f->pool, "acme", "web", &f->err));
	assert_ok(f, pool_tenant_remove(f->pool, "acme", &f->err));
	reattach(f);
	make_container(f, "next", LIMIT_UNSET, "web", LIMIT_UNSET);
	upper = open_upper(f, "next", "web");
	assert_int_equal(write_file(upper, "file", 32 * MIB), 0);
	close(upper);
}

static bool quotas_are_simple(struct fixture *f)
{
	char command[160];

	snprintf(command, sizeof(command),
		"grep -q squota /sys/fs/btrfs/$(findmnt -no UUID %s/pool)/qgroups/mode", f->dir);
	return system(command) == 0;
}

static void quotas_are_full(void **state)
{
	assert_false(quotas_are_simple(*state));
}

/* --- project quotas: what a tenant bought is dealt out --- */

/* The kernel itself says that all together is never more than was bought. */
static void assert_dealt_out(struct fixture *f, const char *tenant, uint64_t bytes)
{
	struct disk_limits used;

	assert_ok(f, pool_usage(f->pool, tenant, "", &used, &f->err));
	assert_true(used.bytes <= bytes);
}

static void shares_are_set_aside(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int a = -1;
	_cleanup_close_ int b = -1;
	_cleanup_close_ int c = -1;
	_cleanup_close_ int other = -1;

	make_container(f, "acme", 64 * MIB, "a", 24 * MIB);
	make_container(f, "acme", 64 * MIB, "b", LIMIT_UNSET);
	make_container(f, "acme", 64 * MIB, "c", LIMIT_UNSET);
	make_container(f, "other", 64 * MIB, "a", LIMIT_UNSET);
	a = open_upper(f, "acme", "a");
	b = open_upper(f, "acme", "b");
	c = open_upper(f, "acme", "c");
	other = open_upper(f, "other", "a");
	/* What is not a's is 40 MiB, for both others together. */
	assert_int_equal(write_file(b, "file", 30 * MIB), 0);
	assert_full(write_file(c, "file", 20 * MIB));
	assert_full(write_file(b, "more", 20 * MIB));
	/* ... and a's are there, and no more. */
	assert_int_equal(write_file(a, "file", 20 * MIB), 0);
	assert_full(write_file(a, "more", 20 * MIB));
	assert_dealt_out(f, "acme", 64 * MIB);
	/* It is nobody else's matter. */
	assert_int_equal(write_file(other, "file", 60 * MIB), 0);

	/* A larger tenant has more to share; a's share is what it was. */
	assert_ok(f, pool_tenant_make(f->pool, "acme", DISK(96 * MIB), &f->err));
	unlinkat(b, "more", 0); /* XFS may have had no room for its name */
	assert_int_equal(write_file(c, "file", 30 * MIB), 0);
	assert_full(write_file(a, "more", 20 * MIB));
	assert_dealt_out(f, "acme", 96 * MIB);
}

static void shares_change_live(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int a = -1;
	_cleanup_close_ int b = -1;

	make_container(f, "acme", 64 * MIB, "a", 24 * MIB);
	make_container(f, "acme", 64 * MIB, "b", LIMIT_UNSET);
	a = open_upper(f, "acme", "a");
	b = open_upper(f, "acme", "b");
	assert_int_equal(write_file(b, "file", 20 * MIB), 0);
	assert_int_equal(
		pool_set_limit(f->pool, "acme", "a", DISK(60 * MIB), false, &f->err), -EDQUOT);
	assert_string_equal(f->err.reason, "DISK_NO_ROOM");
	assert_ok(f, pool_set_limit(f->pool, "acme", "a", DISK(40 * MIB), false, &f->err));
	assert_int_equal(write_file(a, "file", 36 * MIB), 0);
	assert_full(write_file(b, "more", 8 * MIB));
	assert_int_equal(unlinkat(b, "more", 0), 0);
	/* Less than it has, by force: what it has stays set aside until it is gone. */
	assert_ok(f, pool_set_limit(f->pool, "acme", "a", DISK(16 * MIB), true, &f->err));
	assert_full(write_file(b, "more", 12 * MIB));
	assert_int_equal(unlinkat(b, "more", 0), 0);
	assert_int_equal(unlinkat(a, "file", 0), 0);
	assert_ok(f, pool_set_limit(f->pool, "acme", "a", DISK(16 * MIB), false, &f->err));
	assert_int_equal(write_file(b, "more", 20 * MIB), 0);
	assert_dealt_out(f, "acme", 64 * MIB);
	/* A tenant is not lowered below what is set aside, by nothing. */
	assert_int_equal(pool_set_limit(f->pool, "acme", "", DISK(8 * MIB), true, &f->err), -EBUSY);
	assert_string_equal(f->err.reason, "DISK_SET_ASIDE");
	/* What is removed is there for the others. */
	close_fd(&a);
	assert_ok(f, pool_upper_remove(f->pool, "acme", "a", &f->err));
	assert_int_equal(write_file(b, "last", 16 * MIB), 0);
}

static void what_cannot_be_dealt_out_is_refused(void **state)
{
	struct fixture *f = *state;
	struct disk_limits inodes_alone = {LIMIT_UNSET, 100};
	int fd;

	make_container(f, "acme", 64 * MIB, "a", 24 * MIB);
	make_container(f, "acme", 64 * MIB, "b", LIMIT_UNSET);
	assert_int_equal(pool_upper_make(f->pool, "acme", "c", DISK(48 * MIB), &f->err), -EDQUOT);
	assert_string_equal(f->err.reason, "DISK_NO_ROOM");
	assert_int_equal(pool_upper_make(f->pool, "acme", "c", &inodes_alone, &f->err), -EINVAL);
	assert_string_equal(f->err.reason, "DISK_LIMIT_INCOMPLETE");
	/* A refusal makes nothing. */
	assert_int_equal(pool_upper_open(f->pool, "acme", "c", &fd, &f->err), -ENOENT);
	assert_int_equal(
		pool_set_limit(f->pool, "acme", "b", DISK(16 * MIB), false, &f->err), -EOPNOTSUPP);
	assert_string_equal(f->err.reason, "DISK_LIMIT_FIXED");
	assert_int_equal(pool_set_limit(f->pool, "acme", "a", DISK(LIMIT_UNSET), false, &f->err),
		-EOPNOTSUPP);
	/* ... and takes nothing. */
	assert_ok(f, pool_set_limit(f->pool, "acme", "a", DISK(60 * MIB), false, &f->err));
}

static int make_files(int dir, const char *prefix, int n)
{
	int r = 0;

	with_root_rights(false);
	for (int i = 0; i < n && r == 0; i++) {
		char name[32];
		int fd;

		snprintf(name, sizeof(name), "%s-%d", prefix, i);
		fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		r = fd < 0 ? -errno : 0;
		if (fd >= 0)
			close(fd);
	}
	with_root_rights(true);
	return r;
}

static void inodes_are_limited(void **state)
{
	struct fixture *f = *state;
	struct disk_limits tenant = {64 * MIB, 600};
	struct disk_limits own = {16 * MIB, 200};
	struct disk_limits used;
	_cleanup_close_ int a = -1;
	_cleanup_close_ int b = -1;

	assert_ok(f, pool_tenant_make(f->pool, "acme", &tenant, &f->err));
	assert_ok(f, pool_upper_make(f->pool, "acme", "a", &own, &f->err));
	assert_ok(f, pool_upper_make(f->pool, "acme", "b", &DISK_LIMITS_NONE, &f->err));
	a = open_upper(f, "acme", "a");
	b = open_upper(f, "acme", "b");
	assert_int_equal(make_files(a, "one", 190), 0);
	assert_full(make_files(a, "two", 20));
	assert_ok(f, pool_usage(f->pool, "acme", "a", &used, &f->err));
	assert_int_equal(used.inodes, 200);
	assert_int_equal(make_files(b, "one", 390), 0);
	assert_full(make_files(b, "two", 20));
	assert_ok(f, pool_usage(f->pool, "acme", "", &used, &f->err));
	assert_int_equal(used.inodes, 600);

	own.inodes = 100;
	assert_int_equal(pool_set_limit(f->pool, "acme", "a", &own, false, &f->err), -EBUSY);
	assert_string_equal(f->err.reason, "LIMIT_BELOW_USE");
	assert_string_equal(f->err.subject, "inodes");
	tenant.inodes = 700;
	assert_ok(f, pool_set_limit(f->pool, "acme", "", &tenant, false, &f->err));
	own.inodes = 290;
	assert_ok(f, pool_set_limit(f->pool, "acme", "a", &own, false, &f->err));
	assert_int_equal(make_files(a, "three", 80), 0);
	assert_full(make_files(b, "three", 20));
}

/* A limit of disk alone bounds empty files too, which take none. */
static void empty_files_are_bounded(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int upper = -1;

	make_container(f, "acme", 16 * MIB, "web", LIMIT_UNSET);
	upper = open_upper(f, "acme", "web");
	assert_full(make_files(upper, "file", 1100));
	assert_ok(f, pool_tenant_make(f->pool, "acme", DISK(32 * MIB), &f->err));
	assert_int_equal(make_files(upper, "more", 900), 0);
}

/* Whoever is killed between two limits leaves no more than was bought, and no less for long. */
static void killed_while_dealing_out(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int b = -1;

	make_container(f, "acme", 64 * MIB, "b", LIMIT_UNSET);
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			pool_upper_make(f->pool, "acme", "a", DISK(24 * MIB), &f->err);
			pool_set_limit(f->pool, "acme", "a", DISK(40 * MIB), false, &f->err);
			pool_upper_remove(f->pool, "acme", "a", &f->err);
			_exit(0);
		}
		usleep((useconds_t)(i * 1500));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
	reattach(f);
	assert_ok(f, pool_upper_make(f->pool, "acme", "a", DISK(40 * MIB), &f->err));
	b = open_upper(f, "acme", "b");
	assert_full(write_file(b, "file", 26 * MIB));
	assert_ok(f, pool_upper_remove(f->pool, "acme", "a", &f->err));
	assert_int_equal(write_file(b, "file", 60 * MIB), 0);
}

#define on_simple(t) cmocka_unit_test_setup_teardown(t, setup_btrfs, teardown)
#define on_full(t)                                                                                 \
	{                                                                                          \
		"full_quotas_" #t, t, setup_full_quotas, teardown, NULL                            \
	}

#define on_each_project(t) on_xfs(t), on_ext4(t)

static int run_project(void)
{
	struct CMUnitTest tests[] = {
		on_each_project(container_limit_holds),
		on_each_project(shares_are_set_aside),
		on_each_project(shares_change_live),
		on_each_project(what_cannot_be_dealt_out_is_refused),
		on_each_project(inodes_are_limited),
		on_each_project(empty_files_are_bounded),
		on_each_project(killed_while_dealing_out),
		on_each_project(limits_hold_through_an_overlay),
		on_each_project(usage_is_measured),
		on_each_project(limit_below_use_is_refused),
		on_each_project(removal_gives_the_space_back),
		on_each_project(full_tenant_can_be_managed),
		on_each_project(limits_survive_a_new_attach),
		on_each_project(numbers_used_again_bring_no_old_limit),
	};

	if (!skip_what_cannot_be(tests, ARRAY_SIZE(tests)))
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* With an argument: the driver `project`, on the file systems that it is for. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		on_simple(container_limit_holds),
		on_simple(tenant_limit_holds_over_its_containers),
		on_simple(limits_hold_through_an_overlay),
		on_simple(many_small_files_count),
		on_simple(usage_is_measured),
		on_simple(limit_below_use_is_refused),
		on_simple(removal_gives_the_space_back),
		on_simple(full_tenant_can_be_managed),
		on_simple(limits_survive_a_new_attach),
		on_simple(numbers_used_again_bring_no_old_limit),
		on_full(quotas_are_full),
		on_full(container_limit_holds),
		on_full(tenant_limit_holds_over_its_containers),
		on_full(limits_hold_through_an_overlay),
		on_full(many_small_files_count),
		on_full(usage_is_measured),
		on_full(limit_below_use_is_refused),
		on_full(removal_gives_the_space_back),
		on_full(full_tenant_can_be_managed),
		on_full(limits_survive_a_new_attach),
		on_full(numbers_used_again_bring_no_old_limit),
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

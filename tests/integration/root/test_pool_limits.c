/*
 * Disk limits on the real kernel: they hold, also through an overlay and over a tenant's
 * containers, can be managed when reached, and survive a restart. With simple quotas, and with the
 * full ones of kernels before 6.7.
 */
#include "tests/integration/root/pool_fixture.h"

#include <time.h>

#define FREE_WAIT_S 90 /* the kernel drops subvolumes in the background */

static void container_limit_holds(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int upper = -1;

	make_container(f, "acme", LIMIT_UNSET, "web", 16 * MIB);
	upper = open_upper(f, "acme", "web");
	assert_int_equal(write_file(upper, "fits", 8 * MIB), 0);
	assert_int_equal(write_file(upper, "big", 64 * MIB), -EDQUOT);

	/* The control: without its limit the same write goes through. */
	assert_ok(f, pool_set_limit(f->pool, "acme", "web", LIMIT_UNSET, false, &f->err));
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
	assert_int_equal(write_file(b, "file", 20 * MIB), -EDQUOT);
	assert_int_equal(write_file(other, "file", 20 * MIB), 0);
	assert_int_equal(write_file(other, "more", 20 * MIB), -EDQUOT);

	assert_ok(f, pool_tenant_make(f->pool, "acme", 64 * MIB, &f->err));
	assert_int_equal(write_file(b, "file", 20 * MIB), 0);
	/* ... and b's own limit is still there. */
	assert_int_equal(write_file(b, "more", 20 * MIB), -EDQUOT);
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
	assert_int_equal(write_file(a, "more", 12 * MIB), -EDQUOT);
	/* Who is at the limit can still delete. */
	assert_int_equal(unlinkat(a, "more", 0), 0);
	assert_int_equal(write_file(b, "file", 12 * MIB), 0);
	assert_int_equal(write_file(b, "more", 20 * MIB), -EDQUOT);
	close(a);
	close(b);
	unmount_overlay(f, "a");
	unmount_overlay(f, "b");
}

static void many_small_files_count(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int upper = -1;
	int r = 0;

	/* Metadata is limited too: else a tenant fills the pool with empty files. */
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
	assert_int_equal(r, -EDQUOT);
}

static uint64_t exact_usage(struct fixture *f, const char *tenant, const char *container)
{
	uint64_t bytes;
	char path[96];
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "%s/pool", f->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(syncfs(fd), 0);
	assert_ok(f, pool_usage(f->pool, tenant, container, &bytes, &f->err));
	return bytes;
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
	assert_int_equal(pool_set_limit(f->pool, "acme", "web", 10 * MIB, false, &f->err), -EBUSY);
	assert_string_equal(f->err.reason, "LIMIT_BELOW_USE");
	assert_non_null(strstr(f->err.msg, "10 MiB"));
	assert_int_equal(pool_set_limit(f->pool, "acme", "", 10 * MIB, false, &f->err), -EBUSY);
	assert_ok(f, pool_set_limit(f->pool, "acme", "web", 10 * MIB, true, &f->err));
	assert_int_equal(write_file(upper, "more", MIB), -EDQUOT);
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
	assert_int_equal(pool_usage(f->pool, "acme", "", &(uint64_t){0}, &f->err), -ENOENT);
}

static void full_tenant_can_be_managed(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int upper = -1;
	int r = 0;

	make_container(f, "acme", 4 * MIB, "web", LIMIT_UNSET);
	upper = open_upper(f, "acme", "web");
	assert_int_equal(write_file(upper, "file", 16 * MIB), -EDQUOT);
	for (int i = 0; i < 200000 && r == 0; i++) {
		char name[32];

		snprintf(name, sizeof(name), "dir-%d", i);
		r = mkdirat(upper, name, 0755) < 0 ? -errno : 0;
		if (i % 1000 == 0)
			syncfs(upper);
	}
	assert_int_equal(r, -EDQUOT);
	close_fd(&upper);
	assert_ok(f, pool_tenant_make(f->pool, "acme", 3 * MIB, &f->err));
	assert_ok(f, pool_set_limit(f->pool, "acme", "web", 2 * MIB, true, &f->err));
	assert_ok(f, pool_upper_remove(f->pool, "acme", "web", &f->err));
	assert_ok(f, pool_tenant_remove(f->pool, "acme", &f->err));
}

static void limits_survive_a_new_attach(void **state)
{
	struct fixture *f = *state;
	int upper;

	make_container(f, "acme", 32 * MIB, "a", 16 * MIB);
	make_container(f, "acme", 32 * MIB, "b", LIMIT_UNSET);
	upper = open_upper(f, "acme", "a");
	assert_int_equal(write_file(upper, "file", 10 * MIB), 0);
	close(upper);
	f->config.driver[0] = '\0'; /* the pool that is there is the one that is used */
	reattach(f);
	assert_string_equal(pool_driver(f->pool), "btrfs");
	upper = open_upper(f, "acme", "a");
	assert_int_equal(write_file(upper, "more", 10 * MIB), -EDQUOT);
	unlinkat(upper, "more", 0);
	close(upper);
	upper = open_upper(f, "acme", "b");
	assert_int_equal(write_file(upper, "file", 30 * MIB), -EDQUOT);
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

#define on_simple(t) cmocka_unit_test_setup_teardown(t, setup_btrfs, teardown)
#define on_full(t)                                                                                 \
	{                                                                                          \
		"full_quotas_" #t, t, setup_full_quotas, teardown, NULL                            \
	}

int main(void)
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
	return enter_mount_namespace() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

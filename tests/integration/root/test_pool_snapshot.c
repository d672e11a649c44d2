/*
 * Snapshots, copies, restores and merges on the real kernel, on each driver and with both kinds of
 * quota: the trees are what they were, and what they take counts to whom it should.
 */
#include "tests/integration/root/pool_snapshot_fixture.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

static void made_restored_removed(void **state)
{
	struct fixture *f = *state;
	int upper;

	make(f, "web");
	upper = open_upper(f, "acme", "web");
	put(upper, "file", "first");
	snapshot(f, "one");
	put(upper, "file", "second");
	put(upper, "more", "more");
	snapshot(f, "two");
	close(upper);
	assert_int_equal(count(f), 2);
	restore(f, "one");
	upper = open_upper(f, "acme", "web");
	assert_text(upper, "file", "first");
	assert_false(is_there(upper, "more"));
	put(upper, "file", "third");
	close(upper);
	restore(f, "two");
	upper = open_upper(f, "acme", "web");
	assert_text(upper, "file", "second");
	assert_text(upper, "more", "more");
	close(upper);
	drop(f, "one");
	drop(f, "one");
	assert_int_equal(count(f), 1);
	/* The container, and the directory of its snapshots: no leftovers. */
	assert_int_equal(tenant_entries(f), 2);
	assert_ok(f, pool_upper_remove(f->pool, "acme", "web", &f->err));
	assert_int_equal(tenant_entries(f), 0);
	assert_ok(f, pool_tenant_remove(f->pool, "acme", &f->err));
}

struct reader {
	struct fixture *f;
	int begun;
	int ended;
	bool was_there; /* the copy, when its source had been read */
	bool fails;
};

static int reading_begins(void *arg, struct err *err)
{
	struct reader *reader = arg;

	reader->begun++;
	return reader->fails ? err_set(err, ERR_ABORTED, "TEST", "it does not stand still") : 0;
}

static void reading_ends(void *arg)
{
	struct reader *reader = arg;

	/* Of a copy that is not under its name yet nothing need be on the disk. */
	reader->was_there = count(reader->f) > 0;
	reader->ended++;
}

/* Whoever writes to it stands still while it is read, and not while the copy goes to the disk. */
static void it_is_read_for_a_moment(void **state)
{
	struct fixture *f = *state;
	struct reader reader = {.f = f};
	const struct pool_reading reading = {reading_begins, reading_ends, &reader};
	uint64_t bytes;

	make(f, "web");
	pool_set_reading(f->pool, &reading);
	snapshot(f, "one");
	assert_int_equal(reader.begun, 1);
	assert_true(reader.ended > 0);
	assert_int_equal(reader.was_there, !pool_copies(f->pool));
	assert_ok(
		f, pool_upper_copy(f->pool, "acme", "web", "", "twin", DISK(LIMIT_UNSET), &f->err));
	assert_int_equal(reader.begun, 2);
	reader.fails = true;
	assert_int_equal(pool_snapshot_make(
				 f->pool, "acme", "web", "two", DISK(LIMIT_UNSET), &bytes, &f->err),
		-ESTALE);
	assert_string_equal(f->err.reason, "TEST");
	pool_set_reading(f->pool, NULL);
	assert_int_equal(count(f), 1);
	drop(f, "one");
	assert_ok(f, pool_upper_remove(f->pool, "acme", "twin", &f->err));
	assert_ok(f, pool_upper_remove(f->pool, "acme", "web", &f->err));
}

static void what_cannot_be_is_refused(void **state)
{
	struct fixture *f = *state;
	uint64_t bytes;

	make(f, "web");
	snapshot(f, "one");
	assert_int_equal(pool_snapshot_make(
				 f->pool, "acme", "web", "one", DISK(LIMIT_UNSET), &bytes, &f->err),
		-EEXIST);
	assert_string_equal(f->err.reason, "SNAPSHOT_EXISTS");
	assert_int_equal(pool_snapshot_make(f->pool, "acme", "web", "../x", DISK(LIMIT_UNSET),
				 &bytes, &f->err),
		-EINVAL);
	assert_int_equal(pool_snapshot_make(
				 f->pool, "acme", "no", "one", DISK(LIMIT_UNSET), &bytes, &f->err),
		-ENOENT);
	assert_int_equal(
		pool_snapshot_restore(f->pool, "acme", "web", "no", DISK(LIMIT_UNSET), &f->err),
		-ENOENT);
	assert_ok(f, pool_upper_make(f->pool, "acme", "other", DISK(LIMIT_UNSET), &f->err));
	assert_int_equal(
		pool_upper_copy(f->pool, "acme", "web", "", "other", DISK(LIMIT_UNSET), &f->err),
		-EEXIST);
	assert_string_equal(f->err.reason, "CONTAINER_EXISTS");
	assert_ok(f, pool_upper_remove(f->pool, "acme", "web", &f->err));
	assert_ok(f, pool_upper_remove(f->pool, "acme", "other", &f->err));
}

static void everything_comes_through(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int before = -1;
	_cleanup_close_ int copied = -1;
	_cleanup_close_ int restored = -1;
	char value[64];
	struct stat st;

	make(f, "web");
	before = open_upper(f, "acme", "web");
	fill_with_everything(before);
	snapshot(f, "one");
	assert_ok(f,
		pool_upper_copy(f->pool, "acme", "web", "one", "copy", DISK(LIMIT_UNSET), &f->err));
	copied = open_upper(f, "acme", "copy");
	assert_same(f, before, copied);
	/* The restored one takes the place of the one that `before` still holds open. */
	restore(f, "one");
	restored = open_upper(f, "acme", "web");
	assert_same(f, copied, restored);
	/* The comparison is not of two empty trees. */
	assert_int_equal(fstatat(restored, "sparse", &st, 0), 0);
	assert_int_equal(st.st_size, 16 * MIB);
	assert_true(st.st_blocks < 1024);
	assert_string_equal(attribute(restored, "dir", "trusted.overlay.opaque", value), "y");
	assert_string_equal(attribute(restored, "link", "trusted.overlay.origin", value), "handle");
	assert_int_equal(fstatat(restored, "whiteout", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_nlink, 2);
}

static void copies_and_names(void **state)
{
	struct fixture *f = *state;
	int upper;

	make(f, "web");
	upper = open_upper(f, "acme", "web");
	put(upper, "file", "first");
	assert_ok(f,
		pool_upper_copy(f->pool, "acme", "web", "", "other", DISK(LIMIT_UNSET), &f->err));
	put(upper, "file", "second");
	close(upper);
	upper = open_upper(f, "acme", "other");
	assert_text(upper, "file", "first");
	put(upper, "file", "other");
	close(upper);
	snapshot(f, "one");
	assert_ok(f, pool_upper_rename(f->pool, "acme", "web", "site", &f->err));
	/* Again, as after a crash before it was noted. */
	assert_ok(f, pool_upper_rename(f->pool, "acme", "web", "site", &f->err));
	assert_ok(f, pool_upper_make(f->pool, "acme", "web", DISK(LIMIT_UNSET), &f->err));
	assert_int_equal(count(f), 0);
	assert_ok(f,
		pool_snapshot_restore(f->pool, "acme", "site", "one", DISK(LIMIT_UNSET), &f->err));
	upper = open_upper(f, "acme", "site");
	assert_text(upper, "file", "second");
	close(upper);
	assert_ok(f, pool_upper_reset(f->pool, "acme", "site", DISK(LIMIT_UNSET), &f->err));
	upper = open_upper(f, "acme", "site");
	assert_false(is_there(upper, "file"));
	put(upper, "file", "again");
	close(upper);
	assert_ok(f,
		pool_snapshot_restore(f->pool, "acme", "site", "one", DISK(LIMIT_UNSET), &f->err));
	assert_true(pool_upper_rename(f->pool, "acme", "site", "other", &f->err) < 0);
	assert_int_equal(pool_upper_rename(f->pool, "acme", "no", "where", &f->err), -ENOENT);
}

/* Whatever is cut off by kill -9, the container is as it was or as it should be. */
static void killed_in_the_middle(void **state)
{
	struct fixture *f = *state;
	char found[16];
	int upper;

	make(f, "web");
	upper = open_upper(f, "acme", "web");
	put(upper, "which", "old");
	for (int i = 0; i < 400; i++) {
		char name[16];

		snprintf(name, sizeof(name), "file-%d", i);
		put(upper, name, "text");
	}
	snapshot(f, "one");
	put(upper, "which", "new");
	close(upper);
	for (int i = 0; i < 30; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			pool_snapshot_restore(
				f->pool, "acme", "web", "one", DISK(LIMIT_UNSET), &f->err);
			_exit(0);
		}
		usleep((useconds_t)(i * 700));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		upper = open_upper(f, "acme", "web");
		assert_true(fd_read_text_at(upper, "which", found, sizeof(found)) > 0);
		assert_true(!strcmp(found, "old") || !strcmp(found, "new"));
		assert_text(upper, "file-399", "text");
		put(upper, "which", "new");
		close(upper);
	}
	restore(f, "one");
	upper = open_upper(f, "acme", "web");
	assert_text(upper, "which", "old");
	close(upper);
	assert_int_equal(tenant_entries(f), 2);
}

static void make_image(struct fixture *f)
{
	_cleanup_close_ int fd = -1;

	assert_ok(f, pool_image_begin(f->pool, "base", &fd, &f->err));
	mkdirat(fd, "etc", 0755);
	put(fd, "etc/kept", "base");
	put(fd, "etc/changed", "base");
	put(fd, "etc/removed", "base");
	mkdirat(fd, "replaced", 0755);
	put(fd, "replaced/inner", "base");
	assert_ok(f, pool_image_commit(f->pool, "base", &f->err));
}

static int image_path(struct fixture *f, const char *image, char ret[128])
{
	return snprintf(ret, 128, "%s/pool/images/%s", f->dir, image);
}

/*
 * What there is, sorted. Not by find(1): in an overlay of two subvolumes different files may have
 * the same inode number, which it takes for a loop.
 */
#define LIST                                                                                       \
	"/usr/bin/python3 -c 'import os\n"                                                         \
	"def show(d):\n"                                                                           \
	"  for e in sorted(os.listdir(d)):\n"                                                      \
	"    p = d + \"/\" + e\n"                                                                  \
	"    s = os.lstat(p)\n"                                                                    \
	"    print(p, oct(s.st_mode), s.st_uid, s.st_gid, s.st_mtime_ns)\n"                        \
	"    os.path.isdir(p) and show(p)\n"                                                       \
	"show(\".\")'"

/* A real overlay makes the changes, so that the marks are those of the kernel. */
static void change_through_overlay(struct fixture *f)
{
	_cleanup_close_ int layer = -1;
	char command[1024];
	char lower[128];

	image_path(f, "base", lower);
	assert_ok(f, pool_upper_open(f->pool, "acme", "web", &layer, &f->err));
	snprintf(command, sizeof(command),
		"mkdir %s/m && mount -t overlay x -o lowerdir=%s,upperdir=/proc/%d/fd/%d/upper,"
		"workdir=/proc/%d/fd/%d/work %s/m && cd %s/m && echo -n new > etc/changed && "
		"rm etc/removed && rm -r replaced && mkdir replaced && echo -n new > replaced/new "
		"&& echo -n added > added && ln added etc/added && chown 7:8 etc && " LIST
		" > %s/seen && cd / && umount %s/m",
		f->dir, lower, (int)getpid(), layer, (int)getpid(), layer, f->dir, f->dir, f->dir,
		f->dir);
	assert_int_equal(system(command), 0);
}

static void merged_as_the_container_saw_it(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int fd = -1;
	struct tree_report report = {0};
	char command[1024];
	char path[128];
	char value[64];

	make_image(f);
	make(f, "web");
	change_through_overlay(f);
	snapshot(f, "one");
	assert_ok(f, pool_image_merge(
			     f->pool, "acme", "web", "one", "base", "merged", &report, &f->err));
	assert_ok(f, pool_image_commit(f->pool, "merged", &f->err));
	image_path(f, "merged", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_text(fd, "etc/kept", "base");
	assert_text(fd, "etc/changed", "new");
	assert_false(is_there(fd, "etc/removed"));
	assert_false(is_there(fd, "replaced/inner"));
	assert_text(fd, "replaced/new", "new");
	assert_text(fd, "etc/added", "added");
	assert_string_equal(attribute(fd, "replaced", "trusted.overlay.opaque", value), "-");
	assert_string_equal(attribute(fd, "etc", "trusted.overlay.origin", value), "-");
	snprintf(command, sizeof(command), "cd %s && " LIST " > %s/is && diff %s/seen %s/is >&2",
		path, f->dir, f->dir, f->dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(report.entries, 7);
	/* The base is as it was. */
	image_path(f, "base", path);
	close_fd(&fd);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_text(fd, "etc/removed", "base");
	assert_ok(f, pool_image_remove(f->pool, "merged", &f->err));
	assert_ok(f, pool_image_remove(f->pool, "base", &f->err));
}

/* --- quotas --- */

static void snapshots_count_to_the_tenant_alone(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int upper = -1;

	make_tenant(f, 100 * MIB);
	assert_ok(f, pool_upper_make(f->pool, "acme", "web", DISK(32 * MIB), &f->err));
	upper = open_upper(f, "acme", "web");
	assert_int_equal(write_file(upper, "file", 24 * MIB), 0);
	snapshot_within(f, "one", 32 * MIB);
	assert_in_range(exact_usage(f, ""), 24 * MIB, 26 * MIB);
	/* Its own limit is there for what it has now: all of it may be written anew. */
	assert_int_equal(write_file(upper, "file", 24 * MIB), 0);
	assert_in_range(exact_usage(f, ""), 48 * MIB, 50 * MIB);
	snapshot_within(f, "two", 32 * MIB);
	assert_int_equal(write_file(upper, "file", 24 * MIB), 0);
	assert_in_range(exact_usage(f, ""), 72 * MIB, 74 * MIB);
	/* The tenant's holds over both kinds. */
	snapshot_within(f, "three", 32 * MIB);
	assert_full(write_file(upper, "file", 30 * MIB));
	/* Who is at the limit can still remove snapshots, and go on. */
	assert_ok(f, pool_snapshot_remove(f->pool, "acme", "web", "one", DISK(32 * MIB), &f->err));
	assert_ok(f, pool_snapshot_remove(f->pool, "acme", "web", "two", DISK(32 * MIB), &f->err));
	wait_usage_below(f, 60 * MIB);
	assert_int_equal(write_file(upper, "file", 24 * MIB), 0);
}

static void own_limit_holds_again_without_snapshots(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int upper = -1;

	make_tenant(f, LIMIT_UNSET);
	assert_ok(f, pool_upper_make(f->pool, "acme", "web", DISK(32 * MIB), &f->err));
	upper = open_upper(f, "acme", "web");
	assert_int_equal(write_file(upper, "file", 24 * MIB), 0);
	snapshot_within(f, "one", 32 * MIB);
	/* A limit that is set while there are snapshots allows for them too. */
	assert_ok(f, pool_set_limit(f->pool, "acme", "web", DISK(28 * MIB), false, &f->err));
	assert_int_equal(write_file(upper, "file", 24 * MIB), 0);
	assert_ok(f, pool_snapshot_remove(f->pool, "acme", "web", "one", DISK(28 * MIB), &f->err));
	wait_usage_below(f, 26 * MIB);
	assert_full(write_file(upper, "more", 8 * MIB));
}

static void restored_and_copied_count_to_the_tenant(void **state)
{
	struct fixture *f = *state;
	int upper;

	make_tenant(f, 64 * MIB);
	assert_ok(f, pool_upper_make(f->pool, "acme", "web", DISK(LIMIT_UNSET), &f->err));
	upper = open_upper(f, "acme", "web");
	assert_int_equal(write_file(upper, "file", 24 * MIB), 0);
	close(upper);
	snapshot(f, "one");
	restore(f, "one");
	/* The one it took the place of is gone, yet its blocks are still held, and counted. */
	for (int i = 0; i < 3; i++) {
		assert_in_range(exact_usage(f, ""), 24 * MIB, 27 * MIB);
		reattach(f);
	}
	assert_ok(
		f, pool_upper_copy(f->pool, "acme", "web", "", "copy", DISK(LIMIT_UNSET), &f->err));
	assert_in_range(exact_usage(f, ""), 24 * MIB, 27 * MIB);
	upper = open_upper(f, "acme", "copy");
	assert_int_equal(write_file(upper, "file", 24 * MIB), 0);
	assert_in_range(exact_usage(f, ""), 48 * MIB, 51 * MIB);
	assert_full(write_file(upper, "more", 24 * MIB));
	close(upper);
	/* A full tenant can go back to where it was. */
	restore(f, "one");
	drop(f, "one");
	assert_ok(f, pool_upper_remove(f->pool, "acme", "copy", &f->err));
	assert_ok(f, pool_upper_remove(f->pool, "acme", "web", &f->err));
	assert_ok(f, pool_tenant_remove(f->pool, "acme", &f->err));
}

/* --- on projects each copy counts in full, whatever it shares --- */

static void copies_count_in_full(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int upper = -1;
	uint64_t bytes;

	make_tenant(f, 100 * MIB);
	assert_ok(f, pool_upper_make(f->pool, "acme", "web", DISK(32 * MIB), &f->err));
	upper = open_upper(f, "acme", "web");
	assert_int_equal(write_file(upper, "file", 24 * MIB), 0);
	snapshot_within(f, "one", 32 * MIB);
	snapshot_within(f, "two", 32 * MIB);
	assert_in_range(exact_usage(f, ""), 72 * MIB, 74 * MIB);
	/* The container's own limit is what it was. */
	assert_full(write_file(upper, "more", 16 * MIB));
	assert_int_equal(unlinkat(upper, "more", 0), 0);
	assert_int_equal(pool_snapshot_make(
				 f->pool, "acme", "web", "three", DISK(32 * MIB), &bytes, &f->err),
		-EDQUOT);
	assert_string_equal(f->err.reason, "DISK_FULL");
	assert_int_equal(count(f), 2);
	/* Also a copy takes what it needs, and is refused what there is not. */
	assert_int_equal(
		pool_upper_copy(f->pool, "acme", "web", "", "copy", DISK(32 * MIB), &f->err),
		-EDQUOT);
	assert_string_equal(f->err.reason, "DISK_NO_ROOM");
	drop(f, "two");
	wait_usage_below(f, 50 * MIB);
	assert_ok(
		f, pool_upper_copy(f->pool, "acme", "web", "one", "copy", DISK(32 * MIB), &f->err));
	assert_in_range(exact_usage(f, ""), 72 * MIB, 74 * MIB);
}

/* What a restore needed meanwhile is not kept by one that was cut off, however often. */
static void cut_off_within_its_own_limit(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int upper = -1;

	make_tenant(f, 64 * MIB);
	assert_ok(f, pool_upper_make(f->pool, "acme", "web", DISK(32 * MIB), &f->err));
	upper = open_upper(f, "acme", "web");
	assert_int_equal(write_file(upper, "file", 10 * MIB), 0);
	close_fd(&upper);
	snapshot_within(f, "one", 32 * MIB);
	for (int i = 0; i < 12; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			pool_snapshot_restore(
				f->pool, "acme", "web", "one", DISK(32 * MIB), &f->err);
			_exit(0);
		}
		usleep((useconds_t)(i * 5000));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	assert_ok(f, pool_snapshot_restore(f->pool, "acme", "web", "one", DISK(32 * MIB), &f->err));
	wait_usage_below(f, 22 * MIB);
	upper = open_upper(f, "acme", "web");
	assert_full(write_file(upper, "more", 26 * MIB));
	/* All that is not its own is there for others. */
	assert_ok(f, pool_upper_make(f->pool, "acme", "other", DISK(20 * MIB), &f->err));
}

static void restored_within_its_own_limit(void **state)
{
	struct fixture *f = *state;
	int upper;

	make_tenant(f, 100 * MIB);
	assert_ok(f, pool_upper_make(f->pool, "acme", "web", DISK(32 * MIB), &f->err));
	upper = open_upper(f, "acme", "web");
	assert_int_equal(write_file(upper, "file", 20 * MIB), 0);
	close(upper);
	snapshot_within(f, "one", 32 * MIB);
	/* Both trees are there for a moment, in the one share; after it is as large as before. */
	for (int i = 0; i < 2; i++) {
		assert_ok(f, pool_snapshot_restore(
				     f->pool, "acme", "web", "one", DISK(32 * MIB), &f->err));
		wait_usage_below(f, 42 * MIB);
	}
	upper = open_upper(f, "acme", "web");
	assert_full(write_file(upper, "more", 16 * MIB));
	assert_int_equal(unlinkat(upper, "more", 0), 0);
	close(upper);
	/* Without a limit of its own from then on: it shares the tenant's. */
	assert_ok(f,
		pool_snapshot_restore(f->pool, "acme", "web", "one", DISK(LIMIT_UNSET), &f->err));
	wait_usage_below(f, 42 * MIB);
	upper = open_upper(f, "acme", "web");
	assert_int_equal(write_file(upper, "more", 50 * MIB), 0);
	assert_full(write_file(upper, "most", 20 * MIB));
	assert_int_equal(unlinkat(upper, "more", 0), 0);
	close(upper);
	assert_ok(f, pool_upper_reset(f->pool, "acme", "web", DISK(24 * MIB), &f->err));
	upper = open_upper(f, "acme", "web");
	assert_full(write_file(upper, "file", 26 * MIB));
	close(upper);
	assert_ok(f, pool_upper_remove(f->pool, "acme", "web", &f->err));
	assert_ok(f, pool_tenant_remove(f->pool, "acme", &f->err));
}

#define on_each_project(t) on_xfs(t), on_ext4(t)

static int run_project(void)
{
	struct CMUnitTest tests[] = {
		on_each_project(made_restored_removed),
		on_each_project(it_is_read_for_a_moment),
		on_each_project(what_cannot_be_is_refused),
		on_each_project(everything_comes_through),
		on_each_project(copies_and_names),
		on_each_project(killed_in_the_middle),
		on_each_project(copies_count_in_full),
		on_each_project(restored_within_its_own_limit),
		on_each_project(cut_off_within_its_own_limit),
		on_xfs(merged_as_the_container_saw_it),
	};

	if (!skip_what_cannot_be(tests, ARRAY_SIZE(tests)))
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#define on_plain(t)                                                                                \
	{                                                                                          \
		"plain_" #t, t, setup_plain, teardown, NULL                                        \
	}
#define on_btrfs(t) cmocka_unit_test_setup_teardown(t, setup_btrfs, teardown)
#define on_full(t)                                                                                 \
	{                                                                                          \
		"full_quotas_" #t, t, setup_full_quotas, teardown, NULL                            \
	}

/* With an argument: the driver `project`, on the file systems that it is for. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		on_plain(made_restored_removed),
		on_plain(it_is_read_for_a_moment),
		on_plain(what_cannot_be_is_refused),
		on_plain(everything_comes_through),
		on_plain(copies_and_names),
		on_plain(killed_in_the_middle),
		on_plain(merged_as_the_container_saw_it),
		on_btrfs(made_restored_removed),
		on_btrfs(it_is_read_for_a_moment),
		on_btrfs(what_cannot_be_is_refused),
		on_btrfs(everything_comes_through),
		on_btrfs(copies_and_names),
		on_btrfs(killed_in_the_middle),
		on_btrfs(merged_as_the_container_saw_it),
		on_btrfs(snapshots_count_to_the_tenant_alone),
		on_btrfs(own_limit_holds_again_without_snapshots),
		on_btrfs(restored_and_copied_count_to_the_tenant),
		on_full(made_restored_removed),
		on_full(snapshots_count_to_the_tenant_alone),
		on_full(own_limit_holds_again_without_snapshots),
		on_full(restored_and_copied_count_to_the_tenant),
	};

	if (geteuid() != 0) {
		print_message("1..0 # SKIP mounting a pool needs root\n");
		return 0;
	}
	(void)argv;
	umask(022);
	if (enter_mount_namespace() < 0)
		return 1;
	return argc > 1 ? run_project() : cmocka_run_group_tests(tests, NULL, NULL);
}

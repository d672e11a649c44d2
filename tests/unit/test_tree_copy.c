/* Copying trees: what comes out is what went in, and nothing outside is touched. */
#include "tests/unit/unit.h"

#include "base/fd.h"
#include "sandbox/tree_copy.h"
#include "sandbox/tree_remove.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define DEPTH 300 /* beyond what is kept open, and beyond a path's length with these names */
#define LONG_NAME                                                                                  \
	"a-name-of-some-length-so-that-paths-get-longer-than-any-system-call-takes-------------"

static const struct tree_copy_options as_it_is;
static const struct tree_copy_options over = {.merge = true};

struct trees {
	int top;
	int from;
	int to;
	struct err err;
	struct tree_report report;
};

static int setup(void **state)
{
	char dir[] = "/tmp/croft-test-copy-XXXXXX";
	struct trees *t = calloc(1, sizeof(*t));

	*state = t;
	if (!mkdtemp(dir))
		return -1;
	t->top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mkdirat(t->top, "from", 0755);
	mkdirat(t->top, "to", 0755);
	t->from = openat(t->top, "from", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t->to = openat(t->top, "to", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return t->from < 0 || t->to < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct trees *t = *state;
	char path[64];
	char name[128];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", t->top);
	n = readlink(path, name, sizeof(name) - 1);
	name[n < 0 ? 0 : n] = '\0';
	close(t->from);
	close(t->to);
	close(t->top);
	n = tree_remove_at(AT_FDCWD, name, &t->err);
	free(t);
	return (int)n;
}

static void copy(struct trees *t, const struct tree_copy_options *options)
{
	int r = tree_copy(t->from, t->to, options, &t->report, &t->err);

	if (r < 0)
		fail_msg("copy: %d: %s", r, t->err.msg);
}

static void write_at(int dir, const char *name, const char *text, mode_t mode)
{
	_cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
	assert_int_equal(fchmod(fd, mode), 0);
}

static void assert_text(int dir, const char *name, const char *text)
{
	char found[64];

	assert_true(fd_read_text_at(dir, name, found, sizeof(found)) >= 0);
	assert_string_equal(found, text);
}

static struct stat look(int dir, const char *name)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		fail_msg("%s is missing", name);
	return st;
}

static bool is_there(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void kinds_and_attributes(void **state)
{
	const struct timespec times[2] = {{1000000000, 123000000}, {1100000000, 456000000}};
	struct trees *t = *state;
	char value[16] = "";
	struct stat st;

	mkdirat(t->from, "dir", 0700);
	write_at(t->from, "dir/file", "text", 04751);
	write_at(t->from, "empty", "", 0400);
	assert_int_equal(symlinkat("/etc/passwd", t->from, "outside"), 0);
	assert_int_equal(symlinkat("../../nowhere", t->from, "dangling"), 0);
	assert_int_equal(mkfifoat(t->from, "fifo", 0620), 0);
	assert_int_equal(mknodat(t->from, "socket", S_IFSOCK | 0600, 0), 0);
	assert_int_equal(utimensat(t->from, "dir/file", times, 0), 0);
	assert_int_equal(utimensat(t->from, "outside", times, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(fchmodat(t->from, "fifo", 0620, 0), 0);
	assert_int_equal(fchmodat(t->from, "dir", 01711, 0), 0);
	assert_int_equal(utimensat(t->from, "dir", times, 0), 0);
	copy(t, &as_it_is);

	assert_text(t->to, "dir/file", "text");
	st = look(t->to, "dir/file");
	assert_int_equal(st.st_mode, S_IFREG | 04751);
	assert_int_equal(st.st_mtim.tv_sec, times[1].tv_sec);
	assert_int_equal(st.st_mtim.tv_nsec, times[1].tv_nsec);
	st = look(t->to, "dir");
	assert_int_equal(st.st_mode, S_IFDIR | 01711);
	assert_int_equal(st.st_mtim.tv_sec, times[1].tv_sec);
	assert_int_equal(look(t->to, "empty").st_mode, S_IFREG | 0400);
	st = look(t->to, "outside");
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(st.st_mtim.tv_sec, times[1].tv_sec);
	assert_int_equal(readlinkat(t->to, "dangling", value, sizeof(value)), 13);
	assert_int_equal(look(t->to, "fifo").st_mode, S_IFIFO | 0620);
	assert_true(S_ISSOCK(look(t->to, "socket").st_mode));
	assert_int_equal(t->report.entries, 7);
}

static void attributes_of_users_stay(void **state)
{
	struct trees *t = *state;
	char from[64];
	char to[64];
	char value[16];

	write_at(t->from, "file", "text", 0644);
	snprintf(from, sizeof(from), "/proc/self/fd/%d/file", t->from);
	snprintf(to, sizeof(to), "/proc/self/fd/%d/file", t->to);
	if (setxattr(from, "user.one", "1", 1, 0) < 0 && errno == EOPNOTSUPP) {
		print_message("# SKIP this file system has no such attributes\n");
		skip();
	}
	assert_int_equal(setxattr(from, "user.empty", "", 0, 0), 0);
	copy(t, &as_it_is);
	assert_int_equal(getxattr(to, "user.one", value, sizeof(value)), 1);
	assert_int_equal(value[0], '1');
	assert_int_equal(getxattr(to, "user.empty", value, sizeof(value)), 0);
}

static void hard_links_stay_links(void **state)
{
	struct trees *t = *state;

	mkdirat(t->from, "dir", 0755);
	write_at(t->from, "one", "text", 0644);
	assert_int_equal(linkat(t->from, "one", t->from, "dir/two", 0), 0);
	assert_int_equal(linkat(t->from, "one", t->from, "three", 0), 0);
	write_at(t->from, "other", "text", 0644);
	assert_int_equal(symlinkat("x", t->from, "link"), 0);
	assert_int_equal(linkat(t->from, "link", t->from, "link2", 0), 0);
	copy(t, &as_it_is);
	assert_int_equal(look(t->to, "one").st_nlink, 3);
	assert_int_equal(look(t->to, "one").st_ino, look(t->to, "dir/two").st_ino);
	assert_int_equal(look(t->to, "one").st_ino, look(t->to, "three").st_ino);
	assert_int_equal(look(t->to, "other").st_nlink, 1);
	assert_int_equal(look(t->to, "link").st_ino, look(t->to, "link2").st_ino);
	/* Nothing that was needed for it is left: dot, dot-dot and seven entries. */
	assert_int_equal(t->report.entries, 7);
	assert_int_equal(tree_measure(t->to, &t->report, &t->err), 0);
	assert_int_equal(t->report.entries, 7);
}

static void holes_stay_holes(void **state)
{
	struct trees *t = *state;
	_cleanup_close_ int fd = openat(t->from, "sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char byte[2] = "";
	struct stat st;

	assert_int_equal(ftruncate(fd, 64 << 20), 0);
	assert_int_equal(pwrite(fd, "x", 1, 32 << 20), 1);
	assert_int_equal(pwrite(fd, "y", 1, 5), 1);
	copy(t, &as_it_is);
	st = look(t->to, "sparse");
	assert_int_equal(st.st_size, 64 << 20);
	assert_true(st.st_blocks < 2048);
	close_fd(&fd);
	fd = openat(t->to, "sparse", O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, byte, 1, 32 << 20), 1);
	assert_int_equal(byte[0], 'x');
	assert_int_equal(pread(fd, byte, 1, 6), 1);
	assert_int_equal(byte[0], 0);
}

/* A chain of directories, each with a file; returns the deepest. */
static int descend(int top, bool make)
{
	int at = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < DEPTH; i++) {
		int next;

		if (make) {
			assert_int_equal(mkdirat(at, LONG_NAME, 0755), 0);
			write_at(at, "before", "b", 0644);
			write_at(at, "zzz-after", "a", 0644);
		}
		assert_text(at, "before", "b");
		assert_text(at, "zzz-after", "a");
		next = openat(at, LONG_NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(at);
		at = next;
	}
	return at;
}

static void deep_trees(void **state)
{
	struct trees *t = *state;

	close(descend(t->from, true));
	copy(t, &as_it_is);
	close(descend(t->to, false));
	assert_int_equal(t->report.entries, 3 * DEPTH);
}

static void devices_are_refused(void **state)
{
	struct trees *t = *state;

	if (mknodat(t->from, "null", S_IFCHR | 0666, makedev(1, 3)) < 0) {
		print_message("# SKIP only root can make a device\n");
		skip();
	}
	assert_true(tree_copy(t->from, t->to, &as_it_is, NULL, &t->err) < 0);
	assert_string_equal(t->err.reason, "TREE_HAS_DEVICE");
	assert_false(is_there(t->to, "null"));
}

static void whiteout(int dir, const char *name)
{
	if (mknodat(dir, name, S_IFCHR, makedev(0, 0)) == 0)
		return;
	print_message("# SKIP this user cannot make a whiteout\n");
	skip();
}

static void whiteouts_are_kept(void **state)
{
	struct trees *t = *state;
	struct stat st;

	whiteout(t->from, "gone");
	copy(t, &as_it_is);
	st = look(t->to, "gone");
	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(st.st_rdev, 0);
}

static void merging(void **state)
{
	struct trees *t = *state;

	mkdirat(t->to, "kept", 0755);
	write_at(t->to, "kept/below", "below", 0644);
	write_at(t->to, "kept/changed", "old", 0644);
	write_at(t->to, "file", "old", 0644);
	mkdirat(t->to, "dir", 0755);
	write_at(t->to, "dir/inner", "old", 0644);
	mkdirat(t->to, "becomes-file", 0755);
	write_at(t->to, "becomes-file/inner", "old", 0644);
	write_at(t->to, "becomes-dir", "old", 0644);
	assert_int_equal(symlinkat("/tmp", t->to, "link-becomes-dir"), 0);

	whiteout(t->from, "file");
	whiteout(t->from, "dir");
	whiteout(t->from, "never-was");
	mkdirat(t->from, "kept", 0711);
	write_at(t->from, "kept/changed", "new", 0600);
	write_at(t->from, "becomes-file", "new", 0644);
	mkdirat(t->from, "becomes-dir", 0755);
	write_at(t->from, "becomes-dir/inner", "new", 0644);
	mkdirat(t->from, "link-becomes-dir", 0755);
	write_at(t->from, "link-becomes-dir/inner", "new", 0644);
	copy(t, &over);

	assert_false(is_there(t->to, "file"));
	assert_false(is_there(t->to, "dir"));
	assert_false(is_there(t->to, "never-was"));
	assert_text(t->to, "kept/below", "below");
	assert_text(t->to, "kept/changed", "new");
	assert_int_equal(look(t->to, "kept").st_mode, S_IFDIR | 0711);
	assert_int_equal(look(t->to, "kept/changed").st_mode, S_IFREG | 0600);
	assert_text(t->to, "becomes-file", "new");
	assert_text(t->to, "becomes-dir/inner", "new");
	assert_true(S_ISDIR(look(t->to, "link-becomes-dir").st_mode));
	assert_text(t->to, "link-becomes-dir/inner", "new");
	assert_false(is_there(AT_FDCWD, "/tmp/inner"));
}

#define with_trees(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_trees(kinds_and_attributes),
		with_trees(attributes_of_users_stay),
		with_trees(hard_links_stay_links),
		with_trees(holes_stay_holes),
		with_trees(deep_trees),
		with_trees(devices_are_refused),
		with_trees(whiteouts_are_kept),
		with_trees(merging),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

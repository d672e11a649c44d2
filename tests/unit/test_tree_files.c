/* base/tree_pack.h, tree_unpack.h: a tree comes through whole, and nothing leads out of the target.
 */
#include "base/tree_pack.h"
#include "base/tree_unpack.h"

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#define STREAM_MAX (4u << 20)

struct fixture {
	char dir[64];
	int fd; /* of dir */
	uint8_t *stream;
	size_t size;
};

static int make(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/croft-tree-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->stream = malloc(STREAM_MAX);
	assert_int_equal(mkdirat(f->fd, "from", 0755), 0);
	assert_int_equal(mkdirat(f->fd, "to", 0755), 0);
	assert_int_equal(mkdirat(f->fd, "outside", 0755), 0);
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int drop(void **state)
{
	struct fixture *f = *state;

	close(f->fd);
	nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(f->stream);
	free(f);
	return 0;
}

static void put_file(
	struct fixture *f, const char *path, const void *data, size_t size, mode_t mode)
{
	int fd = openat(f->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void expect_file(struct fixture *f, const char *path, const void *data, size_t size)
{
	_cleanup_free_ char *got = malloc(size + 1);
	int fd = openat(f->fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	assert_int_equal(read(fd, got, size + 1), size);
	assert_memory_equal(got, data, size);
	close(fd);
}

static bool exists(struct fixture *f, const char *path)
{
	return faccessat(f->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int keep(void *arg, const void *data, size_t size, struct err *err)
{
	struct fixture *f = arg;

	(void)err;
	assert_true(f->size + size <= STREAM_MAX);
	memcpy(f->stream + f->size, data, size);
	f->size += size;
	return 0;
}

static int pack(struct fixture *f, const char *name, struct tree_report *report, struct err *err)
{
	const struct tree_sink sink = {.write = keep, .arg = f};
	const char *slash = strrchr(name, '/');

	f->size = 0;
	return tree_pack(f->fd, name, false, slash ? slash + 1 : name, &sink, report, err);
}

static int unpack(struct fixture *f, const char *as, size_t piece, struct err *err)
{
	static struct tree_unpack u;
	int fd = openat(f->fd, "to", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	tree_unpack_init(&u, fd, as, 0777);
	for (size_t at = 0; at < f->size && r == 0; at += piece)
		r = tree_unpack_feed(
			&u, f->stream + at, f->size - at < piece ? f->size - at : piece, err);
	if (r == 0)
		r = tree_unpack_end(&u, err);
	tree_unpack_finish(&u);
	close(fd);
	return r;
}

static void a_tree_comes_through(void **state)
{
	struct fixture *f = *state;
	static uint8_t large[300000];
	struct tree_report report;
	struct stat st;
	char target[16] = "";
	struct err err;

	memset(large, 'z', sizeof(large));
	mkdirat(f->fd, "from/sub", 0750);
	mkdirat(f->fd, "from/sub/empty", 0755);
	put_file(f, "from/sub/large", large, sizeof(large), 0640);
	put_file(f, "from/none", "", 0, 04755);
	assert_int_equal(symlinkat("../nowhere", f->fd, "from/link"), 0);
	mkfifoat(f->fd, "from/pipe", 0600);
	assert_int_equal(pack(f, "from", &report, &err), 0);
	assert_int_equal(report.entries, 6);
	assert_int_equal(report.bytes, sizeof(large));
	assert_int_equal(report.left_out.count, 1);
	assert_int_equal(report.left_out.first[0].kind, LEFT_OUT_FIFO);
	assert_string_equal(report.left_out.first[0].path, "from/pipe");
	for (int pass = 0; pass < 2; pass++) {
		/* The second time over what the first has made. */
		if (unpack(f, NULL, pass ? 999 : STREAM_MAX, &err) < 0)
			fail_msg("%s", err.msg);
		expect_file(f, "to/from/sub/large", large, sizeof(large));
		expect_file(f, "to/from/none", "", 0);
		assert_int_equal(fstatat(f->fd, "to/from/none", &st, 0), 0);
		assert_int_equal(st.st_mode & 07777, 0755);
		assert_int_equal(fstatat(f->fd, "to/from/sub", &st, 0), 0);
		assert_int_equal(st.st_mode & 07777, 0750);
		assert_int_equal(readlinkat(f->fd, "to/from/link", target, sizeof(target)), 10);
		assert_true(exists(f, "to/from/sub/empty"));
		assert_false(exists(f, "to/from/pipe"));
	}
	assert_int_equal(unpack(f, "other", STREAM_MAX, &err), 0);
	expect_file(f, "to/other/sub/large", large, sizeof(large));
}

/* Whoever asked for a file, and comes back to it, is not led anywhere. */
static void what_is_named_by_the_receiver_is_no_link(void **state)
{
	struct fixture *f = *state;
	struct tree_report report;
	struct err err;

	assert_int_equal(symlinkat("../nowhere", f->fd, "from/link"), 0);
	assert_int_equal(pack(f, "from/link", &report, &err), 0);
	assert_true(unpack(f, "other", STREAM_MAX, &err) < 0);
	assert_string_equal(err.reason, "ARCHIVE_UNSAFE");
	assert_false(exists(f, "to/other"));
	assert_int_equal(unpack(f, NULL, STREAM_MAX, &err), 0);
}

static void one_file_takes_another_name(void **state)
{
	struct fixture *f = *state;
	struct tree_report report;
	struct err err;

	put_file(f, "from/a", "text", 4, 0644);
	assert_int_equal(pack(f, "from/a", &report, &err), 0);
	assert_int_equal(unpack(f, "b", 1, &err), 0);
	expect_file(f, "to/b", "text", 4);
	assert_true(pack(f, "from/missing", &report, &err) < 0);
	assert_string_equal(err.reason, "FILE_UNREADABLE");
	assert_int_equal(mkfifoat(f->fd, "from/pipe", 0600), 0);
	assert_true(pack(f, "from/pipe", &report, &err) < 0);
	assert_string_equal(err.reason, "FILE_SPECIAL");
}

/* An archive of one file, after another entry or none. */
static void forge(struct fixture *f, const struct tar_entry *first, const char *path)
{
	struct tar_entry *e = calloc(1, sizeof(*e));
	ssize_t n = 0;

	if (first)
		n = tar_format(first, f->stream);
	assert_true(n >= 0);
	f->size = (size_t)n;
	e->type = TAR_FILE;
	e->mode = 0644;
	e->size = 4;
	snprintf(e->path, sizeof(e->path), "%s", path);
	n = tar_format(e, f->stream + f->size);
	assert_true(n > 0);
	f->size += (size_t)n;
	memset(f->stream + f->size, 0, TAR_BLOCK + TAR_END_SIZE);
	memcpy(f->stream + f->size, "evil", 4);
	f->size += TAR_BLOCK + TAR_END_SIZE;
	free(e);
}

static void names_do_not_lead_out(void **state)
{
	static const char *const names[] = {"../outside/x", "/tmp/croft-evil", "a/../../outside/x",
		"..", ".", "a//b", "a/./b", "./../x", "a/.."};
	struct fixture *f = *state;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		for (int renamed = 0; renamed < 2; renamed++) {
			forge(f, NULL, names[i]);
			if (unpack(f, renamed ? "as" : NULL, 512, &err) != -EINVAL)
				fail_msg("%s was taken", names[i]);
			assert_string_equal(err.reason, "ARCHIVE_UNSAFE");
		}
	assert_false(exists(f, "outside/x"));
	/* A plain name with a harmless prefix is fine. */
	forge(f, NULL, "./good");
	assert_int_equal(unpack(f, NULL, 512, &err), 0);
	expect_file(f, "to/good", "evil", 4);
}

static void links_do_not_lead_out(void **state)
{
	struct fixture *f = *state;
	struct tar_entry *link = calloc(1, sizeof(*link));
	struct err err;

	link->type = TAR_SYMLINK;
	strcpy(link->path, "l");
	snprintf(link->target, sizeof(link->target), "%s/outside", f->dir);
	/* One that the archive brings. */
	forge(f, link, "l/x");
	assert_true(unpack(f, NULL, 512, &err) < 0);
	assert_string_equal(err.reason, "PATH_BLOCKED");
	/* One that is there already, relative and absolute. */
	assert_int_equal(symlinkat("../outside", f->fd, "to/planted"), 0);
	forge(f, NULL, "planted/x");
	assert_true(unpack(f, NULL, 512, &err) < 0);
	/* In the place of a directory that the archive has. */
	link->type = TAR_DIRECTORY;
	strcpy(link->path, "planted");
	forge(f, link, "planted/x");
	assert_true(unpack(f, NULL, 512, &err) < 0);
	assert_false(exists(f, "outside/x"));
	/* In the place of the file itself: replaced, not written through. */
	put_file(f, "outside/keep", "keep", 4, 0644);
	assert_int_equal(symlinkat("../outside/keep", f->fd, "to/file"), 0);
	forge(f, NULL, "file");
	assert_int_equal(unpack(f, NULL, 512, &err), 0);
	expect_file(f, "outside/keep", "keep", 4);
	expect_file(f, "to/file", "evil", 4);
	free(link);
}

static void what_is_cut_leaves_nothing_half(void **state)
{
	struct fixture *f = *state;
	struct err err;
	size_t whole;

	put_file(f, "to/file", "old", 3, 0644);
	forge(f, NULL, "file");
	whole = f->size;
	f->size = TAR_BLOCK + 2;
	assert_int_equal(unpack(f, NULL, 512, &err), -EBADMSG);
	expect_file(f, "to/file", "old", 3);
	/* Nothing but the old file is in the directory. */
	assert_int_equal(unlinkat(f->fd, "to/file", 0), 0);
	assert_int_equal(unlinkat(f->fd, "to", AT_REMOVEDIR), 0);
	assert_int_equal(mkdirat(f->fd, "to", 0755), 0);
	f->size = whole;
	assert_int_equal(unpack(f, NULL, 512, &err), 0);
}

static void a_directory_is_no_file(void **state)
{
	struct fixture *f = *state;
	struct tar_entry *e = calloc(1, sizeof(*e));
	struct err err;

	assert_int_equal(mkdirat(f->fd, "to/name", 0755), 0);
	forge(f, NULL, "name");
	assert_true(unpack(f, NULL, 512, &err) < 0);
	put_file(f, "to/file", "old", 3, 0644);
	e->type = TAR_DIRECTORY;
	strcpy(e->path, "file");
	forge(f, e, "file/x");
	assert_true(unpack(f, NULL, 512, &err) < 0);
	expect_file(f, "to/file", "old", 3);
	free(e);
}

static void too_deep_is_refused(void **state)
{
	struct fixture *f = *state;
	struct tree_report report;
	struct err err;
	int fd = openat(f->fd, "from", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < TREE_DEPTH_MAX + 4; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "d", 0755), 0);
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	close(fd);
	assert_true(pack(f, "from", &report, &err) < 0);
	assert_string_equal(err.reason, "TREE_TOO_DEEP");
}

static void what_is_left_out_is_told(void **state)
{
	struct fixture *f = *state;
	struct tree_report report;
	char name[32];
	struct err err;

	for (int i = 0; i < TREE_LEFT_OUT_NAMED + 5; i++) {
		snprintf(name, sizeof(name), "from/pipe%02d", i);
		assert_int_equal(mkfifoat(f->fd, name, 0600), 0);
	}
	assert_int_equal(pack(f, "from", &report, &err), 0);
	assert_int_equal(report.entries, 1);
	assert_int_equal(report.left_out.count, TREE_LEFT_OUT_NAMED + 5);
	assert_int_equal(tree_left_out_named(&report.left_out), TREE_LEFT_OUT_NAMED);
	for (int i = 0; i < TREE_LEFT_OUT_NAMED; i++)
		assert_memory_equal(report.left_out.first[i].path, "from/pipe", 9);
}

static void what_is_told_is_not_believed(void **state)
{
	struct tree_left_out left_out = {.count = UINT64_MAX};

	(void)state;
	memset(left_out.first, 'x', sizeof(left_out.first));
	memcpy(left_out.first[1].path, "a\n\033b\177", 6);
	tree_left_out_sanitize(&left_out);
	assert_int_equal(tree_left_out_named(&left_out), TREE_LEFT_OUT_NAMED);
	assert_int_equal(strlen(left_out.first[0].path), TREE_LEFT_OUT_PATH - 1);
	assert_string_equal(left_out.first[1].path, "a??b?");
	assert_int_equal(left_out.first[7].kind, LEFT_OUT_UNREADABLE);
	assert_non_null(tree_left_out_text(12345));
}

/* What the kernel makes up says that it is empty, or that it is larger than it is. */
static void files_without_a_size_are_read(void **state)
{
	struct fixture *f = *state;
	const struct tree_sink sink = {.write = keep, .arg = f};
	struct tree_report report;
	char expected[64] = {0};
	struct err err;
	int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, expected, sizeof(expected));

	close(fd);
	assert_true(n > 1);
	f->size = 0;
	if (tree_pack(AT_FDCWD, "/proc/self/comm", false, "comm", &sink, &report, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(report.bytes, n);
	assert_int_equal(unpack(f, NULL, 512, &err), 0);
	expect_file(f, "to/comm", expected, (size_t)n);

	fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, expected, sizeof(expected));
		close(fd);
		f->size = 0;
		assert_int_equal(tree_pack(AT_FDCWD, "/sys/kernel/mm/transparent_hugepage/enabled",
					 false, "thp", &sink, &report, &err),
			0);
		assert_int_equal(unpack(f, NULL, 512, &err), 0);
		expect_file(f, "to/thp", expected, (size_t)n);
	}
	/* Nothing can be read of it, which is an error where it was meant. */
	f->size = 0;
	assert_true(tree_pack(AT_FDCWD, "/proc/self/mem", false, "mem", &sink, &report, &err) < 0);
	assert_string_equal(err.reason, "FILE_UNREADABLE");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_tree_comes_through, make, drop),
		cmocka_unit_test_setup_teardown(
			what_is_named_by_the_receiver_is_no_link, make, drop),
		cmocka_unit_test_setup_teardown(one_file_takes_another_name, make, drop),
		cmocka_unit_test_setup_teardown(names_do_not_lead_out, make, drop),
		cmocka_unit_test_setup_teardown(links_do_not_lead_out, make, drop),
		cmocka_unit_test_setup_teardown(what_is_cut_leaves_nothing_half, make, drop),
		cmocka_unit_test_setup_teardown(a_directory_is_no_file, make, drop),
		cmocka_unit_test_setup_teardown(what_is_left_out_is_told, make, drop),
		cmocka_unit_test(what_is_told_is_not_believed),
		cmocka_unit_test_setup_teardown(files_without_a_size_are_read, make, drop),
		cmocka_unit_test_setup_teardown(too_deep_is_refused, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

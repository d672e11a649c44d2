/* What `image import` sends: files as they are, and tars that are made while they are read. */
#include "tests/unit/unit.h"

#include "base/fd.h"
#include "base/split_image.h"
#include "cli/archive_source.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define BLOCK 512

struct fixture {
	char dir[64];
	int fd;
	char *sent;
	size_t n_sent;
	struct err err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	strcpy(f->dir, "/tmp/croft-test-source-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return f->fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];
	int r;

	close(f->fd);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	r = system(command);
	free(f->sent);
	free(f);
	return r;
}

static const char *path(struct fixture *f, const char *name)
{
	static char paths[2][128];
	static unsigned next;
	char *out = paths[next++ % 2];

	snprintf(out, sizeof(paths[0]), "%s/%s", f->dir, name);
	return out;
}

static void put(struct fixture *f, const char *name, const char *data, size_t size)
{
	assert_int_equal(fd_replace_file_at(f->fd, name, data, size, false), 0);
}

/* Reads it to its end, `size` bytes at a time. Returns 0 or -errno. */
static ssize_t drain(struct fixture *f, struct archive_source *source, size_t size)
{
	ssize_t n;

	f->n_sent = 0;
	do {
		f->sent = realloc(f->sent, f->n_sent + size);
		assert_non_null(f->sent);
		n = archive_source_read(source, f->sent + f->n_sent, size, &f->err);
		assert_true(n <= (ssize_t)size);
		if (n > 0)
			f->n_sent += (size_t)n;
	} while (n > 0);
	return n;
}

/* Unpacks what was sent with the host's tar; returns what that prints of its entries. */
static void list(struct fixture *f, char *out, size_t size)
{
	char command[160];
	FILE *tar;

	put(f, "sent.tar", f->sent, f->n_sent);
	snprintf(command, sizeof(command), "cd %s && mkdir -p x && tar -xvf sent.tar -C x 2>&1",
		f->dir);
	tar = popen(command, "r");
	assert_non_null(tar);
	out[fread(out, 1, size - 1, tar)] = '\0';
	assert_int_equal(pclose(tar), 0);
}

static void files_are_sent_as_they_are(void **state)
{
	struct fixture *f = *state;
	struct archive_source *source;

	put(f, "a", "hello", 5);
	assert_int_equal(archive_source_open(path(f, "a"), &source, &f->err), 0);
	assert_int_equal(archive_source_size(source), 5);
	assert_int_equal(drain(f, source, 2), 0);
	assert_int_equal(f->n_sent, 5);
	assert_memory_equal(f->sent, "hello", 5);
	archive_source_close(source);
	assert_int_equal(archive_source_open(path(f, "none"), &source, &f->err), -ENOENT);
}

static void two_archives_become_one(void **state)
{
	static const size_t sizes[] = {0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5000};
	struct fixture *f = *state;
	char data[5000];
	char text[256];

	memset(data, 'x', sizeof(data));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct archive_source *source;
		struct stat st;

		put(f, "meta", data, sizes[i]);
		put(f, "root", data, sizes[ARRAY_SIZE(sizes) - 1 - i]);
		assert_int_equal(archive_source_open_split(
					 path(f, "meta"), path(f, "root"), &source, &f->err),
			0);
		assert_true(archive_source_poll_fd(source) >= 0);
		assert_int_equal(drain(f, source, BLOCK), 0);
		archive_source_close(source);
		assert_int_equal(f->n_sent % BLOCK, 0);
		list(f, text, sizeof(text));
		assert_string_equal(text, SPLIT_IMAGE_METADATA "\n" SPLIT_IMAGE_ROOTFS "\n");
		assert_int_equal(fstatat(f->fd, "x/" SPLIT_IMAGE_METADATA, &st, 0), 0);
		assert_int_equal(st.st_size, sizes[i]);
	}
}

static void a_layout_is_its_files(void **state)
{
	struct fixture *f = *state;
	struct archive_source *source;
	char text[512];

	assert_int_equal(archive_source_open(f->dir, &source, &f->err), -EINVAL);
	assert_int_equal(mkdirat(f->fd, "blobs", 0755), 0);
	assert_int_equal(mkdirat(f->fd, "blobs/sha256", 0755), 0);
	put(f, "oci-layout", "{}", 2);
	put(f, "index.json", "[]", 2);
	put(f, "unrelated", "x", 1);
	assert_int_equal(mkdirat(f->fd, "blobs/sha256/directory", 0755), 0);
	assert_int_equal(linkat(f->fd, "unrelated", f->fd, "blobs/sha256/00ff", 0), 0);
	assert_int_equal(archive_source_open(f->dir, &source, &f->err), 0);
	assert_int_equal(drain(f, source, 4096), 0);
	archive_source_close(source);
	list(f, text, sizeof(text));
	assert_string_equal(text, "oci-layout\nindex.json\nblobs/sha256/00ff\n");
}

static void a_file_that_shrinks_is_told(void **state)
{
	struct fixture *f = *state;
	struct archive_source *source;

	put(f, "meta", "12345678", 8);
	put(f, "root", "x", 1);
	assert_int_equal(
		archive_source_open_split(path(f, "meta"), path(f, "root"), &source, &f->err), 0);
	put(f, "meta", "1", 1);
	assert_true(drain(f, source, BLOCK) < 0);
	assert_string_equal(f->err.reason, "FILE_CHANGED");
	archive_source_close(source);
}

static void only_files_can_be_two(void **state)
{
	struct fixture *f = *state;
	struct archive_source *source;

	put(f, "meta", "1", 1);
	assert_int_equal(
		archive_source_open_split(path(f, "meta"), f->dir, &source, &f->err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_are_sent_as_they_are, setup, teardown),
		cmocka_unit_test_setup_teardown(two_archives_become_one, setup, teardown),
		cmocka_unit_test_setup_teardown(a_layout_is_its_files, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_shrinks_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(only_files_can_be_two, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

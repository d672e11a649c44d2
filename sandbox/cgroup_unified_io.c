/*
 * Limits of block I/O on cgroup v2: io.max, a line for each disk. The kernel holds a directory with
 * all below it, and knows who wrote what its cache writes out later (btrfs, ext4 and XFS).
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/cgroup_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define IO_FILE "io.max"
/* Of a host with a hundred disks, each with its line. */
#define TEXT_SIZE 8192
#define LINE_SIZE 192

/* "8:16 rbps=2097152 wbps=max riops=max wiops=120" (cgroup-v2.rst, "IO Interface Files"). */
static const struct {
	enum limit_id limit;
	const char *key;
} keys[] = {
	{LIMIT_IO_READ, "rbps="},
	{LIMIT_IO_WRITE, "wbps="},
	{LIMIT_IO_READ_OPS, "riops="},
	{LIMIT_IO_WRITE_OPS, "wiops="},
};

static void take_words(const char *rest, struct limits *ret)
{
	char copy[LINE_SIZE];
	char *save = NULL;

	snprintf(copy, sizeof(copy), "%s", rest);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			if (!strncmp(word, keys[i].key, strlen(keys[i].key)))
				cgroup_parse_value(
					word + strlen(keys[i].key), &ret->value[keys[i].limit]);
}

/* Of the disk's line; left alone without one. */
static void find_limits(char *text, const struct block_device *wanted, struct limits *ret)
{
	struct block_device disk;
	const char *rest;

	while (cgroup_io_next_disk(&text, &disk, &rest))
		if (cgroup_io_same_disk(&disk, wanted))
			take_words(rest, ret);
}

static int open_limits(const struct cgroup_root *root, const char *dir)
{
	return root->has_io_limit ? cgroup_open_file(root, CGROUP_IO, dir, IO_FILE, O_RDWR) : -1;
}

int cgroup_unified_read_io(const struct cgroup_root *root, const char *dir, struct limits *ret)
{
	_cleanup_close_ int fd = open_limits(root, dir);
	char text[TEXT_SIZE];
	ssize_t n;

	/* A tenant's leaf _croft has none, since its parent passes them on to containers alone. */
	if (fd < 0)
		return 0;
	n = fd_pread_text(fd, text, sizeof(text));
	if (n < 0)
		return (int)n;
	find_limits(text, &root->disk, ret);
	return 0;
}

/* All four at once; limits NULL: none. */
static int put(int fd, const struct block_device *disk, const struct limits *limits)
{
	char text[LINE_SIZE];
	int len = snprintf(text, sizeof(text), "%" PRIu32 ":%" PRIu32, disk->major, disk->minor);

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		uint64_t value = limits ? limits->value[keys[i].limit] : LIMIT_UNSET;
		size_t room = sizeof(text) - (size_t)len;

		len += value == LIMIT_UNSET
			       ? snprintf(text + len, room, " %smax", keys[i].key)
			       : snprintf(text + len, room, " %s%" PRIu64, keys[i].key, value);
	}
	return pwrite(fd, text, (size_t)len, 0) == len ? 0 : -errno;
}

/* One that is gone meanwhile has taken its line with it. */
static void reset_others(int fd, char *text, const struct block_device *keep)
{
	struct block_device disk;
	const char *rest;

	while (cgroup_io_next_disk(&text, &disk, &rest))
		if (!cgroup_io_same_disk(&disk, keep))
			put(fd, &disk, NULL);
}

/* Which of them the kernel does not hold as wanted; LIMIT_N: it holds all. */
static enum limit_id find_other(const struct limits *want, const struct limits *held)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (want->value[keys[i].limit] != held->value[keys[i].limit])
			return keys[i].limit;
	return LIMIT_N;
}

static int read_back(
	const struct cgroup_root *root, int fd, const struct limits *want, struct err *err)
{
	enum limit_id other;
	struct limits held;
	char text[TEXT_SIZE];
	ssize_t n = fd_pread_text(fd, text, sizeof(text));

	if (n < 0)
		return err_sys(err, (int)n, "read " IO_FILE);
	limits_init(&held);
	find_limits(text, &root->disk, &held);
	other = find_other(want, &held);
	return other == LIMIT_N ? 0 : cgroup_not_applied(other, text, err);
}

int cgroup_unified_write_io(
	const struct cgroup_root *root, const char *dir, const struct limits *want, struct err *err)
{
	_cleanup_close_ int fd = open_limits(root, dir);
	struct limits none;
	char text[TEXT_SIZE];
	ssize_t n;
	int r;

	limits_init(&none);
	if (fd < 0)
		return find_other(want, &none) == LIMIT_N ? 0 : err_sys(err, fd, "open " IO_FILE);
	n = fd_pread_text(fd, text, sizeof(text));
	if (n < 0)
		return err_sys(err, (int)n, "read " IO_FILE);
	if (!text[0] && find_other(want, &none) == LIMIT_N)
		return 0;
	reset_others(fd, text, &root->disk);
	if (root->disk.unknown)
		return 0;
	r = put(fd, &root->disk, want);
	return r < 0 ? err_sys(err, r, "write " IO_FILE) : read_back(root, fd, want, err);
}

/*
 * Limits of block I/O on cgroup v1. The kernel holds each cgroup for itself: not what is below a
 * directory, so that a container's limit sits in its payload, which nobody inside can write to, and
 * a tenant has none. It knows nothing of who wrote what the cache writes out later, so that there
 * is none of writing.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/cgroup_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Of a host with hundreds of disks, each with its line. */
#define TEXT_SIZE 8192

static const struct {
	enum limit_id limit;
	const char *file;
} files[] = {
	{LIMIT_IO_READ, "blkio.throttle.read_bps_device"},
	{LIMIT_IO_READ_OPS, "blkio.throttle.read_iops_device"},
};

const char *cgroup_hybrid_refuse_io(const char *dir, enum limit_id limit)
{
	if (limit == LIMIT_IO_WRITE || limit == LIMIT_IO_WRITE_OPS)
		return "on cgroup v1, which this host uses, the kernel does not know whose writes "
		       "it is that leave its cache; limit reading alone, or boot the host with "
		       "cgroup v2";
	if (!strchr(dir, '/'))
		return "on cgroup v1, which this host uses, the kernel does not add up what a "
		       "tenant's containers read; limit each container, or boot the host with "
		       "cgroup v2";
	return NULL;
}

/* Of the disk's line; LIMIT_UNSET without one. */
static uint64_t find_limit(char *text, const struct block_device *wanted)
{
	uint64_t value = LIMIT_UNSET;
	struct block_device disk;
	const char *rest;

	while (cgroup_io_next_disk(&text, &disk, &rest))
		if (cgroup_io_same_disk(&disk, wanted))
			cgroup_parse_value(rest, &value);
	return value;
}

/* Opens a limit's file, if dir is that of a container and the kernel has such. -1: it has none. */
static int open_limit(const struct cgroup_root *root, const char *dir, const char *file)
{
	char payload[CGROUP_DIR_SIZE];

	if (!root->has_io_limit || !strchr(dir, '/'))
		return -1;
	cgroup_payload_of(dir, payload);
	return cgroup_open_file(root, CGROUP_IO, payload, file, O_RDWR);
}

int cgroup_hybrid_read_io(const struct cgroup_root *root, const char *dir, struct limits *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_close_ int fd = open_limit(root, dir, files[i].file);
		char text[TEXT_SIZE];
		ssize_t n;

		if (fd < 0)
			continue;
		n = fd_pread_text(fd, text, sizeof(text));
		if (n < 0)
			return (int)n;
		ret->value[files[i].limit] = find_limit(text, &root->disk);
	}
	return 0;
}

static int put(int fd, const struct block_device *disk, uint64_t value)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "%" PRIu32 ":%" PRIu32 " %" PRIu64, disk->major,
		disk->minor, value == LIMIT_UNSET ? 0 : value);

	return pwrite(fd, text, (size_t)len, 0) == len ? 0 : -errno;
}

/* One that is gone meanwhile has taken its line with it. */
static void reset_others(int fd, char *text, const struct block_device *keep)
{
	struct block_device disk;
	const char *rest;

	while (cgroup_io_next_disk(&text, &disk, &rest))
		if (!cgroup_io_same_disk(&disk, keep))
			put(fd, &disk, LIMIT_UNSET);
}

static int write_one(const struct cgroup_root *root, int fd, enum limit_id limit, uint64_t value,
	struct err *err)
{
	char text[TEXT_SIZE];
	ssize_t n = fd_pread_text(fd, text, sizeof(text));
	int r;

	if (n < 0)
		return err_sys(err, (int)n, "read the limit %s", limit_rule(limit)->name);
	if (!text[0] && value == LIMIT_UNSET)
		return 0;
	reset_others(fd, text, &root->disk);
	if (root->disk.unknown)
		return 0;
	r = put(fd, &root->disk, value);
	if (r < 0)
		return err_sys(err, r, "write the limit %s", limit_rule(limit)->name);
	n = fd_pread_text(fd, text, sizeof(text));
	if (n < 0)
		return err_sys(err, (int)n, "read the limit %s", limit_rule(limit)->name);
	return find_limit(text, &root->disk) == value ? 0 : cgroup_not_applied(limit, text, err);
}

int cgroup_hybrid_write_io(
	const struct cgroup_root *root, const char *dir, const struct limits *want, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_close_ int fd = open_limit(root, dir, files[i].file);
		uint64_t value = want->value[files[i].limit];
		int r = 0;

		if (fd >= 0)
			r = write_one(root, fd, files[i].limit, value, err);
		else if (value != LIMIT_UNSET)
			r = err_sys(err, fd, "open %s", files[i].file);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Since Linux 6.10 the throttle's files, which are all that counts I/O here, know a disk only once
 * somebody has written a limit of it (block/blk-throttle.c, tg_set_conf()): also one that is none.
 */
int cgroup_hybrid_count_io(
	const struct cgroup_root *root, const struct block_device *disk, struct err *err)
{
	_cleanup_close_ int fd = cgroup_open_file(root, CGROUP_IO, "", files[0].file, O_WRONLY);
	int r = fd < 0 ? fd : put(fd, disk, LIMIT_UNSET);

	return r < 0 ? err_sys(err, r, "write %s", files[0].file) : 0;
}

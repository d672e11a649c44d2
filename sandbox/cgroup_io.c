/*
 * Limits of block I/O, so far as both drivers are alike: their control files have a line for each
 * disk, and the disk is the one that the pool is on. Must never let a limit pass that the kernel
 * would take and not hold.
 */
#include "sandbox/cgroup_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void cgroup_limit_io_of(struct cgroup_root *root, const struct block_device *disk)
{
	root->disk = *disk;
}

int cgroup_count_io_of(
	const struct cgroup_root *root, const struct block_device *disk, struct err *err)
{
	if (!root->has_io_limit || disk->unknown || !root->ops->count_io)
		return 0;
	return root->ops->count_io(root, disk, err);
}

struct io_disk cgroup_io_disk(const struct cgroup_root *root)
{
	if (root->disk.unknown)
		return (struct io_disk){0};
	return (struct io_disk){root->disk.major, root->disk.minor};
}

enum io_limits cgroup_io_limits(const struct cgroup_root *root)
{
	if (!root->has_io_limit || root->disk.unknown)
		return IO_LIMITS_NONE;
	return root->ops->refuse_io ? IO_LIMITS_READING : IO_LIMITS_ALL;
}

bool cgroup_io_same_disk(const struct block_device *a, const struct block_device *b)
{
	return !a->unknown && !b->unknown && a->major == b->major && a->minor == b->minor;
}

bool cgroup_io_next_disk(char **at, struct block_device *ret_disk, const char **ret_rest)
{
	const char *line;

	while ((line = strsep(at, "\n"))) {
		int rest = 0;

		*ret_disk = (struct block_device){0};
		if (sscanf(line, "%" SCNu32 ":%" SCNu32 " %n", &ret_disk->major, &ret_disk->minor,
			    &rest) == 2 &&
			rest) {
			*ret_rest = line + rest;
			return true;
		}
	}
	return false;
}

static int unsupported(enum limit_id limit, const char *why, struct err *err)
{
	const char *name = limit_rule(limit)->name;

	return err_set_subject(err, ERR_UNIMPLEMENTED, "LIMIT_UNSUPPORTED", name,
		"%s cannot be limited here: %s", name, why);
}

int cgroup_io_check(
	const struct cgroup_root *root, const char *dir, const struct limits *want, struct err *err)
{
	for (int i = 0; i < LIMIT_N; i++) {
		enum limit_id limit = (enum limit_id)i;
		const char *why = NULL;

		if (!limit_is_io(limit) || want->value[i] == LIMIT_UNSET)
			continue;
		if (root->ops->refuse_io)
			why = root->ops->refuse_io(dir, limit);
		if (!why && !root->has_io_limit)
			why = "this host's kernel has no such limits (the cgroup controller of "
			      "I/O, with CONFIG_BLK_DEV_THROTTLING)";
		if (!why)
			why = root->disk.unknown;
		if (why)
			return unsupported(limit, why, err);
	}
	return 0;
}

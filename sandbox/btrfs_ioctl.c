/*
 * btrfs ioctls; see btrfs_ioctl.h. Written against the kernel's headers and not libbtrfsutil, which
 * knows no simple quotas. Must never walk a tenant's files: it handles trees by their names only.
 */
#include "sandbox/btrfs_ioctl.h"

#include "base/cleanup.h"

#include <endian.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* Since Linux 6.7, newer than Debian 12's headers: include/uapi/linux/btrfs.h. */
#define QUOTA_CTL_ENABLE_SIMPLE 4

/* The same: a flag of struct btrfs_qgroup_status_item (linux/btrfs_tree.h). */
#define QGROUP_STATUS_SIMPLE (1ull << 3)

#define GROUP_NUMBER_MASK ((1ull << BTRFS_IOCTL_GROUP_LEVEL) - 1)
#define SWEEP_BATCH	  64

static int call(int fd, unsigned long request, void *arg)
{
	int r;

	do
		r = ioctl(fd, request, arg);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

bool btrfs_is_subvolume(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && st.st_ino == BTRFS_FIRST_FREE_OBJECTID;
}

int btrfs_subvolume_id(int fd, uint64_t *ret)
{
	struct btrfs_ioctl_ino_lookup_args args = {.objectid = BTRFS_FIRST_FREE_OBJECTID};
	int r = call(fd, BTRFS_IOC_INO_LOOKUP, &args);

	if (r < 0)
		return r;
	*ret = args.treeid;
	return 0;
}

/* Room for a list of one group; the kernel reads it as struct btrfs_qgroup_inherit. */
struct inherit_one {
	_Alignas(struct btrfs_qgroup_inherit) char bytes[sizeof(struct btrfs_qgroup_inherit) +
							 sizeof(uint64_t)];
};

/* Names what is to be made, and the group it is a member of from birth (0: none). */
static int fill_volume(const char *name, uint64_t group, struct inherit_one *room,
	struct btrfs_ioctl_vol_args_v2 *ret)
{
	struct btrfs_qgroup_inherit *inherit = (struct btrfs_qgroup_inherit *)room->bytes;

	memset(ret, 0, sizeof(*ret));
	memset(room, 0, sizeof(*room));
	if (strlen(name) >= sizeof(ret->name))
		return -ENAMETOOLONG;
	memcpy(ret->name, name, strlen(name) + 1);
	if (!group)
		return 0;
	inherit->num_qgroups = 1;
	inherit->qgroups[0] = group;
	ret->flags = BTRFS_SUBVOL_QGROUP_INHERIT;
	ret->size = sizeof(room->bytes);
	ret->qgroup_inherit = inherit;
	return 0;
}

int btrfs_subvolume_create(int parent_fd, const char *name, uint64_t group)
{
	struct btrfs_ioctl_vol_args_v2 args;
	struct inherit_one room;
	int r = fill_volume(name, group, &room, &args);

	return r < 0 ? r : call(parent_fd, BTRFS_IOC_SUBVOL_CREATE_V2, &args);
}

int btrfs_subvolume_snapshot(
	int parent_fd, const char *name, int source_fd, uint64_t group, bool readonly)
{
	struct btrfs_ioctl_vol_args_v2 args;
	struct inherit_one room;
	int r = fill_volume(name, group, &room, &args);

	if (r < 0)
		return r;
	args.fd = source_fd;
	if (readonly)
		args.flags |= BTRFS_SUBVOL_RDONLY;
	return call(parent_fd, BTRFS_IOC_SNAP_CREATE_V2, &args);
}

int btrfs_subvolume_destroy(int parent_fd, const char *name)
{
	struct btrfs_ioctl_vol_args_v2 args = {0};

	if (strlen(name) >= sizeof(args.name))
		return -ENAMETOOLONG;
	memcpy(args.name, name, strlen(name) + 1);
	return call(parent_fd, BTRFS_IOC_SNAP_DESTROY_V2, &args);
}

int btrfs_subvolume_set_readonly(int fd)
{
	uint64_t flags;
	int r = call(fd, BTRFS_IOC_SUBVOL_GETFLAGS, &flags);

	if (r < 0)
		return r;
	flags |= BTRFS_SUBVOL_RDONLY;
	return call(fd, BTRFS_IOC_SUBVOL_SETFLAGS, &flags);
}

bool btrfs_subvolume_is_readonly(int fd)
{
	uint64_t flags;

	return call(fd, BTRFS_IOC_SUBVOL_GETFLAGS, &flags) == 0 && flags & BTRFS_SUBVOL_RDONLY;
}

int btrfs_quota_enable(int fd)
{
	struct btrfs_ioctl_quota_ctl_args args = {.cmd = QUOTA_CTL_ENABLE_SIMPLE};
	int r = call(fd, BTRFS_IOC_QUOTA_CTL, &args);

	if (r != -EINVAL && r != -EOPNOTSUPP)
		return r;
	args = (struct btrfs_ioctl_quota_ctl_args){.cmd = BTRFS_QUOTA_CTL_ENABLE};
	r = call(fd, BTRFS_IOC_QUOTA_CTL, &args);
	if (r < 0)
		return r;
	/* Enabling starts a scan of what is there; limits hold once it is over. */
	return call(fd, BTRFS_IOC_QUOTA_RESCAN_WAIT, NULL);
}

int btrfs_group_create(int fd, uint64_t group)
{
	struct btrfs_ioctl_qgroup_create_args args = {.create = 1, .qgroupid = group};
	int r = call(fd, BTRFS_IOC_QGROUP_CREATE, &args);

	return r == -EEXIST ? 0 : r;
}

int btrfs_group_remove(int fd, uint64_t group)
{
	struct btrfs_ioctl_qgroup_create_args args = {.create = 0, .qgroupid = group};
	int r = call(fd, BTRFS_IOC_QGROUP_CREATE, &args);

	return r == -ENOENT ? 0 : r;
}

int btrfs_group_limit(int fd, uint64_t group, uint64_t bytes)
{
	struct btrfs_ioctl_qgroup_limit_args args = {
		.qgroupid = group,
		/* All ones clears the value (qgroup.c, CLEAR_VALUE). */
		.lim = {.flags = BTRFS_QGROUP_LIMIT_MAX_RFER, .max_rfer = bytes},
	};

	return call(fd, BTRFS_IOC_QGROUP_LIMIT, &args);
}

/* Called for each found item; a positive return ends the search. */
typedef int (*item_fn)(const struct btrfs_ioctl_search_header *header, const char *item, void *arg);

static int search(int fd, const struct btrfs_ioctl_search_key *key, item_fn fn, void *arg)
{
	struct btrfs_ioctl_search_args args = {.key = *key};

	for (;;) {
		struct btrfs_ioctl_search_header header = {0};
		size_t at = 0;
		int r;

		args.key.nr_items = UINT32_MAX;
		r = call(fd, BTRFS_IOC_TREE_SEARCH, &args);
		if (r < 0 || args.key.nr_items == 0)
			return r;
		for (uint32_t i = 0; i < args.key.nr_items; i++) {
			if (at + sizeof(header) > sizeof(args.buf))
				return -EBADMSG;
			memcpy(&header, args.buf + at, sizeof(header));
			at += sizeof(header);
			if (header.len > sizeof(args.buf) - at)
				return -EBADMSG;
			r = fn(&header, args.buf + at, arg);
			if (r)
				return r < 0 ? r : 0;
			at += header.len;
		}
		/* The next key in the order (objectid, type, offset). */
		args.key.min_objectid = header.objectid;
		args.key.min_type = header.type;
		args.key.min_offset = header.offset + 1;
		if (args.key.min_offset == 0)
			return 0;
	}
}

struct usage {
	uint64_t bytes;
	bool found;
};

static int read_usage(const struct btrfs_ioctl_search_header *header, const char *item, void *arg)
{
	struct usage *usage = arg;
	struct btrfs_qgroup_info_item info;

	if (header->type != BTRFS_QGROUP_INFO_KEY || header->len < sizeof(info))
		return 0;
	memcpy(&info, item, sizeof(info));
	usage->bytes = le64toh(info.rfer);
	usage->found = true;
	return 1;
}

int btrfs_group_usage(int fd, uint64_t group, uint64_t *ret_bytes)
{
	const struct btrfs_ioctl_search_key key = {
		.tree_id = BTRFS_QUOTA_TREE_OBJECTID,
		.min_type = BTRFS_QGROUP_INFO_KEY,
		.max_type = BTRFS_QGROUP_INFO_KEY,
		.min_offset = group,
		.max_offset = group,
		.max_transid = UINT64_MAX,
	};
	struct usage usage = {0};
	int r = search(fd, &key, read_usage, &usage);

	if (r < 0)
		return r;
	if (!usage.found)
		return -ENOENT;
	*ret_bytes = usage.bytes;
	return 0;
}

static int read_limit(const struct btrfs_ioctl_search_header *header, const char *item, void *arg)
{
	struct usage *limit = arg;
	struct btrfs_qgroup_limit_item info;

	if (header->type != BTRFS_QGROUP_LIMIT_KEY || header->len < sizeof(info))
		return 0;
	memcpy(&info, item, sizeof(info));
	limit->found = true;
	if (le64toh(info.flags) & BTRFS_QGROUP_LIMIT_MAX_RFER)
		limit->bytes = le64toh(info.max_rfer);
	return 1;
}

int btrfs_group_limit_of(int fd, uint64_t group, uint64_t *ret_bytes)
{
	const struct btrfs_ioctl_search_key key = {
		.tree_id = BTRFS_QUOTA_TREE_OBJECTID,
		.min_type = BTRFS_QGROUP_LIMIT_KEY,
		.max_type = BTRFS_QGROUP_LIMIT_KEY,
		.min_offset = group,
		.max_offset = group,
		.max_transid = UINT64_MAX,
	};
	struct usage limit = {.bytes = UINT64_MAX};
	int r = search(fd, &key, read_limit, &limit);

	if (r < 0)
		return r;
	if (!limit.found)
		return -ENOENT;
	*ret_bytes = limit.bytes;
	return 0;
}

static int read_status(const struct btrfs_ioctl_search_header *header, const char *item, void *arg)
{
	struct btrfs_qgroup_status_item status = {0};

	/* It has grown since Linux 6.7; what is read has not moved. */
	if (header->type != BTRFS_QGROUP_STATUS_KEY || header->len > sizeof(status) * 2)
		return 0;
	memcpy(&status, item, header->len < sizeof(status) ? header->len : sizeof(status));
	*(uint64_t *)arg = le64toh(status.flags);
	return 1;
}

static int quota_flags(int fd, uint64_t *ret)
{
	const struct btrfs_ioctl_search_key key = {
		.tree_id = BTRFS_QUOTA_TREE_OBJECTID,
		.min_type = BTRFS_QGROUP_STATUS_KEY,
		.max_type = BTRFS_QGROUP_STATUS_KEY,
		.max_offset = UINT64_MAX,
		.max_transid = UINT64_MAX,
	};

	*ret = 0;
	return search(fd, &key, read_status, ret);
}

int btrfs_quota_is_simple(int fd, bool *ret)
{
	uint64_t flags;
	int r = quota_flags(fd, &flags);

	if (r == 0)
		*ret = flags & QGROUP_STATUS_SIMPLE;
	return r;
}

int btrfs_quota_settle(int fd)
{
	struct btrfs_ioctl_quota_rescan_args args = {0};
	uint64_t flags;
	int r = quota_flags(fd, &flags);

	if (r < 0 || flags & QGROUP_STATUS_SIMPLE)
		return r;
	/* The flag is on disk with the next commit. */
	r = btrfs_sync(fd);
	if (r == 0)
		r = quota_flags(fd, &flags);
	if (r < 0 || !(flags & BTRFS_QGROUP_STATUS_FLAG_INCONSISTENT))
		return r;
	r = call(fd, BTRFS_IOC_QUOTA_RESCAN, &args);
	return r < 0 && r != -EINPROGRESS ? r : call(fd, BTRFS_IOC_QUOTA_RESCAN_WAIT, NULL);
}

static int set_true(const struct btrfs_ioctl_search_header *header, const char *item, void *arg)
{
	(void)header;
	(void)item;
	*(bool *)arg = true;
	return 1;
}

static int subvolume_exists(int fd, uint64_t id, bool *ret)
{
	const struct btrfs_ioctl_search_key key = {
		.tree_id = BTRFS_ROOT_TREE_OBJECTID,
		.min_objectid = id,
		.max_objectid = id,
		.min_type = BTRFS_ROOT_ITEM_KEY,
		.max_type = BTRFS_ROOT_ITEM_KEY,
		.max_offset = UINT64_MAX,
		.max_transid = UINT64_MAX,
	};

	*ret = false;
	return search(fd, &key, set_true, ret);
}

struct batch {
	uint64_t groups[SWEEP_BATCH];
	size_t n;
};

static int collect(const struct btrfs_ioctl_search_header *header, const char *item, void *arg)
{
	struct batch *batch = arg;

	(void)item;
	if (header->type != BTRFS_QGROUP_INFO_KEY ||
		(header->offset & GROUP_NUMBER_MASK) < BTRFS_FIRST_FREE_OBJECTID)
		return 0;
	batch->groups[batch->n++] = header->offset;
	return batch->n == SWEEP_BATCH;
}

int btrfs_group_sweep(int fd)
{
	struct btrfs_ioctl_search_key key = {
		.tree_id = BTRFS_QUOTA_TREE_OBJECTID,
		.min_type = BTRFS_QGROUP_INFO_KEY,
		.max_type = BTRFS_QGROUP_INFO_KEY,
		.min_offset = BTRFS_FIRST_FREE_OBJECTID,
		.max_offset = btrfs_group(1, GROUP_NUMBER_MASK),
		.max_transid = UINT64_MAX,
	};
	struct batch batch;

	do {
		int r;

		batch.n = 0;
		r = search(fd, &key, collect, &batch);
		if (r < 0)
			return r;
		for (size_t i = 0; i < batch.n; i++) {
			bool exists;

			r = subvolume_exists(fd, batch.groups[i] & GROUP_NUMBER_MASK, &exists);
			if (r < 0)
				return r;
			/* EBUSY: the kernel still counts something on it; a later sweep gets it. */
			if (!exists)
				btrfs_group_remove(fd, batch.groups[i]);
		}
		if (batch.n)
			key.min_offset = batch.groups[batch.n - 1] + 1;
	} while (batch.n == SWEEP_BATCH);
	return 0;
}

int btrfs_sync(int fd)
{
	return call(fd, BTRFS_IOC_SYNC, NULL);
}

int btrfs_sync_later(int fd)
{
	uint64_t transaction;

	return call(fd, BTRFS_IOC_START_SYNC, &transaction);
}

int btrfs_fsid(int fd, uint8_t ret[static BTRFS_IOCTL_FSID_SIZE])
{
	struct btrfs_ioctl_fs_info_args args = {0};
	int r = call(fd, BTRFS_IOC_FS_INFO, &args);

	if (r < 0)
		return r;
	memcpy(ret, args.fsid, BTRFS_IOCTL_FSID_SIZE);
	return 0;
}

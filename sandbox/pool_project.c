/*
 * The pool driver `project`: directories of an XFS or ext4 that the operator mounted with project
 * quotas. How a tenant's limit is held over its directories is project_group.c's. Must never make
 * anything of a tenant's outside a project, nor copy for one with the right to exceed its limit.
 */
#include "base/cleanup.h"
#include "base/limits.h"
#include "sandbox/pool_dir.h"
#include "sandbox/project_group.h"
#include "sandbox/tree_copy.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
/* On the pool's root: the number that the state directory's mark holds, as text. */
#define MARK_XATTR "trusted.croft.pool"
#define MARK_SIZE  17

/* What a copy takes beside what it is a copy of: metadata, and its helper for links. */
#define COPY_SLACK_BYTES  (4ull << 20)
#define COPY_SLACK_INODES 64
/* What must be left where something is made: its directories, and what its first start adds. */
#define START_BYTES  (64ull << 10)
#define START_INODES 16

static bool works(const struct pool_config *config)
{
	_cleanup_close_ int fd = openat(config->state_fd, POOL_DIR, OPEN_DIR);

	return project_quota_enforced(fd >= 0 ? fd : config->state_fd);
}

/* --- attaching --- */

static int read_mark(const struct pool_config *config, char ret[static MARK_SIZE])
{
	ssize_t n = fd_read_text_at(config->state_fd, POOL_PROJECT_MARK, ret, MARK_SIZE);

	return n < 0 ? (int)n : 0;
}

static int make_mark(const struct pool_config *config, int root_fd, struct err *err)
{
	_cleanup_close_ int fd = -1;
	char text[MARK_SIZE];
	uint64_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return err_sys(err, errno, "take a number for the pool");
	snprintf(text, sizeof(text), "%016" PRIx64, number);
	if (fsetxattr(root_fd, MARK_XATTR, text, MARK_SIZE, 0) < 0 || fsync(root_fd) < 0)
		return err_sys(err, errno, "mark the pool");
	fd = openat(config->state_fd, POOL_PROJECT_MARK ".new",
		O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || fd_write_full(fd, text, strlen(text)) < 0 || fsync(fd) < 0 ||
		renameat(config->state_fd, POOL_PROJECT_MARK ".new", config->state_fd,
			POOL_PROJECT_MARK) < 0 ||
		fsync(config->state_fd) < 0)
		return err_sys(err, errno, "write which pool is in use");
	return 0;
}

/* A file system that was not mounted is no empty pool, and another one not this. */
static int check_identity(const struct pool_config *config, int root_fd, struct err *err)
{
	char expected[MARK_SIZE];
	char found[MARK_SIZE];
	int r = read_mark(config, expected);

	if (r == -ENOENT)
		return make_mark(config, root_fd, err);
	if (r < 0)
		return err_sys(err, r, "read which pool is in use");
	if (fgetxattr(root_fd, MARK_XATTR, found, sizeof(found)) == MARK_SIZE &&
		!strncmp(found, expected, MARK_SIZE))
		return 0;
	return err_set(err, ERR_FAILED_PRECONDITION, "POOL_MISMATCH",
		"another file system than the pool's is in its place; mount the pool there, and "
		"start again");
}

/* Where the operator's own mount is the pool: in our mount namespace alone. */
static int close_mount(int root_fd, struct err *err)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOATIME,
		.attr_clr = MOUNT_ATTR__ATIME,
	};
	struct statvfs st;

	if (fstatvfs(root_fd, &st) < 0)
		return err_sys(err, errno, "look at the pool's mount");
	if ((st.f_flag & ST_NOSUID) && (st.f_flag & ST_NODEV))
		return 0;
	if (mount_setattr(root_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return err_sys(err, errno, "set the pool's mount flags");
	return 0;
}

/* What a crash left between two limits. */
static int settle_tenant(int root_fd, int tenants_fd, const char *name, struct err *err)
{
	_cleanup_(project_group_close) struct project_group group = PROJECT_GROUP_INIT;
	_cleanup_close_ int fd = openat(tenants_fd, name, OPEN_DIR);
	int r;

	/* One without a note was not made yet. */
	if (fd < 0 || !project_group_id(fd))
		return 0;
	r = project_group_open(root_fd, fd, &group, err);
	return r < 0 ? r : project_group_settle(&group, err);
}

static int settle_all(int root_fd, struct err *err)
{
	int tenants_fd = openat(root_fd, POOL_TENANTS_DIR, OPEN_DIR);
	_cleanup_closedir_ DIR *dir = tenants_fd >= 0 ? fdopendir(tenants_fd) : NULL;
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : err_sys(err, errno, "list the pool's tenants");
	while (r == 0 && (entry = readdir(dir)))
		if (name_is_valid(entry->d_name))
			r = settle_tenant(root_fd, tenants_fd, entry->d_name, err);
	return r;
}

static int prepare(const struct pool_config *config, int root_fd, struct err *err)
{
	uint32_t id;
	int r;

	if (!project_quota_enforced(root_fd))
		return err_set(err, ERR_FAILED_PRECONDITION, "POOL_NO_QUOTA",
			"the pool driver \"project\" needs an XFS or ext4 that is mounted with "
			"prjquota (an ext4 with its features quota and project); mount it so, or "
			"use another driver");
	r = check_identity(config, root_fd, err);
	if (r == 0)
		r = close_mount(root_fd, err);
	if (r < 0)
		return r;
	/* What has another project cannot be renamed into a directory that hands its own down. */
	r = project_of(root_fd, &id);
	if (r == 0)
		r = project_set(root_fd, id, false);
	if (r < 0)
		return err_sys(err, r, "look at the pool's own project");
	return settle_all(root_fd, err);
}

static int release(const struct pool_config *config, struct err *err)
{
	(void)config;
	(void)err;
	return 0;
}

/* --- making --- */

struct filling {
	const struct pool_entry *entry;
	const struct pool_new *new;
	int from_fd;		   /* -1: stays empty */
	struct disk_limits before; /* of the project it shares with what it replaces */
	uint32_t shared_with;	   /* that project; 0: none */
};

/*
 * It takes its predecessor's project, so that its share is set aside once. Until the other is gone
 * both must have room in it: nobody writes to either.
 */
static int share_project(
	struct project_group *group, struct filling *f, uint32_t id, struct err *err)
{
	struct disk_limits raised = project_complete(&f->new->quota);
	struct tree_report size;
	struct project_quota q;
	int r;

	if (f->from_fd < 0)
		return 0;
	r = tree_measure(f->from_fd, &size, err);
	if (r < 0)
		return r;
	r = project_quota_get(group->fd, id, &q);
	if (r < 0)
		return err_sys(err, r, "read a disk limit");
	f->before = (struct disk_limits){q.limit_bytes, q.limit_inodes};
	/* Not from the present limit: a restore that was cut off has raised that. */
	size.bytes += q.used_bytes + size.bytes / 16 + COPY_SLACK_BYTES;
	size.entries += q.used_inodes + COPY_SLACK_INODES;
	if (raised.bytes < size.bytes)
		raised.bytes = size.bytes;
	if (raised.inodes < size.entries)
		raised.inodes = size.entries;
	r = project_group_set(group, id, &raised, err);
	if (r == 0)
		f->shared_with = id;
	return r;
}

static int choose_project(
	struct project_group *group, struct filling *f, uint32_t *ret, struct err *err)
{
	const struct pool_new *new = f->new;
	uint32_t id = group->id;
	int r = 0;

	if (project_is_own(&new->quota) && new->instead_fd >= 0)
		r = project_of(new->instead_fd, &id);
	if (r < 0)
		return err_sys(err, r, "look at a directory's project");
	if (project_is_own(&new->quota) && project_group_has(group, id)) {
		r = share_project(group, f, id, err);
	} else if (project_is_own(&new->quota)) {
		r = project_take_id(group->root_fd, &id, err);
		if (r == 0)
			r = project_group_set(group, id, &new->quota, err);
	}
	if (r == 0)
		*ret = id;
	return r;
}

/* Said by us: ext4 would let us make directories where the tenant has no room for one file. */
static int check_room(int root_fd, uint32_t id, struct err *err)
{
	struct project_quota q;
	int r = project_quota_get(root_fd, id, &q);

	if (r < 0)
		return err_sys(err, r, "read a disk limit");
	if (q.used_bytes + START_BYTES > q.limit_bytes ||
		q.used_inodes + START_INODES > q.limit_inodes)
		r = -EDQUOT;
	return r < 0 ? pool_write_failed(root_fd, r, "make a directory", err) : 0;
}

/* The new directory is in its project before the tenant is unlocked: then it is counted. */
static int enter_project(int fd, struct filling *f, struct err *err)
{
	_cleanup_(project_group_close) struct project_group group = PROJECT_GROUP_INIT;
	uint32_t id = 0;
	int r;

	if (f->entry->group_fd < 0)
		return 0;
	r = project_group_open(f->entry->root_fd, f->entry->group_fd, &group, err);
	if (r == 0)
		r = choose_project(&group, f, &id, err);
	if (r == 0 && f->from_fd < 0)
		r = check_room(f->entry->root_fd, id, err);
	if (r < 0)
		return r;
	r = project_set(fd, id, true);
	return r < 0 ? pool_write_failed(f->entry->root_fd, r, "give a directory its quota", err)
		     : 0;
}

/* ext4 lets those who have it exceed any limit. */
static int set_exceeds_limits(bool on, struct err *err)
{
	const cap_value_t value = CAP_SYS_RESOURCE;
	cap_t caps = cap_get_proc();
	int r = 0;

	if (!caps)
		return err_sys(err, errno, "look at capabilities");
	if (cap_set_flag(caps, CAP_EFFECTIVE, 1, &value, on ? CAP_SET : CAP_CLEAR) < 0 ||
		cap_set_proc(caps) < 0)
		r = err_sys(err, errno, "set capabilities");
	cap_free(caps);
	return r;
}

static bool may_exceed_limits(void)
{
	cap_flag_value_t value = CAP_CLEAR;
	cap_t caps = cap_get_proc();

	if (caps)
		cap_get_flag(caps, CAP_SYS_RESOURCE, CAP_EFFECTIVE, &value);
	cap_free(caps);
	return value == CAP_SET;
}

static int copy_within_limits(int root_fd, int from_fd, int to_fd, struct err *err)
{
	static const struct tree_copy_options as_it_is;
	bool exceeds = may_exceed_limits();
	int r = exceeds ? set_exceeds_limits(false, err) : 0;

	if (r < 0)
		return r;
	r = tree_copy(from_fd, to_fd, &as_it_is, NULL, err);
	if (exceeds && set_exceeds_limits(true, r < 0 ? NULL : err) < 0)
		return -EPERM;
	if (r == -EDQUOT || r == -ENOSPC)
		return pool_write_failed(root_fd, r, "copy", err);
	return r;
}

static int fill(int fd, void *arg, struct err *err)
{
	struct filling *f = arg;
	int r = enter_project(fd, f, err);

	if (r == 0 && f->from_fd >= 0) {
		r = pool_reading_begin(f->entry, err);
		if (r == 0)
			r = copy_within_limits(f->entry->root_fd, f->from_fd, fd, err);
		pool_reading_end(f->entry);
	}
	if (r < 0)
		return r;
	return syncfs(fd) < 0 ? err_sys(err, errno, "write a directory to the disk") : 0;
}

/* What was set aside for a directory that did not come to be. */
static void take_back(const struct filling *f)
{
	_cleanup_(project_group_close) struct project_group group = PROJECT_GROUP_INIT;
	const struct pool_entry *entry = f->entry;

	if (entry->group_fd < 0 ||
		project_group_open(entry->root_fd, entry->group_fd, &group, NULL) < 0)
		return;
	if (f->shared_with)
		project_group_set(&group, f->shared_with, &f->before, NULL);
	project_group_settle(&group, NULL);
}

static int make_filled(struct filling *f, struct err *err)
{
	int r = pool_dir_make(f->entry->parent_fd, f->entry->name, fill, f, err);

	if (r < 0)
		take_back(f);
	return r;
}

static int make(const struct pool_entry *entry, const struct pool_new *new, struct err *err)
{
	struct filling f = {.entry = entry, .new = new, .from_fd = -1};
	struct stat st;
	int r;

	if (fstatat(entry->parent_fd, entry->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	r = make_filled(&f, err);
	return r == -EEXIST ? 0 : r;
}

static int clone(int from_fd, const struct pool_entry *entry, const struct pool_new *new,
	bool read_only, struct err *err)
{
	struct filling f = {.entry = entry, .new = new, .from_fd = from_fd};

	(void)read_only;
	return make_filled(&f, err);
}

static int make_group(int root_fd, int dir_fd, struct err *err)
{
	return project_group_make(root_fd, dir_fd, err);
}

/* --- dropping --- */

/* An own project goes with the last directory that has it. */
static int drop_own(const struct pool_entry *entry, uint32_t id, struct err *err)
{
	_cleanup_(project_group_close) struct project_group group = PROJECT_GROUP_INIT;
	int r = project_group_open(entry->root_fd, entry->group_fd, &group, err);

	if (r < 0)
		return r;
	if (!project_group_has(&group, id)) {
		r = project_quota_limit(entry->root_fd, id, LIMIT_UNSET, LIMIT_UNSET);
		if (r < 0)
			return err_sys(err, r, "take a disk limit off");
	}
	return project_group_settle(&group, err);
}

static int drop(const struct pool_entry *entry, bool is_group, struct err *err)
{
	_cleanup_close_ int fd = openat(entry->parent_fd, entry->name, OPEN_DIR);
	uint32_t shared = entry->group_fd >= 0 ? project_group_id(entry->group_fd) : 0;
	uint32_t id = 0;
	int r;

	if (fd >= 0 && is_group)
		id = project_group_id(fd);
	else if (fd >= 0 && project_of(fd, &id) < 0)
		id = 0;
	close_fd(&fd);
	r = pool_dir_drop(entry->parent_fd, entry->name, err);
	if (r < 0 || !id || id == shared)
		return r;
	if (!is_group)
		return shared ? drop_own(entry, id, err) : 0;
	r = project_quota_limit(entry->root_fd, id, LIMIT_UNSET, LIMIT_UNSET);
	return r < 0 ? err_sys(err, r, "take a disk limit off") : 0;
}

static int held(int dir_fd, uint64_t *ret_bytes, struct err *err)
{
	(void)dir_fd;
	(void)err;
	*ret_bytes = 0;
	return 0;
}

static int seal(int dir_fd, struct err *err)
{
	(void)dir_fd;
	(void)err;
	return 0;
}

/* --- limits --- */

static int set_own(
	struct project_group *group, int dir_fd, const struct disk_limits *quota, struct err *err)
{
	uint32_t id;
	int r = project_of(dir_fd, &id);

	if (r < 0)
		return err_sys(err, r, "look at a directory's project");
	if (id == group->id && !project_is_own(quota))
		return 0;
	if (id != group->id && project_is_own(quota))
		return project_group_set(group, id, quota, err);
	return err_set_subject(err, ERR_UNIMPLEMENTED, "DISK_LIMIT_FIXED", "disk",
		id == group->id
			? "on this host a container or volume has a disk limit of its own from its "
			  "beginning, or shares its tenant's; copy it, and give the copy one"
			: "on this host a container or volume keeps a disk limit of its own; "
			  "change it, or copy it, and give the copy none");
}

static int set_limit(
	const struct pool_target *target, const struct disk_limits *quota, struct err *err)
{
	_cleanup_(project_group_close) struct project_group group = PROJECT_GROUP_INIT;
	int r = project_group_open(target->root_fd, target->group_fd, &group, err);

	if (r < 0)
		return r;
	return target->dir_fd < 0 ? project_group_buy(&group, quota, err)
				  : set_own(&group, target->dir_fd, quota, err);
}

static int usage_of_dir(const struct pool_target *target, struct disk_limits *ret, struct err *err)
{
	uint32_t shared = target->group_fd >= 0 ? project_group_id(target->group_fd) : 0;
	struct project_quota q = {0};
	uint32_t id;
	int r = project_of(target->dir_fd, &id);

	/* What shares a project has no figure of its own. */
	if (r == 0 && id != 0 && id != shared)
		r = project_quota_get(target->root_fd, id, &q);
	if (r < 0)
		return err_sys(err, r, "read the disk usage");
	*ret = (struct disk_limits){q.used_bytes, q.used_inodes};
	return 0;
}

static int usage(
	const struct pool_target *target, bool exact, struct disk_limits *ret, struct err *err)
{
	_cleanup_(project_group_close) struct project_group group = PROJECT_GROUP_INIT;
	int r;

	if (exact)
		project_quota_settle(target->root_fd);
	if (target->dir_fd >= 0)
		return usage_of_dir(target, ret, err);
	r = project_group_open(target->root_fd, target->group_fd, &group, err);
	if (r < 0)
		return r;
	*ret = group.used;
	if (exact)
		*ret = (struct disk_limits){group.shared.used_bytes + group.aside.bytes,
			group.shared.used_inodes + group.aside.inodes};
	return 0;
}

static int fill_of_dir(const struct pool_target *target, struct disk_limits *ret_used,
	struct disk_limits *ret_limit, struct err *err)
{
	struct project_quota q = {.limit_bytes = LIMIT_UNSET, .limit_inodes = LIMIT_UNSET};
	uint32_t id;
	int r = project_of(target->dir_fd, &id);

	if (r == 0 && id != 0 && id != project_group_id(target->group_fd))
		r = project_quota_get(target->root_fd, id, &q);
	if (r < 0)
		return err_sys(err, r, "read the disk usage");
	*ret_used = (struct disk_limits){q.used_bytes, q.used_inodes};
	*ret_limit = (struct disk_limits){q.limit_bytes, q.limit_inodes};
	return 0;
}

static int fill_of(const struct pool_target *target, struct disk_limits *ret_used,
	struct disk_limits *ret_limit, struct err *err)
{
	_cleanup_(project_group_close) struct project_group group = PROJECT_GROUP_INIT;
	int r;

	if (target->dir_fd >= 0)
		return fill_of_dir(target, ret_used, ret_limit, err);
	r = project_group_open(target->root_fd, target->group_fd, &group, err);
	if (r < 0)
		return r;
	*ret_used = (struct disk_limits){group.shared.used_bytes + group.aside.bytes,
		group.shared.used_inodes + group.aside.inodes};
	/* Dealt out to the last byte is not filled: nobody is there who could want more. */
	*ret_limit = group.shared.used_bytes ? group.bought : DISK_LIMITS_NONE;
	return 0;
}

static uint64_t with_room(uint64_t limit, uint64_t used, uint64_t room)
{
	return limit == LIMIT_UNSET ? limit : (used > limit ? used : limit) + room;
}

/* One project is to have it: what it has of its own, or shares. */
static int stretch(
	const struct pool_target *target, const struct disk_limits *own, bool more, struct err *err)
{
	_cleanup_(project_group_close) struct project_group group = PROJECT_GROUP_INIT;
	struct project_quota q;
	uint32_t id;
	int r = project_group_open(target->root_fd, target->group_fd, &group, err);

	if (r < 0)
		return r;
	r = project_of(target->dir_fd, &id);
	if (r == 0)
		r = project_quota_get(target->root_fd, id, &q);
	if (r < 0)
		return err_sys(err, r, "look at a directory's project");
	if (!more && id != group.id)
		return project_group_set(&group, id, own, err);
	if (!more)
		return project_group_settle(&group, err);
	r = project_quota_limit(target->root_fd, id,
		with_room(q.limit_bytes, q.used_bytes, POOL_ROOM_BYTES),
		with_room(q.limit_inodes, q.used_inodes, POOL_ROOM_INODES));
	return r < 0 ? err_sys(err, r, "set the disk limit") : 0;
}

const struct pool_ops pool_project_ops = {
	.name = "project",
	.has_limits = true,
	.has_inodes = true,
	.copies = true,
	.sets_aside = true,
	.works = works,
	.mount = pool_dir_mount,
	.prepare = prepare,
	.release = release,
	.make = make,
	.make_group = make_group,
	.drop = drop,
	.clone = clone,
	.held = held,
	.seal = seal,
	.set_limit = set_limit,
	.usage = usage,
	.fill = fill_of,
	.stretch = stretch,
};

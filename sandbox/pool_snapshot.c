/*
 * Snapshots and copies of containers' directories; see pool_snapshot.h. What a driver does for it
 * is one operation, clone. Must never leave a container's name without its directory.
 */
#include "sandbox/pool_snapshot.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "sandbox/pool_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
/* On the directory of a container's snapshots: what may be held by them alone, in bytes. */
#define HELD_XATTR "trusted.croft.held"

struct place {
	int tenant_fd;
	int snapshots_fd;
};

#define PLACE_INIT                                                                                 \
	{                                                                                          \
		-1, -1                                                                             \
	}

static void place_close(struct place *place)
{
	close_fd(&place->tenant_fd);
	close_fd(&place->snapshots_fd);
}

void pool_companion(const char *container, const char *suffix, char ret[static POOL_COMPANION_SIZE])
{
	snprintf(ret, POOL_COMPANION_SIZE, "%.*s%s", NAME_SIZE - 1, container, suffix);
}

/* --- the container's own limit --- */

static uint64_t read_held(int snapshots_fd)
{
	uint64_t held;

	if (fgetxattr(snapshots_fd, HELD_XATTR, &held, sizeof(held)) != sizeof(held))
		return 0;
	return held;
}

static int write_held(int snapshots_fd, uint64_t held, struct err *err)
{
	if (held == 0 && read_held(snapshots_fd) == 0)
		return 0;
	if (fsetxattr(snapshots_fd, HELD_XATTR, &held, sizeof(held), 0) < 0)
		return err_sys(err, errno, "note what the snapshots hold");
	return 0;
}

struct disk_limits pool_own_limit(
	int tenant_fd, const char *container, const struct disk_limits *quota)
{
	struct disk_limits own = *quota;
	char name[POOL_COMPANION_SIZE];
	_cleanup_close_ int fd = -1;
	uint64_t held;

	if (quota->bytes == LIMIT_UNSET)
		return own;
	pool_companion(container, POOL_SNAPSHOTS_SUFFIX, name);
	fd = openat(tenant_fd, name, OPEN_DIR);
	held = fd >= 0 ? read_held(fd) : 0;
	own.bytes = held > LIMIT_UNSET - 1 - own.bytes ? LIMIT_UNSET - 1 : own.bytes + held;
	return own;
}

static int set_limit(struct pool *pool, int tenant_fd, int dir_fd, const struct disk_limits *quota,
	struct err *err)
{
	struct pool_target target = {pool->root_fd, tenant_fd, dir_fd};

	return pool->ops->set_limit(&target, quota, err);
}

static int set_own_limit(struct pool *pool, int tenant_fd, const char *container, int dir_fd,
	const struct disk_limits *quota, struct err *err)
{
	struct disk_limits own = pool_own_limit(tenant_fd, container, quota);

	return set_limit(pool, tenant_fd, dir_fd, &own, err);
}

/* --- places --- */

static int open_place(struct pool *pool, const char *tenant, const char *container,
	struct place *ret, struct err *err)
{
	char name[POOL_COMPANION_SIZE];
	int r = name_check("container", container, err);

	if (r == 0)
		r = pool_open_tenant(pool, tenant, &ret->tenant_fd, err);
	if (r < 0)
		return r;
	pool_companion(container, POOL_SNAPSHOTS_SUFFIX, name);
	ret->snapshots_fd = openat(ret->tenant_fd, name, OPEN_DIR);
	if (ret->snapshots_fd < 0 && errno != ENOENT)
		return err_sys(err, errno, "open the container's snapshots");
	return 0;
}

static int make_snapshots_dir(struct place *place, const char *container, struct err *err)
{
	char name[POOL_COMPANION_SIZE];

	if (place->snapshots_fd >= 0)
		return 0;
	pool_companion(container, POOL_SNAPSHOTS_SUFFIX, name);
	if (mkdirat(place->tenant_fd, name, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "make a directory for snapshots");
	place->snapshots_fd = openat(place->tenant_fd, name, OPEN_DIR);
	return place->snapshots_fd < 0 ? err_sys(err, errno, "open the container's snapshots") : 0;
}

int pool_snapshots_make(int tenant_fd, const char *container, int *ret_fd, struct err *err)
{
	struct place place = {tenant_fd, -1};
	int r = make_snapshots_dir(&place, container, err);

	if (r == 0)
		*ret_fd = place.snapshots_fd;
	return r;
}

static int open_container(
	const struct place *place, const char *container, int *ret_fd, struct err *err)
{
	return pool_open_named(place->tenant_fd, "container", container, OPEN_DIR, ret_fd, err);
}

static int open_snapshot(
	const struct place *place, const char *snapshot, int *ret_fd, struct err *err)
{
	if (place->snapshots_fd < 0)
		return err_set(err, ERR_NOT_FOUND, "NOT_IN_POOL", "the pool has no snapshot \"%s\"",
			snapshot);
	return pool_open_named(place->snapshots_fd, "snapshot", snapshot, OPEN_DIR, ret_fd, err);
}

static int for_each(int dir_fd, int (*fn)(const char *name, void *arg), void *arg, struct err *err)
{
	int copy = openat(dir_fd, ".", OPEN_DIR);
	_cleanup_closedir_ DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return err_sys(err, errno, "list the container's snapshots");
	while (r == 0 && (entry = readdir(dir)))
		if (name_is_valid(entry->d_name))
			r = fn(entry->d_name, arg);
	return r;
}

int pool_snapshot_list(struct pool *pool, const char *tenant, const char *container,
	int (*fn)(const char *snapshot, void *arg), void *arg, struct err *err)
{
	_cleanup_(place_close) struct place place = PLACE_INIT;
	int r = open_place(pool, tenant, container, &place, err);

	if (r < 0 || place.snapshots_fd < 0)
		return r;
	return for_each(place.snapshots_fd, fn, arg, err);
}

/* Of a tenant's, in parent_fd. */
static int drop(struct pool *pool, int tenant_fd, int parent_fd, const char *name, struct err *err)
{
	struct pool_entry entry = {pool->root_fd, tenant_fd, parent_fd, name};

	return pool->ops->drop(&entry, false, err);
}

struct drop_args {
	struct pool *pool;
	int tenant_fd;
	int dir_fd;
	struct err *err;
};

static int drop_one(const char *name, void *arg)
{
	struct drop_args *args = arg;

	return drop(args->pool, args->tenant_fd, args->dir_fd, name, args->err);
}

static int drop_snapshots(struct pool *pool, int tenant_fd, const char *name, struct err *err)
{
	_cleanup_close_ int fd = openat(tenant_fd, name, OPEN_DIR);
	struct drop_args args = {pool, tenant_fd, fd, err};
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "open the container's snapshots");
	r = for_each(fd, drop_one, &args, err);
	close_fd(&fd);
	/* Also what a copy that was cut off has left in it. */
	return r < 0 ? r : drop(pool, tenant_fd, tenant_fd, name, err);
}

int pool_drop_companions(struct pool *pool, int tenant_fd, const char *container, struct err *err)
{
	char name[POOL_COMPANION_SIZE];
	int r;

	pool_companion(container, POOL_NEW_SUFFIX, name);
	r = drop(pool, tenant_fd, tenant_fd, name, err);
	pool_companion(container, POOL_SNAPSHOTS_SUFFIX, name);
	return r < 0 ? r : drop_snapshots(pool, tenant_fd, name, err);
}

/* --- make, remove --- */

/*
 * Before the snapshot is made, so that the container can go on writing as much as before: from
 * then on, what it overwrites may count to it for the snapshot's sake.
 */
static int allow_for_snapshot(struct pool *pool, const struct place *place, const char *container,
	int dir_fd, const struct disk_limits *quota, struct err *err)
{
	uint64_t held;
	int r = pool->ops->held(dir_fd, &held, err);

	if (r < 0 || held <= read_held(place->snapshots_fd))
		return r;
	r = write_held(place->snapshots_fd, held, err);
	return r < 0 ? r : set_own_limit(pool, place->tenant_fd, container, dir_fd, quota, err);
}

void pool_set_reading(struct pool *pool, const struct pool_reading *reading)
{
	pool->reading = reading;
}

int pool_snapshot_make(struct pool *pool, const char *tenant, const char *container,
	const char *snapshot, const struct disk_limits *quota, uint64_t *ret_bytes, struct err *err)
{
	_cleanup_(place_close) struct place place = PLACE_INIT;
	_cleanup_close_ int fd = -1;
	struct pool_target target;
	struct pool_entry entry;
	struct disk_limits used;
	int r = name_check("snapshot", snapshot, err);

	if (r == 0)
		r = open_place(pool, tenant, container, &place, err);
	if (r == 0)
		r = open_container(&place, container, &fd, err);
	if (r == 0)
		r = make_snapshots_dir(&place, container, err);
	if (r == 0)
		r = allow_for_snapshot(pool, &place, container, fd, quota, err);
	if (r < 0)
		return r;
	entry = (struct pool_entry){.root_fd = pool->root_fd,
		.group_fd = place.tenant_fd,
		.parent_fd = place.snapshots_fd,
		.name = snapshot,
		.reading = pool->reading};
	r = pool->ops->clone(fd, &entry, &pool_new_plain, true, err);
	if (r == -EEXIST)
		return err_set(err, ERR_ALREADY_EXISTS, "SNAPSHOT_EXISTS",
			"there is a snapshot \"%s\" of %s already; delete it, or choose another "
			"name",
			snapshot, container);
	if (r < 0)
		return r;
	target = (struct pool_target){pool->root_fd, place.tenant_fd, fd};
	r = pool->ops->usage(&target, false, &used, err);
	if (r == 0)
		*ret_bytes = used.bytes;
	return r;
}

static int count_one(const char *name, void *arg)
{
	(void)name;
	++*(unsigned *)arg;
	return 0;
}

/* Without a snapshot the container's own limit is what was asked for. */
static int limit_again(struct pool *pool, const struct place *place, const char *container,
	const struct disk_limits *quota, struct err *err)
{
	_cleanup_close_ int fd = -1;
	unsigned n = 0;
	int r = for_each(place->snapshots_fd, count_one, &n, err);

	if (r < 0 || n > 0 || read_held(place->snapshots_fd) == 0)
		return r;
	r = open_container(place, container, &fd, err);
	if (r == 0)
		r = write_held(place->snapshots_fd, 0, err);
	return r < 0 ? r : set_own_limit(pool, place->tenant_fd, container, fd, quota, err);
}

int pool_snapshot_remove(struct pool *pool, const char *tenant, const char *container,
	const char *snapshot, const struct disk_limits *quota, struct err *err)
{
	_cleanup_(place_close) struct place place = PLACE_INIT;
	int r = name_check("snapshot", snapshot, err);

	if (r == 0)
		r = open_place(pool, tenant, container, &place, err);
	if (r < 0 || place.snapshots_fd < 0)
		return r;
	r = drop(pool, place.tenant_fd, place.snapshots_fd, snapshot, err);
	return r < 0 ? r : limit_again(pool, &place, container, quota, err);
}

/* --- taking a container's place --- */

/* What may be in the way from before. */
static int begin_new(struct pool *pool, const struct place *place, const char *container,
	char ret_name[static POOL_COMPANION_SIZE], struct err *err)
{
	pool_companion(container, POOL_NEW_SUFFIX, ret_name);
	return drop(pool, place->tenant_fd, place->tenant_fd, ret_name, err);
}

static struct pool_entry new_entry(
	const struct pool *pool, const struct place *place, const char *name)
{
	return (struct pool_entry){pool->root_fd, place->tenant_fd, place->tenant_fd, name};
}

static int clone_new(struct pool *pool, const struct place *place, int from_fd, const char *name,
	const struct disk_limits *quota, int instead_fd, struct err *err)
{
	struct pool_entry entry = new_entry(pool, place, name);
	struct pool_new new = {*quota, instead_fd};

	entry.reading = pool->reading;
	return pool->ops->clone(from_fd, &entry, &new, false, err);
}

/*
 * The new directory takes the container's name in one step, under its limit; the old one goes. A
 * failure to remove that is not one of the whole: the next such operation does it.
 */
static int take_place(struct pool *pool, const struct place *place, const char *container,
	const char *new_name, const struct disk_limits *quota, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r;

	fd = openat(place->tenant_fd, new_name, OPEN_DIR);
	if (fd < 0)
		return err_sys(err, errno, "open the container's new directory");
	r = set_limit(pool, place->tenant_fd, fd, quota, err);
	if (r < 0)
		return r;
	if (renameat2(place->tenant_fd, new_name, place->tenant_fd, container, RENAME_EXCHANGE) < 0)
		return err_sys(err, errno, "exchange the container's directory");
	if (fsync(place->tenant_fd) < 0)
		return err_sys(err, errno, "write the container's directory to the disk");
	/* Nothing of what it has now is counted to it for a snapshot's sake. */
	if (place->snapshots_fd >= 0)
		write_held(place->snapshots_fd, 0, NULL);
	drop(pool, place->tenant_fd, place->tenant_fd, new_name, NULL);
	return 0;
}

int pool_snapshot_restore(struct pool *pool, const char *tenant, const char *container,
	const char *snapshot, const struct disk_limits *quota, struct err *err)
{
	_cleanup_(place_close) struct place place = PLACE_INIT;
	_cleanup_close_ int old = -1;
	_cleanup_close_ int fd = -1;
	char name[POOL_COMPANION_SIZE];
	int r = pool_refuse_limit(pool, quota, err);

	if (r == 0)
		r = open_place(pool, tenant, container, &place, err);
	if (r == 0)
		r = open_snapshot(&place, snapshot, &fd, err);
	if (r == 0)
		r = open_container(&place, container, &old, err);
	if (r == 0)
		r = begin_new(pool, &place, container, name, err);
	if (r == 0)
		r = clone_new(pool, &place, fd, name, quota, old, err);
	return r < 0 ? r : take_place(pool, &place, container, name, quota, err);
}

int pool_upper_reset(struct pool *pool, const char *tenant, const char *container,
	const struct disk_limits *quota, struct err *err)
{
	_cleanup_(place_close) struct place place = PLACE_INIT;
	_cleanup_close_ int old = -1;
	_cleanup_close_ int fd = -1;
	struct pool_new new = {.quota = *quota};
	struct pool_entry entry;
	char name[POOL_COMPANION_SIZE];
	int r = pool_refuse_limit(pool, quota, err);

	if (r == 0)
		r = open_place(pool, tenant, container, &place, err);
	if (r == 0)
		r = open_container(&place, container, &old, err);
	if (r == 0)
		r = begin_new(pool, &place, container, name, err);
	entry = new_entry(pool, &place, name);
	new.instead_fd = old;
	if (r == 0)
		r = pool->ops->make(&entry, &new, err);
	if (r < 0)
		return r;
	fd = openat(place.tenant_fd, name, OPEN_DIR);
	r = fd < 0 ? err_sys(err, errno, "open the container's new directory")
		   : pool_make_layers(pool, fd, err);
	return r < 0 ? r : take_place(pool, &place, container, name, quota, err);
}

/* --- copy, rename --- */

static int open_source(const struct place *place, const char *container, const char *snapshot,
	int *ret_fd, struct err *err)
{
	return *snapshot ? open_snapshot(place, snapshot, ret_fd, err)
			 : open_container(place, container, ret_fd, err);
}

/* The copy gets its limit before its name, under which it could be started. */
static int name_copy(struct pool *pool, const struct place *place, const char *new_name,
	const char *to, const struct disk_limits *quota, struct err *err)
{
	_cleanup_close_ int fd = openat(place->tenant_fd, new_name, OPEN_DIR);
	int r;

	if (fd < 0)
		return err_sys(err, errno, "open the copy");
	r = set_limit(pool, place->tenant_fd, fd, quota, err);
	if (r < 0)
		return r;
	if (renameat2(place->tenant_fd, new_name, place->tenant_fd, to, RENAME_NOREPLACE) < 0)
		return errno == EEXIST ? err_set(err, ERR_ALREADY_EXISTS, "CONTAINER_EXISTS",
						 "there is a container %s already", to)
				       : err_sys(err, errno, "name the copy");
	return fsync(place->tenant_fd) < 0 ? err_sys(err, errno, "write the copy to the disk") : 0;
}

int pool_upper_copy(struct pool *pool, const char *tenant, const char *from, const char *snapshot,
	const char *to, const struct disk_limits *quota, struct err *err)
{
	_cleanup_(place_close) struct place place = PLACE_INIT;
	_cleanup_close_ int fd = -1;
	char name[POOL_COMPANION_SIZE];
	int r = name_check("container", to, err);

	if (r == 0)
		r = pool_refuse_limit(pool, quota, err);
	if (r == 0)
		r = open_place(pool, tenant, from, &place, err);
	if (r == 0)
		r = open_source(&place, from, snapshot, &fd, err);
	if (r == 0)
		r = begin_new(pool, &place, to, name, err);
	if (r == 0)
		r = clone_new(pool, &place, fd, name, quota, -1, err);
	return r < 0 ? r : name_copy(pool, &place, name, to, quota, err);
}

/* -ENOENT counts as done before, if the new name is there. */
static int move(int dir_fd, const char *from, const char *to, bool must, struct err *err)
{
	struct stat st;

	if (renameat2(dir_fd, from, dir_fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno == ENOENT && (!must || fstatat(dir_fd, to, &st, AT_SYMLINK_NOFOLLOW) == 0))
		return 0;
	return err_sys(err, errno, "rename the container's directory");
}

int pool_upper_rename(
	struct pool *pool, const char *tenant, const char *from, const char *to, struct err *err)
{
	_cleanup_(place_close) struct place place = PLACE_INIT;
	char from_name[POOL_COMPANION_SIZE];
	char to_name[POOL_COMPANION_SIZE];
	int r = name_check("container", to, err);

	if (r == 0)
		r = open_place(pool, tenant, from, &place, err);
	if (r < 0)
		return r;
	pool_companion(from, POOL_NEW_SUFFIX, from_name);
	r = drop(pool, place.tenant_fd, place.tenant_fd, from_name, err);
	pool_companion(from, POOL_SNAPSHOTS_SUFFIX, from_name);
	pool_companion(to, POOL_SNAPSHOTS_SUFFIX, to_name);
	if (r == 0)
		r = move(place.tenant_fd, from_name, to_name, false, err);
	if (r == 0)
		r = move(place.tenant_fd, from, to, true, err);
	if (r < 0)
		return r;
	return fsync(place.tenant_fd) < 0 ? err_sys(err, errno, "write the name to the disk") : 0;
}

/* --- publish --- */

static int open_upper_of(int snapshot_fd, int *ret_fd, struct err *err)
{
	int fd = openat(snapshot_fd, "upper", OPEN_DIR);

	if (fd < 0)
		return err_sys(err, errno, "open the snapshot's files");
	*ret_fd = fd;
	return 0;
}

int pool_snapshot_open_upper(struct pool *pool, const char *tenant, const char *container,
	const char *snapshot, int *ret_fd, struct err *err)
{
	_cleanup_(place_close) struct place place = PLACE_INIT;
	_cleanup_close_ int fd = -1;
	int r = open_place(pool, tenant, container, &place, err);

	if (r == 0)
		r = open_snapshot(&place, snapshot, &fd, err);
	return r < 0 ? r : open_upper_of(fd, ret_fd, err);
}

static int merge(struct pool *pool, int upper_fd, const char *image, struct tree_report *ret,
	struct err *err)
{
	static const struct tree_copy_options over = {.merge = true, .own_data = true};
	_cleanup_close_ int fd = -1;
	int r = pool_open_named(pool->incoming_fd, "image", image, OPEN_DIR, &fd, err);

	if (r == 0)
		r = tree_copy(upper_fd, fd, &over, NULL, err);
	return r < 0 ? r : tree_measure(fd, ret, err);
}

int pool_image_merge(struct pool *pool, const char *tenant, const char *container,
	const char *snapshot, const char *base, const char *image, struct tree_report *ret,
	struct err *err)
{
	_cleanup_close_ int upper_fd = -1;
	int r = name_check("image", image, err);

	if (r == 0)
		r = pool_snapshot_open_upper(pool, tenant, container, snapshot, &upper_fd, err);
	if (r == 0)
		r = pool_clone_base(pool, base, image, err);
	return r < 0 ? r : merge(pool, upper_fd, image, ret, err);
}

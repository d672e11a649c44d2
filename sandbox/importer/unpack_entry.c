/*
 * One entry of the archive: a file, directory, link or fifo in the tree. Must never write to
 * anything that was there before the entry: it is removed, and made anew.
 */
#include "sandbox/importer/unpack_internal.h"

#include "base/cleanup.h"
#include "sandbox/importer/entry_path.h"
#include "sandbox/importer/jail.h"
#include "sandbox/importer/metadata.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct place {
	const char *path; /* of the entry, clean */
	int parent_fd;	  /* the tree's */
	const char *name; /* the last component */
	bool layered;	  /* see struct unpack */
};

static int refuse(struct err *err, const char *path, const char *why)
{
	char quoted[ENTRY_QUOTED_MAX];

	return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID", "the archive's entry \"%s\" %s",
		entry_path_quote(path, quoted), why);
}

int unpack_write_failed(struct err *err, int r, const char *path)
{
	char quoted[ENTRY_QUOTED_MAX];

	if (r == -ENOSPC || r == -EDQUOT)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "POOL_FULL", "disk",
			"the pool is full; remove what is not needed, and import again");
	return err_sys(err, r, "write \"%s\"", entry_path_quote(path, quoted));
}

/* Calls make, and once more after clearing what is in the way. */
typedef int (*make_fn)(const struct place *place, const void *arg);

static int make_or_replace(
	const struct place *place, make_fn make, const void *arg, int *ret_fd, struct err *err)
{
	int r = make(place, arg);

	if (r == -EEXIST) {
		r = tree_clear(place->parent_fd, place->name, place->layered, err);
		if (r < 0)
			return r;
		r = make(place, arg);
	}
	if (r < 0)
		return unpack_write_failed(err, r, place->path);
	if (ret_fd)
		*ret_fd = r;
	return 0;
}

static int make_file(const struct place *place, const void *arg)
{
	int fd = openat(place->parent_fd, place->name,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	(void)arg;
	return fd < 0 ? -errno : fd;
}

static int make_symlink(const struct place *place, const void *target)
{
	return symlinkat(target, place->parent_fd, place->name) < 0 ? -errno : 0;
}

static int make_fifo(const struct place *place, const void *arg)
{
	(void)arg;
	return mkfifoat(place->parent_fd, place->name, 0600) < 0 ? -errno : 0;
}

static int make_dir(const struct place *place, const void *arg)
{
	struct stat st;

	(void)arg;
	if (mkdirat(place->parent_fd, place->name, 0700) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	/* A directory keeps what it holds; anything else, a link too, gives way. */
	if (fstatat(place->parent_fd, place->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -EEXIST;
}

static int pwrite_full(int fd, const char *data, size_t size, off_t offset)
{
	while (size > 0) {
		ssize_t n = pwrite(fd, data, size, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
		offset += n;
	}
	return 0;
}

/* How far a file may reach. Holes take no room; what is between them is counted as it comes. */
static uint64_t file_bytes_max(const struct unpack *u, struct archive_entry *entry)
{
	return archive_entry_sparse_count(entry) > 0 ? JAIL_FILE_BYTES_MAX
						     : u->config->limits.bytes;
}

static int too_large(uint64_t bytes_max, const char *path, struct err *err)
{
	char quoted[ENTRY_QUOTED_MAX];

	return err_set(err, ERR_RESOURCE_EXHAUSTED, "IMAGE_TOO_LARGE",
		"the archive's entry \"%s\" is larger than the %llu bytes that it may have",
		entry_path_quote(path, quoted), (unsigned long long)bytes_max);
}

static int write_data(
	struct unpack *u, int fd, const char *path, uint64_t bytes_max, struct err *err)
{
	const void *data;
	size_t size;
	la_int64_t offset;
	int r;

	for (;;) {
		r = archive_read_data_block(u->source->archive, &data, &size, &offset);
		if (r == ARCHIVE_EOF)
			return 0;
		if (r != ARCHIVE_OK)
			return source_error(u->source, err);
		/* Checked before it is written: neither a bomb nor an overflow gets to the disk. */
		if (offset < 0 || (uint64_t)offset > bytes_max ||
			size > bytes_max - (uint64_t)offset)
			return too_large(bytes_max, path, err);
		u->report->bytes += size;
		r = unpack_check_limits(u, err);
		if (r < 0)
			return r;
		r = pwrite_full(fd, data, size, offset);
		if (r < 0)
			return unpack_write_failed(err, r, path);
		r = unpack_tick(u, err);
		if (r < 0)
			return r;
	}
}

static int unpack_file(
	struct unpack *u, struct archive_entry *entry, const struct place *place, struct err *err)
{
	uint64_t bytes_max = file_bytes_max(u, entry);
	la_int64_t size = archive_entry_size(entry);
	_cleanup_close_ int fd = -1;
	struct timespec times[2];
	int r;

	if (size < 0)
		return refuse(err, place->path, "has a negative size");
	if ((uint64_t)size > bytes_max)
		return too_large(bytes_max, place->path, err);
	r = make_or_replace(place, make_file, NULL, &fd, err);
	if (r < 0)
		return r;
	r = write_data(u, fd, place->path, bytes_max, err);
	if (r < 0)
		return r;
	/* A sparse file may end in a hole. */
	if (ftruncate(fd, size) < 0)
		return unpack_write_failed(err, -errno, place->path);
	r = metadata_apply(fd, entry, place->path, &u->report->bytes, err);
	if (r < 0)
		return r;
	metadata_times(entry, times);
	return futimens(fd, times) < 0 ? unpack_write_failed(err, -errno, place->path) : 0;
}

static int unpack_dir(
	struct unpack *u, struct archive_entry *entry, const struct place *place, struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct timespec times[2];
	int r;

	if (place->path[0]) {
		r = make_or_replace(place, make_dir, NULL, NULL, err);
		if (r < 0)
			return r;
	}
	fd = openat(place->parent_fd, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return unpack_write_failed(err, -errno, place->path);
	r = metadata_apply(fd, entry, place->path, &u->report->bytes, err);
	if (r < 0)
		return r;
	metadata_times(entry, times);
	return dir_times_add(&u->times, place->path, &times[1], err);
}

/* Owner and time of what cannot be opened for it. */
static int apply_at(struct archive_entry *entry, const struct place *place, struct err *err)
{
	struct timespec times[2];

	metadata_times(entry, times);
	if (fchownat(place->parent_fd, place->name, (uid_t)archive_entry_uid(entry),
		    (gid_t)archive_entry_gid(entry), AT_SYMLINK_NOFOLLOW) < 0 ||
		utimensat(place->parent_fd, place->name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return unpack_write_failed(err, -errno, place->path);
	return 0;
}

static int unpack_symlink(
	struct unpack *u, struct archive_entry *entry, const struct place *place, struct err *err)
{
	const char *target = archive_entry_symlink(entry);
	int r;

	if (!target || !target[0] || strlen(target) >= PATH_MAX)
		return refuse(err, place->path, "is a symbolic link with a bad target");
	u->report->bytes += strlen(target);
	r = make_or_replace(place, make_symlink, target, NULL, err);
	return r < 0 ? r : apply_at(entry, place, err);
}

static int unpack_fifo(
	struct unpack *u, struct archive_entry *entry, const struct place *place, struct err *err)
{
	int r = make_or_replace(place, make_fifo, NULL, NULL, err);

	(void)u;
	if (r == 0)
		r = apply_at(entry, place, err);
	if (r < 0)
		return r;
	/* Nobody else is here to put a link in the fifo's place. */
	if (fchmodat(place->parent_fd, place->name, archive_entry_perm(entry) & 07777, 0) < 0)
		return unpack_write_failed(err, -errno, place->path);
	return 0;
}

struct link_target {
	int parent_fd;
	const char *name;
};

static int make_link(const struct place *place, const void *arg)
{
	const struct link_target *target = arg;

	/* Without AT_SYMLINK_FOLLOW: a link to a symbolic link is that link. */
	return linkat(target->parent_fd, target->name, place->parent_fd, place->name, 0) < 0
		       ? -errno
		       : 0;
}

static bool same_file(const struct link_target *target, const struct place *place)
{
	struct stat a;
	struct stat b;

	return fstatat(target->parent_fd, target->name, &a, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstatat(place->parent_fd, place->name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* The part of a clean name below u->prefix ("" for the prefix itself); NULL when it is elsewhere.
 */
static char *below_prefix(const struct unpack *u, char *path)
{
	size_t n = u->prefix ? strlen(u->prefix) : 0;

	if (!n)
		return path;
	if (strncmp(path, u->prefix, n) || (path[n] && path[n] != '/'))
		return NULL;
	return path + n + (path[n] == '/');
}

static int unpack_hardlink(
	struct unpack *u, const char *raw_target, const struct place *place, struct err *err)
{
	_cleanup_close_ int parent = -1;
	struct link_target target;
	char buffer[PATH_MAX];
	char *path;
	char *slash;
	struct stat st;
	int r;

	r = entry_path_clean(raw_target, buffer, err);
	if (r < 0)
		return err_wrap(err, r, "the target of a hard link");
	path = below_prefix(u, buffer);
	if (!path)
		return refuse(err, place->path, "is a hard link to something beside the rootfs");
	slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
	parent = tree_open(&u->tree, slash ? path : "", O_PATH | O_DIRECTORY);
	target = (struct link_target){parent, slash ? slash + 1 : path};
	if (parent < 0 || !target.name[0] ||
		fstatat(parent, target.name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(st.st_mode))
		return refuse(err, place->path,
			"is a hard link to something that is not an earlier file of the archive");
	if (same_file(&target, place))
		return 0;
	return make_or_replace(place, make_link, &target, NULL, err);
}

static int unpack_other(
	struct unpack *u, struct archive_entry *entry, const char *path, struct err *err)
{
	switch (archive_entry_filetype(entry)) {
	case AE_IFCHR:
	case AE_IFBLK:
	case AE_IFSOCK:
		u->report->skipped_devices++;
		return 0;
	default:
		return refuse(err, path, "is of an unknown type");
	}
}

static int unpack_at(
	struct unpack *u, struct archive_entry *entry, const char *path, struct err *err)
{
	const char *raw_target = archive_entry_hardlink(entry);
	mode_t type = archive_entry_filetype(entry);
	struct place place = {
		.path = path, .parent_fd = u->tree.root_fd, .name = ".", .layered = u->layered};
	int r;

	if (!path[0] && (type != AE_IFDIR || raw_target))
		return refuse(err, "./", "is the root, but no directory");
	if (!raw_target && type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK &&
		type != AE_IFIFO)
		return unpack_other(u, entry, path, err);
	r = metadata_check_owner(entry, path, err);
	if (r == 0 && path[0])
		r = tree_parent(&u->tree, path, &place.parent_fd, &place.name, err);
	if (r < 0)
		return r;
	if (raw_target)
		return unpack_hardlink(u, raw_target, &place, err);
	if (type == AE_IFREG)
		return unpack_file(u, entry, &place, err);
	if (type == AE_IFDIR)
		return unpack_dir(u, entry, &place, err);
	if (type == AE_IFLNK)
		return unpack_symlink(u, entry, &place, err);
	return unpack_fifo(u, entry, &place, err);
}

int unpack_entry(struct unpack *u, struct archive_entry *entry, struct err *err)
{
	char path[PATH_MAX];
	const char *below;
	int r = entry_path_clean(archive_entry_pathname(entry), path, err);

	if (r < 0)
		return r;
	below = below_prefix(u, path);
	return below ? unpack_at(u, entry, below, err) : 0;
}

/*
 * One file of a tree as an entry of the archive: what it is, whose, its attributes and ACLs, and
 * its data with the holes left out.
 */
#include "sandbox/packer/pack.h"

#include "base/cleanup.h"
#include "sandbox/importer/jail.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define BLOCK_SIZE   (1u << 20)
#define SEGMENTS_MAX 65536 /* of one file; behind them holes are packed as zeros */
#define ACL_MAX	     4096

/* --- attributes --- */

static bool is_kept(const char *name)
{
	return !strncmp(name, "user.", 5) || !strcmp(name, "security.capability");
}

static int add_xattr(struct pack *pack, int fd, const char *name, char *value, struct err *err)
{
	ssize_t n = fgetxattr(fd, name, value, XATTR_SIZE_MAX);

	if (n < 0)
		return err_sys(err, errno, "read an attribute");
	archive_entry_xattr_add_entry(pack->entry, name, value, (size_t)n);
	return 0;
}

static int add_xattrs(struct pack *pack, int fd, struct err *err)
{
	_cleanup_free_ char *names = malloc(XATTR_LIST_MAX);
	_cleanup_free_ char *value = malloc(XATTR_SIZE_MAX);
	ssize_t size;
	int r = 0;

	if (!names || !value)
		return err_oom(err);
	size = flistxattr(fd, names, XATTR_LIST_MAX);
	if (size < 0 && errno != EOPNOTSUPP)
		return err_sys(err, errno, "list a file's attributes");
	for (ssize_t at = 0; at < size && r == 0; at += (ssize_t)strlen(names + at) + 1)
		if (is_kept(names + at))
			r = add_xattr(pack, fd, names + at, value, err);
	return r;
}

static int acl_tag(unsigned tag)
{
	switch (tag) {
	case ACL_USER_OBJ:
		return ARCHIVE_ENTRY_ACL_USER_OBJ;
	case ACL_USER:
		return ARCHIVE_ENTRY_ACL_USER;
	case ACL_GROUP_OBJ:
		return ARCHIVE_ENTRY_ACL_GROUP_OBJ;
	case ACL_GROUP:
		return ARCHIVE_ENTRY_ACL_GROUP;
	case ACL_MASK:
		return ARCHIVE_ENTRY_ACL_MASK;
	case ACL_OTHER:
		return ARCHIVE_ENTRY_ACL_OTHER;
	default:
		return -1;
	}
}

static int add_acl(struct pack *pack, int fd, const char *name, int type, struct err *err)
{
	_Alignas(8) char value[sizeof(struct posix_acl_xattr_header) +
			       ACL_MAX * sizeof(struct posix_acl_xattr_entry)];
	const struct posix_acl_xattr_entry *acl =
		(const void *)(value + sizeof(struct posix_acl_xattr_header));
	ssize_t size = fgetxattr(fd, name, value, sizeof(value));
	size_t n;

	if (size < 0)
		return errno == ENODATA || errno == EOPNOTSUPP ? 0
							       : err_sys(err, errno, "read an ACL");
	n = ((size_t)size - sizeof(struct posix_acl_xattr_header)) / sizeof(*acl);
	for (size_t i = 0; i < n; i++) {
		unsigned tag = le16toh(acl[i].e_tag);
		bool named = tag == ACL_USER || tag == ACL_GROUP;

		if (acl_tag(tag) < 0)
			return pack_refuse(pack, err, "its ACL is of an unknown kind");
		archive_entry_acl_add_entry(pack->entry, type, le16toh(acl[i].e_perm) & 7,
			acl_tag(tag), named ? (int)le32toh(acl[i].e_id) : -1, NULL);
	}
	return 0;
}

static int add_attributes(struct pack *pack, int fd, const struct stat *st, struct err *err)
{
	int r = add_xattrs(pack, fd, err);

	if (r == 0)
		r = add_acl(
			pack, fd, "system.posix_acl_access", ARCHIVE_ENTRY_ACL_TYPE_ACCESS, err);
	if (r == 0 && S_ISDIR(st->st_mode))
		r = add_acl(
			pack, fd, "system.posix_acl_default", ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, err);
	return r;
}

/* --- data --- */

/* Where data is, from `from` on. Returns 1, or 0 when there is none, or -errno. */
static int next_segment(int fd, off_t from, off_t size, off_t *ret_start, off_t *ret_end)
{
	off_t start = lseek(fd, from, SEEK_DATA);
	off_t end;

	if (start < 0 && errno == ENXIO)
		return 0;
	end = start < 0 ? -1 : lseek(fd, start, SEEK_HOLE);
	if (end < 0)
		return -errno;
	*ret_start = start;
	*ret_end = end < size ? end : size;
	return start < size;
}

static int add_segments(struct pack *pack, int fd, off_t size, struct err *err)
{
	off_t start = 0;
	off_t end = 0;
	unsigned n = 0;
	int r;

	while (end < size && (r = next_segment(fd, end, size, &start, &end)) != 0) {
		if (r < 0)
			return err_sys(err, r, "look for a file's holes");
		if (start == 0 && end == size)
			return 0;
		if (++n == SEGMENTS_MAX)
			end = size;
		archive_entry_sparse_add_entry(pack->entry, start, end - start);
	}
	/* One hole. */
	if (n == 0 && size > 0)
		archive_entry_sparse_add_entry(pack->entry, size, 0);
	return 0;
}

static int pack_block(struct pack *pack, int fd, off_t offset, size_t size, struct err *err)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, pack->buffer + done, size - done, offset + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "read a file that is to be packed");
		if (n == 0)
			return pack_refuse(pack, err, "it became shorter meanwhile");
		done += (size_t)n;
	}
	return pack_data(pack, pack->buffer, size, err);
}

/* The archive leaves out what its map of the file has as holes: there any bytes will do. */
static int pack_contents(struct pack *pack, int fd, off_t size, struct err *err)
{
	static const char zeros[BLOCK_SIZE];
	off_t start = 0;
	off_t end = 0;
	off_t at = 0;

	while (at < size) {
		size_t n = (size_t)(size - at < BLOCK_SIZE ? size - at : BLOCK_SIZE);
		int r = 0;

		if (at >= end) {
			r = next_segment(fd, at, size, &start, &end);
			if (r == 0)
				start = end = size;
		}
		if (r < 0)
			return err_sys(err, r, "look for a file's data");
		if (at < start) {
			uint64_t before = pack->total.bytes;

			n = (size_t)(start - at < (off_t)n ? start - at : (off_t)n);
			r = pack_data(pack, zeros, n, err);
			pack->total.bytes = before;
		} else {
			n = (size_t)(end - at < (off_t)n ? end - at : (off_t)n);
			r = pack_block(pack, fd, at, n, err);
		}
		if (r < 0)
			return r;
		at += (off_t)n;
	}
	return 0;
}

/* --- kinds of files --- */

static void begin(struct pack *pack, const struct stat *st)
{
	archive_entry_clear(pack->entry);
	archive_entry_set_pathname(pack->entry, pack->path);
	archive_entry_set_filetype(pack->entry, st->st_mode & S_IFMT);
	archive_entry_set_perm(pack->entry, st->st_mode & 07777);
	archive_entry_set_uid(pack->entry, st->st_uid);
	archive_entry_set_gid(pack->entry, st->st_gid);
	archive_entry_set_mtime(pack->entry, st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	archive_entry_set_size(pack->entry, 0);
}

/* Returns 1 when the file was packed before under another name, of which this becomes a link. */
static int pack_link(struct pack *pack, const struct stat *st, struct err *err)
{
	const char *first;
	int r;

	if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return 0;
	first = pack_links_find(&pack->links, st->st_ino, pack->path, &r);
	if (r < 0)
		return r == -E2BIG ? pack_refuse(pack, err,
					     "there are more files with several names than can be "
					     "kept apart")
				   : err_oom(err);
	if (!first)
		return 0;
	archive_entry_set_hardlink(pack->entry, first);
	archive_entry_unset_size(pack->entry);
	r = pack_header(pack, err);
	return r < 0 ? r : 1;
}

static int pack_file(struct pack *pack, int fd, const struct stat *st, struct err *err)
{
	int r;

	if ((uint64_t)st->st_size > JAIL_FILE_BYTES_MAX)
		return pack_refuse(pack, err, "it is larger than 16 TiB with its holes");
	archive_entry_set_size(pack->entry, st->st_size);
	r = add_segments(pack, fd, st->st_size, err);
	if (r == 0)
		r = pack_header(pack, err);
	return r < 0 ? r : pack_contents(pack, fd, st->st_size, err);
}

static int pack_symlink(struct pack *pack, int dir_fd, const char *name, struct err *err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dir_fd, name, target, sizeof(target) - 1);

	if (n < 0)
		return err_sys(err, errno, "read a link");
	target[n] = '\0';
	archive_entry_set_symlink(pack->entry, target);
	return pack_header(pack, err);
}

int pack_node(struct pack *pack, int dir_fd, const char *name, int fd, const struct stat *st,
	struct err *err)
{
	mode_t type = st->st_mode & S_IFMT;
	int r;

	/* A socket is nothing without who made it, and devices come from outside a container. */
	if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK && type != S_IFIFO)
		return 0;
	begin(pack, st);
	r = pack_link(pack, st, err);
	if (r)
		return r < 0 ? r : 0;
	r = fd >= 0 ? add_attributes(pack, fd, st, err) : 0;
	if (r < 0)
		return r;
	if (type == S_IFREG)
		return pack_file(pack, fd, st, err);
	if (type == S_IFLNK)
		return pack_symlink(pack, dir_fd, name, err);
	return pack_header(pack, err);
}

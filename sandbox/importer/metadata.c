/*
 * Metadata of entries; see metadata.h. Must never set an attribute that the kernel or an overlay
 * gives a meaning to, other than those listed there.
 */
#include "sandbox/importer/metadata.h"

#include "base/cleanup.h"
#include "sandbox/importer/entry_path.h"

#include <archive.h>
#include <endian.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

static int refuse(struct err *err, const char *path, const char *fmt, long long number)
{
	char quoted[ENTRY_QUOTED_MAX];
	char why[160];

	snprintf(why, sizeof(why), "%s %lld", fmt, number);
	return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
		"the archive's entry \"%s\" %s; an image can have the ids 0 to %d",
		entry_path_quote(path, quoted), why, ID_MAX);
}

int metadata_check_owner(struct archive_entry *entry, const char *path, struct err *err)
{
	long long uid = archive_entry_uid(entry);
	long long gid = archive_entry_gid(entry);

	if (uid < 0 || uid > ID_MAX)
		return refuse(err, path, "belongs to the user id", uid);
	if (gid < 0 || gid > ID_MAX)
		return refuse(err, path, "belongs to the group id", gid);
	return 0;
}

void metadata_times(struct archive_entry *entry, struct timespec ret[static 2])
{
	ret[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
	ret[1] = (struct timespec){.tv_nsec = UTIME_OMIT};
	if (archive_entry_mtime_is_set(entry)) {
		long nsec = archive_entry_mtime_nsec(entry);

		ret[1].tv_sec = archive_entry_mtime(entry);
		ret[1].tv_nsec = nsec >= 0 && nsec < 1000000000L ? nsec : 0;
	}
}

static int is_own_capability(const void *value, size_t size)
{
	struct vfs_ns_cap_data data;
	uint32_t revision;

	if (size != XATTR_CAPS_SZ_2 && size != XATTR_CAPS_SZ_3)
		return 0;
	memcpy(&data, value, size);
	revision = le32toh(data.magic_etc) & VFS_CAP_REVISION_MASK;
	if (size == XATTR_CAPS_SZ_2)
		return revision == VFS_CAP_REVISION_2;
	/* Revision 3 names the root of a user namespace; only the image's own is meaningful. */
	return revision == VFS_CAP_REVISION_3 && data.rootid == 0;
}

int metadata_keeps_xattr(const char *name, const void *value, size_t size)
{
	if (!strcmp(name, "security.capability"))
		return is_own_capability(value, size);
	return !strncmp(name, "user.", 5) && strncmp(name, "user.overlay.", 13);
}

static int acl_tag(int tag)
{
	switch (tag) {
	case ARCHIVE_ENTRY_ACL_USER_OBJ:
		return ACL_USER_OBJ;
	case ARCHIVE_ENTRY_ACL_USER:
		return ACL_USER;
	case ARCHIVE_ENTRY_ACL_GROUP_OBJ:
		return ACL_GROUP_OBJ;
	case ARCHIVE_ENTRY_ACL_GROUP:
		return ACL_GROUP;
	case ARCHIVE_ENTRY_ACL_MASK:
		return ACL_MASK;
	case ARCHIVE_ENTRY_ACL_OTHER:
		return ACL_OTHER;
	default:
		return -1;
	}
}

static int compare_acl(const void *a, const void *b)
{
	const struct posix_acl_xattr_entry *x = a;
	const struct posix_acl_xattr_entry *y = b;

	if (x->e_tag != y->e_tag)
		return le16toh(x->e_tag) < le16toh(y->e_tag) ? -1 : 1;
	return le32toh(x->e_id) < le32toh(y->e_id) ? -1 : le32toh(x->e_id) > le32toh(y->e_id);
}

ssize_t metadata_encode_acl(struct archive_entry *entry, int type, const char *path, void *out,
	size_t size, struct err *err)
{
	struct posix_acl_xattr_header header = {htole32(POSIX_ACL_XATTR_VERSION)};
	struct posix_acl_xattr_entry *acl;
	size_t max = (size - sizeof(header)) / sizeof(*acl);
	size_t n = 0;
	const char *name;
	int entry_type;
	int permset;
	int tag;
	int id;

	if (archive_entry_acl_reset(entry, type) == 0)
		return 0;
	memcpy(out, &header, sizeof(header));
	acl = (void *)((char *)out + sizeof(header));
	while (archive_entry_acl_next(entry, type, &entry_type, &permset, &tag, &id, &name) ==
		ARCHIVE_OK) {
		bool named = tag == ARCHIVE_ENTRY_ACL_USER || tag == ARCHIVE_ENTRY_ACL_GROUP;

		if (acl_tag(tag) < 0 || (named && id == -1))
			continue;
		if (named && (id < 0 || id > ID_MAX))
			return refuse(err, path, "has an ACL for the id", id);
		if (n == max)
			return refuse(err, path, "has an ACL with more entries than", (int)max);
		acl[n++] = (struct posix_acl_xattr_entry){
			.e_tag = htole16((uint16_t)acl_tag(tag)),
			.e_perm = htole16((uint16_t)(permset & 7)),
			.e_id = named ? htole32((uint32_t)id) : htole32((uint32_t)ACL_UNDEFINED_ID),
		};
	}
	qsort(acl, n, sizeof(*acl), compare_acl);
	return (ssize_t)(sizeof(header) + n * sizeof(*acl));
}

static int set_xattr(int fd, const char *name, const void *value, size_t size, const char *path,
	uint64_t *bytes, struct err *err)
{
	char quoted[ENTRY_QUOTED_MAX];
	char quoted_name[ENTRY_QUOTED_MAX];

	*bytes += size + strlen(name);
	if (fsetxattr(fd, name, value, size, 0) == 0)
		return 0;
	entry_path_quote(path, quoted);
	entry_path_quote(name, quoted_name);
	switch (errno) {
	case EINVAL:
	case ERANGE:
	case E2BIG:
	case ENAMETOOLONG:
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the archive's entry \"%s\" has a bad attribute \"%s\"", quoted,
			quoted_name);
	default:
		return err_sys(err, errno, "set \"%s\" on \"%s\"", quoted_name, quoted);
	}
}

static int apply_acl(int fd, struct archive_entry *entry, int type, const char *name,
	const char *path, uint64_t *bytes, struct err *err)
{
	_Alignas(8) char value[ACL_SIZE_MAX];
	ssize_t size = metadata_encode_acl(entry, type, path, value, sizeof(value), err);

	if (size <= 0)
		return (int)size;
	return set_xattr(fd, name, value, (size_t)size, path, bytes, err);
}

static int apply_xattrs(
	int fd, struct archive_entry *entry, const char *path, uint64_t *bytes, struct err *err)
{
	const char *name;
	const void *value;
	size_t size;

	archive_entry_xattr_reset(entry);
	while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
		int r;

		if (!name || !metadata_keeps_xattr(name, value, size))
			continue;
		r = set_xattr(fd, name, value, size, path, bytes, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int metadata_apply(
	int fd, struct archive_entry *entry, const char *path, uint64_t *bytes, struct err *err)
{
	uid_t uid = (uid_t)archive_entry_uid(entry);
	gid_t gid = (gid_t)archive_entry_gid(entry);
	char quoted[ENTRY_QUOTED_MAX];
	int r;

	/* In this order: a change of owner clears setuid bits and capabilities. */
	if (fchown(fd, uid, gid) < 0)
		return err_sys(
			err, errno, "set the owner of \"%s\"", entry_path_quote(path, quoted));
	if (fchmod(fd, archive_entry_perm(entry) & 07777) < 0)
		return err_sys(
			err, errno, "set the mode of \"%s\"", entry_path_quote(path, quoted));
	r = apply_acl(fd, entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access", path,
		bytes, err);
	if (r == 0 && archive_entry_filetype(entry) == AE_IFDIR)
		r = apply_acl(fd, entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default",
			path, bytes, err);
	return r < 0 ? r : apply_xattrs(fd, entry, path, bytes, err);
}

/* Owner, mode, extended attributes, ACLs and times of an entry. */
#pragma once

#include "base/err.h"

#include <archive_entry.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define ID_MAX 65535 /* an image's ids: what a container's range holds */

/* Refuses ids outside 0 to ID_MAX: -EINVAL, IMAGE_INVALID naming the entry. */
int metadata_check_owner(struct archive_entry *entry, const char *path, struct err *err);

/* The entry's modification time, as utimensat(2) takes it. */
void metadata_times(struct archive_entry *entry, struct timespec ret[static 2]);

/*
 * Sets owner, mode, attributes and ACLs of an open file or directory; *bytes grows by what the
 * attributes take. Kept: user.* (but user.overlay.*, which would steer the overlay on top),
 * security.capability (which the kernel ties to the range) and POSIX ACLs. All else is left out.
 */
int metadata_apply(
	int fd, struct archive_entry *entry, const char *path, uint64_t *bytes, struct err *err);

/* True for an attribute of the archive that is kept. */
int metadata_keeps_xattr(const char *name, const void *value, size_t size);

/*
 * Encodes the entry's POSIX ACL of an ARCHIVE_ENTRY_ACL_TYPE_ as the kernel's attribute (linux/
 * posix_acl_xattr.h). Entries that name somebody without a number are left out. Returns the size,
 * 0 when there is none, -EINVAL with IMAGE_INVALID for a number out of range or too many entries.
 */
ssize_t metadata_encode_acl(struct archive_entry *entry, int type, const char *path, void *out,
	size_t size, struct err *err);

#define ACL_SIZE_MAX (4 + 128 * 8) /* header and 128 entries */

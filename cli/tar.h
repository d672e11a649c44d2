/* Building a tar archive in memory, by base/tar.h. The same calls give the same bytes. */
#pragma once

#include "base/tar.h"
#include "cli/buffer.h"

struct tar {
	struct buffer out; /* the archive, to be taken or finished by the owner */
	int64_t mtime;	   /* of every entry, in seconds since 1970 */
	int error;	   /* 0, -ENAMETOOLONG or -ENOMEM, from the first fault on */
};

/* Paths are relative to the root and have no leading or trailing slash. */
void tar_add_directory(struct tar *tar, const char *path, mode_t mode);
void tar_add_file(struct tar *tar, const char *path, mode_t mode, const void *data, size_t size);
void tar_add_symlink(struct tar *tar, const char *path, const char *target);
/* Ends the archive. Returns 0 or the first fault. */
int tar_end(struct tar *tar);

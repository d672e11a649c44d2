/*
 * Writing a tar archive in memory (POSIX.1-1988 ustar): directories, files and symbolic links that
 * belong to root. The same calls give the same bytes.
 */
#pragma once

#include "cli/buffer.h"

#include <stdint.h>
#include <sys/types.h>

#define TAR_BLOCK    512
#define TAR_PATH_MAX 100 /* of a path or link target: ustar's fields, without its prefix field */

struct tar {
	struct buffer out; /* the archive, to be taken or finished by the owner */
	int64_t mtime;	   /* of every entry, in seconds since 1970 */
	int error;	   /* 0, -ENAMETOOLONG or -ENOMEM, from the first fault on */
};

/* Paths are relative to the root and have no leading or trailing slash. */
void tar_add_directory(struct tar *tar, const char *path, mode_t mode);
void tar_add_file(struct tar *tar, const char *path, mode_t mode, const void *data, size_t size);
void tar_add_symlink(struct tar *tar, const char *path, const char *target);
/*
 * Writes the header alone of such a file, one TAR_BLOCK, for an archive that is not kept in
 * memory: the contents follow, padded with zeros to whole blocks, and two blocks of zeros at the
 * end. Returns 0, or -ENAMETOOLONG also for a file that is too large.
 */
int tar_file_header(void *out, const char *path, mode_t mode, uint64_t size);
/* Ends the archive. Returns 0 or the first fault. */
int tar_end(struct tar *tar);

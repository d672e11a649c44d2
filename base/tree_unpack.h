/*
 * Making files of a tar stream below one directory, which nothing in the archive and no link in the
 * tree can lead out of. Files appear whole or not at all.
 */
#pragma once

#include "base/err.h"
#include "base/tar.h"

#include <stdbool.h>

struct tree_unpack {
	struct tar_reader reader;
	int dirfd; /* the caller's */
	/*
	 * In place of the first component of every name, which then is no link; NULL: as it is, for
	 * an archive whose sender may choose.
	 */
	const char *as;
	mode_t mask; /* of permission bits that are taken over */
	uint64_t entries;
	uint64_t bytes;
	/* The file being written. */
	int parent_fd;
	int file_fd;
	int64_t mtime;
	char name[TAR_PATH_MAX];
	char temporary[32];
	unsigned serial;
};

/*
 * mask: 0777 for what comes from somebody else (no setuid). Directories are always their owner's to
 * enter. Existing files and links are replaced; a directory is not replaced by a file, nor the
 * other way round.
 */
void tree_unpack_init(struct tree_unpack *u, int dirfd, const char *as, mode_t mask);
/*
 * Takes the next bytes of the stream. Returns 0 or -errno: ARCHIVE_DAMAGED, ARCHIVE_UNSAFE (a name
 * with `..` or an absolute one), PATH_BLOCKED (a link or file where a directory should be),
 * NO_SPACE, FILE_FAILED.
 */
int tree_unpack_feed(struct tree_unpack *u, const void *data, size_t size, struct err *err);
/* The stream has ended. -EBADMSG when that was too early. */
int tree_unpack_end(struct tree_unpack *u, struct err *err);
/* Lets go what is open; a file that is not whole goes. */
void tree_unpack_finish(struct tree_unpack *u);

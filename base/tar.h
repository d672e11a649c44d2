/*
 * Tar archives as streams of blocks: POSIX ustar, with pax headers for what does not fit (long
 * names and link targets, sizes above 8 GiB). Directories, files and symbolic links, owned by root.
 *
 * Writing formats headers; the caller moves the bytes. Reading takes bytes as they come, of any
 * size, and calls back; it accepts what this writer writes, and `tar --format=posix`.
 * Source: "ustar Interchange Format" and "pax Interchange Format", POSIX.1-2017, pax.
 */
#pragma once

#include "base/err.h"

#include <linux/limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TAR_BLOCK      512u
#define TAR_PATH_MAX   PATH_MAX /* a name or link target with its terminator */
#define TAR_HEADER_MAX (2 * TAR_BLOCK + TAR_PAX_MAX)
#define TAR_PAX_MAX    (2 * TAR_PATH_MAX + 2 * TAR_BLOCK) /* a multiple of TAR_BLOCK */

enum tar_type { TAR_FILE, TAR_DIRECTORY, TAR_SYMLINK };

struct tar_entry {
	enum tar_type type;
	mode_t mode; /* permission bits, 07777 */
	int64_t mtime;
	uint64_t size;		   /* of a file's content */
	char path[TAR_PATH_MAX];   /* relative, without trailing slash */
	char target[TAR_PATH_MAX]; /* of a symbolic link */
};

/*
 * Formats an entry's header blocks. Returns their size in bytes (a multiple of TAR_BLOCK), or
 * -ENAMETOOLONG for a name that TAR_PATH_MAX does not hold. The content follows, and then
 * tar_padding() zeros.
 */
ssize_t tar_format(const struct tar_entry *entry, uint8_t out[static TAR_HEADER_MAX]);
/* The zeros that fill up the last block of `size` bytes. */
static inline size_t tar_padding(uint64_t size)
{
	return (size_t)(-size & (TAR_BLOCK - 1));
}
/* An archive ends with two blocks of zeros. */
#define TAR_END_SIZE (2 * TAR_BLOCK)

struct tar_reader_ops {
	/* A header. For a file, `size` bytes of data() follow, then end(); for others end(). */
	int (*entry)(void *arg, const struct tar_entry *entry, struct err *err);
	int (*data)(void *arg, const void *data, size_t size, struct err *err);
	int (*end)(void *arg, struct err *err);
};

enum tar_state {
	TAR_STATE_HEADER,
	TAR_STATE_DATA,
	TAR_STATE_PAX,
	TAR_STATE_PADDING,
	TAR_STATE_OVER,
};

/* Private; made by tar_reader_init(). */
struct tar_reader {
	const struct tar_reader_ops *ops;
	void *arg;
	enum tar_state state;
	uint64_t left;	/* bytes of the present state */
	size_t n_block; /* of a header gathered so far */
	size_t n_pax;
	size_t padding;
	bool in_entry; /* entry() was called, end() not yet */
	bool has_path; /* by a pax header, for the next entry */
	bool has_target;
	bool has_size;
	uint64_t pax_size;
	uint8_t block[TAR_BLOCK];
	char pax[TAR_PAX_MAX];
	struct tar_entry entry;
};

void tar_reader_init(struct tar_reader *reader, const struct tar_reader_ops *ops, void *arg);
/*
 * Takes the next bytes. Returns 0, an error of ops, or -EBADMSG with INVALID_ARGUMENT /
 * ARCHIVE_DAMAGED; after an error nothing more may be fed.
 */
int tar_reader_feed(struct tar_reader *reader, const void *data, size_t size, struct err *err);
/* The archive's end has been read: 0; it was cut: -EBADMSG. */
int tar_reader_finish(const struct tar_reader *reader, struct err *err);

/*
 * The files of an archive whose order does not suit: image archives name their parts in a
 * manifest that comes anywhere. They are written one behind the other into a file without a name,
 * which ends with the process, whatever happens.
 */
#pragma once

#include "sandbox/importer/unpack.h"

#define SPOOL_DIGEST_SIZE 32 /* SHA-256 */
#define SPOOL_HEX_SIZE	  (2 * SPOOL_DIGEST_SIZE + 1)

struct spool_file {
	char *name; /* clean, see entry_path.h */
	char *link; /* of a link: the name that it leads to; else NULL */
	uint64_t offset;
	uint64_t size;
	uint8_t digest[SPOOL_DIGEST_SIZE];
};

struct spool {
	int fd;
	uint64_t size;
	struct spool_file *files;
	size_t n;
};

/* root_fd: where there is room for it, an empty directory; it stays empty. */
int spool_open(struct spool *spool, int root_fd, struct err *err);
void spool_close(struct spool *spool);

/*
 * Takes the entry at hand of u->source: a file with its contents, or a link. Others are passed
 * over. -EINVAL (IMAGE_INVALID) for a name that is there already, or too many; -EDQUOT
 * (IMAGE_TOO_LARGE) when all of it is larger than an image may be.
 */
int spool_add(struct spool *spool, struct unpack *u, struct archive_entry *entry, struct err *err);

/* The file of that name, links followed; NULL when there is none. */
const struct spool_file *spool_find(const struct spool *spool, const char *name);

/* Reads up to size bytes of the file from `at` on: their number, 0 at its end, -errno. */
ssize_t spool_read(const struct spool *spool, const struct spool_file *file, uint64_t at, void *buf,
	size_t size);

/* The digest as 64 hexadecimal digits. Returns out. */
const char *spool_hex(
	const uint8_t digest[static SPOOL_DIGEST_SIZE], char out[static SPOOL_HEX_SIZE]);

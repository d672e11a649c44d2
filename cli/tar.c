/*
 * The ustar writer; see tar.h. Errors are sticky and checked once, at the end. It writes only what
 * an image needs; reading archives is croft-importer's, in a process without rights.
 */
#include "cli/tar.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define TYPE_FILE    '0'
#define TYPE_SYMLINK '2'
#define TYPE_DIR     '5'
#define SIZE_MAX_11  UINT64_C(077777777777)

/* "ustar Interchange Format", POSIX.1-2017, pax. */
struct header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6];
	char version[2];
	char user[32];
	char group[32];
	char device_major[8];
	char device_minor[8];
	char prefix[155];
	char pad[12];
};
_Static_assert(sizeof(struct header) == TAR_BLOCK, "a tar header is one block");

static uint8_t *reserve_block(struct tar *tar)
{
	uint8_t *to = tar->error ? NULL : buffer_reserve(&tar->out, TAR_BLOCK);

	if (!to) {
		tar->error = tar->error ? tar->error : -ENOMEM;
		return NULL;
	}
	memset(to, 0, TAR_BLOCK);
	tar->out.end += TAR_BLOCK;
	return to;
}

static void set_checksum(struct header *h)
{
	const uint8_t *bytes = (const uint8_t *)h;
	unsigned sum = 0;

	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += bytes[i];
	/* Six digits, NUL, space. */
	snprintf(h->checksum, sizeof(h->checksum) - 1, "%06o", sum & 0777777);
}

struct entry {
	const char *path;
	const char *link;
	char type;
	mode_t mode;
	uint64_t size;
	int64_t mtime;
};

static bool entry_fits(const struct entry *e)
{
	return strlen(e->path) < TAR_PATH_MAX && strlen(e->link) < TAR_PATH_MAX &&
	       e->size <= SIZE_MAX_11;
}

/* h is all zeros. */
static void fill_header(struct header *h, const struct entry *e)
{
	memcpy(h->name, e->path, strlen(e->path));
	memcpy(h->link, e->link, strlen(e->link));
	snprintf(h->mode, sizeof(h->mode), "%07o", e->mode & 07777);
	snprintf(h->uid, sizeof(h->uid), "%07o", 0);
	snprintf(h->gid, sizeof(h->gid), "%07o", 0);
	snprintf(h->size, sizeof(h->size), "%011" PRIo64, e->size);
	snprintf(h->mtime, sizeof(h->mtime), "%011" PRIo64,
		(uint64_t)(e->mtime > 0 ? e->mtime : 0) & SIZE_MAX_11);
	h->type = e->type;
	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	memcpy(h->user, "root", 4);
	memcpy(h->group, "root", 4);
	set_checksum(h);
}

static void add_header(
	struct tar *tar, const char *path, char type, mode_t mode, uint64_t size, const char *link)
{
	const struct entry e = {path, link, type, mode, size, tar->mtime};
	struct header *h;

	if (!entry_fits(&e) && !tar->error)
		tar->error = -ENAMETOOLONG;
	h = (struct header *)reserve_block(tar);
	if (h)
		fill_header(h, &e);
}

int tar_file_header(void *out, const char *path, mode_t mode, uint64_t size)
{
	const struct entry e = {path, "", TYPE_FILE, mode, size, 0};

	if (!entry_fits(&e))
		return -ENAMETOOLONG;
	memset(out, 0, TAR_BLOCK);
	fill_header(out, &e);
	return 0;
}

void tar_add_directory(struct tar *tar, const char *path, mode_t mode)
{
	char name[TAR_PATH_MAX + 1];

	snprintf(name, sizeof(name), "%s/", path);
	add_header(tar, name, TYPE_DIR, mode, 0, "");
}

void tar_add_file(struct tar *tar, const char *path, mode_t mode, const void *data, size_t size)
{
	static const uint8_t zeros[TAR_BLOCK];

	add_header(tar, path, TYPE_FILE, mode, size, "");
	if (tar->error)
		return;
	tar->error = buffer_append(&tar->out, data, size);
	if (!tar->error)
		tar->error = buffer_append(
			&tar->out, zeros, (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

void tar_add_symlink(struct tar *tar, const char *path, const char *target)
{
	add_header(tar, path, TYPE_SYMLINK, 0777, 0, target);
}

int tar_end(struct tar *tar)
{
	reserve_block(tar);
	reserve_block(tar);
	return tar->error;
}

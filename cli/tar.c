/* An archive in memory; see tar.h. Errors are sticky and checked once, at the end. */
#include "cli/tar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void append(struct tar *tar, const void *data, size_t size)
{
	if (!tar->error && size)
		tar->error = buffer_append(&tar->out, data, size);
}

static void add_header(struct tar *tar, enum tar_type type, const char *path, mode_t mode,
	uint64_t size, const char *target)
{
	struct tar_entry e = {.type = type, .mode = mode, .mtime = tar->mtime, .size = size};
	uint8_t header[TAR_HEADER_MAX];
	ssize_t n = -ENAMETOOLONG;

	if (strlen(path) < sizeof(e.path) && strlen(target) < sizeof(e.target)) {
		strncpy(e.path, path, sizeof(e.path) - 1);
		strncpy(e.target, target, sizeof(e.target) - 1);
		n = tar_format(&e, header);
	}
	if (n < 0 && !tar->error)
		tar->error = (int)n;
	append(tar, header, n < 0 ? 0 : (size_t)n);
}

static void add_zeros(struct tar *tar, size_t size)
{
	static const uint8_t zeros[TAR_END_SIZE];

	append(tar, zeros, size);
}

void tar_add_directory(struct tar *tar, const char *path, mode_t mode)
{
	add_header(tar, TAR_DIRECTORY, path, mode, 0, "");
}

void tar_add_file(struct tar *tar, const char *path, mode_t mode, const void *data, size_t size)
{
	add_header(tar, TAR_FILE, path, mode, size, "");
	append(tar, data, size);
	add_zeros(tar, tar_padding(size));
}

void tar_add_symlink(struct tar *tar, const char *path, const char *target)
{
	add_header(tar, TAR_SYMLINK, path, 0777, 0, target);
}

int tar_end(struct tar *tar)
{
	add_zeros(tar, TAR_END_SIZE);
	return tar->error;
}

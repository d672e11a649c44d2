/*
 * Tar streams as a tenant may answer a pull with: whatever comes, the callbacks come in order, a
 * file gets exactly the bytes that its header said, names are usable, and what is accepted can be
 * written again and read as the same.
 */
#include "base/tar.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct look {
	bool open;
	uint64_t left;
	unsigned entries;
	struct tar_entry *last; /* of an inner reader: what it read */
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

static int keep_entry(void *arg, const struct tar_entry *e, struct err *err)
{
	struct look *look = arg;

	(void)err;
	*look->last = *e;
	look->entries++;
	return 0;
}

static int ignore_data(void *arg, const void *data, size_t size, struct err *err)
{
	(void)arg;
	(void)data;
	(void)size;
	(void)err;
	return 0;
}

static int ignore_end(void *arg, struct err *err)
{
	(void)arg;
	(void)err;
	return 0;
}

static void check_again(const struct tar_entry *e)
{
	static const struct tar_reader_ops ops = {
		.entry = keep_entry, .data = ignore_data, .end = ignore_end};
	struct look look = {.last = calloc(1, sizeof(*e))};
	struct tar_reader *reader = malloc(sizeof(*reader));
	uint8_t *header = malloc(TAR_HEADER_MAX);
	struct err err;
	ssize_t n;

	require(look.last && reader && header);
	n = tar_format(e, header);
	/* A directory's slash may be the one byte too many. */
	require(n > 0 || (n == -ENAMETOOLONG && e->type == TAR_DIRECTORY));
	if (n > 0) {
		tar_reader_init(reader, &ops, &look);
		require(tar_reader_feed(reader, header, (size_t)n, &err) == 0);
		require(look.entries == 1 && look.last->type == e->type);
		require(!strcmp(look.last->path, e->path) && look.last->size == e->size);
		require(e->type != TAR_SYMLINK || !strcmp(look.last->target, e->target));
	}
	free(header);
	free(reader);
	free(look.last);
}

static int on_entry(void *arg, const struct tar_entry *e, struct err *err)
{
	struct look *look = arg;

	(void)err;
	require(!look->open);
	require(e->path[0] && strlen(e->path) < TAR_PATH_MAX);
	require(strlen(e->target) < TAR_PATH_MAX && !(e->mode & ~07777u));
	require(e->type == TAR_FILE || !e->size);
	if (e->type != TAR_SYMLINK || e->target[0])
		check_again(e);
	look->open = true;
	look->left = e->size;
	return 0;
}

static int on_data(void *arg, const void *data, size_t size, struct err *err)
{
	struct look *look = arg;

	(void)data;
	(void)err;
	require(look->open && size && size <= look->left);
	look->left -= size;
	return 0;
}

static int on_end(void *arg, struct err *err)
{
	struct look *look = arg;

	(void)err;
	require(look->open && !look->left);
	look->open = false;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct tar_reader_ops ops = {
		.entry = on_entry, .data = on_data, .end = on_end};
	struct tar_reader *reader = malloc(sizeof(*reader));
	struct look look = {0};
	struct err err = {0};
	size_t piece;
	int r = 0;

	require(reader);
	tar_reader_init(reader, &ops, &look);
	/* The first byte says in how large pieces the rest comes. */
	piece = size ? (size_t)data[0] * 3 + 1 : 1;
	for (size_t at = 1; at < size && r == 0; at += piece)
		r = tar_reader_feed(reader, data + at, size - at < piece ? size - at : piece, &err);
	require(r == 0 || (err.code == ERR_INVALID_ARGUMENT && err.msg[0]));
	if (r == 0 && tar_reader_finish(reader, &err) == 0)
		require(!look.open);
	free(reader);
	return 0;
}

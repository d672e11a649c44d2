/*
 * Layers; see layer.h. Must never unpack a layer whose digest has not been checked, nor remove
 * anything by a whiteout but a single name in a directory of the tree.
 */
#include "sandbox/importer/layer.h"

#include "base/cleanup.h"
#include "sandbox/importer/entry_path.h"
#include "sandbox/importer/whiteout.h"

#include <nettle/sha2.h>
#include <string.h>

#define READ_SIZE (256u << 10)
/* What headers, padding and attributes may take beside the contents, for each entry. */
#define OVERHEAD_PER_ENTRY 4096u

/* A layer in the spool, its decompressed bytes, and the tar that these are. */
struct layer_reader {
	struct unpack *u;
	const struct spool *spool;
	const struct spool_file *file;
	uint64_t at;
	struct source bytes;
	struct source tar;
	struct sha256_ctx sha;
	bool too_large;
	char buffer[READ_SIZE];
};

static ssize_t read_compressed(void *arg, const void **ret_data)
{
	struct layer_reader *l = arg;
	ssize_t n = spool_read(l->spool, l->file, l->at, l->buffer, sizeof(l->buffer));

	if (n > 0)
		l->at += (uint64_t)n;
	*ret_data = l->buffer;
	return n;
}

static uint64_t worked_max(const struct image_limits *limits)
{
	/* Spooled once, read twice. */
	return 3 * limits->bytes + 2 * OVERHEAD_PER_ENTRY * limits->entries;
}

static ssize_t read_bytes(void *arg, const void **ret_data)
{
	struct layer_reader *l = arg;
	la_int64_t offset;
	size_t size;
	int r;

	do
		r = archive_read_data_block(l->bytes.archive, ret_data, &size, &offset);
	while (r == ARCHIVE_OK && size == 0);
	if (r == ARCHIVE_EOF)
		return 0;
	if (r != ARCHIVE_OK)
		return -EBADMSG;
	l->u->worked_bytes += size;
	if (l->u->worked_bytes > worked_max(&l->u->config->limits)) {
		l->too_large = true;
		return -EDQUOT;
	}
	sha256_update(&l->sha, size, *ret_data);
	return (ssize_t)size;
}

/* What went wrong below the tar is told instead of what the tar's reader makes of it. */
static int reader_error(struct layer_reader *l, int r, struct err *err)
{
	if (l->too_large)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "IMAGE_TOO_LARGE",
			"the layer unpacks to more than an image may have");
	if (l->tar.read_error == -EBADMSG)
		return source_error(&l->bytes, err);
	return r;
}

static void reader_close(struct layer_reader *l)
{
	source_close(&l->tar);
	source_close(&l->bytes);
	free(l);
}

static void cleanup_reader(struct layer_reader **l)
{
	if (*l)
		reader_close(*l);
}

static int reader_open(struct unpack *u, const struct spool *spool, const struct spool_file *file,
	struct layer_reader **ret, struct err *err)
{
	_cleanup_(cleanup_reader) struct layer_reader *l = calloc(1, sizeof(*l));
	struct archive_entry *entry;
	int r;

	if (!l)
		return err_oom(err);
	l->u = u;
	l->spool = spool;
	l->file = file;
	sha256_init(&l->sha);
	r = source_open(&l->bytes, SOURCE_BYTES, read_compressed, l, err);
	if (r == 0)
		r = source_next(&l->bytes, &entry, err);
	/* Without an entry there are no bytes: an empty layer, which read_bytes() finds to be one.
	 */
	if (r >= 0)
		r = source_open(&l->tar, SOURCE_PLAIN_TAR, read_bytes, l, err);
	if (r < 0)
		return reader_error(l, r, err);
	*ret = take_ptr(l);
	return 0;
}

/* Reads on behind the tar's end mark: the digest is of all the bytes. */
static int check_digest(struct layer_reader *l, const struct manifest_layer *layer, struct err *err)
{
	uint8_t digest[SPOOL_DIGEST_SIZE];
	char hex[SPOOL_HEX_SIZE];
	const void *data;
	ssize_t n;

	while ((n = read_bytes(l, &data)) > 0)
		;
	if (n < 0) {
		l->tar.read_error = (int)n;
		return reader_error(l, (int)n, err);
	}
	sha256_digest(&l->sha, sizeof(digest), digest);
	if (memcmp(digest, layer->diff_id, sizeof(digest)))
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"it is damaged: its contents do not have the digest %s",
			spool_hex(layer->diff_id, hex));
	return 0;
}

static int scan(struct unpack *u, const struct spool *spool, const struct manifest_layer *layer,
	struct err *err)
{
	_cleanup_(cleanup_reader) struct layer_reader *l = NULL;
	struct archive_entry *entry;
	int r = reader_open(u, spool, layer->file, &l, err);

	if (r < 0)
		return r;
	while ((r = source_next(&l->tar, &entry, err)) > 0) {
		char path[PATH_MAX];

		r = entry_path_clean(archive_entry_pathname(entry), path, err);
		if (r == 0 && whiteout_is(path))
			r = whiteout_apply(&u->tree, path, err);
		if (r == 0)
			r = unpack_tick(u, err);
		if (r < 0)
			return r;
	}
	return r < 0 ? reader_error(l, r, err) : check_digest(l, layer, err);
}

static int unpack(
	struct unpack *u, const struct spool *spool, const struct spool_file *file, struct err *err)
{
	_cleanup_(cleanup_reader) struct layer_reader *l = NULL;
	struct archive_entry *entry;
	int r = reader_open(u, spool, file, &l, err);

	if (r < 0)
		return r;
	u->source = &l->tar;
	while ((r = source_next(&l->tar, &entry, err)) > 0) {
		char path[PATH_MAX];

		r = entry_path_clean(archive_entry_pathname(entry), path, err);
		if (r == 0 && !whiteout_is(path))
			r = unpack_next(u, entry, err);
		if (r < 0)
			break;
	}
	u->source = NULL;
	return r < 0 ? reader_error(l, r, err) : unpack_check_limits(u, err);
}

int layer_apply(struct unpack *u, const struct spool *spool, const struct manifest_layer *layer,
	struct err *err)
{
	int r = scan(u, spool, layer, err);

	tree_forget(&u->tree);
	return r < 0 ? r : unpack(u, spool, layer->file, err);
}

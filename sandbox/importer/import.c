/*
 * Imports; see import.h. Must never decide by the name of a file of the client's, nor hold more
 * than one entry of the archive to decide.
 */
#include "sandbox/importer/import.h"

#include "base/cleanup.h"
#include "base/split_image.h"
#include "sandbox/importer/app_config.h"
#include "sandbox/importer/entry_path.h"
#include "sandbox/importer/init_detect.h"
#include "sandbox/importer/layer.h"
#include "sandbox/importer/lxd.h"
#include "sandbox/importer/manifest.h"
#include "sandbox/importer/spool.h"
#include "sandbox/importer/stream.h"

#include <string.h>

struct import {
	struct unpack unpack;
	struct source source;
	struct archive_entry *root; /* the entry of the root itself, when that comes first */
	struct stream stream;
};

static bool is_hex_name(const char *path)
{
	size_t n;

	/* An id of docker's or a digest: a directory, or ID.json, ID.tar, sha256:ID. */
	if (!strncmp(path, "sha256:", 7))
		path += 7;
	n = strspn(path, "0123456789abcdef");
	return n == 64 && (!path[n] || path[n] == '/' || path[n] == '.');
}

static bool is_layout_name(const char *path)
{
	static const char *const names[] = {
		"blobs", "index.json", "manifest.json", "oci-layout", "repositories"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(path, names[i]))
			return true;
	return !strncmp(path, "blobs/", 6) || is_hex_name(path);
}

/* --- the kinds of image --- */

static int unpack_plain(struct import *i, struct archive_entry *first, struct err *err)
{
	int r = i->root ? unpack_next(&i->unpack, i->root, err) : 0;

	if (r == 0 && first)
		r = unpack_next(&i->unpack, first, err);
	return r < 0 ? r : unpack_rest(&i->unpack, err);
}

static int spool_all(
	struct import *i, struct spool *spool, struct archive_entry *entry, struct err *err)
{
	int r = 1;

	while (r > 0) {
		r = spool_add(spool, &i->unpack, entry, err);
		if (r == 0)
			r = unpack_tick(&i->unpack, err);
		if (r == 0)
			r = source_next(&i->source, &entry, err);
	}
	return r < 0 ? r : source_check_end(&i->source, err);
}

static int apply_layers(
	struct import *i, const struct spool *spool, struct manifest *m, struct err *err)
{
	i->unpack.layered = true;
	for (size_t n = 0; n < m->n_layers; n++) {
		int r = layer_apply(&i->unpack, spool, &m->layers[n], err);

		if (r < 0)
			return err_wrap(err, r, "layer %zu of %zu", n + 1, m->n_layers);
	}
	return 0;
}

static int unpack_layout(struct import *i, struct archive_entry *first,
	struct wire_writer *ret_config, struct err *err)
{
	struct unpack *u = &i->unpack;
	struct manifest m = {0};
	struct spool spool;
	int r = spool_open(&spool, u->tree.root_fd, err);

	if (r == 0)
		r = spool_all(i, &spool, first, err);
	if (r == 0)
		r = manifest_read(&spool, u->config->reference, &m, err);
	if (r == 0)
		r = apply_layers(i, &spool, &m, err);
	if (r == 0) {
		init_detect(u->tree.root_fd, u->report);
		r = app_config_write(&m, &u->tree, u->report, ret_config, err);
	}
	manifest_finish(&m);
	spool_close(&spool);
	return r;
}

static int refuse_reference(const struct import *i, struct err *err)
{
	const char *reference = i->unpack.config->reference;

	if (!reference || !reference[0])
		return 0;
	return err_set_subject(err, ERR_INVALID_ARGUMENT, "IMAGE_NOT_IN_ARCHIVE", "reference",
		"the archive is a single image without a name; import it without --reference");
}

static int unpack_single(
	struct import *i, struct archive_entry *first, const char *path, struct err *err)
{
	struct unpack *u = &i->unpack;
	int r = refuse_reference(i, err);

	if (r < 0)
		return r;
	if (first && !strcmp(path, SPLIT_IMAGE_METADATA))
		r = lxd_unpack_split(u, first, err);
	else if (first && lxd_has_name(path))
		r = lxd_unpack(u, first, err);
	else
		r = unpack_plain(i, first, err);
	if (r == 0 && u->report->entries == 0)
		r = err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID", "the archive is empty");
	if (r == 0)
		r = source_check_end(&i->source, err);
	if (r == 0)
		init_detect(u->tree.root_fd, u->report);
	return r;
}

/* The first entry that has a name. Returns 1 with it and its name, 0 at the end, -errno. */
static int find_first(
	struct import *i, struct archive_entry **ret, char path[static PATH_MAX], struct err *err)
{
	int r;

	while ((r = source_next(&i->source, ret, err)) > 0) {
		r = entry_path_clean(archive_entry_pathname(*ret), path, err);
		if (r < 0)
			return r;
		if (path[0] || archive_entry_filetype(*ret) != AE_IFDIR)
			return 1;
		archive_entry_free(i->root);
		i->root = archive_entry_clone(*ret);
		if (!i->root)
			return err_oom(err);
	}
	return r;
}

static int import(struct import *i, struct wire_writer *ret_config, struct err *err)
{
	struct archive_entry *first = NULL;
	char path[PATH_MAX] = "";
	int r = source_open(&i->source, SOURCE_TAR, stream_read, &i->stream, err);

	i->unpack.source = &i->source;
	if (r == 0)
		r = find_first(i, &first, path, err);
	if (r < 0)
		return r;
	if (r == 0)
		first = NULL;
	if (first && is_layout_name(path))
		return unpack_layout(i, first, ret_config, err);
	return unpack_single(i, first, path, err);
}

int import_run(int root_fd, const struct unpack_config *config, struct image_report *ret,
	struct wire_writer *ret_config, struct err *err)
{
	struct import *i = calloc(1, sizeof(*i));
	int r;

	wire_writer_init(ret_config, IMAGE_CONFIG_BYTES_MAX);
	if (!i)
		return err_oom(err);
	unpack_init(&i->unpack, root_fd, config, ret);
	stream_init(&i->stream, config);
	r = import(i, ret_config, err);
	if (r == 0 || i->stream.is_unknown)
		r = stream_check(&i->stream, err);
	if (r == 0)
		unpack_set_dir_times(&i->unpack);
	ret->config_size = r == 0 ? (uint32_t)ret_config->size : 0;
	unpack_finish(&i->unpack);
	source_close(&i->source);
	archive_entry_free(i->root);
	free(i);
	return r;
}

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

static int unpack_container(struct import *i, struct archive_entry *first, struct err *err)
{
	struct unpack *u = &i->unpack;
	int r = refuse_reference(i, err);

	if (r == 0)
		r = unpack_plain(i, first, err);
	if (r == 0 && u->report->entries == 0)
		r = err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID", "the archive is empty");
	if (r == 0 && !u->several)
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
		/* A container that holds nothing. */
		if (i->root && i->unpack.several) {
			i->unpack.next_root = archive_entry_clone(*ret);
			return i->unpack.next_root ? 0 : err_oom(err);
		}
		archive_entry_free(i->root);
		i->root = archive_entry_clone(*ret);
		if (!i->root)
			return err_oom(err);
	}
	return r;
}

static int check_count(const struct import *i, struct err *err)
{
	uint32_t max = i->unpack.config->limits.snapshots;

	if (!i->unpack.several || i->stream.list.n <= max)
		return 0;
	return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_SNAPSHOTS", "snapshots",
		"the file has %zu snapshots, and %u is the most", i->stream.list.n, max);
}

static int import(struct import *i, struct wire_writer *ret_config, struct err *err)
{
	struct archive_entry *first = NULL;
	char path[PATH_MAX] = "";
	int r = stream_begin(&i->stream, err);

	i->unpack.several = i->stream.has_list && i->unpack.config->limits.snapshots;
	i->unpack.source = &i->source;
	if (r == 0)
		r = check_count(i, err);
	if (r == 0)
		r = source_open(&i->source, i->unpack.several ? SOURCE_TARS : SOURCE_TAR,
			stream_read, &i->stream, err);
	if (r == 0)
		r = find_first(i, &first, path, err);
	if (r < 0)
		return r;
	if (r == 0)
		first = NULL;
	/* A container may hold files of any name. */
	if (i->stream.is_export)
		return unpack_container(i, first, err);
	if (first && is_layout_name(path))
		return unpack_layout(i, first, ret_config, err);
	return unpack_single(i, first, path, err);
}

/* --- its snapshots --- */

/* What a tree may still have of what all of them may have. */
static uint64_t least(uint64_t own, uint64_t all, uint64_t used)
{
	uint64_t left = all > used ? all - used : 0;

	return own < left ? own : left;
}

static int unpack_tree(struct import *i, int root_fd, struct err *err)
{
	const struct unpack_config *config = i->unpack.config;
	struct image_report *total = i->unpack.report;
	struct unpack_config own = *config;
	struct archive_entry *root = i->unpack.next_root;
	struct image_report report;
	struct unpack u;
	int r;

	i->unpack.next_root = NULL;
	own.limits.bytes = least(config->limits.bytes, config->limits.all_bytes, total->bytes);
	own.limits.entries = least(
		config->limits.entries, config->limits.all_entries, total->entries);
	unpack_init(&u, root_fd, &own, &report);
	u.source = &i->source;
	u.several = true;
	u.worked_bytes = total->bytes;
	u.worked_entries = total->entries;
	r = unpack_next(&u, root, err);
	archive_entry_free(root);
	if (r == 0)
		r = unpack_rest(&u, err);
	if (r == 0)
		unpack_set_dir_times(&u);
	total->bytes += report.bytes;
	total->entries += report.entries;
	total->skipped_devices += report.skipped_devices;
	i->unpack.next_root = u.next_root;
	u.next_root = NULL;
	unpack_finish(&u);
	return r;
}

static int unpack_snapshots(struct import *i, struct err *err)
{
	const struct unpack_config *config = i->unpack.config;
	const struct snapshot_list *list = &i->stream.list;

	for (size_t n = 0; n < list->n; n++) {
		_cleanup_close_ int fd = -1;
		int r;

		if (!i->unpack.next_root)
			return err_set(err, ERR_INVALID_ARGUMENT, "EXPORT_DAMAGED",
				"the file holds fewer snapshots than its list");
		fd = config->next_tree(config->arg, i->unpack.report, &list->rows[n]);
		if (fd < 0)
			return err_sys(err, fd, "ask for a snapshot's directory");
		r = unpack_tree(i, fd, err);
		if (r < 0)
			return err_wrap(err, r, "snapshot %s", list->rows[n].name);
	}
	if (!i->unpack.next_root)
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT, "EXPORT_DAMAGED",
		"the file holds more snapshots than its list");
}

/* What is behind the tar that was wanted is only looked at for the checksum. */
static int pass_over_rest(struct import *i, struct err *err)
{
	const uint64_t max = i->unpack.config->limits.bytes;
	uint64_t passed = 0;
	const void *data;
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = stream_read(&i->stream, &data)) != 0) {
		if (n < 0)
			return err_sys(err, (int)n, "read the archive");
		passed += (uint64_t)n;
		i->unpack.worked_bytes += (uint64_t)n;
		if (passed / SNAPSHOT_LIST_MAX > max)
			return err_set(err, ERR_RESOURCE_EXHAUSTED, "IMAGE_TOO_LARGE",
				"what follows the archive in the file is too large");
		r = unpack_tick(&i->unpack, err);
	}
	return r;
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
	if (r == 0 && i->unpack.several)
		r = unpack_snapshots(i, err);
	/* An archive's reader knows no exports, and what it says helps nobody. */
	if (r < 0 && i->source.damaged && i->stream.is_export)
		r = stream_damaged(err);
	if (r == 0 && stream_has_end(&i->stream))
		r = pass_over_rest(i, err);
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

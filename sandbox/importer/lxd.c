/*
 * LXD's and Incus's archives; see lxd.h. What metadata.yaml says (names, dates, templates to fill
 * in) is not followed, so no YAML is parsed. Must never unpack what lies beside rootfs/.
 */
#include "sandbox/importer/lxd.h"

#include "base/cleanup.h"
#include "base/split_image.h"
#include "sandbox/importer/entry_path.h"

#include <string.h>

#define METADATA "metadata.yaml"

static bool is_or_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return !strncmp(path, dir, n) && (!path[n] || path[n] == '/');
}

bool lxd_has_name(const char *path)
{
	return !strcmp(path, METADATA) || is_or_below(path, "templates") ||
	       is_or_below(path, "rootfs") || !strcmp(path, "rootfs.img");
}

static int refuse(struct err *err, const char *path)
{
	char quoted[ENTRY_QUOTED_MAX];

	if (!strcmp(path, "rootfs.img"))
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"this is the image of a virtual machine; take that of a container");
	return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
		"the archive has \"%s\" beside what an LXD image has (" METADATA
		", templates/, rootfs/)",
		entry_path_quote(path, quoted));
}

/* What an archive had. */
struct parts {
	bool metadata;
	bool rootfs;
};

static int take_entry(
	struct unpack *u, struct archive_entry *entry, struct parts *parts, struct err *err)
{
	char path[PATH_MAX];
	int r = entry_path_clean(archive_entry_pathname(entry), path, err);

	if (r < 0)
		return r;
	if (path[0] && (!lxd_has_name(path) || !strcmp(path, "rootfs.img")))
		return refuse(err, path);
	parts->metadata |= !strcmp(path, METADATA);
	parts->rootfs |= is_or_below(path, "rootfs");
	return unpack_next(u, entry, err);
}

static int take_entries(
	struct unpack *u, struct archive_entry *entry, struct parts *parts, struct err *err)
{
	int r = 1;

	u->prefix = "rootfs";
	while (r > 0) {
		r = take_entry(u, entry, parts, err);
		if (r == 0)
			r = source_next(u->source, &entry, err);
	}
	u->prefix = NULL;
	return r < 0 ? r : unpack_check_limits(u, err);
}

int lxd_unpack(struct unpack *u, struct archive_entry *first, struct err *err)
{
	struct parts parts = {0};
	int r = take_entries(u, first, &parts, err);

	if (r < 0)
		return r;
	if (!parts.metadata)
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the archive has all below rootfs/, but no " METADATA
			" as an LXD image does; pack the root file system's own contents");
	if (!parts.rootfs)
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"this is half an LXD image, its metadata; name the archive with the root "
			"file system behind it");
	return 0;
}

/* --- split --- */

struct part {
	struct source *outer;
	struct source tar;
	la_int64_t at;
};

static ssize_t read_part(void *arg, const void **ret_data)
{
	struct part *part = arg;
	la_int64_t offset;
	size_t size;
	int r;

	do
		r = archive_read_data_block(part->outer->archive, ret_data, &size, &offset);
	while (r == ARCHIVE_OK && size == 0);
	if (r == ARCHIVE_EOF)
		return 0;
	/* croft makes no sparse ones. */
	if (r != ARCHIVE_OK || offset != part->at)
		return -EBADMSG;
	part->at += (la_int64_t)size;
	return (ssize_t)size;
}

static void cleanup_part(struct part *part)
{
	source_close(&part->tar);
}

static int check_name(struct archive_entry *entry, const char *expected, struct err *err)
{
	char path[PATH_MAX];

	if (archive_entry_filetype(entry) == AE_IFREG &&
		entry_path_clean(archive_entry_pathname(entry), path, NULL) == 0 &&
		!strcmp(path, expected))
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
		"the two archives of a split image were not sent as croft does");
}

static int unpack_metadata(struct unpack *u, struct source *outer, struct err *err)
{
	_cleanup_(cleanup_part) struct part part = {.outer = outer};
	struct archive_entry *entry;
	struct parts parts = {0};
	int r = source_open(&part.tar, SOURCE_TAR, read_part, &part, err);

	u->source = &part.tar;
	if (r == 0)
		r = source_next(&part.tar, &entry, err);
	if (r > 0)
		r = take_entries(u, entry, &parts, err);
	if (r == 0)
		r = source_check_end(&part.tar, err);
	if (r == 0 && (!parts.metadata || parts.rootfs))
		r = err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			parts.rootfs ? "it has a root file system of its own; import it alone"
				     : "it has no " METADATA);
	return r < 0 ? err_wrap(err, r, "the archive with the metadata") : 0;
}

static int unpack_rootfs(struct unpack *u, struct source *outer, struct err *err)
{
	_cleanup_(cleanup_part) struct part part = {.outer = outer};
	int r = source_open(&part.tar, SOURCE_TAR, read_part, &part, err);

	u->source = &part.tar;
	if (r == 0)
		r = unpack_rest(u, err);
	if (r == 0)
		r = source_check_end(&part.tar, err);
	return r < 0 ? err_wrap(err, r, "the archive with the root file system") : 0;
}

int lxd_unpack_split(struct unpack *u, struct archive_entry *first, struct err *err)
{
	struct source *outer = u->source;
	struct archive_entry *entry;
	int r = check_name(first, SPLIT_IMAGE_METADATA, err);

	if (r == 0)
		r = unpack_metadata(u, outer, err);
	if (r == 0)
		r = source_next(outer, &entry, err);
	if (r >= 0)
		r = r ? check_name(entry, SPLIT_IMAGE_ROOTFS, err)
		      : err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
				"the archive with the root file system is missing");
	if (r == 0)
		r = unpack_rootfs(u, outer, err);
	u->source = outer;
	return r;
}

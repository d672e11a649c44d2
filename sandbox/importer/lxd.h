/* Images of LXD and Incus: a metadata.yaml, templates, and the root file system below rootfs/. */
#pragma once

#include "sandbox/importer/unpack.h"

/* True for a name (clean, see entry_path.h) that such an archive may have. */
bool lxd_has_name(const char *path);

/* Unpacks u->source, whose first entry has been read. metadata.yaml and templates are passed over.
 */
int lxd_unpack(struct unpack *u, struct archive_entry *first, struct err *err);

/*
 * The same of a split image (base/split_image.h): the first entry is the archive with the
 * metadata, the second that with the root file system.
 */
int lxd_unpack_split(struct unpack *u, struct archive_entry *first, struct err *err);

/* Shared by manifest.c, manifest_oci.c, manifest_docker.c and manifest_config.c. */
#pragma once

#include "sandbox/importer/json_doc.h"
#include "sandbox/importer/manifest.h"

/* Parses "sha256:" and 64 hexadecimal digits, or the digits alone. */
bool manifest_parse_digest(const char *text, uint8_t ret[static SPOOL_DIGEST_SIZE]);

/* Adds a layer, whose diff_id the config says later. */
int manifest_add_layer(struct manifest *m, const struct spool_file *file, struct err *err);

/* Reads the image's config: platform, diff_ids of the layers added before, how it is run. */
int manifest_read_config(const struct spool *spool, const struct spool_file *file,
	struct manifest *m, struct err *err);

/* True for the platform of this host, or for one that does not say. */
bool manifest_fits_host(const char *os, const char *architecture);
const char *manifest_host_architecture(void);

int manifest_read_oci(
	const struct spool *spool, const char *reference, struct manifest *m, struct err *err);
int manifest_read_docker(
	const struct spool *spool, const char *reference, struct manifest *m, struct err *err);

/* A list of names for a message, cut when it is long. */
struct manifest_names {
	char text[256];
	size_t n;
};
void manifest_names_add(struct manifest_names *names, const char *name);
/* The refusals of an archive with other than the one image that is asked for. */
int manifest_choose_failed(
	const struct manifest_names *names, const char *reference, struct err *err);

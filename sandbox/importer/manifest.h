/*
 * The manifests of image archives: an OCI image layout, or what `docker save` and `podman save`
 * write. Which layers make up the image, and how it wants to be run.
 */
#pragma once

#include "base/err.h"
#include "sandbox/image_config.h"
#include "sandbox/importer/spool.h"

#define MANIFEST_LAYERS_MAX 512 /* docker's own limit is 127 */

struct manifest_layer {
	const struct spool_file *file;
	uint8_t diff_id[SPOOL_DIGEST_SIZE]; /* of what it holds, decompressed */
};

struct manifest {
	struct manifest_layer *layers; /* the lowest first */
	size_t n_layers;
	/* The command is argv (the entrypoint, then its arguments); empty when there is none. */
	char *argv[IMAGE_CONFIG_ARGS_MAX + 1];
	char *envp[IMAGE_CONFIG_ENV_MAX + 1];
	char *user;
	char *working_dir;
	uint32_t stop_signal; /* 0: not said */
	bool has_entrypoint;
};

/*
 * Finds the image in the archive: the only one, or the one that reference names by its tag or its
 * digest. Digests of what is read are checked; those of layers are not (see layer.h). Returns 0,
 * or -EINVAL: IMAGE_INVALID, IMAGE_AMBIGUOUS (with a list), IMAGE_NOT_IN_ARCHIVE.
 */
int manifest_read(
	const struct spool *spool, const char *reference, struct manifest *ret, struct err *err);
void manifest_finish(struct manifest *manifest);

/* Layers of an image archive, applied one on the other, whiteouts and all. */
#pragma once

#include "sandbox/importer/manifest.h"
#include "sandbox/importer/unpack.h"

/*
 * Applies one layer to what the lower ones made. It is read twice: first its digest is checked and
 * its whiteouts remove what lower layers have, then its files are unpacked; so a whiteout never
 * hides a file of its own layer, wherever in the layer it stands. Returns as unpack_next().
 */
int layer_apply(struct unpack *u, const struct spool *spool, const struct manifest_layer *layer,
	struct err *err);

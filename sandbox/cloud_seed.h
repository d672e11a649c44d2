/*
 * What cloud-init finds in a container: files that croftd has written, handed over in a sealed
 * memfd, which the supervisor passes on unread. Which files they are, and where, the supervisor
 * knows; what is in them only cloud-init reads.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>

#define CLOUD_SEED_BYTES_MAX (128u << 10)
/* DataSourceNoCloud.py: the directory that needs no word on the kernel's command line. */
#define CLOUD_SEED_PATH "/var/lib/cloud/seed/nocloud"

enum cloud_seed_file {
	CLOUD_SEED_USER_DATA,
	CLOUD_SEED_META_DATA,
	CLOUD_SEED_NETWORK,
	CLOUD_SEED_N
};

struct cloud_seed {
	struct {
		const void *data;
		size_t size;
	} files[CLOUD_SEED_N];
};

/* Packs the files. Returns 0 with the memfd the caller's, or -errno. -EMSGSIZE: too large. */
int cloud_seed_pack(const struct cloud_seed *seed, int *ret_fd, struct err *err);

/*
 * Maps such a memfd, refusing one that is malformed or not sealed. The files point into the
 * mapping, which stays as long as the process. Returns 0 or -errno.
 */
int cloud_seed_open(int fd, struct cloud_seed *ret, struct err *err);

/*
 * What a container is given for cloud-init. User data may hold secrets: beside the database and
 * the container only GetCloudInit shows them, never a log, an event or another reply.
 *
 * Immutable and counted, as a copy of a container has the same; what makes each an instance of its
 * own is the container's cloud_id.
 */
#pragma once

#include "server/model.h"

#include "croft/v1/containers.pb-c.h"

#define CLOUD_INIT_BYTES_MAX	    65536u     /* of one container, all parts together */
#define CLOUD_INIT_TENANT_BYTES_MAX (1u << 20) /* of a tenant's containers together */
#define CLOUD_INIT_KEYS_MAX	    64u

enum cloud_part {
	CLOUD_USER_DATA,
	CLOUD_META_DATA,
	CLOUD_NETWORK_CONFIG,
	CLOUD_KEYS,
	CLOUD_PART_N
};

struct cloud_bytes {
	uint8_t *data; /* owned */
	size_t size;
};

struct cloud_init {
	unsigned refs;
	/* The keys: each with a NUL behind it. */
	struct cloud_bytes parts[CLOUD_PART_N];
};

struct cloud_init *cloud_init_ref(struct cloud_init *cloud); /* NULL gives NULL */
void cloud_init_unref(struct cloud_init *cloud);

/* Paths of update masks, in the order of `fields`: the whole, then the parts. */
#define CLOUD_INIT_PATHS                                                                           \
	"cloud_init", "cloud_init.user_data", "cloud_init.meta_data", "cloud_init.network_config", \
		"cloud_init.ssh_keys"
#define CLOUD_INIT_ALL 1u

/*
 * What `tenant`'s container `of` (NULL: a new one), which has `old` (NULL: nothing), is to have
 * after a request that says `msg` of `fields` (1 << index in CLOUD_INIT_PATHS). Returns 0 with *ret
 * the caller's, NULL: nothing; INVALID_ARGUMENT / CLOUD_INIT_INVALID; RESOURCE_EXHAUSTED /
 * CLOUD_INIT_LIMIT when it is more than its tenant may have.
 */
int cloud_init_change(const struct tenant *tenant, const struct container *of,
	struct cloud_init *old, const Croft__V1__CloudInit *msg, unsigned fields,
	struct cloud_init **ret, struct err *err);
/* From a row of the database. */
int cloud_init_make(const struct cloud_bytes parts[static CLOUD_PART_N], struct cloud_init **ret,
	struct err *err);

/* Gives a container what another has, as another instance. RESOURCE_EXHAUSTED / CLOUD_INIT_LIMIT.
 */
int cloud_init_copy(const struct container *from, struct container *to, struct err *err);

/* The container's files, as a memfd for the supervisor, the caller's; -1: it has none. */
int cloud_init_pack(const struct container *container, int *ret_fd, struct err *err);

/* How many keys a part CLOUD_KEYS has. */
uint32_t cloud_init_count_keys(const struct cloud_bytes *keys);
/* What everybody may see of it who sees the container. */
void cloud_init_info(const struct container *container, Croft__V1__CloudInitInfo *out);

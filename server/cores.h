/*
 * Which cores a tenant or container gets: `--cores N` takes the least loaded among those it may
 * have, a list is taken as it is.
 */
#pragma once

#include "base/limits.h"
#include "server/model.h"

/* How many claims there are on each core. */
struct core_load {
	uint32_t claims[LIMITS_CPUS_MAX];
};

/*
 * Chooses n cores of `allowed` with the fewest claims, preferring those in `keep` (its present
 * ones) among equals, then the lowest numbers. Returns 0, or -EINVAL / CORES_UNAVAILABLE when
 * `allowed` has fewer than n.
 */
int cores_choose(const struct core_load *load, const uint64_t allowed[static LIMITS_CPU_WORDS],
	const uint64_t keep[static LIMITS_CPU_WORDS], uint64_t n,
	uint64_t ret[static LIMITS_CPU_WORDS], struct err *err);

/* True when every core of `inner` is in `outer`; an empty `outer` is every core. */
bool cores_within(const uint64_t inner[static LIMITS_CPU_WORDS],
	const uint64_t outer[static LIMITS_CPU_WORDS]);
bool cores_empty(const uint64_t mask[static LIMITS_CPU_WORDS]);

/*
 * Resolves the cores that `limits` asks for: of a tenant among the host's, of a container among its
 * tenant's. ret is all zero when nothing is asked. `self` is left out of the load (NULL: new).
 */
int cores_resolve_tenant(const struct model *model, const uint64_t host[static LIMITS_CPU_WORDS],
	const struct tenant *self, const struct limits *limits,
	uint64_t ret[static LIMITS_CPU_WORDS], struct err *err);
int cores_resolve_container(const struct model *model, const uint64_t host[static LIMITS_CPU_WORDS],
	const uint64_t tenant_cpus[static LIMITS_CPU_WORDS], const struct container *self,
	const struct limits *limits, uint64_t ret[static LIMITS_CPU_WORDS], struct err *err);

/* The limits as the supervisor is to enforce them: cores as a list, no number. */
void container_fill_limits(const struct container *container, struct limits *ret);
void tenant_fill_limits(const struct tenant *tenant, struct limits *ret);

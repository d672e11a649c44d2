/*
 * Which cores a tenant or container gets: `--cores N` takes the least loaded among those it may
 * have, a list is taken as it is, and `--cores auto` takes as many as the CPU limit can keep busy,
 * where the least is promised (placement.h).
 */
#pragma once

#include "base/limits.h"
#include "server/cpu_topology.h"
#include "server/model.h"
#include "server/placement.h"

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
 * tenant's. ret is all zero when nothing is asked. `self` is left out of the load; its present
 * cores are preferred among equals, and a tenant with `auto` keeps as many of them as it can.
 * ret may be where self has them.
 * INVALID_ARGUMENT: CORES_UNAVAILABLE; CORES_UNCOUNTED for `auto` without a CPU limit to count by.
 */
int cores_resolve_tenant(const struct model *model, const struct cpu_topology *host,
	const struct tenant *self, const struct limits *limits,
	uint64_t ret[static LIMITS_CPU_WORDS], struct err *err);
int cores_resolve_container(const struct model *model, const struct cpu_topology *host,
	const uint64_t tenant_cpus[static LIMITS_CPU_WORDS], const struct container *self,
	const struct limits *limits, uint64_t ret[static LIMITS_CPU_WORDS], struct err *err);

/*
 * The cores of a container that starts, into its `cpus`: chosen anew where they are Croft's choice
 * and are no longer all among its tenant's and the host's, or are `auto`; of a list, those that
 * there are now. As above; FAILED_PRECONDITION / CORES_OFFLINE when there is none of them.
 */
int cores_resolve_start(const struct model *model, const struct cpu_topology *host,
	struct container *self, struct err *err);
/*
 * The same of a tenant in which nothing runs, when the host may have others since it last did. A
 * list stays as it is: the supervisor takes what there is of it.
 */
int cores_resolve_boot(const struct model *model, const struct cpu_topology *host,
	struct tenant *tenant, struct err *err);

bool cores_is_auto(const struct limits *limits);
/* Of a plan: CORES_UNCOUNTED, as what is on it could not be placed. */
int cores_check_plan(const struct limits *limits, struct err *err);
/* The CPU limit that holds for a container with those limits: its tenant's where it has none. */
uint64_t cores_quota(const struct tenant *tenant, const struct limits *limits);
/* True when the cores that a container has are what `auto` makes of these limits, if maybe not the
 * best there are. */
bool cores_fit(const struct cpu_topology *host, const struct container *container,
	const struct limits *limits);

/* The choice for a container with `auto`, p counting everybody but it. As the above. */
int cores_choose_auto(const struct cpu_topology *host, const struct container *container,
	const struct placement *p, uint64_t ret[static LIMITS_CPU_WORDS], struct err *err);

/*
 * What is promised of each CPU to all containers that may run now, but for `self`: to one its
 * quota, over the cores that it has; to one without a quota the cores that it is pinned to, and
 * without either nothing. All of a tenant's together are promised no more than the tenant is.
 */
void cores_promised(const struct model *model, const struct cpu_topology *host,
	const struct container *self, struct placement *ret);
/* What is promised to a tenant's containers before that bound; and to one of them, by that sum. In
 * thousandths. */
uint64_t cores_promised_to_all(const struct tenant *tenant);
uint64_t cores_promised_to(const struct container *container, uint64_t to_all);

/* The limits as the supervisor is to enforce them: cores as a list, no number. */
void container_fill_limits(const struct container *container, struct limits *ret);
void tenant_fill_limits(const struct tenant *tenant, struct limits *ret);

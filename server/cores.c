/* The choice of cores; see cores.h. Pure but for reading the model. */
#include "server/cores.h"

#include "base/cleanup.h"
#include "server/abuse.h"
#include "server/allowance_period.h"
#include "server/container_state.h"

#include <inttypes.h>
#include <string.h>

static bool has(const uint64_t mask[static LIMITS_CPU_WORDS], unsigned cpu)
{
	return mask[cpu / 64] >> (cpu % 64) & 1;
}

bool cores_empty(const uint64_t mask[static LIMITS_CPU_WORDS])
{
	for (int i = 0; i < LIMITS_CPU_WORDS; i++)
		if (mask[i])
			return false;
	return true;
}

bool cores_within(const uint64_t inner[static LIMITS_CPU_WORDS],
	const uint64_t outer[static LIMITS_CPU_WORDS])
{
	if (cores_empty(outer))
		return true;
	for (int i = 0; i < LIMITS_CPU_WORDS; i++)
		if (inner[i] & ~outer[i])
			return false;
	return true;
}

/* The better of the cores not taken yet, or LIMITS_CPUS_MAX when none is left. */
static unsigned best_core(const struct core_load *load,
	const uint64_t allowed[static LIMITS_CPU_WORDS],
	const uint64_t keep[static LIMITS_CPU_WORDS], const uint64_t taken[static LIMITS_CPU_WORDS])
{
	unsigned best = LIMITS_CPUS_MAX;

	for (unsigned cpu = 0; cpu < LIMITS_CPUS_MAX; cpu++) {
		if (!has(allowed, cpu) || has(taken, cpu))
			continue;
		if (best == LIMITS_CPUS_MAX || load->claims[cpu] < load->claims[best] ||
			(load->claims[cpu] == load->claims[best] && has(keep, cpu) &&
				!has(keep, best)))
			best = cpu;
	}
	return best;
}

int cores_choose(const struct core_load *load, const uint64_t allowed[static LIMITS_CPU_WORDS],
	const uint64_t keep[static LIMITS_CPU_WORDS], uint64_t n,
	uint64_t ret[static LIMITS_CPU_WORDS], struct err *err)
{
	uint64_t taken[LIMITS_CPU_WORDS] = {0};

	for (uint64_t i = 0; i < n; i++) {
		unsigned cpu = best_core(load, allowed, keep, taken);

		if (cpu == LIMITS_CPUS_MAX)
			return err_set_subject(err, ERR_INVALID_ARGUMENT, "CORES_UNAVAILABLE",
				"cores",
				"%" PRIu64 " cores are asked for, but there are only %" PRIu64, n,
				i);
		taken[cpu / 64] |= UINT64_C(1) << (cpu % 64);
	}
	memcpy(ret, taken, sizeof(taken));
	return 0;
}

static void add_claims(struct core_load *load, const uint64_t mask[static LIMITS_CPU_WORDS])
{
	for (unsigned cpu = 0; cpu < LIMITS_CPUS_MAX; cpu++)
		load->claims[cpu] += has(mask, cpu);
}

/* Checks a list against what there is, and copies it. */
static int take_list(const struct limits *limits, const uint64_t allowed[static LIMITS_CPU_WORDS],
	const char *whose, uint64_t ret[static LIMITS_CPU_WORDS], struct err *err)
{
	if (!cores_within(limits->core_mask, allowed))
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "CORES_UNAVAILABLE", "cores",
			"the cores asked for are not all among %s", whose);
	memcpy(ret, limits->core_mask, sizeof(limits->core_mask));
	return 0;
}

bool cores_is_auto(const struct limits *limits)
{
	return limits->value[LIMIT_CORES] == LIMIT_CORES_AUTO;
}

uint64_t cores_quota(const struct tenant *tenant, const struct limits *limits)
{
	if (limits->value[LIMIT_CPU] != LIMIT_UNSET || !tenant)
		return limits->value[LIMIT_CPU];
	return tenant->limits.value[LIMIT_CPU];
}

static void both_of(const uint64_t a[static LIMITS_CPU_WORDS],
	const uint64_t b[static LIMITS_CPU_WORDS], uint64_t ret[static LIMITS_CPU_WORDS])
{
	for (int i = 0; i < LIMITS_CPU_WORDS; i++)
		ret[i] = a[i] & b[i];
}

/* Those of a tenant that can be chosen now. */
static void choosable(const struct cpu_topology *host,
	const uint64_t tenant_cpus[static LIMITS_CPU_WORDS], uint64_t ret[static LIMITS_CPU_WORDS])
{
	both_of(cores_empty(tenant_cpus) ? host->usable : tenant_cpus, host->usable, ret);
}

/* --- what is promised --- */

static void init_placement(const struct cpu_topology *host, struct placement *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (unsigned cpu = 0; cpu < LIMITS_CPUS_MAX; cpu++)
		ret->cpu[cpu].package = host->package[cpu];
}

/* Of a quota, as much as fits on the cores that it is held to. */
static uint64_t promise(uint64_t quota, const uint64_t cpus[static LIMITS_CPU_WORDS])
{
	uint64_t most = UINT64_C(1000) * limits_count_cores(cpus);

	if (quota == LIMIT_UNSET)
		return most;
	return most && quota > most ? most : quota;
}

static uint64_t container_promise(const struct container *c)
{
	if (!container_state_is_live(c->state))
		return 0;
	return promise(cores_quota(c->tenant, &c->limits), c->cpus);
}

uint64_t cores_promised_to_all(const struct tenant *tenant)
{
	struct map_node *node;
	uint64_t sum = 0;

	MAP_FOREACH(node, &tenant->containers)
	sum += container_promise(map_object(node, struct container, by_name));
	return sum;
}

uint64_t cores_promised_to(const struct container *container, uint64_t to_all)
{
	uint64_t most = container->tenant->limits.value[LIMIT_CPU];
	uint64_t own = container_promise(container);

	return most != LIMIT_UNSET && to_all > most ? own * most / to_all : own;
}

static void add_promises(const struct tenant *t, const struct cpu_topology *host,
	const struct container *self, struct placement *p)
{
	const uint64_t *outer = cores_empty(t->cpus) ? host->usable : t->cpus;
	uint64_t to_all = cores_promised_to_all(t);
	struct map_node *node;

	MAP_FOREACH(node, &t->containers)
	{
		const struct container *c = map_object(node, struct container, by_name);

		if (c != self && container_state_is_live(c->state))
			placement_add(p, cores_empty(c->cpus) ? outer : c->cpus,
				cores_promised_to(c, to_all));
	}
}

void cores_promised(const struct model *model, const struct cpu_topology *host,
	const struct container *self, struct placement *ret)
{
	struct map_node *node;

	init_placement(host, ret);
	MAP_FOREACH(node, &model->tenants)
	add_promises(map_object(node, struct tenant, by_name), host, self, ret);
}

/* The same of tenants: each is promised its quota, on the cores that it has. */
static void promised_to_tenants(const struct model *model, const struct cpu_topology *host,
	const struct tenant *self, struct placement *ret)
{
	struct map_node *node;

	init_placement(host, ret);
	MAP_FOREACH(node, &model->tenants)
	{
		const struct tenant *t = map_object(node, struct tenant, by_name);

		if (t != self)
			placement_add(ret, cores_empty(t->cpus) ? host->usable : t->cpus,
				promise(t->limits.value[LIMIT_CPU], t->cpus));
	}
}

/* --- auto --- */

static int uncounted(const char *who, struct err *err)
{
	return err_set_subject(err, ERR_INVALID_ARGUMENT, "CORES_UNCOUNTED", "cores",
		"cores auto counts by the CPU limit, and %s; give a cpu limit as well, or a "
		"number of cores",
		who);
}

int cores_check_plan(const struct limits *limits, struct err *err)
{
	if (!cores_is_auto(limits) || limits->value[LIMIT_CPU] != LIMIT_UNSET)
		return 0;
	return uncounted("the plan has none", err);
}

static int check_auto(const uint64_t allowed[static LIMITS_CPU_WORDS], uint64_t quota,
	const char *who, struct err *err)
{
	if (quota == LIMIT_UNSET)
		return uncounted(who, err);
	if (cores_empty(allowed))
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "CORES_UNAVAILABLE", "cores",
			"none of the cores that it may have is online");
	return 0;
}

/*
 * A tenant's cores hold its containers, so it gives up only what it has too many of, and takes
 * only what it lacks.
 */
static int resolve_auto_tenant(const struct model *model, const struct cpu_topology *host,
	const struct tenant *self, const struct limits *limits,
	uint64_t ret[static LIMITS_CPU_WORDS], struct err *err)
{
	uint64_t quota = limits->value[LIMIT_CPU];
	uint64_t have[LIMITS_CPU_WORDS];
	uint64_t more[LIMITS_CPU_WORDS];
	struct placement p;
	unsigned n_have;
	unsigned n;
	int r = check_auto(host->usable, quota, "the tenant has none", err);

	if (r < 0)
		return r;
	both_of(self->cpus, host->usable, have);
	n_have = limits_count_cores(have);
	n = placement_count(quota, limits_count_cores(host->usable));
	promised_to_tenants(model, host, self, &p);
	if (n_have >= n) {
		placement_choose(&p, have, have, n, ret);
		return 0;
	}
	for (int i = 0; i < LIMITS_CPU_WORDS; i++)
		more[i] = host->usable[i] & ~have[i];
	placement_choose(&p, more, have, n - n_have, more);
	for (int i = 0; i < LIMITS_CPU_WORDS; i++)
		ret[i] = have[i] | more[i];
	return 0;
}

static int choose_for_container(const uint64_t allowed[static LIMITS_CPU_WORDS],
	const struct container *self, const struct limits *limits, const struct placement *p,
	uint64_t ret[static LIMITS_CPU_WORDS], struct err *err)
{
	uint64_t quota = cores_quota(self->tenant, limits);
	int r = check_auto(allowed, quota, "neither the container nor its tenant has one", err);

	if (r == 0)
		placement_choose(p, allowed, self->cpus,
			placement_count(quota, limits_count_cores(allowed)), ret);
	return r;
}

static int resolve_auto_container(const struct model *model, const struct cpu_topology *host,
	const uint64_t allowed[static LIMITS_CPU_WORDS], const struct container *self,
	const struct limits *limits, uint64_t ret[static LIMITS_CPU_WORDS], struct err *err)
{
	struct placement p;

	cores_promised(model, host, self, &p);
	return choose_for_container(allowed, self, limits, &p, ret, err);
}

int cores_choose_auto(const struct cpu_topology *host, const struct container *container,
	const struct placement *p, uint64_t ret[static LIMITS_CPU_WORDS], struct err *err)
{
	uint64_t allowed[LIMITS_CPU_WORDS];

	choosable(host, container->tenant->cpus, allowed);
	return choose_for_container(allowed, container, &container->limits, p, ret, err);
}

bool cores_fit(const struct cpu_topology *host, const struct container *container,
	const struct limits *limits)
{
	uint64_t quota = cores_quota(container->tenant, limits);
	uint64_t allowed[LIMITS_CPU_WORDS];

	choosable(host, container->tenant->cpus, allowed);
	return cores_is_auto(limits) && quota != LIMIT_UNSET && !cores_empty(allowed) &&
	       cores_within(container->cpus, allowed) &&
	       limits_count_cores(container->cpus) ==
		       placement_count(quota, limits_count_cores(allowed));
}

/* --- what is asked for --- */

static int take_none(uint64_t ret[static LIMITS_CPU_WORDS])
{
	memset(ret, 0, sizeof(uint64_t[LIMITS_CPU_WORDS]));
	return 0;
}

int cores_resolve_tenant(const struct model *model, const struct cpu_topology *host,
	const struct tenant *self, const struct limits *limits,
	uint64_t ret[static LIMITS_CPU_WORDS], struct err *err)
{
	struct core_load load = {0};
	struct map_node *node;

	if (limits_has_core_mask(limits))
		return take_list(limits, host->usable, "the host's", ret, err);
	if (limits->value[LIMIT_CORES] == LIMIT_UNSET)
		return take_none(ret);
	if (cores_is_auto(limits))
		return resolve_auto_tenant(model, host, self, limits, ret, err);
	MAP_FOREACH(node, &model->tenants)
	{
		const struct tenant *t = map_object(node, struct tenant, by_name);

		if (t != self)
			add_claims(&load, t->cpus);
	}
	return cores_choose(&load, host->usable, self->cpus, limits->value[LIMIT_CORES], ret, err);
}

int cores_resolve_container(const struct model *model, const struct cpu_topology *host,
	const uint64_t tenant_cpus[static LIMITS_CPU_WORDS], const struct container *self,
	const struct limits *limits, uint64_t ret[static LIMITS_CPU_WORDS], struct err *err)
{
	const uint64_t *outer = cores_empty(tenant_cpus) ? host->usable : tenant_cpus;
	uint64_t allowed[LIMITS_CPU_WORDS];
	struct core_load load = {0};
	struct container *c = NULL;

	if (limits_has_core_mask(limits))
		return take_list(limits, outer, "the tenant's", ret, err);
	if (limits->value[LIMIT_CORES] == LIMIT_UNSET)
		return take_none(ret);
	choosable(host, tenant_cpus, allowed);
	if (cores_is_auto(limits))
		return resolve_auto_container(model, host, allowed, self, limits, ret, err);
	/* A neighbour's containers load a core as much as the tenant's own. */
	while ((c = model_next_container(model, c)))
		if (c != self)
			add_claims(&load, c->cpus);
	return cores_choose(&load, allowed, self->cpus, limits->value[LIMIT_CORES], ret, err);
}

static void fill(const struct limits *limits, const uint64_t cpus[static LIMITS_CPU_WORDS],
	struct limits *ret)
{
	*ret = *limits;
	ret->value[LIMIT_CORES] = LIMIT_UNSET;
	memcpy(ret->core_mask, cpus, sizeof(ret->core_mask));
}

/*
 * The list may be older than a boot, so those that there are now will do; but one that was pinned
 * to one core is not to run on all others.
 */
static int take_present(const struct cpu_topology *host, const struct container *self,
	uint64_t ret[static LIMITS_CPU_WORDS], struct err *err)
{
	uint64_t present[LIMITS_CPU_WORDS];
	char asked[128];
	int r = take_list(&self->limits, self->tenant->cpus, "the tenant's", present, err);

	if (r < 0)
		return r;
	if (!cores_empty(host->usable))
		both_of(present, host->usable, present);
	if (cores_empty(present))
		return err_set_subject(err, ERR_FAILED_PRECONDITION, "CORES_OFFLINE", "cores",
			"it is pinned to cores %.80s, none of which is there now; give it others "
			"(set --cores), or none",
			limits_format_cores(self->limits.core_mask, asked, sizeof(asked)));
	memcpy(ret, present, sizeof(present));
	return 0;
}

int cores_resolve_start(const struct model *model, const struct cpu_topology *host,
	struct container *self, struct err *err)
{
	if (limits_has_core_mask(&self->limits))
		return take_present(host, self, self->cpus, err);
	if (!cores_is_auto(&self->limits) && !cores_empty(self->cpus) &&
		cores_within(self->cpus, self->tenant->cpus) &&
		cores_within(self->cpus, host->usable))
		return 0;
	return cores_resolve_container(
		model, host, self->tenant->cpus, self, &self->limits, self->cpus, err);
}

int cores_resolve_boot(const struct model *model, const struct cpu_topology *host,
	struct tenant *tenant, struct err *err)
{
	struct map_node *node;

	if (limits_has_core_mask(&tenant->limits) || cores_within(tenant->cpus, host->usable))
		return 0;
	MAP_FOREACH(node, &tenant->containers)
	if (container_state_is_live(map_object(node, struct container, by_name)->state))
		return 0;
	return cores_resolve_tenant(model, host, tenant, &tenant->limits, tenant->cpus, err);
}

static void take_down(uint64_t *value, uint64_t to)
{
	if (to < *value)
		*value = to;
}

/* What is left of limits, of which the whole CPU is `milli`; without any there is nothing to part.
 */
static void throttle_limits(
	const struct abuse_throttle *throttle, uint64_t milli, struct limits *ret)
{
	uint64_t least = limit_rule(LIMIT_CPU)->min;
	uint64_t part;

	if (throttle->cpu_percent && milli != LIMIT_UNSET) {
		part = milli * throttle->cpu_percent / 100;
		take_down(&ret->value[LIMIT_CPU], part < least ? least : part);
	}
	if (throttle->rate_in)
		take_down(&ret->value[LIMIT_RATE_IN], throttle->rate_in);
	if (throttle->rate_out)
		take_down(&ret->value[LIMIT_RATE_OUT], throttle->rate_out);
}

void container_fill_limits(const struct container *container, struct limits *ret)
{
	const struct abuse_throttle *throttle = abuse_throttle_of(container->abuse);

	fill(&container->limits, container->cpus, ret);
	if (throttle)
		throttle_limits(throttle, cores_quota(container->tenant, &container->limits), ret);
}

void tenant_fill_limits(const struct tenant *tenant, struct limits *ret)
{
	const struct abuse_throttle *throttle = abuse_throttle_of(tenant->abuse);
	static const enum limit_id rates[] = {LIMIT_RATE_IN, LIMIT_RATE_OUT};
	uint64_t slowed = allowance_rate(tenant);

	fill(&tenant->limits, tenant->cpus, ret);
	for (size_t i = 0; i < ARRAY_SIZE(rates); i++)
		if (slowed < ret->value[rates[i]])
			ret->value[rates[i]] = slowed;
	if (throttle)
		throttle_limits(throttle, LIMIT_UNSET, ret);
	if (tenant->disk_unenforced)
		ret->value[LIMIT_DISK] = LIMIT_UNSET;
}

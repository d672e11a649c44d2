/* The choice of cores; see cores.h. Pure but for reading the model. */
#include "server/cores.h"

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

int cores_resolve_tenant(const struct model *model, const uint64_t host[static LIMITS_CPU_WORDS],
	const struct tenant *self, const struct limits *limits,
	uint64_t ret[static LIMITS_CPU_WORDS], struct err *err)
{
	static const uint64_t none[LIMITS_CPU_WORDS];
	struct core_load load = {0};
	struct map_node *node;

	memset(ret, 0, sizeof(none));
	if (limits_has_core_mask(limits))
		return take_list(limits, host, "the host's", ret, err);
	if (limits->value[LIMIT_CORES] == LIMIT_UNSET)
		return 0;
	MAP_FOREACH(node, &model->tenants)
	{
		const struct tenant *t = map_object(node, struct tenant, by_name);

		if (t != self)
			add_claims(&load, t->cpus);
	}
	return cores_choose(
		&load, host, self ? self->cpus : none, limits->value[LIMIT_CORES], ret, err);
}

int cores_resolve_container(const struct model *model, const uint64_t host[static LIMITS_CPU_WORDS],
	const uint64_t tenant_cpus[static LIMITS_CPU_WORDS], const struct container *self,
	const struct limits *limits, uint64_t ret[static LIMITS_CPU_WORDS], struct err *err)
{
	static const uint64_t none[LIMITS_CPU_WORDS];
	const uint64_t *allowed = cores_empty(tenant_cpus) ? host : tenant_cpus;
	struct core_load load = {0};
	struct container *c = NULL;

	memset(ret, 0, sizeof(none));
	if (limits_has_core_mask(limits))
		return take_list(limits, allowed, "the tenant's", ret, err);
	if (limits->value[LIMIT_CORES] == LIMIT_UNSET)
		return 0;
	/* A neighbour's containers load a core as much as the tenant's own. */
	while ((c = model_next_container(model, c)))
		if (c != self)
			add_claims(&load, c->cpus);
	return cores_choose(
		&load, allowed, self ? self->cpus : none, limits->value[LIMIT_CORES], ret, err);
}

static void fill(const struct limits *limits, const uint64_t cpus[static LIMITS_CPU_WORDS],
	struct limits *ret)
{
	*ret = *limits;
	ret->value[LIMIT_CORES] = LIMIT_UNSET;
	memcpy(ret->core_mask, cpus, sizeof(ret->core_mask));
}

void container_fill_limits(const struct container *container, struct limits *ret)
{
	fill(&container->limits, container->cpus, ret);
}

void tenant_fill_limits(const struct tenant *tenant, struct limits *ret)
{
	fill(&tenant->limits, tenant->cpus, ret);
	if (tenant->disk_unenforced)
		ret->value[LIMIT_DISK] = LIMIT_UNSET;
}

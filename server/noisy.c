/* Judging a window; see noisy.h. Never accuses anybody of what a limit explains. */
#include "server/noisy.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WHOLE 10000u /* ten-thousandths */

/* Who uses less, and does not wait either, does not want any. */
static const uint64_t some_use[STALL_N] = {
	[STALL_CPU] = 10, [STALL_MEMORY] = 1, [STALL_IO] = NOISY_REQUEST_BYTES};

static uint64_t part_of(uint64_t whole, uint64_t part, uint64_t of)
{
	return of ? (uint64_t)((unsigned __int128)whole * part / of) : 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint32_t permyriad(uint64_t part, uint64_t of)
{
	return (uint32_t)least(part_of(WHOLE, part, of), WHOLE);
}

static uint64_t waited(const struct noisy_container *c, enum stall of)
{
	return c->waited_usec[of] == STALLS_UNKNOWN ? 0
						    : least(c->waited_usec[of], c->interval_usec);
}

static bool competes(const struct noisy_container *c, enum stall of)
{
	return c->used[of] >= some_use[of] || waited(c, of) * 100 > c->interval_usec;
}

/* --- What everybody used ---------------------------------------------------------------------- */

static const uint64_t *cpus_of(const struct noisy_scene *scene, const struct noisy_container *c)
{
	return c && c->cpus ? c->cpus : scene->cpus;
}

static unsigned common_cpus(const uint64_t *a, const uint64_t *b)
{
	uint64_t both[LIMITS_CPU_WORDS];

	for (size_t i = 0; i < LIMITS_CPU_WORDS; i++)
		both[i] = a[i] & b[i];
	return limits_count_cores(both);
}

/* The next CPU of a mask behind `cpu` (-1: the first); LIMITS_CPUS_MAX: there is none. */
static int next_cpu(const uint64_t *cpus, int cpu)
{
	for (int at = cpu + 1; at < LIMITS_CPUS_MAX; at = (at / 64 + 1) * 64) {
		uint64_t left = cpus[at / 64] >> at % 64;

		if (left)
			return at + __builtin_ctzll(left);
	}
	return LIMITS_CPUS_MAX;
}

#define FOR_EACH_CPU(cpu, cpus)                                                                    \
	for (int cpu = next_cpu(cpus, -1); cpu < LIMITS_CPUS_MAX; cpu = next_cpu(cpus, cpu))

/* An equal share to each CPU: which of them it was on nobody counts. */
static void add_load(struct noisy_scene *scene, const struct noisy_container *c, uint64_t used)
{
	const uint64_t *cpus = cpus_of(scene, c);
	unsigned n = limits_count_cores(cpus);

	FOR_EACH_CPU(cpu, cpus)
	scene->load[cpu] += used * 1000 / n;
}

static uint64_t load_on(const struct noisy_scene *scene, const uint64_t *cpus)
{
	uint64_t load = 0;

	FOR_EACH_CPU(cpu, cpus)
	load += scene->load[cpu];
	return load / 1000;
}

static void clear_sums(struct noisy_scene *scene)
{
	memset(scene->used, 0, sizeof(scene->used));
	memset(scene->competing, 0, sizeof(scene->competing));
	memset(scene->load, 0, sizeof(scene->load));
	for (size_t i = 0; i < scene->n_tenants; i++) {
		memset(scene->tenants[i].used, 0, sizeof(scene->tenants[i].used));
		memset(scene->tenants[i].competing, 0, sizeof(scene->tenants[i].competing));
	}
}

static void sum_up(struct noisy_scene *scene)
{
	clear_sums(scene);
	for (size_t i = 0; i < scene->n; i++) {
		const struct noisy_container *c = &scene->containers[i];
		struct noisy_tenant *t = &scene->tenants[c->tenant];

		for (int of = 0; of < STALL_N; of++) {
			t->used[of] += c->used[of];
			if (competes(c, (enum stall)of))
				t->competing[of] += c->weight[of];
		}
		add_load(scene, c, c->used[STALL_CPU]);
	}
	add_load(scene, NULL, scene->outside[STALL_CPU]);
	for (size_t i = 0; i < scene->n_tenants; i++) {
		const struct noisy_tenant *t = &scene->tenants[i];

		for (int of = 0; of < STALL_N; of++) {
			scene->used[of] += t->used[of];
			if (t->competing[of])
				scene->competing[of] += t->weight[of];
		}
	}
}

/* --- One that waited -------------------------------------------------------------------------- */

/* Where it waited: for what its tenant has in all, or for what the host has. */
struct place {
	const struct noisy_scene *scene;
	const struct noisy_container *victim;
	enum stall of;
	bool in_tenant;
};

/* What of an amount was where the victim waited. one NULL: of others than containers. */
static uint64_t in_the_way(
	const struct place *p, const struct noisy_container *one, uint64_t amount)
{
	const uint64_t *own;
	const uint64_t *theirs;

	if (p->in_tenant)
		return one && one->tenant == p->victim->tenant ? amount : 0;
	if (p->of != STALL_CPU)
		return amount;
	own = cpus_of(p->scene, p->victim);
	theirs = cpus_of(p->scene, one);
	if (own == theirs)
		return amount;
	return part_of(amount, common_cpus(own, theirs), limits_count_cores(theirs));
}

static uint64_t total(const struct place *p)
{
	if (p->in_tenant)
		return p->scene->tenants[p->victim->tenant].used[p->of];
	if (p->of == STALL_CPU)
		return load_on(p->scene, cpus_of(p->scene, p->victim));
	return p->scene->used[p->of] + p->scene->outside[p->of];
}

/* What they would have if everybody who wants some had as much as weights and limits say. */
static uint64_t fair_of_tenant(const struct place *p, const struct noisy_tenant *t)
{
	uint64_t whole = p->scene->capacity[p->of];

	if (p->of == STALL_IO)
		whole = p->in_tenant ? t->used[p->of] : p->scene->used[p->of];
	else if (p->in_tenant)
		whole = t->most[p->of];
	if (p->in_tenant)
		return whole;
	return least(part_of(whole, t->weight[p->of], p->scene->competing[p->of]), t->most[p->of]);
}

static uint64_t fair(const struct place *p, const struct noisy_container *one)
{
	const struct noisy_tenant *t = &p->scene->tenants[one->tenant];

	return least(part_of(fair_of_tenant(p, t), one->weight[p->of], t->competing[p->of]),
		one->most[p->of]);
}

/* How long others held it up, of a time that it waited in this place. */
static uint64_t held_up(const struct place *p, uint64_t usec)
{
	uint64_t all = usec ? total(p) : 0;
	uint64_t own = least(p->victim->used[p->of], all);

	/* Where nobody used anything, it was nobody that is known. */
	if (!all)
		return p->in_tenant ? 0 : usec;
	return part_of(usec, all - own, all);
}

/* How long it waited for its tenant's limit, and for the host; its own limits come first. */
static void split(const struct noisy_scene *scene, const struct noisy_container *c, enum stall of,
	uint64_t *ret_tenant, uint64_t *ret_host)
{
	const struct noisy_tenant *t = &scene->tenants[c->tenant];
	uint64_t left = waited(c, of);

	*ret_tenant = 0;
	if (of == STALL_CPU) {
		left -= least(left, c->held_usec);
		*ret_tenant = least(left, t->held_usec);
	} else if (c->at_limit[of]) {
		left = 0;
	} else if (t->at_limit[of]) {
		*ret_tenant = left;
	}
	*ret_host = left - *ret_tenant;
}

/* --- Culprits --------------------------------------------------------------------------------- */

static bool is_own(const struct place *p, const struct noisy_culprit *culprit)
{
	return culprit->who != NOISY_OUTSIDE && culprit->tenant == p->victim->tenant;
}

static bool comes_before(
	const struct place *p, const struct noisy_culprit *a, const struct noisy_culprit *b)
{
	return is_own(p, a) == is_own(p, b) ? a->share > b->share : is_own(p, b);
}

/* Where it is among those that there is room for. */
static void add_culprit(
	const struct place *p, struct noisy_verdict *v, const struct noisy_culprit *culprit)
{
	size_t at = v->n_culprits;

	while (at && comes_before(p, culprit, &v->culprits[at - 1]))
		at--;
	if (at == NOISY_CULPRITS_MAX)
		return;
	if (v->n_culprits < NOISY_CULPRITS_MAX)
		v->n_culprits++;
	memmove(&v->culprits[at + 1], &v->culprits[at],
		(v->n_culprits - at - 1) * sizeof(*culprit));
	v->culprits[at] = *culprit;
}

static bool is_above(uint64_t used, uint64_t fair)
{
	return used > fair + fair / 20;
}

static void consider_container(struct noisy_scene *scene, const struct place *p,
	struct noisy_verdict *v, uint64_t all, const struct noisy_container *one)
{
	struct noisy_tenant *t = &scene->tenants[one->tenant];
	uint64_t used = in_the_way(p, one, one->used[p->of]);
	uint64_t its_fair = fair(p, one);
	struct noisy_culprit culprit = {
		.who = NOISY_CONTAINER,
		.one = one,
		.tenant = one->tenant,
		.share = permyriad(used, all),
		.fair = permyriad(in_the_way(p, one, its_fair), all),
		.above_fair = is_above(one->used[p->of], its_fair),
	};

	t->in_the_way += used;
	if (culprit.share < NOISY_SHARE_MIN)
		return;
	t->named = true;
	add_culprit(p, v, &culprit);
}

/* Who spreads what it does over many containers is not to be missed for it. */
static void consider_tenant(
	const struct place *p, struct noisy_verdict *v, uint64_t all, size_t number)
{
	const struct noisy_tenant *t = &p->scene->tenants[number];
	uint64_t its_fair = fair_of_tenant(p, t);
	struct noisy_culprit culprit = {
		.who = NOISY_TENANT, .tenant = number, .share = permyriad(t->in_the_way, all)};

	if (t->named || culprit.share < NOISY_SHARE_MIN)
		return;
	/* Of a victim that may not run everywhere as much of it as of the host. */
	if (p->of == STALL_CPU && !p->in_tenant)
		its_fair = part_of(its_fair, limits_count_cores(cpus_of(p->scene, p->victim)),
			limits_count_cores(p->scene->cpus));
	culprit.fair = permyriad(its_fair, all);
	culprit.above_fair = is_above(t->in_the_way, its_fair);
	add_culprit(p, v, &culprit);
}

static void consider_outside(const struct place *p, struct noisy_verdict *v, uint64_t all)
{
	struct noisy_culprit culprit = {.who = NOISY_OUTSIDE,
		.share = permyriad(in_the_way(p, NULL, p->scene->outside[p->of]), all)};

	if (culprit.share >= NOISY_SHARE_MIN)
		add_culprit(p, v, &culprit);
}

static void find_culprits(struct noisy_scene *scene, struct noisy_verdict *v)
{
	struct place p = {scene, v->victim, v->of, v->in_tenant};
	uint64_t all = total(&p);

	if (!all)
		return;
	for (size_t i = 0; i < scene->n_tenants; i++) {
		scene->tenants[i].in_the_way = 0;
		scene->tenants[i].named = false;
	}
	for (size_t i = 0; i < scene->n; i++) {
		const struct noisy_container *c = &scene->containers[i];

		if (c != v->victim && (!v->in_tenant || c->tenant == v->victim->tenant))
			consider_container(scene, &p, v, all, c);
	}
	for (size_t i = 0; i < scene->n_tenants; i++)
		consider_tenant(&p, v, all, i);
	consider_outside(&p, v, all);
}

/* --- All of them ------------------------------------------------------------------------------ */

struct verdicts {
	struct noisy_verdict *list;
	size_t n;
	size_t left_out;
};

static void add_verdict(struct verdicts *all, const struct noisy_verdict *v)
{
	size_t at = all->n;

	if (v->held_up < NOISY_HELD_UP_MIN)
		return;
	while (at && v->held_up > all->list[at - 1].held_up)
		at--;
	if (all->n == NOISY_VERDICTS_MAX)
		all->left_out++;
	else
		all->n++;
	if (at == NOISY_VERDICTS_MAX)
		return;
	memmove(&all->list[at + 1], &all->list[at], (all->n - at - 1) * sizeof(*v));
	all->list[at] = *v;
}

static void judge(const struct noisy_scene *scene, const struct noisy_container *c, enum stall of,
	struct verdicts *all)
{
	struct noisy_verdict v = {.victim = c, .of = of};
	struct place in_tenant = {scene, c, of, true};
	struct place on_host = {scene, c, of, false};
	uint64_t tenant;
	uint64_t host;

	split(scene, c, of, &tenant, &host);
	tenant = held_up(&in_tenant, tenant);
	host = held_up(&on_host, host);
	v.waited = permyriad(waited(c, of), c->interval_usec);
	v.held_up = permyriad(host, c->interval_usec);
	v.own = v.waited - v.held_up - permyriad(tenant, c->interval_usec);
	add_verdict(all, &v);
	v.in_tenant = true;
	v.held_up = permyriad(tenant, c->interval_usec);
	add_verdict(all, &v);
}

size_t noisy_judge(struct noisy_scene *scene, struct noisy_verdict ret[static NOISY_VERDICTS_MAX],
	size_t *ret_left_out)
{
	struct verdicts all = {.list = ret};

	sum_up(scene);
	for (size_t i = 0; i < scene->n; i++)
		for (int of = 0; of < STALL_N; of++)
			judge(scene, &scene->containers[i], (enum stall)of, &all);
	for (size_t i = 0; i < all.n; i++)
		find_culprits(scene, &ret[i]);
	*ret_left_out = all.left_out;
	return all.n;
}

int noisy_parse_busy(const char *text, uint64_t *ret_ticks)
{
	/* user nice system idle iowait irq softirq steal; guests are in user already. */
	static const bool is_busy[] = {true, true, true, false, false, true, true, true};
	uint64_t busy = 0;

	if (strncmp(text, "cpu ", 4) != 0)
		return -EBADMSG;
	text += 4;
	for (size_t i = 0; i < ARRAY_SIZE(is_busy); i++) {
		char *end;
		unsigned long long ticks;

		text += strspn(text, " ");
		if (*text < '0' || *text > '9')
			return -EBADMSG;
		ticks = strtoull(text, &end, 10);
		text = end;
		busy += is_busy[i] ? ticks : 0;
	}
	*ret_ticks = busy;
	return 0;
}

int noisy_parse_memory(const char *text, const char *name, uint64_t *ret_bytes)
{
	size_t len = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		char *end;
		uint64_t kib;

		line += *line == '\n';
		if (strncmp(line, name, len) != 0 || line[len] != ':')
			continue;
		line += len + 1;
		line += strspn(line, " ");
		if (*line < '0' || *line > '9')
			return -EBADMSG;
		kib = strtoull(line, &end, 10);
		if (strncmp(end, " kB", 3) != 0 || kib > UINT64_MAX / 1024)
			return -EBADMSG;
		*ret_bytes = kib * 1024;
		return 0;
	}
	return -ENOENT;
}

/*
 * Limits mean the same on both drivers: the kernels check different things at different times, so
 * everything is checked here first, from what the kernel holds now, and only then written. Must
 * never write before every refusal has been ruled out that can be.
 */
#include "base/cleanup.h"
#include "sandbox/cgroup_internal.h"

#include <errno.h>
#include <string.h>

/* Each CPU holds some charged pages in reserve, so that a little more has to go than is missing. */
#define RECLAIM_ROUNDS	     5
#define RECLAIM_MARGIN_BYTES (UINT64_C(1) << 20)

/* The limits that a parent directory bounds by a number. */
static const enum limit_id bounded[] = {LIMIT_CPU, LIMIT_MEMORY, LIMIT_SWAP, LIMIT_PIDS,
	LIMIT_IO_READ, LIMIT_IO_WRITE, LIMIT_IO_READ_OPS, LIMIT_IO_WRITE_OPS};

/* What is left of the limits asked for when the kernel has rounded them. */
static void normalise(struct limits *want, uint64_t page_bytes)
{
	for (size_t i = 0; i < 2; i++) {
		uint64_t *value = &want->value[i ? LIMIT_SWAP : LIMIT_MEMORY];

		if (*value != LIMIT_UNSET)
			*value -= *value % page_bytes;
	}
	if (want->value[LIMIT_SWAP] == LIMIT_UNSET)
		want->value[LIMIT_SWAP] = 0;
	if (want->value[LIMIT_CPU_WEIGHT] == LIMIT_UNSET)
		want->value[LIMIT_CPU_WEIGHT] = CPU_WEIGHT_DEFAULT;
	want->value[LIMIT_CORES] = LIMIT_UNSET;
	want->value[LIMIT_DISK] = LIMIT_UNSET;
	want->value[LIMIT_INODES] = LIMIT_UNSET;
	want->value[LIMIT_CONTAINERS] = LIMIT_UNSET;
	want->value[LIMIT_RATE_IN] = LIMIT_UNSET;
	want->value[LIMIT_RATE_OUT] = LIMIT_UNSET;
	want->value[LIMIT_LOG] = LIMIT_UNSET;
	want->value[LIMIT_TRAFFIC] = LIMIT_UNSET;
	want->value[LIMIT_TRAFFIC_OUT] = LIMIT_UNSET;
	want->value[LIMIT_TRAFFIC_RATE] = LIMIT_UNSET;
}

static int read_limits(const struct cgroup_root *root, const char *dir, unsigned which,
	struct limits *ret, struct err *err)
{
	int r;

	limits_init(ret);
	r = root->ops->read_limits(root, dir, which, ret);
	if (r == -ENOENT || r == -ENODEV)
		return err_set(err, ERR_NOT_FOUND, "CGROUP_NOT_FOUND",
			"there is no cgroup of that tenant or container");
	return r < 0 ? err_sys(err, r, "read the present limits") : 0;
}

/*
 * Swap of 0 is accepted from a kernel that does not account swap: whether there is any is then the
 * host's choice (and on v1 memory.swappiness 0 keeps the kernel from using it here).
 */
static int check_supported(
	const struct cgroup_root *root, const struct limits *want, struct err *err)
{
	if (want->value[LIMIT_SWAP] && !root->has_swap)
		return err_set_subject(err, ERR_UNIMPLEMENTED, "LIMIT_UNSUPPORTED", "swap",
			"this host's kernel does not account swap; boot it with swapaccount=1, or "
			"ask for no swap");
	if (want->value[LIMIT_SWAP] && want->value[LIMIT_MEMORY] == LIMIT_UNSET &&
		root->ops->swap_needs_memory)
		return err_set_subject(err, ERR_UNIMPLEMENTED, "LIMIT_UNSUPPORTED", "swap",
			"this host (cgroup v1) limits swap only together with memory; set a memory "
			"limit too");
	if (want->value[LIMIT_CPU] != LIMIT_UNSET && !root->has_cpu_quota)
		return err_set_subject(err, ERR_UNIMPLEMENTED, "LIMIT_UNSUPPORTED", "cpu",
			"this host's kernel has no CPU quotas (CONFIG_CFS_BANDWIDTH)");
	return 0;
}

int cgroup_below_use(uint64_t asked_bytes, uint64_t use_bytes, struct err *err)
{
	char asked[LIMIT_TEXT_MAX];
	char use[LIMIT_TEXT_MAX];

	return err_set_subject(err, ERR_FAILED_PRECONDITION, "LIMIT_BELOW_USE", "memory",
		"memory %s is below the %s in use; end some processes first, or force it",
		size_format(asked_bytes, asked), size_format(use_bytes, use));
}

int cgroup_not_freed(uint64_t asked_bytes, uint64_t use_bytes, struct err *err)
{
	char asked[LIMIT_TEXT_MAX];
	char use[LIMIT_TEXT_MAX];

	return err_set_subject(err, ERR_FAILED_PRECONDITION, "LIMIT_BELOW_USE", "memory",
		"memory %s is below the %s that stay in use even when processes are killed; the "
		"limit is unchanged",
		size_format(asked_bytes, asked), size_format(use_bytes, use));
}

static int check_within_tenant(const struct cgroup_root *root, const char *tenant,
	const struct limits *want, struct err *err)
{
	struct limits limits;
	unsigned which = 0;
	int r;

	/* Only what is asked for can be above; and nothing is below no swap. */
	for (size_t i = 0; i < ARRAY_SIZE(bounded); i++)
		if (want->value[bounded[i]] != LIMIT_UNSET && want->value[bounded[i]])
			which |= LIMIT_BIT(bounded[i]);
	r = read_limits(root, tenant, which, &limits, err);
	if (r == 0 && limits_has_core_mask(want))
		r = cgroup_read_effective_cpus(root, tenant, limits.core_mask, err);
	return r < 0 ? r : limits_check_within(want, &limits, err);
}

/*
 * A list is of cores that there were when it was asked for. One of them may be gone since, with a
 * boot or by hand: what is left of it holds, alike on both drivers (v1 would refuse it, v2 take
 * every core when none is left). But nothing left must not become everything.
 */
static int leave_out_absent_cores(
	const uint64_t host[static LIMITS_CPU_WORDS], struct limits *want, struct err *err)
{
	char asked[128];
	char text[128];

	limits_format_cores(want->core_mask, asked, sizeof(asked));
	for (int i = 0; i < LIMITS_CPU_WORDS; i++)
		want->core_mask[i] &= host[i];
	if (limits_has_core_mask(want))
		return 0;
	return err_set_subject(err, ERR_FAILED_PRECONDITION, "CORES_OFFLINE", "cores",
		"none of the cores %s is there now: this host has %s; give others, or none", asked,
		limits_format_cores(host, text, sizeof(text)));
}

struct children_check {
	const struct cgroup_root *root;
	const uint64_t *host_cpus; /* read when `want` names some */
	const char *tenant;
	const struct limits *want;
	struct err *err;
	int result;
};

static int below_child(
	const struct children_check *check, const char *child, enum limit_id id, uint64_t held)
{
	const char *name = limit_rule(id)->name;
	char asked_text[LIMIT_TEXT_MAX];
	char held_text[LIMIT_TEXT_MAX];

	return err_set_subject(check->err, ERR_FAILED_PRECONDITION, "LIMIT_BELOW_CHILD", name,
		"%s %s is below the %s of container %s; lower that first", name,
		limit_format(id, check->want->value[id], asked_text),
		limit_format(id, held, held_text), child);
}

static int check_child(const char *name, void *arg)
{
	struct children_check *check = arg;
	char dir[CGROUP_DIR_SIZE];
	struct limits child;

	if (!name_is_valid(name))
		return 0;
	snprintf(dir, sizeof(dir), "%s/%s", check->tenant, name);
	check->result = read_limits(check->root, dir, LIMIT_BITS_ALL, &child, NULL);
	/* Removed since it was listed: it bounds nothing any more. */
	if (check->result < 0) {
		check->result = 0;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(bounded) && check->result == 0; i++) {
		uint64_t held = child.value[bounded[i]];

		if (held != LIMIT_UNSET && held > check->want->value[bounded[i]])
			check->result = below_child(check, name, bounded[i], held);
	}
	for (int i = 0; i < LIMITS_CPU_WORDS; i++)
		child.core_mask[i] &= check->host_cpus[i];
	if (check->result == 0 && limits_has_core_mask(check->want) &&
		!cgroup_mask_within(child.core_mask, check->want->core_mask))
		check->result = err_set_subject(check->err, ERR_FAILED_PRECONDITION,
			"LIMIT_BELOW_CHILD", "cores",
			"container %s is pinned to cores that are not among these; change that "
			"first",
			name);
	return check->result < 0;
}

static bool lowers(const struct limits *now, const struct limits *want)
{
	for (size_t i = 0; i < ARRAY_SIZE(bounded); i++)
		if (want->value[bounded[i]] < now->value[bounded[i]])
			return true;
	return limits_has_core_mask(want);
}

static int check_children(const struct cgroup_root *root, const char *tenant,
	const uint64_t host[static LIMITS_CPU_WORDS], const struct limits *now,
	const struct limits *want, struct err *err)
{
	struct children_check check = {
		.root = root, .host_cpus = host, .tenant = tenant, .want = want, .err = err};
	int r;

	if (!lowers(now, want))
		return 0;
	r = cgroup_tree_each(root->fd[0], tenant, check_child, &check);
	return r < 0 ? err_sys(err, r, "list the tenant's containers") : check.result;
}

/*
 * What the kernel does with a memory limit below present use differs: v1 reclaims and refuses, v2
 * reclaims and kills. Here the working set decides, and v2 is made to reclaim beforehand.
 */
static int check_use(const struct cgroup_root *root, const char *dir, const struct limits *now,
	const struct limits *want, struct err *err)
{
	uint64_t asked = want->value[LIMIT_MEMORY];
	uint64_t working_set;
	uint64_t use;
	int r;

	if (asked >= now->value[LIMIT_MEMORY])
		return 0;
	r = cgroup_read_u64(root, CGROUP_MEMORY, dir, root->ops->memory_use_file, &use);
	if (r < 0)
		return err_sys(err, r, "read the memory in use");
	if (use <= asked)
		return 0;
	r = cgroup_read_working_set(root, dir, use, &working_set, err);
	if (r < 0)
		return r;
	if (working_set > asked)
		return cgroup_below_use(asked, working_set, err);
	if (!root->ops->reclaim)
		return 0;
	for (unsigned i = 0; i < RECLAIM_ROUNDS && use > asked; i++) {
		root->ops->reclaim(root, dir, use - asked + RECLAIM_MARGIN_BYTES);
		r = cgroup_read_u64(root, CGROUP_MEMORY, dir, root->ops->memory_use_file, &use);
		if (r < 0)
			return err_sys(err, r, "read the memory in use");
	}
	return use > asked ? cgroup_below_use(asked, use, err) : 0;
}

static int check_all(const struct cgroup_root *root, const struct cgroup_id *id, const char *dir,
	const struct limits *now, struct limits *want, bool force, struct err *err)
{
	uint64_t host[LIMITS_CPU_WORDS] = {0};
	int r = 0;

	if (limits_has_core_mask(want)) {
		r = cgroup_read_effective_cpus(root, "", host, err);
		if (r == 0)
			r = leave_out_absent_cores(host, want, err);
	}
	if (r == 0)
		r = check_supported(root, want, err);
	if (r == 0)
		r = cgroup_io_check(root, dir, want, err);
	if (r == 0 && id->container[0])
		r = check_within_tenant(root, id->tenant, want, err);
	else if (r == 0)
		r = check_children(root, dir, host, now, want, err);
	if (r == 0 && !force)
		r = check_use(root, dir, now, want, err);
	return r;
}

int cgroup_set_limits(struct cgroup_root *root, const struct cgroup_id *id,
	const struct limits *limits, bool oom_group, bool force, struct err *err)
{
	struct limits want = *limits;
	char dir[CGROUP_DIR_SIZE];
	struct limits now;
	int r = cgroup_dir_of(id, dir, err);

	if (r < 0)
		return r;
	r = limits_check(limits, err);
	if (r < 0)
		return r;
	normalise(&want, root->page_bytes);
	r = read_limits(root, dir, LIMIT_BITS_ALL, &now, err);
	if (r < 0)
		return r;
	r = check_all(root, id, dir, &now, &want, force, err);
	if (r < 0)
		return r;
	r = root->ops->write_limits(root, dir, &now, &want, force, err);
	/* What had been written before another limit failed is put back, so far as it goes. */
	if (r < 0) {
		struct limits half;

		if (read_limits(root, dir, LIMIT_BITS_ALL, &half, NULL) == 0)
			root->ops->write_limits(root, dir, &half, &now, false, NULL);
	}
	return r < 0 ? r : root->ops->write_oom_group(root, dir, oom_group, err);
}

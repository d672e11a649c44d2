/*
 * Limits on cgroup v1. v1 refuses or accepts a write depending on what was written before, so each
 * is ordered such that every step in between is valid too. Must never leave a limit unread-back.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/cgroup_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define PERIOD_USEC    100000
#define SHARES_DEFAULT 1024 /* what the kernel gives to weight 100 */

#define MEMORY_FILE "memory.limit_in_bytes"
#define MEMSW_FILE  "memory.memsw.limit_in_bytes"
#define QUOTA_FILE  "cpu.cfs_quota_us"
#define PERIOD_FILE "cpu.cfs_period_us"

static uint64_t shares_of_weight(uint64_t weight)
{
	return (weight * SHARES_DEFAULT + CPU_WEIGHT_DEFAULT / 2) / CPU_WEIGHT_DEFAULT;
}

static uint64_t weight_of_shares(uint64_t shares)
{
	return (shares * CPU_WEIGHT_DEFAULT + SHARES_DEFAULT / 2) / SHARES_DEFAULT;
}

static int read_swap(
	const struct cgroup_root *root, const char *dir, uint64_t memory, uint64_t *ret)
{
	uint64_t memsw;
	int r;

	if (!root->has_swap)
		return 0;
	r = cgroup_read_u64(root, CGROUP_MEMORY, dir, MEMSW_FILE, &memsw);
	/* The other way round of memsw_of(). */
	if (r == 0 && memsw != LIMIT_UNSET && memsw > memory)
		*ret = memsw - memory - root->page_bytes;
	return r;
}

int cgroup_hybrid_read_quota(const struct cgroup_root *root, const char *dir, uint64_t *ret_milli)
{
	uint64_t period;
	uint64_t quota;
	int r;

	if (!root->has_cpu_quota)
		return 0;
	r = cgroup_read_u64(root, CGROUP_CPU, dir, QUOTA_FILE, &quota);
	if (r < 0 || quota == LIMIT_UNSET)
		return r;
	r = cgroup_read_u64(root, CGROUP_CPU, dir, PERIOD_FILE, &period);
	if (r == 0)
		*ret_milli = quota * 1000 / period;
	return r;
}

int cgroup_hybrid_read_limits(
	const struct cgroup_root *root, const char *dir, unsigned which, struct limits *ret)
{
	uint64_t *value = ret->value;
	uint64_t shares;
	int r = 0;

	if (which & (LIMIT_BIT(LIMIT_MEMORY) | LIMIT_BIT(LIMIT_SWAP)))
		r = cgroup_read_u64(root, CGROUP_MEMORY, dir, MEMORY_FILE, &value[LIMIT_MEMORY]);
	if (r == 0 && which & LIMIT_BIT(LIMIT_SWAP))
		r = read_swap(root, dir, value[LIMIT_MEMORY], &value[LIMIT_SWAP]);
	if (r == 0 && which & LIMIT_BIT(LIMIT_PIDS))
		r = cgroup_read_u64(root, CGROUP_PIDS, dir, "pids.max", &value[LIMIT_PIDS]);
	if (r == 0 && which & LIMIT_BIT(LIMIT_CPU))
		r = cgroup_hybrid_read_quota(root, dir, &value[LIMIT_CPU]);
	if (r == 0 && which & LIMIT_BIT(LIMIT_CPU_WEIGHT)) {
		r = cgroup_read_u64(root, CGROUP_CPU, dir, "cpu.shares", &shares);
		if (r == 0)
			value[LIMIT_CPU_WEIGHT] = weight_of_shares(shares);
	}
	if (r == 0 && which & LIMIT_BIT(LIMIT_CORES))
		r = cgroup_hybrid_read_cores(root, dir, ret->core_mask);
	if (r == 0 && which & LIMIT_BITS_IO)
		r = cgroup_hybrid_read_io(root, dir, ret);
	return r;
}

/*
 * What memory and swap may be together. One page more than asked: memsw is charged before memory,
 * and were both full at once, the kernel would never get to count a hit of the memory limit (6.18
 * counts none of memsw's). memory.swappiness keeps that page from being swap.
 */
static uint64_t memsw_of(const struct cgroup_root *root, const struct limits *limits)
{
	uint64_t memory = limits->value[LIMIT_MEMORY];
	uint64_t swap = limits->value[LIMIT_SWAP];

	return memory == LIMIT_UNSET || swap == LIMIT_UNSET ? LIMIT_UNSET
							    : memory + swap + root->page_bytes;
}

static int write_memory_file(const struct cgroup_root *root, const char *dir, uint64_t memory,
	uint64_t before, bool force, struct err *err)
{
	struct err kernel = {0};
	int r = cgroup_write_limit(
		root, CGROUP_MEMORY, dir, MEMORY_FILE, memory, "-1", LIMIT_MEMORY, &kernel);
	uint64_t use = 0;

	if (r == 0)
		return 0;
	if (r == -EBUSY && force)
		return cgroup_hybrid_force_memory(root, dir, memory, before, err);
	if (r == -EBUSY) {
		cgroup_read_u64(root, CGROUP_MEMORY, dir, "memory.usage_in_bytes", &use);
		return cgroup_below_use(memory, use, err);
	}
	if (err)
		*err = kernel;
	return r;
}

/*
 * memsw bounds memory and swap together and may never be below the memory limit: when the memory
 * limit rises above it, memsw goes first, else last.
 */
static int write_memory(const struct cgroup_root *root, const char *dir, const struct limits *now,
	const struct limits *want, bool force, struct err *err)
{
	uint64_t memory = want->value[LIMIT_MEMORY];
	uint64_t memsw = memsw_of(root, want);
	uint64_t memsw_now = memsw_of(root, now);
	bool write_memsw = memsw != memsw_now && root->has_swap;
	bool first = write_memsw && memory > memsw_now;
	int r = 0;

	if (first)
		r = cgroup_write_limit(
			root, CGROUP_MEMORY, dir, MEMSW_FILE, memsw, "-1", LIMIT_SWAP, err);
	if (r == 0 && memory != now->value[LIMIT_MEMORY])
		r = write_memory_file(root, dir, memory, now->value[LIMIT_MEMORY], force, err);
	if (r == 0 && write_memsw && !first)
		r = cgroup_write_limit(
			root, CGROUP_MEMORY, dir, MEMSW_FILE, memsw, "-1", LIMIT_SWAP, err);
	return r;
}

/*
 * memsw alone would let the kernel swap out what is below the limit. Swappiness is of the cgroup
 * that holds the pages, so payload needs it as well. New directories have the parent's, 0.
 */
static int write_swappiness(
	const struct cgroup_root *root, const char *dir, bool swap, struct err *err)
{
	static const char file[] = "memory.swappiness";
	char payload[CGROUP_DIR_SIZE];
	uint64_t wanted = 0;
	uint64_t now;
	char text[32];
	int r = cgroup_read_u64(root, CGROUP_MEMORY, dir, file, &now);

	if (r == 0 && swap)
		r = fd_read_u64_at(root->mount_fd[root->hierarchy[CGROUP_MEMORY]], file, &wanted);
	if (r < 0)
		return err_sys(err, r, "read %s", file);
	if (now == wanted)
		return 0;
	snprintf(text, sizeof(text), "%" PRIu64, wanted);
	r = cgroup_write_text(root, CGROUP_MEMORY, dir, file, text);
	if (r == 0 && strchr(dir, '/')) {
		cgroup_payload_of(dir, payload);
		r = cgroup_write_text(root, CGROUP_MEMORY, payload, file, text);
	}
	return r < 0 && r != -ENOENT ? err_sys(err, r, "write %s", file) : 0;
}

static int write_quota(
	const struct cgroup_root *root, const char *dir, uint64_t quota_milli, struct err *err)
{
	uint64_t quota = quota_milli;
	uint64_t period;
	int r = cgroup_read_u64(root, CGROUP_CPU, dir, PERIOD_FILE, &period);

	if (r < 0)
		return err_sys(err, r, "read " PERIOD_FILE);
	if (period != PERIOD_USEC)
		r = cgroup_write_limit(
			root, CGROUP_CPU, dir, PERIOD_FILE, PERIOD_USEC, "", LIMIT_CPU, err);
	if (quota != LIMIT_UNSET)
		quota = quota * PERIOD_USEC / 1000;
	if (r == 0)
		r = cgroup_write_limit(
			root, CGROUP_CPU, dir, QUOTA_FILE, quota, "-1", LIMIT_CPU, err);
	return r;
}

/* The period first: the kernel takes no share above that of the directory above. */
void cgroup_hybrid_show_quota(
	const struct cgroup_root *root, const char *payload, uint64_t quota_milli)
{
	uint64_t now = LIMIT_UNSET;
	char text[32];

	if (quota_milli != LIMIT_UNSET) {
		snprintf(text, sizeof(text), "%d", CGROUP_VIEW_PERIOD_USEC);
		cgroup_write_text(root, CGROUP_CPU, payload, PERIOD_FILE, text);
		snprintf(text, sizeof(text), "%" PRIu64,
			quota_milli * (CGROUP_VIEW_PERIOD_USEC / 1000));
		cgroup_write_text(root, CGROUP_CPU, payload, QUOTA_FILE, text);
	} else if (cgroup_read_u64(root, CGROUP_CPU, payload, QUOTA_FILE, &now) == 0 &&
		   now != LIMIT_UNSET) {
		cgroup_write_text(root, CGROUP_CPU, payload, QUOTA_FILE, "-1");
	}
}

static int write_cpu(const struct cgroup_root *root, const char *dir, const struct limits *now,
	const struct limits *want, struct err *err)
{
	uint64_t weight = want->value[LIMIT_CPU_WEIGHT];
	int r = 0;

	if (want->value[LIMIT_CPU] != now->value[LIMIT_CPU]) {
		/* The kernel takes no quota below that of a directory further down. */
		cgroup_view_hide_quota(root, dir);
		r = write_quota(root, dir, want->value[LIMIT_CPU], err);
	}
	cgroup_view_show_quota(root, dir);
	if (r == 0 && weight != now->value[LIMIT_CPU_WEIGHT])
		r = cgroup_write_limit(root, CGROUP_CPU, dir, "cpu.shares",
			shares_of_weight(weight), "", LIMIT_CPU_WEIGHT, err);
	return r;
}

/* Memory first: it is the only one that the kernel may refuse for what runs inside. */
int cgroup_hybrid_write_limits(const struct cgroup_root *root, const char *dir,
	const struct limits *now, const struct limits *want, bool force, struct err *err)
{
	uint64_t pids = want->value[LIMIT_PIDS];
	int r = write_memory(root, dir, now, want, force, err);

	if (r == 0)
		r = write_swappiness(root, dir, want->value[LIMIT_SWAP] != 0, err);
	if (r == 0 && pids != now->value[LIMIT_PIDS])
		r = cgroup_write_limit(
			root, CGROUP_PIDS, dir, "pids.max", pids, "max", LIMIT_PIDS, err);
	if (r == 0)
		r = write_cpu(root, dir, now, want, err);
	if (r == 0)
		r = cgroup_hybrid_write_cores(root, dir, now, want, err);
	if (r == 0)
		r = cgroup_hybrid_write_io(root, dir, want, err);
	return r;
}

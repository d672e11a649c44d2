/*
 * What lxcfs needs to find on v1: it takes memory from all directories above a container's init,
 * and the CPU quota from that of init alone, which is payload. So the quota that holds, the
 * container's or without one its tenant's, is repeated there. Enforced it is above: payload's
 * period is the longest that the kernel takes, so that a container is throttled, and that counted,
 * in its own directory. Must never be a reason to refuse a limit: nothing here fails.
 */
#include "base/cleanup.h"
#include "sandbox/cgroup_internal.h"

#include <inttypes.h>
#include <string.h>

#define QUOTA_FILE  "cpu.cfs_quota_us"
#define PERIOD_FILE "cpu.cfs_period_us"
#define PERIOD_USEC 1000000 /* max_cfs_quota_period, kernel/sched/core.c */

static void hide_in(const struct cgroup_root *root, const char *container)
{
	char payload[CGROUP_DIR_SIZE];
	uint64_t quota = LIMIT_UNSET;

	cgroup_payload_of(container, payload);
	if (cgroup_read_u64(root, CGROUP_CPU, payload, QUOTA_FILE, &quota) == 0 &&
		quota != LIMIT_UNSET)
		cgroup_write_text(root, CGROUP_CPU, payload, QUOTA_FILE, "-1");
}

/* The container's own quota is never above its tenant's. */
static uint64_t quota_of(const struct cgroup_root *root, const char *container)
{
	uint64_t milli = LIMIT_UNSET;
	char tenant[NAME_SIZE];

	cgroup_hybrid_read_quota(root, container, &milli);
	if (milli == LIMIT_UNSET) {
		snprintf(tenant, sizeof(tenant), "%.*s", (int)strcspn(container, "/"), container);
		cgroup_hybrid_read_quota(root, tenant, &milli);
	}
	return milli;
}

static void show_in(const struct cgroup_root *root, const char *container)
{
	uint64_t milli = quota_of(root, container);
	char payload[CGROUP_DIR_SIZE];
	char text[32];

	if (milli == LIMIT_UNSET) {
		hide_in(root, container);
		return;
	}
	cgroup_payload_of(container, payload);
	snprintf(text, sizeof(text), "%d", PERIOD_USEC);
	cgroup_write_text(root, CGROUP_CPU, payload, PERIOD_FILE, text);
	snprintf(text, sizeof(text), "%" PRIu64, milli * (PERIOD_USEC / 1000));
	cgroup_write_text(root, CGROUP_CPU, payload, QUOTA_FILE, text);
}

struct walk {
	const struct cgroup_root *root;
	const char *tenant;
	void (*fn)(const struct cgroup_root *root, const char *container);
};

static int walk_container(const char *name, void *arg)
{
	const struct walk *walk = arg;
	char dir[CGROUP_DIR_SIZE];

	if (name_is_valid(name)) {
		snprintf(dir, sizeof(dir), "%s/%s", walk->tenant, name);
		walk->fn(walk->root, dir);
	}
	return 0;
}

static void walk(const struct cgroup_root *root, const char *dir,
	void (*fn)(const struct cgroup_root *root, const char *container))
{
	struct walk walk = {root, dir, fn};

	if (!root->has_cpu_quota)
		return;
	if (strchr(dir, '/'))
		fn(root, dir);
	else
		cgroup_tree_each(cgroup_hierarchy_fd(root, CGROUP_CPU), dir, walk_container, &walk);
}

void cgroup_hybrid_hide_quota(const struct cgroup_root *root, const char *dir)
{
	walk(root, dir, hide_in);
}

void cgroup_hybrid_show_quota(const struct cgroup_root *root, const char *dir)
{
	walk(root, dir, show_in);
}

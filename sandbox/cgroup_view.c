/*
 * What lxcfs needs to find: it takes memory from all directories above a container's init, and the
 * CPU quota from that of init alone, which is payload. So the quota that holds, the container's or
 * without one its tenant's, is repeated there. Enforced it is above: payload's period is the
 * longest that the kernel takes, so that a container is throttled, and that counted, in its own
 * directory. Must never be a reason to refuse a limit: nothing here fails.
 */
#include "base/cleanup.h"
#include "sandbox/cgroup_internal.h"

#include <string.h>

static uint64_t read_quota(const struct cgroup_root *root, const char *dir)
{
	struct limits limits;

	limits_init(&limits);
	root->ops->read_limits(root, dir, LIMIT_BIT(LIMIT_CPU), &limits);
	return limits.value[LIMIT_CPU];
}

/* The container's own quota is never above its tenant's. */
static uint64_t quota_of(const struct cgroup_root *root, const char *container)
{
	uint64_t milli = read_quota(root, container);
	char tenant[NAME_SIZE];

	if (milli != LIMIT_UNSET)
		return milli;
	snprintf(tenant, sizeof(tenant), "%.*s", (int)strcspn(container, "/"), container);
	return read_quota(root, tenant);
}

static void hide_in(const struct cgroup_root *root, const char *container)
{
	char payload[CGROUP_DIR_SIZE];

	cgroup_payload_of(container, payload);
	root->ops->show_quota(root, payload, LIMIT_UNSET);
}

static void show_in(const struct cgroup_root *root, const char *container)
{
	char payload[CGROUP_DIR_SIZE];

	cgroup_payload_of(container, payload);
	root->ops->show_quota(root, payload, quota_of(root, container));
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

void cgroup_view_hide_quota(const struct cgroup_root *root, const char *dir)
{
	walk(root, dir, hide_in);
}

void cgroup_view_show_quota(const struct cgroup_root *root, const char *dir)
{
	walk(root, dir, show_in);
}

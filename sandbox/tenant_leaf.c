/*
 * Entering a tenant's leaf; see tenant_leaf.h. A worker that stays until its work is done may go
 * one process above the tenant's limit: who is full must still be able to make a snapshot.
 */
#include "sandbox/tenant_leaf.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <string.h>

static int enter(struct cgroup_root *cgroups, const struct cgroup_id *leaf, struct err *err)
{
	struct cgroup_join join;
	int r = cgroup_join_open(cgroups, leaf, &join, err);

	if (r < 0)
		return r;
	r = fd_write_text_at(join.into_fd, "cgroup.procs", "0");
	if (r == 0)
		r = cgroup_join_self(&join);
	cgroup_join_close(&join);
	return r < 0 && r != -EAGAIN ? err_sys(err, r, "enter the tenant's cgroup") : 0;
}

static struct cgroup_id leaf_of(const char *tenant)
{
	struct cgroup_id id = {.container = COUNTERS_LEAF};

	snprintf(id.tenant, sizeof(id.tenant), "%s", tenant);
	return id;
}

int tenant_leaf_make(struct cgroup_root *cgroups, const char *tenant, struct err *err)
{
	struct cgroup_id leaf = leaf_of(tenant);

	return cgroup_make(cgroups, &leaf, err);
}

int tenant_leaf_enter(struct cgroup_root *cgroups, const char *tenant, struct err *err)
{
	struct cgroup_id leaf = leaf_of(tenant);
	struct cgroup_id id = {0};
	int r;

	snprintf(id.tenant, sizeof(id.tenant), "%s", tenant);
	if (cgroup_is_told_to_freeze(cgroups, &id) == 1)
		return 0;
	r = cgroup_make(cgroups, &leaf, err);
	return r < 0 ? r : enter(cgroups, &leaf, err);
}

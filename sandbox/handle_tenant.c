/*
 * Tenants, as the supervisor knows them: a cgroup with hard limits and a directory under a quota.
 * It keeps no list of its own: the kernel's directories are the list.
 */
#include "base/cleanup.h"
#include "sandbox/container.h"
#include "sandbox/handlers.h"
#include "sandbox/net_names.h"
#include "sandbox/tenant_leaf.h"
#include "sandbox/tenant_rates.h"
#include "sandbox/view.h"

#include <string.h>

static void tenant_id(const char *tenant, struct cgroup_id *ret)
{
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->tenant, tenant, NAME_SIZE);
}

static int limit_rates(
	const struct supervisor *s, const struct msg_tenant_set *msg, struct err *err)
{
	struct net_owner owner = supervisor_net_owner(s);
	struct net_rates rates = net_rates_of(&msg->limits);

	return net_bridge_limit(&owner, &s->net_plan, msg->tenant, msg->net_number, &rates, err);
}

static int set(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_tenant_set *msg = &task->u.tenant_set;
	struct disk_limits disk = limits_disk(&msg->limits);
	struct supervisor *s = task->s;
	struct cgroup_id id;
	int r;

	(void)out;
	tenant_id(msg->tenant, &id);
	r = cgroup_make(s->cgroups, &id, err);
	if (r == 0)
		r = tenant_leaf_make(s->cgroups, msg->tenant, err);
	/* Before the other limits: a pool that cannot limit refuses, and then none is to change. */
	if (r == 0 && !msg->force)
		r = pool_tenant_check(s->pool, msg->tenant, &disk, err);
	if (r == 0)
		r = pool_tenant_make(s->pool, msg->tenant, &disk, err);
	if (r == 0)
		r = cgroup_set_limits(s->cgroups, &id, &msg->limits, false, msg->force, err);
	return r < 0 || !msg->net_number ? r : limit_rates(s, msg, err);
}

static void set_done(struct task *task, struct job_result *result)
{
	static const struct msg_empty empty;
	size_t n = counters_n_dirs(cgroup_root_kind(task->s->cgroups));
	int dirs[COUNTER_DIR_N];
	struct cgroup_id id;
	struct err err;

	if (result->r < 0) {
		task_fail(task, &result->err);
		return;
	}
	tenant_id(task->u.tenant_set.tenant, &id);
	if (cgroup_open_dirs(task->s->cgroups, &id, dirs, &err) < 0) {
		task_fail(task, &err);
		return;
	}
	task_reply(task, &empty, dirs, n);
	for (size_t i = 0; i < n; i++)
		close(dirs[i]);
}

HANDLER(handle_tenant_set)
{
	const struct msg_tenant_set *in = msg;
	struct net_rates rates;
	struct task *task;
	bool refused;
	struct err err;

	(void)fds;
	(void)n_fds;
	refused = handler_check_names(in->tenant, NULL, &err) < 0 ||
		  limits_check(&in->limits, &err) < 0 ||
		  task_check_unclaimed(s, CLAIM_TENANT, in->tenant, &err) < 0;
	rates = net_rates_of(&in->limits);
	refused = refused || tenant_rates_note(s, in->tenant, &rates, &err) < 0;
	task = handler_task(s, request, refused ? &err : NULL);
	if (!task)
		return;
	task->u.tenant_set = *in;
	/* By force it may wait for those who have to die. */
	task->tenant = in->force ? task->u.tenant_set.tenant : NULL;
	task->needs_pool = true;
	task->fn = set;
	task->done = set_done;
	task_start(task);
}

static int remove_tenant(struct task *task, struct job_output *out, struct err *err)
{
	struct net_owner owner = supervisor_net_owner(task->s);
	struct cgroup_id id;
	int r;

	(void)out;
	tenant_id(task->u.tenant.tenant, &id);
	/* The directory goes last: as long as it is there, the tenant is listed. */
	r = net_bridge_remove(&owner, id.tenant, err);
	if (r == 0)
		r = net_shape_sweep(&task->s->net_plan, err);
	if (r == 0 && task->s->names_fd >= 0)
		r = net_names_forget(task->s->names_fd, id.tenant, err);
	if (r == 0)
		r = view_end(task->s, id.tenant, err);
	if (r == 0)
		r = cgroup_remove(task->s->cgroups, &id, err);
	return r < 0 ? r : pool_tenant_remove(task->s->pool, id.tenant, err);
}

static void removed(struct task *task, struct job_result *result)
{
	if (result->r == 0)
		tenant_rates_forget(task->s, task->u.tenant.tenant);
	handler_answer(task->s, &task->request, result->r, &result->err);
}

/* Also of one that is just starting, and has no cgroup yet. */
static int check_deserted(const struct supervisor *s, const char *tenant, struct err *err)
{
	for (const struct container *c = s->containers; c; c = c->next)
		if (!strcmp(c->cgroup.tenant, tenant))
			return err_set(err, ERR_FAILED_PRECONDITION, "TENANT_BUSY",
				"tenant %s still has containers, %s among them: delete them first",
				tenant, c->cgroup.container);
	return 0;
}

HANDLER(handle_tenant_remove)
{
	const struct msg_tenant *in = msg;
	struct task *task;
	bool refused;
	struct err err;

	(void)fds;
	(void)n_fds;
	refused = handler_check_names(in->tenant, NULL, &err) < 0 ||
		  task_check_unclaimed(s, CLAIM_TENANT, in->tenant, &err) < 0 ||
		  check_deserted(s, in->tenant, &err) < 0;
	task = handler_task(s, request, refused ? &err : NULL);
	if (!task)
		return;
	task_claim(task, CLAIM_TENANT, in->tenant);
	task->u.tenant = *in;
	task->needs_pool = true;
	task->fn = remove_tenant;
	task->done = removed;
	task_start(task);
}

/* --- work on its behalf --- */

HANDLER(handle_work_end)
{
	const struct msg_tenant *in = msg;
	struct msg_work_left reply;
	struct err err;

	(void)fds;
	(void)n_fds;
	if (in->tenant[0] && handler_check_names(in->tenant, NULL, &err) < 0) {
		peer_fail(s->peer, request, &err);
		return;
	}
	reply.left = jobs_end_work(s->jobs, in->tenant[0] ? in->tenant : NULL);
	peer_reply(s->peer, request, &reply, NULL, 0);
}

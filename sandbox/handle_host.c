/* The host as a whole: what there is, policies, the list after a reconnect, the end. */
#include "base/cleanup.h"
#include "base/log.h"
#include "sandbox/container.h"
#include "sandbox/exec_session.h"
#include "sandbox/fork_count.h"
#include "sandbox/handlers.h"
#include "sandbox/net_filter.h"
#include "sandbox/net_names.h"
#include "sandbox/policies.h"
#include "sandbox/refuser/refuser_wire.h"
#include "sandbox/view.h"

#include <fcntl.h>
#include <string.h>

static enum run_state run_state_of(struct container *c)
{
	switch (c->state) {
	case CONTAINER_STARTING:
		return RUN_STARTING;
	case CONTAINER_RUNNING:
		/* Its own state: its tenant's is croftd's to know. */
		return !c->paused && cgroup_is_told_to_freeze(c->s->cgroups, &c->cgroup) == 1
			       ? RUN_FROZEN
			       : RUN_RUNNING;
	case CONTAINER_STOPPING:
		return RUN_STOPPING;
	default:
		return RUN_ENDED;
	}
}

static void send_container(struct container *c)
{
	struct msg_event_container msg = {.state = run_state_of(c)};
	int fds[CONTAINER_FDS_MAX];
	size_t n_owned = 0;
	size_t n = 0;

	memcpy(msg.tenant, c->cgroup.tenant, sizeof(msg.tenant));
	memcpy(msg.container, c->cgroup.container, sizeof(msg.container));
	container_started_msg(c, &msg.started);
	if (c->state == CONTAINER_RUNNING)
		container_collect_fds(c, fds, &n, &n_owned, &msg.started, NULL);
	peer_event(c->s->peer, MSG_EVENT_CONTAINER, &msg, fds, n);
	for (size_t i = 0; i < n_owned; i++)
		close(fds[i]);
	if (c->state == CONTAINER_ENDED)
		peer_event(c->s->peer, MSG_EVENT_RUN_ENDED, &c->file.final, NULL, 0);
}

static int send_tenant(const struct cgroup_id *id, void *arg, struct err *err)
{
	struct supervisor *s = arg;
	size_t n = counters_n_dirs(cgroup_root_kind(s->cgroups));
	struct msg_tenant msg;
	int dirs[COUNTER_DIR_N];
	int r;

	if (id->container[0])
		return 0;
	r = cgroup_open_dirs(s->cgroups, id, dirs, err);
	if (r < 0)
		return r;
	memcpy(msg.tenant, id->tenant, sizeof(msg.tenant));
	peer_event(s->peer, MSG_EVENT_TENANT, &msg, dirs, n);
	for (size_t i = 0; i < n; i++)
		close(dirs[i]);
	return 0;
}

HANDLER(handle_list)
{
	struct err err;
	int r = cgroup_for_each(s->cgroups, send_tenant, s, &err);

	(void)msg;
	(void)fds;
	(void)n_fds;
	for (struct container *c = s->containers; c; c = c->next)
		if (!container_is_changing(c))
			send_container(c);
	handler_answer(s, request, r, &err);
}

static void send_policy(const struct msg_policy_info *info, void *arg)
{
	struct supervisor *s = arg;

	peer_event(s->peer, MSG_EVENT_POLICY, info, NULL, 0);
}

HANDLER(handle_policy_list)
{
	(void)msg;
	(void)fds;
	(void)n_fds;
	policies_for_each(s->policies, send_policy, s);
	handler_answer(s, request, 0, NULL);
}

HANDLER(handle_policy_open)
{
	static const struct msg_empty empty;
	const struct msg_policy *in = msg;
	_cleanup_close_ int fd = -1;
	struct err err;
	int r = handler_check_names(in->policy, NULL, &err);

	(void)fds;
	(void)n_fds;
	if (r == 0)
		r = policies_open(s->policies, in->policy, &fd, &err);
	if (r < 0)
		peer_fail(s->peer, request, &err);
	else
		peer_reply(s->peer, request, &empty, &fd, 1);
}

static int look(struct task *task, struct job_output *out, struct err *err)
{
	struct supervisor *s = task->s;
	struct msg_host_info reply = {
		.cgroup_kind = cgroup_root_kind(s->cgroups), .view_kind = view_kind_of(s)};
	int r = cgroup_host_cpus(s->cgroups, reply.cpu_mask, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(reply.cpu_mask); i++)
		reply.cpus += (uint32_t)__builtin_popcountll(reply.cpu_mask[i]);
	if (s->pool) {
		r = pool_space(s->pool, &reply.pool_size_bytes, &reply.pool_used_bytes, err);
		if (r < 0)
			return r;
		snprintf(reply.pool_driver, sizeof(reply.pool_driver), "%s", pool_driver(s->pool));
		reply.pool_has_limits = pool_has_limits(s->pool);
		reply.io_limits = cgroup_io_limits(s->cgroups);
	}
	memcpy(out->payload, &reply, sizeof(reply));
	out->size = sizeof(reply);
	return 0;
}

HANDLER(handle_host_info)
{
	struct task *task = handler_task(s, request, NULL);

	(void)msg;
	(void)fds;
	(void)n_fds;
	if (!task)
		return;
	task->fn = look;
	task_start(task);
}

static int remove_cgroup(const struct cgroup_id *id, void *arg, struct err *err)
{
	struct supervisor *s = arg;

	return cgroup_remove(s->cgroups, id, err);
}

/* Tenants' quotas and files stay in the pool; what is in the kernel goes. */
static int leave_host(struct task *task, struct job_output *out, struct err *err)
{
	struct supervisor *s = task->s;
	struct pool_config config = supervisor_pool_config(s);
	struct net_owner owner = supervisor_net_owner(s);
	int r = net_bridge_remove(&owner, NULL, err);

	(void)out;
	if (r == 0)
		r = net_shape_sweep(&s->net_plan, err);
	if (r == 0 && net_plan_is_on(&s->net_plan))
		r = net_filter_change(s->config.libexec_path, &s->net_plan, NET_DROP, NULL, 0, err);
	if (r == 0)
		r = net_names_unmount(s->host_mounts_fd, s->config.run_path, err);
	if (r == 0)
		r = view_end_all(s, err);
	if (r == 0)
		r = cgroup_for_each(s->cgroups, remove_cgroup, s, err);
	if (r == 0)
		r = cgroup_root_remove(s->cgroups, err);
	return r < 0 ? r : pool_detach(&config, err);
}

/* The run directory is root's, so the server cannot remove its own files from it. */
static void clear_run_directory(struct supervisor *s)
{
	static const char *const files[] = {"croft.sock", "croftd.pid"};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlinkat(s->run_fd, files[i], 0);
	unlinkat(s->run_fd, "fifos", AT_REMOVEDIR);
	unlinkat(s->run_fd, "views", AT_REMOVEDIR);
	unlinkat(s->refused_fd, REFUSER_SOCKET, 0);
	unlinkat(s->run_fd, "refused", AT_REMOVEDIR);
}

static void host_left(struct task *task, struct job_result *result)
{
	struct supervisor *s = task->s;

	handler_answer(s, &task->request, result->r, &result->err);
	if (result->r < 0) {
		log_error("shutdown failed error=\"%s\"", result->err.msg);
		s->shutting_down = false;
		return;
	}
	clear_run_directory(s);
	log_info("shut down");
	reactor_stop(s->reactor);
}

HANDLER(handle_shutdown)
{
	struct task *task;
	struct err err;

	(void)msg;
	(void)fds;
	(void)n_fds;
	if (s->containers || s->shutting_down || jobs_more_than(s->jobs, s->view_jobs)) {
		err_set(&err, ERR_FAILED_PRECONDITION, "HOST_BUSY",
			"containers are running, or work is under way: stop them first");
		peer_fail(s->peer, request, &err);
		return;
	}
	task = handler_task(s, request, NULL);
	if (!task)
		return;
	s->shutting_down = true;
	/* The workers' copies end with them; ours would keep the pool from being unmounted. */
	pool_close(s->pool);
	s->pool = NULL;
	task->fn = leave_host;
	task->done = host_left;
	view_last_task(s, task);
}

HANDLER(handle_forks)
{
	static const struct msg_empty empty;
	int fd = fork_count_fd(s->forks);

	(void)msg;
	(void)fds;
	(void)n_fds;
	peer_reply(s->peer, request, &empty, &fd, fd >= 0);
}

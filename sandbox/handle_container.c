/*
 * Containers: start, signal, freeze, limits. A container without a run is only a directory in the
 * pool (handle_upper.c); with one it is a struct container.
 */
#include "base/cleanup.h"
#include "base/log.h"
#include "sandbox/abandon.h"
#include "sandbox/container.h"
#include "sandbox/disk_use.h"
#include "sandbox/exec_session.h"
#include "sandbox/handlers.h"
#include "sandbox/policies.h"
#include "sandbox/refuser.h"
#include "sandbox/tenant_rates.h"
#include "sandbox/view.h"
#include "sandbox/volume_mount.h"

#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>

#define FREEZE_TIMEOUT_MS 10000

static int refuse_suspended(const char *tenant, struct err *err)
{
	return err_set(err, ERR_FAILED_PRECONDITION, "TENANT_SUSPENDED",
		"tenant %s is suspended: resume it first", tenant);
}

static int check_suspended(struct supervisor *s, const char *name, struct err *err)
{
	struct cgroup_id tenant = {0};

	snprintf(tenant.tenant, sizeof(tenant.tenant), "%s", name);
	return cgroup_is_told_to_freeze(s->cgroups, &tenant) == 1 ? refuse_suspended(name, err) : 0;
}

static int start(struct task *task, struct job_output *out, struct err *err)
{
	int r = check_suspended(task->s, task->u.spawn.msg.tenant, err);

	if (r < 0)
		return r;
	/* The pool may have been attached after the request was filled. */
	task->u.spawn.pool = task->s->pool;
	return spawn_run(&task->u.spawn, out, err);
}

static void answer_started(struct task *task, struct container *c)
{
	int fds[CONTAINER_FDS_MAX];
	struct msg_started reply;
	size_t n_owned = 0;
	size_t n = 0;
	struct err err;

	container_started_msg(c, &reply);
	if (container_collect_fds(c, fds, &n, &n_owned, &reply, &err) < 0) {
		/* It runs; that it cannot be measured must not go unnoticed. */
		task_fail(task, &err);
		container_kill(c, NULL);
		return;
	}
	task_reply(task, &reply, fds, n);
	for (size_t i = 0; i < n_owned; i++)
		close(fds[i]);
}

static void start_failed(struct task *task, struct container *c, const struct job_result *result)
{
	struct err suspended;

	refuse_suspended(c->cgroup.tenant, &suspended);
	if (result->lost) {
		abandon_start(c, &task->request, c->suspended ? &suspended : &result->err);
		return;
	}
	task_fail(task, &result->err);
	container_move(c, CONTAINER_NONE);
	container_forget(c);
}

/* What the builder has taken would be lost if it were killed. */
static void start_progressed(struct task *task, const void *data, size_t size)
{
	const struct msg_container_start *msg = &task->u.spawn.msg;
	struct container *c = container_find(task->s, msg->tenant, msg->container);
	struct spawn_progress progress;

	if (size != sizeof(progress))
		return;
	memcpy(&progress, data, sizeof(progress));
	c->file.id_base = progress.id_base;
	c->makes_upper = progress.makes_upper;
}

static void start_done(struct task *task, struct job_result *result)
{
	const struct msg_container_start *msg = &task->u.spawn.msg;
	struct container *c = container_find(task->s, msg->tenant, msg->container);
	struct run_file file;
	int listener_fd = -1;
	struct err err;

	tenant_rates_check(task->s, msg->tenant, msg->net_number, &task->u.spawn.tenant_rates);
	if (result->r < 0) {
		start_failed(task, c, result);
		return;
	}
	memcpy(&file, result->payload, sizeof(file));
	if (container_run(c, &file, take_fd(&result->fds[SPAWN_FD_PIDFD]), true,
		    take_fd(&result->fds[SPAWN_FD_STDOUT]), take_fd(&result->fds[SPAWN_FD_CONSOLE]),
		    &err) < 0) {
		task_fail(task, &err);
		container_kill(c, NULL);
		return;
	}
	if (result->n_fds > SPAWN_FD_LISTENER)
		listener_fd = take_fd(&result->fds[SPAWN_FD_LISTENER]);
	log_info("run started tenant=%s container=%s run=%s pid=%d", file.tenant, file.container,
		file.run_id, file.pid);
	view_check(task->s, c, task->u.spawn.view_pid);
	refuser_take(c, listener_fd);
	answer_started(task, c);
}

static bool run_id_is_valid(const char run_id[static RUN_ID_SIZE])
{
	return run_id[RUN_ID_SIZE - 1] == '\0' && strlen(run_id) == RUN_ID_SIZE - 1 &&
	       strspn(run_id, "0123456789abcdef") == RUN_ID_SIZE - 1;
}

/* Its place is in the pools, its network nobody else's, and no running container has its slot. */
static int check_seat(struct supervisor *s, const struct msg_container_start *in, struct err *err)
{
	struct net_place place;

	if (!in->net_number && !in->net_slot)
		return 0;
	if (net_plan_place(&s->net_plan, in->net_number, in->net_slot, &place) < 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "NETWORK_INVALID",
			"the container's place in the network is not in the host's pools");
	for (const struct container *c = s->containers; c; c = c->next) {
		bool same_tenant = !strcmp(c->cgroup.tenant, in->tenant);

		if (c->state == CONTAINER_ENDED || c->file.net_number != in->net_number)
			continue;
		if (!same_tenant || (c->file.net_slot == in->net_slot &&
					    strcmp(c->cgroup.container, in->container) != 0))
			return err_set(err, ERR_INVALID_ARGUMENT, "NETWORK_INVALID",
				"the container's place in the network is taken");
	}
	return 0;
}

static int check_start(struct supervisor *s, const struct msg_container_start *in,
	struct confinement *ret, struct err *err)
{
	struct cgroup_id tenant = {0};

	if (handler_check_names(in->tenant, in->container, err) < 0 ||
		limits_check(&in->limits, err) < 0)
		return -EINVAL;
	if (handler_check_base(in->image, err) < 0)
		return -EINVAL;
	if (!name_field_is_valid(in->policy) || !run_id_is_valid(in->run_id) || in->oom_group > 1 ||
		in->with_init > 1 || in->create > 1 || in->nesting > 1 ||
		in->net_add > NET_ADD_TENANT || in->net_smtp > 1)
		return err_set(err, ERR_INVALID_ARGUMENT, "INVALID_REQUEST",
			"the request to start is malformed");
	if (check_seat(s, in, err) < 0 || volume_mount_check(in->mounts, in->n_mounts, err) < 0)
		return -EINVAL;
	if (handler_check_ready(s, err) < 0)
		return -EAGAIN;
	if (task_check_unclaimed(s, CLAIM_TENANT, in->tenant, err) < 0 ||
		container_check_idle(s, in->tenant, in->container, err) < 0)
		return -EBUSY;
	memcpy(tenant.tenant, in->tenant, sizeof(tenant.tenant));
	if (!cgroup_exists(s->cgroups, &tenant))
		return err_set(err, ERR_FAILED_PRECONDITION, "TENANT_NOT_READY",
			"tenant %s is not set up on this host", in->tenant);
	if (check_suspended(s, in->tenant, err) < 0)
		return -EBUSY;
	return policies_get(s->policies, in->policy, ret, err);
}

HANDLER(handle_container_start)
{
	const struct msg_container_start *in = msg;
	struct confinement confinement;
	struct task *task;
	bool refused;
	struct container *c;
	struct err err;

	refused = check_start(s, in, &confinement, &err) < 0;
	task = handler_task(s, request, refused ? &err : NULL);
	if (!task)
		return;
	c = container_new(s, in->tenant, in->container);
	if (!c) {
		err_oom(&err);
		task_fail(task, &err);
		task_free(task);
		return;
	}
	container_move(c, CONTAINER_STARTING);
	c->file.net_number = in->net_number;
	c->file.net_slot = in->net_slot;
	for (size_t i = 0; i < n_fds; i++)
		task->fds[i] = take_fd(&fds[i]);
	task->u.spawn = (struct spawn_request){
		.msg = *in,
		.args_fd = task->fds[0],
		.seed_fd = task->fds[1],
		.init_fd = s->init_fd,
		.runs_fd = s->runs_fd,
		.fifos_fd = s->fifos_fd,
		.host_dirs_fd = s->host_dirs_fd,
		.cgroups = s->cgroups,
		.ids = s->ids,
		.confinement = confinement,
		.net_owner = supervisor_net_owner(s),
		.net_plan = &s->net_plan,
		.names_fd = s->names_fd,
		.libexec_path = s->config.libexec_path,
		.tenant_rates = tenant_rates_of(s, in->tenant),
		.views_fd = s->views_fd,
		/* An engine inside may want a listener of its own, and there can be one alone. */
		.tells = !in->nesting && confinement.telling && refuser_is_wanted(s),
	};
	task->tenant = task->u.spawn.msg.tenant;
	task->needs_pool = true;
	task->fn = start;
	task->done = start_done;
	task->progress = start_progressed;
	task_makes_in(task, &c->cgroup);
	view_start_task(s, task);
}

HANDLER(handle_container_signal)
{
	const struct msg_signal *in = msg;
	struct container *c;
	struct err err;

	(void)fds;
	(void)n_fds;
	if (handler_check_names(in->tenant, in->container, &err) < 0) {
		peer_fail(s->peer, request, &err);
		return;
	}
	c = container_find_running(s, in->tenant, in->container, &err);
	if (!c) {
		peer_fail(s->peer, request, &err);
		return;
	}
	if (in->signal <= 0 || in->signal > SIGRTMAX) {
		err_set(&err, ERR_INVALID_ARGUMENT, "INVALID_SIGNAL", "there is no signal %d",
			in->signal);
		peer_fail(s->peer, request, &err);
		return;
	}
	if (pidfd_send_signal(c->pidfd, in->signal, NULL, 0) < 0)
		handler_answer(s, request, err_sys(&err, errno, "signal init"), &err);
	else
		handler_answer(s, request, 0, NULL);
}

HANDLER(handle_container_kill)
{
	const struct msg_container *in = msg;
	struct container *c;
	struct err err;
	int r;

	(void)fds;
	(void)n_fds;
	r = handler_check_names(in->tenant, in->container, &err);
	if (r == 0) {
		c = container_find_running(s, in->tenant, in->container, &err);
		r = c ? container_kill(c, &err) : -EBUSY;
	}
	handler_answer(s, request, r, &err);
}

static struct cgroup_id frozen_id(const struct msg_freeze *msg)
{
	struct cgroup_id id;

	memcpy(id.tenant, msg->tenant, sizeof(id.tenant));
	memcpy(id.container, msg->container, sizeof(id.container));
	return id;
}

static int wait_frozen(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_freeze *msg = &task->u.freeze;
	struct cgroup_root *root = task->s->cgroups;
	struct cgroup_id id = frozen_id(msg);

	(void)out;
	if (cgroup_is_told_to_freeze(root, &id) == !msg->frozen)
		return err_set(err, ERR_ABORTED, "FREEZE_OVERTAKEN",
			"it was %s again meanwhile; try again", msg->frozen ? "thawed" : "frozen");
	return cgroup_wait_frozen(root, &id, msg->frozen, FREEZE_TIMEOUT_MS, err);
}

static bool is_given_up(const struct cgroup_id *id, void *arg)
{
	const struct container *c = container_find(arg, id->tenant, id->container);

	return c && c->suspended;
}

/* What is half built stands still with its tenant, and so would its builder. */
static void give_up_starts(struct supervisor *s, const char *tenant)
{
	for (struct container *c = s->containers; c; c = c->next)
		if (c->state == CONTAINER_STARTING && !strcmp(c->cgroup.tenant, tenant))
			c->suspended = true;
	jobs_kill_makes_in(s->jobs, is_given_up, s);
}

static void freeze_done(struct task *task, struct job_result *result)
{
	const struct msg_freeze *msg = &task->u.freeze;
	struct container *c = container_find(task->s, msg->tenant, msg->container);
	struct cgroup_id id = frozen_id(msg);
	struct err ignored;

	if (c)
		c->freezing = false;
	/* What did not come to a stand in time is not left to do so later, when it is taken to run.
	 */
	if (c && msg->frozen && result->r < 0)
		cgroup_thaw(task->s->cgroups, &id, &ignored);
	handler_answer(task->s, &task->request, result->r, &result->err);
}

static int tell_kernel(struct supervisor *s, const struct msg_freeze *in, struct err *err)
{
	struct cgroup_id id = frozen_id(in);
	int r = in->frozen ? cgroup_freeze(s->cgroups, &id, err)
			   : cgroup_thaw(s->cgroups, &id, err);

	/* Now, as these would hold up whoever waits for it; what comes later is refused. */
	if (r == 0 && in->frozen && !in->container[0]) {
		give_up_starts(s, in->tenant);
		/* It stands still as well, in the tenant's leaf, and would never end. */
		jobs_end_work(s->jobs, in->tenant);
	}
	return r;
}

/*
 * Also a whole tenant: then the container's name is empty. The kernel is told from here, in the
 * order of the requests, and a worker only waits: of two workers either may come first.
 */
static void start_freeze(struct supervisor *s, const struct request *request,
	const struct msg_freeze *in, struct container *c)
{
	struct task *task = handler_task(s, request, NULL);
	struct err err;

	if (!task)
		return;
	if (tell_kernel(s, in, &err) < 0) {
		task_fail(task, &err);
		task_free(task);
		return;
	}
	if (c)
		c->freezing = true;
	task->u.freeze = *in;
	/* Its tenant's other workers may stand still by it, and it does not wait for their turn. */
	task->tenant = c ? task->u.freeze.tenant : NULL;
	task->fn = wait_frozen;
	task->done = freeze_done;
	task_start(task);
}

HANDLER(handle_container_freeze)
{
	const struct msg_freeze *in = msg;
	struct container *c;
	struct err err;

	(void)fds;
	(void)n_fds;
	if (handler_check_names(in->tenant, in->container, &err) < 0 || in->frozen > 1) {
		err_set(&err, ERR_INVALID_ARGUMENT, "INVALID_REQUEST", "a name is not valid");
		peer_fail(s->peer, request, &err);
		return;
	}
	c = container_find_running(s, in->tenant, in->container, &err);
	if (!c || disk_use_check(s, in->tenant, in->container, &err) < 0)
		peer_fail(s->peer, request, &err);
	else
		start_freeze(s, request, in, c);
}

HANDLER(handle_tenant_freeze)
{
	const struct msg_freeze *in = msg;
	struct err err;

	(void)fds;
	(void)n_fds;
	if (handler_check_names(in->tenant, NULL, &err) < 0 || in->container[0] || in->frozen > 1) {
		err_set(&err, ERR_INVALID_ARGUMENT, "INVALID_REQUEST", "a name is not valid");
		peer_fail(s->peer, request, &err);
		return;
	}
	start_freeze(s, request, in, NULL);
}

/*
 * The container may end while its limits are changed, by what is forced on it or by itself. Its
 * OOM is then told with its end; a forced limit has done all it can.
 */
static int set_cgroup_limits(struct task *task, const struct cgroup_id *id, struct err *err)
{
	const struct msg_limits *msg = &task->u.limits;
	struct cgroup_root *root = task->s->cgroups;
	int r = cgroup_set_limits(root, id, &msg->limits, msg->oom_group, msg->force, err);

	if (r != -ENOENT && r != -ENODEV)
		return r;
	if (msg->force)
		return 0;
	return err_set(err, ERR_FAILED_PRECONDITION, "CONTAINER_NOT_RUNNING",
		"container %s ended while its limits were changed", msg->container);
}

/* Its interface goes with the container, and then there is nothing left to limit. */
static int set_rates(const struct task *task, struct err *err)
{
	const struct msg_limits *msg = &task->u.limits;
	const struct container *c = container_find(task->s, msg->tenant, msg->container);
	struct net_rates rates = net_rates_of(&msg->limits);
	int r;

	if (!c || !c->file.net_number)
		return 0;
	r = net_shape_set(&task->s->net_plan, c->file.net_number, c->file.net_slot, &rates, err);
	return r == -ENODEV ? 0 : r;
}

static int change_limits(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_limits *msg = &task->u.limits;
	struct disk_limits disk = limits_disk(&msg->limits);
	struct cgroup_id id;
	int r;

	(void)out;
	memcpy(id.tenant, msg->tenant, sizeof(id.tenant));
	memcpy(id.container, msg->container, sizeof(id.container));
	r = pool_set_limit(task->s->pool, msg->tenant, msg->container, &disk, msg->force, err);
	if (r == 0 && msg->running)
		r = set_cgroup_limits(task, &id, err);
	return r < 0 || !msg->running ? r : set_rates(task, err);
}

static void limits_changed(struct task *task, struct job_result *result)
{
	const struct msg_limits *msg = &task->u.limits;
	struct container *c = container_find(task->s, msg->tenant, msg->container);
	int r = result->r;

	/* On file too, for who adopts it; unless it is ending, and its file is the teardown's. */
	if (r == 0 && c && c->state == CONTAINER_RUNNING && c->file.oom_group != msg->oom_group) {
		c->file.oom_group = msg->oom_group;
		r = run_file_save(task->s->runs_fd, &c->file, &result->err);
	}
	handler_answer(task->s, &task->request, r, &result->err);
}

HANDLER(handle_container_limits)
{
	const struct msg_limits *in = msg;
	struct container *c;
	struct task *task;
	bool refused;
	struct err err;

	(void)fds;
	(void)n_fds;
	if (handler_check_names(in->tenant, in->container, &err) < 0 ||
		limits_check(&in->limits, &err) < 0) {
		peer_fail(s->peer, request, &err);
		return;
	}
	c = container_find(s, in->tenant, in->container);
	if (in->running)
		refused = !container_find_running(s, in->tenant, in->container, &err);
	else
		refused = c && container_is_changing(c) &&
			  container_check_idle(s, in->tenant, in->container, &err) < 0;
	task = handler_task(s, request, refused ? &err : NULL);
	if (!task)
		return;
	task->u.limits = *in;
	task->tenant = task->u.limits.tenant; /* a lower limit may wait for those who have to die */
	task->needs_pool = true;
	task->fn = change_limits;
	task->done = limits_changed;
	task_start(task);
}

/* The final counters are committed elsewhere now: the run may be forgotten. */
HANDLER(handle_run_ack)
{
	const struct msg_run_ack *in = msg;
	struct container *c;
	struct err err;
	int r;

	(void)fds;
	(void)n_fds;
	r = handler_check_names(in->tenant, in->container, &err);
	if (r < 0) {
		peer_fail(s->peer, request, &err);
		return;
	}
	c = container_find(s, in->tenant, in->container);
	if (!c || c->state != CONTAINER_ENDED || memcmp(c->file.run_id, in->run_id, RUN_ID_SIZE)) {
		/* Acknowledged before, or another run by now: nothing is lost. */
		handler_answer(s, request, 0, NULL);
		return;
	}
	r = run_file_remove(s->runs_fd, in->tenant, in->container, &err);
	if (r == 0) {
		container_move(c, CONTAINER_NONE);
		container_forget(c);
	}
	handler_answer(s, request, r, &err);
}

HANDLER(handle_exec)
{
	const struct msg_exec *in = msg;
	struct err err;

	if (handler_check_names(in->tenant, in->container, &err) < 0 || in->tty > 1 ||
		in->program > EXEC_FILES) {
		err_set(&err, ERR_INVALID_ARGUMENT, "INVALID_REQUEST", "a name is not valid");
		peer_fail(s->peer, request, &err);
		return;
	}
	exec_session_start(s, request, in, fds, n_fds);
}

HANDLER(handle_exec_signal)
{
	const struct msg_exec_signal *in = msg;
	struct err err;
	int r;

	(void)fds;
	(void)n_fds;
	if (in->signal <= 0 || in->signal > SIGRTMAX)
		r = err_set(&err, ERR_INVALID_ARGUMENT, "INVALID_SIGNAL", "there is no signal %d",
			in->signal);
	else
		r = exec_session_signal(s, in->exec_id, in->signal, &err);
	handler_answer(s, request, r, &err);
}

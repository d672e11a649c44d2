/*
 * Starting a container: the commit of its rows and the supervisor's work run side by side, and the
 * start counts when both have succeeded; see lifecycle.h.
 *
 * Nothing half-made may stay: a spawn that failed takes its rows back, a commit that failed kills
 * what was spawned. When the supervisor is lost in between, nobody knows; the next reconciliation
 * finds out (reconcile.c).
 */
#include "server/lifecycle.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/cloud_init.h"
#include "server/container_new.h"
#include "server/cores.h"
#include "server/events.h"
#include "server/hold.h"
#include "server/idle.h"
#include "server/link.h"
#include "server/logs.h"
#include "server/network.h"
#include "server/placer.h"
#include "server/reconcile.h"
#include "server/store.h"
#include "server/upkeep.h"
#include "server/volume.h"

#include <errno.h>
#include <string.h>

/* What every init finds in its environment. */
#define INIT_ENV_N 2

struct start {
	struct server *server;
	struct container *container; /* a reference */
	struct start_request request;
	struct run before; /* what is shown again when it fails */
	bool committed;
	bool spawned;
	bool lost;   /* the supervisor went away meanwhile */
	int waiting; /* for the commit and the supervisor */
	uint64_t began_boot_usec;
	struct err commit_err;
	struct err spawn_err;
};

int start_check_allowed(struct server *server, const struct container *c, struct err *err)
{
	const struct tenant *t = c->tenant;
	const struct image *image = container_base(&server->model, c, c->image);

	if (server->shutting_down)
		return err_set(err, ERR_UNAVAILABLE, "SHUTTING_DOWN", "croftd is shutting down");
	if (hold_check(t, err) < 0)
		return -EPERM;
	if (t->deleting)
		return err_set(err, ERR_FAILED_PRECONDITION, "TENANT_DELETING",
			"tenant %s is being deleted", t->name);
	/* Nothing would hold its containers together then. */
	if (t->limits_refusal[0])
		return err_set(err, ERR_FAILED_PRECONDITION, "TENANT_LIMITS",
			"this host refuses the limits of tenant %s (%.250s), so that nothing of it "
			"starts; change them first",
			t->name, t->limits_refusal);
	if (c->condemned)
		return err_set(err, ERR_FAILED_PRECONDITION, "CONTAINER_STATE",
			"%s/%s is being deleted", t->name, c->name);
	if (c->changing)
		return err_set(err, ERR_ABORTED, "CONTAINER_BUSY",
			"%s/%s is being changed; try again", t->name, c->name);
	if (!image || !image->visible || image->deleting)
		return err_set(err, ERR_FAILED_PRECONDITION, "IMAGE_NOT_FOUND",
			"its image %s is gone", c->image);
	if (container_check_nesting(t, c->nesting, err) < 0)
		return -EPERM;
	if (!image->init[0] && !c->init_args)
		return err_set(err, ERR_FAILED_PRECONDITION, "IMAGE_WITHOUT_INIT",
			"%s%s has no init; name one", *c->image ? "image " : "the container",
			c->image);
	return 0;
}

int start_check(struct server *server, const struct container *c, struct err *err)
{
	int r = start_check_allowed(server, c, err);

	if (r < 0)
		return r;
	return container_state_check(c->tenant->name, c->name, c->state, CONTAINER_STARTING, err);
}

static bool has_variable(char *const *env, const char *variable)
{
	size_t n = strcspn(variable, "=") + 1;

	for (; *env; env++)
		if (!strncmp(*env, variable, n))
			return true;
	return false;
}

/* As the image has it, under the command that the container may have instead. */
static void fill_app_args(const struct image_config *app, struct spawn_args *args,
	char *env[static IMAGE_CONFIG_ENV_MAX + INIT_ENV_N + 1])
{
	size_t n = 0;

	for (char **own = app->envp; *own; own++)
		env[n++] = *own;
	for (char **given = args->envp; *given; given++)
		if (!has_variable(app->envp, *given))
			env[n++] = *given;
	env[n] = NULL;
	args->envp = env;
	if (args->argv[0] == NULL)
		args->argv = app->argv;
	args->user = app->user[0] ? app->user : "0";
	args->working_dir = app->working_dir[0] ? app->working_dir : "/";
}

static int pack_args(struct server *server, const struct container *c, int *ret_fd, struct err *err)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	/* What tells systemd that it is in a container (systemd's CONTAINER_INTERFACE). */
	static char container[] = "container=croft";
	const struct image *image = container_base(&server->model, c, c->image);
	char *init[] = {image->app ? NULL : (char *)image->init, NULL};
	char *env[INIT_ENV_N + 1] = {path, container, NULL};
	char *app_env[IMAGE_CONFIG_ENV_MAX + INIT_ENV_N + 1];
	struct spawn_args args = {.argv = c->init_args ? c->init_args : init,
		.envp = env,
		.user = "",
		.working_dir = ""};

	if (image->app)
		fill_app_args(image->app, &args, app_env);
	return spawn_args_pack(&args, ret_fd, err);
}

/* An application is no init: one that reaps goes before it. */
static bool wants_init(struct server *server, const struct container *c)
{
	const struct image *image = container_base(&server->model, c, c->image);

	return c->with_init || (image->app && !image->app->is_init && !c->init_args);
}

static void fill_message(struct server *server, const struct container *c, bool create,
	struct msg_container_start *msg)
{
	memcpy(msg->tenant, c->tenant->name, sizeof(msg->tenant));
	memcpy(msg->container, c->name, sizeof(msg->container));
	memcpy(msg->image, c->image, sizeof(msg->image));
	memcpy(msg->policy, c->policy, sizeof(msg->policy));
	memcpy(msg->run_id, c->run.id, sizeof(msg->run_id));
	msg->oom_group = c->oom_group;
	msg->nesting = c->nesting;
	msg->with_init = wants_init(server, c);
	msg->create = create;
	container_fill_limits(c, &msg->limits);
	volume_fill_mounts(c, msg);
}

static void start_free(struct start *start)
{
	container_unref(start->container);
	free(start);
}

/* Takes the rows of a start that failed back, and the container's of a launch. */
static void undo_rows(struct start *start)
{
	struct container *c = start->container;
	struct db_tx *tx = db_tx_new_essential();

	store_delete_run(tx, &c->run);
	events_add_start_failed(tx, c, c->run.id, &start->spawn_err);
	if (start->request.launch) {
		store_delete_container(tx, c);
		events_add_deleted(tx, c);
	}
	db_commit(start->server->db, tx, NULL, NULL);
}

static void drop_launched(struct container *c, const struct err *err)
{
	waiters_call(&c->end_waiters, err);
	waiters_call(&c->gone_waiters, err);
	model_remove_container(c);
}

/* Not spawned: back to what it was before. */
static void fail_unspawned(struct start *start)
{
	struct container *c = start->container;

	if (start->committed)
		undo_rows(start);
	c->state = CONTAINER_STOPPED;
	c->run = start->before;
	logs_wake(c);
	start->request.done(start->request.arg, &start->spawn_err);
	if (start->request.launch) {
		drop_launched(c, &start->spawn_err);
		return;
	}
	waiters_call(&c->end_waiters, NULL);
	if (c->condemned)
		delete_continue(start->server, c);
}

/* Spawned, but its rows are not durable: it must not run. */
static void fail_uncommitted(struct start *start)
{
	struct container *c = start->container;

	c->killed = true;
	c->state = CONTAINER_STOPPING;
	c->condemned = start->request.launch;
	start->request.done(start->request.arg, &start->commit_err);
	if (!c->early_end)
		stop_kill(start->server, c);
}

/* The supervisor went away: what it did is found out when it is back. */
static void fail_lost(struct start *start)
{
	struct container *c = start->container;

	if (start->request.launch) {
		struct db_tx *tx = db_tx_new_essential();

		/* The client is told that it failed, so it must not stay. */
		c->condemned = true;
		c->visible = false;
		store_put_container(tx, c);
		db_commit(start->server->db, tx, NULL, NULL);
	}
	start->request.done(start->request.arg, &start->spawn_err);
	if (link_is_connected(start->server->link))
		reconcile_settle_start(start->server, c);
}

static void succeed(struct start *start)
{
	struct container *c = start->container;
	struct db_tx *tx = db_tx_new_essential();

	c->state = CONTAINER_RUNNING;
	c->launching = false;
	store_confirm_run(tx, &c->run);
	if (c->restart_due)
		upkeep_cancel(c);
	if (start->request.launch || start->request.unasked)
		store_put_container(tx, c);
	events_add_started(tx, c);
	if (start->request.confirm)
		start->request.confirm(start->request.arg, tx);
	db_commit(start->server->db, tx, NULL, NULL);
	log_info("container-started tenant=%s container=%s run=%s", c->tenant->name, c->name,
		c->run.id);
	start->request.done(start->request.arg, NULL);
	idle_adopted(start->server, c);
	placer_wake(start->server);
	if (c->kill_wanted && !c->early_end)
		stop_kill(start->server, c);
}

/* Called when the commit has ended and when the supervisor has answered; acts on the second. */
static void join(struct start *start)
{
	struct container *c = start->container;
	struct server *server = start->server;
	struct msg_run_ended *early;

	if (--start->waiting)
		return;
	if (start->spawned && start->committed)
		histogram_add(&server->stats.starts, clock_boot_usec() - start->began_boot_usec);
	else
		server->stats.starts_failed++;
	c->start_pending = false;
	c->run.stored = start->committed;
	c->stored |= start->committed;
	if (start->lost)
		fail_lost(start);
	else if (!start->spawned)
		fail_unspawned(start);
	else if (!start->committed)
		fail_uncommitted(start);
	else
		succeed(start);
	early = take_ptr(c->early_end);
	if (early)
		run_end_take(server, early);
	free(early);
	start_free(start);
}

static void on_committed(void *arg, const struct err *err)
{
	struct start *start = arg;

	start->committed = !err;
	if (err)
		start->commit_err = *err;
	join(start);
}

static void on_started(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct start *start = arg;

	start->spawned = !err;
	network_note_filter(start->container, err);
	if (err) {
		start->spawn_err = *err;
		start->lost = !strcmp(err->reason, "SUPERVISOR_GONE");
		log_info("container-not-started tenant=%s container=%s reason=%s error=\"%s\"",
			start->container->tenant->name, start->container->name, err->reason,
			err->msg);
	} else {
		run_adopt(start->server, start->container, reply, fds, n_fds);
	}
	join(start);
}

static int begin(struct start *start, struct err *err)
{
	struct container *c = start->container;
	struct server *server = start->server;
	_cleanup_close_ int args = -1;
	_cleanup_close_ int seed = -1;
	struct msg_container_start msg = {0};
	int r = start_check(server, c, err);

	if (r == 0)
		r = cores_resolve_start(&server->model, placer_cpus(server), c, err);
	/* One that was made before the host had a network gets its place now. */
	if (r == 0)
		r = network_place(server, c, err);
	if (r == 0)
		r = pack_args(server, c, &args, err);
	if (r == 0)
		r = cloud_init_pack(c, &seed, err);
	if (r == 0)
		r = network_fill_start(server, c, &msg, err);
	if (r < 0)
		return r;
	run_init(server, c);
	fill_message(server, c, start->request.launch, &msg);
	network_fill_filter(c, &msg);
	r = link_send(server->link, MSG_CONTAINER_START, &msg, (int[]){args, seed},
		seed < 0 ? 1 : 2, on_started, start, err);
	if (r < 0) {
		c->run = start->before;
		return r;
	}
	c->state = CONTAINER_STARTING;
	c->start_pending = true;
	c->kill_wanted = false;
	c->unmovable = false;
	c->cores_unsure = false;
	c->launching = start->request.launch;
	return 0;
}

int start_container(struct server *server, const struct start_request *request, struct err *err)
{
	struct start *start = calloc(1, sizeof(*start));
	struct container *c = request->container;
	int r;

	if (!start) {
		db_tx_free(request->tx);
		return err_oom(err);
	}
	start->server = server;
	start->request = *request;
	start->container = container_ref(c);
	start->before = c->run;
	start->waiting = 2;
	start->began_boot_usec = clock_boot_usec();
	r = begin(start, err);
	if (r < 0) {
		db_tx_free(request->tx);
		start_free(start);
		return r;
	}
	if (request->launch) {
		store_put_container(request->tx, c);
		store_put_cloud_init(request->tx, c);
		events_add_created(request->tx, c);
	} else {
		store_put_place(request->tx, c);
		store_put_cores(request->tx, c);
	}
	if (c->restart_due || request->unasked) {
		upkeep_cancel(c);
		c->restart_due = request->unasked;
		store_put_container(request->tx, c);
	}
	store_add_run(request->tx, &c->run, c->tenant, c);
	db_commit(server->db, request->tx, on_committed, start);
	return 0;
}

/*
 * Taking stock with the supervisor; see reconcile.h.
 *
 * Order: the host's figures, its CPUs among them; the network's pools, which limits of rates need;
 * MSG_LIST, whose events mark what exists;
 * then what croftd believed to run and nobody named is ended as lost; then every tenant's limits
 * are sent anew; when the last is answered, the link is ready. Must never end a run that the
 * supervisor named.
 */
#include "server/reconcile.h"

#include "base/log.h"
#include "server/container_pending.h"
#include "server/convert.h"
#include "server/cores.h"
#include "server/details.h"
#include "server/disk_watch.h"
#include "server/events.h"
#include "server/exec.h"
#include "server/health.h"
#include "server/hold.h"
#include "server/idle.h"
#include "server/import.h"
#include "server/lifecycle.h"
#include "server/link.h"
#include "server/logs.h"
#include "server/network.h"
#include "server/placer.h"
#include "server/sampler.h"
#include "server/server.h"
#include "server/snapshot_op.h"
#include "server/store.h"
#include "server/svc_policies.h"
#include "server/upkeep.h"
#include "server/volume_op.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

/* One tenant's limits on their way. */
struct resend {
	struct server *server;
	struct tenant *tenant; /* a reference */
};

static struct resend *resend_new(struct server *server, struct tenant *t)
{
	struct resend *resend = malloc(sizeof(*resend));

	if (resend)
		*resend = (struct resend){server, tenant_ref(t)};
	return resend;
}

static void resend_free(struct resend *resend)
{
	tenant_unref(resend->tenant);
	free(resend);
}

/* A container that was just starting is looked at again after this. */
#define LIST_AGAIN_MS 50

static void finish(struct server *server);
static void list_again_later(struct server *server);

static void forget_seen(struct server *server)
{
	struct container *c = NULL;

	server->list_again = false;
	while ((c = model_next_container(&server->model, c)))
		c->seen = false;
}

static void step_done(struct server *server)
{
	if (server->reconcile_waiting && !--server->reconcile_waiting)
		finish(server);
}

void reconcile_lost(struct server *server)
{
	server->reconcile_waiting = 0;
	exec_lost(server);
	health_lost();
}

void reconcile_fill_tenant(const struct tenant *t, bool force, struct msg_tenant_set *ret)
{
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->tenant, t->name, sizeof(ret->tenant));
	ret->force = force;
	ret->net_number = t->net_number;
	tenant_fill_limits(t, &ret->limits);
}

void reconcile_note_tenant(struct tenant *t, const struct err *err)
{
	if (err)
		log_error("tenant-not-restored tenant=%s error=\"%s\"", t->name, err->msg);
	snprintf(t->limits_refusal, sizeof(t->limits_refusal), "%s", err ? err->msg : "");
}

static int send_tenant(struct server *server, struct tenant *t);

static void on_thawed(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct resend *resend = arg;

	(void)reply;
	link_close_fds(fds, n_fds);
	hold_thawed(resend->server, resend->tenant, err);
	if (!err || strcmp(err->reason, "SUPERVISOR_GONE") != 0)
		step_done(resend->server);
	resend_free(resend);
}

/* What cannot be frozen must not run either. */
static void on_frozen_again(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct resend *resend = arg;
	struct tenant *t = resend->tenant;

	(void)reply;
	link_close_fds(fds, n_fds);
	if (err && strcmp(err->reason, "SUPERVISOR_GONE") != 0 && t->suspended && !t->gone) {
		log_warning("tenant-not-frozen tenant=%s error=\"%s\"", t->name, err->msg);
		hold_stop(resend->server, t);
	}
	resend_free(resend);
}

/*
 * After the limits: a suspended tenant is frozen also when the host has booted since, and one whose
 * suspension was not committed runs on. That is waited for (true); a freeze is not, as it may take
 * a tenant's processes long.
 */
static bool send_freeze(struct server *server, struct tenant *t)
{
	struct msg_freeze msg = {.frozen = t->suspended};
	struct resend *resend = resend_new(server, t);
	struct err err;

	if (!resend)
		return false;
	memcpy(msg.tenant, t->name, sizeof(msg.tenant));
	if (link_send_early(server->link, MSG_TENANT_FREEZE, &msg, NULL, 0,
		    t->suspended ? on_frozen_again : on_thawed, resend, &err) == 0)
		return !t->suspended;
	resend_free(resend);
	return false;
}

/* A limit that was asked for, on a host whose pool no longer has any: the others hold. */
static void tell_unenforced(struct server *server, const struct tenant *t, const struct err *why)
{
	struct db_tx *tx = db_tx_new();
	struct details d;

	log_error("disk-limit-not-enforced tenant=%s error=\"%s\"", t->name, why->msg);
	details_init(&d);
	details_text(&d, "limit", convert_limit_path(LIMIT_DISK));
	details_number(&d, "value", t->limits.value[LIMIT_DISK]);
	details_text(&d, "message", why->msg);
	events_add_tenant(tx, t, "tenant.limit_unenforced", details_end(&d),
		"the disk limit of tenant %s is not enforced: %s", t->name, why->msg);
	db_commit(server->db, tx, NULL, NULL);
}

static void on_tenant_set(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct resend *resend = arg;
	struct server *server = resend->server;
	struct tenant *t = resend->tenant;

	(void)reply;
	if (err && !strcmp(err->reason, "DISK_LIMIT_UNSUPPORTED") && !t->disk_unenforced) {
		t->disk_unenforced = true;
		if (tenant_owns_limit(t, LIMIT_DISK))
			tell_unenforced(server, t, err);
		if (send_tenant(server, t) == 0)
			server->reconcile_waiting++;
	} else if (err) {
		/* Without the supervisor there is nothing to tell: the next is asked again. */
		reconcile_note_tenant(t, err);
	} else if (!t->gone) {
		reconcile_note_tenant(t, NULL);
		run_adopt_tenant(server, t, fds, n_fds);
		n_fds = 0;
	}
	link_close_fds(fds, n_fds);
	if (!err || strcmp(err->reason, "SUPERVISOR_GONE") != 0) {
		if (send_freeze(server, t))
			server->reconcile_waiting++;
		step_done(server);
	}
	resend_free(resend);
}

static int send_tenant(struct server *server, struct tenant *t)
{
	struct resend *resend = resend_new(server, t);
	struct msg_tenant_set msg;
	struct err err;
	int r;

	if (!resend)
		return -ENOMEM;
	/* Forced: these limits were in force before; what is in use now must not stop that. */
	reconcile_fill_tenant(t, true, &msg);
	r = link_send_early(
		server->link, MSG_TENANT_SET, &msg, NULL, 0, on_tenant_set, resend, &err);
	if (r < 0)
		resend_free(resend);
	return r;
}

/* A run that was asked for, but never carried out. */
static void take_back(struct server *server, const struct container *c)
{
	struct db_tx *tx = db_tx_new_essential();
	struct err why;

	err_set(&why, ERR_ABORTED, "START_INTERRUPTED",
		"croftd or its supervisor ended before it was started");
	store_delete_run(tx, &c->run);
	events_add_start_failed(tx, c, c->run.id, &why);
	db_commit(server->db, tx, NULL, NULL);
}

/* A container of croftd's: what to do about what the supervisor said, or did not say. */
static void settle(struct server *server, struct container *c)
{
	if (c->end_pending || c->start_pending)
		return;
	if (container_state_is_live(c->state)) {
		if (c->seen)
			return;
		if (c->run.confirmed) {
			run_end_lost(server, c);
			return;
		}
		if (c->run.stored)
			take_back(server, c);
		memset(&c->run, 0, sizeof(c->run));
		c->state = CONTAINER_STOPPED;
		waiters_call(&c->end_waiters, NULL);
		logs_wake(c);
		c->condemned |= c->launching;
	}
	if (c->condemned)
		delete_continue(server, c);
}

void reconcile_settle_start(struct server *server, struct container *c)
{
	if (!c->run.confirmed) {
		/* Before the list is answered, it is settled with all the others. */
		if (link_is_ready(server->link))
			settle(server, c);
		return;
	}
	c->state = CONTAINER_RUNNING;
	if (c->condemned || c->kill_wanted)
		stop_kill(server, c);
}

/* After a list: what it did not name. */
static void settle_all(struct server *server)
{
	struct container *next;

	for (struct container *c = model_next_container(&server->model, NULL); c; c = next) {
		next = model_next_container(&server->model, c);
		settle(server, c);
	}
}

/*
 * A host that has booted may have other CPUs than it had: tenants whose own are Croft's choice get
 * such as there are. One that cannot has what is left of them.
 */
static void place_tenants(struct server *server)
{
	const struct cpu_topology *host = placer_cpus(server);
	struct map_node *node;

	MAP_FOREACH(node, &server->model.tenants)
	{
		struct tenant *t = map_object(node, struct tenant, by_name);
		uint64_t before[LIMITS_CPU_WORDS];
		char cores[CORES_TEXT_SIZE];
		struct db_tx *tx;
		struct err err;

		if (!t->visible || t->changing || t->deleting)
			continue;
		memcpy(before, t->cpus, sizeof(before));
		if (cores_resolve_boot(&server->model, host, t, &err) < 0 ||
			!memcmp(before, t->cpus, sizeof(before)))
			continue;
		tx = db_tx_new_essential();
		store_put_tenant(tx, t);
		db_commit(server->db, tx, NULL, NULL);
		log_info("tenant-moved tenant=%s cores=%s", t->name,
			limits_format_cores(t->cpus, cores, sizeof(cores)));
	}
}

static void on_listed(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct server *server = arg;
	struct map_node *node;

	(void)reply;
	link_close_fds(fds, n_fds);
	if (err) {
		log_error("reconciliation-failed error=\"%s\"", err->msg);
		return;
	}
	settle_all(server);
	place_tenants(server);
	MAP_FOREACH(node, &server->model.tenants)
	if (send_tenant(server, map_object(node, struct tenant, by_name)) == 0)
		server->reconcile_waiting++;
	step_done(server);
}

static void on_net_filter(void *arg, const struct err *err)
{
	if (!err || strcmp(err->reason, "SUPERVISOR_GONE") != 0)
		step_done(arg);
}

static void on_net_config(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	static const struct msg_empty empty;
	struct server *server = arg;
	struct err failure;

	(void)reply;
	link_close_fds(fds, n_fds);
	if (err && !strcmp(err->reason, "SUPERVISOR_GONE"))
		return;
	if (link_send_early(server->link, MSG_LIST, &empty, NULL, 0, on_listed, server, &failure) <
		0)
		log_error("reconciliation-failed error=\"%s\"", failure.msg);
	if (err)
		log_error("network-refused error=\"%s\"", err->msg);
	else if (net_plan_is_on(&server->config->net) &&
		 network_replace_filter(server, on_net_filter, server, &failure) == 0)
		return;
	step_done(server);
}

static void on_listed_again(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	(void)reply;
	link_close_fds(fds, n_fds);
	if (err)
		return;
	settle_all(arg);
	list_again_later(arg);
}

static void list_again(evutil_socket_t fd, short what, void *arg)
{
	static const struct msg_empty empty;
	struct server *server = arg;
	struct err err;

	(void)fd;
	(void)what;
	/* This connection is lost; the next has its own list. */
	if (!link_is_ready(server->link))
		return;
	forget_seen(server);
	link_send(server->link, MSG_LIST, &empty, NULL, 0, on_listed_again, server, &err);
}

static void list_again_later(struct server *server)
{
	static const struct timeval pause = {.tv_usec = LIST_AGAIN_MS * 1000};

	if (!server->list_again)
		return;
	server->list_again = false;
	event_base_once(server->base, -1, EV_TIMEOUT, list_again, server, &pause);
}

static void finish(struct server *server)
{
	link_set_ready(server->link);
	container_pending_resume_all(server);
	snapshot_settle_all(server);
	volume_settle_all(server);
	import_undo_all(server);
	/* Not before: a list is not asked for on a link that is not ready. */
	list_again_later(server);
	log_info("reconciled tenants=%zu", server->model.tenants.n);
	if (server->on_ready)
		server->on_ready(server);
}

static void on_host_info(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct server *server = arg;
	struct msg_net_config net;
	struct err failure;

	link_close_fds(fds, n_fds);
	if (err && !strcmp(err->reason, "SUPERVISOR_GONE"))
		return;
	if (!err)
		memcpy(&server->host, reply, sizeof(server->host));
	network_fill_config(server, &net);
	if (link_send_early(server->link, MSG_NET_CONFIG, &net, NULL, 0, on_net_config, server,
		    &failure) < 0)
		log_error("reconciliation-failed error=\"%s\"", failure.msg);
	step_done(server);
}

void reconcile_begin(struct server *server)
{
	static const struct msg_empty empty;
	struct err err;

	forget_seen(server);
	/* One step for the network, one for the list, one for the host's figures. */
	server->reconcile_waiting = 3;
	if (link_send_early(
		    server->link, MSG_HOST_INFO, &empty, NULL, 0, on_host_info, server, &err) < 0)
		log_error("reconciliation-failed error=\"%s\"", err.msg);
}

/* --- events --- */

static void kill_unknown(struct server *server, const char *tenant, const char *container)
{
	struct msg_container msg = {0};
	struct err err;

	log_warning("unknown-container-killed tenant=%s container=%s", tenant, container);
	memcpy(msg.tenant, tenant, sizeof(msg.tenant));
	memcpy(msg.container, container, sizeof(msg.container));
	link_send_early(server->link, MSG_CONTAINER_KILL, &msg, NULL, 0, NULL, NULL, &err);
}

static enum container_state adopted_state(const struct container *c, uint32_t state)
{
	if (c->state == CONTAINER_STOPPING && (c->end_waiters.tqh_first || c->condemned))
		return CONTAINER_STOPPING;
	switch (state) {
	case RUN_FROZEN:
		return CONTAINER_FROZEN;
	case RUN_STOPPING:
		return CONTAINER_STOPPING;
	default:
		return CONTAINER_RUNNING;
	}
}

/* A start that croftd did not live to see the end of is confirmed late. */
static void confirm(struct server *server, struct container *c)
{
	struct db_tx *tx = db_tx_new_essential();

	c->launching = false;
	upkeep_cancel(c);
	store_confirm_run(tx, &c->run);
	store_put_container(tx, c);
	events_add_started(tx, c);
	db_commit(server->db, tx, NULL, NULL);
}

static void adopt(struct server *server, struct container *c, const struct msg_event_container *msg,
	const int *fds, size_t n_fds)
{
	bool late = !c->run.confirmed && !c->start_pending;

	run_adopt(server, c, &msg->started, fds, n_fds);
	if (c->start_pending)
		return;
	if (late)
		confirm(server, c);
	c->state = adopted_state(c, msg->state);
	stop_adopted(server, c);
	upkeep_adopted(server, c);
	idle_adopted(server, c);
	c->launching = false;
	if (c->condemned || c->kill_wanted)
		stop_kill(server, c);
}

static void on_container(
	struct server *server, const struct msg_event_container *msg, const int *fds, size_t n_fds)
{
	struct tenant *t = model_any_tenant(&server->model, msg->tenant);
	struct container *c = t ? model_any_container(t, msg->container) : NULL;

	if (msg->state == RUN_STARTING) {
		/* Its answer goes to a connection that is no more, so it is asked for again. */
		link_close_fds(fds, n_fds);
		if (!c || !c->start_pending)
			server->list_again = true;
		if (c)
			c->seen = true;
		return;
	}
	if (!c || strcmp(c->run.id, msg->started.run_id) != 0 || c->run.end_wall_usec) {
		link_close_fds(fds, n_fds);
		/* One that has ended is told of by its final counters. */
		if (msg->state != RUN_ENDED)
			kill_unknown(server, msg->tenant, msg->container);
		return;
	}
	c->seen = true;
	if (msg->state == RUN_ENDED || c->end_pending)
		link_close_fds(fds, n_fds);
	else
		adopt(server, c, msg, fds, n_fds);
}

static void on_tenant(
	struct server *server, const struct msg_tenant *msg, const int *fds, size_t n_fds)
{
	struct tenant *t = model_any_tenant(&server->model, msg->tenant);
	struct err err;

	if (t) {
		run_adopt_tenant(server, t, fds, n_fds);
		return;
	}
	link_close_fds(fds, n_fds);
	log_warning("unknown-tenant-removed tenant=%s", msg->tenant);
	link_send_early(server->link, MSG_TENANT_REMOVE, msg, NULL, 0, NULL, NULL, &err);
}

static void on_run_ended(struct server *server, const struct msg_run_ended *msg)
{
	struct tenant *t = model_any_tenant(&server->model, msg->tenant);
	struct container *c = t ? model_any_container(t, msg->container) : NULL;

	if (c && !strcmp(c->run.id, msg->run_id))
		c->seen = true;
	run_end_take(server, msg);
}

void reconcile_event(
	struct server *server, enum msg_op op, const void *msg, const int *fds, size_t n_fds)
{
	switch (op) {
	case MSG_EVENT_CONTAINER:
		on_container(server, msg, fds, n_fds);
		return;
	case MSG_EVENT_TENANT:
		on_tenant(server, msg, fds, n_fds);
		return;
	case MSG_EVENT_RUN_ENDED:
		on_run_ended(server, msg);
		break;
	case MSG_EVENT_EXEC_ENDED:
		if (!health_command_ended(msg))
			exec_ended(server, msg);
		break;
	case MSG_EVENT_LIMIT_HIT:
		sampler_limit_hit(server, msg);
		break;
	case MSG_EVENT_IMPORT_PROGRESS:
		import_progress(server, msg);
		break;
	case MSG_EVENT_DISK:
		disk_watch_take(server, msg);
		break;
	case MSG_EVENT_POLICY:
		policies_take(server, msg);
		break;
	default:
		log_warning("unexpected-event op=%d", op);
		break;
	}
	link_close_fds(fds, n_fds);
}

/*
 * The end of a run that the model does not hold: one whose acknowledgement was lost, or whose
 * container's rows were never committed because croftd died. It ran, so it is on the record.
 */
#include "server/lifecycle.h"

#include "base/log.h"
#include "server/ledger.h"
#include "server/link.h"
#include "server/store.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define COMMIT_RETRY_MS 1000

struct stray {
	LIST_ENTRY(stray) entry; /* of the server's strays, until it is settled */
	struct server *server;
	struct tenant *tenant; /* a reference */
	struct msg_run_ended msg;
	struct usage_totals delta; /* what it added to the tenant's totals */
	struct event *retry;
	bool recorded;
};

static void stray_free(struct stray *stray)
{
	if (stray->retry)
		event_free(stray->retry);
	LIST_REMOVE(stray, entry);
	tenant_unref(stray->tenant);
	free(stray);
}

static void on_upper_removed(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct stray *stray = arg;
	struct msg_tenant msg = {0};
	struct err ignored;

	(void)err;
	(void)reply;
	link_close_fds(fds, n_fds);
	memcpy(msg.tenant, stray->msg.tenant, sizeof(msg.tenant));
	/* Fails while the tenant has other containers; the last of them takes it along. */
	if (!model_any_tenant(&stray->server->model, msg.tenant))
		link_send_early(stray->server->link, MSG_TENANT_REMOVE, &msg, NULL, 0, NULL, NULL,
			&ignored);
	stray_free(stray);
}

/* It is on the record, or is nobody's: the supervisor may forget it, and what it left goes. */
static void settle(struct stray *stray)
{
	struct server *server = stray->server;
	struct msg_container msg = {0};
	struct tenant *t;
	struct err err;

	run_end_ack(server, &stray->msg);
	t = model_any_tenant(&server->model, stray->msg.tenant);
	if (t && model_any_container(t, stray->msg.container)) {
		stray_free(stray);
		return;
	}
	memcpy(msg.tenant, stray->msg.tenant, sizeof(msg.tenant));
	memcpy(msg.container, stray->msg.container, sizeof(msg.container));
	if (link_send_early(server->link, MSG_CONTAINER_REMOVE, &msg, NULL, 0, on_upper_removed,
		    stray, &err) < 0)
		stray_free(stray);
}

static int note_row(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)row;
	(void)err;
	*(bool *)arg = true;
	return 0;
}

static int look_up(struct db *db, void *arg, struct err *err)
{
	struct stray *stray = arg;

	return db_query(db, "SELECT 1 FROM runs WHERE id=?1 AND end_wall IS NOT NULL", note_row,
		&stray->recorded, err, "s", stray->msg.run_id);
}

static void try_again_later(struct stray *stray);

static void on_recorded(void *arg, const struct err *err)
{
	struct stray *stray = arg;

	if (!err) {
		settle(stray);
		return;
	}
	usage_totals_subtract(&stray->tenant->totals, &stray->delta);
	log_error("stray-run-not-committed run=%s error=\"%s\"", stray->msg.run_id, err->msg);
	try_again_later(stray);
}

static void record(struct stray *stray)
{
	const struct msg_run_ended *msg = &stray->msg;
	struct usage_point start = {0};
	struct db_tx *tx = db_tx_new_essential();
	struct container as = {.tenant = stray->tenant};
	struct run run = {.key = stray->server->next_run_key++, .exit = RUN_EXIT_UNKNOWN};

	/* Its container has no row and no uid any more; the run gets one of its own. */
	model_make_uid(as.uid);
	memcpy(as.name, msg->container, sizeof(as.name));
	memcpy(run.id, msg->run_id, sizeof(run.id));
	memcpy(run.boot_id, msg->boot_id, sizeof(run.boot_id));
	run.cgroup_inode = msg->cgroup_inode;
	run.partial_writes = stray->server->host.cgroup_kind == CGROUP_HYBRID;
	run.start_boot_usec = msg->start_boot_usec;
	run.start_wall_usec = msg->end_wall_usec -
			      (int64_t)(msg->end_boot_usec - msg->start_boot_usec);
	run.end_boot_usec = msg->end_boot_usec;
	run.end_wall_usec = msg->end_wall_usec;
	run.last = (struct usage_point){.sequence = 1,
		.boot_usec = msg->end_boot_usec,
		.wall_usec = msg->end_wall_usec,
		.counters = msg->counters};
	run.net_base = msg->net_base;
	start.boot_usec = run.start_boot_usec;
	start.counters.has_net = msg->net_base.valid;
	start.counters.net = msg->net_base.usage;
	stray->delta = (struct usage_totals){.runs = 1};
	store_add_run(tx, &run, stray->tenant, &as);
	store_confirm_run(tx, &run);
	if (msg->counters_valid) {
		store_sample(tx, &run, &run.last);
		usage_add(&stray->delta, &start, &run.last, ledger_gap_usec(stray->server));
	}
	store_end_run(tx, &run);
	usage_totals_merge(&stray->tenant->totals, &stray->delta);
	store_totals(tx, stray->tenant->uid, &stray->tenant->totals);
	store_totals(tx, as.uid, &stray->delta);
	db_commit(stray->server->db, tx, on_recorded, stray);
}

static void on_looked_up(void *arg, const struct err *err)
{
	struct stray *stray = arg;

	if (err)
		try_again_later(stray);
	else if (stray->recorded)
		settle(stray);
	else
		record(stray);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct stray *stray = arg;

	(void)fd;
	(void)what;
	db_read(stray->server->db, look_up, on_looked_up, stray);
}

/* When not even that can be: the supervisor tells it again after the next connection. */
static void try_again_later(struct stray *stray)
{
	static const struct timeval pause = {
		.tv_usec = COMMIT_RETRY_MS * 1000 % 1000000, .tv_sec = COMMIT_RETRY_MS / 1000};

	if (!stray->retry)
		stray->retry = evtimer_new(stray->server->base, on_retry, stray);
	if (!stray->retry || evtimer_add(stray->retry, &pause) < 0)
		stray_free(stray);
}

/* True while it is being recorded: whoever took it twice would count it twice. */
static bool is_under_way(const struct server *server, const char *run_id)
{
	const struct stray *stray;

	LIST_FOREACH (stray, &server->strays, entry)
		if (!strcmp(stray->msg.run_id, run_id))
			return true;
	return false;
}

void run_end_take_stray(
	struct server *server, struct tenant *tenant, const struct msg_run_ended *msg)
{
	struct stray *stray = is_under_way(server, msg->run_id) ? NULL : calloc(1, sizeof(*stray));

	/* Not acknowledged, so the supervisor tells it again. */
	if (!stray)
		return;
	LIST_INSERT_HEAD(&server->strays, stray, entry);
	stray->server = server;
	stray->msg = *msg;
	if (!tenant) {
		log_warning("stray-run tenant=%s container=%s run=%s", msg->tenant, msg->container,
			msg->run_id);
		settle(stray);
		return;
	}
	stray->tenant = tenant_ref(tenant);
	db_read(server->db, look_up, on_looked_up, stray);
}

/*
 * The end of a run: its final counters are committed, then acknowledged, and only then does
 * anything else happen to the container; see lifecycle.h.
 *
 * Must never acknowledge what is not durable: the supervisor forgets the counters then.
 */
#include "server/lifecycle.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/console.h"
#include "server/details.h"
#include "server/events.h"
#include "server/health.h"
#include "server/hold.h"
#include "server/idle.h"
#include "server/ledger.h"
#include "server/link.h"
#include "server/logs.h"
#include "server/placer.h"
#include "server/store.h"
#include "server/upkeep.h"

#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define COMMIT_RETRY_MS 1000
/* A container that reboots more often than this in a minute stays down: its boot does not work. */
#define REBOOTS_MAX	       5
#define REBOOTS_PERIOD_SECONDS 60u

struct run_end {
	struct server *server;
	struct container *container; /* a reference */
	struct msg_run_ended msg;
	struct usage_point point;
	bool known;	  /* the supervisor told it; else nobody knows how it ended */
	bool was_stopped; /* somebody asked for the end */
	bool reboot;	  /* a new run is to follow */
	bool reboot_loop; /* it would, but for the guard */
	struct event *retry;
};

void run_end_ack(struct server *server, const struct msg_run_ended *msg)
{
	struct msg_run_ack ack;
	struct err err;

	memcpy(ack.tenant, msg->tenant, sizeof(ack.tenant));
	memcpy(ack.container, msg->container, sizeof(ack.container));
	memcpy(ack.run_id, msg->run_id, sizeof(ack.run_id));
	/* When it does not arrive, the supervisor repeats the end after the next LIST. */
	link_send_early(server->link, MSG_RUN_ACK, &ack, NULL, 0, NULL, NULL, &err);
}

/*
 * What init's own end says. In a pid namespace reboot(2) ends init by SIGHUP for a reboot and by
 * SIGINT for halt and poweroff, see reboot(2). Some inits answer the stop signal with a reboot:
 * whoever was asked to stop has shut down then.
 */
static void classify(const struct run_end *end, const struct msg_run_ended *msg, struct run *run)
{
	const struct container *c = end->container;

	run->exit_status = 0;
	run->exit_signal = 0;
	if (msg->exit.kind == EXIT_KIND_EXITED) {
		run->exit = RUN_EXIT_EXITED;
		run->exit_status = msg->exit.status;
		return;
	}
	if (msg->exit.kind != EXIT_KIND_SIGNALLED) {
		run->exit = RUN_EXIT_UNKNOWN;
		return;
	}
	run->exit = RUN_EXIT_SIGNALLED;
	run->exit_signal = msg->exit.signal;
	if (msg->exit.signal == SIGHUP)
		run->exit = end->was_stopped ? RUN_EXIT_POWEROFF : RUN_EXIT_REBOOT;
	else if (msg->exit.signal == SIGINT)
		run->exit = RUN_EXIT_POWEROFF;
	else if (msg->exit.signal == SIGKILL && !c->killed && !c->kept_down &&
		 msg->counters_valid && msg->counters.oom_kills)
		run->exit = RUN_EXIT_OOM;
}

static const char *describe(const struct run *run, char out[static 64])
{
	switch (run->exit) {
	case RUN_EXIT_EXITED:
		snprintf(out, 64, "its init exited with status %d", run->exit_status);
		break;
	case RUN_EXIT_SIGNALLED:
		snprintf(out, 64, "its init was ended by signal %d", run->exit_signal);
		break;
	case RUN_EXIT_POWEROFF:
		snprintf(out, 64, "it shut down");
		break;
	case RUN_EXIT_REBOOT:
		snprintf(out, 64, "it was rebooted from inside");
		break;
	case RUN_EXIT_OOM:
		snprintf(out, 64, "the OOM killer ended its init");
		break;
	default:
		snprintf(out, 64, "nobody can tell how");
		break;
	}
	return out;
}

static const char *exit_name(enum run_exit exit)
{
	/* As croft.v1.Exit.Kind has them. */
	static const char *const names[] = {
		[RUN_EXIT_NONE] = "KIND_UNSPECIFIED",
		[RUN_EXIT_EXITED] = "EXITED",
		[RUN_EXIT_SIGNALLED] = "SIGNALLED",
		[RUN_EXIT_POWEROFF] = "POWEROFF",
		[RUN_EXIT_REBOOT] = "REBOOT",
		[RUN_EXIT_UNKNOWN] = "UNKNOWN",
		[RUN_EXIT_OOM] = "OOM",
	};

	return names[(unsigned)exit < ARRAY_SIZE(names) ? exit : RUN_EXIT_UNKNOWN];
}

static void add_end_event(struct db_tx *tx, const struct container *c)
{
	const struct run *run = &c->run;
	uint64_t began = run->start_boot_usec;
	struct details d;
	char how[64];

	details_init(&d);
	details_text(&d, "exit", exit_name(run->exit));
	details_int(&d, "status", run->exit_status);
	details_int(&d, "signal", run->exit_signal);
	details_number(&d, "cpu_usec", run->last.counters.cpu_usec);
	details_number(
		&d, "running_usec", run->end_boot_usec > began ? run->end_boot_usec - began : 0);
	events_add_container(tx, c, run->id, "container.ended", details_end(&d), "%s/%s ended: %s",
		c->tenant->name, c->name, describe(run, how));
}

static void add_reboot_limit_event(struct db_tx *tx, const struct container *c)
{
	struct details d;

	details_init(&d);
	details_number(&d, "reboots", c->reboots);
	details_number(&d, "seconds", REBOOTS_PERIOD_SECONDS);
	events_add_container(tx, c, c->run.id, "container.reboot_limit", details_end(&d),
		"%s/%s stays down: %s", c->tenant->name, c->name, c->run.end_note);
}

/* The rows of the end. Called again for another attempt, so it must come to the same. */
static struct db_tx *build(struct run_end *end)
{
	struct container *c = end->container;
	struct db_tx *tx = db_tx_new_essential();
	struct run *run = &c->run;

	db_tx_set_actor(tx, &c->stopper);
	if (!c->stored)
		events_add_created(tx, c);
	/* That its launch is over is committed here at the latest. */
	store_put_container(tx, c);
	if (!run->stored)
		store_add_run(tx, run, c->tenant, c);
	store_confirm_run(tx, run);
	if (end->known && end->msg.counters_valid) {
		ledger_add_sample(end->server, tx, c, &end->point, LEDGER_FINAL);
	} else if (!end->known && end->point.boot_usec > run->last.boot_usec) {
		store_gap(tx, run, "the run's end was not seen", &run->last, &end->point);
	}
	store_end_run(tx, run);
	ledger_add_totals(tx, c);
	add_end_event(tx, c);
	if (end->reboot_loop)
		add_reboot_limit_event(tx, c);
	upkeep_add_event(tx, c);
	return tx;
}

static void run_end_free(struct run_end *end)
{
	if (end->retry)
		event_free(end->retry);
	container_unref(end->container);
	free(end);
}

static void on_rebooted(void *arg, const struct err *err)
{
	struct container *c = arg;

	if (err) {
		log_warning("reboot-failed tenant=%s container=%s error=\"%s\"", c->tenant->name,
			c->name, err->msg);
		console_end(c);
	}
	container_unref(c);
}

static bool may_reboot(const struct run_end *end)
{
	const struct container *c = end->container;

	return c->run.exit == RUN_EXIT_REBOOT && !c->killed && !c->condemned &&
	       !c->tenant->suspended && !c->tenant->deleting && !end->server->shutting_down;
}

/* Decided before the commit, so that the refusal is part of it. */
static void decide_reboot(struct run_end *end)
{
	struct container *c = end->container;
	uint64_t now = clock_boot_usec();

	if (!may_reboot(end))
		return;
	if (now - c->reboot_boot_usec > REBOOTS_PERIOD_SECONDS * UINT64_C(1000000)) {
		c->reboot_boot_usec = now;
		c->reboots = 0;
	}
	end->reboot = c->reboots++ < REBOOTS_MAX;
	end->reboot_loop = !end->reboot;
	if (end->reboot)
		return;
	snprintf(c->run.end_note, sizeof(c->run.end_note),
		"it rebooted %u times within %u seconds; start it to try again", c->reboots,
		REBOOTS_PERIOD_SECONDS);
	log_warning("reboot-limit tenant=%s container=%s reboots=%u", c->tenant->name, c->name,
		c->reboots);
}

/* The end may be told again when croftd was killed before it was acknowledged: the same comes out.
 */
static void decide_restart(struct run_end *end)
{
	struct container *c = end->container;

	hold_note_end(c, end->was_stopped);
	if (!end->was_stopped && !c->killed && !c->kept_down && !c->condemned && !c->ephemeral &&
		!c->tenant->deleting && !end->server->shutting_down)
		upkeep_decide(c);
}

/* What was refused at once has committed nothing, so its event goes alone. */
static void tell_reboot_failed(struct server *server, struct container *c, const struct err *err)
{
	struct db_tx *tx = db_tx_new_essential();

	events_add_start_failed(tx, c, "", err);
	db_commit(server->db, tx, NULL, NULL);
}

/* A stop, restart or deletion has come while the end was committed: it was asked to go down. */
static bool is_wanted_down(const struct container *c)
{
	return c->run.kill_boot_usec || !TAILQ_EMPTY(&c->end_waiters);
}

static bool reboot(struct run_end *end)
{
	struct container *c = end->container;
	struct start_request request = {.container = c, .done = on_rebooted, .arg = c};
	struct err err;

	if (!end->reboot || !may_reboot(end) || is_wanted_down(c))
		return false;
	request.tx = db_tx_new();
	container_ref(c);
	if (start_container(end->server, &request, &err) == 0)
		return true;
	tell_reboot_failed(end->server, c, &err);
	on_rebooted(c, &err);
	return false;
}

/* A hold came before it could boot again: that keeps it down, not its own end. */
static bool reboot_waits(const struct run_end *end)
{
	const struct container *c = end->container;

	return end->reboot && c->tenant->suspended && !c->killed && !c->condemned &&
	       !c->tenant->deleting && !is_wanted_down(c);
}

/* The end is durable: what follows from it. */
static void finish(struct run_end *end)
{
	struct server *server = end->server;
	struct container *c = end->container;
	char how[64];

	if (end->known)
		run_end_ack(server, &end->msg);
	log_info("container-ended tenant=%s container=%s run=%s how=\"%s\"", c->tenant->name,
		c->name, c->run.id, describe(&c->run, how));
	c->end_pending = false;
	c->state = CONTAINER_STOPPED;
	placer_wake(server);
	if (c->stop_timer)
		event_del(c->stop_timer);
	if (reboot(end)) {
		run_end_free(end);
		return;
	}
	if (reboot_waits(end))
		hold_keep(server, c);
	console_end(c);
	waiters_call(&c->end_waiters, NULL);
	/* One of them may have started it again. */
	if (c->state == CONTAINER_STOPPED && (c->condemned || hold_lets_go(c))) {
		c->condemned = true;
		delete_continue(server, c);
	} else if (c->state == CONTAINER_STOPPED) {
		upkeep_after_end(server, c);
	}
	logs_wake(c);
	run_end_free(end);
}

static void commit(struct run_end *end);

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	commit(arg);
}

static void on_committed(void *arg, const struct err *err)
{
	static const struct timeval pause = {
		.tv_usec = COMMIT_RETRY_MS * 1000 % 1000000, .tv_sec = COMMIT_RETRY_MS / 1000};
	struct run_end *end = arg;

	if (!err) {
		end->container->run.stored = true;
		end->container->stored = true;
		finish(end);
		return;
	}
	ledger_take_back(end->container, LEDGER_FINAL);
	log_error("final-usage-not-committed tenant=%s container=%s error=\"%s\"",
		end->container->tenant->name, end->container->name, err->msg);
	if (!end->retry)
		end->retry = evtimer_new(end->server->base, on_retry, end);
	if (!end->retry || evtimer_add(end->retry, &pause) < 0)
		run_end_free(end);
}

static void commit(struct run_end *end)
{
	db_commit(end->server->db, build(end), on_committed, end);
}

static struct run_end *make_end(struct server *server, struct container *c)
{
	struct run_end *end = calloc(1, sizeof(*end));

	if (!end)
		return NULL;
	end->server = server;
	end->container = container_ref(c);
	end->was_stopped = c->stop_asked || c->run.kill_boot_usec;
	c->end_pending = true;
	c->launching = false;
	/* Until the commit it holds its name and shows that it is on its way down. */
	c->state = CONTAINER_STOPPING;
	health_end(c);
	idle_end(c);
	log_source_drain(c->logs);
	log_source_close(c->logs);
	c->logs = NULL;
	run_close(&c->run);
	return end;
}

static void take(struct server *server, struct container *c, const struct msg_run_ended *msg)
{
	struct run_end *end = make_end(server, c);
	struct run *run = &c->run;

	if (!end)
		return;
	end->known = true;
	end->msg = *msg;
	if (!run->confirmed) {
		run->start_boot_usec = msg->start_boot_usec;
		run->start_wall_usec = msg->end_wall_usec -
				       (int64_t)(msg->end_boot_usec - msg->start_boot_usec);
		run->last.boot_usec = run->start_boot_usec;
		run->last.wall_usec = run->start_wall_usec;
		run_set_base(run, &msg->net_base);
		run->confirmed = true;
	}
	run->pid = 0;
	run->cgroup_inode = msg->cgroup_inode ? msg->cgroup_inode : run->cgroup_inode;
	run->end_boot_usec = msg->end_boot_usec;
	run->end_wall_usec = msg->end_wall_usec;
	classify(end, msg, run);
	decide_reboot(end);
	decide_restart(end);
	end->point = (struct usage_point){.sequence = run->last.sequence + 1,
		.boot_usec = msg->end_boot_usec,
		.wall_usec = msg->end_wall_usec,
		.counters = msg->counters};
	commit(end);
}

void run_end_take(struct server *server, const struct msg_run_ended *msg)
{
	struct tenant *t = model_any_tenant(&server->model, msg->tenant);
	struct container *c = t ? model_any_container(t, msg->container) : NULL;

	if (!c || strcmp(c->run.id, msg->run_id) != 0) {
		run_end_take_stray(server, t, msg);
		return;
	}
	if (c->start_pending) {
		/* Its start is to be committed first. */
		free(c->early_end);
		c->early_end = malloc(sizeof(*msg));
		if (c->early_end)
			*c->early_end = *msg;
		return;
	}
	if (c->end_pending)
		return;
	if (c->run.end_wall_usec)
		run_end_ack(server, msg);
	else
		take(server, c, msg);
}

void run_end_lost(struct server *server, struct container *c)
{
	struct run_end *end;
	struct run *run = &c->run;

	if (c->end_pending || !run->key || run->end_wall_usec)
		return;
	end = make_end(server, c);
	if (!end)
		return;
	run->pid = 0;
	run->exit = RUN_EXIT_UNKNOWN;
	run->end_boot_usec = run->last.boot_usec;
	run->end_wall_usec = run->last.wall_usec ? run->last.wall_usec : clock_wall_usec();
	decide_restart(end);
	end->point.wall_usec = clock_wall_usec();
	/* BOOTTIME began anew with another boot, and then says nothing about the gap's length. */
	end->point.boot_usec = !strcmp(run->boot_id, server->boot_id) ? clock_boot_usec()
								      : run->last.boot_usec + 1;
	commit(end);
}

/* When hours are closed; see ledger_close.h. One round at a time, and none while the disk is full.
 */
#include "server/ledger_close.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/ledger.h"
#include "server/ledger_prune.h"
#include "server/link.h"
#include "server/sampler.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define EVERY_SECONDS 60
#define PRUNE_ROUNDS  60 /* of closing, between two of deleting samples */
#define DAY_USEC      (24 * LEDGER_HOUR_USEC)
#define FIRST_SECONDS 1 /* after the start, when the supervisor is not known yet: again so long */

struct ledger_keeper {
	struct event *timer;
	bool caught_up; /* what runs was sampled since the start */
	bool working;
	unsigned rounds; /* until samples are deleted again */
	struct clock_looks looks;
	struct ledger_closer closer;
	struct ledger_pruner pruner;
};

static void arm(struct ledger_keeper *keeper, time_t seconds)
{
	struct timeval pause = {.tv_sec = seconds};

	evtimer_add(keeper->timer, &pause);
}

static int close_step(struct db *db, void *arg, struct err *err)
{
	struct server *server = arg;

	return ledger_close_step(db, &server->ledger_keeper->closer, err);
}

static int prune_step(struct db *db, void *arg, struct err *err)
{
	struct server *server = arg;

	return ledger_prune_step(db, &server->ledger_keeper->pruner, err);
}

static void end_round(struct server *server)
{
	if (!server->shutting_down)
		arm(server->ledger_keeper, EVERY_SECONDS);
}

/* Steps one after the other, with commits in between. False: the round is over. */
static bool go_on(struct server *server, bool done, const struct err *err, db_read_fn step,
	db_done_fn on_step)
{
	struct ledger_keeper *keeper = server->ledger_keeper;

	keeper->working = !err && !done && !server->shutting_down;
	if (err)
		log_error("ledger-round-failed error=\"%s\"", err->msg);
	if (keeper->working)
		db_change(server->db, step, on_step, server);
	return keeper->working;
}

static void on_pruned(void *arg, const struct err *err)
{
	struct server *server = arg;
	struct ledger_pruner *pruner = &server->ledger_keeper->pruner;

	if (go_on(server, pruner->done, err, prune_step, on_pruned))
		return;
	if (pruner->samples)
		log_info("samples-deleted rows=%" PRIu64, pruner->samples);
	end_round(server);
}

/* Once an hour, and only by a clock that goes evenly; what they were closed to stays. */
static void prune(struct server *server)
{
	struct ledger_keeper *keeper = server->ledger_keeper;
	int64_t kept = (int64_t)server->config->keep_samples_days * DAY_USEC;
	int64_t now = clock_wall_usec();
	bool even = clock_is_even(&keeper->looks, clock_boot_usec(), now);

	if (keeper->rounds)
		keeper->rounds--;
	/* Of samples that are not kept the age is nothing to go by. */
	if (keeper->rounds || (kept && !even)) {
		end_round(server);
		return;
	}
	keeper->rounds = PRUNE_ROUNDS;
	keeper->pruner = (struct ledger_pruner){.before_usec = now - kept};
	on_pruned(server, NULL);
}

static void on_closed(void *arg, const struct err *err)
{
	struct server *server = arg;
	struct ledger_closer *closer = &server->ledger_keeper->closer;

	if (go_on(server, closer->done, err, close_step, on_closed))
		return;
	if (closer->entries)
		log_info("hours-closed entries=%" PRIu64, closer->entries);
	if (err) {
		end_round(server);
		return;
	}
	if (closer->done) {
		server->stats.closed_wall_usec = clock_wall_usec();
		server->stats.damaged_runs = closer->damaged;
	}
	prune(server);
}

static void on_caught_up(void *arg, const struct err *err)
{
	struct server *server = arg;
	struct ledger_keeper *keeper = server->ledger_keeper;
	bool later = err != NULL;

	keeper->caught_up = !later;
	if (!server->shutting_down)
		arm(keeper, later ? FIRST_SECONDS : 0);
}

/* An hour is closed when there is a sample behind its end: of what ran on while nobody looked. */
static void catch_up(struct server *server)
{
	struct err err;

	if (sampler_catch_up(server, NULL, on_caught_up, server, &err) < 0)
		arm(server->ledger_keeper, FIRST_SECONDS);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;
	struct ledger_keeper *keeper = server->ledger_keeper;

	(void)fd;
	(void)what;
	if (keeper->working || server->shutting_down)
		return;
	/* What ended while nobody looked is to be on the ledger first, as far as it can be known.
	 */
	if (!link_is_ready(server->link) || db_is_full(server->db)) {
		arm(keeper, FIRST_SECONDS);
		return;
	}
	if (!keeper->caught_up) {
		catch_up(server);
		return;
	}
	keeper->closer = (struct ledger_closer){.due_usec = clock_wall_usec() - LEDGER_GRACE_USEC,
		.gap_usec = ledger_gap_usec(server)};
	if (gethostname(keeper->closer.host, sizeof(keeper->closer.host) - 1) < 0)
		keeper->closer.host[0] = '\0';
	on_closed(server, NULL);
}

int ledger_keeper_create(struct server *server, struct err *err)
{
	struct ledger_keeper *keeper = calloc(1, sizeof(*keeper));

	server->ledger_keeper = keeper;
	if (!keeper)
		return err_oom(err);
	keeper->timer = evtimer_new(server->base, on_timer, server);
	if (!keeper->timer)
		return err_oom(err);
	arm(keeper, FIRST_SECONDS);
	return 0;
}

void ledger_keeper_destroy(struct server *server)
{
	if (!server->ledger_keeper)
		return;
	if (server->ledger_keeper->timer)
		event_free(server->ledger_keeper->timer);
	free(server->ledger_keeper);
	server->ledger_keeper = NULL;
}

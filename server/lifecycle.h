/*
 * What happens to containers, apart from who asked: starting, stopping, ending, deleting.
 *
 * Everything is asynchronous: a function here begins something and returns; what it is given as
 * `done` is called once, later, on the loop. The container must be held by the caller only until
 * the function returns.
 */
#pragma once

#include "sandbox/supervisor_client.h"
#include "server/server.h"

/* --- start.c --- */

struct start_request {
	struct container *container; /* STOPPED */
	struct db_tx *tx;	     /* what is to be committed with the start; becomes start's */
	bool unasked;		     /* upkeep.h: it stays due until the start is confirmed */
	bool launch;		     /* its rows go again when it cannot be started */
	/* Adds to the transaction that confirms the start; may be NULL. */
	void (*confirm)(void *arg, struct db_tx *tx);
	void (*done)(void *arg, const struct err *err);
	void *arg;
};

/* Refuses what may not start whatever its state is: suspended tenant, missing image. */
int start_check_allowed(struct server *server, const struct container *container, struct err *err);
/* Refuses what cannot start: suspended tenant, missing image, wrong state. Changes nothing. */
int start_check(struct server *server, const struct container *container, struct err *err);

/*
 * Starts: the transaction and the supervisor's work run side by side, and done is called when both
 * have ended. Returns 0, or -errno when nothing was begun (done is not called, tx is freed).
 */
int start_container(struct server *server, const struct start_request *request, struct err *err);

/* --- run_end.c --- */

/* The supervisor's word that a run has ended, with its final counters. May be repeated. */
void run_end_take(struct server *server, const struct msg_run_ended *msg);
/* A run that nobody knows any more ends as UNKNOWN at its last sample, and a gap is recorded. */
void run_end_lost(struct server *server, struct container *container);
/* The end of a run that is not the present one of any container. tenant may be NULL. */
void run_end_take_stray(
	struct server *server, struct tenant *tenant, const struct msg_run_ended *msg);
/* Tells the supervisor that a run's final counters are committed. */
void run_end_ack(struct server *server, const struct msg_run_ended *msg);

/* --- stop.c --- */

#define STOP_TIMEOUT_DEFAULT_MS 10000
#define STOP_TIMEOUT_MAX_MS	3600000

/*
 * Sends the stop signal, and SIGKILL after the timeout (0: at once). done is called when the run's
 * final usage is committed. Returns 0 or -errno (done is not called).
 */
int stop_container(struct server *server, struct container *container, uint32_t timeout_ms,
	void (*done)(void *arg, const struct err *err), void *arg, struct err *err);

/*
 * Puts on record that the end of the present run was asked for, with the timeout that
 * stop_container() was given: it is one also when croftd is killed before it comes, and nothing
 * starts the container again then. With it goes what else has changed of the container.
 */
void stop_record(struct server *server, struct container *container, uint32_t timeout_ms);
/* Goes on with a stop on record of a run that was adopted alive; else does nothing. */
void stop_adopted(struct server *server, struct container *container);

/* Kills everything in it now; asks again as long as there is no supervisor. */
void stop_kill(struct server *server, struct container *container);

/* --- delete.c --- */

/*
 * Deletes a container, with force also one that runs. Returns 0 or -errno (done is not called).
 * hook may add to the transaction that deletes the row; it is left out when somebody else's
 * deletion is under way already.
 */
int delete_container(struct server *server, struct container *container, bool force,
	void (*hook)(void *arg, struct db_tx *tx), void (*done)(void *arg, const struct err *err),
	void *arg, struct err *err);
/*
 * Takes back a container that was being made, and came to nothing: it goes the way of every
 * deletion. done is called once, maybe before this returns: when its name is free again, or
 * cannot be freed for now (and goes as soon as it can). So whoever is told of the failure then
 * may try again at once with the same name.
 */
void delete_unmade(struct server *server, struct container *container,
	void (*done)(void *arg, const struct err *err), void *arg);
/* Goes on with the deletion of a condemned container that is STOPPED or DELETING. */
void delete_continue(struct server *server, struct container *container);

/* --- runs.c --- */

/* Makes the container's next run: a new id, not confirmed. */
void run_init(struct server *server, struct container *container);
/* What its traffic's counters said at its start: as its last sample has it until there is one. */
void run_set_base(struct run *run, const struct net_base *base);
/* Takes the descriptors of a started or re-adopted run; each is kept or closed. */
void run_adopt(struct server *server, struct container *container,
	const struct msg_started *started, const int *fds, size_t n_fds);
/* The same for a tenant's own directory: a new run unless it is the one already known. */
void run_adopt_tenant(struct server *server, struct tenant *tenant, const int *fds, size_t n_fds);
/* Ends the record of a tenant's own directory. */
void run_end_tenant(struct db_tx *tx, struct tenant *tenant);

/* What the files of abuse.h share. */
#pragma once

#include "server/abuse.h"
#include "server/abuse_window.h"
#include "server/store_abuse.h"

#include <sys/queue.h>

struct abuse_case {
	LIST_ENTRY(abuse_case) entry;
	struct server *server;
	struct tenant *tenant;	     /* a reference */
	struct container *container; /* a reference; NULL: the tenant */
	struct abuse_record record;
	bool recorded;	   /* it is on record; nothing is done before */
	bool acting;	   /* something is being done, or committed */
	bool saved;	   /* its evidence is on record, or could not be */
	uint8_t *evidence; /* owned: packed, until it is in the database */
	size_t evidence_size;
	bool found_held; /* there was a hold of that type: somebody else's to lift */
};

/* A rule, of one container or tenant. */
struct abuse_track {
	struct abuse_window *window; /* owned; NULL: nothing has happened yet */
	uint64_t quiet_since_usec;   /* 0: it is not */
	struct abuse_case *one;	     /* that lasts */
	bool changed;		     /* the window, since it was put on record */
	bool lifted;		     /* by an operator: no other before it was over */
};

struct abuse_subject {
	size_t n;
	struct abuse_track *tracks; /* in the order of the rules */
	struct abuse_throttle throttle;
	bool dirty;		  /* the kernel may hold something else */
	bool applying;		  /* the supervisor is being told */
	struct usage_point taken; /* up to where counters were added, of the run with that key */
	uint64_t taken_run;
	uint64_t stall_run; /* of which the next are: what was read of its memory's stalls */
	uint64_t stall_usec;
	uint64_t stall_boot_usec;
	uint64_t counted[NET_COUNTED_N]; /* by the packet filter, as last seen */
	uint64_t counted_boot_usec[NET_COUNTED_N];
};

/* How far putting windows on record has come. */
struct abuse_keeper {
	struct event *turn; /* owned: the next slice */
	uint64_t began_boot_usec;
	char tenant[NAME_SIZE];
	char container[NAME_SIZE]; /* "": the tenant itself */
};

struct abuse {
	struct abuse_rules *rules; /* owned */
	bool builtin;
	int64_t load_wall_usec;
	char error[ERR_MSG_MAX]; /* why the file was refused when it was last read */
	uint64_t next_number;
	uint64_t kept_boot_usec; /* when windows were last put on record; 0: not yet */
	struct abuse_keeper keeper;
	LIST_HEAD(, abuse_case) cases;
};

/* The subject, made when there is none; NULL without memory. */
struct abuse_subject *abuse_subject_of(
	struct server *server, struct tenant *t, struct container *c);
/* The track that a case is of; NULL: its rule is gone. */
struct abuse_track *abuse_track_of(const struct abuse_case *one);

/* --- abuse_case.c --- */

/* A rule is met. */
void abuse_case_begin(struct server *server, const struct abuse_rule *rule, struct tenant *t,
	struct container *c, struct abuse_track *track, uint64_t value);
/* A case of before, as the record has it. NULL without memory. */
struct abuse_case *abuse_case_resume(struct server *server, const struct abuse_record *record,
	struct tenant *t, struct container *c);
/* One that is on record, and nothing was done yet. */
void abuse_case_go_on(struct abuse_case *one);
struct mutation;
/* It is over; with a mutation it is answered, whatever comes of it. */
void abuse_case_end(struct abuse_case *one, const char *reason, struct mutation *m);
struct abuse_case *abuse_case_find(struct server *server, uint64_t number);
void abuse_case_free(struct abuse_case *one);

/* --- abuse_evidence.c --- */

/* Takes down what there is to see. Nothing where there is no memory for it. */
void abuse_evidence_collect(struct abuse_case *one);
/* Adds that to a transaction, and lets go of it. */
void abuse_evidence_add(struct db_tx *tx, struct abuse_case *one);

/* --- abuse_peers.c --- */

/*
 * Adds to what was collected whom it is connected with. done is called once, now or later, whatever
 * came of it.
 */
void abuse_peers_ask(struct abuse_case *one, void (*done)(struct abuse_case *one));

/* --- abuse_keep.c --- */

/* Windows that are on record. Before db_start(), when there are rules. */
int abuse_keep_load(struct server *server, struct err *err);
/* Windows a turn of the loop, and a transaction: a microsecond or two each. */
#define ABUSE_ROWS_A_TURN 512
/* Puts on record what has changed, if it is time: in this turn of the loop and those behind it. */
void abuse_keep_when_due(struct server *server);
void abuse_keeper_finish(struct abuse_keeper *keeper);

/* --- abuse_judge.c --- */

/* Begins and ends cases, by what was measured until now. */
void abuse_judge_all(struct server *server, uint64_t now_boot_usec);

/* --- abuse_act.c --- */

/* Does what the case asks for, or goes on with it. */
void abuse_act(struct abuse_case *one);
/* By its record: it has set no hold, as there was one that is somebody else's to lift. */
bool abuse_found_held(const struct abuse_record *record);
/* True while the hold that a case has set is there. */
bool abuse_is_holding(const struct abuse_case *one);
/* Lifts that. done is called once. */
void abuse_lift_hold(
	struct abuse_case *one, void (*done)(void *arg, const struct err *err), void *arg);
/* Adds up what throttles leave of a subject, and has it so in the kernel. */
void abuse_throttle_refresh(struct server *server, struct tenant *t, struct container *c);
/* Tries again what the supervisor does not know yet. */
void abuse_throttle_retry(struct server *server, struct tenant *t, struct container *c);

/*
 * Proving the ledger: a tenant's chain, hash by hash, and that its entries say "gap" where one is
 * on record; that each of its runs' entries follow each other without hole or overlap, and say what
 * the samples say that are still there; and that all of them are no more than the tenant's
 * directory counted. In steps of bounded work on the database's thread.
 */
#pragma once

#include "server/ledger_whole.h"

#define LEDGER_PROBLEMS_MAX 16
#define LEDGER_PROBLEM_SIZE 256

struct ledger_verifier {
	/* Set by the caller; all else is 0. */
	struct ledger_chain chain;
	/* Where it stands. */
	struct db *db; /* of the present step */
	uint64_t after_number;
	char hash[LEDGER_HASH_SIZE];
	bool chained;		  /* the chain is through */
	uint64_t after_run;	  /* the present one, or the last */
	bool in_turn;		  /* it is begun, and not judged yet */
	uint64_t turn_problems;	  /* how many there were before it */
	uint64_t turn_recomputed; /* the same */
	bool in_tiles;		  /* of its entries whose samples are gone */
	uint64_t tiles_end;	  /* the last of them */
	struct ledger_entry tile; /* the last that was looked at; number 0: none */
	bool in_run;		  /* of those that are computed again */
	struct ledger_walk walk;
	struct ledger_entry expected; /* the run's next entry; number 0: there is none */
	uint64_t met;		      /* ledger_bit()s that entries of the run had */
	struct ledger_whole whole;    /* behind the last run */
	bool in_whole;
	bool done;
	/* The result. */
	uint64_t records;    /* in the chain */
	uint64_t recomputed; /* of them: from samples */
	uint64_t n_problems;
	char problems[LEDGER_PROBLEMS_MAX][LEDGER_PROBLEM_SIZE]; /* the first of them */
};

/*
 * One step, for db_read(); arg is the verifier. Samples may be deleted, and hours closed, between
 * two steps. What is damaged is a problem, not an error.
 */
int ledger_verify_step(struct db *db, void *arg, struct err *err);

/* A ledger on a real SQLite in a temporary directory, and making history in it; for test_ledger*.c.
 */
#pragma once

#include "server/ledger_close.h"
#include "server/ledger_prune.h"
#include "server/ledger_verify.h"

#define SECOND	INT64_C(1000000)
#define HOUR	LEDGER_HOUR_USEC
#define EPOCH	(INT64_C(490000) * HOUR)
#define BOOT	(INT64_C(5000) * SECOND)
#define TENANT	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER	"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define FOREVER INT64_MAX

struct fixture {
	char dir[64];
	char path[96];
	struct db *db;
	struct event_base *base; /* of a test that commits; NULL otherwise */
	int64_t offset;		 /* of the wall clock from BOOTTIME */
	bool has_net;		 /* samples have traffic, as has that of sequence 0 to begin with */
};

struct sum {
	size_t n;
	unsigned __int128 quantity[LEDGER_METERS];
	struct ledger_entry first;
	struct ledger_entry last;
};

void lab_run_sql(struct fixture *f, const char *sql);
/* The number that a query gives. */
uint64_t lab_ask(struct fixture *f, const char *sql);
int lab_make(void **state);
int lab_drop(void **state);
void lab_add_run_of(
	struct fixture *f, uint64_t key, const char *tenant_uid, const char *name, int64_t second);
void lab_add_run(struct fixture *f, uint64_t key, int64_t second);
void lab_end_run(struct fixture *f, uint64_t key);
/* Everything that is cumulative has come to `total`, and gauges are 1 MiB. */
void lab_add_sample(
	struct fixture *f, uint64_t run, uint64_t sequence, int64_t second, uint64_t total);
/* One every ten seconds, each a second of CPU further. Returns the last sequence. */
uint64_t lab_add_samples(
	struct fixture *f, uint64_t run, uint64_t sequence, int64_t from, int64_t to);
/* With `kill`, a third of the steps are the last of their process, before or behind their commit.
 */
uint64_t lab_close_until(struct fixture *f, int64_t due, bool kill);
/* Owned by the caller. */
struct ledger_verifier *lab_verify(struct fixture *f);
/* The same, which has found no problem. */
struct ledger_verifier *lab_prove(struct fixture *f);
void lab_assert_proven(struct fixture *f);
void lab_assert_found(struct fixture *f, const char *words);
struct sum lab_entries_of(struct fixture *f, uint64_t run);
void lab_prune(struct fixture *f, int64_t before);

/* History for tests of the ledger; see ledger_lab.h. */
#include "tests/unit/ledger_lab.h"

#include "server/sample_pack.h"

#include "tests/unit/unit.h"
#include "tests/unit/unit_db.h"

#include <event2/event.h>
#include <string.h>
#include <unistd.h>

void lab_run_sql(struct fixture *f, const char *sql)
{
	struct err err;

	if (db_query(f->db, sql, NULL, NULL, &err, "") < 0)
		fail_msg("%s: %s", sql, err.msg);
}

static int take_number(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(uint64_t *)arg = db_column_u64(row, 0);
	return 0;
}

uint64_t lab_ask(struct fixture *f, const char *sql)
{
	uint64_t n = UINT64_MAX;
	struct err err;

	if (db_query(f->db, sql, take_number, &n, &err, "") < 0)
		fail_msg("%s: %s", sql, err.msg);
	return n;
}

int lab_make(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err;

	strcpy(f->dir, "/tmp/croft-test-ledger-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/croft.db", f->dir);
	if (db_open(f->path, &f->db, &err) < 0)
		fail_msg("%s", err.msg);
	f->offset = EPOCH - BOOT;
	lab_run_sql(f, "PRAGMA synchronous=OFF");
	lab_run_sql(f,
		"INSERT INTO tenants (uid, name, plan, account_ref, limits, cpus, own_limits,"
		" created_wall, nesting) VALUES ('" TENANT
		"', 'acme', 'gold', 'customer 7', 'cpu=500', '', '', 0, 0)");
	*state = f;
	return 0;
}

int lab_drop(void **state)
{
	struct fixture *f = *state;

	db_close(f->db);
	if (f->base)
		event_base_free(f->base);
	unit_remove_db(f->dir, f->path);
	free(f);
	return 0;
}

/* --- making history --- */

void lab_add_run_of(
	struct fixture *f, uint64_t key, const char *tenant_uid, const char *name, int64_t second)
{
	struct err err;
	char id[RUN_ID_SIZE];
	int r;

	snprintf(id, sizeof(id), "run%llu", (unsigned long long)key);
	r = db_query(f->db,
		"INSERT INTO runs (key, id, tenant_uid, tenant, account_ref, container_uid, "
		"container,"
		" boot_id, start_boot, start_wall) VALUES (?1, ?2, ?3, ?4, 'customer 7', 'web', "
		"'web',"
		" 'this-boot', ?5, ?6)",
		NULL, NULL, &err, "usssii", key, id, tenant_uid, name, BOOT + second * SECOND,
		BOOT + second * SECOND + f->offset);
	if (r == 0)
		r = db_query(f->db,
			"INSERT INTO ledger_open (run, hour_end, window_start, boot, sequence,"
			" net_sequence, io_sequence, terms, carry) SELECT key, start_wall - "
			"start_wall"
			" % 3600000000 + 3600000000, start_wall, start_boot, 0, 0, 0, 0, x'' FROM "
			"runs"
			" WHERE key = ?1",
			NULL, NULL, &err, "u", key);
	if (r < 0)
		fail_msg("%s", err.msg);
}

void lab_add_run(struct fixture *f, uint64_t key, int64_t second)
{
	lab_add_run_of(f, key, TENANT, "acme", second);
}

void lab_end_run(struct fixture *f, uint64_t key)
{
	struct err err;

	assert_int_equal(db_query(f->db, "UPDATE runs SET end_wall = 1 WHERE key = ?1", NULL, NULL,
				 &err, "u", key),
		0);
}

/* A sample in which everything that is cumulative has come to `total`, and is a gauge of 1 MiB. */
void lab_add_sample(
	struct fixture *f, uint64_t run, uint64_t sequence, int64_t second, uint64_t total)
{
	struct sample_packed packed;
	struct err err;

	sample_pack_begin(&packed);
	for (size_t i = 0; i < USAGE_COUNTERS; i++) {
		const struct usage_counter *c = &usage_counters[i];

		/* I/O is not read each time. */
		if ((c->group == USAGE_NET && !f->has_net) ||
			(c->group == USAGE_IO && sequence % 3 == 0))
			continue;
		sample_pack_add(&packed, c->id, c->cumulative ? total : UINT64_C(1) << 20);
	}
	if (db_query(f->db,
		    "INSERT INTO samples (run, sequence, boot, wall, ids, packed)"
		    " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
		    NULL, NULL, &err, "uuiiub", run, sequence, BOOT + second * SECOND,
		    BOOT + second * SECOND + f->offset, packed.ids, (const void *)packed.data,
		    packed.size) < 0)
		fail_msg("%s", err.msg);
}

/* One every ten seconds, each a second of CPU further. Returns the last sequence. */
uint64_t lab_add_samples(
	struct fixture *f, uint64_t run, uint64_t sequence, int64_t from, int64_t to)
{
	lab_run_sql(f, "BEGIN");
	for (int64_t second = from; second < to; second += 10, sequence++)
		lab_add_sample(f, run, sequence, second, sequence * (uint64_t)SECOND);
	lab_run_sql(f, "COMMIT");
	return sequence - 1;
}

/* --- what is done with it --- */

/* Closes; with `kill`, a third of the steps are the last of their process, before or behind their
   commit. */
uint64_t lab_close_until(struct fixture *f, int64_t due, bool kill)
{
	struct ledger_closer fresh = {.due_usec = due, .gap_usec = 31 * SECOND, .host = "host1"};
	struct ledger_closer closer = fresh;
	uint32_t random = 12345;
	uint64_t entries = 0;
	struct err err;

	while (!closer.done) {
		uint64_t before = closer.entries;

		random = random * 1664525 + 1013904223;
		lab_run_sql(f, "BEGIN");
		if (ledger_close_step(f->db, &closer, &err) < 0)
			fail_msg("%s", err.msg);
		if (kill && random >> 16 & 2) {
			lab_run_sql(f, random >> 16 & 4 ? "ROLLBACK" : "COMMIT");
			closer = fresh;
			continue;
		}
		lab_run_sql(f, "COMMIT");
		entries += closer.entries - before;
	}
	return entries;
}

struct ledger_verifier *lab_verify(struct fixture *f)
{
	struct ledger_verifier *v = calloc(1, sizeof(*v));
	struct err err;

	assert_int_equal(ledger_chain_of(f->db, TENANT, &v->chain, &err), 0);
	assert_true(v->chain.key > 0);
	while (!v->done)
		if (ledger_verify_step(f->db, v, &err) < 0)
			fail_msg("%s", err.msg);
	return v;
}

struct ledger_verifier *lab_prove(struct fixture *f)
{
	struct ledger_verifier *v = lab_verify(f);

	if (v->n_problems)
		fail_msg("%s", v->problems[0]);
	return v;
}

void lab_assert_proven(struct fixture *f)
{
	struct ledger_verifier *v = lab_prove(f);

	assert_true(v->records > 0);
	assert_int_equal(v->recomputed, v->records);
	free(v);
}

void lab_assert_found(struct fixture *f, const char *words)
{
	struct ledger_verifier *v = lab_verify(f);
	bool found = false;

	for (size_t i = 0; i < v->n_problems && i < LEDGER_PROBLEMS_MAX; i++)
		found |= strstr(v->problems[i], words) != NULL;
	if (!found)
		fail_msg("not found: \"%s\"; %s", words, v->n_problems ? v->problems[0] : "-");
	free(v);
}

static int add_up(void *arg, const struct ledger_entry *e, const char *hash, struct err *err)
{
	struct sum *sum = arg;

	(void)hash;
	(void)err;
	if (!sum->n++)
		sum->first = *e;
	sum->last = *e;
	for (size_t m = 0; m < LEDGER_METERS; m++)
		sum->quantity[m] += e->figures.quantity[m];
	return 0;
}

struct sum lab_entries_of(struct fixture *f, uint64_t run)
{
	struct sum sum = {0};
	struct err err;

	assert_int_equal(
		ledger_entries_of_run(f->db, run, 0, UINT64_C(1) << 30, add_up, &sum, &err), 0);
	return sum;
}

void lab_prune(struct fixture *f, int64_t before)
{
	struct ledger_pruner pruner = {.before_usec = before};
	struct err err;

	while (!pruner.done) {
		lab_run_sql(f, "BEGIN");
		if (ledger_prune_step(f->db, &pruner, &err) < 0)
			fail_msg("%s", err.msg);
		lab_run_sql(f, "COMMIT");
	}
}

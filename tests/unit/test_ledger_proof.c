/* Proving and pruning the ledger, on a real SQLite: beside each other, and with what somebody
 * changed. */
#include "tests/unit/ledger_lab.h"

#include "tests/unit/unit.h"

#include <string.h>

static void samples_go_and_records_stay(void **state)
{
	struct fixture *f = *state;
	struct ledger_pruner pruner = {.before_usec = EPOCH + 2 * HOUR};
	struct ledger_verifier *v;
	struct sum before;
	struct sum after;
	uint64_t last;
	struct err err;

	lab_add_run(f, 1, 100);
	last = lab_add_samples(f, 1, 1, 110, 4 * 3600);
	lab_add_run(f, 2, 50);
	lab_add_samples(f, 2, 1, 60, 900);
	lab_end_run(f, 2);
	lab_close_until(f, FOREVER, false);
	before = lab_entries_of(f, 1);
	while (!pruner.done) {
		lab_run_sql(f, "BEGIN");
		assert_int_equal(ledger_prune_step(f->db, &pruner, &err), 0);
		lab_run_sql(f, "COMMIT");
	}
	assert_true(pruner.samples > 2 * 3600 / 10);
	assert_int_equal(lab_ask(f, "SELECT count(*) FROM samples WHERE run = 2"), 0);
	v = lab_prove(f);
	assert_true(v->recomputed > 0 && v->recomputed < v->records);
	free(v);
	/* What was open goes on as if nothing had happened. */
	lab_end_run(f, 1);
	lab_close_until(f, FOREVER, false);
	after = lab_entries_of(f, 1);
	assert_int_equal(after.n, before.n + 1);
	assert_int_equal((uint64_t)after.quantity[0], last * SECOND);
	assert_int_equal((uint64_t)after.quantity[17], (last - (last % 3 == 0)) * SECOND);
	free(lab_prove(f));
}

static uint64_t quantity_of(const struct sum *sum, const char *name)
{
	for (size_t m = 0; m < LEDGER_METERS; m++)
		if (!strcmp(ledger_meters[m].name, name))
			return (uint64_t)sum->quantity[m];
	fail_msg("there is no %s", name);
	return 0;
}

/* A tenant's directory is cut, closed, proven and forgotten as its containers are. */
static void what_a_tenants_directory_counts_is_closed(void **state)
{
	struct fixture *f = *state;
	struct sum sum;
	uint64_t last;

	lab_add_run(f, 1, 100);
	lab_run_sql(f, "UPDATE runs SET container_uid = '', container = '', kind = 5");
	last = lab_add_samples(f, 1, 1, 110, 4 * 3600);
	lab_close_until(f, FOREVER, false);
	lab_assert_proven(f);
	lab_prune(f, EPOCH + 2 * HOUR);
	assert_int_equal(lab_ask(f, "SELECT count(*) FROM samples"), 2 * 360);
	lab_end_run(f, 1);
	lab_close_until(f, FOREVER, false);
	sum = lab_entries_of(f, 1);
	assert_string_equal(sum.last.resource, "tenants/acme");
	assert_int_equal(quantity_of(&sum, "tenant.cpu.used"), last * SECOND);
	assert_int_equal(quantity_of(&sum, "tenant.cpu.throttled"), last * SECOND);
	assert_int_equal(quantity_of(&sum, "tenant.memory.at_limit"), last * SECOND);
	assert_int_equal(quantity_of(&sum, "tenant.pids.denied"), last * SECOND);
	/* A gauge of 1 MiB, of which nobody knows what it was before the first sample. */
	assert_int_equal(quantity_of(&sum, "tenant.memory.used"), (last - 1) * 10 * 1024);
	assert_true(ledger_entry_has(&sum.last, 36) && ledger_entry_has(&sum.last, 38));
	assert_int_equal((uint64_t)sum.last.figures.quantity[36], 1u << 20);
	assert_int_equal((uint64_t)sum.last.figures.quantity[38], 1u << 20);
	/* None of its containers' meters, which would count all of it twice. */
	for (size_t m = 0; m < LEDGER_METERS; m++)
		assert_int_equal(ledger_entry_has(&sum.last, m),
			!strncmp(ledger_meters[m].name, "tenant.", 7) &&
				!strstr(ledger_meters[m].name, "allocated"));
	free(lab_prove(f));
	lab_prune(f, FOREVER);
	assert_int_equal(lab_ask(f, "SELECT count(*) FROM samples"), 0);
}

/* An earlier version sampled a directory and closed nothing of it; of one that is open all stays.
 */
static void samples_of_nobody_are_deleted(void **state)
{
	struct fixture *f = *state;

	for (uint64_t run = 1; run <= 2; run++) {
		lab_add_run(f, run, 100);
		lab_add_samples(f, run, 0, 100, 3 * 3600);
	}
	lab_run_sql(f, "UPDATE runs SET container_uid = '', kind = 5");
	lab_run_sql(f, "DELETE FROM ledger_open WHERE run = 1");
	lab_prune(f, EPOCH);
	assert_int_equal(lab_ask(f, "SELECT count(*) FROM samples WHERE run = 1"), 0);
	assert_int_equal(lab_ask(f, "SELECT count(*) FROM samples WHERE run = 2"), 1070);
}

static void add_own(struct fixture *f, uint64_t run)
{
	lab_add_run(f, run, 0);
	lab_run_sql(f, "UPDATE runs SET container_uid = '', container = '', kind = 5"
		       " WHERE key = (SELECT max(key) FROM runs)");
}

static void end_at_its_last_sample(struct fixture *f, uint64_t run)
{
	lab_end_run(f, run);
	lab_run_sql(f, "UPDATE runs SET end_boot = (SELECT max(boot) FROM samples WHERE run = key)"
		       " WHERE end_wall IS NOT NULL");
}

/* Of samples from 110 to 3000 s. */
#define EACH 289

/* Two containers cannot have used more than their tenant's directory has counted of both. */
static void parts_are_no_more_than_the_whole(void **state)
{
	struct fixture *f = *state;

	add_own(f, 1);
	lab_add_sample(f, 1, 1, 3600, UINT64_C(2) * EACH * SECOND);
	end_at_its_last_sample(f, 1);
	/* The fourth is of another boot, the fifth began before this directory. */
	for (uint64_t run = 2; run <= 5; run++) {
		lab_add_run(f, run, run == 5 ? -10 : 100);
		assert_int_equal(lab_add_samples(f, run, 1, 110, 3000), EACH);
		end_at_its_last_sample(f, run);
	}
	lab_run_sql(f, "UPDATE runs SET boot_id = 'before' WHERE key = 4");
	/* What came to it behind that is not held against what was read before. */
	lab_add_run(f, 6, 100);
	lab_add_samples(f, 6, 1, 3700, 5000);
	lab_add_run(f, 7, 100);
	lab_add_samples(f, 7, 1, 3500, 3590);
	end_at_its_last_sample(f, 7);
	/* Behind another boot's directory everything is its. */
	add_own(f, 8);
	lab_run_sql(f, "UPDATE runs SET boot_id = 'next' WHERE key = 8");
	lab_add_run(f, 9, 100);
	lab_add_samples(f, 9, 1, 110, 3000);
	end_at_its_last_sample(f, 9);
	lab_close_until(f, FOREVER, false);
	lab_assert_proven(f);
	/* Also by its records, when no samples are left. */
	lab_prune(f, FOREVER);
	lab_run_sql(f, "UPDATE runs SET start_boot = start_boot + 200000000 WHERE key = 5");
	lab_assert_found(f, "all that ran: its records have 867000000 us");
	lab_assert_found(f, "counted 578000000");
}

/* A microsecond too many is found, of one that goes on up to its last closed hour. */
static void a_part_too_large_is_found(void **state)
{
	struct fixture *f = *state;
	uint64_t last;

	add_own(f, 1);
	lab_add_run(f, 2, 100);
	last = lab_add_samples(f, 2, 1, 110, 3 * 3600);
	lab_add_sample(f, 1, 1, 3 * 3600, 710 * (uint64_t)SECOND);
	lab_close_until(f, FOREVER, false);
	assert_true(last > 1000);
	/* At the edge of the second hour, the third being open. */
	lab_assert_proven(f);
	lab_run_sql(f, "DELETE FROM samples WHERE run = 1");
	lab_add_sample(f, 1, 1, 3 * 3600, 349 * (uint64_t)SECOND);
	lab_assert_found(f, "its records have 350000000 us of CPU time");
}

/* Between two steps of a proof samples are deleted, behind it and ahead of it. */
static void deleting_beside_a_proof_is_no_problem(void **state)
{
	struct fixture *f = *state;
	struct ledger_verifier *v;
	struct err err;

	lab_add_run(f, 1, 100);
	lab_add_samples(f, 1, 1, 110, 40 * 3600);
	lab_end_run(f, 1);
	lab_close_until(f, FOREVER, false);
	for (unsigned at = 1; at < 40; at += 2) {
		v = calloc(1, sizeof(*v));
		assert_int_equal(ledger_chain_of(f->db, TENANT, &v->chain, &err), 0);
		for (unsigned step = 0; !v->done; step++) {
			if (step == at)
				lab_prune(f, EPOCH + at * HOUR);
			assert_int_equal(ledger_verify_step(f->db, v, &err), 0);
		}
		if (v->n_problems)
			fail_msg("%s", v->problems[0]);
		assert_true(v->recomputed <= v->records);
		free(v);
	}
	lab_prune(f, FOREVER);
	free(lab_prove(f));
}

/* Each of these is what somebody who can write the database might do. */
static const struct fraud {
	const char *sql;
	const char *found;
} frauds[] = {
	{"UPDATE ledger_entries SET figures = (SELECT figures FROM ledger_entries WHERE number = 1)"
	 " WHERE number = 2",
		"not those that were written"},
	{"UPDATE ledger_entries SET window_end = window_end - 1 WHERE number = 3",
		"not those that were written"},
	{"DELETE FROM ledger_entries WHERE number = 2", "one before it is missing"},
	{"DELETE FROM ledger_entries WHERE number = 4", "its last records are missing"},
	{"UPDATE samples SET packed = (SELECT packed FROM samples WHERE sequence = 713)"
	 " WHERE run = 1 AND sequence = 710",
		"cpu.used is"},
	{"UPDATE samples SET packed = x'02' WHERE run = 1 AND sequence = 710", "is damaged"},
	{"DELETE FROM samples WHERE run = 1 AND sequence = 700", "other meters or samples"},
	{"UPDATE runs SET container = 'elsewhere' WHERE key = 1", "not those that were written"},
	{"UPDATE ledger_entries SET to_boot = to_boot + 1 WHERE number = 2", "another moment"},
};

static void what_was_changed_is_found(void **state)
{
	struct fixture *f = *state;

	lab_add_run(f, 1, 100);
	lab_add_samples(f, 1, 1, 110, 5 * 3600);
	lab_close_until(f, FOREVER, false);
	lab_assert_proven(f);
	for (size_t i = 0; i < ARRAY_SIZE(frauds); i++) {
		lab_run_sql(f, "BEGIN");
		lab_run_sql(f, frauds[i].sql);
		lab_assert_found(f, frauds[i].found);
		lab_run_sql(f, "ROLLBACK");
	}
	lab_assert_proven(f);
}

static const struct fraud gap_frauds[] = {
	{"DELETE FROM gaps", "it says that there was a gap, and none is on record"},
	/* Shorter than one is, out of its last hour, into the next; and one that was not. */
	{"UPDATE gaps SET to_boot = from_boot + 31000000", "and none is on record"},
	{"UPDATE gaps SET to_boot = 15700000000 WHERE id = 2", "19:00:00.000000Z: it says that"},
	{"UPDATE gaps SET to_boot = 19500000000 WHERE id = 2", "20:00:00.000000Z: it does not"},
	{"INSERT INTO gaps (run, reason, from_boot, to_boot, from_wall, to_wall)"
	 " VALUES (1, 'not sampled', 19500000000, 19540000000, 0, 0)",
		"20:00:00.000000Z: it does not say that there was a gap, which is on record"},
};

static void gaps_and_what_says_so_prove_each_other(void **state)
{
	struct fixture *f = *state;
	uint64_t next;

	lab_add_run(f, 1, 100);
	/* Within the first hour, and over the third. */
	next = lab_add_samples(f, 1, 1, 110, 1000) + 1;
	next = lab_add_samples(f, 1, next, 1100, 2 * 3600 - 100) + 1;
	lab_add_samples(f, 1, next, 3 * 3600 + 100, 6 * 3600);
	lab_close_until(f, FOREVER, false);
	assert_int_equal(lab_ask(f, "SELECT count(*) FROM gaps"), 2);
	lab_assert_proven(f);
	for (size_t i = 0; i < ARRAY_SIZE(gap_frauds); i++) {
		lab_run_sql(f, "BEGIN");
		lab_run_sql(f, gap_frauds[i].sql);
		lab_assert_found(f, gap_frauds[i].found);
		lab_run_sql(f, "ROLLBACK");
	}
	/* Also when there are no samples any more that say so. */
	lab_prune(f, FOREVER);
	lab_run_sql(f, "BEGIN");
	lab_run_sql(f, gap_frauds[0].sql);
	lab_assert_found(f, gap_frauds[0].found);
	/* Of what was closed without, nobody knows. */
	lab_run_sql(f, "UPDATE settings SET value = '1' WHERE key = 'closed_gaps_after'");
	lab_assert_found(f, gap_frauds[0].found);
	lab_run_sql(f, "UPDATE settings SET value = (SELECT max(number) FROM ledger_entries)"
		       " WHERE key = 'closed_gaps_after'");
	free(lab_prove(f));
	lab_run_sql(f, "ROLLBACK");
}

/* --- entries as a version made them that did not know a meter --- */

struct rewriting {
	struct fixture *f;
	uint64_t from; /* numbers of entries */
	uint64_t to;
	void (*change)(struct ledger_entry *entry);
	uint64_t records;
	char hash[LEDGER_HASH_SIZE];
};

static int rewrite(void *arg, const struct ledger_entry *entry, const char *hash, struct err *err)
{
	struct rewriting *w = arg;
	struct ledger_entry e = *entry;
	uint8_t figures[LEDGER_FIGURES_MAX];
	size_t size;
	int r;

	(void)hash;
	if (e.number >= w->from && e.number <= w->to)
		w->change(&e);
	size = ledger_figures_write(&e.figures, e.carry, figures);
	w->records += (uint64_t)__builtin_popcountll(e.figures.present);
	r = ledger_entry_chain(&e, w->hash, err);
	return r < 0 ? r
		     : db_query(w->f->db,
			       "UPDATE ledger_entries SET figures = ?2, hash = ?3 WHERE number = "
			       "?1",
			       NULL, NULL, err, "ubs", e.number, (const void *)figures, size,
			       w->hash);
}

/* A whole new chain, in which those are otherwise. */
static void rewrite_chain(
	struct fixture *f, uint64_t from, uint64_t to, void (*change)(struct ledger_entry *entry))
{
	struct rewriting w = {.f = f, .from = from, .to = to, .change = change};
	struct ledger_chain chain;
	struct err err;
	int r = ledger_chain_of(f->db, TENANT, &chain, &err);

	for (uint64_t number = 1; r == 0 && number < 100; number++)
		r = ledger_entries_of_chain(f->db, chain.key, number - 1, 1, rewrite, &w, &err);
	if (r == 0)
		r = db_query(f->db,
			"UPDATE ledger_chains SET records = ?2, head = ?3 WHERE key = ?1", NULL,
			NULL, &err, "uus", chain.key, w.records, w.hash);
	if (r < 0)
		fail_msg("%s", err.msg);
}

static void without_later_meters(struct ledger_entry *e)
{
	e->figures.present &= ~ledger_later_meters();
}

static void forget_later_meters(struct fixture *f, uint64_t from, uint64_t to)
{
	rewrite_chain(f, from, to, without_later_meters);
}

static void more_than_was_counted(struct ledger_entry *e)
{
	e->figures.quantity[LEDGER_CPU_USED]++;
}

static void counted_twice(struct ledger_entry *e)
{
	e->figures.counter_start[LEDGER_CPU_USED]--;
	e->figures.quantity[LEDGER_CPU_USED]++;
}

/* Whoever writes a whole chain anew is found without samples, too: by what counters had come to. */
static void amounts_are_what_counters_went_on_by(void **state)
{
	struct fixture *f = *state;

	lab_add_run(f, 1, 100);
	lab_add_samples(f, 1, 1, 110, 4 * 3600);
	lab_close_until(f, FOREVER, false);
	assert_int_equal(lab_entries_of(f, 1).n, 3);
	lab_prune(f, FOREVER);
	lab_run_sql(f, "BEGIN");
	rewrite_chain(f, 2, 2, more_than_was_counted);
	lab_assert_found(f, "cpu.used is not what its counter went on by");
	lab_run_sql(f, "ROLLBACK");
	rewrite_chain(f, 2, 2, counted_twice);
	lab_assert_found(f, "it does not begin where the one before it ended");
}

static void what_an_earlier_version_closed_is_proven(void **state)
{
	struct fixture *f = *state;
	uint64_t last;

	f->has_net = true;
	lab_add_run(f, 1, 0);
	lab_add_sample(f, 1, 0, 0, 0);
	last = lab_add_samples(f, 1, 1, 10, 3 * 3600);
	lab_close_until(f, EPOCH + 2 * HOUR, false);
	assert_int_equal(lab_entries_of(f, 1).n, 2);
	lab_assert_proven(f);
	forget_later_meters(f, 1, 2);
	lab_assert_proven(f);
	/* It is replaced by this one, which goes on. */
	lab_add_samples(f, 1, last + 1, 3 * 3600, 5 * 3600);
	lab_close_until(f, EPOCH + 4 * HOUR, false);
	assert_int_equal(lab_entries_of(f, 1).n, 4);
	assert_true(lab_entries_of(f, 1).last.figures.present & ledger_later_meters());
	lab_assert_proven(f);
	/* From then on an hour without it is one that somebody took it from. */
	forget_later_meters(f, 4, 4);
	lab_assert_found(f, "other meters");
}

/*
 * Traffic that was not read for longer than five minutes has no rate: not where croftd was killed
 * meanwhile, nor where samples are gone, nor by the proof.
 */
static void traffic_that_was_not_read_has_no_rate_later(void **state)
{
	struct fixture *f = *state;
	const struct burst_hour *slots;
	struct ledger_verifier *v;
	uint64_t last;
	struct sum sum;

	f->has_net = true;
	lab_add_run(f, 1, 0);
	lab_add_sample(f, 1, 0, 0, 0);
	last = lab_add_samples(f, 1, 1, 10, 3000);
	f->has_net = false;
	last = lab_add_samples(f, 1, last + 1, 3000, 4520);
	lab_close_until(f, EPOCH + HOUR, true);
	lab_prune(f, EPOCH + HOUR);
	f->has_net = true;
	lab_add_samples(f, 1, last + 1, 4520, 3 * 3600);
	lab_close_until(f, EPOCH + 2 * HOUR, true);
	sum = lab_entries_of(f, 1);
	assert_int_equal(sum.n, 2);
	slots = &sum.last.figures.slots;
	for (size_t slot = 0; slot < 3; slot++)
		assert_int_equal(slots->bytes[BURST_IN][slot], 0);
	/* From the first of them to the next five minutes. */
	assert_int_equal(slots->bytes[BURST_IN][3], 28 * SECOND);
	assert_int_equal(slots->bytes[BURST_IN][4], 30 * SECOND);
	v = lab_prove(f);
	assert_true(v->recomputed > 0 && v->recomputed < v->records);
	free(v);
}

static void each_tenant_has_a_chain_of_its_own(void **state)
{
	struct fixture *f = *state;
	struct ledger_chain one;
	struct ledger_chain two;
	struct err err;

	lab_add_run(f, 1, 100);
	lab_add_run_of(f, 2, OTHER, "other", 100);
	lab_add_samples(f, 1, 1, 110, 8000);
	lab_add_samples(f, 2, 1, 110, 8000);
	lab_close_until(f, FOREVER, false);
	assert_int_equal(ledger_chain_of(f->db, TENANT, &one, &err), 0);
	assert_int_equal(ledger_chain_of(f->db, OTHER, &two, &err), 0);
	assert_int_equal(one.records, two.records);
	assert_string_not_equal(one.head, two.head);
	/* What is done to one is nothing to the other. */
	lab_run_sql(f, "DELETE FROM ledger_entries WHERE run = 2");
	lab_assert_proven(f);
}

static int take_handle(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(sqlite3 **)arg = sqlite3_db_handle(row);
	return 0;
}

static int count_instruction(void *arg)
{
	++*(uint64_t *)arg;
	return 0;
}

/* From now on counts what SQLite carries out, in instructions. */
static void count_into(struct fixture *f, uint64_t *count)
{
	sqlite3 *handle = NULL;
	struct err err;

	assert_int_equal(db_query(f->db, "SELECT 1", take_handle, &handle, &err, ""), 0);
	sqlite3_progress_handler(handle, 1, count_instruction, count);
}

/* A run of so many hours, with a sample each quarter, all but the last of which are closed. */
static void add_hours(struct fixture *f, uint64_t run, unsigned hours)
{
	lab_run_sql(f, "BEGIN");
	lab_add_run(f, run, 0);
	for (unsigned i = 1; i < hours * 4; i++)
		lab_add_sample(f, run, i, i * INT64_C(900), i * (uint64_t)SECOND);
	lab_run_sql(f, "COMMIT");
	lab_close_until(f, FOREVER, false);
}

/* A run may last for years. */
static void costs_do_not_grow_with_what_is_behind(void **state)
{
	static const unsigned hours[] = {20, 400};
	struct fixture *f = *state;
	uint64_t pruning[2] = {0};
	uint64_t proving[2] = {0};
	uint64_t rest = 0;

	for (size_t i = 0; i < 2; i++) {
		add_hours(f, i + 1, hours[i]);
		count_into(f, &proving[i]);
		lab_assert_proven(f);
		count_into(f, &rest);
		lab_prune(f, EPOCH + (hours[i] - 3) * HOUR);
		/* An hour more of it. */
		count_into(f, &pruning[i]);
		lab_prune(f, EPOCH + (hours[i] - 2) * HOUR);
		count_into(f, &rest);
		lab_run_sql(f, "DELETE FROM ledger_pruned");
		lab_run_sql(f, "DELETE FROM ledger_corrections");
		lab_run_sql(f, "DELETE FROM ledger_entries");
		lab_run_sql(f, "DELETE FROM ledger_open");
		lab_run_sql(f, "DELETE FROM ledger_chains");
		lab_run_sql(f, "DELETE FROM samples");
		lab_run_sql(f, "DELETE FROM gaps");
		lab_run_sql(f, "DELETE FROM runs");
	}
	assert_true(pruning[0] > 0 && pruning[1] < 2 * pruning[0]);
	assert_true(proving[1] / hours[1] < 2 * proving[0] / hours[0]);
}

int main(void)
{
#define ON_DATABASE(test) cmocka_unit_test_setup_teardown(test, lab_make, lab_drop)
	const struct CMUnitTest tests[] = {
		ON_DATABASE(samples_go_and_records_stay),
		ON_DATABASE(what_a_tenants_directory_counts_is_closed),
		ON_DATABASE(samples_of_nobody_are_deleted),
		ON_DATABASE(parts_are_no_more_than_the_whole),
		ON_DATABASE(a_part_too_large_is_found),
		ON_DATABASE(deleting_beside_a_proof_is_no_problem),
		ON_DATABASE(what_was_changed_is_found),
		ON_DATABASE(gaps_and_what_says_so_prove_each_other),
		ON_DATABASE(amounts_are_what_counters_went_on_by),
		ON_DATABASE(what_an_earlier_version_closed_is_proven),
		ON_DATABASE(traffic_that_was_not_read_has_no_rate_later),
		ON_DATABASE(each_tenant_has_a_chain_of_its_own),
		ON_DATABASE(costs_do_not_grow_with_what_is_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

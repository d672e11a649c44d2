/*
 * Closing and exporting the ledger, on a real SQLite: killed anywhere, with clocks that are set,
 * and with records that are damaged.
 */
#include "tests/unit/ledger_lab.h"

#include "server/ledger.h"
#include "server/store.h"
#include "server/usage_export.h"

#include "tests/unit/unit.h"

#include <event2/event.h>
#include <string.h>

static void what_is_due_is_closed_once(void **state)
{
	struct fixture *f = *state;
	struct sum sum;

	lab_add_run(f, 1, 100);
	lab_add_samples(f, 1, 1, 110, 4 * 3600);
	assert_int_equal(lab_close_until(f, EPOCH + HOUR - 1, false), 0);
	assert_int_equal(lab_close_until(f, EPOCH + HOUR, false), 1);
	assert_int_equal(lab_close_until(f, EPOCH + HOUR, false), 0);
	/* Of the fourth hour nothing is known behind its end. */
	assert_int_equal(lab_close_until(f, FOREVER, false), 2);
	sum = lab_entries_of(f, 1);
	assert_int_equal(sum.n, 3);
	/* One second of CPU in ten, from 100 s (0) on; up to the edge, between two samples. */
	assert_int_equal((uint64_t)sum.quantity[0], (3 * 3600 - 100) / 10 * SECOND);
	assert_int_equal((uint64_t)sum.quantity[8], (3 * 3600 - 100) * SECOND);
	assert_int_equal(sum.first.window_start_usec, EPOCH + 100 * SECOND);
	assert_int_equal(sum.first.window_end_usec, EPOCH + HOUR);
	assert_int_equal(sum.last.window_end_usec, EPOCH + 3 * HOUR);
	assert_string_equal(sum.last.host, "host1");
	assert_string_equal(sum.last.account_ref, "customer 7");
	lab_assert_proven(f);
}

static void what_has_ended_is_closed_to_its_end(void **state)
{
	struct fixture *f = *state;
	uint64_t last;

	lab_add_run(f, 1, 100);
	last = lab_add_samples(f, 1, 1, 110, 5000);
	lab_end_run(f, 1);
	/* A run of which there is no sample at all. */
	lab_add_run(f, 2, 200);
	lab_end_run(f, 2);
	lab_close_until(f, EPOCH + HOUR, false);
	assert_int_equal(lab_entries_of(f, 1).n, 1);
	lab_close_until(f, EPOCH + 2 * HOUR, false);
	assert_int_equal(lab_entries_of(f, 1).n, 2);
	assert_int_equal((uint64_t)lab_entries_of(f, 1).quantity[0], last * SECOND);
	assert_int_equal(lab_entries_of(f, 2).n, 0);
	assert_int_equal(lab_close_until(f, FOREVER, false), 0);
	lab_assert_proven(f);
	assert_int_equal(lab_ask(f, "SELECT count(*) FROM ledger_open"), 0);
}

static void killed_anywhere_it_comes_to_the_same(void **state)
{
	struct fixture *f = *state;
	uint64_t last[8];

	for (uint64_t run = 1; run < 8; run++) {
		lab_add_run(f, run, (int64_t)run * 1000);
		last[run] = lab_add_samples(f, run, 1, (int64_t)run * 1000 + 10, 6 * 3600);
		lab_end_run(f, run);
	}
	for (int64_t hour = 1; hour <= 6; hour++)
		lab_close_until(f, EPOCH + hour * HOUR, true);
	for (uint64_t run = 1; run < 8; run++)
		assert_int_equal((uint64_t)lab_entries_of(f, run).quantity[0], last[run] * SECOND);
	lab_assert_proven(f);
}

static void a_clock_set_back_makes_corrections(void **state)
{
	struct fixture *f = *state;
	struct ledger_record record;
	struct ledger_record corrected;
	struct sum sum;
	uint64_t last;
	struct err err;

	lab_add_run(f, 1, 100);
	last = lab_add_samples(f, 1, 1, 110, 3 * 3600 + 300);
	lab_close_until(f, EPOCH + 3 * HOUR, false);
	assert_int_equal(lab_entries_of(f, 1).n, 3);
	/* Two hours back: the second hour comes again. */
	f->offset -= 2 * HOUR;
	last = lab_add_samples(f, 1, last + 1, 3 * 3600 + 300, 3 * 3600 + 900);
	/* And right again. */
	f->offset += 2 * HOUR;
	last = lab_add_samples(f, 1, last + 1, 3 * 3600 + 900, 5000 + 3 * 3600);
	lab_end_run(f, 1);
	lab_close_until(f, FOREVER, false);
	sum = lab_entries_of(f, 1);
	assert_int_equal((uint64_t)sum.quantity[0], last * SECOND);
	assert_int_equal(sum.n, 7);
	lab_assert_proven(f);
	assert_int_equal(ledger_entries_revision_before(
				 f->db, 1, EPOCH + HOUR, UINT64_C(1) << 40, &sum.last, &err),
		0);
	assert_int_equal(sum.last.revision, 1);
	assert_int_equal(ledger_record_make(&sum.last, 0, "", &record, &err), 0);
	assert_string_equal(record.reason, "late, clock set");
	/* It names what it corrects, of which there is one. */
	sum.last.revision = 0;
	assert_int_equal(ledger_record_make(&sum.last, 0, "", &corrected, &err), 0);
	assert_string_equal(record.corrects, corrected.id);
	assert_string_not_equal(record.id, corrected.id);
}

/* On cgroup v1 nobody knows whose buffered writes are: records of what is written say so. */
static void writes_that_are_not_attributed_are_told(void **state)
{
	struct fixture *f = *state;
	struct ledger_record record;
	struct sum sum;
	struct err err;

	for (uint64_t run = 1; run <= 2; run++) {
		lab_add_run(f, run, 100);
		lab_add_samples(f, run, 1, 110, 600);
		lab_end_run(f, run);
	}
	lab_run_sql(f, "UPDATE runs SET partial_writes = 1 WHERE key = 2");
	lab_close_until(f, FOREVER, false);
	lab_assert_proven(f);
	for (uint64_t run = 1; run <= 2; run++) {
		sum = lab_entries_of(f, run);
		for (size_t m = 0; m < LEDGER_METERS; m++) {
			bool written = !strcmp(ledger_meters[m].name, "io.write") ||
				       !strcmp(ledger_meters[m].name, "io.write.ops");

			if (!ledger_entry_has(&sum.last, m))
				continue;
			assert_int_equal(ledger_record_make(&sum.last, m, "", &record, &err), 0);
			assert_string_equal(record.reason,
				written && run == 2 ? "buffered writes not attributed" : "");
		}
	}
	lab_run_sql(f, "UPDATE runs SET partial_writes = 0 WHERE key = 2");
	lab_assert_found(f, "its reason differs");
}

/* Wrong for a minute, and right again: hours are closed when they are over, not a month later. */
static void a_clock_that_was_ahead_holds_up_no_hour(void **state)
{
	struct fixture *f = *state;
	struct sum sum;
	uint64_t last;

	lab_add_run(f, 1, 100);
	last = lab_add_samples(f, 1, 1, 110, 3600 + 600);
	f->offset += 30 * 24 * HOUR;
	last = lab_add_samples(f, 1, last + 1, 3600 + 600, 3600 + 660);
	f->offset -= 30 * 24 * HOUR;
	last = lab_add_samples(f, 1, last + 1, 3600 + 660, 24 * 3600);
	for (int64_t hour = 1; hour <= 24; hour++)
		lab_close_until(f, EPOCH + hour * HOUR, hour & 1);
	/* 23 hours, one of them in two pieces, and what was ahead. */
	sum = lab_entries_of(f, 1);
	assert_int_equal(sum.n, 25);
	assert_int_equal(sum.last.window_end_usec, EPOCH + 23 * HOUR);
	assert_int_equal((uint64_t)sum.quantity[8], (23 * 3600 - 100) * SECOND);
	lab_assert_proven(f);
	/* The present hour waits until it is over. */
	lab_end_run(f, 1);
	assert_int_equal(lab_close_until(f, EPOCH + 24 * HOUR - 1, false), 0);
	assert_int_equal(lab_close_until(f, EPOCH + 24 * HOUR, false), 1);
	assert_int_equal((uint64_t)lab_entries_of(f, 1).quantity[0], last * SECOND);
}

/* There is no sample behind that tells that the clock was set back. */
static void what_ended_while_the_clock_was_ahead_is_closed(void **state)
{
	struct fixture *f = *state;
	uint64_t last;

	f->offset += 30 * 24 * HOUR;
	lab_add_run(f, 1, 100);
	last = lab_add_samples(f, 1, 1, 110, 2 * 3600);
	lab_end_run(f, 1);
	/* Of what goes on there may be more, as long as nothing says otherwise. */
	lab_add_run(f, 2, 100);
	lab_add_samples(f, 2, 1, 110, 2 * 3600);
	lab_close_until(f, EPOCH + 2 * HOUR, false);
	assert_int_equal(lab_entries_of(f, 1).n, 2);
	assert_int_equal((uint64_t)lab_entries_of(f, 1).quantity[0], last * SECOND);
	assert_int_equal(lab_entries_of(f, 2).n, 1);
	lab_assert_proven(f);
	assert_int_equal(lab_ask(f, "SELECT count(*) FROM ledger_open"), 1);
}

static void terms_split_windows_and_are_in_the_record(void **state)
{
	struct fixture *f = *state;
	struct sum sum;
	struct err err;

	lab_add_run(f, 1, 0);
	assert_int_equal(
		db_query(f->db,
			"INSERT INTO ledger_terms (key, tenant_uid, container_uid, boot_id,"
			" boot, wall, plan, account_ref, limits) VALUES (5, '" TENANT
			"', 'web', 'this-boot', ?1, ?2, 'gold', 'customer 8', 'cpu=500')",
			NULL, NULL, &err, "ii", BOOT + 1800 * SECOND, EPOCH + 1800 * SECOND),
		0);
	lab_add_samples(f, 1, 1, 10, 7200);
	lab_close_until(f, FOREVER, false);
	sum = lab_entries_of(f, 1);
	assert_int_equal(sum.n, 2);
	assert_string_equal(sum.first.plan, "");
	assert_string_equal(sum.first.account_ref, "customer 7");
	assert_string_equal(sum.last.plan, "gold");
	assert_string_equal(sum.last.account_ref, "customer 8");
	assert_false(ledger_entry_has(&sum.first, 21));
	/* Half a core for half an hour. */
	assert_int_equal((uint64_t)sum.last.figures.quantity[21], 900 * SECOND);
	lab_assert_proven(f);
}

static void on_opened(void *arg, const struct err *err)
{
	assert_null(err);
	event_base_loopbreak(arg);
}

/* A launch is asked for before its row is put, so that terms may be younger than their run. */
static void first_terms_hold_from_the_beginning(void **state)
{
	struct fixture *f = *state;
	const struct db_config config = {0};
	const struct run run = {.key = 1};
	struct db_tx *tx = db_tx_new();
	struct sum sum;
	struct err err;

	lab_add_run(f, 1, 0);
	lab_run_sql(f, "DELETE FROM ledger_open");
	for (int64_t key = 5; key <= 6; key++)
		assert_int_equal(
			db_query(f->db,
				"INSERT INTO ledger_terms (key, tenant_uid, container_uid, boot_id,"
				" boot, wall, plan, account_ref, limits) VALUES (?1, '" TENANT
				"', 'web', 'this-boot', ?2, ?3, ?4, 'customer 8', 'cpu=500')",
				NULL, NULL, &err, "iiis", key, BOOT + (key - 4) * 600 * SECOND,
				EPOCH + (key - 4) * 600 * SECOND, key == 5 ? "gold" : "lead"),
			0);
	f->base = event_base_new();
	assert_int_equal(db_start(f->db, f->base, &config, &err), 0);
	store_open_run(tx, &run);
	db_commit(f->db, tx, on_opened, f->base);
	event_base_dispatch(f->base);
	db_stop(f->db);
	lab_add_samples(f, 1, 1, 10, 7200);
	lab_close_until(f, FOREVER, false);
	sum = lab_entries_of(f, 1);
	assert_int_equal(sum.n, 2);
	assert_string_equal(sum.first.plan, "gold");
	assert_string_equal(sum.last.plan, "lead");
	/* Half a core, for 20 minutes. */
	assert_int_equal((uint64_t)sum.first.figures.quantity[21], 600 * SECOND);
	lab_assert_proven(f);
}

/* One run that is damaged stays open; the others are closed, each hour, as if it were not there. */
static void a_damaged_run_holds_up_no_other(void **state)
{
	struct fixture *f = *state;

	for (uint64_t run = 1; run <= 3; run++) {
		lab_add_run(f, run, 100);
		lab_add_samples(f, run, 1, 110, 3 * 3600);
		lab_end_run(f, run);
	}
	assert_int_equal(lab_close_until(f, EPOCH + HOUR, false), 3);
	lab_run_sql(f, "UPDATE ledger_open SET carry = x'ff' WHERE run = 1");
	lab_run_sql(f, "DELETE FROM samples WHERE run = 2 AND sequence = 350");
	assert_int_equal(lab_close_until(f, EPOCH + 2 * HOUR, false), 1);
	assert_int_equal(lab_close_until(f, FOREVER, false), 1);
	assert_int_equal(lab_entries_of(f, 3).n, 3);
	/* It is told, and the rest is proven. */
	lab_assert_found(f, "other meters or samples");
}

static void export_all(struct fixture *f, size_t *ret_items, uint64_t *ret_usec)
{
	struct export_cursor cursor = {.to_wall_usec = INT64_MAX, .gap_usec = 31 * SECOND};
	char ids[64][HASH_SIZE];
	struct ledger_record record;
	size_t n = 0;
	struct err err;

	*ret_usec = 0;
	while (cursor.phase != EXPORT_DONE) {
		if (export_step(f->db, &cursor, &err) < 0)
			fail_msg("%s", err.msg);
		for (size_t i = 0; i < cursor.n_items; i++) {
			const struct ledger_entry *e = &cursor.items[i].entry;

			assert_int_equal(ledger_record_make(e, 0, e->prev_hash, &record, &err), 0);
			for (size_t other = 0; other < n; other++)
				assert_string_not_equal(ids[other], record.id);
			assert_true(n < ARRAY_SIZE(ids));
			memcpy(ids[n++], record.id, HASH_SIZE);
			*ret_usec += (uint64_t)e->figures.quantity[0];
		}
	}
	*ret_items = n;
	export_cursor_finish(&cursor);
}

/* Windows that come again while they are open have ids of their own, whatever a step reads. */
static void what_is_open_is_exported_with_the_ids_it_will_have(void **state)
{
	struct fixture *f = *state;
	uint64_t last;
	uint64_t usec;
	size_t items;
	size_t closed;

	lab_add_run(f, 1, 100);
	last = lab_add_samples(f, 1, 1, 110, 4 * 3600);
	f->offset -= 3 * HOUR;
	last = lab_add_samples(f, 1, last + 1, 4 * 3600, 8 * 3600);
	f->offset += 3 * HOUR;
	last = lab_add_samples(f, 1, last + 1, 8 * 3600, 9 * 3600);
	lab_end_run(f, 1);
	export_all(f, &items, &usec);
	assert_int_equal(usec, last * SECOND);
	lab_close_until(f, FOREVER, false);
	export_all(f, &closed, &usec);
	assert_int_equal(usec, last * SECOND);
	assert_int_equal(items, closed);
	lab_assert_proven(f);
}

/* --- what was not read --- */

static void a_gap_is_on_record_once(void **state)
{
	struct fixture *f = *state;
	uint64_t next;

	lab_add_run(f, 1, 100);
	next = lab_add_samples(f, 1, 1, 110, 1000) + 1;
	lab_add_samples(f, 1, next, 3 * 3600 + 100, 5 * 3600);
	for (int64_t hour = 1; hour <= 5; hour++)
		lab_close_until(f, EPOCH + hour * HOUR, true);
	assert_int_equal(lab_ask(f, "SELECT count(*) FROM ledger_entries WHERE flags & 1"), 4);
	assert_int_equal(lab_ask(f, "SELECT count(*) FROM gaps"), 1);
	assert_int_equal(lab_ask(f, "SELECT from_boot FROM gaps"), BOOT + 990 * SECOND);
	assert_int_equal(lab_ask(f, "SELECT to_boot FROM gaps"), BOOT + (3 * 3600 + 100) * SECOND);
	assert_int_equal(lab_ask(f, "SELECT from_wall FROM gaps"), EPOCH + 990 * SECOND);
	assert_int_equal(lab_ask(f, "SELECT to_wall FROM gaps"), EPOCH + (3 * 3600 + 100) * SECOND);
	lab_assert_proven(f);
}

/* What is looked at less often has gaps that are as much longer. */
static void every_kind_has_its_gaps_on_record(void **state)
{
	struct fixture *f = *state;

	for (uint64_t kind = LEDGER_RUN; kind < LEDGER_KINDS; kind++) {
		uint64_t next;
		struct err err;

		lab_add_run(f, kind + 1, 0);
		assert_int_equal(db_query(f->db, "UPDATE runs SET kind = ?2 WHERE key = ?1", NULL,
					 NULL, &err, "uu", kind + 1, kind),
			0);
		next = lab_add_samples(f, kind + 1, 1, 10, 1000) + 1;
		next = lab_add_samples(f, kind + 1, next, 1100, 2000) + 1;
		lab_add_samples(f, kind + 1, next, 2300, 2 * 3600);
	}
	lab_close_until(f, EPOCH + HOUR, false);
	assert_int_equal(lab_ask(f, "SELECT count(*) FROM gaps WHERE run = 1"), 2);
	assert_int_equal(lab_ask(f, "SELECT count(*) FROM gaps WHERE run > 1 AND from_boot ="
				    " 6990000000 AND to_boot = 7300000000"),
		LEDGER_KINDS - 1);
	/* The short one is one where there is a sample at each sweep: of runs, and directories. */
	assert_int_equal(lab_ask(f, "SELECT count(*) FROM gaps"), LEDGER_KINDS + 2);
	lab_assert_proven(f);
}

static void committed(void *arg, const struct err *err)
{
	(void)arg;
	assert_null(err);
}

static void a_counter_of_work_that_fell_is_told(void **state)
{
	struct fixture *f = *state;
	const struct db_config config = {0};
	struct usage_point point = {.sequence = 1, .boot_usec = BOOT, .counters.cpu_usec = 100};
	struct db_tx *tx = db_tx_new();
	struct tenant t = {.uid = TENANT, .name = "acme", .work.key = 1};
	struct err err;

	lab_add_run(f, 1, 0);
	f->base = event_base_new();
	assert_int_equal(db_start(f->db, f->base, &config, &err), 0);
	ledger_add_work_sample(tx, &t, &point, 1);
	point.sequence++;
	point.counters.cpu_usec = 99;
	ledger_add_work_sample(tx, &t, &point, 2);
	db_commit(f->db, tx, committed, NULL);
	db_stop(f->db);
	assert_int_equal(lab_ask(f, "SELECT count(*) FROM samples"), 2);
	assert_int_equal(lab_ask(f, "SELECT count(*) FROM events"), 1);
	assert_int_equal(lab_ask(f, "SELECT count(*) FROM events WHERE type = "
				    "'usage.counter_fell' AND tenant = 'acme' AND resource ="
				    " 'tenants/acme' AND details = '{\"sequence\":2}'"),
		1);
}

static void figures_are_read_as_written(void **state)
{
	struct ledger_figures figures = {
		.present = UINT64_MAX >> (64 - LEDGER_METERS), .samples = 360};
	uint32_t carry[LEDGER_METERS] = {0};
	struct ledger_figures back;
	uint32_t carry_back[LEDGER_METERS];
	uint8_t bytes[LEDGER_FIGURES_MAX];
	size_t size;

	(void)state;
	for (size_t slot = 0; slot < BURST_SLOTS; slot++) {
		figures.slots.bytes[BURST_IN][slot] = UINT64_MAX >> slot;
		figures.slots.bytes[BURST_OUT][slot] = slot;
	}
	for (size_t m = 0; m < LEDGER_METERS; m++) {
		figures.quantity[m] = ~(unsigned __int128)0 >> m;
		carry[m] = ledger_meters[m].divisor - 1;
		if (ledger_meters[m].kind == METER_COUNTER)
			figures.counter_end[m] = UINT64_MAX - m;
	}
	size = ledger_figures_write(&figures, carry, bytes);
	assert_int_equal(ledger_figures_read(bytes, size, &back, carry_back), 0);
	assert_memory_equal(&figures, &back, sizeof(back));
	assert_memory_equal(carry, carry_back, sizeof(carry));
	for (size_t cut = 0; cut < size; cut++) {
		/* Whole meters may be missing at the end, of what an earlier version wrote. */
		if (ledger_figures_read(bytes, cut, &back, carry_back) == 0)
			assert_true(cut > size - 48);
		bytes[cut] ^= 0xff;
		ledger_figures_read(bytes, size, &back, carry_back);
		bytes[cut] ^= 0xff;
	}
}

int main(void)
{
#define ON_DATABASE(test) cmocka_unit_test_setup_teardown(test, lab_make, lab_drop)
	const struct CMUnitTest tests[] = {
		ON_DATABASE(what_is_due_is_closed_once),
		ON_DATABASE(what_has_ended_is_closed_to_its_end),
		ON_DATABASE(killed_anywhere_it_comes_to_the_same),
		ON_DATABASE(a_clock_set_back_makes_corrections),
		ON_DATABASE(writes_that_are_not_attributed_are_told),
		ON_DATABASE(a_clock_that_was_ahead_holds_up_no_hour),
		ON_DATABASE(what_ended_while_the_clock_was_ahead_is_closed),
		ON_DATABASE(terms_split_windows_and_are_in_the_record),
		ON_DATABASE(first_terms_hold_from_the_beginning),
		ON_DATABASE(a_damaged_run_holds_up_no_other),
		ON_DATABASE(what_is_open_is_exported_with_the_ids_it_will_have),
		ON_DATABASE(a_gap_is_on_record_once),
		ON_DATABASE(every_kind_has_its_gaps_on_record),
		ON_DATABASE(a_counter_of_work_that_fell_is_told),
		cmocka_unit_test(figures_are_read_as_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

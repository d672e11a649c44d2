/*
 * Corrections by operators, on a real SQLite: what they name, what is left of it, and that what
 * else is done with the ledger goes on as if they were not there.
 */
#include "tests/unit/ledger_lab.h"

#include "server/ledger_correct.h"
#include "server/usage_sums.h"

#include "tests/unit/unit.h"

#include <string.h>

#define CPU 0 /* places in the table of meters */
#define WEB "tenants/acme/containers/web"

/* A run from 100 s to the end of the fourth hour, of which three hours are closed. */
static uint64_t make_hours(struct fixture *f)
{
	uint64_t last;

	lab_add_run(f, 1, 100);
	last = lab_add_samples(f, 1, 1, 110, 4 * 3600);
	lab_close_until(f, EPOCH + 3 * HOUR, false);
	return last;
}

static struct ledger_correction of(int64_t hour, const char *amount)
{
	struct ledger_correction c = {.tenant_uid = TENANT,
		.resource = WEB,
		.name = "web",
		.meter = CPU,
		.hour_usec = EPOCH + hour * HOUR,
		.reason = "it was our own fault",
		.actor = "uid:0",
		.host = "host2"};
	struct err err;

	assert_int_equal(ledger_correction_amount(amount, &c.negative, &c.amount, &err), 0);
	return c;
}

static void correct(struct fixture *f, struct ledger_correction *c)
{
	struct err err;

	if (ledger_correct(f->db, c, &err) < 0)
		fail_msg("%s", err.msg);
}

static void refused(struct fixture *f, struct ledger_correction c, const char *reason)
{
	struct err err;

	assert_true(ledger_correct(f->db, &c, &err) < 0);
	assert_string_equal(err.reason, reason);
}

static struct usage_sums sums_of(struct fixture *f)
{
	struct export_cursor cursor = {.to_wall_usec = INT64_MAX, .gap_usec = 31 * SECOND};
	struct usage_sums sums = {.windows = 0};
	struct err err;

	while (cursor.phase != EXPORT_DONE) {
		if (export_step(f->db, &cursor, &err) < 0)
			fail_msg("%s", err.msg);
		for (size_t i = 0; i < cursor.n_items; i++)
			assert_int_equal(usage_sums_add(&sums, &cursor.items[i], NULL, &err), 0);
	}
	export_cursor_finish(&cursor);
	return sums;
}

static void assert_chain_proven(struct fixture *f, uint64_t corrections)
{
	struct ledger_verifier *v = lab_prove(f);

	assert_int_equal(v->records, v->recomputed + corrections);
	free(v);
}

static void it_names_a_record_and_is_added_to_it(void **state)
{
	struct fixture *f = *state;
	struct ledger_correction c = of(1, "-5000000");
	struct ledger_correction more = of(1, "7");
	struct ledger_record record;
	struct usage_sums before;
	struct usage_sums after;
	struct sum first;
	char id[HASH_SIZE];
	struct err err;

	make_hours(f);
	before = sums_of(f);
	first = lab_entries_of(f, 1);
	correct(f, &c);
	correct(f, &more);
	assert_int_equal(ledger_record_make(&c.entry, CPU, c.entry.prev_hash, &record, &err), 0);
	assert_string_equal(record.quantity, "-5000000");
	assert_string_equal(record.reason, "operator: it was our own fault");
	assert_int_equal(c.entry.window_start_usec, EPOCH + HOUR);
	assert_string_equal(c.entry.host, "host2");
	/* The second of three hours. */
	assert_int_equal(first.n, 3);
	first.first.window_start_usec = EPOCH + HOUR;
	assert_int_equal(ledger_record_id(&first.first, CPU, id, &err), 0);
	assert_string_equal(record.corrects, id);
	assert_int_equal(ledger_record_id(&more.entry, CPU, id, &err), 0);
	assert_string_not_equal(record.id, id);
	assert_string_equal(more.entry.corrects, record.corrects);
	after = sums_of(f);
	assert_true(after.quantity[CPU] + 5000000 - 7 == before.quantity[CPU]);
	assert_true(after.corrected[CPU] == -5000000 + 7);
	assert_int_equal(after.corrections, 2);
	assert_int_equal(after.windows, before.windows);
	assert_int_equal(after.closed, before.closed);
	for (size_t m = CPU + 1; m < LEDGER_METERS; m++)
		assert_true(after.quantity[m] == before.quantity[m]);
	assert_chain_proven(f, 2);
}

static void no_more_is_taken_off_than_there_is(void **state)
{
	struct fixture *f = *state;
	struct ledger_correction all = of(1, "-360000000");

	make_hours(f);
	refused(f, of(1, "-360000001"), "AMOUNT_TOO_LARGE");
	correct(f, &all);
	refused(f, of(1, "-1"), "AMOUNT_TOO_LARGE");
	/* Of another hour there is. */
	all = of(2, "-1");
	correct(f, &all);
	all = of(1, "999999999999999999999999999999");
	correct(f, &all);
	assert_chain_proven(f, 3);
}

static void what_makes_no_sense_is_refused(void **state)
{
	static const char *const amounts[] = {"", "-", "0", "-0", "+5", "05", "5.0", "1e3", " 5",
		"5 ", "--5", "1000000000000000000000000000000"};
	struct fixture *f = *state;
	struct ledger_correction c = of(1, "1");
	size_t meter = 0;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(amounts); i++)
		assert_int_equal(ledger_correction_amount(amounts[i], &c.negative, &c.amount, &err),
			-EINVAL);
	assert_int_equal(ledger_correction_meter("cpu.wasted", &meter, &err), -EINVAL);
	assert_string_equal(err.reason, "METER_UNKNOWN");
	assert_int_equal(ledger_correction_meter("memory.peak", &meter, &err), -EINVAL);
	assert_string_equal(err.reason, "METER_NOT_A_SUM");
	assert_int_equal(ledger_correction_meter("running", &meter, &err), 0);
	refused(f, of(1, "1"), "NOTHING_TO_CORRECT");
	make_hours(f);
	refused(f, of(3, "1"), "HOUR_NOT_CLOSED");
	/* Nor is what comes behind that. */
	refused(f, of(4, "1"), "HOUR_NOT_CLOSED");
	refused(f, of(-1, "1"), "NOTHING_TO_CORRECT");
	c = of(1, "1");
	strcpy(c.name, "db");
	strcpy(c.resource, "tenants/acme/containers/db");
	refused(f, c, "NOTHING_TO_CORRECT");
	c = of(1, "1");
	strcpy(c.tenant_uid, OTHER);
	refused(f, c, "NOTHING_TO_CORRECT");
	c = of(1, "1");
	assert_int_equal(ledger_correction_meter("disk.used", &c.meter, &err), 0);
	refused(f, c, "NOTHING_TO_CORRECT");
	assert_chain_proven(f, 0);
}

static void of_several_records_one_is_named(void **state)
{
	struct fixture *f = *state;
	struct ledger_correction c = of(0, "-1000000");
	char id[HASH_SIZE];
	struct sum second;
	struct err err;

	for (uint64_t run = 1; run <= 2; run++) {
		lab_add_run(f, run, (int64_t)run * 1000);
		lab_add_samples(f, run, 1, (int64_t)run * 1000 + 10, (int64_t)run * 1000 + 500);
		lab_end_run(f, run);
	}
	lab_close_until(f, FOREVER, false);
	refused(f, c, "SEVERAL_RECORDS");
	second = lab_entries_of(f, 2);
	assert_int_equal(ledger_record_id(&second.first, CPU, id, &err), 0);
	c = of(0, "-1000000");
	memcpy(c.record_id, id, sizeof(id));
	correct(f, &c);
	assert_int_equal(c.entry.run, 2);
	assert_string_equal(c.entry.corrects, id);
	/* One of another meter is no record of this one. */
	assert_int_equal(ledger_record_id(&second.first, 8, id, &err), 0);
	c = of(0, "-1000000");
	memcpy(c.record_id, id, sizeof(id));
	refused(f, c, "NOTHING_TO_CORRECT");
	/* By its uid, whatever it is called. */
	c = of(0, "-1");
	strcpy(c.uid, "web");
	c.name[0] = '\0';
	refused(f, c, "SEVERAL_RECORDS");
	assert_chain_proven(f, 1);
}

/* What comes late has the revision, the peaks and the sums that it would have had. */
static void what_comes_late_goes_on_beside_it(void **state)
{
	struct fixture *f = *state;
	struct ledger_correction c = of(1, "-5000000");
	struct ledger_entry late;
	uint64_t last = make_hours(f);
	struct err err;

	correct(f, &c);
	f->offset -= 2 * HOUR;
	last = lab_add_samples(f, 1, last + 1, 4 * 3600, 4 * 3600 + 600);
	f->offset += 2 * HOUR;
	last = lab_add_samples(f, 1, last + 1, 4 * 3600 + 600, 5 * 3600);
	lab_end_run(f, 1);
	lab_close_until(f, FOREVER, false);
	assert_true(sums_of(f).quantity[CPU] == last * (unsigned __int128)SECOND - 5000000);
	assert_int_equal(
		ledger_entries_revision_before(f->db, 1, EPOCH + 2 * HOUR, INT64_MAX, &late, &err),
		0);
	assert_int_equal(late.revision, 1);
	assert_true(late.figures.quantity[3] > 0);
	/* And what came late can be corrected, as a part of its window. */
	c = of(2, "-365000000");
	correct(f, &c);
	assert_chain_proven(f, 2);
}

static void samples_go_and_it_stays(void **state)
{
	struct fixture *f = *state;
	struct ledger_correction c = of(1, "-5000000");
	struct ledger_verifier *v;
	struct usage_sums before;

	make_hours(f);
	lab_end_run(f, 1);
	lab_close_until(f, FOREVER, false);
	correct(f, &c);
	before = sums_of(f);
	lab_prune(f, EPOCH + 2 * HOUR);
	c = of(2, "-1");
	correct(f, &c);
	lab_prune(f, FOREVER);
	assert_int_equal(lab_ask(f, "SELECT count(*) FROM samples"), 0);
	assert_true(sums_of(f).quantity[CPU] + 1 == before.quantity[CPU]);
	v = lab_prove(f);
	assert_int_equal(v->recomputed, 0);
	free(v);
}

static const struct fraud {
	const char *sql;
	const char *found;
} frauds[] = {
	{"DELETE FROM ledger_corrections", "not those that were written"},
	{"UPDATE ledger_corrections SET reason = 'else'", "not those that were written"},
	{"UPDATE ledger_corrections SET corrects = 'else'", "a record that is missing"},
	{"UPDATE ledger_entries SET flags = 8 WHERE number = 4", "not those that were written"},
	{"UPDATE ledger_entries SET flags = 0 WHERE number = 4", "not those that were written"},
	{"UPDATE ledger_entries SET revision = 2 WHERE number = 4", "not those that were written"},
	{"DELETE FROM ledger_entries WHERE number = 2", "a record that is missing"},
};

static void what_was_changed_is_found(void **state)
{
	struct fixture *f = *state;
	struct ledger_correction c = of(1, "-5000000");

	make_hours(f);
	correct(f, &c);
	assert_int_equal(c.entry.number, 4);
	for (size_t i = 0; i < ARRAY_SIZE(frauds); i++) {
		lab_run_sql(f, "BEGIN");
		lab_run_sql(f, frauds[i].sql);
		lab_assert_found(f, frauds[i].found);
		lab_run_sql(f, "ROLLBACK");
	}
	assert_chain_proven(f, 1);
}

int main(void)
{
#define ON_DATABASE(test) cmocka_unit_test_setup_teardown(test, lab_make, lab_drop)
	const struct CMUnitTest tests[] = {
		ON_DATABASE(it_names_a_record_and_is_added_to_it),
		ON_DATABASE(no_more_is_taken_off_than_there_is),
		ON_DATABASE(what_makes_no_sense_is_refused),
		ON_DATABASE(of_several_records_one_is_named),
		ON_DATABASE(what_comes_late_goes_on_beside_it),
		ON_DATABASE(samples_go_and_it_stays),
		ON_DATABASE(what_was_changed_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

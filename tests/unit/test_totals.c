/* What containers and tenants have used in all, as it is kept: it never falls. */
#include "server/store.h"

#include "tests/unit/ledger_lab.h"
#include "tests/unit/unit.h"

#include <event2/event.h>

static int take_cpu(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(uint64_t *)arg = (uint64_t)sqlite3_column_int64(row, 0);
	return 0;
}

static int read_cpu(struct db *db, void *arg, struct err *err)
{
	return db_query(db, "SELECT cpu FROM totals WHERE uid = 'u'", take_cpu, arg, err, "");
}

static void succeeded(void *arg, const struct err *err)
{
	(void)arg;
	assert_null(err);
}

/* A sweep binds what it has seen, and gives way to the loop before it is committed. */
static void a_sweep_that_began_before_an_end(void **state)
{
	static const struct usage_totals seen = {.cpu_usec = 100, .running_usec = 10};
	static const struct usage_totals last = {.cpu_usec = 900, .running_usec = 20};
	static const struct usage_totals same = {.cpu_usec = 901, .running_usec = 20};
	struct fixture *f = *state;
	struct db_config config = {0};
	struct db_tx *sweep = db_tx_new();
	struct db_tx *end = db_tx_new();
	struct db_tx *more = db_tx_new();
	uint64_t after_sweep = 0;
	uint64_t after_all = 0;
	struct err err;

	f->base = event_base_new();
	assert_int_equal(db_start(f->db, f->base, &config, &err), 0);
	store_totals(sweep, "u", &seen);
	store_totals(end, "u", &last);
	store_totals(more, "u", &same);
	db_commit(f->db, end, succeeded, NULL);
	db_commit(f->db, sweep, succeeded, NULL);
	/* In the order of the commits, which reads are not bound to. */
	db_change(f->db, read_cpu, succeeded, &after_sweep);
	db_commit(f->db, more, succeeded, NULL);
	db_change(f->db, read_cpu, succeeded, &after_all);
	db_stop(f->db);
	assert_int_equal(after_sweep, 900);
	assert_int_equal(after_all, 901);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_sweep_that_began_before_an_end, lab_make, lab_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

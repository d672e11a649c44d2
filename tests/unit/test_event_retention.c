/* server/event_retention.h: who loses events, who keeps them, and what is known of the lost. */
#include "server/event_retention.h"

#include "server/events.h"
#include "tests/unit/unit.h"
#include "tests/unit/unit_db.h"

#include <event2/event.h>
#include <string.h>
#include <unistd.h>

struct fixture {
	char dir[64];
	char path[96];
	struct event_base *base;
	struct db *db;
	struct model model;
	struct tenant *loud;
	struct tenant *calm;
	struct db_tx *tx;
};

static struct tenant *add_tenant(struct fixture *f, const char *name)
{
	struct tenant *t = model_add_tenant(&f->model, name);

	assert_non_null(t);
	snprintf(t->uid, sizeof(t->uid), "uid-of-%s", name);
	return t;
}

static void open_db(struct fixture *f)
{
	struct err err;

	if (db_open(f->path, &f->db, &err) < 0)
		fail_msg("%s", err.msg);
}

static int make(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/croft-test-events-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/croft.db", f->dir);
	f->base = event_base_new();
	f->loud = add_tenant(f, "loud");
	f->calm = add_tenant(f, "calm");
	open_db(f);
	*state = f;
	return 0;
}

static int drop(void **state)
{
	struct fixture *f = *state;

	db_close(f->db);
	model_finish(&f->model);
	event_base_free(f->base);
	unit_remove_db(f->dir, f->path);
	free(f);
	return 0;
}

static void on_commit(void *arg, const struct err *err)
{
	if (err)
		fail_msg("%s", err->msg);
	*(bool *)arg = true;
}

/* Carries a transaction out, and gives the connection back to the test. */
static void commit(struct fixture *f, struct db_tx *tx)
{
	struct db_config config = {0};
	bool done = false;
	struct err err;

	assert_int_equal(db_start(f->db, f->base, &config, &err), 0);
	db_commit(f->db, tx, on_commit, &done);
	db_close(f->db);
	assert_true(done);
	open_db(f);
}

static void add(struct db_tx *tx, const struct tenant *t, const char *type, unsigned n)
{
	while (n--)
		events_add_tenant(tx, t, type, "{}", "it happened");
}

static int take(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(int64_t *)arg = sqlite3_column_int64(row, 0);
	return 0;
}

static int64_t ask(struct fixture *f, const char *sql)
{
	int64_t n = -1;
	struct err err;

	if (db_query(f->db, sql, take, &n, &err, "") < 0)
		fail_msg("%s", err.msg);
	return n;
}

/* Drops until nothing is left to be dropped. Returns how often. */
static unsigned settle(struct fixture *f, uint64_t max, int64_t before)
{
	for (unsigned n = 0;; n++) {
		struct event_drop what;
		struct db_tx *tx;
		struct err err;

		assert_true(n < 1000);
		assert_int_equal(event_retention_choose(f->db, max, before, &what, &err), 0);
		if (!what.n && !what.through)
			return n;
		tx = db_tx_new();
		event_retention_drop(tx, &what);
		commit(f, tx);
	}
}

/* The counts and bounds on record are those of the rows. */
static void check_lanes(struct fixture *f)
{
	assert_int_equal(ask(f, "SELECT count(*) FROM event_lanes AS l WHERE n <> (SELECT "
				"count(*) FROM events AS e WHERE e.lane = l.lane)"),
		0);
	assert_int_equal(
		ask(f, "SELECT sum(n) FROM event_lanes"), ask(f, "SELECT count(*) FROM events"));
	assert_int_equal(ask(f, "SELECT count(*) FROM events AS e JOIN event_lanes AS l"
				" ON e.lane = l.lane WHERE e.number <= l.dropped"),
		0);
}

static void the_loud_one_loses_its_own(void **state)
{
	struct fixture *f = *state;
	struct db_tx *tx = db_tx_new();

	add(tx, f->calm, "container.started", 40);
	add(tx, f->loud, "tenant.suspended", 3);
	add(tx, f->loud, "container.pids_denied", 1500);
	add(tx, f->calm, "container.ended", 10);
	events_add_host(tx, "plan.created", "{}", "a plan");
	commit(f, tx);
	check_lanes(f);
	assert_int_equal(settle(f, 2000, 0), 0);
	/* Control: were it merely the oldest that go, the calm one would lose most of what it has.
	 */
	assert_int_equal(
		ask(f, "SELECT count(*) FROM events WHERE tenant = 'calm' AND number"
		       " NOT IN (SELECT number FROM events ORDER BY number DESC LIMIT 100)"),
		40);
	assert_true(settle(f, 100, 0) > 2);
	check_lanes(f);
	assert_int_equal(ask(f, "SELECT count(*) FROM events"), 100);
	/* The youngest of the loud one are left; nobody else lost any, nor it what was done to it.
	 */
	assert_int_equal(ask(f, "SELECT count(*) FROM events WHERE tenant = 'calm'"), 50);
	assert_int_equal(ask(f, "SELECT count(*) FROM events WHERE type = 'tenant.suspended'"), 3);
	assert_int_equal(ask(f, "SELECT count(*) FROM events WHERE type = 'plan.created'"), 1);
	assert_int_equal(ask(f, "SELECT min(number) FROM events"
				" WHERE type = 'container.pids_denied'"),
		40 + 3 + 1500 - 46 + 1);
	assert_int_equal(ask(f, "SELECT dropped FROM event_lanes WHERE lane = 'uid-of-loud'"),
		40 + 3 + 1500 - 46);
	assert_int_equal(
		ask(f, "SELECT max(dropped) FROM event_lanes WHERE lane <> 'uid-of-loud'"), 0);
}

static void two_loud_ones_share(void **state)
{
	struct fixture *f = *state;
	struct db_tx *tx = db_tx_new();

	add(tx, f->loud, "container.oom", 900);
	add(tx, f->calm, "container.oom", 700);
	commit(f, tx);
	settle(f, 400, 0);
	check_lanes(f);
	assert_int_equal(ask(f, "SELECT count(*) FROM events"), 400);
	assert_in_range(ask(f, "SELECT count(*) FROM events WHERE tenant = 'calm'"), 168, 232);
}

static void the_old_go_and_numbers_go_on(void **state)
{
	struct fixture *f = *state;
	struct db_tx *tx = db_tx_new();

	add(tx, f->loud, "container.oom", 30);
	add(tx, f->calm, "container.oom", 30);
	db_tx_write(tx, "UPDATE events SET wall = number * 1000", "");
	commit(f, tx);
	settle(f, 1000, 10001);
	check_lanes(f);
	assert_int_equal(ask(f, "SELECT min(number) FROM events"), 11);
	assert_int_equal(ask(f, "SELECT max(dropped) FROM event_lanes"), 10);
	/* All of them are too old: the highest number stays, and the next is one more. */
	settle(f, 1000, 1000000);
	assert_int_equal(ask(f, "SELECT count(*) FROM events"), 1);
	tx = db_tx_new();
	add(tx, f->loud, "container.oom", 1);
	commit(f, tx);
	assert_int_equal(ask(f, "SELECT max(number) FROM events"), 61);
	check_lanes(f);
}

static void an_operators_acts_are_apart(void **state)
{
	struct fixture *f = *state;
	struct db_tx *tx = db_tx_new();

	add(tx, f->loud, "container.updated", 1);
	db_tx_set_actor(tx, &(struct actor){.name = "uid:1000"});
	commit(f, tx);
	tx = db_tx_new();
	db_tx_set_actor(tx, &(struct actor){.name = "uid:0", .is_operator = true});
	add(tx, f->loud, "container.updated", 2);
	events_add_host(tx, "plan.created", "{}", "a plan");
	commit(f, tx);
	check_lanes(f);
	assert_int_equal(ask(f, "SELECT n FROM event_lanes WHERE lane = 'uid-of-loud'"), 1);
	assert_int_equal(ask(f, "SELECT n FROM event_lanes WHERE lane = 'uid-of-loud!'"), 2);
	assert_int_equal(ask(f, "SELECT n FROM event_lanes WHERE lane = ''"), 1);
	assert_int_equal(ask(f, "SELECT count(*) FROM events WHERE actor = 'uid:0'"), 3);
	assert_int_equal(ask(f, "SELECT sum(by_operator) FROM events WHERE actor <> 'uid:0'"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_loud_one_loses_its_own, make, drop),
		cmocka_unit_test_setup_teardown(two_loud_ones_share, make, drop),
		cmocka_unit_test_setup_teardown(the_old_go_and_numbers_go_on, make, drop),
		cmocka_unit_test_setup_teardown(an_operators_acts_are_apart, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* server/request_ids.h: what is carried out once, what waits, what is refused, what is forgotten.
 */
#include "server/request_ids.h"

#include "tests/unit/unit.h"
#include "tests/unit/unit_db.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <unistd.h>

#define HOUR (3600 * INT64_C(1000000))

static int begin(struct request_table *table, const char *caller, const char *id,
	const char *content, int64_t now, struct request_entry **entry, enum request_state *state,
	struct err *err)
{
	return request_begin(
		table, caller, "/S/M", id, content, strlen(content), now, entry, state, err);
}

struct outcome {
	int calls;
	bool failed;
	char reply[16];
	struct request_entry *entry;
};

static void note(void *arg, const struct err *err)
{
	struct outcome *o = arg;
	size_t size;
	const uint8_t *reply = request_reply(o->entry, &size);

	o->calls++;
	o->failed = err;
	if (!err)
		memcpy(o->reply, reply, size);
}

static void a_second_waits_for_the_first(void **state)
{
	struct request_table *table = request_table_create();
	struct outcome outcome = {0};
	enum request_state what;
	struct request_entry *entry;
	struct err err;

	(void)state;
	assert_int_equal(begin(table, "uid:1", "r1", "x", 0, &entry, &what, &err), 0);
	assert_int_equal(what, REQUEST_NEW);
	assert_int_equal(begin(table, "uid:1", "r1", "x", 0, &outcome.entry, &what, &err), 0);
	assert_int_equal(what, REQUEST_RUNNING);
	assert_int_equal(request_wait(outcome.entry, note, &outcome, &err), 0);
	assert_int_equal(outcome.calls, 0);
	request_finish(table, entry, (const uint8_t *)"done", 5, true, NULL);
	assert_int_equal(outcome.calls, 1);
	assert_false(outcome.failed);
	assert_string_equal(outcome.reply, "done");
	assert_int_equal(begin(table, "uid:1", "r1", "x", 0, &entry, &what, &err), 0);
	assert_int_equal(what, REQUEST_DONE);
	request_table_destroy(table);
}

static void a_failure_is_not_kept(void **state)
{
	struct request_table *table = request_table_create();
	struct outcome outcome = {0};
	enum request_state what;
	struct request_entry *entry;
	struct err err;

	(void)state;
	begin(table, "uid:1", "r1", "x", 0, &entry, &what, &err);
	begin(table, "uid:1", "r1", "x", 0, &outcome.entry, &what, &err);
	request_wait(outcome.entry, note, &outcome, &err);
	err_set(&err, ERR_UNAVAILABLE, "GONE", "gone");
	request_finish(table, entry, NULL, 0, false, &err);
	assert_int_equal(outcome.calls, 1);
	assert_true(outcome.failed);
	assert_int_equal(begin(table, "uid:1", "r1", "other", 0, &entry, &what, &err), 0);
	assert_int_equal(what, REQUEST_NEW);
	request_table_destroy(table);
}

static void a_reply_that_is_not_stored_is_given_once(void **state)
{
	struct request_table *table = request_table_create();
	struct outcome outcome = {0};
	enum request_state what;
	struct request_entry *entry;
	struct err err;

	(void)state;
	begin(table, "uid:1", "r1", "x", 0, &entry, &what, &err);
	begin(table, "uid:1", "r1", "x", 0, &outcome.entry, &what, &err);
	request_wait(outcome.entry, note, &outcome, &err);
	request_finish(table, entry, (const uint8_t *)"done", 5, false, NULL);
	assert_false(outcome.failed);
	assert_string_equal(outcome.reply, "done");
	begin(table, "uid:1", "r1", "x", 0, &entry, &what, &err);
	assert_int_equal(what, REQUEST_NEW);
	request_table_destroy(table);
}

static void the_same_id_for_another_content_is_refused(void **state)
{
	struct request_table *table = request_table_create();
	enum request_state what;
	struct request_entry *entry;
	struct err err;

	(void)state;
	begin(table, "uid:1", "r1", "x", 0, &entry, &what, &err);
	assert_int_equal(begin(table, "uid:1", "r1", "y", 0, &entry, &what, &err), -EINVAL);
	assert_string_equal(err.reason, "REQUEST_ID_REUSED");
	/* Another caller, or another method, is another request. */
	assert_int_equal(begin(table, "uid:2", "r1", "y", 0, &entry, &what, &err), 0);
	assert_int_equal(what, REQUEST_NEW);
	assert_int_equal(
		request_begin(table, "uid:1", "/S/N", "r1", "y", 1, 0, &entry, &what, &err), 0);
	assert_int_equal(what, REQUEST_NEW);
	request_table_destroy(table);
}

static void bad_ids_are_refused(void **state)
{
	static const char *const ids[] = {"", " ", "a b", "a\n", "\xc3\xa4",
		"12345678901234567890123456789012345678901234567890123456789012345"};
	struct request_table *table = request_table_create();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		enum request_state what;
		struct request_entry *entry;
		struct err err;

		if (begin(table, "uid:1", ids[i], "x", 0, &entry, &what, &err) != -EINVAL)
			fail_msg("\"%s\" was taken", ids[i]);
		assert_string_equal(err.reason, "REQUEST_ID_INVALID");
	}
	request_table_destroy(table);
}

static void add_done(struct request_table *table, const char *caller, unsigned n)
{
	struct request_entry *entry;
	enum request_state what;
	char id[16];
	struct err err;

	snprintf(id, sizeof(id), "%u", n);
	assert_int_equal(begin(table, caller, id, "x", 0, &entry, &what, &err), 0);
	assert_int_equal(what, REQUEST_NEW);
	request_finish(table, entry, (const uint8_t *)"r", 1, true, NULL);
}

static void one_caller_cannot_push_out_anothers(void **state)
{
	struct request_table *table = request_table_create();
	struct request_entry *entry;
	enum request_state what;
	struct err err;

	(void)state;
	add_done(table, "uid:2", 0);
	for (unsigned i = 0; i <= REQUESTS_PER_CALLER; i++)
		add_done(table, "uid:1", i);
	assert_int_equal(begin(table, "uid:2", "0", "x", 0, &entry, &what, &err), 0);
	assert_int_equal(what, REQUEST_DONE);
	/* Its own oldest is forgotten, the others are kept. */
	assert_int_equal(begin(table, "uid:1", "1", "x", 0, &entry, &what, &err), 0);
	assert_int_equal(what, REQUEST_DONE);
	assert_int_equal(begin(table, "uid:1", "0", "x", 0, &entry, &what, &err), 0);
	assert_int_equal(what, REQUEST_NEW);
	request_table_destroy(table);
}

/* Two at once, each in an older one's place: the one whose transaction is refused gives it back. */
static void a_failure_pushes_out_nothing(void **state)
{
	struct request_table *table = request_table_create();
	struct request_entry *good;
	struct request_entry *bad;
	struct request_entry *entry;
	enum request_state what;
	struct err err;

	(void)state;
	for (unsigned i = 0; i < REQUESTS_PER_CALLER; i++)
		add_done(table, "uid:1", i);
	begin(table, "uid:1", "bad", "x", 0, &bad, &what, &err);
	begin(table, "uid:1", "good", "x", 0, &good, &what, &err);
	err_set(&err, ERR_ABORTED, "STATE_CHANGED", "refused");
	request_finish(table, bad, NULL, 0, false, &err);
	request_finish(table, good, (const uint8_t *)"r", 1, true, NULL);
	begin(table, "uid:1", "0", "x", 0, &entry, &what, &err);
	assert_int_equal(what, REQUEST_DONE);
	begin(table, "uid:1", "1", "x", 0, &entry, &what, &err);
	assert_int_equal(what, REQUEST_NEW);
	request_table_destroy(table);
}

static void old_ones_expire(void **state)
{
	struct request_table *table = request_table_create();
	struct request_entry *running;
	struct request_entry *entry;
	enum request_state what;
	struct db_tx *tx = db_tx_new();
	struct err err;

	(void)state;
	add_done(table, "uid:1", 1);
	begin(table, "uid:1", "running", "x", 0, &running, &what, &err);
	request_expire(table, tx, 23 * HOUR);
	begin(table, "uid:1", "1", "x", 0, &entry, &what, &err);
	assert_int_equal(what, REQUEST_DONE);
	request_expire(table, tx, 25 * HOUR);
	begin(table, "uid:1", "running", "x", 0, &entry, &what, &err);
	assert_int_equal(what, REQUEST_RUNNING);
	begin(table, "uid:1", "1", "x", 25 * HOUR, &entry, &what, &err);
	assert_int_equal(what, REQUEST_NEW);
	db_tx_free(tx);
	request_table_destroy(table);
}

/* --- on record --- */

struct record {
	char dir[64];
	char path[96];
	struct event_base *base;
	struct db *db;
	struct request_table *table;
};

static int make_record(void **state)
{
	struct record *rec = calloc(1, sizeof(*rec));
	struct db_config config = {0};
	struct err err;

	strcpy(rec->dir, "/tmp/croft-test-requests-XXXXXX");
	if (!mkdtemp(rec->dir))
		return -1;
	snprintf(rec->path, sizeof(rec->path), "%s/croft.db", rec->dir);
	rec->base = event_base_new();
	rec->table = request_table_create();
	*state = rec;
	return db_open(rec->path, &rec->db, &err) < 0 ||
	       db_start(rec->db, rec->base, &config, &err) < 0;
}

static int drop_record(void **state)
{
	struct record *rec = *state;

	request_table_destroy(rec->table);
	db_close(rec->db);
	event_base_free(rec->base);
	unit_remove_db(rec->dir, rec->path);
	free(rec);
	return 0;
}

/* One that is carried out, or whose transaction is refused in the end. */
static void add_stored(struct record *rec, const char *id, int64_t now, bool is_refused)
{
	struct db_tx *tx = db_tx_new();
	struct request_entry *entry;
	enum request_state what;
	struct err err;

	assert_int_equal(begin(rec->table, "uid:1", id, "x", now, &entry, &what, &err), 0);
	assert_int_equal(what, REQUEST_NEW);
	request_store(tx, entry, (const uint8_t *)"r", 1);
	if (is_refused) {
		db_tx_free(tx);
		err_set(&err, ERR_ABORTED, "STATE_CHANGED", "refused");
		request_finish(rec->table, entry, NULL, 0, false, &err);
		return;
	}
	db_commit(rec->db, tx, NULL, NULL);
	request_finish(rec->table, entry, (const uint8_t *)"r", 1, true, NULL);
}

static int take_number(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(int64_t *)arg = sqlite3_column_int64(row, 0);
	return 0;
}

static void is_known(
	struct request_table *table, unsigned n, int64_t now, enum request_state expected)
{
	struct request_entry *entry;
	enum request_state what;
	struct err err;
	char id[16];

	snprintf(id, sizeof(id), "%u", n);
	assert_int_equal(begin(table, "uid:1", id, "x", now, &entry, &what, &err), 0);
	assert_int_equal(what, expected);
}

/* As many rows as are remembered, and a croftd that is started again remembers the same. */
static void what_is_forgotten_leaves_no_row(void **state)
{
	const unsigned others = 16;
	const unsigned n = REQUESTS_PER_CALLER + others;
	struct request_table *loaded = request_table_create();
	struct record *rec = *state;
	int64_t rows = 0;
	struct err err;
	char id[16];

	for (unsigned i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "%u", i);
		add_stored(rec, id, i, false);
		add_stored(rec, "refused", i, true);
	}
	db_stop(rec->db);
	assert_int_equal(
		db_query(rec->db, "SELECT count(*) FROM requests", take_number, &rows, &err, ""),
		0);
	assert_int_equal(rows, REQUESTS_PER_CALLER);
	assert_int_equal(request_table_load(loaded, rec->db, &err), 0);
	is_known(rec->table, n - 1, n, REQUEST_DONE);
	is_known(rec->table, others, n, REQUEST_DONE);
	is_known(rec->table, others - 1, n, REQUEST_NEW);
	is_known(loaded, n - 1, n, REQUEST_DONE);
	is_known(loaded, others, n, REQUEST_DONE);
	is_known(loaded, others - 1, n, REQUEST_NEW);
	request_table_destroy(loaded);
}

static void waiters_hear_of_the_end(void **state)
{
	struct request_table *table = request_table_create();
	struct outcome outcome = {0};
	enum request_state what;
	struct err err;

	(void)state;
	begin(table, "uid:1", "r1", "x", 0, &outcome.entry, &what, &err);
	request_wait(outcome.entry, note, &outcome, &err);
	request_table_destroy(table);
	assert_int_equal(outcome.calls, 1);
	assert_true(outcome.failed);
}

/* A launch, whose rows were committed before its init could not be executed. */
static void what_fails_after_it_was_stored_leaves_no_row(void **state)
{
	const unsigned n = REQUESTS_PER_CALLER;
	struct request_table *loaded = request_table_create();
	struct record *rec = *state;
	struct request_entry *entry;
	struct db_tx *tx;
	enum request_state what;
	int64_t rows = 0;
	struct err err;
	char id[16];

	for (unsigned i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "%u", i);
		add_stored(rec, id, i, false);
	}
	snprintf(id, sizeof(id), "%u", n);
	assert_int_equal(begin(rec->table, "uid:1", id, "x", n, &entry, &what, &err), 0);
	tx = db_tx_new();
	request_store(tx, entry, (const uint8_t *)"r", 1);
	db_commit(rec->db, tx, NULL, NULL);
	tx = db_tx_new();
	request_take_back(tx, entry);
	db_commit(rec->db, tx, NULL, NULL);
	err_set(&err, ERR_FAILED_PRECONDITION, "INIT_NOT_EXECUTED", "there is none");
	request_finish(rec->table, entry, NULL, 0, true, &err);
	db_stop(rec->db);
	assert_int_equal(
		db_query(rec->db, "SELECT count(*) FROM requests", take_number, &rows, &err, ""),
		0);
	assert_int_equal(rows, n - 1);
	assert_int_equal(request_table_load(loaded, rec->db, &err), 0);
	/* It took the place of the oldest, which is forgotten by both. */
	is_known(rec->table, 1, n, REQUEST_DONE);
	is_known(loaded, 1, n, REQUEST_DONE);
	is_known(rec->table, 0, n, REQUEST_NEW);
	is_known(loaded, 0, n, REQUEST_NEW);
	is_known(rec->table, n, n, REQUEST_NEW);
	is_known(loaded, n, n, REQUEST_NEW);
	request_table_destroy(loaded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_waits_for_the_first),
		cmocka_unit_test(a_failure_is_not_kept),
		cmocka_unit_test(a_reply_that_is_not_stored_is_given_once),
		cmocka_unit_test(the_same_id_for_another_content_is_refused),
		cmocka_unit_test(bad_ids_are_refused),
		cmocka_unit_test(one_caller_cannot_push_out_anothers),
		cmocka_unit_test(a_failure_pushes_out_nothing),
		cmocka_unit_test(old_ones_expire),
		cmocka_unit_test_setup_teardown(
			what_is_forgotten_leaves_no_row, make_record, drop_record),
		cmocka_unit_test_setup_teardown(
			what_fails_after_it_was_stored_leaves_no_row, make_record, drop_record),
		cmocka_unit_test(waiters_hear_of_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

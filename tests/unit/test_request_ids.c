/* server/request_ids.h: what is carried out once, what waits, what is refused, what is forgotten.
 */
#include "server/request_ids.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_waits_for_the_first),
		cmocka_unit_test(a_failure_is_not_kept),
		cmocka_unit_test(a_reply_that_is_not_stored_is_given_once),
		cmocka_unit_test(the_same_id_for_another_content_is_refused),
		cmocka_unit_test(bad_ids_are_refused),
		cmocka_unit_test(one_caller_cannot_push_out_anothers),
		cmocka_unit_test(old_ones_expire),
		cmocka_unit_test(waiters_hear_of_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

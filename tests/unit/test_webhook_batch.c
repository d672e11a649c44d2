/* server/webhook_batch.h: what is posted of the ledger is JSON whatever is in it. */
#include "server/webhook_batch.h"

#include "tests/unit/ledger_lab.h"
#include "tests/unit/unit.h"

#include <jansson.h>
#include <stdlib.h>

static struct webhook_batch read_batch(struct fixture *f)
{
	struct webhook_batch batch = {.feed = {.source = WEBHOOK_USAGE}, .webhook_uid = "u"};
	struct err err;

	assert_int_equal(webhook_batch_read(f->db, &batch, &err), 0);
	return batch;
}

static size_t records_in(const struct webhook_batch *batch)
{
	json_t *array = json_loadb(batch->body, batch->size, 0, NULL);
	size_t n = json_array_size(array);

	assert_true(json_is_array(array));
	json_decref(array);
	return n;
}

static void closed_hours_have_records(void **state)
{
	struct fixture *f = *state;
	struct webhook_batch batch;

	lab_add_run(f, 1, 100);
	lab_add_samples(f, 1, 1, 110, 2 * 3600);
	lab_close_until(f, EPOCH + HOUR, false);
	batch = read_batch(f);
	assert_int_equal(batch.kind, WEBHOOK_BATCH_FULL);
	assert_true(records_in(&batch) > 0);
	free(batch.body);
}

/* Something is held of which nothing could be measured: a message without a record goes by. */
static void hours_without_a_meter_are_an_empty_array(void **state)
{
	struct fixture *f = *state;
	struct webhook_batch batch;
	struct err err;

	lab_run_sql(f, "INSERT INTO runs (key, id, tenant_uid, tenant, account_ref, container_uid, "
		       "container,"
		       " boot_id, start_boot, start_wall, kind) SELECT 1, 'held', '" TENANT
		       "', 'acme', '',"
		       " '', '', 'this-boot', 5000000000, 490000 * 3600000000, 2");
	lab_run_sql(f, "INSERT INTO ledger_terms (key, tenant_uid, container_uid, boot_id, boot, "
		       "wall, plan,"
		       " account_ref, limits) VALUES (1, '" TENANT "', '', 'this-boot', 5000000000,"
		       " 490000 * 3600000000, '', '', '')");
	lab_run_sql(f,
		"INSERT INTO ledger_open (run, hour_end, window_start, boot, sequence, "
		"net_sequence,"
		" io_sequence, terms, carry) SELECT key, start_wall + 3600000000, start_wall,"
		" start_boot, 0, 0, 0, 1, x'' FROM runs WHERE key = 1");
	for (int i = 1; i < 400; i++)
		assert_int_equal(
			db_query(f->db,
				"INSERT INTO samples (run, sequence, boot, wall, ids, packed)"
				" VALUES (1, ?1, ?2, ?3, 0, x'01')",
				NULL, NULL, &err, "uii", (uint64_t)i, BOOT + i * 30 * SECOND,
				EPOCH + i * 30 * SECOND),
			0);
	lab_close_until(f, EPOCH + 2 * HOUR, false);
	assert_true(lab_entries_of(f, 1).n > 0);
	batch = read_batch(f);
	assert_int_equal(batch.kind, WEBHOOK_BATCH_FULL);
	assert_int_equal(records_in(&batch), 0);
	free(batch.body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(closed_hours_have_records, lab_make, lab_drop),
		cmocka_unit_test_setup_teardown(
			hours_without_a_meter_are_an_empty_array, lab_make, lab_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

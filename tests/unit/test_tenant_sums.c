/* server/tenant_sums.h: a period's sums of every tenant, and how little is kept for them. */
#include "server/tenant_sums.h"

#include "tests/unit/ledger_lab.h"
#include "tests/unit/unit.h"

#include <string.h>

#define TENANTS	   5
#define HOURS	   30
#define CLOSED	   27
#define OPEN_HOURS (HOURS - CLOSED)
#define LATE	   (TENANTS - 1) /* came when what is closed was */

static void uid_of(unsigned tenant, char out[static UID_SIZE])
{
	snprintf(out, UID_SIZE, "%032u", tenant + 1);
}

static int64_t begin_of(unsigned tenant)
{
	return tenant == LATE ? CLOSED * 3600 + 60 : 60;
}

/* Two containers each, a sample in so many seconds, and another rate each hour. */
static void make_history(struct fixture *f, int64_t every)
{
	f->has_net = true;
	lab_run_sql(f, "BEGIN");
	for (uint64_t run = 1; run <= TENANTS * 2; run++) {
		unsigned tenant = (unsigned)(run % TENANTS);
		int64_t second = begin_of(tenant);
		char name[NAME_SIZE];
		char uid[UID_SIZE];
		uint64_t total = 0;

		uid_of(tenant, uid);
		snprintf(name, sizeof(name), "tenant-%u", tenant);
		lab_add_run_of(f, run, uid, name, second);
		for (uint64_t sequence = 0; second < HOURS * 3600; sequence++, second += every) {
			lab_add_sample(f, run, sequence, second, total);
			total += run * 1000000 + (uint64_t)(second / 3600 * 7919) % 1000 * 10000;
		}
	}
	lab_run_sql(f, "COMMIT");
}

static struct export_cursor period(void)
{
	return (struct export_cursor){.from_wall_usec = EPOCH,
		.to_wall_usec = EPOCH + (HOURS + 1) * HOUR,
		.gap_usec = 31 * SECOND};
}

/* Those of one tenant, as they are read for SummarizeUsage. */
static void sum_one(struct fixture *f, unsigned tenant, struct usage_sums *ret)
{
	struct export_cursor cursor = period();
	size_t hours = 0;
	struct err err;

	memset(ret, 0, sizeof(*ret));
	uid_of(tenant, cursor.tenant_uid);
	while (cursor.phase != EXPORT_DONE) {
		assert_int_equal(export_step(f->db, &cursor, &err), 0);
		for (size_t i = 0; i < cursor.n_items; i++)
			assert_int_equal(usage_sums_add(ret, &cursor.items[i], &hours, &err), 0);
	}
	usage_sums_rank(ret, &cursor, &hours);
	export_cursor_finish(&cursor);
}

/* Reads all; before the one step more is closed. Returns the most hours that were kept. */
static size_t sum_all(
	struct fixture *f, unsigned the_step, int64_t due_usec, struct tenant_sums *ret)
{
	struct export_cursor cursor = period();
	size_t most = 0;
	struct err err;

	memset(ret, 0, sizeof(*ret));
	cursor.closed_last = true;
	for (unsigned step = 1; !tenant_sums_is_done(ret, &cursor); step++) {
		if (step == the_step)
			assert_true(lab_close_until(f, due_usec, false) > 0);
		assert_int_equal(tenant_sums_step(f->db, ret, &cursor, &err), 0);
		most = ret->hours > most ? ret->hours : most;
	}
	export_cursor_finish(&cursor);
	return most;
}

static void assert_sums(const struct tenant_sums *all, const struct usage_sums *want)
{
	const struct sums_of_tenant *of = NULL;
	char uid[UID_SIZE] = "";
	char name[NAME_SIZE];

	for (unsigned tenant = 0; tenant < TENANTS; tenant++) {
		of = tenant_sums_behind(all, uid);
		assert_non_null(of);
		uid_of(tenant, uid);
		snprintf(name, sizeof(name), "tenant-%u", tenant);
		assert_string_equal(of->uid, uid);
		assert_string_equal(of->name, name);
		assert_string_equal(of->account_ref, "customer 7");
		assert_int_equal(of->sums.windows, want[tenant].windows);
		assert_int_equal(of->sums.present, want[tenant].present);
		assert_true(of->sums.p95 > 0);
		assert_int_equal(of->sums.p95, want[tenant].p95);
		assert_memory_equal(
			of->sums.quantity, want[tenant].quantity, sizeof(want[tenant].quantity));
	}
	assert_null(tenant_sums_behind(all, uid));
}

/* Of the five tenants one's closed hours are kept at a time, not all of them. */
static void all_tenants_have_what_each_has(void **state)
{
	struct fixture *f = *state;
	struct usage_sums want[TENANTS];
	struct tenant_sums all;

	make_history(f, 10);
	lab_close_until(f, EPOCH + CLOSED * HOUR, false);
	for (unsigned tenant = 0; tenant < TENANTS; tenant++)
		sum_one(f, tenant, &want[tenant]);
	assert_int_equal(sum_all(f, 0, 0, &all), CLOSED + TENANTS * OPEN_HOURS);
	assert_sums(&all, want);
	tenant_sums_finish(&all);
}

/* One step reads what is open of several tenants, the first one too. */
static void a_first_step_of_several_tenants_is_of_what_is_open(void **state)
{
	struct fixture *f = *state;
	struct usage_sums want[TENANTS];
	struct tenant_sums all;

	make_history(f, 300);
	lab_close_until(f, EPOCH + CLOSED * HOUR, false);
	for (unsigned tenant = 0; tenant < TENANTS; tenant++)
		sum_one(f, tenant, &want[tenant]);
	sum_all(f, 0, 0, &all);
	assert_sums(&all, want);
	tenant_sums_finish(&all);
}

/* Whether it was looked at before, or is looked at later. */
static void what_is_closed_meanwhile_is_there_once(void **state)
{
	struct fixture *f = *state;
	struct usage_sums want[TENANTS];
	struct tenant_sums all;

	make_history(f, 10);
	for (unsigned tenant = 0; tenant < TENANTS; tenant++)
		sum_one(f, tenant, &want[tenant]);
	/* All 30 hours are open at first. */
	for (unsigned step = 1; step <= 15; step++) {
		sum_all(f, step, step < 15 ? EPOCH + 2 * step * HOUR : FOREVER, &all);
		assert_sums(&all, want);
		tenant_sums_finish(&all);
	}
}

/* A period without a percentile keeps nothing for it. */
static void without_a_percentile_nothing_is_kept(void **state)
{
	struct export_cursor cursor = {
		.to_wall_usec = EPOCH + HOURS * HOUR, .gap_usec = 31 * SECOND, .closed_last = true};
	struct tenant_sums all = {.hours = 0};
	struct fixture *f = *state;
	struct err err;

	make_history(f, 10);
	lab_close_until(f, EPOCH + CLOSED * HOUR, false);
	while (!tenant_sums_is_done(&all, &cursor)) {
		assert_int_equal(tenant_sums_step(f->db, &all, &cursor, &err), 0);
		assert_int_equal(all.hours, 0);
	}
	assert_int_equal(all.tenants.n, TENANTS);
	tenant_sums_finish(&all);
	export_cursor_finish(&cursor);
}

int main(void)
{
#define ON_DATABASE(test) cmocka_unit_test_setup_teardown(test, lab_make, lab_drop)
	const struct CMUnitTest tests[] = {
		ON_DATABASE(all_tenants_have_what_each_has),
		ON_DATABASE(a_first_step_of_several_tenants_is_of_what_is_open),
		ON_DATABASE(what_is_closed_meanwhile_is_there_once),
		ON_DATABASE(without_a_percentile_nothing_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Figures of a ledger of many tenants over a long time, made here: one container each, a record of
 * each hour and meter. How long closing, an export of one month, its sums and the proof of one
 * tenant take, and how much room it needs. test_ledger_year.py holds a tenth of it against what was
 * made.
 *
 * The first tenants' hours are closed as croftd closes them, one by one, and one of those is
 * proven. The others' are copied from theirs, hour by hour, by SQL: rows of the same size in the
 * same order, whose hashes are no chain. That takes minutes, where closing them all would take an
 * hour.
 *
 * usage: ledger_year FILE TENANTS HOURS
 */
#include "server/ledger_entries.h"
#include "server/ledger_verify.h"
#include "server/tenant_sums.h"

#include "base/cleanup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define EPOCH	    (INT64_C(490896) * LEDGER_HOUR_USEC) /* 2026-01-01 */
#define BOOT	    UINT64_C(1000000000)
#define COMMIT_EACH 10000u
#define MONTH_HOURS 730
#define CLOSED_MAX  16u	 /* tenants whose hours are closed as croftd does */
#define RUN_METERS  21u	 /* those of any run with a network, and its percentile */
#define WINDOW_ROOM 1000 /* bytes of disk, with indexes and the log before them */

struct bench {
	struct db *db;
	uint64_t tenants;
	uint64_t closed; /* of them */
	uint64_t hours;
};

static void check(int r, const struct err *err)
{
	if (r >= 0)
		return;
	fprintf(stderr, "ledger_year: %s\n", err->msg);
	exit(1);
}

static void sql(const struct bench *b, const char *text)
{
	struct err err;

	check(db_query(b->db, text, NULL, NULL, &err, ""), &err);
}

static void uid_of(uint64_t tenant, char out[static UID_SIZE])
{
	snprintf(out, UID_SIZE, "%032" PRIx64, tenant);
}

static void add_run(const struct bench *b, uint64_t tenant)
{
	char uid[UID_SIZE];
	char name[NAME_SIZE];
	struct err err;

	uid_of(tenant, uid);
	snprintf(name, sizeof(name), "tenant-%" PRIu64, tenant);
	check(db_query(b->db,
		      "INSERT INTO runs (key, id, tenant_uid, tenant, account_ref, container_uid,"
		      " container, boot_id, start_boot, start_wall) VALUES (?1, ?2, ?2, ?3, ?3, ?2,"
		      " 'web', '01234567-89ab-cdef-0123-456789abcdef', ?4, ?5)",
		      NULL, NULL, &err, "ussui", tenant, uid, name, BOOT, EPOCH),
		&err);
}

/* Up to some 20 Mbit/s in each five minutes, another each time. */
static void fill_burst(struct ledger_figures *figures, uint64_t seed)
{
	for (size_t way = 0; way < BURST_WAYS; way++)
		for (size_t slot = 0; slot < BURST_SLOTS; slot++)
			figures->slots.bytes[way][slot] = (seed + way * 31337 + slot) *
							  UINT64_C(2654435761) % 750000000;
	for (size_t m = 0; m < LEDGER_METERS; m++)
		if (ledger_meter_is_burst(m)) {
			figures->present |= ledger_bit(m);
			figures->quantity[m] = burst_highest(&figures->slots);
		}
}

/* An hour of a container that does something: every figure differs, and counters go on. */
static struct ledger_entry make_entry(uint64_t tenant, uint64_t hour)
{
	struct ledger_entry e = {.run = tenant,
		.window_start_usec = EPOCH + (int64_t)hour * LEDGER_HOUR_USEC,
		.window_end_usec = EPOCH + (int64_t)(hour + 1) * LEDGER_HOUR_USEC,
		.from_boot_usec = BOOT + hour * LEDGER_HOUR_USEC,
		.to_boot_usec = BOOT + (hour + 1) * LEDGER_HOUR_USEC,
		.gap_usec = 31000000,
		.sequence = (hour + 1) * 360,
		.figures = {.present = ledger_bit(RUN_METERS) - 1, .samples = 360}};

	uid_of(tenant, e.tenant_uid);
	snprintf(e.tenant, sizeof(e.tenant), "tenant-%" PRIu64, tenant);
	memcpy(e.account_ref, e.tenant, sizeof(e.tenant));
	snprintf(e.resource, sizeof(e.resource), "tenants/%s/containers/web", e.tenant);
	memcpy(e.resource_uid, e.tenant_uid, sizeof(e.resource_uid));
	memcpy(e.run_id, e.tenant_uid, sizeof(e.run_id));
	strcpy(e.boot_id, "01234567-89ab-cdef-0123-456789abcdef");
	fill_burst(&e.figures, tenant * 7919 + hour * 104729);
	for (size_t m = 0; m < RUN_METERS; m++) {
		uint64_t each = (tenant * 7919 + m * 104729) % 1000000 * (m % 4);

		e.figures.quantity[m] = each;
		e.figures.counter_start[m] = ledger_meters[m].kind == METER_COUNTER ? each * hour
										    : 0;
		e.figures.counter_end[m] = ledger_meters[m].kind == METER_COUNTER
						   ? each * (hour + 1)
						   : 0;
	}
	return e;
}

static double seconds_since(uint64_t start)
{
	return (double)(clock_boot_usec() - start) / 1e6;
}

static void add_tenants(const struct bench *b)
{
	struct err err;

	for (uint64_t tenant = 1; tenant <= b->tenants; tenant++)
		add_run(b, tenant);
	/* Of those whose hours are copied; the key of a tenant's chain is that of its run. */
	check(db_query(b->db,
		      "INSERT INTO ledger_chains (key, tenant_uid, records, head) SELECT key,"
		      " tenant_uid, 0, '' FROM runs WHERE key > ?1",
		      NULL, NULL, &err, "u", b->closed),
		&err);
}

static void close_hour(const struct bench *b, uint64_t hour)
{
	struct err err;

	for (uint64_t tenant = 1; tenant <= b->closed; tenant++) {
		struct ledger_entry e = make_entry(tenant, hour);
		struct ledger_position next = {.terms = 0};

		check(ledger_entries_add(b->db, &e, "host", &next, &err), &err);
	}
}

/* Each of the others has the hour of one of those that were closed. */
static void copy_hour(const struct bench *b)
{
	uint64_t last;
	struct err err;

	check(ledger_entries_last(b->db, &last, &err), &err);
	check(db_query(b->db,
		      "INSERT INTO ledger_entries SELECT ?1 + c.key - ?2, c.key, c.key,"
		      " e.window_start, e.window_end, e.from_boot, e.to_boot, e.terms, e.gap,"
		      " e.sequence, e.net_sequence, e.io_sequence, e.revision, e.flags, e.host,"
		      " e.finalized, e.figures, e.hash FROM ledger_chains c CROSS JOIN"
		      " ledger_entries e ON e.number = ?1 - c.key % ?2"
		      " WHERE c.key > ?2 AND c.key <= ?3 ORDER BY c.key",
		      NULL, NULL, &err, "uuu", last, b->closed, b->tenants),
		&err);
}

static void finish_copies(const struct bench *b)
{
	struct ledger_entry e = make_entry(1, 0);
	struct err err;

	check(db_query(b->db,
		      "UPDATE ledger_chains SET records = ?1, head = (SELECT hash FROM"
		      " ledger_entries WHERE chain = key ORDER BY number DESC LIMIT 1)"
		      " WHERE key > ?2 AND key <= ?3",
		      NULL, NULL, &err, "uuu",
		      b->hours * (uint64_t)__builtin_popcountll(e.figures.present), b->closed,
		      b->tenants),
		&err);
}

static void print_pace(const char *what, uint64_t windows, uint64_t usec)
{
	struct ledger_entry e = make_entry(1, 0);
	uint64_t records = (uint64_t)__builtin_popcountll(e.figures.present);

	if (windows)
		printf("%-17s %10" PRIu64 " windows, %" PRIu64 " records: %.1f us a window\n", what,
			windows, windows * records, (double)usec / (double)windows);
}

/* Hour by hour over all, as they are closed. */
static void generate(const struct bench *b)
{
	uint64_t closing = 0;
	uint64_t copying = 0;
	uint64_t n = 0;

	sql(b, "BEGIN");
	add_tenants(b);
	for (uint64_t hour = 0; hour < b->hours; hour++) {
		uint64_t start = clock_boot_usec();
		uint64_t closed;

		close_hour(b, hour);
		closed = clock_boot_usec();
		copy_hour(b);
		closing += closed - start;
		copying += clock_boot_usec() - closed;
		n += b->tenants;
		if (n >= COMMIT_EACH)
			sql(b, "COMMIT"), sql(b, "BEGIN"), n = 0;
	}
	finish_copies(b);
	sql(b, "INSERT INTO ledger_pruned (run, entry) SELECT run, max(number) FROM ledger_entries"
	       " GROUP BY run");
	sql(b, "COMMIT");
	print_pace("closed", b->closed * b->hours, closing);
	print_pace("copied, no chain", (b->tenants - b->closed) * b->hours, copying);
}

static void export_month(const struct bench *b)
{
	struct export_cursor cursor = {.from_wall_usec = EPOCH,
		.to_wall_usec = EPOCH + MONTH_HOURS * LEDGER_HOUR_USEC,
		.gap_usec = 31000000};
	uint64_t start = clock_boot_usec();
	struct ledger_record record;
	uint64_t records = 0;
	uint64_t longest = 0;
	struct err err;

	while (cursor.phase != EXPORT_DONE) {
		uint64_t step = clock_boot_usec();

		check(export_step(b->db, &cursor, &err), &err);
		step = clock_boot_usec() - step;
		longest = step > longest ? step : longest;
		for (size_t i = 0; i < cursor.n_items; i++)
			for (size_t m = 0; m < LEDGER_METERS; m++) {
				const struct ledger_entry *e = &cursor.items[i].entry;

				if (!ledger_entry_has(e, m))
					continue;
				check(ledger_record_make(e, m, e->prev_hash, &record, &err), &err);
				records++;
			}
	}
	export_cursor_finish(&cursor);
	printf("export of a month %10" PRIu64 " records in %.2f s; longest step %.1f ms\n", records,
		seconds_since(start), (double)longest / 1000);
}

/* One of those whose hours were closed. */
static uint64_t one_of(const struct bench *b)
{
	return b->closed / 2 + 1;
}

static void sum_one(const struct bench *b)
{
	struct export_cursor cursor = {.from_wall_usec = EPOCH,
		.to_wall_usec = EPOCH + MONTH_HOURS * LEDGER_HOUR_USEC,
		.gap_usec = 31000000};
	uint64_t start = clock_boot_usec();
	struct usage_sums sums = {.windows = 0};
	size_t hours = 0;
	uint64_t ranked;
	uint64_t rate;
	struct err err;

	uid_of(one_of(b), cursor.tenant_uid);
	while (cursor.phase != EXPORT_DONE) {
		check(export_step(b->db, &cursor, &err), &err);
		for (size_t i = 0; i < cursor.n_items; i++)
			check(usage_sums_add(&sums, &cursor.items[i], &hours, &err), &err);
	}
	ranked = clock_boot_usec();
	rate = burst_p95(&sums.burst, cursor.from_wall_usec, cursor.to_wall_usec);
	ranked = clock_boot_usec() - ranked;
	printf("sums of a month   %10" PRIu64 " windows of a tenant in %.2f s; its 95th percentile,"
	       " %" PRIu64 " bits/s, in %.2f ms\n",
		sums.windows, seconds_since(start), rate, (double)ranked / 1000);
	usage_sums_finish(&sums);
	export_cursor_finish(&cursor);
}

/* As `croft usage totals` reads them. */
static void sum_all(const struct bench *b)
{
	struct export_cursor cursor = {.from_wall_usec = EPOCH,
		.to_wall_usec = EPOCH + MONTH_HOURS * LEDGER_HOUR_USEC,
		.gap_usec = 31000000,
		.closed_last = true};
	uint64_t start = clock_boot_usec();
	struct tenant_sums sums = {.hours = 0};
	uint64_t longest = 0;
	size_t hours = 0;
	struct err err;

	while (!tenant_sums_is_done(&sums, &cursor)) {
		uint64_t step = clock_boot_usec();

		check(tenant_sums_step(b->db, &sums, &cursor, &err), &err);
		step = clock_boot_usec() - step;
		longest = step > longest ? step : longest;
		hours = sums.hours > hours ? sums.hours : hours;
	}
	printf("totals of a month %10zu tenants in %.2f s; longest step %.1f ms; %zu hours kept at"
	       " once, and %.1f MiB of sums\n",
		sums.tenants.n, seconds_since(start), (double)longest / 1000, hours,
		(double)(sums.tenants.n * sizeof(struct sums_of_tenant)) / 1048576);
	tenant_sums_finish(&sums);
	export_cursor_finish(&cursor);
}

static void verify_one(const struct bench *b)
{
	struct ledger_verifier *v = calloc(1, sizeof(*v));
	uint64_t start = clock_boot_usec();
	uint64_t longest = 0;
	char uid[UID_SIZE];
	struct err err;

	if (!v)
		exit(1);
	uid_of(one_of(b), uid);
	check(ledger_chain_of(b->db, uid, &v->chain, &err), &err);
	while (!v->done) {
		uint64_t step = clock_boot_usec();

		check(ledger_verify_step(b->db, v, &err), &err);
		step = clock_boot_usec() - step;
		longest = step > longest ? step : longest;
	}
	printf("proof of a tenant %10" PRIu64 " records in %.2f s; longest step %.1f ms; %" PRIu64
	       " problems\n",
		v->records, seconds_since(start), (double)longest / 1000, v->n_problems);
	free(v);
}

/* As many tenants as there is room for, which is told. */
static void fit(struct bench *b, const char *path)
{
	struct statvfs fs;
	uint64_t most;

	if (statvfs(path, &fs) < 0)
		return;
	most = (uint64_t)fs.f_bavail * fs.f_frsize / (b->hours * WINDOW_ROOM);
	if (most >= b->tenants)
		return;
	printf("ledger            there is room for %" PRIu64 " tenants of %" PRIu64 "\n", most,
		b->tenants);
	b->tenants = most;
}

int main(int argc, char **argv)
{
	struct bench b = {.tenants = 0};
	struct stat st;
	struct err err;

	if (argc != 4) {
		fprintf(stderr, "usage: ledger_year FILE TENANTS HOURS\n");
		return 2;
	}
	b.tenants = strtoull(argv[2], NULL, 10);
	b.hours = strtoull(argv[3], NULL, 10);
	if (!b.tenants || !b.hours)
		return 2;
	setlinebuf(stdout);
	check(db_open(argv[1], &b.db, &err), &err);
	/* So that copying has the ends of all tenants' indexes at hand; croftd's is smaller. */
	sql(&b, "PRAGMA cache_size = -131072");
	fit(&b, argv[1]);
	b.closed = b.tenants < CLOSED_MAX ? b.tenants : CLOSED_MAX;
	printf("ledger            %10" PRIu64 " tenants, a container each, over %" PRIu64
	       " hours; %" PRIu64 " are closed as croftd does, the others copied from them\n",
		b.tenants, b.hours, b.closed);
	generate(&b);
	export_month(&b);
	sum_one(&b);
	sum_all(&b);
	verify_one(&b);
	db_close(b.db);
	if (stat(argv[1], &st) == 0)
		printf("on disk           %10.1f MiB: %.0f bytes a window\n",
			(double)st.st_size / 1048576,
			(double)st.st_size / (double)(b.tenants * b.hours));
	return 0;
}

/*
 * Figures of the samples of one sweep after another: what it takes to put them down, each run's in
 * a transaction as the sampler does, and how much room one takes. Never passes or fails.
 *
 * usage: sample_sweep FILE RUNS SWEEPS
 */
#include "server/store.h"

#include "base/cleanup.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct bench {
	struct db *db;
	struct event_base *base;
	struct run *runs;
	uint64_t n_runs;
	uint64_t pending;
};

static void check(int r, const struct err *err)
{
	if (r >= 0)
		return;
	fprintf(stderr, "sample_sweep: %s\n", err->msg);
	exit(1);
}

static void on_failed(void *arg, const struct err *err)
{
	(void)arg;
	check(-1, err);
}

static void on_stored(void *arg, const struct err *err)
{
	struct bench *b = arg;

	check(err ? -1 : 0, err);
	if (!--b->pending)
		event_base_loopbreak(b->base);
}

static void add_runs(struct bench *b)
{
	struct err err;

	check(db_query(b->db, "BEGIN", NULL, NULL, &err, ""), &err);
	for (uint64_t i = 0; i < b->n_runs; i++) {
		b->runs[i].key = i + 1;
		snprintf(b->runs[i].id, sizeof(b->runs[i].id), "%032" PRIx64, i);
		check(db_query(b->db,
			      "INSERT INTO runs (key, id, tenant_uid, tenant, account_ref,"
			      " container_uid, container, boot_id, start_boot, start_wall)"
			      " VALUES (?1, ?2, 'tenant', 'tenant', '', ?2, 'web', 'boot', 1, 1)",
			      NULL, NULL, &err, "us", b->runs[i].key, b->runs[i].id),
			&err);
	}
	check(db_query(b->db, "COMMIT", NULL, NULL, &err, ""), &err);
}

/* Something that runs, with a network and a disk: every counter has come to something. */
static struct usage_point make_point(uint64_t run, uint64_t sweep)
{
	struct usage_point point = {.sequence = sweep + 1,
		.boot_usec = 90000000000 + sweep * 10000000,
		.wall_usec = (int64_t)(1767225600000000 + sweep * 10000000),
		.counters = {.has_net = 1, .has_io = 1}};

	for (size_t i = 0; i < USAGE_COUNTERS; i++) {
		const struct usage_counter *counter = &usage_counters[i];
		uint64_t each = (run * 7919 + counter->offset * 104729) % 5000000;

		usage_counter_set(&point.counters, counter->id,
			counter->cumulative ? each * (sweep + 1) : each * 64);
	}
	return point;
}

/* Returns how long it took until all of it was durable. */
static uint64_t sweep(struct bench *b, uint64_t number)
{
	uint64_t start = clock_boot_usec();

	b->pending = b->n_runs;
	for (uint64_t i = 0; i < b->n_runs; i++) {
		struct usage_point point = make_point(i, number);
		struct db_tx *tx = db_tx_new();

		store_sample(tx, &b->runs[i], &point);
		db_commit(b->db, tx, on_stored, b);
	}
	event_base_dispatch(b->base);
	return clock_boot_usec() - start;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void measure(struct bench *b, uint64_t sweeps, const char *path)
{
	_cleanup_free_ uint64_t *took = calloc(sweeps, sizeof(*took));
	struct stat before = {0};
	struct stat after = {0};

	if (!took)
		exit(1);
	stat(path, &before);
	for (uint64_t i = 0; i < sweeps; i++)
		took[i] = sweep(b, i);
	db_stop(b->db);
	db_close(b->db);
	stat(path, &after);
	qsort(took, sweeps, sizeof(*took), compare);
	printf("samples of a sweep %9" PRIu64 " runs: %.1f ms until they are durable (median of"
	       " %" PRIu64 ")\n",
		b->n_runs, (double)took[sweeps / 2] / 1000, sweeps);
	printf("on disk            %9.0f bytes a sample\n",
		(double)(after.st_size - before.st_size) / (double)(b->n_runs * sweeps));
}

int main(int argc, char **argv)
{
	struct db_config config = {.failed = on_failed};
	struct bench b = {.n_runs = 0};
	struct err err;

	if (argc != 4 || strtoull(argv[2], NULL, 10) < 1 || strtoull(argv[3], NULL, 10) < 1) {
		fprintf(stderr, "usage: sample_sweep FILE RUNS SWEEPS\n");
		return 2;
	}
	b.n_runs = strtoull(argv[2], NULL, 10);
	b.runs = calloc(b.n_runs, sizeof(*b.runs));
	b.base = event_base_new();
	if (!b.runs || !b.base)
		return 1;
	check(db_open(argv[1], &b.db, &err), &err);
	add_runs(&b);
	check(db_start(b.db, b.base, &config, &err), &err);
	measure(&b, strtoull(argv[3], NULL, 10), argv[1]);
	event_base_free(b.base);
	free(b.runs);
	return 0;
}

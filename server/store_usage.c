/* Statements on samples, gaps and totals; see store.h. Never changes or deletes a sample. */
#include "server/store.h"

#include <stdio.h>

void store_sample(struct db_tx *tx, const struct run *run, const struct usage_point *point)
{
	for (size_t i = 0; i < USAGE_COUNTERS; i++)
		db_tx_write(tx,
			"INSERT INTO samples (run, sequence, meter, boot, wall, value)"
			" VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
			"uuduiu", run->key, point->sequence, usage_counters[i].id, point->boot_usec,
			point->wall_usec, usage_counter_get(&point->counters, &usage_counters[i]));
}

void store_gap(struct db_tx *tx, const struct run *run, const char *reason,
	const struct usage_point *from, const struct usage_point *to)
{
	db_tx_write(tx,
		"INSERT INTO gaps (run, reason, from_boot, to_boot, from_wall, to_wall)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
		"usuuii", run->key, reason, from->boot_usec, to->boot_usec, from->wall_usec,
		to->wall_usec);
}

void store_totals(struct db_tx *tx, const char *uid, const struct usage_totals *t)
{
	db_tx_write(tx,
		"INSERT OR REPLACE INTO totals (uid, cpu, throttled, memory_high, memory_low,"
		" memory_peak, pids_peak, pids_denied, oom_kills, at_limit, running, runs)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
		"suuuuuuuuuuu", uid, t->cpu_usec, t->throttled_usec,
		(uint64_t)(t->memory_kib_usec >> 64), (uint64_t)t->memory_kib_usec,
		t->memory_peak_bytes, t->pids_peak, t->pids_denied, t->oom_kills,
		t->memory_at_limit, t->running_usec, t->runs);
}

const char *store_own_uid(const struct tenant *tenant, char out[static OWN_UID_SIZE])
{
	snprintf(out, OWN_UID_SIZE, "own:%s", tenant->uid);
	return out;
}

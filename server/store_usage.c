/* Statements on samples, gaps and totals; see store.h. Never changes or deletes a sample. */
#include "server/store.h"

#include <stdio.h>

static void put_value(struct db_tx *tx, const struct run *run, const struct usage_point *point,
	const struct usage_counter *counter)
{
	/* The base is put again with each confirmation, and is always the same. */
	db_tx_write(tx,
		point->sequence ? "INSERT INTO samples (run, sequence, meter, boot, wall, value)"
				  " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
				: "INSERT OR IGNORE INTO samples (run, sequence, meter, boot, wall,"
				  " value) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
		"uuduiu", run->key, point->sequence, counter->id, point->boot_usec,
		point->wall_usec, usage_counter_get(&point->counters, counter));
}

void store_sample(struct db_tx *tx, const struct run *run, const struct usage_point *point)
{
	for (size_t i = 0; i < USAGE_COUNTERS; i++)
		if (usage_has(&point->counters, usage_counters[i].group))
			put_value(tx, run, point, &usage_counters[i]);
}

void store_base(struct db_tx *tx, const struct run *run)
{
	const struct usage_point start = {.boot_usec = run->start_boot_usec,
		.wall_usec = run->start_wall_usec,
		.counters = {.has_net = 1, .net = run->net_base.usage}};

	for (size_t i = 0; run->net_base.valid && i < USAGE_COUNTERS; i++)
		if (usage_counters[i].group == USAGE_NET)
			put_value(tx, run, &start, &usage_counters[i]);
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
		" memory_peak, pids_peak, pids_denied, oom_kills, at_limit, running, runs,"
		" net_in, net_in_packets, net_out, net_out_packets, net_outside_in,"
		" net_outside_in_packets, net_outside_out, net_outside_out_packets, io_read,"
		" io_read_ops, io_write, io_write_ops)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,"
		" ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24)",
		"suuuuuuuuuuuuuuuuuuuuuuu", uid, t->cpu_usec, t->throttled_usec,
		(uint64_t)(t->memory_kib_usec >> 64), (uint64_t)t->memory_kib_usec,
		t->memory_peak_bytes, t->pids_peak, t->pids_denied, t->oom_kills,
		t->memory_at_limit, t->running_usec, t->runs, t->net.all_in.bytes,
		t->net.all_in.packets, t->net.all_out.bytes, t->net.all_out.packets,
		t->net.outside_in.bytes, t->net.outside_in.packets, t->net.outside_out.bytes,
		t->net.outside_out.packets, t->io.read_bytes, t->io.read_ops, t->io.write_bytes,
		t->io.write_ops);
}

const char *store_own_uid(const struct tenant *tenant, char out[static OWN_UID_SIZE])
{
	snprintf(out, OWN_UID_SIZE, "own:%s", tenant->uid);
	return out;
}

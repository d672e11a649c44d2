/* Statements on samples, gaps and totals; see store.h. Never changes or deletes a sample. */
#include "server/sample_pack.h"
#include "server/store.h"

#include <inttypes.h>
#include <stdio.h>

/* Packs the counters of some groups, 1 << usage_group. */
static void pack(const struct counters *counters, unsigned groups, struct sample_packed *ret)
{
	sample_pack_begin(ret);
	for (size_t i = 0; i < USAGE_COUNTERS; i++)
		if (groups & 1u << usage_counters[i].group)
			sample_pack_add(ret, usage_counters[i].id,
				usage_counter_get(counters, &usage_counters[i]));
}

void store_sample(struct db_tx *tx, const struct run *run, const struct usage_point *point)
{
	struct sample_packed packed;
	unsigned groups = 1u << USAGE_CGROUP;

	groups |= usage_has(&point->counters, USAGE_NET) ? 1u << USAGE_NET : 0;
	groups |= usage_has(&point->counters, USAGE_IO) ? 1u << USAGE_IO : 0;
	pack(&point->counters, groups, &packed);
	db_tx_write(tx,
		"INSERT INTO samples (run, sequence, boot, wall, ids, packed)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
		"uuuiub", run->key, point->sequence, point->boot_usec, point->wall_usec, packed.ids,
		(const void *)packed.data, packed.size);
}

void store_base(struct db_tx *tx, const struct run *run)
{
	const struct counters start = {.has_net = 1, .net = run->net_base.usage};
	struct sample_packed packed;

	if (!run->net_base.valid)
		return;
	pack(&start, 1u << USAGE_NET, &packed);
	/* Put again with each confirmation, and always the same. */
	db_tx_write(tx,
		"INSERT OR IGNORE INTO samples (run, sequence, boot, wall, ids, packed)"
		" VALUES (?1, 0, ?2, ?3, ?4, ?5)",
		"uuiub", run->key, run->start_boot_usec, run->start_wall_usec, packed.ids,
		(const void *)packed.data, packed.size);
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
		" io_read_ops, io_write, io_write_ops, cpu_user, cpu_system)"
		" SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,"
		" ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26"
		/* A sweep that began before an end may be committed behind it. */
		" WHERE NOT EXISTS (SELECT 1 FROM totals WHERE uid = ?1 AND running > ?11)",
		"suuuuuuuuuuuuuuuuuuuuuuuuu", uid, t->cpu_usec, t->throttled_usec,
		(uint64_t)(t->memory_kib_usec >> 64), (uint64_t)t->memory_kib_usec,
		t->memory_peak_bytes, t->pids_peak, t->pids_denied, t->oom_kills,
		t->memory_at_limit, t->running_usec, t->runs, t->net.all_in.bytes,
		t->net.all_in.packets, t->net.all_out.bytes, t->net.all_out.packets,
		t->net.outside_in.bytes, t->net.outside_in.packets, t->net.outside_out.bytes,
		t->net.outside_out.packets, t->io.read_bytes, t->io.read_ops, t->io.write_bytes,
		t->io.write_ops, t->cpu_user_usec, t->cpu_system_usec);
}

const char *store_own_uid(const struct tenant *tenant, char out[static OWN_UID_SIZE])
{
	snprintf(out, OWN_UID_SIZE, "own:%s", tenant->uid);
	return out;
}

#define TOLD_SIZE 192

/* "OOMS PIDS", for each kind of pressure " ON BEGAN COUNTER", and " CALLS". */
void store_reported(struct db_tx *tx, const struct run *run)
{
	const struct fault_report *r = &run->reported;
	char text[TOLD_SIZE];
	int len = snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64, r->told[FAULT_OOM],
		r->told[FAULT_PIDS]);

	for (int i = 0; i < PRESSURE_N; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, " %d %" PRIu64 " %" PRIu64,
			r->episodes[i].on, r->episodes[i].began_boot_usec,
			r->episodes[i].began_counter);
	snprintf(text + len, sizeof(text) - (size_t)len, " %" PRIu64, r->told[FAULT_CALLS]);
	db_tx_write(tx, "UPDATE runs SET told=?2 WHERE key=?1", "us", run->key, text);
}

void store_read_reported(const char *text, struct run *run)
{
	struct fault_report *r = &run->reported;
	int n = 0;

	if (!text || sscanf(text, "%" SCNu64 " %" SCNu64 "%n", &r->told[FAULT_OOM],
			     &r->told[FAULT_PIDS], &n) < 2)
		return;
	for (int i = 0; i < PRESSURE_N; i++) {
		int on = 0;

		text += n;
		if (sscanf(text, " %d %" SCNu64 " %" SCNu64 "%n", &on,
			    &r->episodes[i].began_boot_usec, &r->episodes[i].began_counter, &n) < 3)
			return;
		r->episodes[i].on = on;
	}
	/* An earlier croftd counted none. Samples have no such counter: it goes on from here. */
	if (sscanf(text + n, " %" SCNu64, &r->told[FAULT_CALLS]) == 1)
		run->last.counters.refused_calls = r->told[FAULT_CALLS];
}

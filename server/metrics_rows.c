/*
 * Rows of figures and what they are called; see metrics_rows.h. Reads memory only: neither a
 * cgroup's files nor the database, so that who scrapes often costs no more than who does not.
 *
 * Names follow Prometheus' conventions: base units, _total for counters, and what overlaps (a
 * tenant's sum and its containers; all traffic and that with the outside) is never in one family,
 * where adding up its samples would count twice.
 */
#include "server/metrics_rows.h"

#include "base/cleanup.h"
#include "server/container_state.h"
#include "server/held.h"
#include "server/ledger.h"

#include <stdio.h>
#include <string.h>

#define FAMILY_NAME_MAX 80

enum level { TENANTS = 1, CONTAINERS = 2, BOTH = TENANTS | CONTAINERS };

/* Figures of one family that follow one another in a row, and what tells them apart. */
#define LABELS_MAX 4
static const char *const modes[LABELS_MAX] = {
	"mode=\"user\"", "mode=\"system\"", "mode=\"unknown\""};
static const char *const resources[LABELS_MAX] = {[STALL_CPU] = "resource=\"cpu\"",
	[STALL_MEMORY] = "resource=\"memory\"",
	[STALL_IO] = "resource=\"io\""};
static const char *const reasons[LABELS_MAX] = {
	[NET_REFUSED_CONNECTIONS] = "reason=\"connections\"",
	[NET_REFUSED_FLOWS] = "reason=\"flows\"",
	[NET_REFUSED_PACKETS] = "reason=\"packets\"",
	[NET_REFUSED_SMTP] = "reason=\"smtp\""};
static const char *const rate_limits[LABELS_MAX] = {"reason=\"rate_in\"", "reason=\"rate_out\""};
_Static_assert((int)NET_REFUSED_OF_TENANTS == LABELS_MAX, "a label each");

static const struct family {
	const char *name; /* behind croft_tenant_ or croft_container_ */
	const char *type;
	enum level level;
	size_t value; /* METRICS_VALUES: none but its labels */
	enum metrics_scale scale;
	const char *help;
	const char *const *each; /* as many as there are, from `value` on; NULL: it is one */
} families[] = {
	{"info", "gauge", CONTAINERS, METRICS_VALUES, METRICS_WHOLE,
		"What a container is: its uid, and the image that it stands on. Always 1."},
	{"running", "gauge", CONTAINERS, METRICS_RUNNING, METRICS_WHOLE,
		"1 while a container has processes, frozen or not."},
	{"frozen", "gauge", CONTAINERS, METRICS_FROZEN, METRICS_WHOLE,
		"1 while a container is frozen."},
	{"healthy", "gauge", CONTAINERS, METRICS_HEALTHY, METRICS_WHOLE,
		"What the health check of a container says, where it has one: 1 healthy, 0 not."},
	{"suspended", "gauge", TENANTS, METRICS_SUSPENDED, METRICS_WHOLE,
		"1 while a tenant is suspended."},
	{"containers", "gauge", TENANTS, METRICS_CONTAINERS, METRICS_WHOLE,
		"How many containers a tenant has, running or not."},
	{"containers_limit", "gauge", TENANTS, METRICS_CONTAINERS_LIMIT, METRICS_WHOLE,
		"How many containers a tenant may have."},
	{"containers_running", "gauge", TENANTS, METRICS_RUNNING, METRICS_WHOLE,
		"How many of a tenant's containers have processes."},
	{"cpu_usage_seconds_total", "counter", BOTH, METRICS_CPU, METRICS_USEC,
		"CPU time used, of all runs: in user mode and in the kernel, as the kernel "
		"estimates "
		"it, and before anybody asked in which.",
		modes},
	{"cpu_throttled_seconds_total", "counter", BOTH, METRICS_CPU_THROTTLED, METRICS_USEC,
		"Time for which its CPU limit let it wait; of a tenant its own limit, or its "
		"containers' where those come to more."},
	{"cpu_limit_cores", "gauge", BOTH, METRICS_CPU_LIMIT, METRICS_MILLI,
		"Cores that it may use at a time, where there is a limit of its own."},
	{"memory_usage_bytes", "gauge", BOTH, METRICS_MEMORY, METRICS_WHOLE,
		"Memory charged to it, with its page cache, at the last sweep."},
	{"memory_working_set_bytes", "gauge", BOTH, METRICS_WORKING_SET, METRICS_WHOLE,
		"Memory charged to it, without page cache that is inactive, at the last sweep."},
	{"memory_peak_bytes", "gauge", BOTH, METRICS_MEMORY_PEAK, METRICS_WHOLE,
		"The most memory it ever had."},
	{"memory_limit_bytes", "gauge", BOTH, METRICS_MEMORY_LIMIT, METRICS_WHOLE,
		"Memory that it may have, where there is a limit of its own."},
	{"memory_at_limit_total", "counter", BOTH, METRICS_MEMORY_AT_LIMIT, METRICS_WHOLE,
		"How often it met its memory limit; of a tenant its own, or its containers' "
		"where those come to more."},
	{"oom_kills_total", "counter", BOTH, METRICS_OOM_KILLS, METRICS_WHOLE,
		"Processes that the OOM killer ended in it."},
	{"pids", "gauge", BOTH, METRICS_PIDS, METRICS_WHOLE,
		"Processes and threads at the last sweep."},
	{"pids_peak", "gauge", BOTH, METRICS_PIDS_PEAK, METRICS_WHOLE,
		"The most processes and threads it ever had."},
	{"pids_limit", "gauge", BOTH, METRICS_PIDS_LIMIT, METRICS_WHOLE,
		"Processes and threads that it may have, where there is a limit of its own."},
	{"pids_denied_total", "counter", BOTH, METRICS_PIDS_DENIED, METRICS_WHOLE,
		"Forks that were refused for want of pids."},
	{"forks_total", "counter", CONTAINERS, METRICS_FORKS, METRICS_WHOLE,
		"Processes and threads that were begun in it, since its present run began or the "
		"supervisor, whichever was later."},
	{"seccomp_refused_total", "counter", CONTAINERS, METRICS_SECCOMP_REFUSED, METRICS_WHOLE,
		"System calls that look for a way out, as its policy refused them in its present "
		"run."},
	{"disk_usage_bytes", "gauge", BOTH, METRICS_DISK, METRICS_WHOLE,
		"Disk that it had in use when that was last looked at, where it was; of a tenant "
		"with its volumes, without snapshots."},
	{"disk_limit_bytes", "gauge", BOTH, METRICS_DISK_LIMIT, METRICS_WHOLE,
		"Disk that it may have, where there is a limit of its own."},
	{"pressure_waiting_seconds_total", "counter", BOTH, METRICS_WAITED, METRICS_USEC,
		"For how long some of its tasks waited, since its present run began.", resources},
	{"pressure_stalled_seconds_total", "counter", BOTH, METRICS_STALLED, METRICS_USEC,
		"For how long all that could have worked waited, since its present run began.",
		resources},
	{"running_seconds_total", "counter", BOTH, METRICS_RUNNING_TIME, METRICS_USEC,
		"How long it has run, of all runs; of a tenant the sum of its containers'."},
	{"runs_total", "counter", BOTH, METRICS_RUNS, METRICS_WHOLE,
		"How often it was started, so far as a sweep or its end has seen it."},
	{"network_receive_bytes_total", "counter", BOTH, METRICS_NET, METRICS_WHOLE,
		"Bytes of IP packets that came to it."},
	{"network_receive_packets_total", "counter", BOTH, METRICS_NET + 1, METRICS_WHOLE,
		"IP packets that came to it."},
	{"network_transmit_bytes_total", "counter", BOTH, METRICS_NET + 2, METRICS_WHOLE,
		"Bytes of IP packets that it sent."},
	{"network_transmit_packets_total", "counter", BOTH, METRICS_NET + 3, METRICS_WHOLE,
		"IP packets that it sent."},
	{"network_outside_receive_bytes_total", "counter", BOTH, METRICS_NET + 4, METRICS_WHOLE,
		"Those of the bytes received that came from outside the tenant's own network."},
	{"network_outside_receive_packets_total", "counter", BOTH, METRICS_NET + 5, METRICS_WHOLE,
		"Those of the packets received that came from outside the tenant's own network."},
	{"network_outside_transmit_bytes_total", "counter", BOTH, METRICS_NET + 6, METRICS_WHOLE,
		"Those of the bytes sent that left the tenant's own network."},
	{"network_outside_transmit_packets_total", "counter", BOTH, METRICS_NET + 7, METRICS_WHOLE,
		"Those of the packets sent that left the tenant's own network."},
	{"network_refused_packets_total", "counter", TENANTS, METRICS_REFUSED, METRICS_WHOLE,
		"Packets of it that the packet filter refused, since that was made.", reasons},
	{"network_outside_connections_total", "counter", TENANTS, METRICS_OPENED, METRICS_WHOLE,
		"Connections that it began outside its own network, and was let, since the packet "
		"filter was made."},
	{"network_outside_smtp_connections_total", "counter", TENANTS, METRICS_OPENED + 1,
		METRICS_WHOLE, "Those of these connections that were to port 25."},
	{"network_dropped_packets_total", "counter", BOTH, METRICS_DROPPED, METRICS_WHOLE,
		"Packets that its rate limit dropped, where it has one, since that was set and its "
		"present run began; of a tenant by its own limit.",
		rate_limits},
	{"io_read_bytes_total", "counter", BOTH, METRICS_IO, METRICS_WHOLE,
		"Bytes read from the pool's disk, so far as the kernel knows whose they were."},
	{"io_reads_total", "counter", BOTH, METRICS_IO + 1, METRICS_WHOLE,
		"Reads from the pool's disk."},
	{"io_written_bytes_total", "counter", BOTH, METRICS_IO + 2, METRICS_WHOLE,
		"Bytes written to the pool's disk; on cgroup v1 without what the cache wrote "
		"later."},
	{"io_writes_total", "counter", BOTH, METRICS_IO + 3, METRICS_WHOLE,
		"Writes to the pool's disk."},
};

static void begin_row(struct metrics_row *row)
{
	for (size_t i = 0; i < METRICS_VALUES; i++)
		row->values[i] = METRICS_NONE;
}

/* Names, uids and images have no character that would want escaping (base/name.h). */
static void label_tenant(struct metrics_row *row, const struct tenant *t)
{
	snprintf(row->labels, sizeof(row->labels), "tenant=\"%s\"", t->name);
	row->info_labels[0] = '\0';
}

static void label_container(struct metrics_row *row, const struct container *c)
{
	snprintf(row->labels, sizeof(row->labels), "tenant=\"%s\",container=\"%s\"",
		c->tenant->name, c->name);
	snprintf(row->info_labels, sizeof(row->info_labels), "%s,uid=\"%s\",image=\"%s\"",
		row->labels, c->uid, c->image);
}

/* They add up to what is billed. */
static void add_modes(uint64_t *v, const struct usage_totals *totals)
{
	uint64_t unknown = totals->cpu_usec - totals->cpu_user_usec - totals->cpu_system_usec;

	v[0] = totals->cpu_user_usec;
	v[1] = totals->cpu_system_usec;
	if (unknown)
		v[2] = unknown;
}

static void add_totals(struct metrics_row *row, const struct usage_totals *totals)
{
	const struct net_traffic traffic[] = {totals->net.all_in, totals->net.all_out,
		totals->net.outside_in, totals->net.outside_out};
	uint64_t *v = row->values;

	add_modes(v + METRICS_CPU, totals);
	v[METRICS_CPU_THROTTLED] = totals->throttled_usec;
	v[METRICS_MEMORY_PEAK] = totals->memory_peak_bytes;
	v[METRICS_MEMORY_AT_LIMIT] = totals->memory_at_limit;
	v[METRICS_OOM_KILLS] = totals->oom_kills;
	v[METRICS_PIDS_PEAK] = totals->pids_peak;
	v[METRICS_PIDS_DENIED] = totals->pids_denied;
	v[METRICS_RUNNING_TIME] = totals->running_usec;
	v[METRICS_RUNS] = totals->runs;
	for (size_t i = 0; i < ARRAY_SIZE(traffic); i++) {
		v[METRICS_NET + 2 * i] = traffic[i].bytes;
		v[METRICS_NET + 2 * i + 1] = traffic[i].packets;
	}
	v[METRICS_IO] = totals->io.read_bytes;
	v[METRICS_IO + 1] = totals->io.read_ops;
	v[METRICS_IO + 2] = totals->io.write_bytes;
	v[METRICS_IO + 3] = totals->io.write_ops;
}

/* LIMIT_UNSET is METRICS_NONE. */
static void add_limits(struct metrics_row *row, const struct limits *limits)
{
	uint64_t *v = row->values;

	v[METRICS_CPU_LIMIT] = limits->value[LIMIT_CPU];
	v[METRICS_MEMORY_LIMIT] = limits->value[LIMIT_MEMORY];
	v[METRICS_PIDS_LIMIT] = limits->value[LIMIT_PIDS];
	v[METRICS_DISK_LIMIT] = limits->value[LIMIT_DISK];
}

static void add_stalls(struct metrics_row *row, const struct run *run)
{
	for (size_t i = 0; run->stalled_known && i < STALL_N; i++) {
		row->values[METRICS_WAITED + i] = run->stalled.some_usec[i];
		row->values[METRICS_STALLED + i] = run->stalled.full_usec[i];
	}
}

/* What was last looked at; 0: nothing was. */
static void add_disk(struct metrics_row *row, uint64_t bytes)
{
	if (bytes)
		row->values[METRICS_DISK] = bytes;
}

/* As of the last sample; what does not run has none of it. */
static void add_gauges(struct metrics_row *row, const struct counters *counters, bool running)
{
	static const struct counters nothing;
	const struct counters *now = running ? counters : &nothing;

	row->values[METRICS_MEMORY] = now->memory_bytes;
	row->values[METRICS_WORKING_SET] = now->memory_working_set_bytes;
	row->values[METRICS_PIDS] = now->pids;
}

/* Also where a rule about abuse has set a limit that was not bought. */
static void add_dropped(
	struct metrics_row *row, const struct dropped *dropped, const struct limits *bought)
{
	static const enum limit_id ids[NET_DROPPED_N] = {LIMIT_RATE_IN, LIMIT_RATE_OUT};

	for (size_t i = 0; dropped->looked && i < NET_DROPPED_N; i++)
		if (dropped->packets[i] || bought->value[ids[i]] != LIMIT_UNSET)
			row->values[METRICS_DROPPED + i] = dropped->packets[i];
}

void metrics_row_of_container(const struct container *c, uint64_t swept, struct metrics_row *ret)
{
	bool live = container_state_is_live(c->state);
	struct usage_totals totals;

	begin_row(ret);
	ret->is_container = true;
	label_container(ret, c);
	ledger_committed(c, swept, &totals);
	add_totals(ret, &totals);
	add_limits(ret, &c->limits);
	add_gauges(ret, &c->run.last.counters, live);
	if (live) {
		add_stalls(ret, &c->run);
		if (c->run.forks.table)
			ret->values[METRICS_FORKS] = c->run.forks.count;
		ret->values[METRICS_SECCOMP_REFUSED] = c->run.last.counters.refused_calls;
		add_dropped(ret, &c->dropped, &c->limits);
	}
	add_disk(ret, c->held.disk_bytes);
	ret->values[METRICS_RUNNING] = live;
	ret->values[METRICS_FROZEN] = c->state == CONTAINER_FROZEN;
	if (c->health_check.command[0] && live)
		ret->values[METRICS_HEALTHY] = c->run.health != HEALTH_UNHEALTHY;
}

void metrics_row_of_tenant(const struct tenant *t, uint64_t swept, struct metrics_row *ret)
{
	uint32_t running = tenant_running_count(t);
	struct usage_totals totals;

	begin_row(ret);
	ret->is_container = false;
	label_tenant(ret, t);
	ledger_committed_of_tenant(t, swept, &totals);
	add_totals(ret, &totals);
	add_limits(ret, &t->limits);
	add_gauges(ret, &t->own.last.counters, t->own.files != NULL);
	if (t->own.files)
		add_stalls(ret, &t->own);
	add_disk(ret, held_disk_of_tenant(t));
	for (size_t i = 0; i < NET_REFUSED_OF_TENANTS; i++)
		if (t->refusals[i].looked)
			ret->values[METRICS_REFUSED + i] = t->refusals[i].seen;
	add_dropped(ret, &t->dropped, &t->limits);
	for (size_t i = 0; i < NET_OPENED_N; i++)
		if (t->opened[i].looked)
			ret->values[METRICS_OPENED + i] = t->opened[i].seen;
	ret->values[METRICS_RUNNING] = running;
	ret->values[METRICS_SUSPENDED] = t->suspended;
	ret->values[METRICS_CONTAINERS] = t->containers.n;
	ret->values[METRICS_CONTAINERS_LIMIT] = t->limits.value[LIMIT_CONTAINERS];
}

size_t metrics_n_families(void)
{
	return ARRAY_SIZE(families);
}

static const char *family_name(
	const struct family *family, bool of_containers, char out[static FAMILY_NAME_MAX])
{
	snprintf(out, FAMILY_NAME_MAX, "croft_%s_%s", of_containers ? "container" : "tenant",
		family->name);
	return out;
}

bool metrics_begin_family(struct metrics_text *text, size_t i, bool of_containers)
{
	const struct family *family = &families[i];
	char name[FAMILY_NAME_MAX];

	if (!(family->level & (of_containers ? CONTAINERS : TENANTS)))
		return false;
	metrics_text_family(
		text, family_name(family, of_containers, name), family->type, family->help);
	return true;
}

void metrics_add_samples(struct metrics_text *text, size_t i, const struct metrics_row *row)
{
	const struct family *family = &families[i];
	char name[FAMILY_NAME_MAX];

	family_name(family, row->is_container, name);
	if (family->value == METRICS_VALUES) {
		metrics_text_sample(text, name, row->info_labels, 1, METRICS_WHOLE);
		return;
	}
	for (size_t j = 0; j < (family->each ? LABELS_MAX : 1); j++)
		if ((!family->each || family->each[j]) &&
			row->values[family->value + j] != METRICS_NONE)
			metrics_text_labelled(text, name, row->labels,
				family->each ? family->each[j] : "", row->values[family->value + j],
				family->scale);
}

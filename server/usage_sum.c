/* The arithmetic of usage; see usage_sum.h. Whole numbers only, and no input or output. */
#include "server/usage_sum.h"

#include <string.h>

#define COUNTER(id_, field, cumulative_)                                                           \
	{                                                                                          \
		id_, offsetof(struct counters, field), cumulative_, USAGE_CGROUP                   \
	}
#define TRAFFIC(id_, field)                                                                        \
	{                                                                                          \
		id_, offsetof(struct counters, net.field), true, USAGE_NET                         \
	}
#define IO(id_, field)                                                                             \
	{                                                                                          \
		id_, offsetof(struct counters, io.field), true, USAGE_IO                           \
	}

const struct usage_counter usage_counters[USAGE_COUNTERS] = {
	COUNTER(1, cpu_usec, true),
	COUNTER(2, cpu_throttled_usec, true),
	COUNTER(3, memory_bytes, false),
	COUNTER(4, memory_working_set_bytes, false),
	COUNTER(5, memory_peak_bytes, false),
	COUNTER(6, memory_at_limit, true),
	COUNTER(7, oom_kills, true),
	COUNTER(8, pids, false),
	COUNTER(9, pids_peak, false),
	COUNTER(10, pids_denied, true),
	TRAFFIC(USAGE_NET_FIRST, all_in.bytes),
	TRAFFIC(12, all_in.packets),
	TRAFFIC(13, all_out.bytes),
	TRAFFIC(14, all_out.packets),
	TRAFFIC(15, outside_in.bytes),
	TRAFFIC(16, outside_in.packets),
	TRAFFIC(17, outside_out.bytes),
	TRAFFIC(18, outside_out.packets),
	IO(19, read_bytes),
	IO(20, read_ops),
	IO(21, write_bytes),
	IO(22, write_ops),
};

uint64_t usage_counter_get(const struct counters *counters, const struct usage_counter *counter)
{
	uint64_t value;

	memcpy(&value, (const char *)counters + counter->offset, sizeof(value));
	return value;
}

bool usage_counter_set(struct counters *counters, int id, uint64_t value)
{
	for (size_t i = 0; i < USAGE_COUNTERS; i++) {
		if (usage_counters[i].id != id)
			continue;
		memcpy((char *)counters + usage_counters[i].offset, &value, sizeof(value));
		if (usage_counters[i].group == USAGE_IO)
			counters->has_io = 1;
		return true;
	}
	return false;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t greater(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static bool any_fell(const struct counters *from, const struct counters *to, enum usage_group group)
{
	for (size_t i = 0; i < USAGE_COUNTERS; i++)
		if (usage_counters[i].cumulative && usage_counters[i].group == group &&
			usage_counter_get(to, &usage_counters[i]) <
				usage_counter_get(from, &usage_counters[i]))
			return true;
	return false;
}

static void add_peaks(struct usage_totals *totals, const struct counters *c)
{
	totals->memory_peak_bytes = greater(
		totals->memory_peak_bytes, greater(c->memory_peak_bytes, c->memory_bytes));
	totals->pids_peak = greater(totals->pids_peak, c->pids);
	if (c->pids_peak != UINT64_MAX)
		totals->pids_peak = greater(totals->pids_peak, c->pids_peak);
}

static struct net_traffic more(struct net_traffic a, struct net_traffic b)
{
	return (struct net_traffic){a.bytes + b.bytes, a.packets + b.packets};
}

static struct net_traffic less(struct net_traffic a, struct net_traffic b)
{
	return (struct net_traffic){a.bytes - b.bytes, a.packets - b.packets};
}

static void add_traffic(struct net_usage *to, const struct net_usage *n)
{
	to->all_in = more(to->all_in, n->all_in);
	to->all_out = more(to->all_out, n->all_out);
	to->outside_in = more(to->outside_in, n->outside_in);
	to->outside_out = more(to->outside_out, n->outside_out);
}

static void subtract_traffic(struct net_usage *from, const struct net_usage *n)
{
	from->all_in = less(from->all_in, n->all_in);
	from->all_out = less(from->all_out, n->all_out);
	from->outside_in = less(from->outside_in, n->outside_in);
	from->outside_out = less(from->outside_out, n->outside_out);
}

static void add_io_usage(struct io_usage *to, const struct io_usage *n)
{
	to->read_bytes += n->read_bytes;
	to->read_ops += n->read_ops;
	to->write_bytes += n->write_bytes;
	to->write_ops += n->write_ops;
}

static void subtract_io_usage(struct io_usage *from, const struct io_usage *n)
{
	from->read_bytes -= n->read_bytes;
	from->read_ops -= n->read_ops;
	from->write_bytes -= n->write_bytes;
	from->write_ops -= n->write_ops;
}

void usage_point_set(struct usage_point *point, int id, uint64_t value)
{
	int held = id - USAGE_HELD_FIRST;

	if (held >= 0 && held < HELD_N) {
		point->held.known |= 1u << held;
		point->held.value[held] = value;
		return;
	}
	usage_counter_set(&point->counters, id, value);
	point->counters.has_net |= id == USAGE_NET_FIRST;
}

/* They begin at 0 with the cgroup, and go alone when the disk does. */
static unsigned add_io(
	struct usage_totals *totals, const struct counters *a, const struct counters *b)
{
	if (!b->has_io)
		return 0;
	if (any_fell(a, b, USAGE_IO))
		return USAGE_COUNTER_FELL;
	add_io_usage(&totals->io, &b->io);
	subtract_io_usage(&totals->io, &a->io);
	return 0;
}

/* They lie in one place of the kernel's, as the cgroup's do, and begin anew together. */
static unsigned add_net(
	struct usage_totals *totals, const struct counters *a, const struct counters *b)
{
	/* Without a base there is nothing to take a difference to. */
	if (!a->has_net || !b->has_net)
		return 0;
	if (any_fell(a, b, USAGE_NET))
		return USAGE_COUNTER_FELL;
	add_traffic(&totals->net, &b->net);
	subtract_traffic(&totals->net, &a->net);
	return 0;
}

/*
 * Time in user mode. Where the earlier point does not know it (croftd began anew), it is taken to
 * have had the run's present proportion. May be more than what was used: it comes in ticks.
 */
static uint64_t user_between(const struct counters *a, const struct counters *b)
{
	uint64_t before = a->cpu_user_usec;

	if (before == COUNTER_UNKNOWN)
		before = b->cpu_usec ? (uint64_t)((unsigned __int128)b->cpu_user_usec *
						  a->cpu_usec / b->cpu_usec)
				     : 0;
	return b->cpu_user_usec > before ? b->cpu_user_usec - before : 0;
}

/* Never more than the sum, whatever the kernel says of its parts. */
static void add_modes(
	struct usage_totals *totals, const struct counters *a, const struct counters *b)
{
	uint64_t used = b->cpu_usec - a->cpu_usec;
	uint64_t user;

	if (b->cpu_user_usec == COUNTER_UNKNOWN)
		return;
	user = lesser(user_between(a, b), used);
	totals->cpu_user_usec += user;
	totals->cpu_system_usec += used - user;
}

static unsigned add_cgroup(
	struct usage_totals *totals, const struct counters *a, const struct counters *b)
{
	/* One cgroup holds them all: when one began anew, all did. */
	if (any_fell(a, b, USAGE_CGROUP))
		return USAGE_COUNTER_FELL;
	totals->cpu_usec += b->cpu_usec - a->cpu_usec;
	add_modes(totals, a, b);
	totals->throttled_usec += b->cpu_throttled_usec - a->cpu_throttled_usec;
	totals->memory_at_limit += b->memory_at_limit - a->memory_at_limit;
	totals->oom_kills += b->oom_kills - a->oom_kills;
	totals->pids_denied += b->pids_denied - a->pids_denied;
	return 0;
}

unsigned usage_add(struct usage_totals *totals, const struct usage_point *from,
	const struct usage_point *to, uint64_t gap_usec)
{
	const struct counters *a = &from->counters;
	const struct counters *b = &to->counters;
	uint64_t span = to->boot_usec > from->boot_usec ? to->boot_usec - from->boot_usec : 0;
	unsigned flags = 0;

	totals->running_usec += span;
	if (span > gap_usec)
		flags |= USAGE_GAP;
	else
		totals->memory_kib_usec +=
			(unsigned __int128)(lesser(a->memory_working_set_bytes,
						    b->memory_working_set_bytes) /
					    1024) *
			span;
	add_peaks(totals, b);
	return flags | add_cgroup(totals, a, b) | add_net(totals, a, b) | add_io(totals, a, b);
}

static void carry_user(struct counters *b, const struct counters *a)
{
	if (a->cpu_user_usec == COUNTER_UNKNOWN || b->cpu_user_usec == COUNTER_UNKNOWN ||
		b->cpu_usec < a->cpu_usec)
		return;
	b->cpu_user_usec = a->cpu_user_usec + lesser(user_between(a, b), b->cpu_usec - a->cpu_usec);
}

void usage_carry(struct usage_point *to, const struct usage_point *from)
{
	if (!to->counters.has_net) {
		to->counters.has_net = from->counters.has_net;
		to->counters.net = from->counters.net;
	}
	if (!to->counters.has_io) {
		to->counters.has_io = from->counters.has_io;
		to->counters.io = from->counters.io;
	}
	/* A count that could not be read, not one that fell. */
	if (to->counters.refused_calls < from->counters.refused_calls) {
		to->counters.refused_calls = from->counters.refused_calls;
		to->counters.refused_set = from->counters.refused_set;
	}
	carry_user(&to->counters, &from->counters);
}

bool usage_has(const struct counters *counters, enum usage_group group)
{
	return group == USAGE_CGROUP || (group == USAGE_NET ? counters->has_net : counters->has_io);
}

void usage_totals_merge(struct usage_totals *to, const struct usage_totals *from)
{
	to->cpu_usec += from->cpu_usec;
	to->cpu_user_usec += from->cpu_user_usec;
	to->cpu_system_usec += from->cpu_system_usec;
	to->throttled_usec += from->throttled_usec;
	to->memory_kib_usec += from->memory_kib_usec;
	to->memory_peak_bytes = greater(to->memory_peak_bytes, from->memory_peak_bytes);
	to->pids_peak = greater(to->pids_peak, from->pids_peak);
	to->pids_denied += from->pids_denied;
	to->oom_kills += from->oom_kills;
	to->memory_at_limit += from->memory_at_limit;
	to->running_usec += from->running_usec;
	to->runs += from->runs;
	add_traffic(&to->net, &from->net);
	add_io_usage(&to->io, &from->io);
}

void usage_totals_take_own(struct usage_totals *totals, const struct usage_totals *own)
{
	totals->throttled_usec = greater(totals->throttled_usec, own->throttled_usec);
	totals->memory_peak_bytes = greater(totals->memory_peak_bytes, own->memory_peak_bytes);
	totals->pids_peak = greater(totals->pids_peak, own->pids_peak);
	totals->pids_denied += own->pids_denied;
	totals->oom_kills = greater(totals->oom_kills, own->oom_kills);
	totals->memory_at_limit += own->memory_at_limit;
}

void usage_totals_subtract(struct usage_totals *from, const struct usage_totals *part)
{
	from->cpu_usec -= part->cpu_usec;
	from->cpu_user_usec -= part->cpu_user_usec;
	from->cpu_system_usec -= part->cpu_system_usec;
	from->throttled_usec -= part->throttled_usec;
	from->memory_kib_usec -= part->memory_kib_usec;
	from->pids_denied -= part->pids_denied;
	from->oom_kills -= part->oom_kills;
	from->memory_at_limit -= part->memory_at_limit;
	from->running_usec -= part->running_usec;
	from->runs -= part->runs;
	subtract_traffic(&from->net, &part->net);
	subtract_io_usage(&from->io, &part->io);
}

const char *usage_format(unsigned __int128 value, char out[static USAGE_DECIMAL_MAX])
{
	char digits[USAGE_DECIMAL_MAX];
	size_t n = 0;

	do {
		digits[n++] = (char)('0' + (int)(value % 10));
		value /= 10;
	} while (value);
	for (size_t i = 0; i < n; i++)
		out[i] = digits[n - 1 - i];
	out[n] = '\0';
	return out;
}

const char *usage_format_signed(
	bool negative, unsigned __int128 value, char out[static USAGE_DECIMAL_MAX + 1])
{
	out[0] = '-';
	usage_format(value, out + negative);
	return out;
}

/* Cutting samples into pieces; see ledger_cut.h. Whole numbers only, and no input or output. */
#include "server/ledger_cut.h"

#include "base/cleanup.h"

#include <string.h>

/* Further apart in one interval, wall clock and BOOTTIME were not merely slewed (500 ppm at most).
 */
#define STEP_USEC     1000000
#define STEP_FRACTION 1000

/* Two samples, and what holds between them. */
struct interval {
	const struct usage_point *a;
	const struct usage_point *b;
	bool has_net; /* it was read for b */
	bool has_io;
	uint64_t span;
	unsigned flags;		   /* enum ledger_flag */
	bool counts[USAGE_IO + 1]; /* by group: its counters' differences count */
};

int64_t ledger_hour_of(int64_t wall_usec)
{
	int64_t into = wall_usec % LEDGER_HOUR_USEC;

	return wall_usec - (into < 0 ? into + LEDGER_HOUR_USEC : into);
}

static uint64_t greater(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* --- where things lie in an interval --- */

bool ledger_is_step(uint64_t span_usec, int64_t wall_usec)
{
	__int128 apart = (__int128)span_usec - wall_usec;

	return wall_usec < 0 ||
	       (apart < 0 ? -apart : apart) > STEP_USEC + span_usec / STEP_FRACTION;
}

static bool fell(const struct counters *a, const struct counters *b, enum usage_group group)
{
	for (size_t i = 0; i < USAGE_COUNTERS; i++)
		if (usage_counters[i].cumulative && usage_counters[i].group == group &&
			usage_counter_get(b, &usage_counters[i]) <
				usage_counter_get(a, &usage_counters[i]))
			return true;
	return false;
}

static void interval_make(const struct ledger_cut *cut, const struct usage_point *b,
	const struct counters *read, struct interval *ret)
{
	const struct usage_point *a = &cut->last;
	/* Of traffic, what was before its base is somebody else's; I/O begins at 0 with the run. */
	const bool known[] = {[USAGE_CGROUP] = true,
		[USAGE_NET] = a->counters.has_net && b->counters.has_net,
		[USAGE_IO] = b->counters.has_io};

	*ret = (struct interval){.a = a,
		.b = b,
		.has_net = read->has_net,
		.has_io = read->has_io,
		.span = b->boot_usec - a->boot_usec};
	if (ledger_is_step(ret->span, b->wall_usec - a->wall_usec))
		ret->flags |= LEDGER_STEPPED;
	for (size_t group = 0; group < ARRAY_SIZE(known); group++) {
		bool falls = known[group] &&
			     fell(&a->counters, &b->counters, (enum usage_group)group);

		ret->counts[group] = known[group] && !falls;
		ret->flags |= falls ? LEDGER_FELL : 0;
	}
}

/* When, by BOOTTIME, the wall clock showed that. It was not set in this interval. */
static uint64_t place_of(const struct interval *i, int64_t wall_usec)
{
	int64_t whole = i->b->wall_usec - i->a->wall_usec;
	int64_t part = wall_usec - i->a->wall_usec;

	if (part <= 0 || whole <= 0)
		return i->a->boot_usec;
	return i->a->boot_usec +
	       (uint64_t)((unsigned __int128)i->span * (uint64_t)part / (uint64_t)whole);
}

static uint64_t counter_at(const struct interval *i, const struct usage_counter *counter,
	uint64_t boot_usec, bool is_end)
{
	uint64_t a = usage_counter_get(&i->a->counters, counter);
	uint64_t b = usage_counter_get(&i->b->counters, counter);

	if (is_end)
		return b;
	if (!i->counts[counter->group] || !i->span)
		return a;
	return a + (uint64_t)((unsigned __int128)(b - a) * (boot_usec - i->a->boot_usec) / i->span);
}

static const struct usage_counter *counter_of(const struct ledger_meter *meter)
{
	/* Their ids count from 1 in the order of the table; a unit test says so. */
	return &usage_counters[meter->counter_id - 1];
}

/* --- the piece --- */

static void new_piece(struct ledger_cut *cut)
{
	memset(&cut->piece, 0, sizeof(cut->piece));
	cut->piece.from_boot_usec = cut->at.boot_usec;
	cut->piece.window_start_usec = cut->at.window_start_usec;
	cut->piece.terms = cut->terms.key;
	cut->begun = false;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
	if (value < low)
		return low;
	return value > high ? high : value;
}

/* Ends the piece at the present position; the caller has not moved the window yet. */
static int end_piece(struct ledger_cut *cut, int64_t end_wall_usec,
	const struct ledger_position *next, struct err *err)
{
	struct ledger_piece *piece = &cut->piece;
	bool empty = cut->at.boot_usec == piece->from_boot_usec && !piece->samples;
	int r = 0;

	piece->to_boot_usec = cut->at.boot_usec;
	piece->window_end_usec = clamp(
		end_wall_usec, cut->at.window_start_usec, cut->at.hour_end_usec);
	if (!empty)
		r = cut->emit(cut->arg, piece, next, err);
	cut->at = *next;
	return r;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static bool is_gap(const struct ledger_cut *cut, const struct interval *i)
{
	return i->span > cut->gap_usec;
}

/* What a meter counts each microsecond of the interval, all of whose time is of the piece. */
static uint64_t rate_of(
	const struct ledger_cut *cut, const struct interval *i, const struct ledger_meter *meter)
{
	bool gap = is_gap(cut, i);

	switch (meter->kind) {
	case METER_RUNNING:
		return 1;
	case METER_WORKING_SET:
		return gap ? 0
			   : smaller(i->a->counters.memory_working_set_bytes,
				     i->b->counters.memory_working_set_bytes) /
				       1024;
	case METER_HELD:
		/* The others are croftd's own to change: in a gap they did not. */
		if (gap && meter->held == HELD_DISK)
			return 0;
		return smaller(i->a->held.value[meter->held], i->b->held.value[meter->held]) /
		       meter->per;
	case METER_ALLOCATED:
		return cut->terms.limits.value[meter->limit] / meter->per;
	default:
		return 0;
	}
}

static void add_time(struct ledger_cut *cut, const struct interval *i, uint64_t span)
{
	struct ledger_piece *piece = &cut->piece;

	for (size_t m = 0; m < LEDGER_METERS; m++)
		if (piece->present & ledger_bit(m))
			piece->amount[m] += (unsigned __int128)rate_of(cut, i, &ledger_meters[m]) *
					    span;
}

static void add_counters(
	struct ledger_cut *cut, const struct interval *i, uint64_t from, uint64_t to, bool is_end)
{
	struct ledger_piece *piece = &cut->piece;

	for (size_t m = 0; m < LEDGER_METERS; m++) {
		const struct ledger_meter *meter = &ledger_meters[m];
		uint64_t start;
		uint64_t end;

		if (meter->kind != METER_COUNTER)
			continue;
		start = counter_at(i, counter_of(meter), from, false);
		end = counter_at(i, counter_of(meter), to, is_end);
		if (!cut->begun)
			piece->counter_start[m] = start;
		piece->counter_end[m] = end;
		if (i->counts[meter->group])
			piece->amount[m] += end - start;
	}
	cut->begun = true;
}

/* Which five minutes of its hour a moment is in; those before and behind are of its ends. */
static size_t slot_of(const struct ledger_cut *cut, int64_t wall_usec)
{
	int64_t into = wall_usec - (cut->at.hour_end_usec - LEDGER_HOUR_USEC);

	return (size_t)(clamp(into, 0, LEDGER_HOUR_USEC - 1) / BURST_SLOT_USEC);
}

static void add_to_slot(struct ledger_cut *cut, const struct interval *i, size_t slot,
	uint64_t from, uint64_t to, bool is_end)
{
	/* By their ids, see usage_counters[]. */
	static const size_t counters[BURST_WAYS] = {[BURST_IN] = 15 - 1, [BURST_OUT] = 17 - 1};

	for (size_t way = 0; way < BURST_WAYS; way++)
		cut->piece.slots.bytes[way][slot] +=
			counter_at(i, &usage_counters[counters[way]], to, is_end) -
			counter_at(i, &usage_counters[counters[way]], from, false);
}

/*
 * Traffic by the clock's five minutes, cut within the interval as hours are. Where nobody read it
 * for longer than that, though samples went on, nobody knows when it was, and the least that it can
 * be is a few of those that are dropped.
 */
static void add_slots(
	struct ledger_cut *cut, const struct interval *i, uint64_t from, uint64_t to, bool is_end)
{
	int64_t hour = cut->at.hour_end_usec - LEDGER_HOUR_USEC;
	bool stepped = i->flags & LEDGER_STEPPED;
	size_t last = slot_of(cut, i->b->wall_usec);
	uint64_t unread = i->b->boot_usec - cut->net_boot_usec;

	if (!i->counts[USAGE_NET] || !i->has_net ||
		(unread > cut->gap_usec && unread > BURST_SLOT_USEC))
		return;
	for (size_t slot = stepped ? last : slot_of(cut, i->a->wall_usec); slot < last; slot++) {
		uint64_t end = place_of(i, hour + (int64_t)(slot + 1) * BURST_SLOT_USEC);

		end = smaller(greater(end, from), to);
		add_to_slot(cut, i, slot, from, end, false);
		from = end;
	}
	add_to_slot(cut, i, last, from, to, is_end);
}

static bool has_meter(
	const struct ledger_cut *cut, const struct usage_point *point, const struct ledger_meter *m)
{
	if (!(m->of & 1u << cut->kind))
		return false;
	if (m->kind == METER_ALLOCATED)
		return cut->terms.key && cut->terms.limits.value[m->limit] != LIMIT_UNSET;
	if (m->kind == METER_HELD || m->kind == METER_RISE)
		return point->held.known & 1u << m->held;
	return usage_has(&point->counters, m->group);
}

/* Which meters the piece has, as far as is known at a sample. */
static void add_presence(struct ledger_cut *cut, const struct usage_point *point)
{
	for (size_t m = 0; m < LEDGER_METERS; m++)
		if (has_meter(cut, point, &ledger_meters[m]))
			cut->piece.present |= ledger_bit(m);
}

/*
 * A peak was reached within an interval when the kernel's own, which counts from the run's start,
 * went up in it; else only what was seen is sure.
 */
static void add_peaks(struct ledger_cut *cut, const struct counters *a, const struct counters *b)
{
	uint64_t memory = b->memory_bytes;
	uint64_t pids = b->pids;

	if (b->memory_peak_bytes > a->memory_peak_bytes)
		memory = greater(memory, b->memory_peak_bytes);
	if (b->pids_peak != UINT64_MAX &&
		(a->pids_peak == UINT64_MAX || b->pids_peak > a->pids_peak))
		pids = greater(pids, b->pids_peak);
	for (size_t m = 0; m < LEDGER_METERS; m++) {
		unsigned __int128 *amount = &cut->piece.amount[m];

		if (ledger_meters[m].kind == METER_MEMORY_PEAK && *amount < memory)
			*amount = memory;
		else if (ledger_meters[m].kind == METER_PIDS_PEAK && *amount < pids)
			*amount = pids;
	}
}

/* What was found by a sample belongs to the hour of that sample. */
static void add_rises(
	struct ledger_cut *cut, const struct usage_held *a, const struct usage_held *b)
{
	for (size_t m = 0; m < LEDGER_METERS; m++) {
		size_t id = ledger_meters[m].held;
		uint64_t before;

		if (ledger_meters[m].kind != METER_RISE || !(b->known & 1u << id))
			continue;
		before = a->known & 1u << id ? a->value[id] : 0;
		if (b->value[id] > before)
			cut->piece.amount[m] += b->value[id] - before;
	}
}

/* Moves on to a place in the interval; is_end: to its end. */
static void advance(struct ledger_cut *cut, const struct interval *i, uint64_t to, bool is_end)
{
	uint64_t from = cut->at.boot_usec;

	cut->piece.flags |= i->flags | (is_gap(cut, i) ? LEDGER_GAP : 0);
	add_presence(cut, is_end ? i->b : i->a);
	add_counters(cut, i, from, to, is_end);
	add_slots(cut, i, from, to, is_end);
	add_time(cut, i, to - from);
	if (is_end) {
		add_peaks(cut, &i->a->counters, &i->b->counters);
		add_rises(cut, &i->a->held, &i->b->held);
		cut->piece.samples++;
		cut->at.last_sequence = i->b->sequence;
		if (i->has_net)
			cut->at.net_sequence = i->b->sequence;
		if (i->has_io)
			cut->at.io_sequence = i->b->sequence;
	}
	cut->at.boot_usec = to;
}

/* --- edges --- */

/* Where in an hour a run's window begins. */
static int64_t window_of(const struct ledger_cut *cut, int64_t hour)
{
	int64_t start = cut->start_wall_usec;

	return start > hour && start < hour + LEDGER_HOUR_USEC ? start : hour;
}

/* The clock was set in this interval: it belongs to the hour that its end is labelled with. */
static int take_step(struct ledger_cut *cut, const struct interval *i, struct err *err)
{
	struct ledger_position next = cut->at;
	int64_t hour = ledger_hour_of(i->b->wall_usec);
	int r;

	if (hour + LEDGER_HOUR_USEC == cut->at.hour_end_usec)
		return 0;
	next.hour_end_usec = hour + LEDGER_HOUR_USEC;
	next.window_start_usec = window_of(cut, hour);
	r = end_piece(cut, i->a->wall_usec, &next, err);
	new_piece(cut);
	return r;
}

static int take_hour(struct ledger_cut *cut, struct err *err)
{
	struct ledger_position next = cut->at;
	int r;

	next.window_start_usec = cut->at.hour_end_usec;
	next.hour_end_usec = cut->at.hour_end_usec + LEDGER_HOUR_USEC;
	r = end_piece(cut, cut->at.hour_end_usec, &next, err);
	new_piece(cut);
	return r;
}

static int take_terms(struct ledger_cut *cut, struct err *err)
{
	struct ledger_position next = cut->at;
	struct ledger_terms terms = cut->coming;
	int r;

	next.terms = terms.key;
	next.window_start_usec = clamp(
		terms.wall_usec, cut->at.window_start_usec, cut->at.hour_end_usec - 1);
	r = end_piece(cut, next.window_start_usec, &next, err);
	cut->terms = terms;
	new_piece(cut);
	if (r < 0)
		return r;
	return cut->next_terms(cut->arg, terms.key, &cut->coming, err);
}

/* Takes the next edge of the interval, if there is one. *ret_taken tells. */
static int take_edge(
	struct ledger_cut *cut, const struct interval *i, bool *ret_taken, struct err *err)
{
	bool hour = !(i->flags & LEDGER_STEPPED) && i->b->wall_usec >= cut->at.hour_end_usec;
	bool terms = cut->coming.key && cut->coming.boot_usec < i->b->boot_usec;
	uint64_t hour_at = hour ? greater(place_of(i, cut->at.hour_end_usec), cut->at.boot_usec)
				: UINT64_MAX;
	uint64_t terms_at = terms ? greater(cut->coming.boot_usec, cut->at.boot_usec) : UINT64_MAX;
	uint64_t to = hour_at <= terms_at ? hour_at : terms_at;

	*ret_taken = hour || terms;
	if (!*ret_taken)
		return 0;
	/* At the interval's very end the sample itself is on this side. */
	if (to >= i->b->boot_usec)
		advance(cut, i, i->b->boot_usec, true);
	else if (to > cut->at.boot_usec)
		advance(cut, i, to, false);
	return hour_at <= terms_at ? take_hour(cut, err) : take_terms(cut, err);
}

int ledger_cut_add(struct ledger_cut *cut, const struct usage_point *point, struct err *err)
{
	struct usage_point b = *point;
	struct interval i;
	bool taken = true;
	int r = 0;

	if (b.boot_usec < cut->last.boot_usec)
		b.boot_usec = cut->last.boot_usec;
	usage_carry(&b, &cut->last);
	interval_make(cut, &b, &point->counters, &i);
	if (cut->gap && is_gap(cut, &i))
		r = cut->gap(cut->arg, i.a, i.b, err);
	if (r == 0 && i.flags & LEDGER_STEPPED)
		r = take_step(cut, &i, err);
	while (r == 0 && taken && cut->at.last_sequence != b.sequence)
		r = take_edge(cut, &i, &taken, err);
	/* Hours may end at the very end of the interval, behind which nothing is left of it. */
	if (r == 0 && cut->at.last_sequence != b.sequence)
		advance(cut, &i, b.boot_usec, true);
	/* As it is on record, which is what one who resumes has. */
	if (i.has_net)
		cut->net_boot_usec = point->boot_usec;
	cut->last = b;
	return r;
}

int ledger_cut_end(struct ledger_cut *cut, struct err *err)
{
	struct ledger_position next = cut->at;

	if (!cut->begun)
		return 0;
	return end_piece(cut, cut->last.wall_usec, &next, err);
}

struct ledger_position ledger_cut_start(const struct usage_point *start)
{
	return (struct ledger_position){.boot_usec = start->boot_usec,
		.window_start_usec = start->wall_usec,
		.hour_end_usec = ledger_hour_of(start->wall_usec) + LEDGER_HOUR_USEC,
		.last_sequence = start->sequence};
}

int ledger_cut_begin(struct ledger_cut *cut, const struct ledger_position *at,
	const struct usage_point *last, const struct ledger_terms *terms, int64_t start_wall_usec,
	struct err *err)
{
	cut->start_wall_usec = start_wall_usec;
	cut->last = *last;
	cut->at = *at;
	cut->at.terms = terms->key;
	cut->terms = *terms;
	new_piece(cut);
	return cut->next_terms(cut->arg, terms->key, &cut->coming, err);
}

void ledger_figures_make(const struct ledger_piece *piece, uint32_t carry[static LEDGER_METERS],
	struct ledger_figures *ret)
{
	ret->present = piece->present;
	ret->samples = piece->samples;
	memcpy(ret->counter_start, piece->counter_start, sizeof(ret->counter_start));
	memcpy(ret->counter_end, piece->counter_end, sizeof(ret->counter_end));
	ret->slots = piece->slots;
	for (size_t m = 0; m < LEDGER_METERS; m++) {
		unsigned __int128 all = piece->amount[m] + carry[m];

		ret->quantity[m] = all / ledger_meters[m].divisor;
		carry[m] = (uint32_t)(all % ledger_meters[m].divisor);
		if (ledger_meter_is_burst(m))
			ret->quantity[m] = burst_highest(&piece->slots);
	}
}

/* Adding up records; see usage_sums.h. */
#include "server/usage_sums.h"

#include "server/convert.h"

/* An operator's is never more than what it corrects, which is of the same period. */
static void add_correction(struct usage_sums *sums, const struct ledger_entry *entry, size_t m)
{
	__int128 amount = (__int128)entry->figures.quantity[m];

	if (ledger_entry_is_negative(entry))
		amount = -amount;
	sums->quantity[m] += (unsigned __int128)amount;
	sums->corrected[m] += amount;
	sums->has_corrected |= ledger_bit(m);
}

static int add_burst(
	struct usage_sums *sums, const struct ledger_entry *entry, size_t *hours, struct err *err)
{
	int64_t hour = ledger_hour_of(entry->window_start_usec) / LEDGER_HOUR_USEC;
	size_t before = sums->burst.n;

	if (!hours)
		return 0;
	if (burst_add(&sums->burst, hour, &entry->figures.slots) < 0)
		return err_oom(err);
	*hours += sums->burst.n - before;
	return 0;
}

/* Adds one meter of an entry that samples were cut to. */
static int add_meter(struct usage_sums *sums, const struct ledger_entry *entry, size_t m,
	size_t *hours, struct err *err)
{
	const struct ledger_figures *f = &entry->figures;

	if (ledger_meter_is_burst(m))
		return add_burst(sums, entry, hours, err);
	if (!ledger_meter_is_max(m))
		sums->quantity[m] += f->quantity[m];
	else if (f->quantity[m] > sums->quantity[m])
		sums->quantity[m] = f->quantity[m];
	return 0;
}

/* Those that sums say something of. */
static uint64_t meters_of(const struct ledger_figures *f, bool ranked)
{
	uint64_t meters = f->present;

	for (size_t m = 0; !ranked && m < LEDGER_METERS; m++)
		if (ledger_meter_is_burst(m))
			meters &= ~ledger_bit(m);
	return meters;
}

int usage_sums_add(
	struct usage_sums *sums, const struct export_item *item, size_t *hours, struct err *err)
{
	const struct ledger_figures *f = &item->entry.figures;
	bool by_operator = item->entry.flags & LEDGER_OPERATOR;
	int r = 0;

	sums->corrections += by_operator;
	sums->windows += !by_operator;
	sums->closed += !by_operator && item->entry.finalized_usec != 0;
	sums->present |= meters_of(f, hours != NULL);
	for (size_t m = 0; r == 0 && m < LEDGER_METERS; m++) {
		if (!ledger_entry_has(&item->entry, m))
			continue;
		if (by_operator)
			add_correction(sums, &item->entry, m);
		else
			r = add_meter(sums, &item->entry, m, hours, err);
	}
	return r;
}

void usage_sums_finish(struct usage_sums *sums)
{
	burst_finish(&sums->burst);
}

/* Of so much of the period as is over. */
void usage_sums_rank(struct usage_sums *sums, const struct export_cursor *cursor, size_t *hours)
{
	int64_t now = clock_wall_usec();

	sums->p95 = burst_p95(&sums->burst, cursor->from_wall_usec,
		cursor->to_wall_usec < now ? cursor->to_wall_usec : now);
	*hours -= sums->burst.n;
	burst_finish(&sums->burst);
}

int usage_hours_hold(size_t *of_all, size_t *held, size_t hours, struct err *err)
{
	*of_all = *of_all - *held + hours;
	*held = hours;
	if (*of_all <= USAGE_HOURS_MAX)
		return 0;
	return err_set(err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_HOURS",
		"net.p95 is of more than %u hours that are not closed yet, with what other calls"
		" ask for; ask again later, for a shorter period, or for one tenant at a time",
		USAGE_HOURS_MAX);
}

static const char *corrected_text(const struct usage_sums *sums, size_t m, char *out)
{
	__int128 amount = sums->corrected[m];

	if (!(sums->has_corrected & ledger_bit(m)))
		return "";
	return usage_format_signed(
		amount < 0, (unsigned __int128)(amount < 0 ? -amount : amount), out);
}

void usage_sums_fill(const struct usage_sums *sums, const struct export_cursor *cursor,
	struct usage_sums_message *out)
{
	croft__v1__usage_summary__init(&out->msg);
	convert_time(cursor->from_wall_usec, &out->from);
	convert_time(cursor->to_wall_usec, &out->to);
	for (size_t m = 0; m < LEDGER_METERS; m++) {
		Croft__V1__MeterSum *sum = &out->sums[out->msg.n_sums];

		if (!(sums->present & ledger_bit(m)))
			continue;
		croft__v1__meter_sum__init(sum);
		sum->meter = (char *)ledger_meters[m].name;
		sum->unit = (char *)ledger_meters[m].unit;
		sum->aggregation = (char *)ledger_meters[m].aggregation;
		sum->quantity = (char *)usage_format(
			ledger_meter_is_burst(m) ? sums->p95 : sums->quantity[m],
			out->quantities[m]);
		sum->corrected = (char *)corrected_text(sums, m, out->corrected[m]);
		out->list[out->msg.n_sums++] = sum;
	}
	out->msg.from = &out->from;
	out->msg.to = &out->to;
	out->msg.sums = out->list;
	out->msg.windows = sums->windows;
	out->msg.closed_windows = sums->closed;
	out->msg.corrections = sums->corrections;
}

int usage_period_read(const Google__Protobuf__Timestamp *from,
	const Google__Protobuf__Timestamp *to, struct export_cursor *ret, struct err *err)
{
	int r = from ? convert_time_back(from, &ret->from_wall_usec, err) : 0;

	if (r == 0 && to)
		r = convert_time_back(to, &ret->to_wall_usec, err);
	if (r < 0)
		return r;
	if ((to ? ret->to_wall_usec : clock_wall_usec()) < ret->from_wall_usec)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "TIME_INVALID", "to",
			"the period ends before it begins");
	return 0;
}

void usage_period_until_now(struct export_cursor *cursor)
{
	if (!cursor->to_wall_usec)
		cursor->to_wall_usec = clock_wall_usec() + 1;
}

bool usage_period_is_ranked(const struct export_cursor *cursor)
{
	return cursor->from_wall_usec &&
	       cursor->to_wall_usec - cursor->from_wall_usec <= USAGE_RANKED_MAX_USEC;
}

bool usage_period_is_past(const struct export_cursor *cursor)
{
	return cursor->to_wall_usec && cursor->to_wall_usec <= clock_wall_usec();
}

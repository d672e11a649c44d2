/* Periods of traffic and what is used of an allowance; see allowance_period.h. */
#include "server/allowance_period.h"

#include "base/cleanup.h"

#include <time.h>

#define USEC_PER_S INT64_C(1000000)

static int days_of_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month] + (month == 1 && leap);
}

/* 00:00 of the day in a month, which may be 12: of the next year. */
static int64_t reset_of(int year, int month, uint32_t day)
{
	struct tm tm = {.tm_year = year - 1900 + month / 12, .tm_mon = month % 12};
	int last = days_of_month(tm.tm_year + 1900, tm.tm_mon);

	tm.tm_mday = (int)day < last ? (int)day : last;
	return timegm(&tm) * USEC_PER_S;
}

int64_t allowance_next_reset(int64_t wall_usec, uint32_t day)
{
	time_t seconds = (time_t)(wall_usec / USEC_PER_S);
	struct tm tm;
	int64_t reset;

	gmtime_r(&seconds, &tm);
	reset = reset_of(tm.tm_year + 1900, tm.tm_mon, day);
	return reset > wall_usec ? reset : reset_of(tm.tm_year + 1900, tm.tm_mon + 1, day);
}

/* The last reset that is not after wall_usec. */
static int64_t last_reset(int64_t wall_usec, uint32_t day)
{
	time_t seconds = (time_t)(wall_usec / USEC_PER_S);
	struct tm tm;
	int64_t reset;
	int year;

	gmtime_r(&seconds, &tm);
	year = tm.tm_year + 1900;
	reset = reset_of(year, tm.tm_mon, day);
	if (reset <= wall_usec)
		return reset;
	return tm.tm_mon ? reset_of(year, tm.tm_mon - 1, day) : reset_of(year - 1, 11, day);
}

/* Of another day than it was found by. True when that makes another end. */
static bool find_end(struct tenant *t, int64_t wall_usec)
{
	struct allowance *a = &t->allowance;
	int64_t before = a->now.end_wall_usec;

	a->day = t->traffic_reset_day;
	a->now.end_wall_usec = allowance_next_reset(wall_usec, a->day);
	return a->now.end_wall_usec != before;
}

bool allowance_turn(struct tenant *t, int64_t wall_usec, struct allowance_period *ret_ended)
{
	struct allowance *a = &t->allowance;
	uint64_t slowed_rate = a->now.slowed_rate;

	*ret_ended = (struct allowance_period){0};
	if (a->now.start_wall_usec && wall_usec < a->now.start_wall_usec &&
		a->before.start_wall_usec && wall_usec >= a->before.start_wall_usec) {
		a->now = a->before;
		/* Its network is as it was a moment ago, not as it was then. */
		a->now.slowed_rate = slowed_rate;
		a->before = (struct allowance_period){0};
		a->day = 0;
		return true;
	}
	/* Set back further than what is known: the period waits for its time to come again. */
	if (wall_usec < a->now.start_wall_usec)
		return false;
	if (a->now.start_wall_usec && wall_usec < a->now.end_wall_usec)
		return a->day != t->traffic_reset_day && find_end(t, wall_usec);
	*ret_ended = a->now;
	a->before = a->now;
	a->now = (struct allowance_period){
		/* Its first period begins with the tenant. */
		.start_wall_usec = a->before.start_wall_usec
					   ? last_reset(wall_usec, t->traffic_reset_day)
					   : wall_usec,
		.end_wall_usec = allowance_next_reset(wall_usec, t->traffic_reset_day),
		.in_base = t->totals.net.outside_in.bytes,
		.out_base = t->totals.net.outside_out.bytes,
		.slowed_rate = slowed_rate,
	};
	a->day = t->traffic_reset_day;
	return true;
}

/* A base may be a little more than what was committed before a crash: the counters catch up. */
static uint64_t since(uint64_t now, uint64_t base)
{
	return now > base ? now - base : 0;
}

struct allowance_use allowance_used(const struct tenant *t)
{
	const struct allowance_period *now = &t->allowance.now;

	if (!now->start_wall_usec)
		return (struct allowance_use){0};
	return (struct allowance_use){
		.in = since(t->totals.net.outside_in.bytes, now->in_base),
		.out = since(t->totals.net.outside_out.bytes, now->out_base),
	};
}

static unsigned percent_of(unsigned __int128 used, uint64_t limit)
{
	unsigned __int128 percent = limit == LIMIT_UNSET || !limit ? 0 : used * 100 / limit;

	return percent > UINT32_MAX ? UINT32_MAX : (unsigned)percent;
}

unsigned allowance_percent(const struct tenant *t, enum limit_id *ret_limit)
{
	struct allowance_use used = allowance_used(t);
	unsigned all = percent_of(
		(unsigned __int128)used.in + used.out, t->limits.value[LIMIT_TRAFFIC]);
	unsigned out = percent_of(used.out, t->limits.value[LIMIT_TRAFFIC_OUT]);

	if (ret_limit)
		*ret_limit = out > all ? LIMIT_TRAFFIC_OUT : LIMIT_TRAFFIC;
	return out > all ? out : all;
}

uint64_t allowance_rate(const struct tenant *t)
{
	return allowance_percent(t, NULL) >= 100 ? t->limits.value[LIMIT_TRAFFIC_RATE]
						 : LIMIT_UNSET;
}

unsigned allowance_level(unsigned percent)
{
	static const unsigned levels[] = {100, 90, 80};

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (percent >= levels[i])
			return levels[i];
	return 0;
}

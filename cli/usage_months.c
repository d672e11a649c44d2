/* Sums of months; see usage_months.h. A table has a column a month, JSON and CSV a line each. */
#include "cli/usage_months.h"

#include "base/cleanup.h"
#include "cli/csv.h"
#include "cli/table.h"
#include "croft/v1/usage.pb-c.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define MONTH_TEXT_MAX 32
#define METERS_MAX     64

struct month {
	char title[MONTH_TEXT_MAX];
	ProtobufCMessage *reply; /* owned: a UsageSummary */
};

struct months {
	struct month month[USAGE_MONTHS_MAX];
	size_t n;
};

static void months_finish(struct months *m)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->month[i].reply)
			protobuf_c_message_free_unpacked(m->month[i].reply, NULL);
}

static const Croft__V1__UsageSummary *summary(const struct month *month)
{
	return (const void *)month->reply;
}

/* The first moment of the month so many before the present one; negative: behind it. */
static time_t month_start(int before, char title[static MONTH_TEXT_MAX])
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	tm = (struct tm){.tm_year = tm.tm_year, .tm_mon = tm.tm_mon - before, .tm_mday = 1};
	now = timegm(&tm);
	strftime(title, MONTH_TEXT_MAX, "%Y-%m", &tm);
	return now;
}

static int ask(struct cli *cli, char *name, int before, struct month *month, struct err *err)
{
	Croft__V1__SummarizeUsageRequest request = CROFT__V1__SUMMARIZE_USAGE_REQUEST__INIT;
	Google__Protobuf__Timestamp from = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Google__Protobuf__Timestamp to = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	char next[MONTH_TEXT_MAX];

	from.seconds = month_start(before, month->title);
	to.seconds = month_start(before - 1, next);
	request.name = name;
	request.from = &from;
	/* The present one is until now, and what runs is sampled first. */
	request.to = before ? &to : NULL;
	return cli_call(cli, &croft__v1__usage__descriptor, "SummarizeUsage", &request.base,
		&month->reply, err);
}

static const Croft__V1__MeterSum *find(const struct month *month, const char *meter)
{
	const Croft__V1__UsageSummary *s = summary(month);

	for (size_t i = 0; i < s->n_sums; i++)
		if (!strcmp(s->sums[i]->meter, meter))
			return s->sums[i];
	return NULL;
}

/* Each meter that any month has, once, in the order of the months. */
static size_t list_meters(const struct months *m, const Croft__V1__MeterSum **ret)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		const Croft__V1__UsageSummary *s = summary(&m->month[i]);

		for (size_t j = 0; j < s->n_sums && n < METERS_MAX; j++) {
			bool known = false;

			for (size_t k = 0; k < n; k++)
				known |= !strcmp(ret[k]->meter, s->sums[j]->meter);
			if (!known)
				ret[n++] = s->sums[j];
		}
	}
	return n;
}

/* What of the sums is operators' doing, a line for each month and meter. */
static void print_corrections(const struct months *m)
{
	for (size_t i = 0; i < m->n; i++) {
		const Croft__V1__UsageSummary *s = summary(&m->month[i]);

		for (size_t j = 0; j < s->n_sums; j++)
			if (*s->sums[j]->corrected)
				printf("of it corrected by operators: %s %s %s %s\n",
					m->month[i].title, s->sums[j]->meter, s->sums[j]->corrected,
					s->sums[j]->unit);
	}
}

static int print_table(const struct months *m, struct err *err)
{
	_cleanup_table_ struct table *table = NULL;
	const Croft__V1__MeterSum *meters[METERS_MAX];
	size_t n = list_meters(m, meters);
	int r = table_create(stdout, &table, err);

	if (r == 0)
		r = table_add_column(table, "METER", false, err);
	for (size_t i = 0; r == 0 && i < m->n; i++)
		r = table_add_column(table, m->month[i].title, true, err);
	if (r == 0)
		r = table_add_column(table, "UNIT", false, err);
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = table_add_row(table, err);
		if (r == 0)
			r = table_set(table, 0, meters[i]->meter, TABLE_BOLD, err);
		for (size_t j = 0; r == 0 && j < m->n; j++) {
			const Croft__V1__MeterSum *sum = find(&m->month[j], meters[i]->meter);

			r = table_set(table, j + 1, sum ? sum->quantity : "-", TABLE_PLAIN, err);
		}
		if (r == 0)
			r = table_set(table, m->n + 1, meters[i]->unit, TABLE_PLAIN, err);
	}
	if (r == 0)
		r = table_print(table, err);
	if (r == 0)
		print_corrections(m);
	return r < 0 ? r : output_flush(stdout, err);
}

static int print_csv(const struct months *m, struct err *err)
{
	static const char *const heading[] = {"name", "month", "meter", "quantity", "unit",
		"aggregation", "windows", "closed_windows", "corrected"};
	char windows[24];
	char closed[24];

	csv_print(heading, ARRAY_SIZE(heading), stdout);
	for (size_t i = 0; i < m->n; i++) {
		const Croft__V1__UsageSummary *s = summary(&m->month[i]);

		snprintf(windows, sizeof(windows), "%" PRIu64, s->windows);
		snprintf(closed, sizeof(closed), "%" PRIu64, s->closed_windows);
		for (size_t j = 0; j < s->n_sums; j++) {
			const char *const fields[] = {s->name, m->month[i].title, s->sums[j]->meter,
				s->sums[j]->quantity, s->sums[j]->unit, s->sums[j]->aggregation,
				windows, closed, s->sums[j]->corrected};

			csv_print(fields, ARRAY_SIZE(fields), stdout);
		}
	}
	return output_flush(stdout, err);
}

static int print_json(const struct months *m, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->n; i++)
		r = output_one(OUTPUT_JSON, NULL, m->month[i].reply, stdout, err);
	return r;
}

int usage_months_show(struct cli *cli, char *name, unsigned n, struct err *err)
{
	struct months months = {.n = 0};
	int r = 0;

	for (unsigned i = 0; r == 0 && i < n; i++) {
		r = ask(cli, name, (int)i, &months.month[i], err);
		months.n += r == 0;
	}
	if (r == 0)
		r = cli->format == OUTPUT_TABLE ? print_table(&months, err)
		    : cli->format == OUTPUT_CSV ? print_csv(&months, err)
						: print_json(&months, err);
	months_finish(&months);
	return r;
}

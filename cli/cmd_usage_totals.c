/* croft usage totals: a period's sums of every tenant; what a billing panel reads. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/csv.h"
#include "cli/month.h"
#include "cli/table.h"
#include "cli/usage.h"
#include "croft/v1/usage.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TENANT, ACCOUNT, METER, QUANTITY, UNIT, CORRECTED, COLUMNS };
static const char *const headings[COLUMNS] = {
	"TENANT", "ACCOUNT", "METER", "QUANTITY", "UNIT", "CORRECTED"};

struct totals {
	struct table *table; /* owned; of OUTPUT_TABLE */
	enum output_format format;
};

static void totals_finish(struct totals *t)
{
	table_destroy(t->table);
}

static int begin(struct totals *t, struct err *err)
{
	static const char *const names[] = {"tenant", "tenant_uid", "account_ref", "meter",
		"quantity", "unit", "aggregation", "windows", "closed_windows", "corrected"};
	int r = 0;

	if (t->format == OUTPUT_CSV)
		csv_print(names, ARRAY_SIZE(names), stdout);
	if (t->format != OUTPUT_TABLE)
		return 0;
	r = table_create(stdout, &t->table, err);
	for (size_t i = 0; r == 0 && i < COLUMNS; i++)
		r = table_add_column(t->table, headings[i], i == QUANTITY || i == CORRECTED, err);
	return r;
}

/* The tenant's id, without "tenants/". */
static const char *id_of(const Croft__V1__UsageSummary *s)
{
	const char *slash = strchr(s->name, '/');

	return slash ? slash + 1 : s->name;
}

static void add_csv(const Croft__V1__UsageSummary *s)
{
	char windows[24];
	char closed[24];

	snprintf(windows, sizeof(windows), "%" PRIu64, s->windows);
	snprintf(closed, sizeof(closed), "%" PRIu64, s->closed_windows);
	for (size_t i = 0; i < s->n_sums; i++) {
		const Croft__V1__MeterSum *sum = s->sums[i];
		const char *const fields[] = {id_of(s), s->tenant_uid, s->account_ref, sum->meter,
			sum->quantity, sum->unit, sum->aggregation, windows, closed,
			sum->corrected};

		csv_print(fields, ARRAY_SIZE(fields), stdout);
	}
}

static int add_rows(struct table *table, const Croft__V1__UsageSummary *s, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n_sums; i++) {
		const char *const texts[COLUMNS] = {id_of(s), s->account_ref, s->sums[i]->meter,
			s->sums[i]->quantity, s->sums[i]->unit,
			*s->sums[i]->corrected ? s->sums[i]->corrected : "-"};

		r = table_add_row(table, err);
		for (size_t j = 0; r == 0 && j < COLUMNS; j++)
			r = table_set(
				table, j, texts[j], j == TENANT ? TABLE_BOLD : TABLE_PLAIN, err);
	}
	return r;
}

static int add(struct totals *t, const ProtobufCMessage *reply, struct err *err)
{
	const Croft__V1__UsageSummary *s = (const void *)reply;

	if (t->format == OUTPUT_TABLE)
		return add_rows(t->table, s, err);
	if (t->format == OUTPUT_JSON)
		return output_one(OUTPUT_JSON, NULL, reply, stdout, err);
	add_csv(s);
	return 0;
}

static int receive(struct cli *cli, struct call *call, struct totals *t, struct err *err)
{
	int r = 0;

	while (r == 0) {
		_cleanup_message_ ProtobufCMessage *reply = NULL;

		r = cli_receive(cli, call, &reply, err);
		if (r == CALL_END)
			return 0;
		if (r == CALL_MESSAGE)
			r = add(t, reply, err);
	}
	return r;
}

static int read_period(const struct cli *cli, Croft__V1__SummarizeTenantsRequest *request,
	Google__Protobuf__Timestamp *from, Google__Protobuf__Timestamp *to, struct err *err)
{
	const char *month = options_get(&cli->options, "month");
	int r;

	if (!month) {
		r = cli_time(cli, "from", from, &request->from, err);
		return r < 0 ? r : cli_time(cli, "to", to, &request->to, err);
	}
	if (options_get(&cli->options, "from") || options_get(&cli->options, "to"))
		return usage_error(err, "--month is a period: leave out --from and --to");
	google__protobuf__timestamp__init(from);
	google__protobuf__timestamp__init(to);
	request->from = from;
	request->to = to;
	return month_read(month, &from->seconds, &to->seconds, err);
}

static int totals(struct cli *cli, struct err *err)
{
	Croft__V1__SummarizeTenantsRequest request = CROFT__V1__SUMMARIZE_TENANTS_REQUEST__INIT;
	_cleanup_(totals_finish) struct totals t = {.format = cli->format};
	_cleanup_call_ struct call *call = NULL;
	Google__Protobuf__Timestamp from;
	Google__Protobuf__Timestamp to;
	int r = read_period(cli, &request, &from, &to, err);

	if (r == 0)
		r = cli_stream(cli, &croft__v1__usage__descriptor, "SummarizeTenants",
			&request.base, &call, err);
	if (r == 0)
		r = begin(&t, err);
	if (r == 0)
		r = receive(cli, call, &t, err);
	if (r == 0 && t.table)
		r = table_print(t.table, err);
	return r < 0 ? r : output_flush(stdout, err);
}

static const struct option_rule options[] = {
	{.name = "month", .value = "YYYY-MM", .help = "that month, in UTC"},
	{.name = "from", .value = "TIME", .help = "records from then on (default: the first)"},
	{.name = "to", .value = "TIME", .help = "records before that (default: now)"},
	{0},
};

const struct command cmd_usage_totals = {
	.name = "usage totals",
	.summary = "Show what each tenant's records of a period add up to, by meter.",
	.options = options,
	.run = totals,
};

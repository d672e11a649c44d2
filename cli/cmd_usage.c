/*
 * croft usage ...: what the kernel counted. The columns of the export are an interface that
 * invoices are made from: add at the end, never reorder or rename.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "cli/usage.h"
#include "croft/v1/usage.pb-c.h"

#include <string.h>

#define SERVICE (&croft__v1__usage__descriptor)

static const char *memory_time_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__ResourceUsage *usage = (const void *)m;
	char size[LIMIT_TEXT_MAX];

	if (!human || !*usage->memory_kib_seconds)
		return usage->memory_kib_seconds;
	if (strlen(usage->memory_kib_seconds) > 16) /* 2^64 bytes are 2^54 KiB: 17 digits */
		snprintf(buf, COLUMN_TEXT_MAX, "%.200s KiB s", usage->memory_kib_seconds);
	else
		snprintf(buf, COLUMN_TEXT_MAX, "%s s",
			size_format(strtoull(usage->memory_kib_seconds, NULL, 10) * 1024, size));
	return buf;
}

/* People see them as print_usage() lays them out. */
const struct column usage_columns[] = {
	{"name", NULL, "name", COLUMN_RESOURCE, NULL},
	{"read_time", NULL, "read_time", COLUMN_TIME, NULL},
	{"running", NULL, "running", COLUMN_PLAIN, NULL},
	{"memory_bytes", NULL, "memory_bytes", COLUMN_SIZE, NULL},
	{"memory_working_set_bytes", NULL, "memory_working_set_bytes", COLUMN_SIZE, NULL},
	{"memory_limit_bytes", NULL, .kind = COLUMN_CUSTOM, .text = columns_memory},
	{"pids", NULL, "pids", COLUMN_PLAIN, NULL},
	{"pids_limit", NULL, .kind = COLUMN_CUSTOM, .text = columns_pids},
	{"disk_bytes", NULL, "disk_bytes", COLUMN_SIZE, NULL},
	{"disk_limit_bytes", NULL, .kind = COLUMN_CUSTOM, .text = columns_disk},
	{"inodes", NULL, "inodes", COLUMN_PLAIN, NULL},
	{"inodes_limit", NULL, .kind = COLUMN_CUSTOM, .text = columns_inodes},
	{"cpu_usec", NULL, "cpu_usec", COLUMN_USEC, NULL},
	{"cpu_throttled_usec", NULL, "cpu_throttled_usec", COLUMN_USEC, NULL},
	{"cpu_limit_milli", NULL, .kind = COLUMN_CUSTOM, .text = columns_cpu},
	{"memory_kib_seconds", NULL, .kind = COLUMN_CUSTOM, .text = memory_time_text},
	{"memory_peak_bytes", NULL, "memory_peak_bytes", COLUMN_SIZE, NULL},
	{"memory_at_limit", NULL, "memory_at_limit", COLUMN_PLAIN, NULL},
	{"oom_kills", NULL, "oom_kills", COLUMN_PLAIN, NULL},
	{"pids_peak", NULL, "pids_peak", COLUMN_PLAIN, NULL},
	{"pids_denied", NULL, "pids_denied", COLUMN_PLAIN, NULL},
	{"runs", NULL, "runs", COLUMN_PLAIN, NULL},
	{"running_usec", NULL, "running_usec", COLUMN_USEC, NULL},
	{"uid", NULL, "uid", COLUMN_PLAIN, NULL},
	{"end_time", NULL, "end_time", COLUMN_TIME, NULL},
	{"net_ingress_bytes", NULL, "net_ingress_bytes", COLUMN_SIZE, NULL},
	{"net_ingress_packets", NULL, "net_ingress_packets", COLUMN_PLAIN, NULL},
	{"net_egress_bytes", NULL, "net_egress_bytes", COLUMN_SIZE, NULL},
	{"net_egress_packets", NULL, "net_egress_packets", COLUMN_PLAIN, NULL},
	{"net_ingress_outside_bytes", NULL, "net_ingress_outside_bytes", COLUMN_SIZE, NULL},
	{"net_ingress_outside_packets", NULL, "net_ingress_outside_packets", COLUMN_PLAIN, NULL},
	{"net_egress_outside_bytes", NULL, "net_egress_outside_bytes", COLUMN_SIZE, NULL},
	{"net_egress_outside_packets", NULL, "net_egress_outside_packets", COLUMN_PLAIN, NULL},
	{"io_read_bytes", NULL, "io_read_bytes", COLUMN_SIZE, NULL},
	{"io_read_ops", NULL, "io_read_ops", COLUMN_PLAIN, NULL},
	{"io_write_bytes", NULL, "io_write_bytes", COLUMN_SIZE, NULL},
	{"io_write_ops", NULL, "io_write_ops", COLUMN_PLAIN, NULL},
	{"io_read_limit_bytes", NULL, .kind = COLUMN_CUSTOM, .text = columns_io_read},
	{"io_write_limit_bytes", NULL, .kind = COLUMN_CUSTOM, .text = columns_io_write},
	{0},
};

const struct column usage_record_columns[] = {
	{"record_id", "record_id", "record_id", COLUMN_PLAIN, NULL},
	{"tenant", "tenant", "tenant", COLUMN_PLAIN, NULL},
	{"account_ref", "account_ref", "account_ref", COLUMN_PLAIN, NULL},
	{"resource", "resource", "resource", COLUMN_PLAIN, NULL},
	{"resource_uid", "resource_uid", "resource_uid", COLUMN_PLAIN, NULL},
	{"run_id", "run_id", "run_id", COLUMN_PLAIN, NULL},
	{"meter", "meter", "meter", COLUMN_PLAIN, NULL},
	{"quantity", "quantity", "quantity", COLUMN_PLAIN, NULL},
	{"unit", "unit", "unit", COLUMN_PLAIN, NULL},
	{"aggregation", "aggregation", "aggregation", COLUMN_PLAIN, NULL},
	{"window_start", "window_start", "window_start", COLUMN_TIME, NULL},
	{"window_end", "window_end", "window_end", COLUMN_TIME, NULL},
	{"boot_id", "boot_id", "boot_id", COLUMN_PLAIN, NULL},
	{"counter_start", "counter_start", "counter_start", COLUMN_PLAIN, NULL},
	{"counter_end", "counter_end", "counter_end", COLUMN_PLAIN, NULL},
	{"samples", "samples", "samples", COLUMN_PLAIN, NULL},
	{"final", "final", "final", COLUMN_PLAIN, NULL},
	{0},
};

/* For people: a line for each thing that has a limit. */
static int print_usage(const ProtobufCMessage *usage, struct err *err)
{
	static const char *const headings[] = {
		"", "NOW", "LIMIT", "PEAK", "IN ALL", "AT THE LIMIT"};
	static const char *const rows[][ARRAY_SIZE(headings)] = {
		{"cpu", "-", "{cpu_limit_milli}", "-", "{cpu_usec}",
			"held back {cpu_throttled_usec}"},
		{"memory", "{memory_bytes}", "{memory_limit_bytes}", "{memory_peak_bytes}",
			"{memory_kib_seconds}", "{memory_at_limit} times, {oom_kills} killed"},
		{"working set", "{memory_working_set_bytes}", "-", "-", "-", "-"},
		{"pids", "{pids}", "{pids_limit}", "{pids_peak}", "-",
			"{pids_denied} forks denied"},
		{"disk", "{disk_bytes}", "{disk_limit_bytes}", "-", "-", "-"},
		{"inodes", "{inodes}", "{inodes_limit}", "-", "-", "-"},
		{"net in", "-", "-", "-", "{net_ingress_bytes}",
			"{net_ingress_outside_bytes} of it from outside"},
		{"net out", "-", "-", "-", "{net_egress_bytes}",
			"{net_egress_outside_bytes} of it to outside"},
		{"disk read", "-", "{io_read_limit_bytes}", "-", "{io_read_bytes}",
			"{io_read_ops} requests"},
		{"disk written", "-", "{io_write_limit_bytes}", "-", "{io_write_bytes}",
			"{io_write_ops} requests"},
		{"runs", "{running}", "-", "-", "{runs} in {running_usec}", "-"},
	};
	_cleanup_table_ struct table *table = NULL;
	char text[COLUMN_TEXT_MAX];
	int r = table_create(stdout, &table, err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(headings); i++)
		r = table_add_column(table, headings[i], false, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(rows); i++) {
		r = table_add_row(table, err);
		for (size_t j = 0; r == 0 && j < ARRAY_SIZE(headings); j++) {
			column_fill(usage_columns, rows[i][j], usage, text);
			r = table_set(table, j, text, j ? TABLE_PLAIN : TABLE_BOLD, err);
		}
	}
	if (r < 0)
		return r;
	column_fill(usage_columns,
		((const Croft__V1__ResourceUsage *)(const void *)usage)->end_time
			? "{name} {uid}, gone; its last run ended {end_time}"
			: "{name} at {read_time}",
		usage, text);
	puts(text);
	r = table_print(table, err);
	return r < 0 ? r : output_flush(stdout, err);
}

#define UID_LEN 32

/* "TENANT/UID", as records have it in resource_uid: what is gone may share its name with others. */
static bool names_uid(const char *arg)
{
	const char *slash = strchr(arg, '/');

	return slash && strlen(slash + 1) == UID_LEN &&
	       strspn(slash + 1, "0123456789abcdef") == UID_LEN;
}

/* Fills the request's names from TENANT, TENANT/NAME or TENANT/UID. */
static int name_resource(char *arg, char name[static RESOURCE_SIZE],
	Croft__V1__GetUsageRequest *request, struct err *err)
{
	const char *slash = strchr(arg, '/');
	char tenant[NAME_SIZE];

	request->name = name;
	if (!names_uid(arg))
		return slash ? cli_container_name(arg, name, err) : cli_tenant_name(arg, name, err);
	snprintf(tenant, sizeof(tenant), "%.*s", (int)(slash - arg), arg);
	request->container_uid = (char *)slash + 1;
	return cli_tenant_name(tenant, name, err);
}

static int show(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__GetUsageRequest request = CROFT__V1__GET_USAGE_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	int r = name_resource((char *)cli_arg(cli, 0), name, &request, err);

	if (r == 0)
		r = cli_call(cli, SERVICE, "GetUsage", &request.base, &reply, err);
	if (r < 0)
		return r;
	return cli->format == OUTPUT_TABLE
		       ? print_usage(reply, err)
		       : output_one(cli->format, usage_columns, reply, stdout, err);
}

/* Reads an option's RFC 3339 time into t and returns it; NULL when it was not given. */
static int read_time(const struct cli *cli, const char *option, Google__Protobuf__Timestamp *t,
	Google__Protobuf__Timestamp **ret, struct err *err)
{
	const char *text = options_get(&cli->options, option);
	int64_t usec;

	*ret = NULL;
	if (!text)
		return 0;
	if (clock_parse(text, &usec) < 0)
		return usage_error(err, "--%s \"%.40s\" is not a time such as 2026-01-31T00:00:00Z",
			option, text);
	google__protobuf__timestamp__init(t);
	t->seconds = usec / 1000000;
	t->nanos = (int32_t)(usec % 1000000 * 1000);
	if (t->nanos < 0) {
		t->nanos += 1000000000;
		t->seconds--;
	}
	*ret = t;
	return 0;
}

static int export_format(const struct cli *cli, enum output_format *ret, struct err *err)
{
	const char *format = options_get(&cli->options, "format");

	if (!format)
		*ret = cli->format == OUTPUT_JSON ? OUTPUT_JSON : OUTPUT_CSV;
	else if (!strcmp(format, "csv"))
		*ret = OUTPUT_CSV;
	else if (!strcmp(format, "jsonl"))
		*ret = OUTPUT_JSON;
	else if (!strcmp(format, "focus") || !strcmp(format, "cloudevents"))
		return usage_error(
			err, "--format %s is not supported in this version of croft", format);
	else
		return usage_error(err, "--format takes csv or jsonl, not \"%.40s\"", format);
	return 0;
}

static int print_records(
	struct cli *cli, struct call *call, enum output_format format, struct err *err)
{
	_cleanup_output_ struct output *output = NULL;
	int r = output_create(format, usage_record_columns, stdout, &output, err);

	while (r == 0) {
		_cleanup_message_ ProtobufCMessage *record = NULL;

		r = cli_receive(cli, call, &record, err);
		if (r == CALL_END)
			return output_end(output, err);
		if (r == CALL_MESSAGE)
			r = output_add(output, record, err);
	}
	return r;
}

static int export_records(struct cli *cli, struct err *err)
{
	Croft__V1__ExportUsageRequest request = CROFT__V1__EXPORT_USAGE_REQUEST__INIT;
	const char *tenant = options_get(&cli->options, "tenant");
	_cleanup_call_ struct call *call = NULL;
	Google__Protobuf__Timestamp from;
	Google__Protobuf__Timestamp to;
	enum output_format format = OUTPUT_CSV;
	char name[RESOURCE_SIZE] = "";
	int r = export_format(cli, &format, err);

	if (r == 0 && tenant)
		r = cli_tenant_name(tenant, name, err);
	if (r == 0)
		r = read_time(cli, "from", &from, &request.from, err);
	if (r == 0)
		r = read_time(cli, "to", &to, &request.to, err);
	request.tenant = name;
	if (r == 0)
		r = cli_stream(cli, SERVICE, "ExportUsage", &request.base, &call, err);
	return r < 0 ? r : print_records(cli, call, format, err);
}

static const struct option_rule export_options[] = {
	{.name = "from", .value = "TIME", .help = "only what was used from then on (RFC 3339)"},
	{.name = "to", .value = "TIME", .help = "only what was used before then (RFC 3339)"},
	{.name = "tenant", .value = "TENANT", .kind = WORD_TENANT, .help = "only this tenant's"},
	{.name = "format",
		.value = "csv|jsonl",
		.kind = WORD_CHOICE,
		.help = "the export's form (default: csv)"},
	{0},
};

const struct command cmd_usage_show = {
	.name = "usage show",
	.summary = "Show what a tenant or container uses now, and has used in all.",
	.args = {{.name = "TENANT[/NAME|/UID]", .kind = WORD_HOLDER}},
	.run = show,
};

const struct command cmd_usage_export = {
	.name = "usage export",
	.summary = "Print usage records, one for each run and meter.",
	.options = export_options,
	.run = export_records,
};

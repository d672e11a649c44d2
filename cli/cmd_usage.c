/*
 * croft usage show: what the kernel counted; and the columns of records. Those of the export are an
 * interface that invoices are made from: add at the end, never reorder or rename.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "cli/usage.h"
#include "cli/usage_months.h"
#include "cli/usage_resource.h"
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
	{"host", "host", "host", COLUMN_PLAIN, NULL},
	{"plan", "plan", "plan", COLUMN_PLAIN, NULL},
	{"kind", "kind", "kind", COLUMN_PLAIN, NULL},
	{"corrects", "corrects", "corrects", COLUMN_PLAIN, NULL},
	{"revision", "revision", "revision", COLUMN_PLAIN, NULL},
	{"reason", "reason", "reason", COLUMN_PLAIN, NULL},
	{"finalized_at", "finalized_at", "finalized_at", COLUMN_TIME, NULL},
	{"prev_hash", "prev_hash", "prev_hash", COLUMN_PLAIN, NULL},
	{"record_hash", "record_hash", "record_hash", COLUMN_PLAIN, NULL},
	{"slots", "slots", "slots", COLUMN_PLAIN, NULL},
	{"tenant_uid", "tenant_uid", "tenant_uid", COLUMN_PLAIN, NULL},
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

static int show(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__GetUsageRequest request = CROFT__V1__GET_USAGE_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	const char *months = options_get(&cli->options, "months");
	const char *uid;
	int r = usage_resource_read(cli_arg(cli, 0), name, &uid, err);
	uint64_t n = 0;

	if (r == 0 && months)
		r = cli_number("--months", months, USAGE_MONTHS_MAX, &n, err);
	if (r == 0 && months && (!n || *uid))
		r = usage_error(err, "--months takes a number from 1, of a TENANT or TENANT/NAME");
	if (r == 0 && n)
		return usage_months_show(cli, name, (unsigned)n, err);
	request.name = name;
	request.container_uid = (char *)uid;
	if (r == 0)
		r = cli_call(cli, SERVICE, "GetUsage", &request.base, &reply, err);
	if (r < 0)
		return r;
	return cli->format == OUTPUT_TABLE
		       ? print_usage(reply, err)
		       : output_one(cli->format, usage_columns, reply, stdout, err);
}

static const struct option_rule show_options[] = {
	{.name = "months",
		.value = "N",
		.help = "sums by meter of this calendar month (UTC) and the N-1 before"},
	{0},
};

const struct command cmd_usage_show = {
	.name = "usage show",
	.summary = "Show what a tenant or container uses now, and has used in all.",
	.args = {{.name = "TENANT[/NAME|/UID]", .kind = WORD_HOLDER}},
	.options = show_options,
	.run = show,
};

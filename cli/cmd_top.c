/*
 * croft top: what runs, live. Without a terminal, and for programs, one frame: the second of two
 * looks, a second apart, so that its rates are of that second.
 */
#include "base/cleanup.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/terminal.h"
#include "cli/top_print.h"
#include "cli/top_screen.h"
#include "cli/usage.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SERVICE (&croft__v1__usage__descriptor)

#define INTERVAL_DEFAULT_MS 1000
#define INTERVAL_MAX	    3600
#define FRAME_PAUSE_MS	    1000

static const char *pressure_column(
	const Croft__V1__Pressure *pressure, bool full, char buf[static COLUMN_TEXT_MAX])
{
	if (!pressure)
		return "";
	snprintf(buf, COLUMN_TEXT_MAX, "%u",
		full ? pressure->full_permyriad : pressure->some_permyriad);
	return buf;
}

#define PRESSURE_COLUMN(of, which, full)                                                           \
	static const char *of##_##which(                                                           \
		const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])           \
	{                                                                                          \
		(void)human;                                                                       \
		return pressure_column(                                                            \
			((const Croft__V1__LiveUsage *)(const void *)m)->of##_pressure, full,      \
			buf);                                                                      \
	}
PRESSURE_COLUMN(cpu, some, false)
PRESSURE_COLUMN(cpu, full, true)
PRESSURE_COLUMN(memory, some, false)
PRESSURE_COLUMN(memory, full, true)
PRESSURE_COLUMN(io, some, false)
PRESSURE_COLUMN(io, full, true)

static const char *forks(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__LiveUsage *usage = (const void *)m;

	(void)human;
	if (!usage->forks_counted)
		return "";
	snprintf(buf, COLUMN_TEXT_MAX, "%" PRIu64, usage->forks_per_second);
	return buf;
}

/* Of JSON and CSV; people see the lines of top_print.h. */
const struct column live_usage_columns[] = {
	{"name", NULL, "name", COLUMN_RESOURCE, NULL},
	{"read_time", NULL, "read_time", COLUMN_TIME, NULL},
	{"interval_usec", NULL, "interval_usec", COLUMN_PLAIN, NULL},
	{"running", NULL, "running", COLUMN_PLAIN, NULL},
	{"frozen", NULL, "frozen", COLUMN_PLAIN, NULL},
	{"cpu_milli", NULL, "cpu_milli", COLUMN_PLAIN, NULL},
	{"throttled_milli", NULL, "throttled_milli", COLUMN_PLAIN, NULL},
	{"memory_bytes", NULL, "memory_bytes", COLUMN_SIZE, NULL},
	{"memory_working_set_bytes", NULL, "memory_working_set_bytes", COLUMN_SIZE, NULL},
	{"memory_limit_bytes", NULL, .kind = COLUMN_CUSTOM, .text = columns_memory},
	{"pids", NULL, "pids", COLUMN_PLAIN, NULL},
	{"pids_limit", NULL, .kind = COLUMN_CUSTOM, .text = columns_pids},
	{"net_in_bytes", NULL, "net_in_bytes", COLUMN_SIZE, NULL},
	{"net_out_bytes", NULL, "net_out_bytes", COLUMN_SIZE, NULL},
	{"io_read_bytes", NULL, "io_read_bytes", COLUMN_SIZE, NULL},
	{"io_write_bytes", NULL, "io_write_bytes", COLUMN_SIZE, NULL},
	{"cpu_some_permyriad", NULL, .kind = COLUMN_CUSTOM, .text = cpu_some},
	{"cpu_full_permyriad", NULL, .kind = COLUMN_CUSTOM, .text = cpu_full},
	{"memory_some_permyriad", NULL, .kind = COLUMN_CUSTOM, .text = memory_some},
	{"memory_full_permyriad", NULL, .kind = COLUMN_CUSTOM, .text = memory_full},
	{"io_some_permyriad", NULL, .kind = COLUMN_CUSTOM, .text = io_some},
	{"io_full_permyriad", NULL, .kind = COLUMN_CUSTOM, .text = io_full},
	{"forks_per_second", NULL, .kind = COLUMN_CUSTOM, .text = forks},
	{0},
};

static int open_look(
	struct cli *cli, const struct top_options *options, struct call **ret, struct err *err)
{
	Croft__V1__ListLiveUsageRequest request = CROFT__V1__LIST_LIVE_USAGE_REQUEST__INIT;

	request.tenant = (char *)options->tenant;
	return cli_stream(cli, SERVICE, "ListLiveUsage", &request.base, ret, err);
}

/* The look that rates begin at; and the pause behind it. */
static int look_before(struct cli *cli, const struct top_options *options, struct err *err)
{
	struct timespec pause = {
		.tv_sec = FRAME_PAUSE_MS / 1000, .tv_nsec = FRAME_PAUSE_MS % 1000 * 1000000};
	_cleanup_call_ struct call *call = NULL;
	int r = open_look(cli, options, &call, err);

	for (int event = CALL_MESSAGE; r == 0 && event == CALL_MESSAGE;) {
		_cleanup_message_ ProtobufCMessage *message = NULL;

		event = cli_receive(cli, call, &message, err);
		r = event < 0 ? event : 0;
	}
	if (r == 0)
		nanosleep(&pause, NULL);
	return r;
}

static int print_rows(struct cli *cli, struct call *call, struct err *err)
{
	_cleanup_output_ struct output *output = NULL;
	int r = output_create(cli->format, live_usage_columns, stdout, &output, err);

	while (r == 0) {
		_cleanup_message_ ProtobufCMessage *message = NULL;

		r = cli_receive(cli, call, &message, err);
		if (r == CALL_END)
			return output_end(output, err);
		if (r == CALL_MESSAGE)
			r = output_add(output, message, err);
	}
	return r;
}

static void cleanup_frame(struct top_frame *frame)
{
	top_frame_finish(frame);
}

static int print_lines(
	struct cli *cli, struct call *call, const struct top_options *options, struct err *err)
{
	_cleanup_(cleanup_frame) struct top_frame frame = {0};
	uint32_t columns = TOP_COLUMNS_MIN;
	char line[TOP_LINE_MAX];
	uint32_t rows;

	for (;;) {
		ProtobufCMessage *message = NULL;
		int r = cli_receive(cli, call, &message, err);

		if (r == CALL_END)
			break;
		if (r == CALL_MESSAGE)
			r = top_frame_add(&frame, message, err);
		if (r < 0)
			return r;
	}
	terminal_size(STDOUT_FILENO, &rows, &columns);
	top_frame_sort(&frame, options->key, options->flat);
	puts(top_print_heading(columns, line));
	for (size_t i = 0; i < frame.n; i++)
		if (!options->flat || frame.rows[i].is_container)
			puts(top_print_row(&frame.rows[i], columns, options->flat, line));
	return output_flush(stdout, err);
}

static int print_frame(struct cli *cli, const struct top_options *options, struct err *err)
{
	_cleanup_call_ struct call *call = NULL;
	int r = look_before(cli, options, err);

	if (r == 0)
		r = open_look(cli, options, &call, err);
	if (r < 0)
		return r;
	return cli->format == OUTPUT_TABLE ? print_lines(cli, call, options, err)
					   : print_rows(cli, call, err);
}

static bool is_live(const struct cli *cli)
{
	const char *term = getenv("TERM");

	return cli->format == OUTPUT_TABLE && !options_has(&cli->options, "once") && term &&
	       *term && strcmp(term, "dumb") != 0 && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

static int read_sort(const char *text, enum top_key *ret, struct err *err)
{
	for (int i = 0; i < TOP_KEYS; i++) {
		if (strcmp(text, top_key_names[i].name) != 0)
			continue;
		*ret = (enum top_key)i;
		return 0;
	}
	return usage_error(err,
		"--sort takes cpu, memory, pids, network, io, pressure, throttled or name, "
		"not \"%.40s\"",
		text);
}

static int top(struct cli *cli, struct err *err)
{
	const char *interval = options_get(&cli->options, "interval");
	const char *sort = options_get(&cli->options, "sort");
	struct top_options options = {.interval_ms = INTERVAL_DEFAULT_MS};
	char tenant[RESOURCE_SIZE] = "";
	uint64_t seconds = 1;
	struct client *client;
	int r = 0;

	if (cli_arg(cli, 0))
		r = cli_tenant_name(cli_arg(cli, 0), tenant, err);
	if (r == 0 && sort)
		r = read_sort(sort, &options.key, err);
	if (r == 0 && interval)
		r = cli_number("--interval", interval, INTERVAL_MAX, &seconds, err);
	if (r == 0 && !seconds)
		r = usage_error(err, "--interval is at least 1 second");
	if (r < 0)
		return r;
	options.tenant = tenant;
	options.flat = options_has(&cli->options, "flat");
	options.interval_ms = (unsigned)seconds * 1000;
	if (!is_live(cli))
		return print_frame(cli, &options, err);
	r = cli_connect(cli, &client, err);
	return r < 0 ? r : top_screen_run(client, &options, &cli->status, err);
}

static const struct option_rule options[] = {
	{.name = "sort",
		.value = "cpu|memory|pids|network|io|pressure|throttled|name",
		.kind = WORD_CHOICE,
		.help = "what comes first (default: cpu)"},
	{.name = "flat", .help = "containers alone, of all tenants together"},
	{.name = "interval", .value = "SECONDS", .help = "between two looks (default: 1)"},
	{.name = "once", .help = "print one frame, as without a terminal"},
	{0},
};

const struct command cmd_top = {
	.name = "top",
	.summary = "Show what runs, live: CPU, memory, pids, traffic, I/O, and who waits for what.",
	.args = {{.name = "TENANT", .kind = WORD_TENANT, .optional = true}},
	.options = options,
	.run = top,
};

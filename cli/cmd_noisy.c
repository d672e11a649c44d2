/* croft noisy: who holds up whom. The judgement is croftd's; here it is laid out. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/noisy_print.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "cli/usage.h"

#define SERVICE (&croft__v1__usage__descriptor)

#define WINDOW_DEFAULT_S 10
#define WINDOW_MAX_S	 60

/* Of CSV: a line a culprit. */
const struct column noisy_columns[] = {
	{"victim", NULL, "victim", COLUMN_RESOURCE, NULL},
	{"waits_for", NULL, "waits_for", COLUMN_PLAIN, NULL},
	{"within", NULL, "within", COLUMN_PLAIN, NULL},
	{"waited_permyriad", NULL, "waited_permyriad", COLUMN_PLAIN, NULL},
	{"own_permyriad", NULL, "own_permyriad", COLUMN_PLAIN, NULL},
	{"held_up_permyriad", NULL, "held_up_permyriad", COLUMN_PLAIN, NULL},
	{"culprit", NULL, "culprit", COLUMN_RESOURCE, NULL},
	{"same_tenant", NULL, "same_tenant", COLUMN_PLAIN, NULL},
	{"used", NULL, "used", COLUMN_PLAIN, NULL},
	{"used_ops", NULL, "used_ops", COLUMN_PLAIN, NULL},
	{"share_permyriad", NULL, "share_permyriad", COLUMN_PLAIN, NULL},
	{"fair_permyriad", NULL, "fair_permyriad", COLUMN_PLAIN, NULL},
	{"above_fair_share", NULL, "above_fair_share", COLUMN_PLAIN, NULL},
	{0},
};

static int print_rows(
	struct cli *cli, const Croft__V1__NoisyNeighbourReport *report, struct err *err)
{
	_cleanup_output_ struct output *output = NULL;
	int r = output_create(cli->format, noisy_columns, stdout, &output, err);

	for (size_t i = 0; r == 0 && i < report->n_neighbours; i++)
		r = output_add(output, &report->neighbours[i]->base, err);
	return r == 0 ? output_end(output, err) : r;
}

static int print_lines(const Croft__V1__NoisyNeighbourReport *report, struct err *err)
{
	uint32_t columns = NOISY_COLUMNS_MIN;
	char line[NOISY_LINE_MAX];
	uint32_t rows;

	if (!report->n_neighbours) {
		printf("nobody is held up by others: %u container%s, over %.1f s\n",
			report->containers, report->containers == 1 ? "" : "s",
			(double)report->window_usec / 1e6);
		return output_flush(stdout, err);
	}
	terminal_size(STDOUT_FILENO, &rows, &columns);
	puts(noisy_print_heading(columns, line));
	for (size_t i = 0; i < report->n_neighbours; i++) {
		const Croft__V1__NoisyNeighbour *row = report->neighbours[i];

		if (!i || !noisy_same_victim(row, report->neighbours[i - 1]))
			puts(noisy_print_victim(row, columns, line));
		puts(noisy_print_culprit(row, columns, line));
	}
	if (report->victims_left_out)
		printf("and %u more who wait\n", report->victims_left_out);
	return output_flush(stdout, err);
}

static int noisy(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__ReportNoisyNeighboursRequest request =
		CROFT__V1__REPORT_NOISY_NEIGHBOURS_REQUEST__INIT;
	const char *window = options_get(&cli->options, "window");
	uint64_t seconds = WINDOW_DEFAULT_S;
	struct progress progress;
	int r = window ? cli_number("--window", window, WINDOW_MAX_S, &seconds, err) : 0;

	if (r == 0 && !seconds)
		r = usage_error(err, "--window is at least 1 second");
	if (r < 0)
		return r;
	request.window_seconds = (uint32_t)seconds;
	progress_init(&progress);
	progress_show(&progress, "looking for %u s ...", request.window_seconds);
	r = cli_call(cli, SERVICE, "ReportNoisyNeighbours", &request.base, &reply, err);
	progress_clear(&progress);
	if (r < 0)
		return r;
	if (cli->format == OUTPUT_TABLE)
		return print_lines((const void *)reply, err);
	if (cli->format == OUTPUT_CSV)
		return print_rows(cli, (const void *)reply, err);
	return output_one(cli->format, noisy_columns, reply, stdout, err);
}

static const struct option_rule options[] = {
	{.name = "window",
		.value = "SECONDS",
		.help = "between the two looks, 1 to 60 (default: 10)"},
	{0},
};

const struct command cmd_noisy = {
	.name = "noisy",
	.summary = "Say who holds up whom: containers that wait, and who uses what they wait for.",
	.options = options,
	.run = noisy,
};

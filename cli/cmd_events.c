/* croft events: what happened, by number. For people a line an event, as they come. */
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/text_filter.h"
#include "croft/v1/events.pb-c.h"

#include <inttypes.h>
#include <string.h>

const struct column event_columns[] = {
	{"number", "number", "number", COLUMN_PLAIN, NULL},
	{"time", "time", "time", COLUMN_TIME, NULL},
	{"type", "type", "type", COLUMN_PLAIN, NULL},
	{"tenant", "tenant", "tenant", COLUMN_RESOURCE, NULL},
	{"resource", "resource", "resource", COLUMN_RESOURCE, NULL},
	{"run_id", "run", "run_id", COLUMN_PLAIN, NULL},
	{"message", "message", "message", COLUMN_PLAIN, NULL},
	{"actor", NULL, "actor", COLUMN_PLAIN, NULL},
	{"actor_role", NULL, "actor_role", COLUMN_PLAIN, NULL},
	{"details_json", NULL, "details_json", COLUMN_PLAIN, NULL},
	{0},
};

/*
 * No table: rows must appear before the last one is known. The message names the resource and says
 * what the type does.
 */
static void print_line(const ProtobufCMessage *message)
{
	const Croft__V1__Event *event = (const void *)message;
	struct text_filter filter = {0};
	char time[COLUMN_TEXT_MAX];

	column_fill(event_columns, "{time}", message, time);
	printf("%6" PRIu64 "  %s  ", event->number, time);
	text_filter_write(&filter, (const uint8_t *)event->message, strlen(event->message), stdout);
	text_filter_end(&filter, stdout);
	putchar('\n');
}

static int print_events(struct cli *cli, struct call *call, struct err *err)
{
	_cleanup_output_ struct output *output = NULL;
	int r = 0;

	if (cli->format != OUTPUT_TABLE)
		r = output_create(cli->format, event_columns, stdout, &output, err);
	while (r == 0) {
		_cleanup_message_ ProtobufCMessage *event = NULL;

		r = cli_receive(cli, call, &event, err);
		if (r == CALL_END)
			return output ? output_end(output, err) : 0;
		if (r < 0)
			return r;
		r = 0;
		if (output)
			r = output_add(output, event, err);
		else
			print_line(event);
		if (r == 0)
			r = output_flush(stdout, err);
	}
	return r;
}

static int events(struct cli *cli, struct err *err)
{
	Croft__V1__ListEventsRequest request = CROFT__V1__LIST_EVENTS_REQUEST__INIT;
	const char *after = options_get(&cli->options, "after");
	const char *tenant = options_get(&cli->options, "tenant");
	_cleanup_call_ struct call *call = NULL;
	char name[RESOURCE_SIZE] = "";
	int r = tenant ? cli_tenant_name(tenant, name, err) : 0;

	if (r == 0 && after)
		r = cli_number("--after", after, UINT64_MAX, &request.after, err);
	request.tenant = name;
	request.follow = options_has(&cli->options, "follow");
	if (r == 0)
		r = cli_stream(cli, &croft__v1__events__descriptor, "ListEvents", &request.base,
			&call, err);
	return r < 0 ? r : print_events(cli, call, err);
}

static const struct option_rule options[] = {
	{.letter = 'f', .name = "follow", .help = "stay, and print new ones"},
	{.name = "after", .value = "CURSOR", .help = "only events with a larger number"},
	{.name = "tenant", .value = "TENANT", .kind = WORD_TENANT, .help = "only this tenant's"},
	{0},
};

const struct command cmd_events = {
	.name = "events",
	.summary = "Print what happened: starts, ends, limits that were hit.",
	.options = options,
	.run = events,
};

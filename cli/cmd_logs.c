/* croft logs: what a container wrote. Bytes as they are, but for a terminal made harmless. */
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/text_filter.h"
#include "cli/usage.h"
#include "croft/v1/containers.pb-c.h"

#include <unistd.h>

static int print_all(struct cli *cli, struct call *call, bool filter, struct err *err)
{
	struct text_filter state = {0};

	for (;;) {
		_cleanup_message_ ProtobufCMessage *message = NULL;
		const Croft__V1__GetLogsResponse *response;
		int r = cli_receive(cli, call, &message, err);

		if (r < 0)
			return r;
		if (r == CALL_END)
			break;
		response = (const void *)message;
		if (filter)
			text_filter_write(&state, response->data.data, response->data.len, stdout);
		else
			fwrite(response->data.data, 1, response->data.len, stdout);
		r = output_flush(stdout, err);
		if (r < 0)
			return r;
	}
	text_filter_end(&state, stdout);
	return output_flush(stdout, err);
}

static int print_json(struct cli *cli, struct call *call, struct err *err)
{
	for (;;) {
		_cleanup_message_ ProtobufCMessage *message = NULL;
		int r = cli_receive(cli, call, &message, err);

		if (r != CALL_MESSAGE)
			return r < 0 ? r : 0;
		r = output_one(OUTPUT_JSON, NULL, message, stdout, err);
		if (r < 0)
			return r;
	}
}

static int logs(struct cli *cli, struct err *err)
{
	Croft__V1__GetLogsRequest request = CROFT__V1__GET_LOGS_REQUEST__INIT;
	const char *tail = options_get(&cli->options, "tail");
	_cleanup_call_ struct call *call = NULL;
	char name[RESOURCE_SIZE];
	int r = cli_container_name(cli_arg(cli, 0), name, err);

	if (r == 0 && tail && (size_parse(tail, &request.tail_bytes) < 0 || !request.tail_bytes))
		return usage_error(err, "--tail \"%.40s\" is not a size such as 64K", tail);
	request.name = name;
	request.follow = options_has(&cli->options, "follow");
	if (r == 0)
		r = cli_stream(cli, &croft__v1__containers__descriptor, "GetLogs", &request.base,
			&call, err);
	if (r < 0)
		return r;
	if (cli->format == OUTPUT_JSON)
		return print_json(cli, call, err);
	return print_all(
		cli, call, isatty(STDOUT_FILENO) && !options_has(&cli->options, "raw"), err);
}

static const struct option_rule options[] = {
	{.letter = 'f', .name = "follow", .help = "print what comes, too, until it stays down"},
	{.name = "tail", .value = "SIZE", .help = "only the last so many bytes"},
	{.name = "raw", .help = "on a terminal too, print control characters as they are"},
	{0},
};

const struct command cmd_logs = {
	.name = "logs",
	.summary = "Print what a container wrote to its output and console.",
	.args = {{.name = "TENANT/NAME", .kind = WORD_CONTAINER}},
	.options = options,
	.run = logs,
};

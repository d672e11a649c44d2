/* croft console: a container's own terminal, where its getty or its messages are. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console_session.h"
#include "cli/detach.h"
#include "cli/terminal.h"
#include "cli/usage.h"

#include <unistd.h>

static int console(struct cli *cli, struct err *err)
{
	Croft__V1__ConsoleStart start = CROFT__V1__CONSOLE_START__INIT;
	Croft__V1__WindowSize size = CROFT__V1__WINDOW_SIZE__INIT;
	const char *text = options_get(&cli->options, "escape");
	uint8_t prefix = DETACH_PREFIX;
	char name[RESOURCE_SIZE];
	struct client *client;
	int r = cli_container_name(cli_arg(cli, 0), name, err);

	if (r == 0 && text && detach_parse_prefix(text, &prefix) < 0)
		return usage_error(
			err, "--escape \"%.10s\" is not a control key such as ^a or ^]", text);
	if (r == 0)
		r = cli_connect(cli, &client, err);
	if (r < 0)
		return r;
	start.name = name;
	if (terminal_size(STDIN_FILENO, &size.rows, &size.columns))
		start.size = &size;
	return console_session_run(client, &start, cli_arg(cli, 0), prefix, &cli->status, err);
}

static const struct option_rule options[] = {
	{.letter = 'e',
		.name = "escape",
		.value = "KEY",
		.help = "with q, leaves the console; with itself, is typed (default ^a)"},
	{0},
};

const struct command cmd_console = {
	.name = "console",
	.summary = "Look at a container's console and type into it; Ctrl-a q or the end of input "
		   "leaves.",
	.args = {{.name = "TENANT/NAME", .kind = WORD_CONTAINER}},
	.options = options,
	.run = console,
};

/* croft completion: a script for the shell to read. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/completion.h"

static int completion(struct cli *cli, struct err *err)
{
	int r = completion_print(cli_arg(cli, 0), stdout, err);

	return r < 0 ? r : output_flush(stdout, err);
}

const struct command cmd_completion = {
	.name = "completion",
	.summary = "Print a completion script for a shell.",
	.args = {{.name = "bash|zsh|fish", .kind = WORD_CHOICE}},
	.run = completion,
};

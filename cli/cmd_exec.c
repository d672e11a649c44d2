/* croft exec, croft shell: a command in a running container, as if it ran here. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/exec_session.h"
#include "cli/terminal.h"
#include "cli/usage.h"

#include <string.h>

/* A terminal when both ends are one, unless -t or -T says otherwise. */
static int choose_tty(const struct options *o, bool *ret, struct err *err)
{
	bool on = options_has(o, "tty");
	bool off = options_has(o, "no-tty");

	if (on && off)
		return usage_error(err, "-t and -T contradict each other");
	*ret = on || (!off && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
	return 0;
}

/* TERM when there is a terminal, then each -e. The array is the caller's; TERM's text is term. */
static int collect_env(const struct options *o, bool tty, char *term, size_t term_size,
	const char **env, size_t *ret_n, struct err *err)
{
	const char *local = getenv("TERM");
	const char *text;
	size_t pos = 0;
	size_t n = 0;

	if (tty && local && *local) {
		snprintf(term, term_size, "TERM=%s", local);
		env[n++] = term;
	}
	while ((text = options_next(o, "env", &pos))) {
		if (!strchr(text, '=') || text[0] == '=')
			return usage_error(err, "-e takes KEY=VALUE, not \"%.60s\"", text);
		env[n++] = text;
	}
	*ret_n = n;
	return 0;
}

static int run_session(struct cli *cli, Croft__V1__ExecStart *start, struct err *err)
{
	Croft__V1__WindowSize size = CROFT__V1__WINDOW_SIZE__INIT;
	struct client *client;
	int r = cli_connect(cli, &client, err);

	if (r < 0)
		return r;
	if (start->tty && terminal_size(STDIN_FILENO, &size.rows, &size.columns))
		start->size = &size;
	return exec_session_run(client, start, &cli->status, err);
}

static int run(struct cli *cli, const char *const *args, size_t n_args, struct err *err)
{
	const struct options *o = &cli->options;
	_cleanup_free_ const char **env = calloc(o->n_given + 1, sizeof(*env));
	Croft__V1__ExecStart start = CROFT__V1__EXEC_START__INIT;
	const char *user = options_get(o, "user");
	const char *dir = options_get(o, "workdir");
	char name[RESOURCE_SIZE];
	char term[128];
	bool tty = false;
	int r = env ? cli_container_name(cli_arg(cli, 0), name, err) : err_oom(err);

	if (r == 0)
		r = choose_tty(o, &tty, err);
	if (r == 0)
		r = collect_env(o, tty, term, sizeof(term), env, &start.n_env, err);
	if (r < 0)
		return r;
	start.name = name;
	start.args = (char **)args;
	start.n_args = n_args;
	start.env = (char **)env;
	start.tty = tty;
	if (user)
		start.user = (char *)user;
	if (dir)
		start.working_dir = (char *)dir;
	return run_session(cli, &start, err);
}

static int exec_command(struct cli *cli, struct err *err)
{
	return run(cli, cli->options.rest, cli->options.n_rest, err);
}

static int shell(struct cli *cli, struct err *err)
{
	static const char *const args[] = {"/bin/sh", "-c",
		"if [ -x /bin/bash ]; then exec /bin/bash -l; fi; exec /bin/sh -l"};

	return run(cli, args, ARRAY_SIZE(args), err);
}

static const struct option_rule options[] = {
	{.letter = 't', .name = "tty", .help = "give the command a terminal"},
	{.letter = 'T', .name = "no-tty", .help = "give it three pipes"},
	{.letter = 'u',
		.name = "user",
		.value = "USER",
		.help = "a number, or a name of the container's own /etc/passwd (default root)"},
	{.letter = 'w', .name = "workdir", .value = "DIR", .help = "the working directory"},
	{.letter = 'e',
		.name = "env",
		.value = "KEY=VALUE",
		.repeated = true,
		.help = "set an environment variable; may be repeated"},
	{0},
};

const struct command cmd_exec = {
	.name = "exec",
	.summary = "Run a command in a container; croft exits with its status.",
	.args = {{.name = "TENANT/NAME", .kind = WORD_CONTAINER}},
	.rest = "COMMAND...",
	.options = options,
	.failure_status = EXEC_REFUSED,
	.run = exec_command,
};

const struct command cmd_shell = {
	.name = "shell",
	.summary = "Open a login shell in a container.",
	.args = {{.name = "TENANT/NAME", .kind = WORD_CONTAINER}},
	.options = options,
	.failure_status = EXEC_REFUSED,
	.run = shell,
};

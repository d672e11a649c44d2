/* Packing an exec's strings; see exec_args.h. They are parsed inside the container only. */
#include "server/exec_args.h"

#include "base/cleanup.h"

#include <stdbool.h>
#include <string.h>

#define DEFAULTS_MAX (2 + IMAGE_CONFIG_ENV_MAX)

static bool has_key(const Croft__V1__ExecStart *start, const char *key_equals)
{
	for (size_t i = 0; i < start->n_env; i++)
		if (!strncmp(start->env[i], key_equals, strlen(key_equals)))
			return true;
	return false;
}

static int check(const Croft__V1__ExecStart *start, struct err *err)
{
	if (!start->n_args || !start->args[0][0])
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "COMMAND_MISSING", "args",
			"there is no command to run");
	if (start->n_args > SPAWN_ARGS_MAX || start->n_env > SPAWN_ARGS_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "ARGUMENTS_TOO_LARGE",
			"a command takes at most %u arguments and as many variables",
			SPAWN_ARGS_MAX);
	for (size_t i = 0; i < start->n_env; i++)
		if (start->env[i][0] == '=' || !strchr(start->env[i], '='))
			return err_set_subject(err, ERR_INVALID_ARGUMENT, "VARIABLE_INVALID", "env",
				"\"%.60s\" is not of the form NAME=value", start->env[i]);
	if (start->working_dir[0] && start->working_dir[0] != '/')
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "PATH_INVALID", "working_dir",
			"the working directory \"%.60s\" is not an absolute path",
			start->working_dir);
	return 0;
}

int exec_args_pack(const Croft__V1__ExecStart *start, const struct image_config *app, int *ret_fd,
	struct err *err)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	static char term[] = "TERM=xterm";
	_cleanup_free_ char **argv = NULL;
	_cleanup_free_ char **envp = NULL;
	struct spawn_args args = {.user = start->user, .working_dir = start->working_dir};
	size_t n = 0;
	int r = check(start, err);

	if (r < 0)
		return r;
	argv = calloc(start->n_args + 1, sizeof(*argv));
	envp = calloc(start->n_env + DEFAULTS_MAX + 1, sizeof(*envp));
	if (!argv || !envp)
		return err_oom(err);
	memcpy(argv, start->args, start->n_args * sizeof(*argv));
	if (!has_key(start, "PATH="))
		envp[n++] = path;
	if (start->tty && !has_key(start, "TERM="))
		envp[n++] = term;
	/* What comes later replaces what came before (sandbox/become.c). */
	for (size_t i = 0; app && app->envp[i]; i++)
		envp[n++] = app->envp[i];
	if (start->n_env)
		memcpy(envp + n, start->env, start->n_env * sizeof(*envp));
	args.argv = argv;
	args.envp = envp;
	return spawn_args_pack(&args, ret_fd, err);
}

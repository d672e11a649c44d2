/* A container's own init command; see init_args.h. Bounds what a tenant may have stored. */
#include "server/init_args.h"

#include "base/cleanup.h"

#include <string.h>

void init_args_free(char **args)
{
	for (char **arg = args; arg && *arg; arg++)
		free(*arg);
	free(args);
}

static void cleanup_args(char ***args)
{
	init_args_free(*args);
}

int init_args_copy(char **args, size_t n, char ***ret, struct err *err)
{
	_cleanup_(cleanup_args) char **copy = NULL;
	size_t bytes = 0;

	if (n == 0) {
		*ret = NULL;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		bytes += strlen(args[i]) + 1;
	if (n > INIT_ARGS_MAX || bytes > INIT_ARGS_BYTES_MAX)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "ARGUMENTS_TOO_LARGE",
			"init_args", "an init takes at most %d arguments of %d bytes in all",
			INIT_ARGS_MAX, INIT_ARGS_BYTES_MAX);
	if (args[0][0] != '/')
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "INIT_INVALID", "init_args",
			"the init \"%.60s\" is not an absolute path", args[0]);
	copy = calloc(n + 1, sizeof(*copy));
	if (!copy)
		return err_oom(err);
	for (size_t i = 0; i < n; i++) {
		copy[i] = strdup(args[i]);
		if (!copy[i])
			return err_oom(err);
	}
	*ret = take_ptr(copy);
	return 0;
}

size_t init_args_write(char **args, uint8_t out[static INIT_ARGS_BYTES_MAX])
{
	size_t size = 0;

	for (char **arg = args; arg && *arg; arg++) {
		size_t len = strlen(*arg) + 1;

		memcpy(out + size, *arg, len);
		size += len;
	}
	return size;
}

int init_args_read(const uint8_t *data, size_t size, char ***ret, struct err *err)
{
	char *args[INIT_ARGS_MAX];
	size_t n = 0;

	if (size && data[size - 1])
		return err_set(err, ERR_DATA_LOSS, "STATE_DAMAGED",
			"the state database has an init that is not terminated");
	for (size_t at = 0; at < size && n < INIT_ARGS_MAX; n++) {
		args[n] = (char *)data + at;
		at += strlen(args[n]) + 1;
	}
	return init_args_copy(args, n, ret, err);
}

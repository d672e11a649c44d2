/* croft start, stop, kill, restart, freeze, thaw, delete: a container's life. */
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "croft/v1/containers.pb-c.h"

#include <errno.h>

#define SERVICE	    (&croft__v1__containers__descriptor)
#define TIMEOUT_MAX 3600 /* seconds; StopContainerRequest.timeout */

/*
 * Sends a request that names the container of the first argument, and says that it was done. name
 * is what the request's field points to, filled here.
 */
static int act(struct cli *cli, const char *method, ProtobufCMessage *request,
	char name[static RESOURCE_SIZE], const char *done, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	int r = cli_container_name(cli_arg(cli, 0), name, err);

	if (r == 0)
		r = cli_call(cli, SERVICE, method, request, &reply, err);
	if (r < 0)
		return r;
	return cli_report(cli, container_columns, reply, err, "%s %s", done, cli_arg(cli, 0));
}

/* Reads --timeout into duration and returns it; NULL when it was not given. */
static int read_timeout(const struct cli *cli, Google__Protobuf__Duration *duration,
	Google__Protobuf__Duration **ret, struct err *err)
{
	const char *text = options_get(&cli->options, "timeout");
	uint64_t seconds;

	*ret = NULL;
	if (!text)
		return 0;
	if (cli_number("--timeout", text, TIMEOUT_MAX, &seconds, err) < 0)
		return -EINVAL;
	google__protobuf__duration__init(duration);
	duration->seconds = (int64_t)seconds;
	*ret = duration;
	return 0;
}

static int start(struct cli *cli, struct err *err)
{
	Croft__V1__StartContainerRequest request = CROFT__V1__START_CONTAINER_REQUEST__INIT;
	char name[RESOURCE_SIZE];

	request.name = name;
	return act(cli, "StartContainer", &request.base, name, "started", err);
}

static int stop(struct cli *cli, struct err *err)
{
	Croft__V1__StopContainerRequest request = CROFT__V1__STOP_CONTAINER_REQUEST__INIT;
	Google__Protobuf__Duration timeout;
	char name[RESOURCE_SIZE];
	int r = read_timeout(cli, &timeout, &request.timeout, err);

	if (r < 0)
		return r;
	request.name = name;
	return act(cli, "StopContainer", &request.base, name, "stopped", err);
}

static int kill_all(struct cli *cli, struct err *err)
{
	Croft__V1__KillContainerRequest request = CROFT__V1__KILL_CONTAINER_REQUEST__INIT;
	char name[RESOURCE_SIZE];

	request.name = name;
	return act(cli, "KillContainer", &request.base, name, "killed", err);
}

static int restart(struct cli *cli, struct err *err)
{
	Croft__V1__RestartContainerRequest request = CROFT__V1__RESTART_CONTAINER_REQUEST__INIT;
	Google__Protobuf__Duration timeout;
	char name[RESOURCE_SIZE];
	int r = read_timeout(cli, &timeout, &request.timeout, err);

	if (r < 0)
		return r;
	request.name = name;
	return act(cli, "RestartContainer", &request.base, name, "restarted", err);
}

static int freeze(struct cli *cli, struct err *err)
{
	Croft__V1__FreezeContainerRequest request = CROFT__V1__FREEZE_CONTAINER_REQUEST__INIT;
	char name[RESOURCE_SIZE];

	request.name = name;
	return act(cli, "FreezeContainer", &request.base, name, "froze", err);
}

static int thaw(struct cli *cli, struct err *err)
{
	Croft__V1__ThawContainerRequest request = CROFT__V1__THAW_CONTAINER_REQUEST__INIT;
	char name[RESOURCE_SIZE];

	request.name = name;
	return act(cli, "ThawContainer", &request.base, name, "thawed", err);
}

static int delete_container(struct cli *cli, struct err *err)
{
	Croft__V1__DeleteContainerRequest request = CROFT__V1__DELETE_CONTAINER_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	int r = cli_container_name(cli_arg(cli, 0), name, err);

	request.name = name;
	request.force = options_has(&cli->options, "force");
	if (r == 0)
		r = cli_call_only(cli, SERVICE, "DeleteContainer", &request.base, err);
	return r < 0 ? r : cli_report(cli, NULL, NULL, err, "deleted %s", cli_arg(cli, 0));
}

static const struct option_rule timeout_options[] = {
	{.name = "timeout",
		.value = "SECONDS",
		.help = "how long init may take before it is killed (default 10)"},
	{0},
};

static const struct option_rule delete_options[] = {
	{.name = "force", .help = "also while it runs, has snapshots or is held for abuse"},
	{0},
};

#define CONTAINER_ARGS                                                                             \
	{                                                                                          \
		{                                                                                  \
			.name = "TENANT/NAME", .kind = WORD_CONTAINER                              \
		}                                                                                  \
	}

const struct command cmd_start = {
	.name = "start",
	.summary = "Start a container.",
	.args = CONTAINER_ARGS,
	.run = start,
};

const struct command cmd_stop = {
	.name = "stop",
	.summary = "Ask a container to shut down, and kill it when it does not.",
	.args = CONTAINER_ARGS,
	.options = timeout_options,
	.run = stop,
};

const struct command cmd_kill = {
	.name = "kill",
	.summary = "Kill everything in a container now.",
	.args = CONTAINER_ARGS,
	.run = kill_all,
};

const struct command cmd_restart = {
	.name = "restart",
	.summary = "Stop a container and start it again.",
	.args = CONTAINER_ARGS,
	.options = timeout_options,
	.run = restart,
};

const struct command cmd_freeze = {
	.name = "freeze",
	.summary = "Halt everything in a container where it stands.",
	.args = CONTAINER_ARGS,
	.run = freeze,
};

const struct command cmd_thaw = {
	.name = "thaw",
	.summary = "Let a frozen container go on.",
	.args = CONTAINER_ARGS,
	.run = thaw,
};

const struct command cmd_delete = {
	.name = "delete",
	.summary = "Delete a stopped container and its files.",
	.args = CONTAINER_ARGS,
	.options = delete_options,
	.run = delete_container,
};

/* croft copy, rename, rebuild: a container's files as a whole. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/usage.h"
#include "croft/v1/containers.pb-c.h"

#include <string.h>

#define SERVICE (&croft__v1__containers__descriptor)

/* The NAME of "TENANT/NAME", of the same tenant as the container of the first argument. */
static int other_name(const struct cli *cli, char ret[static NAME_SIZE], struct err *err)
{
	char parent[RESOURCE_SIZE];
	char other[RESOURCE_SIZE];
	char name[NAME_SIZE];
	int r = cli_split_container(cli_arg(cli, 0), parent, name, err);

	if (r == 0)
		r = cli_split_container(cli_arg(cli, 1), other, ret, err);
	if (r == 0 && strcmp(parent, other) != 0)
		r = usage_error(err, "a copy belongs to the same tenant; \"%.40s\" is another's",
			cli_arg(cli, 1));
	return r;
}

static int copy(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__CopyContainerRequest request = CROFT__V1__COPY_CONTAINER_REQUEST__INIT;
	const char *snapshot = options_get(&cli->options, "snapshot");
	char name[RESOURCE_SIZE];
	char other[NAME_SIZE];
	int r = cli_container_name(cli_arg(cli, 0), name, err);

	if (r == 0)
		r = other_name(cli, other, err);
	request.name = name;
	request.container_id = other;
	if (snapshot)
		request.snapshot = (char *)snapshot;
	if (r == 0)
		r = cli_call(cli, SERVICE, "CopyContainer", &request.base, &reply, err);
	return r < 0 ? r
		     : cli_report(cli, container_columns, reply, err, "copied %s to %s",
			       cli_arg(cli, 0), cli_arg(cli, 1));
}

static int rename_container(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__RenameContainerRequest request = CROFT__V1__RENAME_CONTAINER_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	int r = cli_container_name(cli_arg(cli, 0), name, err);

	request.name = name;
	request.container_id = (char *)cli_arg(cli, 1);
	if (r == 0)
		r = cli_call(cli, SERVICE, "RenameContainer", &request.base, &reply, err);
	return r < 0 ? r
		     : cli_report(cli, container_columns, reply, err, "renamed %s to %s",
			       cli_arg(cli, 0), cli_arg(cli, 1));
}

static int rebuild(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__RebuildContainerRequest request = CROFT__V1__REBUILD_CONTAINER_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	char image[RESOURCE_SIZE];
	int r = cli_container_name(cli_arg(cli, 0), name, err);

	if (r == 0)
		r = cli_image_name(cli_arg(cli, 1), image, err);
	request.name = name;
	request.image = image;
	request.force = options_has(&cli->options, "force");
	if (r == 0)
		r = cli_call(cli, SERVICE, "RebuildContainer", &request.base, &reply, err);
	return r < 0 ? r
		     : cli_report(cli, container_columns, reply, err, "rebuilt %s from %s",
			       cli_arg(cli, 0), cli_arg(cli, 1));
}

static const struct option_rule copy_options[] = {
	{.name = "snapshot",
		.value = "SNAPSHOT",
		.help = "copy the container as it was then, not as it is"},
	{0},
};

const struct command cmd_copy = {
	.name = "copy",
	.summary = "Make a stopped container with another's files and settings; it may be running.",
	.args = {{.name = "TENANT/NAME", .kind = WORD_CONTAINER}, {.name = "TENANT/OTHER"}},
	.options = copy_options,
	.run = copy,
};

const struct command cmd_rename = {
	.name = "rename",
	.summary = "Give a stopped container another name.",
	.args = {{.name = "TENANT/NAME", .kind = WORD_CONTAINER}, {.name = "OTHER"}},
	.run = rename_container,
};

static const struct option_rule rebuild_options[] = {
	{.name = "force", .help = "also while its tenant is suspended for abuse"},
	{0},
};

const struct command cmd_rebuild = {
	.name = "rebuild",
	.summary = "Begin a stopped container's files anew from an image; its settings stay.",
	.args = {{.name = "TENANT/NAME", .kind = WORD_CONTAINER},
		{.name = "IMAGE", .kind = WORD_IMAGE}},
	.options = rebuild_options,
	.run = rebuild,
};

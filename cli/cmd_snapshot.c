/* croft snapshot ...: what a container was at a moment, and going back to it. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/list.h"
#include "cli/schedule.h"
#include "cli/usage.h"
#include "croft/v1/snapshots.pb-c.h"

#include <string.h>

#define SERVICE (&croft__v1__snapshots__descriptor)

const struct column snapshot_columns[] = {
	{"name", "SNAPSHOT", "name", COLUMN_RESOURCE, NULL},
	{"create_time", "CREATED", "create_time", COLUMN_TIME, NULL},
	{"size_bytes", "SIZE", "size_bytes", COLUMN_SIZE, NULL},
	{"image", "IMAGE", "image", COLUMN_RESOURCE, NULL},
	{"expire_time", "EXPIRES", "expire_time", COLUMN_TIME, NULL},
	{"uid", NULL, "uid", COLUMN_PLAIN, NULL},
	{0},
};

/* "T/NAME" and "SNAP" as a resource name. */
static int snapshot_name(const struct cli *cli, char ret[static RESOURCE_SIZE], struct err *err)
{
	const char *name = cli_arg(cli, 1);
	char parent[RESOURCE_SIZE];
	int r = cli_container_name(cli_arg(cli, 0), parent, err);

	if (r == 0 && name_check("snapshot", name, err) < 0)
		r = usage_error(err, "\"%.40s\" is not a snapshot's name", name);
	if (r < 0)
		return r;
	snprintf(ret, RESOURCE_SIZE, "%.*s/snapshots/%s",
		(int)(RESOURCE_SIZE - sizeof("/snapshots/") - NAME_LEN_MAX), parent, name);
	return 0;
}

static int create(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__CreateSnapshotRequest request = CROFT__V1__CREATE_SNAPSHOT_REQUEST__INIT;
	const char *expire = options_get(&cli->options, "expire");
	Google__Protobuf__Duration duration;
	char parent[RESOURCE_SIZE];
	int r = cli_container_name(cli_arg(cli, 0), parent, err);

	request.parent = parent;
	request.snapshot_id = (char *)cli_arg(cli, 1);
	if (r == 0 && expire) {
		r = schedule_span("expire", expire, &duration, err);
		request.expire = &duration;
	}
	if (r == 0)
		r = cli_call(cli, SERVICE, "CreateSnapshot", &request.base, &reply, err);
	return r < 0 ? r
		     : cli_report(cli, snapshot_columns, reply, err, "made snapshot %s of %s",
			       cli_arg(cli, 1), cli_arg(cli, 0));
}

static int list(struct cli *cli, struct err *err)
{
	Croft__V1__ListSnapshotsRequest request = CROFT__V1__LIST_SNAPSHOTS_REQUEST__INIT;
	char parent[RESOURCE_SIZE];
	int r = cli_container_name(cli_arg(cli, 0), parent, err);

	request.parent = parent;
	return r < 0 ? r
		     : list_print(
			       cli, SERVICE, "ListSnapshots", &request.base, snapshot_columns, err);
}

static int restore(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__RestoreSnapshotRequest request = CROFT__V1__RESTORE_SNAPSHOT_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	int r = snapshot_name(cli, name, err);

	request.name = name;
	request.force = options_has(&cli->options, "force");
	if (r == 0)
		r = cli_call(cli, SERVICE, "RestoreSnapshot", &request.base, &reply, err);
	return r < 0 ? r
		     : cli_report(cli, container_columns, reply, err, "%s is as in snapshot %s",
			       cli_arg(cli, 0), cli_arg(cli, 1));
}

static int delete_snapshot(struct cli *cli, struct err *err)
{
	Croft__V1__DeleteSnapshotRequest request = CROFT__V1__DELETE_SNAPSHOT_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	int r = snapshot_name(cli, name, err);

	request.name = name;
	request.force = options_has(&cli->options, "force");
	if (r == 0)
		r = cli_call_only(cli, SERVICE, "DeleteSnapshot", &request.base, err);
	return r < 0 ? r
		     : cli_report(cli, NULL, NULL, err, "deleted snapshot %s of %s",
			       cli_arg(cli, 1), cli_arg(cli, 0));
}

static int publish(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__PublishSnapshotRequest request = CROFT__V1__PUBLISH_SNAPSHOT_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	int r = snapshot_name(cli, name, err);

	request.name = name;
	request.image_id = (char *)cli_arg(cli, 2);
	if (r == 0)
		r = cli_call(cli, SERVICE, "PublishSnapshot", &request.base, &reply, err);
	return r < 0 ? r
		     : cli_report(cli, image_columns, reply, err, "published %s as image %s",
			       cli_arg(cli, 1), cli_arg(cli, 2));
}

static const struct option_rule create_options[] = {
	{.name = "expire", .value = "TIME", .help = "delete it after so long, as 30m, 12h or 1d"},
	{0},
};

const struct command cmd_snapshot_create = {
	.name = "snapshot create",
	.summary = "Keep a container's files and settings as they are now; it may be running.",
	.args = {{.name = "TENANT/NAME", .kind = WORD_CONTAINER}, {.name = "SNAPSHOT"}},
	.options = create_options,
	.run = create,
};

const struct command cmd_snapshot_list = {
	.name = "snapshot list",
	.summary = "List a container's snapshots.",
	.args = {{.name = "TENANT/NAME", .kind = WORD_CONTAINER}},
	.run = list,
};

static const struct option_rule force_options[] = {
	{.name = "force", .help = "also while its tenant is suspended for abuse"},
	{0},
};

const struct command cmd_snapshot_restore = {
	.name = "snapshot restore",
	.summary = "Take a stopped container back to a snapshot: files, image and settings.",
	.args = {{.name = "TENANT/NAME", .kind = WORD_CONTAINER}, {.name = "SNAPSHOT"}},
	.options = force_options,
	.run = restore,
};

const struct command cmd_snapshot_delete = {
	.name = "snapshot delete",
	.summary = "Delete a snapshot.",
	.args = {{.name = "TENANT/NAME", .kind = WORD_CONTAINER}, {.name = "SNAPSHOT"}},
	.options = force_options,
	.run = delete_snapshot,
};

const struct command cmd_snapshot_publish = {
	.name = "snapshot publish",
	.summary = "Make an image of a snapshot; operators only.",
	.args = {{.name = "TENANT/NAME", .kind = WORD_CONTAINER}, {.name = "SNAPSHOT"},
		{.name = "IMAGE"}},
	.run = publish,
};

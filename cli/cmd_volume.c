/* croft volume ...: directories that outlive containers, and are shared by them. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/list.h"
#include "cli/options.h"
#include "cli/usage.h"
#include "croft/v1/volumes.pb-c.h"

#include <errno.h>
#include <string.h>

#define SERVICE	    (&croft__v1__volumes__descriptor)
#define HOST_PREFIX "host:"
#define PATH_MOST   4096

static const char *size_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Volume *v = (const void *)m;
	char text[LIMIT_TEXT_MAX];

	if (human)
		snprintf(buf, COLUMN_TEXT_MAX, "%s",
			v->size_bytes ? size_format(v->size_bytes, text) : "none");
	else
		snprintf(buf, COLUMN_TEXT_MAX, "%llu", (unsigned long long)v->size_bytes);
	return buf;
}

static const char *containers_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Volume *v = (const void *)m;
	size_t n = 0;

	(void)human;
	buf[0] = '\0';
	for (size_t i = 0; i < v->n_containers && n < COLUMN_TEXT_MAX; i++) {
		const char *name = strrchr(v->containers[i], '/');

		n += (size_t)snprintf(buf + n, COLUMN_TEXT_MAX - n, "%s%s", i ? " " : "",
			name ? name + 1 : v->containers[i]);
	}
	return buf;
}

const struct column volume_list_columns[] = {
	{"name", "VOLUME", "name", COLUMN_RESOURCE, NULL},
	{"size_bytes", "SIZE", .kind = COLUMN_CUSTOM, .text = size_text},
	{"create_time", "CREATED", "create_time", COLUMN_TIME, NULL},
	{"containers", "CONTAINERS", .kind = COLUMN_CUSTOM, .text = containers_text},
	{0},
};

const struct column volume_columns[] = {
	{"name", "volume", "name", COLUMN_RESOURCE, NULL},
	{"uid", "uid", "uid", COLUMN_PLAIN, NULL},
	{"create_time", "created", "create_time", COLUMN_TIME, NULL},
	{"size_bytes", "size", .kind = COLUMN_CUSTOM, .text = size_text},
	{"size_enforced", "size holds", "size_enforced", COLUMN_PLAIN, NULL},
	{"used_bytes", "used", "used_bytes", COLUMN_SIZE, NULL},
	{"containers", "containers", .kind = COLUMN_CUSTOM, .text = containers_text},
	{0},
};

/* --- names --- */

/* "TENANT/VOLUME" as the tenant's resource name and the volume's id. */
static int split_volume(const char *text, char ret_parent[static RESOURCE_SIZE],
	char ret_id[static NAME_SIZE], struct err *err)
{
	if (cli_split_container(text, ret_parent, ret_id, err) == 0)
		return 0;
	return usage_error(err, "\"%.80s\" is not of the form TENANT/VOLUME", text);
}

static int volume_name(const char *text, char ret[static RESOURCE_SIZE], struct err *err)
{
	char parent[RESOURCE_SIZE];
	char id[NAME_SIZE];
	int r = split_volume(text, parent, id, err);

	if (r == 0)
		snprintf(ret, RESOURCE_SIZE, "%.*s/volumes/%s",
			(int)(RESOURCE_SIZE - sizeof("/volumes/") - NAME_LEN_MAX), parent, id);
	return r;
}

/* "TENANT/NAME:PATH" */
static int place(const char *text, char ret_container[static RESOURCE_SIZE],
	char ret_path[static PATH_MOST], struct err *err)
{
	const char *colon = strchr(text, ':');
	char container[RESOURCE_SIZE];

	if (!colon || (size_t)(colon - text) >= sizeof(container) || strlen(colon + 1) >= PATH_MOST)
		return usage_error(err, "\"%.80s\" is not of the form TENANT/NAME:/PATH", text);
	snprintf(container, sizeof(container), "%.*s", (int)(colon - text), text);
	snprintf(ret_path, PATH_MOST, "%s", colon + 1);
	return cli_container_name(container, ret_container, err);
}

/* The name behind "host:"; NULL: it is a volume. */
static const char *host_directory(const char *text)
{
	return strncmp(text, HOST_PREFIX, strlen(HOST_PREFIX)) ? NULL : text + strlen(HOST_PREFIX);
}

/* "none" is 0, and so is what was not given. */
static int read_size(const char *text, uint64_t *ret, struct err *err)
{
	*ret = 0;
	if (!text || !strcmp(text, "none"))
		return 0;
	if (size_parse(text, ret) < 0 || *ret == 0)
		return usage_error(
			err, "\"%.40s\" is not a size; write 10GiB, 500MB or none", text);
	return 0;
}

/* --- commands --- */

static int create(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__CreateVolumeRequest request = CROFT__V1__CREATE_VOLUME_REQUEST__INIT;
	Croft__V1__Volume volume = CROFT__V1__VOLUME__INIT;
	char parent[RESOURCE_SIZE];
	char id[NAME_SIZE];
	int r = split_volume(cli_arg(cli, 0), parent, id, err);

	if (r == 0)
		r = read_size(options_get(&cli->options, "size"), &volume.size_bytes, err);
	request.parent = parent;
	request.volume_id = id;
	request.volume = &volume;
	if (r == 0)
		r = cli_call(cli, SERVICE, "CreateVolume", &request.base, &reply, err);
	return r < 0 ? r
		     : cli_report(
			       cli, volume_columns, reply, err, "made volume %s", cli_arg(cli, 0));
}

static int show(struct cli *cli, struct err *err)
{
	Croft__V1__GetVolumeRequest request = CROFT__V1__GET_VOLUME_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	int r = volume_name(cli_arg(cli, 0), name, err);

	request.name = name;
	return r < 0 ? r : cli_show(cli, SERVICE, "GetVolume", &request.base, volume_columns, err);
}

static int set(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__UpdateVolumeRequest request = CROFT__V1__UPDATE_VOLUME_REQUEST__INIT;
	Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
	const char *size = options_get(&cli->options, "size");
	Croft__V1__Volume volume = CROFT__V1__VOLUME__INIT;
	char *paths[] = {(char *)"size_bytes"};
	char name[RESOURCE_SIZE];
	int r = volume_name(cli_arg(cli, 0), name, err);

	if (r == 0 && !size)
		r = usage_error(err, "say what to change: --size SIZE");
	if (r == 0)
		r = read_size(size, &volume.size_bytes, err);
	volume.name = name;
	mask.n_paths = 1;
	mask.paths = paths;
	request.volume = &volume;
	request.update_mask = &mask;
	request.force = options_has(&cli->options, "force");
	if (r == 0)
		r = cli_call(cli, SERVICE, "UpdateVolume", &request.base, &reply, err);
	return r < 0 ? r
		     : cli_report(cli, volume_columns, reply, err, "changed volume %s",
			       cli_arg(cli, 0));
}

static int delete_volume(struct cli *cli, struct err *err)
{
	Croft__V1__DeleteVolumeRequest request = CROFT__V1__DELETE_VOLUME_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	int r = volume_name(cli_arg(cli, 0), name, err);

	request.name = name;
	request.force = options_has(&cli->options, "force");
	if (r == 0)
		r = cli_call_only(cli, SERVICE, "DeleteVolume", &request.base, err);
	return r < 0 ? r : cli_report(cli, NULL, NULL, err, "deleted volume %s", cli_arg(cli, 0));
}

static int attach_volume(
	struct cli *cli, char *container, char *path, ProtobufCMessage **reply, struct err *err)
{
	Croft__V1__AttachVolumeRequest request = CROFT__V1__ATTACH_VOLUME_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	int r = volume_name(cli_arg(cli, 0), name, err);

	request.name = name;
	request.container = container;
	request.path = path;
	request.read_only = options_has(&cli->options, "read-only");
	return r < 0 ? r : cli_call(cli, SERVICE, "AttachVolume", &request.base, reply, err);
}

static int attach_host(struct cli *cli, const char *directory, char *container, char *path,
	ProtobufCMessage **reply, struct err *err)
{
	Croft__V1__AttachHostDirectoryRequest request =
		CROFT__V1__ATTACH_HOST_DIRECTORY_REQUEST__INIT;

	if (!options_has(&cli->options, "read-only"))
		return usage_error(err,
			"a directory of the host can only be attached read-only; say --read-only");
	request.host_directory = (char *)directory;
	request.container = container;
	request.path = path;
	return cli_call(cli, SERVICE, "AttachHostDirectory", &request.base, reply, err);
}

static int attach(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	const char *directory = host_directory(cli_arg(cli, 0));
	char container[RESOURCE_SIZE];
	char path[PATH_MOST];
	int r = place(cli_arg(cli, 1), container, path, err);

	if (r == 0)
		r = directory ? attach_host(cli, directory, container, path, &reply, err)
			      : attach_volume(cli, container, path, &reply, err);
	return r < 0 ? r
		     : cli_report(cli, container_columns, reply, err, "attached %s to %s",
			       cli_arg(cli, 0), cli_arg(cli, 1));
}

static int detach(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__DetachHostDirectoryRequest of_host =
		CROFT__V1__DETACH_HOST_DIRECTORY_REQUEST__INIT;
	Croft__V1__DetachVolumeRequest request = CROFT__V1__DETACH_VOLUME_REQUEST__INIT;
	const char *directory = host_directory(cli_arg(cli, 0));
	char container[RESOURCE_SIZE];
	char name[RESOURCE_SIZE];
	int r = cli_container_name(cli_arg(cli, 1), container, err);

	if (r == 0 && !directory)
		r = volume_name(cli_arg(cli, 0), name, err);
	request.name = name;
	request.container = container;
	of_host.host_directory = (char *)directory;
	of_host.container = container;
	if (r == 0)
		r = directory ? cli_call(cli, SERVICE, "DetachHostDirectory", &of_host.base, &reply,
					err)
			      : cli_call(cli, SERVICE, "DetachVolume", &request.base, &reply, err);
	return r < 0 ? r
		     : cli_report(cli, container_columns, reply, err, "detached %s from %s",
			       cli_arg(cli, 0), cli_arg(cli, 1));
}

/* --- list --- */

static int list_tenant(struct cli *cli, const char *tenant, struct output *output, struct err *err)
{
	Croft__V1__ListVolumesRequest request = CROFT__V1__LIST_VOLUMES_REQUEST__INIT;

	request.parent = (char *)tenant;
	return list_add(cli, SERVICE, "ListVolumes", &request.base, output, err);
}

static int list(struct cli *cli, struct err *err)
{
	return list_print_tenants(cli, volume_list_columns, list_tenant, err);
}

#define SIZE_OPTION                                                                                \
	{                                                                                          \
		.name = "size", .value = "SIZE",                                                   \
		.help = "how much it may hold; \"none\": as much as its tenant"                    \
	}

static const struct option_rule create_options[] = {SIZE_OPTION, {0}};

static const struct option_rule set_options[] = {
	SIZE_OPTION,
	{.name = "force", .help = "also below what is in use; further writes fail"},
	{0},
};

static const struct option_rule delete_options[] = {
	{.name = "force", .help = "also while its tenant is suspended for abuse"},
	{0},
};

static const struct option_rule attach_options[] = {
	{.name = "read-only", .help = "the container cannot write to it"},
	{0},
};

const struct command cmd_volume_create = {
	.name = "volume create",
	.summary = "Make a volume, which outlives containers and is shared by them.",
	.args = {{.name = "TENANT/VOLUME"}},
	.options = create_options,
	.run = create,
};

const struct command cmd_volume_attach = {
	.name = "volume attach",
	.summary = "Mount a volume, or an allowed directory of the host (host:NAME), in a stopped "
		   "container.",
	.args = {{.name = "TENANT/VOLUME"}, {.name = "TENANT/NAME:PATH", .kind = WORD_CONTAINER}},
	.options = attach_options,
	.run = attach,
};

const struct command cmd_volume_detach = {
	.name = "volume detach",
	.summary = "Take a volume, or a directory of the host, from a stopped container.",
	.args = {{.name = "TENANT/VOLUME"}, {.name = "TENANT/NAME", .kind = WORD_CONTAINER}},
	.run = detach,
};

const struct command cmd_volume_list = {
	.name = "volume list",
	.summary = "List the volumes, of one tenant or of all.",
	.args = {{.name = "TENANT", .kind = WORD_TENANT, .optional = true}},
	.run = list,
};

const struct command cmd_volume_show = {
	.name = "volume show",
	.summary = "Show a volume, with what it holds now.",
	.args = {{.name = "TENANT/VOLUME"}},
	.run = show,
};

const struct command cmd_volume_set = {
	.name = "volume set",
	.summary = "Change how much a volume may hold, live.",
	.args = {{.name = "TENANT/VOLUME"}},
	.options = set_options,
	.run = set,
};

const struct command cmd_volume_delete = {
	.name = "volume delete",
	.summary = "Delete a volume that no container has, and all in it.",
	.args = {{.name = "TENANT/VOLUME"}},
	.options = delete_options,
	.run = delete_volume,
};

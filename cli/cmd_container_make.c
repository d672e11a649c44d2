/* croft launch, create, import, set: what a container is made of and held by. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/cloud_init.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/health.h"
#include "cli/limits_message.h"
#include "cli/schedule.h"
#include "cli/upload.h"
#include "cli/usage.h"
#include "cli/uuid.h"
#include "croft/v1/containers.pb-c.h"

#include <string.h>

#define SERVICE	     (&croft__v1__containers__descriptor)
#define UPKEEP_PATHS 4

/* Of all that make or change a container. */
#define UPKEEP_OPTIONS                                                                             \
	{.name = "restart",                                                                        \
		.value = "never|on-failure|always",                                                \
		.kind = WORD_CHOICE,                                                               \
		.help = "start it again when its run has ended by itself"},                        \
		{.name = "autostart",                                                              \
			.value = "on|off",                                                         \
			.kind = WORD_CHOICE,                                                       \
			.help = "start it with the host"},                                         \
		{.name = "idle-freeze",                                                            \
			.value = "TIME",                                                           \
			.help = "freeze it when idle for so long, until it is used; none: never"}, \
	{                                                                                          \
		.name = "autostart-order", .value = "N", .help = "lower ones start first (0)"      \
	}

/* --restart, --autostart, --autostart-order, --idle-freeze: as far as they are given. Adds their
 * mask paths. */
static int read_upkeep(const struct options *o, Croft__V1__Container *c,
	Google__Protobuf__Duration *idle_freeze, const char *paths[static UPKEEP_PATHS], size_t *n,
	struct err *err)
{
	static const char *const policies[] = {"never", "on-failure", "always"};
	const char *restart = options_get(o, "restart");
	const char *autostart = options_get(o, "autostart");
	const char *order = options_get(o, "autostart-order");
	const char *idle = options_get(o, "idle-freeze");
	bool on = false;
	uint64_t value = 0;
	int r = 0;

	*n = 0;
	for (size_t i = 0; restart && i < ARRAY_SIZE(policies); i++)
		if (!strcmp(restart, policies[i]))
			c->restart_policy = (Croft__V1__Container__RestartPolicy)(i + 1);
	if (restart && !c->restart_policy)
		return usage_error(
			err, "--restart takes never, on-failure or always, not \"%.40s\"", restart);
	if (autostart)
		r = cli_switch("autostart", autostart, &on, err);
	if (r == 0 && order)
		r = cli_number("--autostart-order", order, 9999, &value, err);
	if (r == 0 && idle && strcmp(idle, "none") != 0)
		r = schedule_span("idle-freeze", idle, idle_freeze, err);
	if (r < 0)
		return r;
	c->autostart = on;
	c->autostart_order = (uint32_t)value;
	if (restart)
		paths[(*n)++] = "restart_policy";
	if (autostart)
		paths[(*n)++] = "autostart";
	if (order)
		paths[(*n)++] = "autostart_order";
	if (idle)
		paths[(*n)++] = "idle_freeze";
	if (idle && strcmp(idle, "none") != 0)
		c->idle_freeze = idle_freeze;
	return 0;
}

/* Everything but limits and names. */
static int fill_container(const struct cli *cli, Croft__V1__Container *c,
	Google__Protobuf__Duration *idle_freeze, char policy[static RESOURCE_SIZE], struct err *err)
{
	const struct options *o = &cli->options;
	const char *paths[UPKEEP_PATHS];
	size_t n;

	c->with_init = options_has(o, "with-init");
	c->ephemeral = options_has(o, "ephemeral");
	c->oom_group = options_has(o, "oom-group");
	c->no_network = options_has(o, "no-network");
	c->nesting = options_has(o, "nesting");
	c->n_init_args = o->n_rest;
	c->init_args = (char **)o->rest;
	if (read_upkeep(o, c, idle_freeze, paths, &n, err) < 0)
		return -EINVAL;
	if (!options_has(o, "policy"))
		return 0;
	c->policy = policy;
	return cli_policy_name(options_get(o, "policy"), policy, err);
}

/* A request for a new container, and all that it refers to. */
struct new_container {
	Croft__V1__CreateContainerRequest request;
	Croft__V1__Container container;
	struct schedule_message schedule;
	Google__Protobuf__Duration idle_freeze;
	struct health_message health;
	struct cloud_init_message cloud;
	struct limits_message limits;
	char image[RESOURCE_SIZE];
	char parent[RESOURCE_SIZE];
	char policy[RESOURCE_SIZE];
	char id[NAME_SIZE];
};

/* All but the image. */
static int read_new(struct cli *cli, const char *name, struct new_container *c, struct err *err)
{
	int r;

	croft__v1__create_container_request__init(&c->request);
	croft__v1__container__init(&c->container);
	r = cli_split_container(name, c->parent, c->id, err);
	if (r == 0)
		r = limits_message_read(&cli->options, true, &c->limits, err);
	if (r == 0)
		r = fill_container(cli, &c->container, &c->idle_freeze, c->policy, err);
	if (r == 0)
		r = schedule_read(&cli->options, &c->schedule, err);
	if (r == 0)
		r = health_option_read(&cli->options, &c->health, err);
	if (r == 0)
		r = cloud_init_read(&cli->options, &c->cloud, err);
	if (r < 0)
		return r;
	c->container.cloud_init = c->cloud.given ? &c->cloud.message : NULL;
	c->container.health_check = health_option_message(&c->health);
	c->container.snapshot_schedule = schedule_message(&c->schedule);
	c->container.limits = &c->limits.message;
	c->request.parent = c->parent;
	c->request.container_id = c->id;
	c->request.container = &c->container;
	return 0;
}

static int make(struct cli *cli, const char *method, const char *done, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	struct new_container c;
	int r = cli_image_name(cli_arg(cli, 0), c.image, err);

	if (r == 0)
		r = read_new(cli, cli_arg(cli, 1), &c, err);
	if (r < 0)
		return r;
	c.container.image = c.image;
	r = cli_call(cli, SERVICE, method, &c.request.base, &reply, err);
	cloud_init_finish(&c.cloud);
	return r < 0 ? r
		     : cli_report(
			       cli, container_columns, reply, err, "%s %s", done, cli_arg(cli, 1));
}

static int launch(struct cli *cli, struct err *err)
{
	return make(cli, "LaunchContainer", "launched", err);
}

static int create(struct cli *cli, struct err *err)
{
	return make(cli, "CreateContainer", "created", err);
}

/* --- import --- */

static int send_data(struct call *call, void *data, size_t size, struct err *err)
{
	Croft__V1__ImportContainerRequest request = CROFT__V1__IMPORT_CONTAINER_REQUEST__INIT;

	request.kind_case = CROFT__V1__IMPORT_CONTAINER_REQUEST__KIND_DATA;
	request.data = (ProtobufCBinaryData){.data = data, .len = size};
	return call_send(call, &request.base, err);
}

static ProtobufCMessage *take(ProtobufCMessage *message, uint64_t *entries)
{
	Croft__V1__ImportContainerResponse *response = (void *)message;
	Croft__V1__Container *container;

	if (response->kind_case == CROFT__V1__IMPORT_CONTAINER_RESPONSE__KIND_PROGRESS)
		*entries = response->progress->entries;
	if (response->kind_case != CROFT__V1__IMPORT_CONTAINER_RESPONSE__KIND_CONTAINER)
		return NULL;
	container = take_ptr(response->container);
	response->kind_case = CROFT__V1__IMPORT_CONTAINER_RESPONSE__KIND__NOT_SET;
	return container ? &container->base : NULL;
}

static int send_file(struct cli *cli, struct new_container *c, struct archive_source *source,
	ProtobufCMessage **ret, struct err *err)
{
	static const struct upload_method method = {
		.service = SERVICE,
		.name = "ImportContainer",
		.send_data = send_data,
		.take = take,
		.no_result = "the server ended the import without a container",
	};
	Croft__V1__ImportContainerRequest request = CROFT__V1__IMPORT_CONTAINER_REQUEST__INIT;
	char request_id[UUID_SIZE];
	struct client *client;
	int r = uuid_random(request_id, err);

	if (r < 0)
		return -EIO;
	c->request.request_id = request_id;
	request.kind_case = CROFT__V1__IMPORT_CONTAINER_REQUEST__KIND_START;
	request.start = &c->request;
	request.without_snapshots = options_has(&cli->options, "no-snapshots");
	r = cli_connect(cli, &client, err);
	return r < 0 ? r : upload(client, &method, &request.base, source, ret, err);
}

static int import(struct cli *cli, struct err *err)
{
	_cleanup_archive_source_ struct archive_source *source = NULL;
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	const char *path = cli_arg(cli, 1);
	struct new_container c;
	int r;

	if (!strcmp(path, "-") && isatty(STDIN_FILENO))
		return usage_error(err, "standard input is a terminal; give it the file");
	r = read_new(cli, cli_arg(cli, 0), &c, err);
	if (r < 0)
		return r;
	r = archive_source_open(path, &source, err);
	if (r == 0)
		r = send_file(cli, &c, source, &reply, err);
	cloud_init_finish(&c.cloud);
	return r < 0 ? r
		     : cli_report(
			       cli, container_columns, reply, err, "imported %s", cli_arg(cli, 0));
}

/* What set changes beside limits: fills the container, adds the mask's paths. */
static int read_others(const struct cli *cli, Croft__V1__Container *c,
	struct schedule_message *schedule, Google__Protobuf__Duration *idle_freeze,
	struct health_message *health, const char **paths, size_t *n_paths, struct err *err)
{
	const struct options *o = &cli->options;
	const char *oom_group = options_get(o, "oom-group");
	size_t n_upkeep = 0;
	bool on = false;
	int r = oom_group ? cli_switch("oom-group", oom_group, &on, err) : 0;

	if (r == 0)
		r = schedule_read(o, schedule, err);
	if (r == 0)
		r = health_option_read(o, health, err);
	if (r < 0)
		return r;
	c->oom_group = on;
	c->health_check = health_option_message(health);
	c->snapshot_schedule = schedule_message(schedule);
	if (oom_group)
		paths[(*n_paths)++] = "oom_group";
	if (schedule->given)
		paths[(*n_paths)++] = "snapshot_schedule";
	if (health->given)
		paths[(*n_paths)++] = "health_check";
	r = read_upkeep(o, c, idle_freeze, paths + *n_paths, &n_upkeep, err);
	*n_paths += n_upkeep;
	return r;
}

static int set(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__UpdateContainerRequest request = CROFT__V1__UPDATE_CONTAINER_REQUEST__INIT;
	Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
	Croft__V1__Container container = CROFT__V1__CONTAINER__INIT;
	const char *paths[LIMIT_N + 4 + UPKEEP_PATHS + CLOUD_INIT_PATHS];
	struct schedule_message schedule;
	Google__Protobuf__Duration idle_freeze;
	struct health_message health;
	struct cloud_init_message cloud;
	struct limits_message limits;
	char name[RESOURCE_SIZE];
	int r = cli_container_name(cli_arg(cli, 0), name, err);

	if (r == 0)
		r = limits_message_read(&cli->options, true, &limits, err);
	if (r < 0)
		return r;
	memcpy(paths, limits.paths, limits.n_paths * sizeof(*paths));
	mask.n_paths = limits.n_paths;
	r = read_others(
		cli, &container, &schedule, &idle_freeze, &health, paths, &mask.n_paths, err);
	if (r == 0)
		r = cloud_init_read_change(
			&cli->options, &cloud, &container, paths, &mask.n_paths, err);
	if (r < 0)
		return r;
	if (!mask.n_paths)
		return usage_error(err, "nothing to set: give a limit or another option");
	mask.paths = (char **)paths;
	container.name = name;
	container.limits = &limits.message;
	request.container = &container;
	request.update_mask = &mask;
	request.force = options_has(&cli->options, "force");
	r = cli_call(cli, SERVICE, "UpdateContainer", &request.base, &reply, err);
	cloud_init_finish(&cloud);
	return r < 0 ? r
		     : cli_report(cli, container_columns, reply, err, "set %s", cli_arg(cli, 0));
}

/* clang-format off: a list that two tables begin with */
#define MAKE_OPTIONS                                                                               \
	{.name = "policy",                                                                         \
		.value = "POLICY",                                                                 \
		.kind = WORD_POLICY,                                                               \
		.help = "the system call policy (default: default)"},                              \
		{.name = "ephemeral", .help = "delete the container when its run has ended"},      \
		{.name = "oom-group", .help = "when memory runs out, kill the whole container"},   \
		{.name = "with-init",                                                              \
			.help = "put croft-init, which reaps and forwards signals, first"},        \
		SCHEDULE_OPTIONS, HEALTH_OPTIONS, UPKEEP_OPTIONS,                                  \
		{.name = "no-network",                                                             \
			.help = "loopback only, also where the host has a network"},               \
		{.name = "nesting",                                                                \
			.help = "let it have containers inside; an operator must allow it"},       \
		CLOUD_INIT_OPTIONS,                                                                \
	{                                                                                          \
		.name = "cloud-init", .help = "let cloud-init run, also without any of these"      \
	}
/* clang-format on */

static const struct option_rule make_options[] = {MAKE_OPTIONS, {0}};

static const struct option_rule import_options[] = {
	MAKE_OPTIONS,
	{.name = "no-snapshots", .help = "leave out what the file has of snapshots"},
	{0},
};

static const struct option_rule set_options[] = {
	{.name = "oom-group",
		.value = "on|off",
		.kind = WORD_CHOICE,
		.help = "when memory runs out, kill the whole container"},
	SCHEDULE_OPTIONS,
	HEALTH_OPTIONS,
	UPKEEP_OPTIONS,
	CLOUD_INIT_OPTIONS,
	{.name = "no-cloud-init", .help = "give it nothing for cloud-init any more"},
	{.name = "force", .help = "lower memory and disk below what is in use"},
	{0},
};

const struct command cmd_launch = {
	.name = "launch",
	.summary = "Make a container from an image and start it.",
	.args = {{.name = "IMAGE", .kind = WORD_IMAGE}, {.name = "TENANT/NAME"}},
	.rest = "INIT...",
	.rest_optional = true,
	.options = make_options,
	.limits = COMMAND_LIMITS_CONTAINER,
	.run = launch,
};

const struct command cmd_create = {
	.name = "create",
	.summary = "Make a container from an image without starting it.",
	.args = {{.name = "IMAGE", .kind = WORD_IMAGE}, {.name = "TENANT/NAME"}},
	.rest = "INIT...",
	.rest_optional = true,
	.options = make_options,
	.limits = COMMAND_LIMITS_CONTAINER,
	.run = create,
};

const struct command cmd_import = {
	.name = "import",
	.summary =
		"Make a container of a file that 'croft export' wrote, with the snapshots in it, "
		"or of an image's archive, without starting it.",
	.args = {{.name = "TENANT/NAME"}, {.name = "FILE|-", .kind = WORD_FILE}},
	.rest = "INIT...",
	.rest_optional = true,
	.options = import_options,
	.limits = COMMAND_LIMITS_CONTAINER,
	.run = import,
};

const struct command cmd_set = {
	.name = "set",
	.summary = "Change a container's limits while it runs; \"none\" takes one off.",
	.args = {{.name = "TENANT/NAME", .kind = WORD_CONTAINER}},
	.options = set_options,
	.limits = COMMAND_LIMITS_CONTAINER,
	.run = set,
};

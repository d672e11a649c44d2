/* croft list, croft info: containers shown. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/cloud_init.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/health.h"
#include "cli/list.h"
#include "cli/schedule.h"
#include "croft/v1/containers.pb-c.h"

#include <string.h>

#define SERVICE (&croft__v1__containers__descriptor)

static const char *describe_exit(const Croft__V1__Exit *exit, char out[static COLUMN_TEXT_MAX])
{
	const char *signal = sigabbrev_np(exit->signal);

	switch (exit->kind) {
	case CROFT__V1__EXIT__KIND__EXITED:
		snprintf(out, COLUMN_TEXT_MAX, "exited %d", exit->status);
		break;
	case CROFT__V1__EXIT__KIND__SIGNALLED:
		snprintf(out, COLUMN_TEXT_MAX, "killed by signal %d%s%s%s", exit->signal,
			signal ? " (" : "", signal ? signal : "", signal ? ")" : "");
		break;
	case CROFT__V1__EXIT__KIND__POWEROFF:
		snprintf(out, COLUMN_TEXT_MAX, "powered off");
		break;
	case CROFT__V1__EXIT__KIND__REBOOT:
		snprintf(out, COLUMN_TEXT_MAX, "rebooted");
		break;
	case CROFT__V1__EXIT__KIND__OOM:
		snprintf(out, COLUMN_TEXT_MAX, "out of memory");
		break;
	default:
		snprintf(out, COLUMN_TEXT_MAX, "unknown");
		break;
	}
	if (exit->note[0])
		snprintf(out + strlen(out), COLUMN_TEXT_MAX - strlen(out), "; %s", exit->note);
	return out;
}

static const char *exit_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Container *c = (const void *)m;

	(void)human;
	return c->run && c->run->exit ? describe_exit(c->run->exit, buf) : "";
}

static const char *init_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Container *c = (const void *)m;
	size_t n = 0;

	(void)human;
	buf[0] = '\0';
	for (size_t i = 0; i < c->n_init_args && n < COLUMN_TEXT_MAX; i++)
		n += (size_t)snprintf(
			buf + n, COLUMN_TEXT_MAX - n, "%s%s", i ? " " : "", c->init_args[i]);
	return buf;
}

static const char *mounts_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Container *c = (const void *)m;
	size_t n = 0;

	(void)human;
	buf[0] = '\0';
	for (size_t i = 0; i < c->n_mounts && n < COLUMN_TEXT_MAX; i++) {
		const Croft__V1__Mount *mount = c->mounts[i];
		const char *volume = strrchr(mount->volume, '/');

		n += (size_t)snprintf(buf + n, COLUMN_TEXT_MAX - n, "%s%s%s at %s%s", i ? ", " : "",
			volume ? "" : "host:", volume ? volume + 1 : mount->host_directory,
			mount->path, mount->read_only ? " (read-only)" : "");
	}
	return buf;
}

static const char *idle_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Container *c = (const void *)m;

	buf[0] = '\0';
	if (c->idle_freeze)
		snprintf(buf, COLUMN_TEXT_MAX, human ? "after %lld s%s" : "%lld",
			(long long)c->idle_freeze->seconds,
			c->idle_frozen ? "; it is frozen now" : "");
	return buf;
}

const struct column container_list_columns[] = {
	{"name", "CONTAINER", "name", COLUMN_RESOURCE, NULL},
	{"state", "STATE", .kind = COLUMN_CUSTOM, .text = health_state_text},
	{"health", NULL, .kind = COLUMN_CUSTOM, .text = health_text},
	{"image", "IMAGE", "image", COLUMN_RESOURCE, NULL},
	{"cpu_milli", "CPU", .kind = COLUMN_CUSTOM, .text = columns_cpu},
	{"memory_bytes", "MEMORY", .kind = COLUMN_CUSTOM, .text = columns_memory},
	{"pids", "PIDS", .kind = COLUMN_CUSTOM, .text = columns_pids},
	{"disk_used_bytes", "DISK USED", "disk_used_bytes", COLUMN_SIZE, NULL},
	{"ipv4", "IPV4", "ipv4_address", COLUMN_PLAIN, NULL},
	{"ipv6", NULL, "ipv6_address", COLUMN_PLAIN, NULL},
	{"start_time", NULL, "run.start_time", COLUMN_TIME, NULL},
	{"exit", "ENDED", .kind = COLUMN_CUSTOM, .text = exit_text},
	{0},
};

const struct column container_columns[] = {
	{"name", "container", "name", COLUMN_RESOURCE, NULL},
	{"uid", "uid", "uid", COLUMN_PLAIN, NULL},
	{"state", "state", .kind = COLUMN_CUSTOM, .text = health_state_text},
	{"image", "image", "image", COLUMN_RESOURCE, NULL},
	{"policy", "policy", "policy", COLUMN_RESOURCE, NULL},
	{"create_time", "created", "create_time", COLUMN_TIME, NULL},
	COLUMNS_LIMITS,
	{"init_args", "init", .kind = COLUMN_CUSTOM, .text = init_text},
	{"with_init", "with croft-init", "with_init", COLUMN_PLAIN, NULL},
	{"ephemeral", "ephemeral", "ephemeral", COLUMN_PLAIN, NULL},
	{"oom_group", "oom group", "oom_group", COLUMN_PLAIN, NULL},
	{"mounts", "mounts", .kind = COLUMN_CUSTOM, .text = mounts_text},
	{"nesting", "nesting", "nesting", COLUMN_PLAIN, NULL},
	{"cloud_init", "cloud-init", .kind = COLUMN_CUSTOM, .text = cloud_init_text},
	{"snapshots", "snapshots", .kind = COLUMN_CUSTOM, .text = schedule_text},
	{"next_snapshot_time", "next snapshot", "next_snapshot_time", COLUMN_TIME, NULL},
	{"health_check", "health check", .kind = COLUMN_CUSTOM, .text = health_check_text},
	{"health", "health", .kind = COLUMN_CUSTOM, .text = health_text},
	{"restart_policy", "restart", "restart_policy", COLUMN_PLAIN, NULL},
	{"restart_time", "starts again", "restart_time", COLUMN_TIME, NULL},
	{"idle_freeze", "idle freeze", .kind = COLUMN_CUSTOM, .text = idle_text},
	{"autostart", "autostart", "autostart", COLUMN_PLAIN, NULL},
	{"autostart_order", "order", "autostart_order", COLUMN_PLAIN, NULL},
	{"no_network", "no network", "no_network", COLUMN_PLAIN, NULL},
	{"ipv4", "ipv4 address", "ipv4_address", COLUMN_PLAIN, NULL},
	{"ipv6", "ipv6 address", "ipv6_address", COLUMN_PLAIN, NULL},
	{"cores_now", "cores now", "cores", COLUMN_PLAIN, NULL},
	{"disk_used_bytes", "disk used", "disk_used_bytes", COLUMN_SIZE, NULL},
	{"inodes_used", "inodes used", "inodes_used", COLUMN_PLAIN, NULL},
	{"disk_limit_enforced", "disk limit holds", "disk_limit_enforced", COLUMN_PLAIN, NULL},
	{"log_bytes", "log size", .kind = COLUMN_CUSTOM, .text = columns_log},
	{"log_used_bytes", "log used", "log_used_bytes", COLUMN_SIZE, NULL},
	{"run_id", "run", "run.id", COLUMN_PLAIN, NULL},
	{"start_time", "started", "run.start_time", COLUMN_TIME, NULL},
	{"end_time", "ended", "run.end_time", COLUMN_TIME, NULL},
	{"host_pid", "host pid", "run.host_pid", COLUMN_ID, NULL},
	{"id_base", "host ids from", "run.id_base", COLUMN_ID, NULL},
	{"exit", "exit", .kind = COLUMN_CUSTOM, .text = exit_text},
	{0},
};

/* Adds every container of a parent ("tenants/acme", "tenants/-"). */
static int list_parent(struct cli *cli, const char *parent, struct output *output, struct err *err)
{
	Croft__V1__ListContainersRequest request = CROFT__V1__LIST_CONTAINERS_REQUEST__INIT;

	request.parent = (char *)parent;
	return list_add(cli, SERVICE, "ListContainers", &request.base, output, err);
}

static int list(struct cli *cli, struct err *err)
{
	_cleanup_output_ struct output *output = NULL;
	char parent[RESOURCE_SIZE] = "tenants/-";
	const char *tenant = cli_arg(cli, 0);
	int r = tenant ? cli_tenant_name(tenant, parent, err) : 0;

	if (r == 0)
		r = output_create(cli->format, container_list_columns, stdout, &output, err);
	if (r < 0)
		return r;
	r = list_parent(cli, parent, output, err);
	/* Who is no operator may see the own tenants' alone. */
	if (r < 0 && !tenant && (err->code == ERR_NOT_FOUND || err->code == ERR_PERMISSION_DENIED))
		r = list_add_tenants(cli, list_parent, output, err);
	return r < 0 ? r : output_end(output, err);
}

static int info(struct cli *cli, struct err *err)
{
	Croft__V1__GetContainerRequest request = CROFT__V1__GET_CONTAINER_REQUEST__INIT;
	char name[RESOURCE_SIZE];
	int r = cli_container_name(cli_arg(cli, 0), name, err);

	request.name = name;
	return r < 0 ? r
		     : cli_show(
			       cli, SERVICE, "GetContainer", &request.base, container_columns, err);
}

const struct command cmd_list = {
	.name = "list",
	.summary = "List the containers, of one tenant or of all.",
	.args = {{.name = "TENANT", .kind = WORD_TENANT, .optional = true}},
	.run = list,
};

const struct command cmd_info = {
	.name = "info",
	.summary = "Show one container: its limits, its state and its run.",
	.args = {{.name = "TENANT/NAME", .kind = WORD_CONTAINER}},
	.run = info,
};

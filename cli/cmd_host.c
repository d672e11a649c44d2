/* croft host ...: the host as croftd sees it, and its end. */
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "croft/v1/host.pb-c.h"

#define SERVICE (&croft__v1__host__descriptor)

static const char *interval_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__HostInfo *info = (const void *)m;

	snprintf(buf, COLUMN_TEXT_MAX, human ? "%u ms" : "%u", info->sample_interval_ms);
	return buf;
}

/* Nobody knows before there is a pool, which is made for the first image. */
static const char *disk_limits_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__HostInfo *info = (const void *)m;

	(void)buf;
	if (!info->pool_driver[0])
		return "";
	if (human)
		return info->disk_limits_enforced ? "yes" : "no";
	return info->disk_limits_enforced ? "true" : "false";
}

const struct column host_columns[] = {
	{"hostname", "host", "hostname", COLUMN_PLAIN, NULL},
	{"version", "croftd", "version", COLUMN_PLAIN, NULL},
	{"start_time", "since", "start_time", COLUMN_TIME, NULL},
	{"supervisor_connected", "supervisor answers", "supervisor_connected", COLUMN_PLAIN, NULL},
	{"kernel", "kernel", "kernel", COLUMN_PLAIN, NULL},
	{"boot_id", "boot", "boot_id", COLUMN_PLAIN, NULL},
	{"cgroup_driver", "cgroup driver", "cgroup_driver", COLUMN_PLAIN, NULL},
	{"cpus", "cpus", "cpus", COLUMN_PLAIN, NULL},
	{"memory_bytes", "memory", "memory_bytes", COLUMN_SIZE, NULL},
	{"pool_driver", "pool driver", "pool_driver", COLUMN_PLAIN, NULL},
	{"pool_size_bytes", "pool size", "pool_size_bytes", COLUMN_SIZE, NULL},
	{"pool_used_bytes", "pool used", "pool_used_bytes", COLUMN_SIZE, NULL},
	{"disk_limits_enforced", "disk limits hold", .kind = COLUMN_CUSTOM,
		.text = disk_limits_text},
	{"io_limits", "I/O limits hold", "io_limits", COLUMN_PLAIN, NULL},
	{"proc_view", "limits in /proc", "proc_view", COLUMN_PLAIN, NULL},
	{"ipv4_pool", "ipv4 pool", "ipv4_pool", COLUMN_PLAIN, NULL},
	{"ipv6_pool", "ipv6 pool", "ipv6_pool", COLUMN_PLAIN, NULL},
	{"bridge_prefix", "bridge prefix", "bridge_prefix", COLUMN_PLAIN, NULL},
	{"networks", "networks", "networks", COLUMN_PLAIN, NULL},
	{"networks_max", "of", "networks_max", COLUMN_PLAIN, NULL},
	{"tenants", "tenants", "tenants", COLUMN_PLAIN, NULL},
	{"containers", "containers", "containers", COLUMN_PLAIN, NULL},
	{"running", "running", "running", COLUMN_PLAIN, NULL},
	{"sample_interval_ms", "sampled every", .kind = COLUMN_CUSTOM, .text = interval_text},
	{0},
};

static int info(struct cli *cli, struct err *err)
{
	Google__Protobuf__Empty request = GOOGLE__PROTOBUF__EMPTY__INIT;

	return cli_show(cli, SERVICE, "GetHostInfo", &request.base, host_columns, err);
}

static int shutdown_host(struct cli *cli, struct err *err)
{
	Croft__V1__ShutdownRequest request = CROFT__V1__SHUTDOWN_REQUEST__INIT;
	int r = cli_call_only(cli, SERVICE, "Shutdown", &request.base, err);

	return r < 0 ? r
		     : cli_report(cli, NULL, NULL, err,
			       "stopped every container; croftd and its supervisor are ending");
}

const struct command cmd_host_info = {
	.name = "host info",
	.summary = "Show the host: its kernel, its pool, and what runs on it.",
	.run = info,
};

const struct command cmd_host_shutdown = {
	.name = "host shutdown",
	.summary = "Stop every container, then croftd and its supervisor.",
	.run = shutdown_host,
};

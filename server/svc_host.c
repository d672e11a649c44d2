/* The service Host: the version, the host's figures, and the end of everything. */
#include "server/auth.h"
#include "server/svc.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "google/protobuf/empty.pb-c.h"
#include "server/convert.h"
#include "server/link.h"
#include "server/network.h"
#include "server/server.h"
#include "server/shutdown.h"

#include "croft/v1/host.pb-c.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

static void get_version(struct grpc_call *call, const ProtobufCMessage *message)
{
	Croft__V1__Version reply = CROFT__V1__VERSION__INIT;

	(void)message;
	reply.version = (char *)CROFT_VERSION;
	grpc_reply(call, &reply.base);
}

static const char *view_name(uint32_t kind)
{
	static const char *const names[] = {
		[VIEW_KIND_NONE] = "none", [VIEW_KIND_OFF] = "off", [VIEW_KIND_LXCFS] = "lxcfs"};

	return kind < ARRAY_SIZE(names) ? names[kind] : "none";
}

/* Of a supervisor's number, which may be anything. */
static const char *io_limits_name(const struct msg_host_info *host)
{
	static const char *const names[] = {[IO_LIMITS_NONE] = "none",
		[IO_LIMITS_READING] = "reading",
		[IO_LIMITS_ALL] = "all"};

	return host->pool_driver[0] && host->io_limits < ARRAY_SIZE(names) ? names[host->io_limits]
									   : "";
}

static void reply_info(struct grpc_call *call)
{
	Croft__V1__HostInfo reply = CROFT__V1__HOST_INFO__INIT;
	struct server *server = grpc_call_app(call);
	const struct msg_host_info *host = &server->host;
	const struct net_plan *plan = &server->config->net;
	Google__Protobuf__Timestamp started;
	char ipv4_pool[NET_TEXT_MAX];
	char ipv6_pool[NET_TEXT_MAX];
	char driver[sizeof(host->pool_driver) + 1];
	struct container *c = NULL;
	struct utsname name = {0};
	struct sysinfo info = {0};

	uname(&name);
	sysinfo(&info);
	convert_time(server->started_wall_usec, &started);
	snprintf(driver, sizeof(driver), "%.*s", (int)sizeof(host->pool_driver), host->pool_driver);
	reply.version = (char *)CROFT_VERSION;
	reply.kernel = name.release;
	reply.hostname = name.nodename;
	if (host->cgroup_kind)
		reply.cgroup_driver = (char *)(host->cgroup_kind == CGROUP_UNIFIED ? "unified"
										   : "hybrid");
	reply.pool_driver = driver;
	reply.pool_size_bytes = host->pool_size_bytes;
	reply.pool_used_bytes = host->pool_used_bytes;
	reply.disk_limits_enforced = host->pool_has_limits;
	reply.io_limits = (char *)io_limits_name(host);
	reply.cpus = host->cpus;
	reply.memory_bytes = (uint64_t)info.totalram * info.mem_unit;
	reply.tenants = (uint32_t)server->model.tenants.n;
	while ((c = model_next_container(&server->model, c))) {
		reply.containers += c->visible;
		reply.running += c->visible && container_state_is_live(c->state);
	}
	reply.ipv4_pool = (char *)net_format_prefix(&plan->ipv4.base, ipv4_pool);
	reply.ipv6_pool = (char *)net_format_prefix(&plan->ipv6.base, ipv6_pool);
	if (net_plan_is_on(plan))
		reply.bridge_prefix = (char *)plan->prefix_name;
	reply.networks_max = net_plan_networks(plan);
	reply.networks = network_count(server);
	reply.boot_id = server->boot_id;
	reply.start_time = &started;
	reply.supervisor_connected = link_is_connected(server->link);
	reply.proc_view = (char *)view_name(host->view_kind);
	reply.sample_interval_ms = (uint32_t)server->config->sample_interval_ms;
	grpc_reply(call, &reply.base);
}

static void on_host_info(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct grpc_call *call = arg;
	struct server *server = grpc_call_app(call);

	link_close_fds(fds, n_fds);
	if (!err)
		memcpy(&server->host, reply, sizeof(server->host));
	reply_info(call);
	grpc_call_unref(call);
}

static void get_host_info(struct grpc_call *call, const ProtobufCMessage *message)
{
	static const struct msg_empty empty;
	struct server *server = grpc_call_app(call);
	struct err err;

	(void)message;
	grpc_call_ref(call);
	if (link_send(server->link, MSG_HOST_INFO, &empty, NULL, 0, on_host_info, call, &err) == 0)
		return;
	reply_info(call);
	grpc_call_unref(call);
}

static void on_host_stopped(void *arg, const struct err *err)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct grpc_call *call = arg;

	if (err)
		grpc_fail(call, err);
	else
		grpc_reply(call, &empty.base);
	grpc_call_unref(call);
}

static void shutdown_handler(struct grpc_call *call, const ProtobufCMessage *message)
{
	struct actor asker;
	struct err err;

	auth_actor(grpc_call_peer(call), &asker);
	/* A repeated request finds it under way, so its request_id tells nothing more. */
	(void)message;
	grpc_call_ref(call);
	if (shutdown_host(grpc_call_app(call), &asker, on_host_stopped, call, &err) == 0)
		return;
	grpc_fail(call, &err);
	grpc_call_unref(call);
}

const struct grpc_handler svc_host_handlers[] = {
	{.path = "/croft.v1.Host/GetVersion", .start = get_version},
	{.path = "/croft.v1.Host/GetHostInfo", .start = get_host_info},
	{.path = "/croft.v1.Host/Shutdown", .start = shutdown_handler},
	{.path = NULL},
};

/*
 * Puts croftd together. Order of making: state, then what keeps it, then the supervisor's link,
 * then clients; taken apart the other way round, with the database last, so that every commit that
 * was promised is made.
 */
#include "server/service.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/auth.h"
#include "server/disk_watch.h"
#include "server/event_feed.h"
#include "server/events.h"
#include "server/exec.h"
#include "server/health.h"
#include "server/idle.h"
#include "server/import.h"
#include "server/link.h"
#include "server/log_writer.h"
#include "server/logs.h"
#include "server/network.h"
#include "server/plan_rollout.h"
#include "server/request_ids.h"
#include "server/sampler.h"
#include "server/server.h"
#include "server/shutdown.h"
#include "server/snapshot_schedule.h"
#include "server/store.h"
#include "server/svc.h"
#include "server/svc_policies.h"
#include "server/traffic.h"
#include "server/upkeep.h"

#include <event2/event.h>
#include <signal.h>
#include <string.h>

struct service {
	struct server server;
	struct event *signals[2];
};

static void on_db_failed(void *arg, const struct err *err)
{
	struct server *server = arg;

	if (server->exit_code)
		return;
	log_error("state-failed error=\"%s\"", err->msg);
	server->exit_code = 1;
	event_base_loopbreak(server->base);
}

static void on_db_committed(void *arg)
{
	event_feed_wake(arg);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	shutdown_service(arg);
}

static void on_ready(struct server *server)
{
	grpc_server_set_healthy(server->grpc, true);
	plan_rollout_resume(server);
	upkeep_resume(server);
}

/* Runs that the database believes to be open: the supervisor will say what became of them. */
static void expect_open_runs(struct server *server)
{
	struct container *c = NULL;

	while ((c = model_next_container(&server->model, c))) {
		if (c->run.key && !c->run.end_wall_usec)
			c->state = c->run.confirmed ? CONTAINER_RUNNING : CONTAINER_STARTING;
		else if (c->launching || (c->ephemeral && c->run.key))
			/* Never finished, or ended before its deletion had begun. */
			c->condemned = true;
	}
}

static int open_state(struct server *server, const struct startup *startup, struct err *err)
{
	struct db_config config = {
		.failed = on_db_failed, .committed = on_db_committed, .arg = server};
	int r = db_open(startup->db_path, &server->db, err);

	if (r == 0)
		r = store_load(server->db, &server->model, &server->next_run_key, err);
	if (r == 0)
		r = store_load_setting(server->db, STORE_AUTOSTART_BOOT, server->autostart_boot,
			sizeof(server->autostart_boot), err);
	if (r == 0)
		r = disk_watch_load(server, err);
	server->requests = request_table_create();
	if (r == 0)
		r = server->requests ? request_table_load(server->requests, server->db, err)
				     : err_oom(err);
	if (r < 0)
		return r;
	network_load(server);
	expect_open_runs(server);
	return db_start(server->db, server->base, &config, err);
}

static int watch_signals(struct service *service, struct err *err)
{
	static const int numbers[] = {SIGTERM, SIGINT};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		service->signals[i] = evsignal_new(
			service->server.base, numbers[i], on_signal, &service->server);
		if (!service->signals[i] || event_add(service->signals[i], NULL) < 0)
			return err_oom(err);
	}
	return 0;
}

static int open_api(struct server *server, struct startup *startup, struct err *err)
{
	static const struct grpc_handler *const handlers[] = {svc_tenants_handlers,
		svc_plans_handlers, svc_containers_handlers, svc_container_runs_handlers,
		svc_exec_handlers, svc_cloud_init_handlers, svc_console_handlers,
		svc_files_handlers, svc_export_handlers, svc_logs_handlers, svc_images_handlers,
		svc_snapshots_handlers, svc_networks_handlers, svc_forwards_handlers,
		svc_policies_handlers, svc_usage_handlers, svc_events_handlers, svc_host_handlers,
		svc_volumes_handlers, volume_attach_handlers, NULL};
	struct grpc_server_config config = {.base = server->base,
		.handlers = handlers,
		.authorize = auth_authorize,
		.app = server,
		.admin_group = "croft-admin"};
	int r = grpc_server_create(&config, &server->grpc, err);

	for (size_t i = 0; r == 0 && i < startup->n_listen; i++)
		r = grpc_server_listen(server->grpc, take_fd(&startup->listeners[i].fd), err);
	return r;
}

static int assemble(struct service *service, struct startup *startup, struct err *err)
{
	struct server *server = &service->server;
	int r = clock_boot_id(server->boot_id);

	if (r < 0)
		return err_sys(err, r, "read the host's boot id");
	server->base = event_base_new();
	if (!server->base)
		return err_oom(err);
	r = open_state(server, startup, err);
	if (r == 0)
		r = watch_signals(service, err);
	if (r == 0)
		r = log_writer_create(server->base, server->logs_fd, &server->log_writer, err);
	if (r == 0)
		r = logs_remove_strays(server, err);
	if (r == 0)
		r = exec_table_create(server, err);
	if (r == 0)
		r = idle_create(server, err);
	if (r == 0)
		r = import_table_create(server, err);
	if (r == 0)
		r = event_feed_create(server, err);
	if (r == 0)
		r = link_create(server, startup->run_fd, &server->link, err);
	if (r == 0)
		r = traffic_create(server, err);
	if (r == 0)
		r = sampler_create(server, err);
	if (r == 0)
		r = snapshot_schedule_create(server, err);
	if (r == 0)
		r = disk_watch_start(server, err);
	if (r == 0)
		r = open_api(server, startup, err);
	return r;
}

static void take_apart(struct service *service)
{
	struct server *server = &service->server;

	/* Nothing is started any more, whatever is called back from here on. */
	server->shutting_down = true;
	/* What was promised is committed while there is still somebody to be told. */
	if (server->db)
		db_stop(server->db);
	sampler_destroy(server);
	snapshot_schedule_destroy(server);
	disk_watch_stop(server);
	grpc_server_destroy(server->grpc);
	link_destroy(server->link);
	health_lost();
	traffic_destroy(server);
	idle_destroy(server);
	/* The end of the link may have queued more: rows of starts that were lost. */
	if (server->db)
		db_stop(server->db);
	if (server->execs)
		exec_table_destroy(server);
	import_table_destroy(server);
	disk_watch_destroy(server);
	event_feed_destroy(server);
	request_table_destroy(server->requests);
	policies_forget(server);
	model_finish(&server->model);
	/* Behind the last container's output. */
	log_writer_destroy(server->log_writer);
	upkeep_finish(server);
	shutdown_finish(server);
	db_close(server->db);
	for (size_t i = 0; i < ARRAY_SIZE(service->signals); i++)
		if (service->signals[i])
			event_free(service->signals[i]);
	if (server->base)
		event_base_free(server->base);
}

int service_run(const struct config *config, struct startup *startup)
{
	struct service service = {.server = {.config = config,
					  .logs_fd = startup->logs_fd,
					  .started_wall_usec = clock_wall_usec(),
					  .on_ready = on_ready}};
	struct err err;

	if (assemble(&service, startup, &err) < 0) {
		log_error("%s", err.msg);
		service.server.exit_code = 1;
	} else {
		link_connect(service.server.link, take_ptr(startup->supervisor));
		startup_notify("READY=1");
		log_info("serving");
		event_base_dispatch(service.server.base);
		startup_notify("STOPPING=1");
	}
	take_apart(&service);
	return service.server.exit_code;
}

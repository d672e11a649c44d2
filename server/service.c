/*
 * Puts croftd together. Order of making: state, then what keeps it, then the supervisor's link,
 * then clients; taken apart the other way round, with the database last, so that every commit that
 * was promised is made.
 */
#include "server/service.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/abuse.h"
#include "server/auth.h"
#include "server/disk_watch.h"
#include "server/event_feed.h"
#include "server/event_retention.h"
#include "server/events.h"
#include "server/exec.h"
#include "server/forks.h"
#include "server/health.h"
#include "server/hold.h"
#include "server/idle.h"
#include "server/import.h"
#include "server/ledger_close.h"
#include "server/link.h"
#include "server/live.h"
#include "server/log_writer.h"
#include "server/logs.h"
#include "server/metrics.h"
#include "server/net_refusals.h"
#include "server/network.h"
#include "server/placer.h"
#include "server/plan_rollout.h"
#include "server/request_ids.h"
#include "server/sampler.h"
#include "server/server.h"
#include "server/sessions.h"
#include "server/shutdown.h"
#include "server/snapshot_schedule.h"
#include "server/store.h"
#include "server/svc.h"
#include "server/svc_policies.h"
#include "server/traffic.h"
#include "server/upkeep.h"
#include "server/webhook_queue.h"

#include <event2/event.h>
#include <signal.h>
#include <string.h>

struct service {
	struct server server;
	struct event *signals[3];
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
	event_feed_look(arg);
	webhook_queue_wake(arg);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	shutdown_service(arg);
}

/* What was wrong is logged, and an event. */
static void on_hangup(evutil_socket_t fd, short what, void *arg)
{
	struct err err;

	(void)fd;
	(void)what;
	abuse_reload(arg, &err);
}

static void on_ready(struct server *server)
{
	grpc_server_set_healthy(server->grpc, true);
	forks_connect(server);
	placer_resume(server);
	plan_rollout_resume(server);
	hold_watch_all(server);
	upkeep_resume(server);
}

/* Runs that the database believes to be open: the supervisor will say what became of them. */
static void expect_open_runs(struct server *server)
{
	struct container *c = NULL;

	while ((c = model_next_container(&server->model, c))) {
		hold_loaded(c);
		if (c->run.key && !c->run.end_wall_usec)
			c->state = c->run.confirmed ? CONTAINER_RUNNING : CONTAINER_STARTING;
		else if (c->launching || (hold_lets_go(c) && c->run.key && !c->restart_due))
			/* Never finished, or ended before its deletion had begun. */
			c->condemned = true;
	}
}

/* Before anything else is put: of an older croftd's tenants and containers there are none. */
static void catch_up_terms(struct server *server)
{
	struct db_tx *tx = db_tx_new_essential();

	store_catch_up_terms(tx);
	store_end_lost_held(tx);
	db_commit(server->db, tx, NULL, NULL);
}

static int open_state(struct server *server, const struct startup *startup, struct err *err)
{
	struct db_config config = {.failed = on_db_failed,
		.committed = on_db_committed,
		.ended = stats_db_ended,
		.arg = server};
	int r = db_open(startup->db_path, &server->db, err);

	if (r == 0)
		r = store_load(server->db, &server->model, &server->next_run_key, err);
	if (r == 0)
		r = store_load_setting(server->db, STORE_AUTOSTART_BOOT, server->autostart_boot,
			sizeof(server->autostart_boot), err);
	if (r == 0)
		r = clock_watch_load(&server->clock, server->db, server->boot_id, err);
	if (r == 0)
		r = disk_watch_load(server, err);
	if (r == 0)
		r = refusal_watch_load(server, err);
	if (r == 0)
		r = store_load_webhooks(server->db, server, err);
	if (r == 0)
		r = abuse_load(server, err);
	server->requests = request_table_create();
	if (r == 0)
		r = server->requests ? request_table_load(server->requests, server->db, err)
				     : err_oom(err);
	if (r < 0)
		return r;
	network_load(server);
	expect_open_runs(server);
	r = db_start(server->db, server->base, &config, err);
	if (r == 0)
		catch_up_terms(server);
	return r;
}

static int watch_signals(struct service *service, struct err *err)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		service->signals[i] = evsignal_new(service->server.base, numbers[i],
			numbers[i] == SIGHUP ? on_hangup : on_signal, &service->server);
		if (!service->signals[i] || event_add(service->signals[i], NULL) < 0)
			return err_oom(err);
	}
	return 0;
}

static int open_api(struct server *server, struct startup *startup, struct err *err)
{
	static const struct grpc_handler *const handlers[] = {svc_abuse_handlers,
		svc_tenants_handlers, svc_plans_handlers, svc_containers_handlers,
		svc_container_runs_handlers, svc_exec_handlers, svc_cloud_init_handlers,
		svc_console_handlers, svc_files_handlers, svc_export_handlers, svc_logs_handlers,
		svc_images_handlers, svc_snapshots_handlers, svc_networks_handlers,
		svc_forwards_handlers, svc_policies_handlers, svc_usage_handlers,
		svc_usage_export_handlers, svc_usage_closed_handlers, svc_usage_summary_handlers,
		svc_usage_correct_handlers, svc_usage_tenants_handlers, svc_usage_verify_handlers,
		svc_usage_live_handlers, svc_usage_noisy_handlers, svc_events_handlers,
		svc_host_handlers, svc_volumes_handlers, volume_attach_handlers,
		svc_webhooks_handlers, NULL};
	struct grpc_server_config config = {.base = server->base,
		.handlers = handlers,
		.authorize = sessions_authorize,
		.app = server,
		.ended = stats_rpc_ended,
		.admin_group = GRPC_ADMIN_GROUP};
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
	r = stats_init(&server->stats, err);
	if (r == 0)
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
		r = event_retention_create(server, err);
	if (r == 0)
		r = sessions_create(server, err);
	if (r == 0)
		r = link_create(server, startup->run_fd, &server->link, err);
	if (r == 0)
		r = traffic_create(server, err);
	if (r == 0)
		r = refusal_watch_start(server, err);
	if (r == 0)
		r = sampler_create(server, err);
	if (r == 0)
		r = live_create(server, err);
	if (r == 0)
		r = ledger_keeper_create(server, err);
	if (r == 0)
		r = snapshot_schedule_create(server, err);
	if (r == 0)
		r = placer_create(server, err);
	if (r == 0)
		r = disk_watch_start(server, err);
	if (r == 0)
		r = webhook_queue_create(server, err);
	if (r == 0)
		r = open_api(server, startup, err);
	if (r == 0)
		r = metrics_create(server, &startup->metrics, err);
	return r;
}

static void take_apart(struct service *service)
{
	struct server *server = &service->server;

	/* Nothing is started any more, whatever is called back from here on. */
	server->shutting_down = true;
	/*
	 * What was promised is committed while there is still somebody to be told. What the end of
	 * the link queues behind that is not: the next croftd takes stock, as after a crash.
	 */
	if (server->link)
		abuse_keep(server);
	if (server->db)
		db_stop(server->db);
	metrics_destroy(server);
	live_destroy(server);
	sampler_destroy(server);
	event_retention_destroy(server);
	snapshot_schedule_destroy(server);
	disk_watch_stop(server);
	grpc_server_destroy(server->grpc);
	link_destroy(server->link);
	forks_finish(server);
	health_lost();
	placer_destroy(server);
	traffic_destroy(server);
	refusal_watch_destroy(server);
	idle_destroy(server);
	if (server->execs)
		exec_table_destroy(server);
	import_table_destroy(server);
	webhook_queue_destroy(server);
	disk_watch_destroy(server);
	ledger_keeper_destroy(server);
	event_feed_destroy(server);
	sessions_destroy(server);
	policies_forget(server);
	abuse_destroy(server);
	model_finish(&server->model);
	/* Behind the containers: whoever waits for one is answered, which ends a request. */
	request_table_destroy(server->requests);
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
	stats_finish(&server->stats);
}

int service_run(const struct config *config, struct startup *startup)
{
	struct service service = {.server = {.config = config,
					  .logs_fd = startup->logs_fd,
					  .forks_fd = -1,
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

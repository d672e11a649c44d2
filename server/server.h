/* croftd's parts, as every handler finds them behind grpc_call_app(). */
#pragma once

#include "base/clock.h"
#include "server/clock_watch.h"
#include "server/config.h"
#include "server/cpu_topology.h"
#include "server/db.h"
#include "server/grpc.h"
#include "server/metrics_accept.h"
#include "server/model.h"
#include "server/stats.h"

#include <sys/queue.h>

struct abuse;
struct disk_watch;
struct event;
struct event_base;
struct event_feed;
struct event_retention;
struct exec_table;
struct idle_watch;
struct host_stop;
struct import_table;
struct ledger_keeper;
struct link;
struct live_watch;
struct log_writer;
struct metrics_http;
struct metrics_maker;
struct placer;
struct refusal_watch;
struct request_table;
struct sampler;
struct sessions;
struct snapshot_timer;
struct traffic;
struct upkeep_queue;
struct webhook_queue;

struct server {
	const struct config *config;
	struct event_base *base;
	struct db *db;
	struct model model;
	struct link *link;		/* to the supervisor */
	struct request_table *requests; /* idempotency */
	struct event_feed *events;
	struct event_retention *event_retention;
	struct exec_table *execs;
	struct idle_watch *idle;
	struct import_table *imports;
	unsigned n_exports;
	unsigned n_noisy_reports;
	size_t n_usage_hours; /* usage_sums.h */
	LIST_HEAD(, container_import) container_imports;
	unsigned n_container_imports;
	struct sampler *sampler;
	int forks_fd; /* forks.h; -1: not counted */
	uint64_t forks_table;
	struct abuse *abuse;
	struct live_watch *live;
	struct sessions *sessions;
	struct ledger_keeper *ledger_keeper;
	struct clock_watch clock;
	uint64_t swept; /* the number of the last sweep that is committed */
	struct stats stats;
	struct metrics_maker *metrics_makers[METRICS_FORMATS]; /* NULL: nobody wants metrics */
	bool asking_host;				       /* for a page */
	uint64_t asked_host_boot_usec;
	struct metrics_http *metrics_http;
	struct traffic *traffic;
	struct refusal_watch *refusal_watch;
	struct snapshot_timer *snapshot_timer;
	struct disk_watch *disk_watch;
	struct map webhooks; /* webhook.h */
	struct webhook_queue *webhook_queue;
	struct upkeep_queue *upkeep;	  /* NULL: nothing is being started unasked */
	char autostart_boot[BOOT_ID_LEN]; /* the boot for which autostart is through */
	struct grpc_server *grpc;
	char boot_id[BOOT_ID_LEN];
	int64_t started_wall_usec;
	uint64_t next_run_key;
	int logs_fd; /* the directory of the containers' logs */
	struct log_writer *log_writer;
	struct msg_host_info host; /* as the supervisor last told; all zero before */
	struct cpu_topology cpus;  /* placer_cpus() */
	struct placer *placer;
	struct map policies; /* svc_policies.c */
	uint64_t policies_round;
	unsigned reconcile_waiting; /* answers that reconcile.c waits for */
	LIST_HEAD(, stray) strays;  /* run_stray.c */
	bool list_again;	    /* the supervisor named a container that is just starting */
	void (*on_ready)(struct server *server); /* the link has become ready; may be NULL */
	struct host_stop *host_stop;		 /* shutdown.c */
	bool ending;				 /* the loop is about to be left */
	bool shutting_down;			 /* refuses what would start anything */
	int exit_code;
};

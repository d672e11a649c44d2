/* croftd's parts, as every handler finds them behind grpc_call_app(). */
#pragma once

#include "base/clock.h"
#include "server/config.h"
#include "server/db.h"
#include "server/grpc.h"
#include "server/model.h"

#include <sys/queue.h>

struct disk_watch;
struct event;
struct event_base;
struct event_feed;
struct exec_table;
struct idle_watch;
struct host_stop;
struct import_table;
struct link;
struct log_writer;
struct request_table;
struct sampler;
struct snapshot_timer;
struct traffic;
struct upkeep_queue;

struct server {
	const struct config *config;
	struct event_base *base;
	struct db *db;
	struct model model;
	struct link *link;		/* to the supervisor */
	struct request_table *requests; /* idempotency */
	struct event_feed *events;
	struct exec_table *execs;
	struct idle_watch *idle;
	struct import_table *imports;
	unsigned n_exports;
	LIST_HEAD(, container_import) container_imports;
	unsigned n_container_imports;
	struct sampler *sampler;
	struct traffic *traffic;
	struct snapshot_timer *snapshot_timer;
	struct disk_watch *disk_watch;
	struct upkeep_queue *upkeep;	  /* NULL: nothing is being started unasked */
	char autostart_boot[BOOT_ID_LEN]; /* the boot for which autostart is through */
	struct grpc_server *grpc;
	char boot_id[BOOT_ID_LEN];
	int64_t started_wall_usec;
	uint64_t next_run_key;
	int logs_fd; /* the directory of the containers' logs */
	struct log_writer *log_writer;
	struct msg_host_info host; /* as the supervisor last told; all zero before */
	struct map policies;	   /* svc_policies.c */
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

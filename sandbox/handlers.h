/* What the supervisor does for each opcode; one file an area. The table is in handlers.c. */
#pragma once

#include "sandbox/peer.h"

#define HANDLER(name)                                                                              \
	void name(struct supervisor *s, const struct request *request, const void *msg, int *fds,  \
		size_t n_fds)

HANDLER(handle_list);
HANDLER(handle_tenant_set);
HANDLER(handle_tenant_remove);
HANDLER(handle_tenant_freeze);
HANDLER(handle_container_create);
HANDLER(handle_container_start);
HANDLER(handle_container_signal);
HANDLER(handle_container_kill);
HANDLER(handle_container_freeze);
HANDLER(handle_container_limits);
HANDLER(handle_container_remove);
HANDLER(handle_container_disk);
HANDLER(handle_disk_look);
HANDLER(handle_work_end);
HANDLER(handle_run_ack);
HANDLER(handle_exec);
HANDLER(handle_exec_signal);
HANDLER(handle_image_import);
HANDLER(handle_image_remove);
HANDLER(handle_policy_list);
HANDLER(handle_policy_open);
HANDLER(handle_host_info);
HANDLER(handle_shutdown);
HANDLER(handle_snapshot_make);
HANDLER(handle_snapshot_restore);
HANDLER(handle_snapshot_remove);
HANDLER(handle_snapshot_publish);
HANDLER(handle_container_copy);
HANDLER(handle_container_rename);
HANDLER(handle_container_rebuild);
HANDLER(handle_container_export);
HANDLER(handle_container_import);
HANDLER(handle_net_packets);
HANDLER(handle_net_refusals);
HANDLER(handle_forks);
HANDLER(handle_net_peers);
HANDLER(handle_net_config);
HANDLER(handle_net_usage);
HANDLER(handle_console_keep);
HANDLER(handle_net_rules);
HANDLER(handle_volume_make);
HANDLER(handle_volume_remove);
HANDLER(handle_volume_limit);
HANDLER(handle_volume_usage);
HANDLER(handle_host_directory);

/* Answers at once: an empty reply, or the error. */
void handler_answer(
	struct supervisor *s, const struct request *request, int r, const struct err *err);
/*
 * A task for the request. NULL when there is a refusal (NULL: none), or no room; the request has
 * then been answered.
 */
struct task *handler_task(
	struct supervisor *s, const struct request *request, const struct err *refusal);
/*
 * Checks that work may begin that takes an id range: not while what an earlier supervisor left is
 * being removed, nor when the host is being left. Returns 0 or -errno (UNAVAILABLE).
 */
int handler_check_ready(const struct supervisor *s, struct err *err);
/* Checks the names of a message; container may be NULL. Returns 0 or -EINVAL with err filled. */
int handler_check_names(const char *tenant, const char *container, struct err *err);
/* The name of the image that a container stands on: "" for none. */
int handler_check_base(const char base[static NAME_SIZE], struct err *err);

/* --- handle_snapshot.c: what is done to a container's directory as a whole --- */

void handler_container_id(const char *tenant, const char *container, struct cgroup_id *ret);
/* That the container is what croftd takes it for, as far as its files are concerned. */
int handler_check_pause(struct supervisor *s, const char *tenant, const char *container,
	uint8_t pause, struct err *err);
/* A task that has the directory (disk_use.h), unless r says err: NULL, and answered. */
struct task *handler_disk_task(struct supervisor *s, const struct request *request,
	const char *tenant, const char *container, int r, struct err *err);
/* The container is being paused for it; whatever becomes of the worker, it goes on. */
void handler_set_paused(
	struct supervisor *s, const char *tenant, const char *container, bool paused);
void handler_end_pause(struct supervisor *s, const char *tenant, const char *container);

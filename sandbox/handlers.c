/*
 * The dispatch table. Each handler checks its message again, whatever croftd has checked: names,
 * state, bounds, ids. What it then starts may only use what passed.
 */
#include "sandbox/handlers.h"

#include "base/cleanup.h"
#include "sandbox/supervisor_client.h"

/* Requests that carry descriptors say how many; the others none. */
static const struct handler handlers[] = {
	[MSG_LIST] = {handle_list, 0, 0},
	[MSG_TENANT_SET] = {handle_tenant_set, 0, 0},
	[MSG_TENANT_REMOVE] = {handle_tenant_remove, 0, 0},
	[MSG_TENANT_FREEZE] = {handle_tenant_freeze, 0, 0},
	[MSG_CONTAINER_CREATE] = {handle_container_create, 0, 0},
	[MSG_CONTAINER_START] = {handle_container_start, 1, 2},
	[MSG_CONTAINER_SIGNAL] = {handle_container_signal, 0, 0},
	[MSG_CONTAINER_KILL] = {handle_container_kill, 0, 0},
	[MSG_CONTAINER_FREEZE] = {handle_container_freeze, 0, 0},
	[MSG_CONTAINER_LIMITS] = {handle_container_limits, 0, 0},
	[MSG_CONTAINER_REMOVE] = {handle_container_remove, 0, 0},
	[MSG_CONTAINER_DISK] = {handle_container_disk, 0, 0},
	[MSG_RUN_ACK] = {handle_run_ack, 0, 0},
	[MSG_EXEC] = {handle_exec, 1, 4},
	[MSG_EXEC_SIGNAL] = {handle_exec_signal, 0, 0},
	[MSG_IMAGE_IMPORT] = {handle_image_import, 1, 1},
	[MSG_IMAGE_REMOVE] = {handle_image_remove, 0, 0},
	[MSG_POLICY_LIST] = {handle_policy_list, 0, 0},
	[MSG_POLICY_OPEN] = {handle_policy_open, 0, 0},
	[MSG_HOST_INFO] = {handle_host_info, 0, 0},
	[MSG_SHUTDOWN] = {handle_shutdown, 0, 0},
	[MSG_SNAPSHOT_MAKE] = {handle_snapshot_make, 0, 0},
	[MSG_SNAPSHOT_RESTORE] = {handle_snapshot_restore, 0, 0},
	[MSG_SNAPSHOT_REMOVE] = {handle_snapshot_remove, 0, 0},
	[MSG_SNAPSHOT_PUBLISH] = {handle_snapshot_publish, 0, 0},
	[MSG_CONTAINER_COPY] = {handle_container_copy, 0, 0},
	[MSG_CONTAINER_RENAME] = {handle_container_rename, 0, 0},
	[MSG_CONTAINER_RESET] = {handle_container_rebuild, 0, 0},
	[MSG_NET_RULES] = {handle_net_rules, 1, 1},
	[MSG_NET_USAGE] = {handle_net_usage, 0, 0},
	[MSG_NET_CONFIG] = {handle_net_config, 0, 0},
	[MSG_VOLUME_MAKE] = {handle_volume_make, 0, 0},
	[MSG_VOLUME_REMOVE] = {handle_volume_remove, 0, 0},
	[MSG_VOLUME_LIMIT] = {handle_volume_limit, 0, 0},
	[MSG_VOLUME_USAGE] = {handle_volume_usage, 0, 0},
	[MSG_HOST_DIRECTORY] = {handle_host_directory, 0, 0},
	[MSG_CONSOLE_KEEP] = {handle_console_keep, 1, 1},
	[MSG_CONTAINER_EXPORT] = {handle_container_export, 1, 2},
	[MSG_CONTAINER_IMPORT] = {handle_container_import, 1, 1},
	[MSG_NET_PACKETS] = {handle_net_packets, 0, 0},
	[MSG_NET_REFUSALS] = {handle_net_refusals, 0, 0},
	[MSG_FORKS] = {handle_forks, 0, 0},
	[MSG_NET_PEERS] = {handle_net_peers, 0, 0},
	[MSG_DISK_LOOK] = {handle_disk_look, 0, 0},
	[MSG_WORK_END] = {handle_work_end, 0, 0},
};

const struct handler *handler_for(uint32_t op)
{
	return op < ARRAY_SIZE(handlers) && handlers[op].handle ? &handlers[op] : NULL;
}

void handler_answer(
	struct supervisor *s, const struct request *request, int r, const struct err *err)
{
	static const struct msg_empty empty;

	if (r < 0)
		peer_fail(s->peer, request, err);
	else
		peer_reply(s->peer, request, &empty, NULL, 0);
}

struct task *handler_task(
	struct supervisor *s, const struct request *request, const struct err *refusal)
{
	struct task *task;
	struct err err;

	if (refusal) {
		peer_fail(s->peer, request, refusal);
		return NULL;
	}
	task = task_new(s, request, &err);
	if (!task)
		peer_fail(s->peer, request, &err);
	return task;
}

int handler_check_ready(const struct supervisor *s, struct err *err)
{
	if (s->shutting_down)
		return err_set(err, ERR_UNAVAILABLE, "SHUTTING_DOWN", "the host is shutting down");
	if (s->adopting)
		return err_set(err, ERR_UNAVAILABLE, "SUPERVISOR_STARTING",
			"the supervisor has just started and is still tidying up: try again");
	return 0;
}

int handler_check_names(const char *tenant, const char *container, struct err *err)
{
	if (name_field_is_valid(tenant) && (!container || name_field_is_valid(container)))
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT, "INVALID_NAME", "a name is not valid");
}

int handler_check_base(const char base[static NAME_SIZE], struct err *err)
{
	return base[0] ? handler_check_names(base, NULL, err) : 0;
}

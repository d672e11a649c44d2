/* The size of every message's struct; see protocol.h. Shared by both ends, so that neither can
 * take a message for another. */
#include "sandbox/protocol.h"

#include "base/cleanup.h"
#include "sandbox/supervisor_client.h"

static const struct {
	size_t request;
	size_t reply;
} sizes[] = {
	[MSG_HELLO] = {sizeof(struct msg_hello), sizeof(struct msg_hello_reply)},
	[MSG_LIST] = {sizeof(struct msg_empty), sizeof(struct msg_empty)},
	[MSG_TENANT_SET] = {sizeof(struct msg_tenant_set), sizeof(struct msg_empty)},
	[MSG_TENANT_REMOVE] = {sizeof(struct msg_tenant), sizeof(struct msg_empty)},
	[MSG_TENANT_FREEZE] = {sizeof(struct msg_freeze), sizeof(struct msg_empty)},
	[MSG_CONTAINER_CREATE] = {sizeof(struct msg_container_create), sizeof(struct msg_empty)},
	[MSG_CONTAINER_START] = {sizeof(struct msg_container_start), sizeof(struct msg_started)},
	[MSG_CONTAINER_SIGNAL] = {sizeof(struct msg_signal), sizeof(struct msg_empty)},
	[MSG_CONTAINER_KILL] = {sizeof(struct msg_container), sizeof(struct msg_empty)},
	[MSG_CONTAINER_FREEZE] = {sizeof(struct msg_freeze), sizeof(struct msg_empty)},
	[MSG_CONTAINER_LIMITS] = {sizeof(struct msg_limits), sizeof(struct msg_empty)},
	[MSG_CONTAINER_REMOVE] = {sizeof(struct msg_container), sizeof(struct msg_empty)},
	[MSG_CONTAINER_DISK] = {sizeof(struct msg_container), sizeof(struct msg_disk)},
	[MSG_RUN_ACK] = {sizeof(struct msg_run_ack), sizeof(struct msg_empty)},
	[MSG_EXEC] = {sizeof(struct msg_exec), sizeof(struct msg_exec_started)},
	[MSG_EXEC_SIGNAL] = {sizeof(struct msg_exec_signal), sizeof(struct msg_empty)},
	[MSG_IMAGE_IMPORT] = {sizeof(struct msg_image), sizeof(struct msg_image_imported)},
	[MSG_IMAGE_REMOVE] = {sizeof(struct msg_image), sizeof(struct msg_empty)},
	[MSG_POLICY_LIST] = {sizeof(struct msg_empty), sizeof(struct msg_empty)},
	[MSG_POLICY_OPEN] = {sizeof(struct msg_policy), sizeof(struct msg_empty)},
	[MSG_HOST_INFO] = {sizeof(struct msg_empty), sizeof(struct msg_host_info)},
	[MSG_SHUTDOWN] = {sizeof(struct msg_empty), sizeof(struct msg_empty)},
	[MSG_SNAPSHOT_MAKE] = {sizeof(struct msg_snapshot), sizeof(struct msg_snapshot_made)},
	[MSG_SNAPSHOT_RESTORE] = {sizeof(struct msg_snapshot), sizeof(struct msg_empty)},
	[MSG_SNAPSHOT_REMOVE] = {sizeof(struct msg_snapshot), sizeof(struct msg_empty)},
	[MSG_SNAPSHOT_PUBLISH] = {sizeof(struct msg_publish), sizeof(struct msg_image_imported)},
	[MSG_CONTAINER_COPY] = {sizeof(struct msg_copy), sizeof(struct msg_empty)},
	[MSG_CONTAINER_RENAME] = {sizeof(struct msg_rename), sizeof(struct msg_empty)},
	[MSG_CONTAINER_RESET] = {sizeof(struct msg_container_create), sizeof(struct msg_empty)},
	[MSG_NET_RULES] = {sizeof(struct msg_empty), sizeof(struct msg_empty)},
	[MSG_NET_CONFIG] = {sizeof(struct msg_net_config), sizeof(struct msg_empty)},
	[MSG_VOLUME_MAKE] = {sizeof(struct msg_volume), sizeof(struct msg_empty)},
	[MSG_VOLUME_REMOVE] = {sizeof(struct msg_volume), sizeof(struct msg_empty)},
	[MSG_VOLUME_LIMIT] = {sizeof(struct msg_volume), sizeof(struct msg_empty)},
	[MSG_VOLUME_USAGE] = {sizeof(struct msg_volume), sizeof(struct msg_disk)},
	[MSG_HOST_DIRECTORY] = {sizeof(struct msg_host_directory), sizeof(struct msg_empty)},
	[MSG_CONSOLE_KEEP] = {sizeof(struct msg_console_keep), sizeof(struct msg_empty)},
	[MSG_CONTAINER_EXPORT] = {sizeof(struct msg_export), sizeof(struct msg_exported)},
	[MSG_NET_USAGE] = {sizeof(struct msg_empty), sizeof(struct msg_net_usages)},
	[MSG_CONTAINER_IMPORT] = {sizeof(struct msg_container_import),
		sizeof(struct msg_image_imported)},
	[MSG_NET_PACKETS] = {sizeof(struct msg_empty), sizeof(struct msg_empty)},
	[MSG_NET_REFUSALS] = {sizeof(struct msg_empty), sizeof(struct msg_empty)},
	[MSG_FORKS] = {sizeof(struct msg_empty), sizeof(struct msg_empty)},
	[MSG_DISK_LOOK] = {sizeof(struct msg_look), sizeof(struct msg_disk_look)},
	[MSG_WORK_END] = {sizeof(struct msg_tenant), sizeof(struct msg_work_left)},
	[MSG_NET_PEERS] = {sizeof(struct msg_net_peers), sizeof(struct net_peers)},
	[MSG_EVENT_CONTAINER] = {sizeof(struct msg_event_container), 0},
	[MSG_EVENT_TENANT] = {sizeof(struct msg_tenant), 0},
	[MSG_EVENT_RUN_ENDED] = {sizeof(struct msg_run_ended), 0},
	[MSG_EVENT_EXEC_ENDED] = {sizeof(struct msg_exec_ended), 0},
	[MSG_EVENT_LIMIT_HIT] = {sizeof(struct msg_limit_hit), 0},
	[MSG_EVENT_IMPORT_PROGRESS] = {sizeof(struct msg_import_progress), 0},
	[MSG_EVENT_POLICY] = {sizeof(struct msg_policy_info), 0},
	[MSG_EVENT_DISK] = {sizeof(struct msg_event_disk), 0},
};

_Static_assert(sizeof(struct msg_header) + sizeof(struct msg_container_start) <= MSG_SIZE_MAX,
	"the largest request fits");
_Static_assert(sizeof(struct msg_header) + sizeof(struct msg_run_ended) <= MSG_SIZE_MAX,
	"the largest message fits");
_Static_assert(sizeof(struct msg_header) + sizeof(struct msg_image_imported) <= MSG_SIZE_MAX,
	"the largest reply fits");

size_t protocol_size(uint32_t op)
{
	uint32_t base = op & ~MSG_REPLY;

	if (base >= ARRAY_SIZE(sizes))
		return 0;
	return op & MSG_REPLY ? sizes[base].reply : sizes[base].request;
}

/* The table of message sizes: what a peer is held to. */
#include "tests/unit/unit.h"

#include "sandbox/supervisor_client.h"

#define EMPTY sizeof(struct msg_empty)

/* A second copy of the comments in protocol.h, so that the table cannot drift from them. */
static const struct {
	enum msg_op op;
	size_t request;
	size_t reply;
} wanted[] = {
	{MSG_HELLO, sizeof(struct msg_hello), sizeof(struct msg_hello_reply)},
	{MSG_LIST, EMPTY, EMPTY},
	{MSG_TENANT_SET, sizeof(struct msg_tenant_set), EMPTY},
	{MSG_TENANT_REMOVE, sizeof(struct msg_tenant), EMPTY},
	{MSG_TENANT_FREEZE, sizeof(struct msg_freeze), EMPTY},
	{MSG_CONTAINER_CREATE, sizeof(struct msg_container_create), EMPTY},
	{MSG_CONTAINER_START, sizeof(struct msg_container_start), sizeof(struct msg_started)},
	{MSG_CONTAINER_SIGNAL, sizeof(struct msg_signal), EMPTY},
	{MSG_CONTAINER_KILL, sizeof(struct msg_container), EMPTY},
	{MSG_CONTAINER_FREEZE, sizeof(struct msg_freeze), EMPTY},
	{MSG_CONTAINER_LIMITS, sizeof(struct msg_limits), EMPTY},
	{MSG_CONTAINER_REMOVE, sizeof(struct msg_container), EMPTY},
	{MSG_CONTAINER_DISK, sizeof(struct msg_container), sizeof(struct msg_disk)},
	{MSG_RUN_ACK, sizeof(struct msg_run_ack), EMPTY},
	{MSG_EXEC, sizeof(struct msg_exec), sizeof(struct msg_exec_started)},
	{MSG_EXEC_SIGNAL, sizeof(struct msg_exec_signal), EMPTY},
	{MSG_IMAGE_IMPORT, sizeof(struct msg_image), sizeof(struct msg_image_imported)},
	{MSG_IMAGE_REMOVE, sizeof(struct msg_image), EMPTY},
	{MSG_POLICY_LIST, EMPTY, EMPTY},
	{MSG_POLICY_OPEN, sizeof(struct msg_policy), EMPTY},
	{MSG_HOST_INFO, EMPTY, sizeof(struct msg_host_info)},
	{MSG_SHUTDOWN, EMPTY, EMPTY},
	{MSG_SNAPSHOT_MAKE, sizeof(struct msg_snapshot), sizeof(struct msg_snapshot_made)},
	{MSG_SNAPSHOT_RESTORE, sizeof(struct msg_snapshot), EMPTY},
	{MSG_SNAPSHOT_REMOVE, sizeof(struct msg_snapshot), EMPTY},
	{MSG_SNAPSHOT_PUBLISH, sizeof(struct msg_publish), sizeof(struct msg_image_imported)},
	{MSG_CONTAINER_COPY, sizeof(struct msg_copy), EMPTY},
	{MSG_CONTAINER_RENAME, sizeof(struct msg_rename), EMPTY},
	{MSG_CONTAINER_RESET, sizeof(struct msg_container_create), EMPTY},
	{MSG_NET_RULES, EMPTY, EMPTY},
	{MSG_NET_CONFIG, sizeof(struct msg_net_config), EMPTY},
	{MSG_VOLUME_MAKE, sizeof(struct msg_volume), EMPTY},
	{MSG_VOLUME_REMOVE, sizeof(struct msg_volume), EMPTY},
	{MSG_VOLUME_LIMIT, sizeof(struct msg_volume), EMPTY},
	{MSG_VOLUME_USAGE, sizeof(struct msg_volume), sizeof(struct msg_disk)},
	{MSG_HOST_DIRECTORY, sizeof(struct msg_host_directory), EMPTY},
	{MSG_CONSOLE_KEEP, sizeof(struct msg_console_keep), EMPTY},
	{MSG_CONTAINER_EXPORT, sizeof(struct msg_export), sizeof(struct msg_exported)},
	{MSG_NET_USAGE, EMPTY, sizeof(struct msg_net_usages)},
	{MSG_CONTAINER_IMPORT, sizeof(struct msg_container_import),
		sizeof(struct msg_image_imported)},
	{MSG_NET_PACKETS, sizeof(struct msg_empty), sizeof(struct msg_empty)},
	{MSG_NET_REFUSALS, sizeof(struct msg_empty), sizeof(struct msg_empty)},
	{MSG_FORKS, EMPTY, EMPTY},
	{MSG_NET_PEERS, sizeof(struct msg_net_peers), sizeof(struct net_peers)},
	{MSG_DISK_LOOK, sizeof(struct msg_look), sizeof(struct msg_disk_look)},
	{MSG_WORK_END, sizeof(struct msg_tenant), sizeof(struct msg_work_left)},
	{MSG_EVENT_CONTAINER, sizeof(struct msg_event_container), 0},
	{MSG_EVENT_TENANT, sizeof(struct msg_tenant), 0},
	{MSG_EVENT_RUN_ENDED, sizeof(struct msg_run_ended), 0},
	{MSG_EVENT_EXEC_ENDED, sizeof(struct msg_exec_ended), 0},
	{MSG_EVENT_LIMIT_HIT, sizeof(struct msg_limit_hit), 0},
	{MSG_EVENT_IMPORT_PROGRESS, sizeof(struct msg_import_progress), 0},
	{MSG_EVENT_POLICY, sizeof(struct msg_policy_info), 0},
	{MSG_EVENT_DISK, sizeof(struct msg_event_disk), 0},
};

static void each_op_has_its_sizes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		assert_int_equal(protocol_size(wanted[i].op), wanted[i].request);
		assert_int_equal(protocol_size(wanted[i].op | MSG_REPLY), wanted[i].reply);
	}
}

static bool is_known(uint32_t op)
{
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (wanted[i].op == op)
			return true;
	return false;
}

/* Every number that fits the header's field, and then some. */
static void an_unknown_op_has_none(void **state)
{
	(void)state;
	for (uint32_t op = 0; op <= 0x20000; op++)
		if (!is_known(op & ~MSG_REPLY))
			assert_int_equal(protocol_size(op), 0);
	assert_int_equal(protocol_size(UINT32_MAX), 0);
	assert_int_equal(protocol_size(UINT32_MAX & ~MSG_REPLY), 0);
}

static void everything_fits_a_message(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		assert_true(sizeof(struct msg_header) + wanted[i].request <= MSG_SIZE_MAX);
		assert_true(sizeof(struct msg_header) + wanted[i].reply <= MSG_SIZE_MAX);
	}
	assert_true(sizeof(struct msg_header) + sizeof(struct err) <= MSG_SIZE_MAX);
	/* The body of a message follows its header and is read in place. */
	assert_int_equal(sizeof(struct msg_header) % _Alignof(max_align_t) % sizeof(uint64_t), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_op_has_its_sizes),
		cmocka_unit_test(an_unknown_op_has_none),
		cmocka_unit_test(everything_fits_a_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

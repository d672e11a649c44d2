/* The tables of columns, and texts that several of them share. */
#pragma once

#include "cli/output.h"

/* Each is defined by the command that shows it; a table's paths are checked by its unit test. */
extern const struct column tenant_list_columns[], tenant_columns[];
extern const struct column plan_list_columns[], plan_columns[];
extern const struct column container_list_columns[], container_columns[];
extern const struct column image_list_columns[], image_columns[];
extern const struct column volume_list_columns[], volume_columns[];
extern const struct column webhook_list_columns[], webhook_columns[];
extern const struct column abuse_list_columns[], abuse_columns[], abuse_rule_columns[],
	abuse_evidence_columns[];
extern const struct column usage_columns[], usage_record_columns[], live_usage_columns[],
	noisy_columns[];
extern const struct column network_columns[], forward_columns[], event_columns[], policy_columns[],
	host_columns[], version_columns[], finding_columns[];

/* croft.v1.Limits fields of a message with a field `limits`: "none" to people when unset. */
const char *columns_cpu(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);
const char *columns_cores(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);
const char *columns_memory(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);
const char *columns_swap(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);
const char *columns_pids(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);
const char *columns_disk(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);
const char *columns_weight(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);
const char *columns_rate_in(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);
const char *columns_rate_out(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);
const char *columns_log(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);
const char *columns_inodes(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);
const char *columns_io_read(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);
const char *columns_io_write(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);
const char *columns_io_read_ops(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);
const char *columns_io_write_ops(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);
const char *columns_traffic(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);
const char *columns_traffic_out(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);
const char *columns_traffic_rate(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);
const char *columns_max_containers(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);

/* Of limits that only tenants and plans have. */
#define COLUMNS_TENANT_LIMITS                                                                      \
	{"max_containers", "max containers", .kind = COLUMN_CUSTOM,                                \
		.text = columns_max_containers},                                                   \
		{"traffic_bytes", "traffic", .kind = COLUMN_CUSTOM, .text = columns_traffic},      \
		{"traffic_out_bytes", "traffic out", .kind = COLUMN_CUSTOM,                        \
			.text = columns_traffic_out},                                              \
	{                                                                                          \
		"traffic_rate_bytes", "traffic rate", .kind = COLUMN_CUSTOM,                       \
						      .text = columns_traffic_rate                 \
	}

/* The columns of limits that both tenants and containers have, in the order of the API. */
#define COLUMNS_LIMITS                                                                             \
	{"cpu_milli", "cpu", .kind = COLUMN_CUSTOM, .text = columns_cpu},                          \
		{"cpu_weight", "cpu weight", .kind = COLUMN_CUSTOM, .text = columns_weight},       \
		{"cores", "cores", .kind = COLUMN_CUSTOM, .text = columns_cores},                  \
		{"memory_bytes", "memory", .kind = COLUMN_CUSTOM, .text = columns_memory},         \
		{"swap_bytes", "swap", .kind = COLUMN_CUSTOM, .text = columns_swap},               \
		{"pids", "pids", .kind = COLUMN_CUSTOM, .text = columns_pids},                     \
		{"disk_bytes", "disk", .kind = COLUMN_CUSTOM, .text = columns_disk},               \
		{"rate_in_bytes", "rate in", .kind = COLUMN_CUSTOM, .text = columns_rate_in},      \
		{"rate_out_bytes", "rate out", .kind = COLUMN_CUSTOM, .text = columns_rate_out},   \
		{"inodes", "inodes", .kind = COLUMN_CUSTOM, .text = columns_inodes},               \
		{"io_read_bytes", "io read", .kind = COLUMN_CUSTOM, .text = columns_io_read},      \
		{"io_write_bytes", "io write", .kind = COLUMN_CUSTOM, .text = columns_io_write},   \
		{"io_read_ops", "io read ops", .kind = COLUMN_CUSTOM,                              \
			.text = columns_io_read_ops},                                              \
	{                                                                                          \
		"io_write_ops", "io write ops", .kind = COLUMN_CUSTOM,                             \
						.text = columns_io_write_ops                       \
	}

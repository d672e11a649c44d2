/* Column texts shared by commands; see columns.h. */
#include "cli/columns.h"

#include <inttypes.h>
#include <string.h>

static const char *limit_text(const ProtobufCMessage *m, const char *path, enum limit_id id,
	bool human, char buf[static COLUMN_TEXT_MAX])
{
	struct message_value value;

	if (!message_find(m, path, &value))
		return human ? "none" : "";
	if (human)
		return limit_format(id, message_u64(&value), buf);
	snprintf(buf, COLUMN_TEXT_MAX, "%" PRIu64, message_u64(&value));
	return buf;
}

/* What a message says of one of its limits. */
#define LIMIT_COLUMN(column, field, limit)                                                         \
	const char *columns_##column(                                                              \
		const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])           \
	{                                                                                          \
		return limit_text(m, "limits." field, limit, human, buf);                          \
	}
LIMIT_COLUMN(cpu, "cpu_milli", LIMIT_CPU)
LIMIT_COLUMN(weight, "cpu_weight", LIMIT_CPU_WEIGHT)
LIMIT_COLUMN(memory, "memory_bytes", LIMIT_MEMORY)
LIMIT_COLUMN(pids, "pids", LIMIT_PIDS)
LIMIT_COLUMN(disk, "disk_bytes", LIMIT_DISK)
LIMIT_COLUMN(rate_in, "rate_in_bytes", LIMIT_RATE_IN)
LIMIT_COLUMN(rate_out, "rate_out_bytes", LIMIT_RATE_OUT)
LIMIT_COLUMN(log, "log_bytes", LIMIT_LOG)
LIMIT_COLUMN(io_read, "io_read_bytes", LIMIT_IO_READ)
LIMIT_COLUMN(io_read_ops, "io_read_ops", LIMIT_IO_READ_OPS)
LIMIT_COLUMN(io_write, "io_write_bytes", LIMIT_IO_WRITE)
LIMIT_COLUMN(io_write_ops, "io_write_ops", LIMIT_IO_WRITE_OPS)
LIMIT_COLUMN(inodes, "inodes", LIMIT_INODES)
LIMIT_COLUMN(traffic, "traffic_bytes", LIMIT_TRAFFIC)
LIMIT_COLUMN(traffic_out, "traffic_out_bytes", LIMIT_TRAFFIC_OUT)
LIMIT_COLUMN(traffic_rate, "traffic_rate_bytes", LIMIT_TRAFFIC_RATE)
LIMIT_COLUMN(max_containers, "containers", LIMIT_CONTAINERS)

const char *columns_cores(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	struct message_value value;

	if (message_find(m, "limits.core_list", &value))
		return message_string(&value);
	if (message_find(m, "limits.core_auto", &value))
		return "auto";
	return limit_text(m, "limits.core_count", LIMIT_CORES, human, buf);
}

const char *columns_swap(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const char *text = limit_text(m, "limits.swap_bytes", LIMIT_SWAP, human, buf);

	/* Unlike the others, left out it is not unlimited. */
	return human && !strcmp(text, "none") ? "0" : text;
}

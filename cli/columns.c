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

const char *columns_cpu(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	return limit_text(m, "limits.cpu_milli", LIMIT_CPU, human, buf);
}

const char *columns_weight(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	return limit_text(m, "limits.cpu_weight", LIMIT_CPU_WEIGHT, human, buf);
}

const char *columns_cores(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	struct message_value value;

	if (message_find(m, "limits.core_list", &value))
		return message_string(&value);
	return limit_text(m, "limits.core_count", LIMIT_CORES, human, buf);
}

const char *columns_memory(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	return limit_text(m, "limits.memory_bytes", LIMIT_MEMORY, human, buf);
}

const char *columns_swap(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const char *text = limit_text(m, "limits.swap_bytes", LIMIT_SWAP, human, buf);

	/* Unlike the others, left out it is not unlimited. */
	return human && !strcmp(text, "none") ? "0" : text;
}

const char *columns_pids(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	return limit_text(m, "limits.pids", LIMIT_PIDS, human, buf);
}

const char *columns_disk(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	return limit_text(m, "limits.disk_bytes", LIMIT_DISK, human, buf);
}

const char *columns_rate_in(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	return limit_text(m, "limits.rate_in_bytes", LIMIT_RATE_IN, human, buf);
}

const char *columns_rate_out(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	return limit_text(m, "limits.rate_out_bytes", LIMIT_RATE_OUT, human, buf);
}

const char *columns_log(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	return limit_text(m, "limits.log_bytes", LIMIT_LOG, human, buf);
}

const char *columns_io_read(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	return limit_text(m, "limits.io_read_bytes", LIMIT_IO_READ, human, buf);
}

const char *columns_io_read_ops(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	return limit_text(m, "limits.io_read_ops", LIMIT_IO_READ_OPS, human, buf);
}

const char *columns_io_write(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	return limit_text(m, "limits.io_write_bytes", LIMIT_IO_WRITE, human, buf);
}

const char *columns_io_write_ops(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	return limit_text(m, "limits.io_write_ops", LIMIT_IO_WRITE_OPS, human, buf);
}

const char *columns_inodes(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	return limit_text(m, "limits.inodes", LIMIT_INODES, human, buf);
}

const char *columns_max_containers(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	return limit_text(m, "limits.containers", LIMIT_CONTAINERS, human, buf);
}

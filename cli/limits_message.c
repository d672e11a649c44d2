/*
 * Limits as messages; see limits_message.h. On the wire 0 means "no limit of its own", so a 0 that
 * somebody typed must never be sent as if it were a limit.
 */
#include "cli/limits_message.h"

#include "base/cleanup.h"
#include "cli/usage.h"

#include <stddef.h>
#include <string.h>

static const struct {
	size_t offset;
	const char *path;
} fields[LIMIT_N] = {
	[LIMIT_CPU] = {offsetof(Croft__V1__Limits, cpu_milli), "limits.cpu_milli"},
	[LIMIT_CPU_WEIGHT] = {offsetof(Croft__V1__Limits, cpu_weight), "limits.cpu_weight"},
	[LIMIT_CORES] = {offsetof(Croft__V1__Limits, core_count), "limits.core_count"},
	[LIMIT_MEMORY] = {offsetof(Croft__V1__Limits, memory_bytes), "limits.memory_bytes"},
	[LIMIT_SWAP] = {offsetof(Croft__V1__Limits, swap_bytes), "limits.swap_bytes"},
	[LIMIT_PIDS] = {offsetof(Croft__V1__Limits, pids), "limits.pids"},
	[LIMIT_DISK] = {offsetof(Croft__V1__Limits, disk_bytes), "limits.disk_bytes"},
	[LIMIT_CONTAINERS] = {offsetof(Croft__V1__Limits, containers), "limits.containers"},
	[LIMIT_RATE_IN] = {offsetof(Croft__V1__Limits, rate_in_bytes), "limits.rate_in_bytes"},
	[LIMIT_RATE_OUT] = {offsetof(Croft__V1__Limits, rate_out_bytes), "limits.rate_out_bytes"},
	[LIMIT_LOG] = {offsetof(Croft__V1__Limits, log_bytes), "limits.log_bytes"},
	[LIMIT_INODES] = {offsetof(Croft__V1__Limits, inodes), "limits.inodes"},
	[LIMIT_IO_READ] = {offsetof(Croft__V1__Limits, io_read_bytes), "limits.io_read_bytes"},
	[LIMIT_IO_WRITE] = {offsetof(Croft__V1__Limits, io_write_bytes), "limits.io_write_bytes"},
	[LIMIT_IO_READ_OPS] = {offsetof(Croft__V1__Limits, io_read_ops), "limits.io_read_ops"},
	[LIMIT_IO_WRITE_OPS] = {offsetof(Croft__V1__Limits, io_write_ops), "limits.io_write_ops"},
	[LIMIT_TRAFFIC] = {offsetof(Croft__V1__Limits, traffic_bytes), "limits.traffic_bytes"},
	[LIMIT_TRAFFIC_OUT] = {offsetof(Croft__V1__Limits, traffic_out_bytes),
		"limits.traffic_out_bytes"},
	[LIMIT_TRAFFIC_RATE] = {offsetof(Croft__V1__Limits, traffic_rate_bytes),
		"limits.traffic_rate_bytes"},
};

/* Swap of 0 is what "none" means; every other 0 would read as "no limit". */
static int check_zero(enum limit_id id, const struct limits *limits, struct err *err)
{
	struct limits only;

	if (limits->value[id] != 0 || id == LIMIT_SWAP)
		return 0;
	if (limit_rule(id)->min == 0)
		return usage_error(err, "--%s cannot be 0; \"none\" takes the limit off",
			limit_rule(id)->name);
	limits_init(&only);
	only.value[id] = 0;
	return limits_check(&only, err) < 0 ? usage_from(err) : 0;
}

static int read_one(
	enum limit_id id, const char *text, bool may_unset, struct limits *limits, struct err *err)
{
	if (!may_unset && !strcmp(text, "none"))
		return usage_error(err,
			"--%s none: a new tenant gets the default limit; take it off with \"croft "
			"tenant set\"",
			limit_rule(id)->name);
	if (limits_parse(limits, id, text, err) < 0)
		return usage_from(err);
	return check_zero(id, limits, err);
}

static void send_one(enum limit_id id, const struct limits *limits, struct limits_message *ret)
{
	uint64_t value = limits->value[id] == LIMIT_UNSET ? 0 : limits->value[id];

	if (id == LIMIT_CORES && value == LIMIT_CORES_AUTO) {
		value = 0;
		ret->message.core_auto = true;
		ret->paths[ret->n_paths++] = "limits.core_auto";
	}
	memcpy((char *)&ret->message + fields[id].offset, &value, sizeof(value));
	ret->paths[ret->n_paths++] = fields[id].path;
}

int limits_message_read(
	const struct options *options, bool may_unset, struct limits_message *ret, struct err *err)
{
	struct limits limits;

	croft__v1__limits__init(&ret->message);
	ret->n_paths = 0;
	limits_init(&limits);
	for (int id = 0; id < LIMIT_N; id++) {
		const struct limit_rule *rule = limit_rule((enum limit_id)id);
		const char *text = options_get(options, rule->name);

		if (!text)
			continue;
		if (read_one((enum limit_id)id, text, may_unset, &limits, err) < 0)
			return -EINVAL;
		send_one((enum limit_id)id, &limits, ret);
		/* Both together are what one option says. */
		if (rule->kind == LIMIT_KIND_IO && check_zero(rule->ops, &limits, err) < 0)
			return -EINVAL;
		if (rule->kind == LIMIT_KIND_IO)
			send_one(rule->ops, &limits, ret);
		if (id == LIMIT_CORES)
			ret->paths[ret->n_paths++] = "limits.core_list";
	}
	if (limits_has_core_mask(&limits))
		ret->message.core_list = (char *)limits_format_cores(
			limits.core_mask, ret->cores, sizeof(ret->cores));
	return 0;
}

/*
 * Limits between the API and base/limits.h, by one table of fields; see convert.h. Every limit of a
 * request passes limits_check() here, before anything else sees it.
 */
#include "server/convert.h"

#include "base/cleanup.h"

#include <string.h>

static const struct field {
	const char *path;
	enum limit_id id;
	size_t offset;
} fields[] = {
	{"limits.cpu_milli", LIMIT_CPU, offsetof(Croft__V1__Limits, cpu_milli)},
	{"limits.cpu_weight", LIMIT_CPU_WEIGHT, offsetof(Croft__V1__Limits, cpu_weight)},
	{"limits.core_count", LIMIT_CORES, offsetof(Croft__V1__Limits, core_count)},
	{"limits.memory_bytes", LIMIT_MEMORY, offsetof(Croft__V1__Limits, memory_bytes)},
	{"limits.swap_bytes", LIMIT_SWAP, offsetof(Croft__V1__Limits, swap_bytes)},
	{"limits.pids", LIMIT_PIDS, offsetof(Croft__V1__Limits, pids)},
	{"limits.disk_bytes", LIMIT_DISK, offsetof(Croft__V1__Limits, disk_bytes)},
	{"limits.containers", LIMIT_CONTAINERS, offsetof(Croft__V1__Limits, containers)},
	{"limits.rate_in_bytes", LIMIT_RATE_IN, offsetof(Croft__V1__Limits, rate_in_bytes)},
	{"limits.rate_out_bytes", LIMIT_RATE_OUT, offsetof(Croft__V1__Limits, rate_out_bytes)},
	{"limits.log_bytes", LIMIT_LOG, offsetof(Croft__V1__Limits, log_bytes)},
	{"limits.inodes", LIMIT_INODES, offsetof(Croft__V1__Limits, inodes)},
	{"limits.io_read_bytes", LIMIT_IO_READ, offsetof(Croft__V1__Limits, io_read_bytes)},
	{"limits.io_write_bytes", LIMIT_IO_WRITE, offsetof(Croft__V1__Limits, io_write_bytes)},
	{"limits.io_read_ops", LIMIT_IO_READ_OPS, offsetof(Croft__V1__Limits, io_read_ops)},
	{"limits.io_write_ops", LIMIT_IO_WRITE_OPS, offsetof(Croft__V1__Limits, io_write_ops)},
	{"limits.traffic_bytes", LIMIT_TRAFFIC, offsetof(Croft__V1__Limits, traffic_bytes)},
	{"limits.traffic_out_bytes", LIMIT_TRAFFIC_OUT,
		offsetof(Croft__V1__Limits, traffic_out_bytes)},
	{"limits.traffic_rate_bytes", LIMIT_TRAFFIC_RATE,
		offsetof(Croft__V1__Limits, traffic_rate_bytes)},
};

_Static_assert(ARRAY_SIZE(fields) == LIMIT_N, "every limit has a field");

const char *convert_limit_path(enum limit_id id)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (fields[i].id == id)
			return fields[i].path;
	return "limits";
}

static uint64_t *field_of(const Croft__V1__Limits *msg, const struct field *field)
{
	return (uint64_t *)((char *)msg + field->offset);
}

void convert_limits(const struct limits *limits, struct limits_message *out)
{
	croft__v1__limits__init(&out->msg);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (limits->value[fields[i].id] != LIMIT_UNSET)
			*field_of(&out->msg, &fields[i]) = limits->value[fields[i].id];
	if (limits->value[LIMIT_CORES] == LIMIT_CORES_AUTO) {
		out->msg.core_count = 0;
		out->msg.core_auto = true;
	}
	limits_format_cores(limits->core_mask, out->core_list, sizeof(out->core_list));
	out->msg.core_list = out->core_list;
}

/* A number of them is in limits already. */
static int read_cores(const Croft__V1__Limits *msg, struct limits *limits, struct err *err)
{
	bool counted = limits->value[LIMIT_CORES] != LIMIT_UNSET;
	bool listed = msg->core_list[0];

	if (counted + listed + (msg->core_auto != 0) > 1)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "LIMIT_INVALID", "cores",
			"give a number of cores, a list of them, or auto: only one of these");
	if (msg->core_auto)
		limits->value[LIMIT_CORES] = LIMIT_CORES_AUTO;
	if (listed && limits_parse_cores(msg->core_list, limits->core_mask) < 0)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "LIMIT_INVALID", "cores",
			"\"%.40s\" is not a list of cores such as 0,2-3", msg->core_list);
	return 0;
}

int convert_limits_back(
	const Croft__V1__Limits *msg, bool tenant, struct limits *ret, struct err *err)
{
	struct limits limits;
	int r;

	limits_init(&limits);
	for (size_t i = 0; msg && i < ARRAY_SIZE(fields); i++) {
		const struct limit_rule *rule = limit_rule(fields[i].id);
		uint64_t value = *field_of(msg, &fields[i]);

		if (!value)
			continue;
		if (rule->tenant_only && !tenant)
			return err_set_subject(err, ERR_INVALID_ARGUMENT, "LIMIT_INVALID",
				rule->name, "%s is a limit of tenants, not of containers",
				rule->name);
		/* The values that stand for "none" and "auto" here cannot be asked for. */
		limits.value[fields[i].id] = value >= LIMIT_CORES_AUTO ? LIMIT_CORES_AUTO - 1
								       : value;
	}
	r = msg ? read_cores(msg, &limits, err) : 0;
	if (r == 0)
		r = limits_check(&limits, err);
	if (r < 0)
		return r;
	*ret = limits;
	return 0;
}

static void copy_cores(struct limits *to, const struct limits *from)
{
	to->value[LIMIT_CORES] = from->value[LIMIT_CORES];
	memcpy(to->core_mask, from->core_mask, sizeof(to->core_mask));
}

static uint32_t copy_limit(struct limits *to, const struct limits *from, enum limit_id id)
{
	if (id == LIMIT_CORES)
		copy_cores(to, from);
	else
		to->value[id] = from->value[id];
	return 1u << id;
}

/* Carries out one path of a mask. The limits that it names: 0 when it is none of the limits'. */
static uint32_t apply_path(struct limits *limits, const struct limits *from, const char *path)
{
	if (!strcmp(path, "limits")) {
		*limits = *from;
		return (1u << LIMIT_N) - 1;
	}
	if (!strcmp(path, CONVERT_CORE_LIST_PATH) || !strcmp(path, CONVERT_CORE_AUTO_PATH))
		return copy_limit(limits, from, LIMIT_CORES);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (!strcmp(path, fields[i].path))
			return copy_limit(limits, from, fields[i].id);
	return 0;
}

static uint32_t limits_set(const struct limits *limits)
{
	uint32_t set = limits_has_core_mask(limits) ? 1u << LIMIT_CORES : 0;

	for (int i = 0; i < LIMIT_N; i++)
		if (limits->value[i] != LIMIT_UNSET)
			set |= 1u << i;
	return set;
}

static int find_other(const char *const *others, const char *path, unsigned *bits, struct err *err)
{
	for (unsigned i = 0; others[i]; i++) {
		if (strcmp(others[i], path) != 0)
			continue;
		*bits |= 1u << i;
		return 0;
	}
	return err_set_subject(err, ERR_INVALID_ARGUMENT, "FIELD_MASK_INVALID", "update_mask",
		"\"%.60s\" cannot be changed", path);
}

int convert_limits_update(const Croft__V1__Limits *msg, const Google__Protobuf__FieldMask *mask,
	bool tenant, const char *const *others, struct limits *limits,
	struct limits_update *ret_update, struct err *err)
{
	size_t n_paths = mask ? mask->n_paths : 0;
	struct limits_update update = {0};
	struct limits result = *limits;
	struct limits from;
	int r = convert_limits_back(msg, tenant, &from, err);

	if (r < 0)
		return r;
	if (!n_paths) {
		limits_merge(&result, &from);
		update.limits = limits_set(&from);
	}
	for (size_t i = 0; i < n_paths; i++) {
		uint32_t named = apply_path(&result, &from, mask->paths[i]);

		update.limits |= named;
		if (named)
			continue;
		r = find_other(others, mask->paths[i], &update.others, err);
		if (r < 0)
			return r;
	}
	*limits = result;
	*ret_update = update;
	return 0;
}

/*
 * The table of limits, its checks and its text forms; see limits.h. Knows nothing of cgroups:
 * what a kernel rounds or cannot do belongs to the cgroup drivers.
 */
#include "base/limits.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define TIB (GIB * 1024)

#define TRAFFIC_MAX (TIB << 20)

/*
 * Floors: pids 4 and memory 4 MiB are what building a container's namespaces takes; cpu 10 is the
 * kernel's smallest quota (1 ms in a period of 100 ms); disk 16 MiB is what btrfs needs to commit.
 * pids' ceiling is the kernel's PID_MAX_LIMIT. Rates begin where a full packet still passes five
 * times a second, and end where the kernel's arithmetic does. 64 inodes are what a first start
 * makes.
 */
static const struct limit_rule rules[LIMIT_N] = {
	[LIMIT_CPU] = {"cpu", LIMIT_KIND_MILLI, 10, LIMITS_CPUS_MAX * 1000, 1000, 0},
	[LIMIT_CPU_WEIGHT] = {"cpu-weight", LIMIT_KIND_COUNT, 1, 10000, LIMIT_UNSET, 0},
	[LIMIT_CORES] = {"cores", LIMIT_KIND_CORES, 1, LIMITS_CPUS_MAX, LIMIT_UNSET, 0},
	[LIMIT_MEMORY] = {"memory", LIMIT_KIND_SIZE, 4 * MIB, 64 * TIB, 512 * MIB, 0},
	[LIMIT_SWAP] = {"swap", LIMIT_KIND_SIZE, 0, 64 * TIB, 0, 0},
	[LIMIT_PIDS] = {"pids", LIMIT_KIND_COUNT, 4, 4194304, 256, 0},
	[LIMIT_DISK] = {"disk", LIMIT_KIND_SIZE, 16 * MIB, 1024 * TIB, 5 * GIB, 0},
	[LIMIT_CONTAINERS] = {"containers", LIMIT_KIND_COUNT, 0, 4096, 16, 1},
	[LIMIT_RATE_IN] = {"rate-in", LIMIT_KIND_RATE, NET_RATE_MIN, NET_RATE_MAX, LIMIT_UNSET, 0},
	[LIMIT_RATE_OUT] = {"rate-out", LIMIT_KIND_RATE, NET_RATE_MIN, NET_RATE_MAX, LIMIT_UNSET,
		0},
	[LIMIT_LOG] = {"log-size", LIMIT_KIND_SIZE, LOG_SIZE_MIN, GIB, 32 * MIB, 0},
	[LIMIT_INODES] = {"inodes", LIMIT_KIND_COUNT, 64, UINT64_C(1) << 40, LIMIT_UNSET, 0},
	[LIMIT_IO_READ] = {"io-read", LIMIT_KIND_IO, IO_RATE_MIN, IO_RATE_MAX, LIMIT_UNSET, 0,
		LIMIT_IO_READ_OPS},
	[LIMIT_IO_WRITE] = {"io-write", LIMIT_KIND_IO, IO_RATE_MIN, IO_RATE_MAX, LIMIT_UNSET, 0,
		LIMIT_IO_WRITE_OPS},
	[LIMIT_IO_READ_OPS] = {"io-read-ops", LIMIT_KIND_OPS, IO_OPS_MIN, IO_OPS_MAX, LIMIT_UNSET,
		0},
	[LIMIT_IO_WRITE_OPS] = {"io-write-ops", LIMIT_KIND_OPS, IO_OPS_MIN, IO_OPS_MAX, LIMIT_UNSET,
		0},
	[LIMIT_TRAFFIC] = {"traffic", LIMIT_KIND_SIZE, MIB, TRAFFIC_MAX, LIMIT_UNSET, 1},
	[LIMIT_TRAFFIC_OUT] = {"traffic-out", LIMIT_KIND_SIZE, MIB, TRAFFIC_MAX, LIMIT_UNSET, 1},
	[LIMIT_TRAFFIC_RATE] = {"traffic-rate", LIMIT_KIND_RATE, NET_RATE_MIN, NET_RATE_MAX,
		LIMIT_UNSET, 1},
};

const struct limit_rule *limit_rule(enum limit_id id)
{
	return &rules[id];
}

int limit_find(const char *name, enum limit_id *ret)
{
	for (int i = 0; i < LIMIT_N; i++)
		if (!strcmp(rules[i].name, name)) {
			*ret = (enum limit_id)i;
			return 0;
		}
	return -ENOENT;
}

void limits_init(struct limits *l)
{
	memset(l, 0, sizeof(*l));
	for (int i = 0; i < LIMIT_N; i++)
		l->value[i] = LIMIT_UNSET;
}

void limits_init_tenant_default(struct limits *l)
{
	limits_init(l);
	for (int i = 0; i < LIMIT_N; i++)
		l->value[i] = rules[i].tenant_default;
}

int limits_has_core_mask(const struct limits *l)
{
	for (int i = 0; i < LIMITS_CPU_WORDS; i++)
		if (l->core_mask[i])
			return 1;
	return 0;
}

int limits_equal(const struct limits *a, const struct limits *b)
{
	return !memcmp(a->value, b->value, sizeof(a->value)) &&
	       !memcmp(a->core_mask, b->core_mask, sizeof(a->core_mask));
}

unsigned limits_count_cores(const uint64_t mask[static LIMITS_CPU_WORDS])
{
	unsigned n = 0;

	for (int i = 0; i < LIMITS_CPU_WORDS; i++)
		n += (unsigned)__builtin_popcountll(mask[i]);
	return n;
}

int limits_check(const struct limits *l, struct err *err)
{
	for (int i = 0; i < LIMIT_N; i++) {
		char min[LIMIT_TEXT_MAX];
		char max[LIMIT_TEXT_MAX];
		char value[LIMIT_TEXT_MAX];

		if (l->value[i] == LIMIT_UNSET ||
			(l->value[i] >= rules[i].min && l->value[i] <= rules[i].max) ||
			(i == LIMIT_CORES && l->value[i] == LIMIT_CORES_AUTO))
			continue;
		if (i == LIMIT_CORES)
			return err_set_subject(err, ERR_INVALID_ARGUMENT, "LIMIT_INVALID", "cores",
				"cores %" PRIu64
				" is how many, which is 1 to %d; a list says which: "
				"0-0 is the first alone, 0,2-3 are three",
				l->value[i], LIMITS_CPUS_MAX);
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "LIMIT_INVALID", rules[i].name,
			"%s %s is outside %s to %s", rules[i].name,
			limit_format((enum limit_id)i, l->value[i], value),
			limit_format((enum limit_id)i, rules[i].min, min),
			limit_format((enum limit_id)i, rules[i].max, max));
	}
	return 0;
}

struct disk_limits limits_disk(const struct limits *l)
{
	return (struct disk_limits){l->value[LIMIT_DISK], l->value[LIMIT_INODES]};
}

int limits_check_disk(const struct disk_limits *disk, struct err *err)
{
	struct limits limits;

	limits_init(&limits);
	limits.value[LIMIT_DISK] = disk->bytes;
	limits.value[LIMIT_INODES] = disk->inodes;
	return limits_check(&limits, err);
}

/* How many cores are asked for; LIMIT_UNSET where no number is: `auto` takes no more than it may.
 */
static uint64_t cores_asked(const struct limits *l)
{
	if (limits_has_core_mask(l))
		return limits_count_cores(l->core_mask);
	return l->value[LIMIT_CORES] == LIMIT_CORES_AUTO ? LIMIT_UNSET : l->value[LIMIT_CORES];
}

static int cores_check_within(
	const struct limits *container, const struct limits *tenant, struct err *err)
{
	uint64_t asked = cores_asked(container);
	uint64_t allowed = cores_asked(tenant);

	if (limits_has_core_mask(tenant))
		for (int i = 0; i < LIMITS_CPU_WORDS; i++)
			if (container->core_mask[i] & ~tenant->core_mask[i])
				return err_set_subject(err, ERR_INVALID_ARGUMENT,
					"LIMIT_ABOVE_TENANT", "cores",
					"the cores asked for are not all among the tenant's");
	if (asked != LIMIT_UNSET && allowed != LIMIT_UNSET && asked > allowed)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "LIMIT_ABOVE_TENANT", "cores",
			"%" PRIu64 " cores are more than the tenant's %" PRIu64, asked, allowed);
	return 0;
}

enum limit_id limits_first_above(const struct limits *container, const struct limits *tenant)
{
	for (enum limit_id i = 0; i < LIMIT_N; i++) {
		/* A weight is a ratio among siblings, so the tenant's is no ceiling for it. */
		if (i == LIMIT_CPU_WEIGHT || i == LIMIT_CORES || rules[i].tenant_only)
			continue;
		/* LIMIT_UNSET is above all: of the tenant's, nothing is above it. */
		if (container->value[i] != LIMIT_UNSET && container->value[i] > tenant->value[i])
			return i;
	}
	return LIMIT_N;
}

int limits_check_within(
	const struct limits *container, const struct limits *tenant, struct err *err)
{
	enum limit_id id = limits_first_above(container, tenant);
	char asked[LIMIT_TEXT_MAX];
	char allowed[LIMIT_TEXT_MAX];

	if (id == LIMIT_N)
		return cores_check_within(container, tenant, err);
	return err_set_subject(err, ERR_INVALID_ARGUMENT, "LIMIT_ABOVE_TENANT", rules[id].name,
		"%s %s is above the tenant's %s; ask for at most that, or raise the tenant's limit "
		"first",
		rules[id].name, limit_format(id, container->value[id], asked),
		limit_format(id, tenant->value[id], allowed));
}

void limits_fit_within(struct limits *container, const struct limits *tenant)
{
	enum limit_id id;

	while ((id = limits_first_above(container, tenant)) != LIMIT_N)
		container->value[id] = tenant->value[id];
	/* Of other cores than those it had, the tenant's are as good as any. */
	if (cores_check_within(container, tenant, NULL) < 0) {
		memset(container->core_mask, 0, sizeof(container->core_mask));
		container->value[LIMIT_CORES] = LIMIT_UNSET;
	}
}

void limits_merge(struct limits *to, const struct limits *from)
{
	for (int i = 0; i < LIMIT_N; i++)
		if (from->value[i] != LIMIT_UNSET)
			to->value[i] = from->value[i];
	if (from->value[LIMIT_CORES] != LIMIT_UNSET)
		memset(to->core_mask, 0, sizeof(to->core_mask));
	if (limits_has_core_mask(from)) {
		memcpy(to->core_mask, from->core_mask, sizeof(to->core_mask));
		to->value[LIMIT_CORES] = LIMIT_UNSET;
	}
}

bool limit_is_io(enum limit_id id)
{
	return rules[id].kind == LIMIT_KIND_IO || rules[id].kind == LIMIT_KIND_OPS;
}

void limits_take_io(struct limits *to, const struct limits *from)
{
	for (int i = 0; i < LIMIT_N; i++)
		if (limit_is_io((enum limit_id)i))
			to->value[i] = from->value[i];
}

/* Digits only: strtoull() would take signs and leading space. */
static int parse_digits(const char *text, char **ret_end, uint64_t *ret)
{
	unsigned long long value;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	value = strtoull(text, ret_end, 10);
	if (errno)
		return -EINVAL;
	*ret = value;
	return 0;
}

int size_parse(const char *text, uint64_t *ret_bytes)
{
	static const char prefixes[] = "KMGT";
	uint64_t value;
	uint64_t unit = 1;
	char *end;

	if (parse_digits(text, &end, &value) < 0)
		return -EINVAL;
	if (*end && *end != 'B') {
		const char *prefix = strchr(prefixes, toupper((unsigned char)*end));
		bool decimal = end[1] == 'B' && !end[2];

		if (!prefix)
			return -EINVAL;
		for (const char *p = prefixes; p <= prefix; p++)
			unit *= decimal ? 1000 : 1024;
		if (end[1] && !decimal && strcmp(end + 1, "iB") != 0)
			return -EINVAL;
	} else if (*end && end[1]) {
		return -EINVAL;
	}
	if (value && unit > (UINT64_MAX - 1) / value)
		return -EINVAL;
	*ret_bytes = value * unit;
	return 0;
}

const char *size_format(uint64_t bytes, char out[static LIMIT_TEXT_MAX])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	uint64_t unit = 1;
	size_t u = 0;
	uint64_t tenths;

	while (u + 1 < sizeof(units) / sizeof(units[0]) && bytes / unit >= 1024) {
		unit *= 1024;
		u++;
	}
	tenths = bytes % unit * 10 / unit;
	if (tenths)
		snprintf(out, LIMIT_TEXT_MAX, "%" PRIu64 ".%" PRIu64 " %s", bytes / unit, tenths,
			units[u]);
	else
		snprintf(out, LIMIT_TEXT_MAX, "%" PRIu64 " %s", bytes / unit, units[u]);
	return out;
}

/* "2", "0.5", "1.25": at most three decimals, into thousandths. */
static int parse_milli(const char *text, uint64_t *ret_milli)
{
	uint64_t whole;
	uint64_t fraction = 0;
	char *end;

	if (parse_digits(text, &end, &whole) < 0 || whole > UINT64_MAX / 1000 - 1)
		return -EINVAL;
	if (*end == '.') {
		uint64_t unit = 100;

		if (!isdigit((unsigned char)*++end))
			return -EINVAL;
		for (; isdigit((unsigned char)*end); end++, unit /= 10) {
			if (!unit && *end != '0')
				return -EINVAL;
			fraction += (uint64_t)(*end - '0') * unit;
		}
	}
	if (*end)
		return -EINVAL;
	*ret_milli = whole * 1000 + fraction;
	return 0;
}

int limits_parse_cores(const char *text, uint64_t ret_mask[static LIMITS_CPU_WORDS])
{
	uint64_t mask[LIMITS_CPU_WORDS] = {0};
	const char *p = text;

	for (;;) {
		uint64_t first;
		uint64_t last;
		char *end;

		if (parse_digits(p, &end, &first) < 0)
			return -EINVAL;
		last = first;
		if (*end == '-' && parse_digits(end + 1, &end, &last) < 0)
			return -EINVAL;
		if (last < first || last >= LIMITS_CPUS_MAX)
			return -EINVAL;
		for (uint64_t cpu = first; cpu <= last; cpu++)
			mask[cpu / 64] |= UINT64_C(1) << (cpu % 64);
		if (!*end)
			break;
		if (*end != ',')
			return -EINVAL;
		p = end + 1;
	}
	memcpy(ret_mask, mask, sizeof(mask));
	return 0;
}

static bool has_cpu(const uint64_t mask[static LIMITS_CPU_WORDS], unsigned cpu)
{
	return cpu < LIMITS_CPUS_MAX && (mask[cpu / 64] >> (cpu % 64) & 1);
}

const char *limits_format_cores(
	const uint64_t mask[static LIMITS_CPU_WORDS], char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned cpu = 0; cpu < LIMITS_CPUS_MAX && len < size; cpu++) {
		unsigned first = cpu;

		if (!has_cpu(mask, cpu))
			continue;
		while (has_cpu(mask, cpu + 1))
			cpu++;
		len += (size_t)snprintf(out + len, size - len, "%s%u", len ? "," : "", first);
		if (cpu > first && len < size)
			len += (size_t)snprintf(out + len, size - len, "-%u", cpu);
	}
	return out;
}

static int parse_cores_limit(struct limits *l, const char *text)
{
	uint64_t count;
	char *end;

	if (!strcmp(text, "auto")) {
		memset(l->core_mask, 0, sizeof(l->core_mask));
		l->value[LIMIT_CORES] = LIMIT_CORES_AUTO;
		return 0;
	}
	if (parse_digits(text, &end, &count) == 0 && !*end) {
		memset(l->core_mask, 0, sizeof(l->core_mask));
		/* The values that stand for something else cannot be asked for as numbers. */
		l->value[LIMIT_CORES] = count < LIMIT_CORES_AUTO ? count : LIMIT_CORES_AUTO - 1;
		return 0;
	}
	l->value[LIMIT_CORES] = LIMIT_UNSET;
	return limits_parse_cores(text, l->core_mask);
}

/* "10MiB", "500iops", or one of each with a comma between them. */
static int parse_io(struct limits *l, enum limit_id id, const char *text)
{
	static const char unit[] = "iops";
	char copy[LIMIT_TEXT_MAX];
	char *rest = copy;
	char *part;

	if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
		return -EINVAL;
	l->value[id] = l->value[rules[id].ops] = LIMIT_UNSET;
	while ((part = strsep(&rest, ","))) {
		size_t len = strlen(part);
		bool is_ops = len > strlen(unit) && !strcmp(part + len - strlen(unit), unit);
		uint64_t *value = &l->value[is_ops ? rules[id].ops : id];
		uint64_t number;
		char *end;

		if (*value != LIMIT_UNSET)
			return -EINVAL;
		if (!is_ops && size_parse(part, value) < 0)
			return -EINVAL;
		if (is_ops && (parse_digits(part, &end, &number) < 0 || strcmp(end, unit) != 0))
			return -EINVAL;
		if (is_ops)
			*value = number;
		if (*value == LIMIT_UNSET)
			return -EINVAL;
	}
	return 0;
}

static int parse_value(struct limits *l, enum limit_id id, const char *text)
{
	char *end;

	switch (rules[id].kind) {
	case LIMIT_KIND_SIZE:
	case LIMIT_KIND_RATE:
		return size_parse(text, &l->value[id]);
	case LIMIT_KIND_MILLI:
		return parse_milli(text, &l->value[id]);
	case LIMIT_KIND_CORES:
		return parse_cores_limit(l, text);
	case LIMIT_KIND_IO:
		return parse_io(l, id, text);
	case LIMIT_KIND_COUNT:
	case LIMIT_KIND_OPS:
		break;
	}
	if (parse_digits(text, &end, &l->value[id]) < 0 || *end)
		return -EINVAL;
	return 0;
}

int limits_parse(struct limits *l, enum limit_id id, const char *text, struct err *err)
{
	static const char *const forms[] = {
		[LIMIT_KIND_COUNT] = "a whole number",
		[LIMIT_KIND_SIZE] = "a size such as 64M, 64MiB or 2G",
		[LIMIT_KIND_CORES] =
			"a number of cores, a list of them such as 0-0 or 0,2-3, or auto",
		[LIMIT_KIND_MILLI] = "a number of cores such as 0.5",
		[LIMIT_KIND_RATE] = "bytes a second, such as 10MiB",
		[LIMIT_KIND_IO] = "a rate such as 10MiB (a second), 500iops or 10MiB,500iops",
		[LIMIT_KIND_OPS] = "a number of requests a second",
	};
	struct limits parsed = *l;

	if (!strcmp(text, "none")) {
		l->value[id] = LIMIT_UNSET;
		if (id == LIMIT_CORES)
			memset(l->core_mask, 0, sizeof(l->core_mask));
		if (rules[id].kind == LIMIT_KIND_IO)
			l->value[rules[id].ops] = LIMIT_UNSET;
		return 0;
	}
	/* Of those that are one of several forms, another may be set. */
	if (parse_value(&parsed, id, text) < 0 ||
		(parsed.value[id] == LIMIT_UNSET && id != LIMIT_CORES &&
			rules[id].kind != LIMIT_KIND_IO))
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "LIMIT_INVALID", rules[id].name,
			"%s \"%.40s\" is not %s", rules[id].name, text, forms[rules[id].kind]);
	*l = parsed;
	return 0;
}

const char *limit_format(enum limit_id id, uint64_t value, char out[static LIMIT_TEXT_MAX])
{
	char size[LIMIT_TEXT_MAX];

	if (value == LIMIT_UNSET)
		snprintf(out, LIMIT_TEXT_MAX, "none");
	else if (id == LIMIT_CORES && value == LIMIT_CORES_AUTO)
		snprintf(out, LIMIT_TEXT_MAX, "auto");
	else if (rules[id].kind == LIMIT_KIND_SIZE)
		size_format(value, out);
	else if (rules[id].kind == LIMIT_KIND_OPS)
		snprintf(out, LIMIT_TEXT_MAX, "%" PRIu64 " iops", value);
	else if (rules[id].kind == LIMIT_KIND_RATE || rules[id].kind == LIMIT_KIND_IO)
		snprintf(out, LIMIT_TEXT_MAX, "%.*s/s", LIMIT_TEXT_MAX - 3,
			size_format(value, size));
	else if (rules[id].kind == LIMIT_KIND_MILLI && value % 1000 == 0)
		snprintf(out, LIMIT_TEXT_MAX, "%" PRIu64, value / 1000);
	else if (rules[id].kind == LIMIT_KIND_MILLI) {
		size_t n = (size_t)snprintf(
			out, LIMIT_TEXT_MAX, "%" PRIu64 ".%03" PRIu64, value / 1000, value % 1000);

		while (out[n - 1] == '0')
			out[--n] = '\0';
	} else
		snprintf(out, LIMIT_TEXT_MAX, "%" PRIu64, value);
	return out;
}

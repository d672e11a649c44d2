/* The table of meters; see ledger_meters.h. Must never be reordered: records are kept by number. */
#include "server/ledger_meters.h"

#include <string.h>

#define COUNTER_OF(of_, name_, unit_, id_, group_)                                                 \
	{                                                                                          \
		.name = name_, .unit = unit_, .aggregation = "sum", .kind = METER_COUNTER,         \
		.of = of_, .counter_id = id_, .group = group_, .divisor = 1                        \
	}
#define COUNTER(name_, unit_, id_, group_) COUNTER_OF(1u << LEDGER_RUN, name_, unit_, id_, group_)
#define OF_TIME(of_, name_, unit_, aggregation_, kind_, divisor_)                                  \
	{                                                                                          \
		.name = name_, .unit = unit_, .aggregation = aggregation_, .kind = kind_,          \
		.of = of_, .divisor = divisor_                                                     \
	}
#define ALLOCATED(name_, unit_, of_, limit_, per_, divisor_)                                       \
	{                                                                                          \
		.name = name_, .unit = unit_, .aggregation = "time_weighted",                      \
		.kind = METER_ALLOCATED, .of = 1u << (of_), .limit = limit_, .per = per_,          \
		.divisor = divisor_                                                                \
	}
#define HELD(name_, unit_, of_, held_, per_)                                                       \
	{                                                                                          \
		.name = name_, .unit = unit_, .aggregation = "time_weighted", .kind = METER_HELD,  \
		.of = of_, .held = held_, .per = per_, .divisor = 1000000                          \
	}
#define BURST(name_)                                                                               \
	{                                                                                          \
		.name = name_, .unit = "bits/s", .aggregation = "p95", .kind = METER_BURST,        \
		.of = 1u << LEDGER_RUN, .group = USAGE_NET, .divisor = 1                           \
	}
#define RISE(name_, of_, held_)                                                                    \
	{                                                                                          \
		.name = name_, .unit = "count", .aggregation = "sum", .kind = METER_RISE,          \
		.of = of_, .held = held_, .divisor = 1                                             \
	}
#define OF_WORK (1u << LEDGER_RUN | 1u << LEDGER_WORK)
#define OF_OWN	(1u << LEDGER_OWN)
#define OF_DISK (1u << LEDGER_CONTAINER | 1u << LEDGER_VOLUME)

const struct ledger_meter ledger_meters[LEDGER_METERS] = {
	COUNTER_OF(OF_WORK, "cpu.used", "us", 1, USAGE_CGROUP),
	COUNTER_OF(OF_WORK, "cpu.throttled", "us", 2, USAGE_CGROUP),
	OF_TIME(OF_WORK, "memory.used", "KiB.s", "time_weighted", METER_WORKING_SET, 1000000),
	OF_TIME(OF_WORK, "memory.peak", "bytes", "max", METER_MEMORY_PEAK, 1),
	COUNTER("memory.at_limit", "count", 6, USAGE_CGROUP),
	COUNTER("memory.oom", "count", 7, USAGE_CGROUP),
	OF_TIME(1u << LEDGER_RUN, "pids.peak", "count", "max", METER_PIDS_PEAK, 1),
	COUNTER("pids.denied", "count", 10, USAGE_CGROUP),
	OF_TIME(1u << LEDGER_RUN, "running", "us", "sum", METER_RUNNING, 1),
	COUNTER("net.ingress", "bytes", 11, USAGE_NET),
	COUNTER("net.ingress.packets", "packets", 12, USAGE_NET),
	COUNTER("net.egress", "bytes", 13, USAGE_NET),
	COUNTER("net.egress.packets", "packets", 14, USAGE_NET),
	COUNTER("net.ingress.outside", "bytes", 15, USAGE_NET),
	COUNTER("net.ingress.outside.packets", "packets", 16, USAGE_NET),
	COUNTER("net.egress.outside", "bytes", 17, USAGE_NET),
	COUNTER("net.egress.outside.packets", "packets", 18, USAGE_NET),
	COUNTER("io.read", "bytes", 19, USAGE_IO),
	COUNTER("io.read.ops", "count", 20, USAGE_IO),
	COUNTER("io.write", "bytes", 21, USAGE_IO),
	COUNTER("io.write.ops", "count", 22, USAGE_IO),
	/* Thousandths of a core. */
	ALLOCATED("cpu.allocated", "us", LEDGER_RUN, LIMIT_CPU, 1, 1000),
	ALLOCATED("memory.allocated", "KiB.s", LEDGER_RUN, LIMIT_MEMORY, 1024, 1000000),
	HELD("disk.used", "KiB.s", OF_DISK, HELD_DISK, 1024),
	ALLOCATED("disk.allocated", "KiB.s", LEDGER_CONTAINER, LIMIT_DISK, 1024, 1000000),
	HELD("volume.allocated", "KiB.s", 1u << LEDGER_VOLUME, HELD_SIZE, 1024),
	HELD("snapshot.used", "KiB.s", 1u << LEDGER_CONTAINER, HELD_SNAPSHOTS, 1024),
	HELD("ipv4.address", "s", 1u << LEDGER_CONTAINER, HELD_IPV4, 1),
	/* What a tenant bought; its containers' are parts of it, or more. */
	ALLOCATED("tenant.cpu.allocated", "us", LEDGER_TENANT, LIMIT_CPU, 1, 1000),
	ALLOCATED("tenant.memory.allocated", "KiB.s", LEDGER_TENANT, LIMIT_MEMORY, 1024, 1000000),
	ALLOCATED("tenant.disk.allocated", "KiB.s", LEDGER_TENANT, LIMIT_DISK, 1024, 1000000),
	BURST("net.p95"),
	RISE("disk.denied", OF_DISK | 1u << LEDGER_TENANT, HELD_FILLS),
	/* What its directory counted: what it uses all together, and what its own limits did. */
	COUNTER_OF(OF_OWN, "tenant.cpu.used", "us", 1, USAGE_CGROUP),
	COUNTER_OF(OF_OWN, "tenant.cpu.throttled", "us", 2, USAGE_CGROUP),
	OF_TIME(OF_OWN, "tenant.memory.used", "KiB.s", "time_weighted", METER_WORKING_SET, 1000000),
	OF_TIME(OF_OWN, "tenant.memory.peak", "bytes", "max", METER_MEMORY_PEAK, 1),
	COUNTER_OF(OF_OWN, "tenant.memory.at_limit", "count", 6, USAGE_CGROUP),
	OF_TIME(OF_OWN, "tenant.pids.peak", "count", "max", METER_PIDS_PEAK, 1),
	COUNTER_OF(OF_OWN, "tenant.pids.denied", "count", 10, USAGE_CGROUP),
};

bool ledger_meter_is_write(size_t meter)
{
	static const char prefix[] = "io.write";

	return !strncmp(ledger_meters[meter].name, prefix, sizeof(prefix) - 1);
}

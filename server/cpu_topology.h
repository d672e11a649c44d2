/* The host's CPUs: which of them croftd may choose now, and which share a processor. */
#pragma once

#include "base/limits.h"

struct cpu_topology {
	uint64_t usable[LIMITS_CPU_WORDS]; /* Croft's, and online */
	uint32_t package[LIMITS_CPUS_MAX];
	uint64_t known[LIMITS_CPU_WORDS]; /* those whose package was looked up */
};

/*
 * Looks which of `cpus` are online, and up whatever package is not known yet, in the directory of
 * CPUs below sysfs (CPU_TOPOLOGY_DIR). What cannot be read leaves all of them usable, on one.
 */
void cpu_topology_look(struct cpu_topology *topology, const char *dir,
	const uint64_t cpus[static LIMITS_CPU_WORDS]);

/* Documentation/ABI/stable/sysfs-devices-system-cpu: `online`, `cpuN/topology/...` */
#define CPU_TOPOLOGY_DIR "/sys/devices/system/cpu"

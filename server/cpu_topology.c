/* The host's CPUs as sysfs tells; see cpu_topology.h. Reads a few small files that no disk holds.
 */
#include "server/cpu_topology.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX 4096 /* a page is all that a file of sysfs holds */

static void read_online(struct cpu_topology *topology, int dir_fd)
{
	uint64_t online[LIMITS_CPU_WORDS];
	char text[LIST_MAX + 1];

	if (fd_read_text_at(dir_fd, "online", text, sizeof(text)) < 0)
		return;
	text[strcspn(text, "\n")] = '\0';
	if (limits_parse_cores(text, online) < 0)
		return;
	for (int i = 0; i < LIMITS_CPU_WORDS; i++)
		topology->usable[i] &= online[i];
}

/* Of one that is online, which a number does not change for. Without a file it stays on the first.
 */
static void read_package(struct cpu_topology *topology, int dir_fd, unsigned cpu)
{
	char path[64];
	char text[32];

	snprintf(path, sizeof(path), "cpu%u/topology/physical_package_id", cpu);
	if (fd_read_text_at(dir_fd, path, text, sizeof(text)) >= 0)
		topology->package[cpu] = (uint32_t)strtoul(text, NULL, 10);
	topology->known[cpu / 64] |= UINT64_C(1) << (cpu % 64);
}

void cpu_topology_look(struct cpu_topology *topology, const char *dir,
	const uint64_t cpus[static LIMITS_CPU_WORDS])
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	memcpy(topology->usable, cpus, sizeof(topology->usable));
	if (fd < 0)
		return;
	read_online(topology, fd);
	for (unsigned cpu = 0; cpu < LIMITS_CPUS_MAX; cpu++)
		if ((topology->usable[cpu / 64] & ~topology->known[cpu / 64]) >> (cpu % 64) & 1)
			read_package(topology, fd, cpu);
}

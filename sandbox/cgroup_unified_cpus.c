/*
 * CPU lists on cgroup v2, where an empty list means the parent's. But the kernel gives none to a
 * directory in which something runs (ENOSPC from validate_change() in kernel/cgroup/cpuset.c).
 * A list of every CPU that there can be stands for one then: what is used is what the parent has
 * of it, now and later.
 */
#include "base/fd.h"
#include "sandbox/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Documentation/ABI/stable/sysfs-devices-system-cpu; the CPUs that cpuset.cpus can name. */
#define POSSIBLE_CPUS "/sys/devices/system/cpu/possible"

static int read_possible(uint64_t ret_mask[static LIMITS_CPU_WORDS])
{
	char text[CGROUP_TEXT_MAX];
	ssize_t n = fd_read_text_at(AT_FDCWD, POSSIBLE_CPUS, text, sizeof(text));

	if (n < 0)
		return (int)n;
	text[strcspn(text, "\n")] = '\0';
	return limits_parse_cores(text, ret_mask);
}

int cgroup_unified_read_cores(
	const struct cgroup_root *root, const char *dir, uint64_t ret_mask[static LIMITS_CPU_WORDS])
{
	static const uint64_t none[LIMITS_CPU_WORDS];
	uint64_t possible[LIMITS_CPU_WORDS];
	char text[CGROUP_TEXT_MAX];
	ssize_t n = cgroup_read_text(root, CGROUP_CPUSET, dir, "cpuset.cpus", text, sizeof(text));
	int r = n < 0 ? (int)n : cgroup_parse_cpus(text, ret_mask);

	if (r < 0 || !memcmp(ret_mask, none, sizeof(none)))
		return r;
	if (read_possible(possible) == 0 && !memcmp(ret_mask, possible, sizeof(possible)))
		memcpy(ret_mask, none, sizeof(none));
	return 0;
}

static int write_list(const struct cgroup_root *root, const char *dir,
	const uint64_t mask[static LIMITS_CPU_WORDS], char *back, size_t size)
{
	char text[CGROUP_TEXT_MAX];

	limits_format_cores(mask, text, sizeof(text));
	/* An empty write would not reach the kernel. */
	return cgroup_write_back(
		root, CGROUP_CPUSET, dir, "cpuset.cpus", *text ? text : "\n", back, size);
}

int cgroup_unified_write_cores(const struct cgroup_root *root, const char *dir,
	const uint64_t mask[static LIMITS_CPU_WORDS], struct err *err)
{
	uint64_t wanted[LIMITS_CPU_WORDS];
	uint64_t got[LIMITS_CPU_WORDS];
	char back[CGROUP_TEXT_MAX];
	char text[CGROUP_TEXT_MAX];
	int r;

	memcpy(wanted, mask, sizeof(wanted));
	r = write_list(root, dir, wanted, back, sizeof(back));
	if (r == -ENOSPC && read_possible(wanted) == 0)
		r = write_list(root, dir, wanted, back, sizeof(back));
	if (r < 0)
		return err_sys(err, r, "write \"%.80s\" to cpuset.cpus",
			limits_format_cores(mask, text, sizeof(text)));
	if (cgroup_parse_cpus(back, got) < 0 || memcmp(got, wanted, sizeof(got)) != 0)
		return cgroup_not_applied(LIMIT_CORES, back, err);
	return 0;
}

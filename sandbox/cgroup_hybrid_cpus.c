/*
 * CPU lists on cgroup v1, where a directory's list is never empty, a new one starts without any,
 * and a parent's must hold its children's at every moment.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/cgroup_internal.h"

#include <string.h>

/* New directories take their parent's CPUs and memory nodes: empty ones would refuse every task. */
int cgroup_hybrid_prepare_cpuset(struct cgroup_root *root, struct err *err)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
	int mount_fd = root->mount_fd[root->hierarchy[CGROUP_CPUSET]];
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char text[CGROUP_TEXT_MAX];
		ssize_t n = cgroup_read_text(root, CGROUP_CPUSET, "", files[i], text, sizeof(text));

		r = n < 0 ? (int)n : 0;
		if (n == 0) {
			n = fd_read_text_at(mount_fd, files[i], text, sizeof(text));
			r = n < 0 ? (int)n
				  : cgroup_write_text(root, CGROUP_CPUSET, "", files[i], text);
		}
		if (r < 0)
			return err_sys(err, r, "set %s", files[i]);
	}
	r = cgroup_write_text(root, CGROUP_CPUSET, "", "cgroup.clone_children", "1");
	return r < 0 ? err_sys(err, r, "set cgroup.clone_children") : 0;
}

static int read_cpus(
	const struct cgroup_root *root, const char *dir, uint64_t ret_mask[static LIMITS_CPU_WORDS])
{
	char text[CGROUP_TEXT_MAX];
	ssize_t n = cgroup_read_text(root, CGROUP_CPUSET, dir, "cpuset.cpus", text, sizeof(text));

	return n < 0 ? (int)n : cgroup_parse_cpus(text, ret_mask);
}

static void parent_of(const char *dir, char ret[static CGROUP_DIR_SIZE])
{
	const char *slash = strrchr(dir, '/');

	snprintf(ret, CGROUP_DIR_SIZE, "%.*s", slash ? (int)(slash - dir) : 0, dir);
}

/* v1 has no empty list for "as the parent": an equal one counts as that. */
int cgroup_hybrid_read_cores(
	const struct cgroup_root *root, const char *dir, uint64_t ret_mask[static LIMITS_CPU_WORDS])
{
	uint64_t outer[LIMITS_CPU_WORDS];
	char parent[CGROUP_DIR_SIZE];
	int r;

	parent_of(dir, parent);
	r = read_cpus(root, parent, outer);
	if (r == 0)
		r = read_cpus(root, dir, ret_mask);
	if (r == 0 && !memcmp(outer, ret_mask, sizeof(outer)))
		memset(ret_mask, 0, sizeof(outer));
	return r;
}

static int write_cpus_file(const struct cgroup_root *root, const char *dir,
	const uint64_t mask[static LIMITS_CPU_WORDS], struct err *err)
{
	uint64_t got[LIMITS_CPU_WORDS];
	char back[CGROUP_TEXT_MAX];
	char text[CGROUP_TEXT_MAX];
	int r = cgroup_write_back(root, CGROUP_CPUSET, dir, "cpuset.cpus",
		limits_format_cores(mask, text, sizeof(text)), back, sizeof(back));

	if (r < 0)
		return err_sys(err, r, "write %.80s to cpuset.cpus", text);
	if (cgroup_parse_cpus(back, got) < 0 || memcmp(got, mask, sizeof(got)) != 0)
		return cgroup_not_applied(LIMIT_CORES, back, err);
	return 0;
}

struct cpus_change {
	const struct cgroup_root *root;
	const char *dir;
	const uint64_t *from;
	const uint64_t *to;
	struct err *err;
	int result;
};

static int write_cpus(const struct cgroup_root *root, const char *dir, const uint64_t *from,
	const uint64_t *to, struct err *err);

static int write_child_cpus(const char *name, void *arg)
{
	struct cpus_change *change = arg;
	uint64_t mask[LIMITS_CPU_WORDS];
	char dir[CGROUP_DIR_SIZE];

	if ((size_t)snprintf(dir, sizeof(dir), "%s/%s", change->dir, name) >= sizeof(dir))
		return 0;
	/* A list of its own stays: it was checked to be within the new one. */
	if (read_cpus(change->root, dir, mask) < 0 || memcmp(mask, change->from, sizeof(mask)) != 0)
		return 0;
	change->result = write_cpus(change->root, dir, change->from, change->to, change->err);
	return change->result < 0;
}

/*
 * A directory's list must hold its children's at every moment: widen it to both lists, change the
 * children that follow it, then narrow it. No deeper than tenant, container, payload.
 */
static int write_cpus(const struct cgroup_root *root, const char *dir, const uint64_t *from,
	const uint64_t *to, struct err *err)
{
	struct cpus_change change = {.root = root, .dir = dir, .from = from, .to = to, .err = err};
	uint64_t both[LIMITS_CPU_WORDS];
	int r = 0;

	for (size_t i = 0; i < LIMITS_CPU_WORDS; i++)
		both[i] = from[i] | to[i];
	if (memcmp(both, from, sizeof(both)) != 0)
		r = write_cpus_file(root, dir, both, err);
	if (r < 0)
		return r;
	r = cgroup_tree_each(
		cgroup_hierarchy_fd(root, CGROUP_CPUSET), dir, write_child_cpus, &change);
	if (r < 0)
		return err_sys(err, r, "list cpusets");
	if (change.result < 0)
		return change.result;
	return memcmp(both, to, sizeof(both)) ? write_cpus_file(root, dir, to, err) : 0;
}

int cgroup_hybrid_write_cores(const struct cgroup_root *root, const char *dir,
	const struct limits *now, const struct limits *want, struct err *err)
{
	uint64_t from[LIMITS_CPU_WORDS];
	uint64_t to[LIMITS_CPU_WORDS];
	char parent[CGROUP_DIR_SIZE];
	int r;

	if (!memcmp(now->core_mask, want->core_mask, sizeof(now->core_mask)))
		return 0;
	parent_of(dir, parent);
	memcpy(to, want->core_mask, sizeof(to));
	r = read_cpus(root, dir, from);
	if (r == 0 && !limits_has_core_mask(want))
		r = read_cpus(root, parent, to);
	if (r < 0)
		return err_sys(err, r, "read cpuset.cpus");
	return memcmp(from, to, sizeof(from)) ? write_cpus(root, dir, from, to, err) : 0;
}

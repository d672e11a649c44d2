/*
 * Forcing a memory limit below present use on cgroup v1, where the kernel refuses it. It comes to
 * what v2 does by itself: reclaim, then kill, the largest process first, until the limit fits.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "sandbox/cgroup_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define LIMIT_FILE	"memory.limit_in_bytes"
#define RECLAIM_TRIES	5
#define FORCE_TIME_USEC (10 * 1000000)
#define PAUSE_NSEC	(5 * 1000 * 1000) /* for the memory of what was killed to be given back */

struct search {
	const struct cgroup_root *root;
	const char *dir;
	pid_t largest;
	uint64_t pages;
};

/* Resident pages: the second figure of proc(5)'s statm. 0 for one that is gone, or gives back. */
static uint64_t resident_pages(pid_t pid)
{
	uint64_t resident = 0;
	char path[48];
	char text[128];

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	if (fd_read_text_at(AT_FDCWD, path, text, sizeof(text)) < 0 ||
		sscanf(text, "%*u %" SCNu64, &resident) != 1)
		return 0;
	return resident;
}

static void search_dir(struct search *s, const char *dir)
{
	int fd = cgroup_open_file(s->root, CGROUP_MEMORY, dir, "cgroup.procs", O_RDONLY);
	_cleanup_fclose_ FILE *procs = fd < 0 ? NULL : fdopen(fd, "re");
	int pid;

	if (!procs) {
		cleanup_close(&fd);
		return;
	}
	while (fscanf(procs, "%d", &pid) == 1) {
		uint64_t pages = resident_pages(pid);

		if (pages > s->pages) {
			s->pages = pages;
			s->largest = pid;
		}
	}
}

/* Below a container there is its payload, below a tenant its containers; no tenant makes more. */
static int search_subdir(const char *name, void *arg)
{
	struct search *s = arg;
	char child[CGROUP_DIR_SIZE];
	char payload[CGROUP_DIR_SIZE];

	if ((size_t)snprintf(child, sizeof(child), "%s/%s", s->dir, name) >= sizeof(child))
		return 0;
	search_dir(s, child);
	if ((size_t)snprintf(payload, sizeof(payload), "%s/" CGROUP_PAYLOAD, child) <
		sizeof(payload))
		search_dir(s, payload);
	return 0;
}

static bool kill_largest(const struct cgroup_root *root, const char *dir)
{
	struct search s = {.root = root, .dir = dir};

	search_dir(&s, dir);
	cgroup_tree_each(cgroup_hierarchy_fd(root, CGROUP_MEMORY), dir, search_subdir, &s);
	return s.largest && kill(s.largest, SIGKILL) == 0;
}

static int try_limit(const struct cgroup_root *root, const char *dir, uint64_t memory)
{
	char text[32];

	cgroup_write_text(root, CGROUP_MEMORY, dir, "memory.force_empty", "0");
	snprintf(text, sizeof(text), "%" PRIu64, memory);
	return cgroup_write_text(root, CGROUP_MEMORY, dir, LIMIT_FILE, text);
}

int cgroup_hybrid_force_memory(
	const struct cgroup_root *root, const char *dir, uint64_t memory, struct err *err)
{
	uint64_t deadline = clock_boot_usec() + FORCE_TIME_USEC;
	struct timespec pause = {.tv_nsec = PAUSE_NSEC};
	uint64_t use = memory;
	int r = -EBUSY;

	for (unsigned i = 0; i < RECLAIM_TRIES && r == -EBUSY; i++)
		r = try_limit(root, dir, memory);
	while (r == -EBUSY && clock_boot_usec() < deadline) {
		/* None left that holds memory: what the dead held is still being given back. */
		kill_largest(root, dir);
		nanosleep(&pause, NULL);
		r = try_limit(root, dir, memory);
	}
	if (r != -EBUSY)
		return r < 0 ? err_sys(err, r, "write " LIMIT_FILE) : 0;
	cgroup_read_u64(root, CGROUP_MEMORY, dir, "memory.usage_in_bytes", &use);
	return cgroup_below_use(memory, use, err);
}

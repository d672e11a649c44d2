/*
 * Forcing a memory limit below present use on cgroup v1, where the kernel refuses it. It comes to
 * what v2 does by itself: reclaim, then an OOM kill of the largest process, one after the other,
 * until the limit fits. Must never kill what is not needed, nor kill without the kernel counting
 * it: that is how the end of a run has its reason.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "sandbox/cgroup_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#define LIMIT_FILE	"memory.limit_in_bytes"
#define RECLAIM_TRIES	5
#define FORCE_TIME_USEC (10 * 1000000)
/* What the dead held may still be given back: the mounts of a container after its processes. */
#define SETTLE_TIME_USEC (2 * 1000000)
#define PAUSE_NSEC	 (5 * 1000 * 1000)
/* So much is left free for a moment, and then filled: each CPU holds some charged pages ready. */
#define MARGIN_BYTES (UINT64_C(1) << 20)
#define FILL_BYTES   (16 * MARGIN_BYTES)
#define ADJ_NEVER    -1000 /* proc(5), oom_score_adj */

struct force {
	const struct cgroup_root *root;
	const char *dir;
	uint64_t memory; /* wanted */
	uint64_t before; /* the limit so far */
	uint64_t page_bytes;
	uint64_t deadline;
};

struct victim {
	const struct force *force;
	pid_t pid; /* 0: none */
	int64_t points;
	char dir[CGROUP_DIR_SIZE]; /* where it is */
};

static int read_proc(pid_t pid, const char *file, const char *format, int64_t *ret)
{
	char path[48];
	char text[128];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	if (fd_read_text_at(AT_FDCWD, path, text, sizeof(text)) < 0 ||
		sscanf(text, format, ret) != 1)
		return -ESRCH;
	return 0;
}

/* As the kernel counts (mm/oom_kill.c): resident pages, moved by thousandths of the limit. */
static bool weigh(const struct force *f, pid_t pid, int64_t *ret_points)
{
	int64_t resident;
	int64_t adj;

	/* One that is dead has no pages left. */
	if (read_proc(pid, "statm", "%*u %" SCNd64, &resident) < 0 || !resident ||
		read_proc(pid, "oom_score_adj", "%" SCNd64, &adj) < 0 || adj == ADJ_NEVER)
		return false;
	*ret_points = resident + adj * (int64_t)(f->memory / f->page_bytes) / 1000;
	return true;
}

static FILE *open_procs(const struct force *f, const char *dir)
{
	int fd = cgroup_open_file(f->root, CGROUP_MEMORY, dir, "cgroup.procs", O_RDONLY);
	FILE *procs = fd < 0 ? NULL : fdopen(fd, "re");

	if (!procs)
		cleanup_close(&fd);
	return procs;
}

static void search_dir(struct victim *v, const char *dir)
{
	_cleanup_fclose_ FILE *procs = open_procs(v->force, dir);
	int64_t points;
	int pid;

	while (procs && fscanf(procs, "%d", &pid) == 1) {
		if (!weigh(v->force, pid, &points) || (v->pid && points <= v->points))
			continue;
		v->pid = pid;
		v->points = points;
		snprintf(v->dir, sizeof(v->dir), "%s", dir);
	}
}

/* Below a container there is its payload, below a tenant its containers; no tenant makes more. */
static int search_subdir(const char *name, void *arg)
{
	struct victim *v = arg;
	char child[CGROUP_DIR_SIZE];
	char payload[CGROUP_DIR_SIZE];

	if ((size_t)snprintf(child, sizeof(child), "%s/%s", v->force->dir, name) >= sizeof(child))
		return 0;
	search_dir(v, child);
	if ((size_t)snprintf(payload, sizeof(payload), "%s/" CGROUP_PAYLOAD, child) <
		sizeof(payload))
		search_dir(v, payload);
	return 0;
}

/* A descriptor for the process found, if it is still there by then. Returns it, or -ESRCH. */
static int find_victim(const struct force *f, struct victim *ret)
{
	_cleanup_fclose_ FILE *procs = NULL;
	_cleanup_close_ int pidfd = -1;
	int pid;

	*ret = (struct victim){.force = f};
	search_dir(ret, f->dir);
	cgroup_tree_each(cgroup_hierarchy_fd(f->root, CGROUP_MEMORY), f->dir, search_subdir, ret);
	if (!ret->pid)
		return -ESRCH;
	pidfd = pidfd_open(ret->pid, 0);
	procs = open_procs(f, ret->dir);
	/* The pid could have become another's, of the host, before it was opened. */
	while (pidfd >= 0 && procs && fscanf(procs, "%d", &pid) == 1)
		if (pid == ret->pid)
			return take_fd(&pidfd);
	return -EAGAIN;
}

static int write_limit(const struct force *f, uint64_t bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, bytes);
	return cgroup_write_text(
		f->root, CGROUP_MEMORY, f->dir, LIMIT_FILE, bytes == LIMIT_UNSET ? "-1" : text);
}

static int try_limit(const struct force *f)
{
	cgroup_write_text(f->root, CGROUP_MEMORY, f->dir, "memory.force_empty", "0");
	return write_limit(f, f->memory);
}

static int read_use(const struct force *f, uint64_t *ret)
{
	return cgroup_read_u64(f->root, CGROUP_MEMORY, f->dir, "memory.usage_in_bytes", ret);
}

/* Where the victim lives, fills what is left until the kernel kills it: it is the first to go. */
__attribute__((noreturn)) static void fill(const struct victim *v)
{
	static const char block[4096];
	int memory;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd_write_text_at(AT_FDCWD, "/proc/self/oom_score_adj", "1000") < 0 ||
		cgroup_write_text(v->force->root, CGROUP_MEMORY, v->dir, "tasks", "0") < 0)
		_exit(1);
	memory = memfd_create("croft-oom", MFD_CLOEXEC);
	for (uint64_t n = 0; n < FILL_BYTES; n += sizeof(block))
		if (write(memory, block, sizeof(block)) < 0)
			break;
	_exit(0);
}

static bool wait_pidfd(const struct force *f, int pidfd)
{
	struct pollfd pollfd = {.fd = pidfd, .events = POLLIN};
	uint64_t now = clock_boot_usec();

	return now < f->deadline && poll(&pollfd, 1, (int)((f->deadline - now) / 1000) + 1) == 1;
}

/*
 * v1 has no other way to have a kill counted: a process of ours meets the limit, set to what is in
 * use, beside the victim and in its place. Returns whether the kernel found nothing more to
 * reclaim, and so killed it.
 */
static bool have_counted(const struct victim *v)
{
	const struct force *f = v->force;
	_cleanup_close_ int pidfd = -1;
	int status = 0;
	uint64_t use;
	pid_t pid;

	if (read_use(f, &use) < 0)
		return false;
	use += MARGIN_BYTES;
	if (write_limit(f, use < f->before ? use : f->before) < 0)
		return false;
	pid = fork();
	if (pid == 0)
		fill(v);
	if (pid < 0)
		return false;
	pidfd = pidfd_open(pid, 0);
	if (pidfd < 0 || !wait_pidfd(f, pidfd))
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status);
}

static void pause_a_moment(void)
{
	nanosleep(&(struct timespec){.tv_nsec = PAUSE_NSEC}, NULL);
}

/* Returns false when there is no process left that holds memory. */
static bool kill_one(const struct force *f)
{
	_cleanup_close_ int pidfd = -1;
	struct victim v;

	pidfd = find_victim(f, &v);
	if (pidfd < 0)
		return pidfd == -EAGAIN;
	if (!have_counted(&v))
		pause_a_moment();
	else if (pidfd_send_signal(pidfd, SIGKILL, NULL, 0) == 0)
		wait_pidfd(f, pidfd);
	return true;
}

/* Returns 0, -EBUSY when there is nothing left to kill, or -errno. */
static int kill_until_it_fits(struct force *f)
{
	uint64_t settled = 0;
	int r = -EBUSY;

	for (unsigned i = 0; i < RECLAIM_TRIES && r == -EBUSY; i++)
		r = try_limit(f);
	while (r == -EBUSY && clock_boot_usec() < f->deadline) {
		if (kill_one(f)) {
			settled = 0;
		} else {
			if (!settled)
				settled = clock_boot_usec() + SETTLE_TIME_USEC;
			if (clock_boot_usec() > settled)
				break;
			pause_a_moment();
		}
		r = try_limit(f);
	}
	return r;
}

int cgroup_hybrid_force_memory(const struct cgroup_root *root, const char *dir, uint64_t memory,
	uint64_t before, struct err *err)
{
	struct force f = {
		.root = root,
		.dir = dir,
		.memory = memory,
		.before = before,
		.page_bytes = root->page_bytes,
		.deadline = clock_boot_usec() + FORCE_TIME_USEC,
	};
	uint64_t use = memory;
	int r = kill_until_it_fits(&f);

	if (r == 0)
		return 0;
	read_use(&f, &use);
	write_limit(&f, before);
	return r == -EBUSY ? cgroup_not_freed(memory, use, err)
			   : err_sys(err, r, "write " LIMIT_FILE);
}

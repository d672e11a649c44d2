/*
 * See view_program.h. lxcfs gets the FUSE device already mounted, so that the worker's first look
 * waits until it answers. The child must not be the worker's once it has executed: it outlives us
 * and the supervisor.
 */
#include "sandbox/view_program.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"
#include "sandbox/host_program.h"
#include "sandbox/run_file.h"
#include "sandbox/view_mount.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define FUSE_FD	     3
#define FUSE_FD_TEXT "3"

/* Enough to start in one period of the scheduler's; what a flood of questions gets at most. */
#define CPU_MILLI    200
#define MEMORY_BYTES (UINT64_C(64) << 20)
#define PIDS	     64
#define OPEN_FILES   1024

struct cgroup_id view_program_cgroup(const char *tenant)
{
	struct cgroup_id id = {.tenant = CGROUP_VIEWS};

	snprintf(id.container, sizeof(id.container), "%s", tenant);
	return id;
}

int view_program_end(
	struct cgroup_root *cgroups, int views_fd, const struct cgroup_id *id, struct err *err)
{
	if (unlinkat(views_fd, id->container, 0) < 0 && errno != ENOENT)
		return err_sys(err, errno, "forget lxcfs");
	return host_program_end(cgroups, id, err);
}

int view_program_find(int views_fd, const char *tenant, struct view_file *ret)
{
	_cleanup_close_ int fd = openat(views_fd, tenant, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int pidfd = -1;
	char boot_id[BOOT_ID_LEN];
	struct view_file file;
	uint64_t ticks;

	if (fd < 0 || fd_read_full(fd, &file, sizeof(file)) != (ssize_t)sizeof(file))
		return -1;
	if (clock_boot_id(boot_id) < 0 || memcmp(boot_id, file.boot_id, sizeof(boot_id)) != 0)
		return -1;
	pidfd = pidfd_open(file.pid, 0);
	if (pidfd < 0 || run_file_pid_start(file.pid, &ticks) < 0 || ticks != file.pid_start_ticks)
		return -1;
	*ret = file;
	return take_fd(&pidfd);
}

/*
 * Its mounts: the host's, read-only, /run its own. So it can change nothing of the host's by name,
 * and one host's lxcfs, which keep files of a fixed name there, are not in each other's way.
 */
static int make_mounts(struct err *err)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID};
	static const char options[] = "fd=" FUSE_FD_TEXT
				      ",rootmode=40000,user_id=0,group_id=0,allow_other";
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC) < 0)
		return err_sys(err, errno, "make the namespaces of lxcfs");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return err_sys(err, errno, "make the mounts of lxcfs read-only");
	if (mount("tmpfs", "/run", "tmpfs", flags, "mode=755,size=1m") < 0 ||
		mkdir(VIEW_DIR, 0755) < 0)
		return err_sys(err, errno, "make the run directory of lxcfs");
	if (mount("lxcfs", VIEW_DIR, "fuse.lxcfs", flags, options) < 0)
		return err_sys(err, errno, "mount lxcfs");
	return 0;
}

static int bound_process(struct err *err)
{
	/* In place of the supervisor's: to mount cgroups, and to read about any process. */
	static const cap_value_t kept[] = {
		CAP_SYS_ADMIN, CAP_SYS_CHROOT, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH};
	const struct rlimit files = {OPEN_FILES, OPEN_FILES};
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_NOFILE, &files) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
		setrlimit(RLIMIT_FSIZE, &(struct rlimit){4096, 4096}) < 0)
		return err_sys(err, errno, "limit lxcfs");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, errno, "prctl");
	return host_program_keep_capabilities(kept, ARRAY_SIZE(kept), err);
}

/* Standard output is not kept: what a tenant makes lxcfs say is no log of the host's. */
static int take_descriptors(int fuse_fd, int *status_fd, struct err *err)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int status = fcntl(*status_fd, F_DUPFD_CLOEXEC, FUSE_FD + 1);
	int fuse = fcntl(fuse_fd, F_DUPFD_CLOEXEC, FUSE_FD + 1);

	if (null < 0 || status < 0 || fuse < 0)
		return err_sys(err, errno, "duplicate descriptors");
	*status_fd = status;
	for (int i = 0; i < 3; i++)
		if (dup2(null, i) < 0)
			return err_sys(err, errno, "close standard input and output");
	return dup2(fuse, FUSE_FD) < 0 ? err_sys(err, errno, "pass the FUSE device") : 0;
}

/* lxcfs leaves this namespace for another one while it starts, so that its pid tells nothing yet.
 */
static int tell_namespace(int status_fd, struct err *err)
{
	_cleanup_close_ int ns_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	int r = ns_fd < 0 ? -errno : fd_send(status_fd, "", 1, &ns_fd, 1);

	return r < 0 ? err_sys(err, r, "tell the mount namespace") : 0;
}

struct child {
	const struct view_program *program;
	const struct cgroup_join *join;
	int fuse_fd;
};

static int become(void *arg, int *status_fd, struct err *err)
{
	static const char *const argv[] = {"lxcfs", "--foreground", "--enable-loadavg",
		"--enable-pidfd", "--enable-cfs", "--pidfile=/run/lxcfs.pid",
		"/dev/fd/" FUSE_FD_TEXT, NULL};
	static const char *const envp[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	const struct child *child = arg;
	int r = take_descriptors(child->fuse_fd, status_fd, err);

	if (r < 0)
		return r;
	r = cgroup_join_self(child->join);
	if (r < 0)
		return err_sys(err, r, "join the cgroups of lxcfs");
	setsid();
	r = make_mounts(err);
	if (r == 0)
		r = tell_namespace(*status_fd, err);
	if (r == 0)
		r = bound_process(err);
	if (r < 0)
		return r;
	if (chdir("/") < 0)
		return err_sys(err, errno, "enter the root");
	execve(child->program->path, (char **)argv, (char **)envp);
	return err_sys(err, errno, "execute lxcfs");
}

/*
 * The child's namespace, and then the end of the socket at its exec; what comes in place of either
 * is an error.
 */
static int await_exec(int status_fd, int *ret_ns_fd, struct err *err)
{
	int fds[FD_PASS_MAX];
	struct err child_err;
	size_t n_fds = 0;
	ssize_t n = fd_recv(status_fd, &child_err, sizeof(child_err), fds, &n_fds);

	if (n == 1 && n_fds == 1) {
		*ret_ns_fd = fds[0];
		return host_program_await_exec(status_fd, "lxcfs", err);
	}
	/* Without its namespace there is no good end. */
	return n == 0 ? err_sys(err, EIO, "start lxcfs")
		      : host_program_take_end(n, &child_err, "lxcfs", err);
}

/* The kernel holds the question until lxcfs answers, or has ended. Leaves us in its namespace. */
static int await_answer(int ns_fd, struct err *err)
{
	if (setns(ns_fd, CLONE_NEWNS) < 0)
		return err_sys(err, errno, "enter the mounts of lxcfs");
	return view_mount_keep(err);
}

static int clone_program(const struct view_program *program, const struct cgroup_join *join,
	int fuse_fd, struct view_file *file, int *ret_pidfd, int *ret_ns_fd, struct err *err)
{
	struct child child = {program, join, fuse_fd};
	struct host_program_child made;
	int r = host_program_clone(join, become, &child, "lxcfs", &made, err);

	if (r < 0)
		return r;
	*ret_pidfd = made.pidfd;
	file->pid = made.pid;
	r = run_file_pid_start(made.pid, &file->pid_start_ticks);
	r = r < 0 ? err_sys(err, r, "look at lxcfs") : await_exec(made.status_fd, ret_ns_fd, err);
	close(made.status_fd);
	return r;
}

static int make_cgroup(
	const struct view_program *program, struct cgroup_join *join, struct err *err)
{
	struct limits limits;

	limits_init(&limits);
	limits.value[LIMIT_CPU] = CPU_MILLI;
	limits.value[LIMIT_MEMORY] = MEMORY_BYTES;
	limits.value[LIMIT_PIDS] = PIDS;
	return host_program_make_cgroup(program->cgroups, &program->id, &limits, true, join, err);
}

static int start(
	const struct view_program *program, struct view_file *file, int *ret_pidfd, struct err *err)
{
	/* Opened here: its cgroup allows no such device. */
	_cleanup_close_ int fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	_cleanup_close_ int ns_fd = -1;
	struct cgroup_join join;
	int r;

	if (fuse_fd < 0)
		return err_sys(err, errno, "open /dev/fuse");
	r = make_cgroup(program, &join, err);
	if (r < 0)
		return r;
	r = clone_program(program, &join, fuse_fd, file, ret_pidfd, &ns_fd, err);
	cgroup_join_close(&join);
	close_fd(&fuse_fd);
	if (r < 0)
		return r;
	r = fd_replace_file_at(
		program->views_fd, program->id.container, file, sizeof(*file), false);
	return r < 0 ? err_sys(err, r, "put lxcfs on file") : await_answer(ns_fd, err);
}

int view_program_ask(int views_fd, const char *tenant, struct err *err)
{
	struct view_file file;
	_cleanup_close_ int pidfd = view_program_find(views_fd, tenant, &file);

	if (pidfd < 0 || setns(pidfd, CLONE_NEWNS) < 0)
		return err_sys(err, ESRCH, "find lxcfs");
	return view_mount_ask(err);
}

int view_program_start(void *arg, struct job_output *out, struct err *err)
{
	const struct view_program *program = arg;
	_cleanup_close_ int pidfd = -1;
	struct view_file file = {0};
	int r = view_program_end(program->cgroups, program->views_fd, &program->id, err);

	if (r == 0 && clock_boot_id(file.boot_id) < 0)
		r = err_sys(err, EIO, "read the boot id");
	if (r < 0)
		return r;
	r = start(program, &file, &pidfd, err);
	if (r < 0) {
		view_program_end(program->cgroups, program->views_fd, &program->id, NULL);
		return r;
	}
	memcpy(out->payload, &file, sizeof(file));
	out->size = sizeof(file);
	out->fds[out->n_fds++] = take_fd(&pidfd);
	return 0;
}

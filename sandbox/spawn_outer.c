/*
 * The outer process of a container; see spawn.h. Root of the outer user namespace: it joins the
 * container's cgroups, assembles the mounts, makes pid 1 in the inner namespaces and ends. Runs no
 * tenant code and follows no name of the image.
 */
#include "sandbox/spawn_internal.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/cloud_mount.h"
#include "sandbox/mounts.h"
#include "sandbox/namespaces.h"
#include "sandbox/syscalls.h"
#include "sandbox/volume_mount.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

struct handed_over {
	int mounts[OUTER_MOUNT_N]; /* -1: there is none */
	int volumes[CONTAINER_MOUNTS_MAX];
	int view[VIEW_FILES_N];
	bool has_view;
};

static void receive_mounts(const struct spawn *s, struct handed_over *ret)
{
	size_t n_volumes = s->request->msg.n_mounts;
	struct outer_message message;
	int fds[FD_PASS_MAX];
	size_t n_fds;
	size_t at = 0;
	size_t n_own;
	ssize_t n = fd_recv(s->control[1], &message, sizeof(message), fds, &n_fds);

	if (n != (ssize_t)sizeof(message) || message.step != OUTER_GO)
		_exit(1); /* the builder died */
	n_own = message.names ? OUTER_MOUNT_N : 1;
	if (n_fds != n_own + (message.view ? VIEW_FILES_N : 0) + n_volumes)
		_exit(1);
	for (size_t i = 0; i < OUTER_MOUNT_N; i++)
		ret->mounts[i] = i < n_own ? fds[at++] : -1;
	ret->has_view = message.view;
	for (size_t i = 0; message.view && i < VIEW_FILES_N; i++)
		ret->view[i] = fds[at++];
	for (size_t i = 0; i < n_volumes; i++)
		ret->volumes[i] = fds[at++];
}

static int mount_names(const int mounts[static OUTER_MOUNT_N], struct err *err)
{
	int r = mounts_cover_etc(mounts[OUTER_ROOT], "hosts", mounts[OUTER_HOSTS], err);

	return r < 0 ? r
		     : mounts_cover_etc(
			       mounts[OUTER_ROOT], "resolv.conf", mounts[OUTER_RESOLV], err);
}

static int mount_volumes(const struct spawn *s, const struct handed_over *from, struct err *err)
{
	const struct msg_container_start *msg = &s->request->msg;
	int r = 0;

	for (size_t i = 0; r == 0 && i < msg->n_mounts; i++)
		r = volume_mount_attach(
			from->volumes[i], from->mounts[OUTER_ROOT], msg->mounts[i].path, err);
	return r;
}

/* Our ids become those of the range; then /proc/PID of our children can be written by us. */
static int become_outer_root(struct err *err)
{
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_sys(err, errno, "become root of the outer user namespace");
	if (prctl(PR_SET_DUMPABLE, 1) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_sys(err, errno, "prctl");
	return 0;
}

static int join_cgroups(const struct spawn *s, struct err *err)
{
	int r = cgroup_join_self(&s->join);

	if (r == -EAGAIN)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "PIDS_LIMIT", "pids",
			"the pids limit is reached: there is no room to start");
	if (r < 0)
		return err_sys(err, r, "join the cgroups");
	if (unshare((int)namespaces_flags(NS_OUTER_JOINED)) < 0)
		return err_sys(err, errno, "make the cgroup namespace");
	return 0;
}

/* Attaches the root on the working directory, a place of the supervisor's own. */
static int attach_root(int root_fd, struct err *err)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(err, errno, "make the mounts private");
	if (move_mount(root_fd, "", AT_FDCWD, ".", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(err, errno, "attach the root");
	return 0;
}

/* The old root stays stacked on the new one until the kernel's file systems are mounted. */
static int enter_root(int root_fd, int *ret_old_root_fd, struct err *err)
{
	_cleanup_close_ int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (old < 0)
		return err_sys(err, errno, "open the host's root");
	if (fchdir(root_fd) < 0)
		return err_sys(err, errno, "enter the root");
	r = sys_pivot_root(".", ".");
	if (r < 0)
		return err_sys(err, r, "change the root");
	*ret_old_root_fd = take_fd(&old);
	return 0;
}

static int leave_old_root(int old_root_fd, struct err *err)
{
	if (fchdir(old_root_fd) < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_sys(err, errno, "leave the host's root");
	return 0;
}

static pid_t clone_init(const struct spawn *s, int *ret_pidfd, struct err *err)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = namespaces_flags(NS_INNER_CLONE) | CLONE_PIDFD | CLONE_PARENT,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
	};
	pid_t pid = sys_clone3(&args);

	if (pid == 0)
		spawn_inner(s);
	if (pid == -EAGAIN)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "PIDS_LIMIT", "pids",
			"the pids limit is reached: there is no room to start");
	if (pid < 0)
		return err_sys(err, pid, "make the container's namespaces");
	*ret_pidfd = pidfd;
	return pid;
}

struct kernel_mounts_report {
	int32_t r;
	struct err err;
};

/* In the pid namespace of init, so that the procfs mounted here is its. */
__attribute__((noreturn)) static void mount_kernel(
	const struct spawn *s, const struct handed_over *from, int report_fd)
{
	int root_fd = from->mounts[OUTER_ROOT];
	struct kernel_mounts_report report = {0};

	report.r = mounts_make_kernel(
		root_fd, s->cgroup_kind, s->request->msg.nesting, &report.err);
	if (report.r == 0 && from->has_view)
		report.r = view_mount_attach(from->view, root_fd, &report.err);
	_exit(fd_write_full(report_fd, &report, sizeof(report)) < 0);
}

static int mount_kernel_in_child(
	const struct spawn *s, const struct handed_over *from, struct err *err)
{
	struct kernel_mounts_report report;
	int pipe_fds[2];
	ssize_t n;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "pipe");
	pid = fork();
	if (pid == 0)
		mount_kernel(s, from, pipe_fds[1]);
	close(pipe_fds[1]);
	if (pid < 0) {
		close(pipe_fds[0]);
		return err_sys(err, errno, "start the mounter");
	}
	n = fd_read_full(pipe_fds[0], &report, sizeof(report));
	close(pipe_fds[0]);
	waitpid(pid, NULL, 0);
	if (n != (ssize_t)sizeof(report))
		return err_sys(err, EIO, "mount /proc and /sys");
	if (report.r < 0 && err)
		*err = report.err;
	return report.r;
}

/* Everything that is in the pid, net and ipc namespaces of init but must not be done by it. */
static int finish_mounts(
	const struct spawn *s, const struct handed_over *from, int init_pidfd, struct err *err)
{
	if (setns(init_pidfd, CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC) < 0)
		return err_sys(err, errno, "enter the container's namespaces");
	return mount_kernel_in_child(s, from, err);
}

struct outer_result {
	pid_t init_pid;
	int init_pidfd;
	int console_fd;
};

static int build(const struct spawn *s, struct outer_result *ret, struct err *err)
{
	_cleanup_close_ int old_root_fd = -1;
	struct handed_over from;
	int root_fd;
	int r;

	receive_mounts(s, &from);
	root_fd = from.mounts[OUTER_ROOT];
	r = become_outer_root(err);
	if (r == 0)
		r = join_cgroups(s, err);
	if (r == 0)
		r = namespaces_set_limits(s->request->msg.nesting, err);
	if (r == 0)
		r = attach_root(root_fd, err);
	if (r == 0)
		r = mounts_make_dev(root_fd, &ret->console_fd, err);
	if (r == 0)
		r = mount_names(from.mounts, err);
	if (r == 0)
		r = mount_volumes(s, &from, err);
	if (r == 0 && s->request->seed_fd >= 0)
		r = cloud_mount(s->request->seed_fd, root_fd, err);
	if (r == 0)
		r = clone_init(s, &ret->init_pidfd, err);
	if (r < 0)
		return r;
	ret->init_pid = r;
	r = namespaces_write_maps(ret->init_pid, 0, 0, err);
	if (r == 0)
		r = enter_root(root_fd, &old_root_fd, err);
	if (r == 0)
		r = finish_mounts(s, &from, ret->init_pidfd, err);
	if (r == 0)
		r = leave_old_root(old_root_fd, err);
	return r;
}

void spawn_outer(const struct spawn *s)
{
	struct outer_result result = {.init_pidfd = -1, .console_fd = -1};
	struct outer_message message = {.step = OUTER_READY};
	int fds[2];

	if (build(s, &result, &message.err) < 0) {
		/* Init, if it was made, ends when the builder closes its pipe. */
		message.step = OUTER_FAILED;
		_exit(fd_send(s->control[1], &message, sizeof(message), NULL, 0) < 0);
	}
	message.pid = result.init_pid;
	fds[0] = result.init_pidfd;
	fds[1] = result.console_fd;
	_exit(fd_send(s->control[1], &message, sizeof(message), fds, 2) < 0);
}

/*
 * Launching a jailed program; see jailed.h. Makes its namespaces, maps its ids, hands it its tree
 * as an id-mapped mount. Must never hand over a descriptor that is not named in the options.
 */
#include "sandbox/jailed.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/idrange.h"
#include "sandbox/syscalls.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SPARE_FD 16 /* above every descriptor number that is fixed */

static int place_fd(int fd, int number)
{
	return dup2(fd, number) == number ? 0 : -errno;
}

static int move_up(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, SPARE_FD);
}

/* Gives the descriptors their numbers; they may lie in each other's place at first. */
static int arrange_fds(
	const struct jailed_options *options, int report_fd, int tree_fd, int *ret_program)
{
	int stream = move_up(options->stream_fd);
	int extra = move_up(options->extra_fd);
	int report = move_up(report_fd);
	int tree = move_up(tree_fd);
	int program = move_up(options->program_fd);
	int null = move_up(open("/dev/null", O_RDWR | O_CLOEXEC));
	const struct {
		int fd;
		int number;
	} places[] = {
		{stream, JAILED_STREAM_FD},
		{null, 1},
		{null, 2},
		{report, JAILED_REPORT_FD},
		{tree, JAILED_TREE_FD},
		{extra, JAILED_EXTRA_FD},
	};
	unsigned n = options->extra_fd < 0 ? ARRAY_SIZE(places) - 1 : ARRAY_SIZE(places);

	if (program < 0)
		return -errno;
	for (unsigned i = 0; i < n; i++) {
		int r = place_fd(places[i].fd, places[i].number);

		if (r < 0)
			return r;
	}
	if (close_range((unsigned)places[n - 1].number + 1, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		return -errno;
	*ret_program = program;
	return 0;
}

/* Waits for the mount: by then the parent has written the id maps. */
static int receive_tree(int report_fd, int *ret_fd)
{
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	char c;
	ssize_t n = fd_recv(report_fd, &c, 1, fds, &n_fds);

	if (n < 0)
		return (int)n;
	if (n_fds != 1)
		return -EPIPE;
	*ret_fd = fds[0];
	return 0;
}

static int become_root(struct err *err)
{
	sigset_t none;
	int r;

	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_sys(err, errno, "become root of the program's user namespace");
	/* After the change of ids, which clears it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_sys(err, errno, "ask to end with the supervisor");
	r = sys_join_session_keyring();
	if (r < 0 && r != -ENOSYS)
		return err_sys(err, r, "leave the supervisor's keyring");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return 0;
}

static int execute(const struct jailed_options *options, int report_fd, struct err *err)
{
	const char *envp[] = {NULL};
	int program = -1;
	int tree = -1;
	int r = receive_tree(report_fd, &tree);

	if (r < 0)
		return err_sys(err, r, "receive the program's directory");
	r = become_root(err);
	if (r < 0)
		return r;
	r = arrange_fds(options, report_fd, tree, &program);
	if (r < 0)
		return err_sys(err, r, "arrange the program's descriptors");
	execveat(program, "", (char *const *)options->argv, (char *const *)envp, AT_EMPTY_PATH);
	return err_sys(err, errno, "start %s", options->argv[0]);
}

__attribute__((noreturn)) static void run_child(const struct jailed_options *options, int report_fd)
{
	struct err err = {0};

	execute(options, report_fd, &err);
	/* The number that arrange_fds() gives it, if it got so far, or its first one. */
	if (fd_send(report_fd, &err, sizeof(err), NULL, 0) < 0)
		fd_send(JAILED_REPORT_FD, &err, sizeof(err), NULL, 0);
	_exit(1);
}

static int write_maps(pid_t pid, uid_t base, struct err *err)
{
	static const char *const files[] = {"uid_map", "gid_map"};
	char path[48];
	char line[64];

	snprintf(line, sizeof(line), "0 %u %u", base, IDRANGE_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int r;

		snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, files[i]);
		r = fd_write_text_at(AT_FDCWD, path, line);
		if (r < 0)
			return err_sys(err, r, "map the program's ids");
	}
	return 0;
}

/* A directory as a mount: a detached one, the caller's. */
static int map_tree(
	const struct jailed *jailed, int dir_fd, bool read_only, int *ret_fd, struct err *err)
{
	_cleanup_close_ int userns = -1;
	_cleanup_close_ int fd = -1;
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			    MOUNT_ATTR_NOEXEC | (read_only ? MOUNT_ATTR_RDONLY : 0),
	};
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)jailed->pid);
	userns = open(path, O_RDONLY | O_CLOEXEC);
	if (userns < 0)
		return err_sys(err, errno, "open the program's user namespace");
	fd = open_tree(dir_fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "clone a directory as a mount");
	attr.userns_fd = (uint64_t)userns;
	if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return err_sys(err, errno, "map the ids of a directory");
	*ret_fd = take_fd(&fd);
	return 0;
}

int jailed_hand(const struct jailed *jailed, int dir_fd, bool read_only, struct err *err)
{
	_cleanup_close_ int tree = -1;
	char c = 0;
	int r = dir_fd < 0 ? 0 : map_tree(jailed, dir_fd, read_only, &tree, err);

	if (r < 0)
		return r;
	r = fd_send(jailed->report_fd, &c, 1, &tree, tree >= 0);
	return r < 0 ? err_sys(err, r, "hand a program its directory") : 0;
}

void jailed_end(struct jailed *jailed, siginfo_t *ret_info)
{
	siginfo_t info = {0};

	if (jailed->pidfd < 0)
		return;
	syscall(SYS_pidfd_send_signal, jailed->pidfd, SIGKILL, NULL, 0);
	while (waitid(P_PIDFD, (id_t)jailed->pidfd, &info, WEXITED) < 0 && errno == EINTR)
		;
	close_fd(&jailed->pidfd);
	close_fd(&jailed->report_fd);
	if (ret_info)
		*ret_info = info;
}

static int start(const struct jailed_options *options, struct jailed *ret, struct err *err)
{
	_cleanup_close_ int ours = -1;
	_cleanup_close_ int theirs = -1;
	int sockets[2];
	int pidfd = -1;
	struct clone_args clone = {
		.flags = CLONE_PIDFD | CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID |
			 CLONE_NEWIPC | CLONE_NEWUTS,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return err_sys(err, errno, "make a program's report socket");
	ours = sockets[0];
	theirs = sockets[1];
	pid = sys_clone3(&clone);
	if (pid == 0) {
		close(ours);
		run_child(options, theirs);
	}
	if (pid == -EAGAIN)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "PIDS_LIMIT", "pids",
			"the pids limit is reached: there is no room for another process");
	if (pid < 0)
		return err_sys(err, pid, "start %s", options->argv[0]);
	*ret = (struct jailed){.pid = pid, .pidfd = pidfd, .report_fd = take_fd(&ours)};
	return 0;
}

int jailed_start(const struct jailed_options *options, struct jailed *ret, struct err *err)
{
	int r = start(options, ret, err);

	if (r == 0)
		r = write_maps(ret->pid, options->id_base, err);
	return r < 0 ? r : jailed_hand(ret, options->tree_fd, options->read_only, err);
}

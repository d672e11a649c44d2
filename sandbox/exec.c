/*
 * exec in a container; see exec.h. The joiner is root of the host until it enters the container:
 * it opens everything it needs before, is not traceable, and follows no name inside but those the
 * caller gave, which are resolved by the command's own process.
 */
#include "sandbox/exec.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/become.h"
#include "sandbox/namespaces.h"
#include "sandbox/passwd.h"
#include "sandbox/seal.h"
#include "sandbox/spawn_args.h"
#include "sandbox/syscalls.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

struct exec {
	const struct exec_request *request;
	int status[2]; /* close-on-exec: a struct err from the command's process, or its end */
	int master;
	int slave;
};

/*
 * A pty of the container's own devpts. /dev is the tenant's to change, so what is opened is
 * looked at: the multiplexer device 5:2 on a devpts. Its slave comes from the master, not by name.
 */
static int open_pty(struct exec *e, struct err *err)
{
	const struct msg_exec *msg = &e->request->msg;
	struct winsize size = {.ws_row = msg->rows, .ws_col = msg->columns};
	struct statfs fs;
	struct stat st;
	int unlock = 0;

	e->master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (e->master < 0 || fstat(e->master, &st) < 0 || fstatfs(e->master, &fs) < 0)
		return err_sys(err, errno, "open a terminal in the container");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2) || fs.f_type != DEVPTS_SUPER_MAGIC)
		return err_set(err, ERR_FAILED_PRECONDITION, "EXEC_NO_TERMINAL",
			"the container's /dev/pts is not what it was: restart it, or use exec -T");
	if (ioctl(e->master, TIOCSPTLCK, &unlock) < 0)
		return err_sys(err, errno, "unlock the terminal");
	e->slave = ioctl(e->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (e->slave < 0 || fd_set_nonblock(e->master, false) < 0)
		return err_sys(err, errno, "open the terminal");
	if (size.ws_row && size.ws_col)
		ioctl(e->master, TIOCSWINSZ, &size);
	return 0;
}

static int connect_stdio(const struct exec *e, struct err *err)
{
	for (int i = 0; i < 3; i++) {
		int fd = e->request->msg.tty ? e->slave : e->request->stdio[i];

		if (dup2(fd, i) < 0)
			return err_sys(err, errno, "connect standard input and output");
	}
	setsid();
	if (e->request->msg.tty && ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0)
		return err_sys(err, errno, "take the terminal");
	return 0;
}

/* So that the user may open /dev/tty's device by name. */
static int own_terminal(const struct exec *e, uid_t uid, struct err *err)
{
	if (e->request->msg.tty && fchown(STDIN_FILENO, uid, (gid_t)-1) < 0 && errno != EPERM)
		return err_sys(err, errno, "own the terminal");
	return 0;
}

static int exec_error(const char *command, int e, struct err *err)
{
	if (e == ENOENT || e == ENOTDIR)
		return err_set(err, ERR_NOT_FOUND, "EXEC_NOT_FOUND",
			"%.100s: not found in the container", command);
	return err_set(err, ERR_FAILED_PRECONDITION, "EXEC_NOT_EXECUTABLE",
		"%.100s: cannot be executed: %s", command, strerror(e));
}

extern char **environ;

/* Everything but the exec itself is done before the policy is on. */
static int run_command(const struct exec *e, struct err *err)
{
	int program = e->request->msg.program == EXEC_FILES ? e->request->files_fd : -1;
	struct passwd_user user;
	struct spawn_args args;
	int r = spawn_args_parse(e->request->args_fd, &args, err);

	if (r == 0)
		r = connect_stdio(e, err);
	if (r == 0)
		r = confine_close(e->status[1], program, -1, err);
	if (r == 0)
		r = become_find(args.user, &user, err);
	if (r == 0)
		r = own_terminal(e, user.uid, err);
	if (r == 0)
		r = confine_prepare(e->request->nesting, err);
	if (r == 0)
		r = become_set_environment(args.envp, &user, e->request->msg.tty, err);
	if (r == 0)
		r = confine_seal(&e->request->confinement, e->status[1], program, -1, err);
	if (r == 0)
		r = become_user(&user, err);
	if (r == 0)
		r = become_enter_directory(args.working_dir, &user, err);
	if (r < 0)
		return r;
	if (program >= 0)
		fexecve(program, args.argv, environ);
	else
		execvpe(args.argv[0], args.argv, environ);
	return exec_error(args.argv[0], errno, err);
}

/*
 * Joins what is left of the cgroups: on v1 a process must do that itself. Before the command is
 * cloned, as /proc/PID/cgroup would show a tenant where the supervisor lives.
 */
static int join_cgroups(const struct exec *e, struct err *err)
{
	int r = cgroup_join_self(&e->request->join);

	if (r == -EAGAIN)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "PIDS_LIMIT", "pids",
			"the pids limit is reached: there is no room for another process");
	return r < 0 ? err_sys(err, r, "join the container's cgroups") : 0;
}

__attribute__((noreturn)) static void command_main(const struct exec *e)
{
	struct err err;

	/* The joiner was, and what it holds must stay, out of a tenant's debugger. */
	prctl(PR_SET_DUMPABLE, 0);
	umask(022);
	run_command(e, &err);
	_exit(write(e->status[1], &err, sizeof(err)) == (ssize_t)sizeof(err) ? 125 : 124);
}

static int enter(const struct exec_request *rq, struct err *err)
{
	if (setns(rq->init_pidfd, namespaces_join_flags()) < 0) {
		if (errno == ESRCH)
			return err_set(err, ERR_FAILED_PRECONDITION, "CONTAINER_NOT_RUNNING",
				"the container has just ended: start it first");
		return err_sys(err, errno, "enter the container");
	}
	/* Supplementary groups of the host must not come along. */
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_sys(err, errno, "become the container's root");
	prctl(PR_SET_DUMPABLE, 0);
	return 0;
}

static pid_t start_command(struct exec *e, int *ret_pidfd, struct err *err)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_PARENT | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
	};
	pid_t pid = sys_clone3(&args);

	if (pid == 0) {
		close(e->status[0]);
		command_main(e);
	}
	close_fd(&e->status[1]);
	if (pid == -EAGAIN)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "PIDS_LIMIT", "pids",
			"the pids limit is reached: there is no room for another process");
	if (pid == -ENOMEM)
		/* What clone says of a pid namespace whose init is gone. */
		return err_set(err, ERR_FAILED_PRECONDITION, "CONTAINER_NOT_RUNNING",
			"the container has just ended: start it first");
	if (pid < 0)
		return err_sys(err, pid, "start the command");
	*ret_pidfd = pidfd;
	return pid;
}

/* The end of the pipe means that the command has executed. */
static int await_exec(struct exec *e, struct err *err)
{
	struct err command_err;
	ssize_t n = fd_read_full(e->status[0], &command_err, sizeof(command_err));

	if (n == 0)
		return 0;
	if (n != (ssize_t)sizeof(command_err))
		return err_set(err, ERR_ABORTED, "EXEC_KILLED",
			"the command was killed before it could be executed");
	if (err)
		*err = command_err;
	return err_sanitize(&command_err);
}

int exec_run(void *arg, struct job_output *out, struct err *err)
{
	const struct exec_request *rq = arg;
	struct exec_report report = {0};
	struct exec e = {.request = rq, .status = {-1, -1}, .master = -1, .slave = -1};
	int pidfd = -1;
	int r = 0;
	pid_t pid;

	signal(SIGPIPE, SIG_DFL);
	if (pipe2(e.status, O_CLOEXEC) < 0)
		return err_sys(err, errno, "pipe");
	/* Everybody may read /proc/PID/cmdline, and until it has executed the command has ours. */
	seal_hide_arguments("croft-exec");
	r = join_cgroups(&e, err);
	if (r == 0)
		r = enter(rq, err);
	if (r == 0 && rq->msg.tty)
		r = open_pty(&e, err);
	if (r < 0)
		return r;
	pid = start_command(&e, &pidfd, err);
	if (pid < 0)
		return pid;
	report.pid = pid;
	/* Also when it could not be executed: it is the supervisor's child, to be reaped there. */
	memcpy(out->payload, &report, sizeof(report));
	out->size = sizeof(report);
	out->fds[out->n_fds++] = pidfd;
	r = await_exec(&e, err);
	if (r < 0)
		return r;
	if (rq->msg.tty)
		out->fds[out->n_fds++] = e.master;
	return 0;
}

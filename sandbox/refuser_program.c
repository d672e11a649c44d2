/*
 * See refuser_program.h. The child must not be the worker's once it has executed: it outlives us
 * and the supervisor. It is host root without any capability.
 */
#include "sandbox/refuser_program.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"
#include "sandbox/host_program.h"
#include "sandbox/refuser/refuser_wire.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4

/* A thousand containers that call without end get 0.5 cores; they wait for one another first. */
#define CPU_MILLI    200
#define MEMORY_BYTES (UINT64_C(128) << 20)
#define PIDS	     4

static void socket_address(int dir_fd, struct sockaddr_un *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", dir_fd,
		REFUSER_SOCKET);
}

int refuser_program_connect(int dir_fd)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;

	socket_address(dir_fd, &address);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return take_fd(&fd);
}

static int open_socket(int dir_fd, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	mode_t old = umask(0177);
	int r = 0;

	socket_address(dir_fd, &address);
	unlinkat(dir_fd, REFUSER_SOCKET, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(fd, BACKLOG) < 0)
		r = err_sys(err, errno, "open the socket of croft-refuser");
	umask(old);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

static int end_program(const struct refuser_program *program, struct err *err)
{
	unlinkat(program->dir_fd, REFUSER_SOCKET, 0);
	return host_program_end(program->cgroups, &program->id, err);
}

static int make_cgroup(
	const struct refuser_program *program, struct cgroup_join *join, struct err *err)
{
	struct limits limits;

	limits_init(&limits);
	limits.value[LIMIT_CPU] = CPU_MILLI;
	limits.value[LIMIT_MEMORY] = MEMORY_BYTES;
	limits.value[LIMIT_PIDS] = PIDS;
	return host_program_make_cgroup(program->cgroups, &program->id, &limits, false, join, err);
}

/* Standard input and output, the socket, and the program, which is closed as it is executed. */
static int take_descriptors(int socket_fd, int *program_fd, int *status_fd, struct err *err)
{
	int null = fcntl(open("/dev/null", O_RDWR | O_CLOEXEC), F_DUPFD_CLOEXEC, 16);
	int status = fcntl(*status_fd, F_DUPFD_CLOEXEC, 16);
	int program = fcntl(*program_fd, F_DUPFD_CLOEXEC, 16);
	int sock = fcntl(socket_fd, F_DUPFD_CLOEXEC, 16);

	if (null < 0 || status < 0 || program < 0 || sock < 0)
		return err_sys(err, errno, "duplicate descriptors");
	for (int i = 0; i < 3; i++)
		if (dup2(null, i) < 0)
			return err_sys(err, errno, "close standard input and output");
	if (dup2(sock, REFUSER_SOCKET_FD) < 0 ||
		syscall(SYS_close_range, REFUSER_SOCKET_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		return err_sys(err, errno, "pass the socket");
	*status_fd = status;
	*program_fd = program;
	return 0;
}

struct child {
	const struct refuser_program *program;
	const struct cgroup_join *join;
	int socket_fd;
};

static int become(void *arg, int *status_fd, struct err *err)
{
	static const char *const argv[] = {"croft-refuser", NULL};
	static const char *const envp[] = {NULL};
	const struct rlimit none = {0, 0};
	const struct child *child = arg;
	int program_fd = child->program->program_fd;
	int r = cgroup_join_self(child->join);

	if (r < 0)
		return err_sys(err, r, "join the cgroups of croft-refuser");
	r = take_descriptors(child->socket_fd, &program_fd, status_fd, err);
	if (r < 0)
		return r;
	setsid();
	if (chdir("/") < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, errno, "bound croft-refuser");
	r = host_program_keep_capabilities(NULL, 0, err);
	if (r < 0)
		return r;
	execveat(program_fd, "", (char **)argv, (char **)envp, AT_EMPTY_PATH);
	return err_sys(err, errno, "execute croft-refuser");
}

static int clone_program(const struct refuser_program *program, const struct cgroup_join *join,
	int socket_fd, int *ret_pidfd, pid_t *ret_pid, struct err *err)
{
	struct child child = {program, join, socket_fd};
	struct host_program_child made;
	int r = host_program_clone(join, become, &child, "croft-refuser", &made, err);

	if (r < 0)
		return r;
	r = host_program_await_exec(made.status_fd, "croft-refuser", err);
	close(made.status_fd);
	*ret_pid = made.pid;
	*ret_pidfd = made.pidfd;
	return r;
}

static int start(const struct refuser_program *program, struct job_output *out, struct err *err)
{
	_cleanup_close_ int socket_fd = -1;
	_cleanup_close_ int pidfd = -1;
	struct refuser_started started = {0};
	struct cgroup_join join;
	int connection;
	int r = make_cgroup(program, &join, err);

	if (r < 0)
		return r;
	r = open_socket(program->dir_fd, &socket_fd, err);
	if (r == 0)
		r = clone_program(program, &join, socket_fd, &pidfd, &started.pid, err);
	cgroup_join_close(&join);
	if (r < 0)
		return r;
	connection = refuser_program_connect(program->dir_fd);
	if (connection < 0)
		return err_sys(err, connection, "connect to croft-refuser");
	memcpy(out->payload, &started, sizeof(started));
	out->size = sizeof(started);
	out->fds[REFUSER_STARTED_SOCKET] = connection;
	out->fds[REFUSER_STARTED_PIDFD] = take_fd(&pidfd);
	out->n_fds = REFUSER_STARTED_N;
	return 0;
}

int refuser_program_start(
	const struct refuser_program *program, struct job_output *out, struct err *err)
{
	int r = end_program(program, err);

	if (r == 0)
		r = start(program, out, err);
	if (r < 0)
		end_program(program, NULL);
	return r;
}

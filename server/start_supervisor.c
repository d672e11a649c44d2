/*
 * Starts the supervisor and waits until it answers; see start_supervisor.h. It must not be croftd's
 * in any way afterwards: own session, and nobody waits for it.
 */
#include "server/start_supervisor.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "sandbox/supervisor_client.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

/* On a host that comes up under full load it has policies to compile and runs to adopt. */
#define START_TIMEOUT_USEC 90000000u
#define POLL_NSEC	   1000000
#define ARGS_MAX	   24

/*
 * Says hello, instead of only connecting: a worker of a supervisor that was killed holds the
 * listening socket open for a moment, and would take the connection without ever answering. The
 * connection is kept: the supervisor takes the next one for another croftd.
 */
static bool answers(int run_fd, struct supervisor_client **ret, struct err *err)
{
	static const struct supervisor_client_ops ops;

	return supervisor_client_connect(run_fd, &ops, NULL, ret, err) == 0;
}

/* Beside croftd's own program, as installed or as built. */
static int find_program(const struct config *config, char out[static PATH_MAX], struct err *err)
{
	static const char *const places[] = {"", "../libexec/croft/", "../sandbox/"};
	char dir[PATH_MAX];
	ssize_t n;
	char *slash;

	if (config->supervisor[0]) {
		snprintf(out, PATH_MAX, "%s", config->supervisor);
		return 0;
	}
	n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	if (n < 0)
		return err_sys(err, errno, "find croftd's own program");
	dir[n] = '\0';
	slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (snprintf(out, PATH_MAX, "%s/%scroft-supervisor", dir, places[i]) >= PATH_MAX)
			break;
		if (access(out, X_OK) == 0)
			return 0;
	}
	return err_set(err, ERR_FAILED_PRECONDITION, "NO_SUPERVISOR",
		"there is no croft-supervisor beside croftd; name it with --supervisor");
}

struct arguments {
	const char *argv[ARGS_MAX];
	size_t n;
	char uid[16];
	char size[24];
};

static void add(struct arguments *args, const char *flag, const char *value)
{
	if (!*value)
		return;
	args->argv[args->n++] = flag;
	args->argv[args->n++] = value;
}

static void make_arguments(
	const struct config *config, const char *program, uid_t peer_uid, struct arguments *args)
{
	memset(args, 0, sizeof(*args));
	args->argv[args->n++] = program;
	snprintf(args->uid, sizeof(args->uid), "%u", (unsigned)peer_uid);
	if (config->pool_size_bytes)
		snprintf(args->size, sizeof(args->size), "%" PRIu64, config->pool_size_bytes);
	add(args, "--state", config->state);
	add(args, "--run", config->run);
	add(args, "--cgroup-parent", config->cgroup_parent);
	add(args, "--pool-driver", config->pool_driver);
	add(args, "--pool-size", args->size);
	add(args, "--policy-dir", config->policy_dir);
	add(args, "--lxcfs", config->lxcfs);
	add(args, "--refused-calls", config->refused_calls);
	add(args, "--peer-uid", args->uid);
}

static void __attribute__((noreturn)) become(const char *program, struct arguments *args)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null >= 0)
		dup2(null, STDIN_FILENO);
	setsid();
	execv(program, (char **)args->argv);
	_exit(127);
}

/* Waits until it answers, or has ended. */
static int await(int run_fd, pid_t pid, struct supervisor_client **ret, struct err *err)
{
	static const struct timespec pause = {.tv_nsec = POLL_NSEC};
	uint64_t start = clock_boot_usec();
	int status;

	while (!answers(run_fd, ret, err)) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return err_set(err, ERR_FAILED_PRECONDITION, "SUPERVISOR_FAILED",
				"the supervisor ended at once (status %d); its message is above",
				WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
		if (clock_boot_usec() - start > START_TIMEOUT_USEC)
			return err_set(err, ERR_UNAVAILABLE, "SUPERVISOR_FAILED",
				"the supervisor does not answer");
		nanosleep(&pause, NULL);
	}
	/* From now on nobody waits for it; the kernel takes its end away. */
	signal(SIGCHLD, SIG_IGN);
	return 0;
}

int start_supervisor(const struct config *config, int run_fd, uid_t peer_uid,
	struct supervisor_client **ret, struct err *err)
{
	struct arguments args;
	char program[PATH_MAX];
	pid_t pid;
	int r;

	if (answers(run_fd, ret, err))
		return 0;
	/* It runs, and a second one would not: who has installed another version is told so. */
	if (!strcmp(err->reason, "SUPERVISOR_VERSION"))
		return -EPROTO;
	r = find_program(config, program, err);
	if (r < 0)
		return r;
	make_arguments(config, program, peer_uid, &args);
	pid = fork();
	if (pid < 0)
		return err_sys(err, errno, "start the supervisor");
	if (pid == 0)
		become(program, &args);
	return await(run_fd, pid, ret, err);
}

/*
 * Pid 1 of a container, from its birth to its exec; see spawn.h. Born into the inner namespaces by
 * the outer process, it waits until everything is mounted and the run is on file. Every failure is
 * reported through the exec-status pipe.
 */
#include "sandbox/spawn_internal.h"

#include "base/cleanup.h"
#include "sandbox/become.h"
#include "sandbox/namespaces.h"
#include "sandbox/spawn_args.h"

#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define INIT_ARGS_MAX 64

/* The builder releases us by one byte; if it died, the container must not start. */
static void wait_for_release(const struct spawn *s)
{
	char byte;

	close(s->go[1]);
	/* The outer process's end: when that dies, the builder must not wait for it because of us.
	 */
	close(s->control[1]);
	if (read(s->go[0], &byte, 1) != 1)
		_exit(1);
}

static int become_root(struct err *err)
{
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_sys(err, errno, "become the container's root");
	return 0;
}

/* The copy belongs to the inner user namespace, and every mount in it is locked. */
static int lock_mounts(struct err *err)
{
	if (unshare((int)namespaces_flags(NS_INNER_LAST)) < 0)
		return err_sys(err, errno, "take a locked copy of the mounts");
	return 0;
}

static int loopback_up(struct err *err)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return err_sys(err, errno, "set up loopback");
	return 0;
}

static int set_names(const struct spawn *s, struct err *err)
{
	const char *name = s->request->msg.container;

	if (sethostname(name, strlen(name)) < 0)
		return err_sys(err, errno, "set the host name");
	return 0;
}

static int connect_stdio(const struct spawn *s, struct err *err)
{
	_cleanup_close_ int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
		dup2(s->stdout_fd, STDOUT_FILENO) < 0 || dup2(s->stdout_fd, STDERR_FILENO) < 0)
		return err_sys(err, errno, "connect standard input and output");
	return 0;
}

static int prepare(const struct spawn *s, struct err *err)
{
	int r = lock_mounts(err);

	if (r == 0)
		r = become_root(err);
	if (r == 0)
		r = loopback_up(err);
	if (r == 0)
		r = set_names(s, err);
	if (r == 0)
		r = connect_stdio(s, err);
	if (r < 0)
		return r;
	umask(022);
	setsid();
	if (chdir("/") < 0)
		return err_sys(err, errno, "enter the root");
	return confine_prepare(s->request->msg.nesting, err);
}

/* croft-init is executed from the host's descriptor, with the given command as its arguments. */
static void execute_with_init(const struct spawn *s, const struct spawn_args *args)
{
	char *argv[INIT_ARGS_MAX + 2] = {(char *)"croft-init"};

	for (size_t i = 0; args->argv[i]; i++) {
		if (i >= INIT_ARGS_MAX) {
			errno = E2BIG;
			return;
		}
		argv[i + 1] = args->argv[i];
	}
	fexecve(s->request->init_fd, argv, args->envp);
}

extern char **environ;

static int seal(const struct spawn *s, int keep_fd, struct err *err)
{
	return confine_seal(&s->request->confinement, s->exec_status[1], keep_fd, s->tell[1], err);
}

/* The init of an application's image: a user, an environment and a directory of its own. */
static int seal_as_user(
	const struct spawn *s, struct spawn_args *args, int keep_fd, struct err *err)
{
	struct passwd_user user;
	int r = confine_close(s->exec_status[1], keep_fd, s->tell[1], err);

	if (r == 0)
		r = become_find_image_user(args->user, &user, err);
	if (r < 0)
		return r;
	r = become_set_environment(args->envp, &user, false, err);
	args->envp = environ;
	if (r == 0)
		r = seal(s, keep_fd, err);
	if (r == 0)
		r = become_user(&user, err);
	return r < 0 ? r : become_enter_directory(args->working_dir, &user, err);
}

static int execute(const struct spawn *s, struct err *err)
{
	int keep_fd = s->request->msg.with_init ? s->request->init_fd : -1;
	struct spawn_args args;
	int r = spawn_args_parse(s->request->args_fd, &args, err);

	if (r < 0)
		return r;
	if (args.user[0] || args.working_dir[0])
		r = seal_as_user(s, &args, keep_fd, err);
	else
		r = seal(s, keep_fd, err);
	if (r < 0)
		return r;
	if (s->request->msg.with_init)
		execute_with_init(s, &args);
	else
		execve(args.argv[0], args.argv, args.envp);
	r = -errno;
	err_set(err, ERR_FAILED_PRECONDITION, "INIT_NOT_EXECUTED",
		"%.100s could not be executed as init: %s; look at the image, or name another init",
		args.argv[0], strerror(-r));
	return r;
}

void spawn_inner(const struct spawn *s)
{
	struct err err;

	wait_for_release(s);
	/* What is left of the builder's memory is nobody's to read. */
	prctl(PR_SET_DUMPABLE, 0);
	if (prepare(s, &err) == 0)
		execute(s, &err);
	if (write(s->exec_status[1], &err, sizeof(err)) < 0)
		_exit(2);
	_exit(1);
}

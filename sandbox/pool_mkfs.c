/*
 * Runs mkfs.btrfs; see pool_mkfs.h. Fixed arguments, an empty environment and a name without a
 * path. Must never run on a file that is in use: it only works on one it has just made.
 */
#include "sandbox/pool_mkfs.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define OUTPUT_MAX 200

static const char *const programs[] = {
	"/usr/sbin/mkfs.btrfs", "/sbin/mkfs.btrfs", "/usr/bin/mkfs.btrfs", "/bin/mkfs.btrfs"};

bool pool_mkfs_available(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (access(programs[i], X_OK) == 0)
			return true;
	return false;
}

__attribute__((noreturn)) static void run(int dir_fd, const char *name, int output_fd)
{
	/* One copy of the metadata: both would lie in the same file of the host. */
	const char *const argv[] = {
		"mkfs.btrfs", "--quiet", "--metadata", "single", "--", name, NULL};
	const char *const envp[] = {NULL};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fchdir(dir_fd) == 0 && dup2(output_fd, 1) == 1 && dup2(output_fd, 2) == 2)
		for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
			execve(programs[i], (char *const *)argv, (char *const *)envp);
	_exit(127);
}

/* Reads what it has to say to its end, and keeps the beginning for the message. */
static void read_output(int fd, char text[static OUTPUT_MAX])
{
	ssize_t n = fd_read_full(fd, text, OUTPUT_MAX - 1);
	char rest[256];

	text[n > 0 ? n : 0] = '\0';
	while (fd_read_full(fd, rest, sizeof(rest)) > 0)
		;
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
}

static int run_and_wait(int dir_fd, const char *name, struct err *err)
{
	_cleanup_close_ int output = -1;
	_cleanup_close_ int input = -1;
	char text[OUTPUT_MAX];
	int pipe_fds[2];
	int status;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "make a pipe");
	output = pipe_fds[0];
	input = pipe_fds[1];
	pid = fork();
	if (pid < 0)
		return err_sys(err, errno, "start mkfs.btrfs");
	if (pid == 0)
		run(dir_fd, name, input);
	close_fd(&input);
	read_output(output, text);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "wait for mkfs.btrfs");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(err, ERR_FAILED_PRECONDITION, "PROGRAM_MISSING",
			"mkfs.btrfs cannot be run; install btrfs-progs, or use the pool driver "
			"\"plain\"");
	return err_set(err, ERR_INTERNAL, "MKFS_FAILED", "mkfs.btrfs failed (wait status %d): %s",
		status, text);
}

static int fill(int dir_fd, const char *name, uint64_t size, struct err *err)
{
	_cleanup_close_ int fd = openat(
		dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return err_sys(err, errno, "make the pool's file");
	if (ftruncate(fd, (off_t)size) < 0)
		return err_sys(err, errno, "give the pool's file its size");
	r = run_and_wait(dir_fd, name, err);
	if (r < 0)
		return r;
	return fsync(fd) < 0 ? err_sys(err, errno, "write the pool's file") : 0;
}

int pool_mkfs(int dir_fd, const char *name, uint64_t size, struct err *err)
{
	_cleanup_close_ int dir = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char temporary[NAME_MAX];
	int r;

	if (dir < 0)
		return err_sys(err, errno, "open the state directory");
	snprintf(temporary, sizeof(temporary), "%s.new", name);
	if (unlinkat(dir, temporary, 0) < 0 && errno != ENOENT)
		return err_sys(err, errno, "remove what an interrupted start left");
	r = fill(dir, temporary, size, err);
	if (r == 0 && renameat2(dir, temporary, dir, name, RENAME_NOREPLACE) < 0)
		r = err_sys(err, errno, "name the pool's file");
	if (r < 0) {
		unlinkat(dir, temporary, 0);
		return r;
	}
	return fsync(dir) < 0 ? err_sys(err, errno, "write the state directory") : 0;
}

/*
 * croft-init: pid 1 for an image without an init of its own. Starts one command, hands it the
 * signals it is sent, reaps whatever else ends, and ends with the command's status. Static, so
 * that it runs in any image; must never allocate, nor trust a file of the image.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_USAGE	    125
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND	    127

static void complain(const char *what, const char *why)
{
	dprintf(2, "croft-init: %s: %s\n", what, why);
}

/* Which signal the command gets for one of ours; 0: it is not for the command. */
static int forwarded(int signal_number)
{
	switch (signal_number) {
	case SIGTERM:
	case SIGINT:
	case SIGHUP:
	case SIGUSR1:
	case SIGUSR2:
	case SIGQUIT:
	case SIGWINCH:
		return signal_number;
	case SIGPWR: /* how sysvinit, and so `croft stop`, is told to shut down */
		return SIGTERM;
	default:
		/* How systemd is told to. */
		return signal_number == SIGRTMIN + 3 ? SIGTERM : 0;
	}
}

static void handled_signals(sigset_t *set)
{
	static const int numbers[] = {
		SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT, SIGWINCH, SIGPWR, SIGCHLD};

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(set, numbers[i]);
	sigaddset(set, SIGRTMIN + 3);
}

/* A command without a slash is looked for in PATH, or where every distribution has its programs. */
static int execute(char **argv)
{
	const char *place = getenv("PATH");
	char path[PATH_MAX];
	int result = ENOENT;

	if (strchr(argv[0], '/')) {
		execv(argv[0], argv);
		return errno;
	}
	if (!place || !*place)
		place = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	while (*place) {
		size_t length = strcspn(place, ":");

		if (length && length + strlen(argv[0]) + 2 <= sizeof(path)) {
			snprintf(path, sizeof(path), "%.*s/%s", (int)length, place, argv[0]);
			execv(path, argv);
			if (errno != ENOENT && errno != ENOTDIR)
				result = errno;
		}
		place += length + (place[length] == ':');
	}
	return result;
}

__attribute__((noreturn)) static void run(char **argv, const sigset_t *mask)
{
	int e;

	/* A job of its own, in the foreground of the console if there is one. */
	setpgid(0, 0);
	tcsetpgrp(0, getpid());
	signal(SIGTTOU, SIG_DFL);
	signal(SIGTTIN, SIG_DFL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	e = execute(argv);
	complain(argv[0], strerror(e));
	_exit(e == ENOENT || e == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

/* Reaps all that has ended. Returns the command's exit status once it has, else -1. */
static int reap(pid_t command)
{
	int result = -1;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != command)
			continue;
		result = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
	return result;
}

static int serve(pid_t command, const sigset_t *handled)
{
	for (;;) {
		int status = reap(command);
		int number;

		if (status >= 0)
			return status;
		number = sigwaitinfo(handled, NULL);
		if (number > 0 && forwarded(number))
			kill(command, forwarded(number));
	}
}

int main(int argc, char **argv)
{
	char **command = argv + 1;
	sigset_t handled;
	sigset_t before;
	pid_t pid;

	if (argc > 1 && !strcmp(argv[1], "--"))
		command++;
	if (argc < 2 || !*command) {
		complain("usage", "croft-init [--] COMMAND [ARGUMENT...]");
		return EXIT_USAGE;
	}
	/* Outside a pid namespace of its own (a test), orphans come to it only if it asks. */
	if (getpid() != 1)
		prctl(PR_SET_CHILD_SUBREAPER, 1);
	handled_signals(&handled);
	sigprocmask(SIG_BLOCK, &handled, &before);
	signal(SIGTTOU, SIG_IGN);
	signal(SIGTTIN, SIG_IGN);
	pid = fork();
	if (pid < 0) {
		complain("fork", strerror(errno));
		return EXIT_USAGE;
	}
	if (pid == 0)
		run(command, &before);
	return serve(pid, &handled);
}

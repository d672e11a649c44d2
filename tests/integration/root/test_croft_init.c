/* croft-init as pid 1 of a pid namespace: signals, statuses, orphans. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define DEADLINE_MS 60000

struct run {
	pid_t pid;  /* croft-init, as seen from here */
	int output; /* the command's standard output */
};

static struct run start(const char *script, bool pid_namespace)
{
	const char *init = getenv("CROFT_INIT");
	const char *const argv[] = {"croft-init", "--", "sh", "-c", script, NULL};
	struct run run;
	int fds[2];

	assert_non_null(init);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	run.pid = (pid_t)syscall(SYS_clone,
		SIGCHLD | (pid_namespace ? CLONE_NEWPID | CLONE_NEWNS : 0), NULL, NULL, NULL, 0);
	assert_true(run.pid >= 0);
	if (run.pid == 0) {
		/* A shell cannot trap what it was started ignoring, as `nohup` and `&` make it. */
		for (int number = 1; number < NSIG; number++)
			signal(number, SIG_DFL);
		dup2(fds[1], 1);
		execv(init, (char *const *)argv);
		_exit(99);
	}
	close(fds[1]);
	run.output = fds[0];
	return run;
}

static void wait_line(struct run *run, const char *expected)
{
	char line[64];
	size_t n = 0;

	while (n + 1 < sizeof(line)) {
		struct pollfd p = {.fd = run->output, .events = POLLIN};

		assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
		if (read(run->output, line + n, 1) != 1 || line[n] == '\n')
			break;
		n++;
	}
	line[n] = '\0';
	assert_string_equal(line, expected);
}

static int finish(struct run *run)
{
	int status;

	assert_int_equal(waitpid(run->pid, &status, 0), run->pid);
	close(run->output);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void status_is_the_commands(void **state)
{
	static const struct {
		const char *script;
		int status;
	} cases[] = {
		{"exit 0", 0}, {"exit 42", 42}, {"kill -KILL $$", 137}, {"kill -SEGV $$", 139}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run run = start(cases[i].script, false);

		assert_int_equal(finish(&run), cases[i].status);
	}
}

static void missing_commands_are_reported(void **state)
{
	static const struct {
		const char *command;
		int status;
	} cases[] = {{"no-such-command", 127}, {"/no/such/command", 127}, {"/etc/passwd", 126}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			close(2);
			execl(getenv("CROFT_INIT"), "croft-init", cases[i].command, NULL);
			_exit(99);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(WEXITSTATUS(status), cases[i].status);
	}
}

static void signals_reach_the_command(void **state)
{
	static const struct {
		int sent;
		const char *received;
	} cases[] = {{SIGTERM, "TERM"}, {SIGINT, "INT"}, {SIGHUP, "HUP"}, {SIGUSR1, "USR1"},
		{SIGUSR2, "USR2"}, {SIGQUIT, "QUIT"}, {SIGPWR, "TERM"}, {-3, "TERM"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		/* SIGRTMIN is no constant. */
		int sent = cases[i].sent < 0 ? SIGRTMIN - cases[i].sent : cases[i].sent;
		struct run run = start("for s in TERM INT HUP USR1 USR2 QUIT; do "
				       "trap \"echo $s; exit 7\" $s; done; echo ready; "
				       "while :; do sleep 0.02; done",
			false);

		wait_line(&run, "ready");
		assert_int_equal(kill(run.pid, sent), 0);
		wait_line(&run, cases[i].received);
		assert_int_equal(finish(&run), 7);
	}
}

static void pid_1_passes_signals_from_outside(void **state)
{
	/* Without a handler of its own pid 1 would get none: sigwait does not depend on that. */
	struct run run = start("trap 'echo got; exit 3' TERM; echo $PPID; "
			       "while :; do sleep 0.02; done",
		true);

	(void)state;
	wait_line(&run, "1");
	kill(run.pid, SIGPWR);
	wait_line(&run, "got");
	assert_int_equal(finish(&run), 3);
}

static void pid_1_reaps_orphans(void **state)
{
	struct run run = start("for i in 1 2 3 4 5 6 7 8; do (true & exec true); done; "
			       /* The pid namespace's own /proc shows what is left. */
			       "mount -t proc proc /proc; n=1; t=0; "
			       "while [ $t -lt 100 ] && grep -qs '^State:.Z' /proc/[0-9]*/status; "
			       "do t=$((t+1)); sleep 0.05; done; "
			       "grep -s '^State:.Z' /proc/[0-9]*/status || echo none; exit 5",
		true);

	(void)state;
	wait_line(&run, "none");
	assert_int_equal(finish(&run), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_is_the_commands),
		cmocka_unit_test(missing_commands_are_reported),
		cmocka_unit_test(signals_reach_the_command),
		cmocka_unit_test(pid_1_passes_signals_from_outside),
		cmocka_unit_test(pid_1_reaps_orphans),
	};

	if (geteuid() != 0) {
		print_message("1..0 # SKIP a pid namespace needs root\n");
		return 0;
	}
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

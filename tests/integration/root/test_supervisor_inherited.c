/* However the supervisor was started: its containers and their commands are the same. */
#include "tests/integration/root/supervisor_harness.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define FOREVER "exec sleep 100000"

/* Of a process: nice, policy; its processors come from the cgroup. */
#define REPORT_OF(pid)                                                                             \
	"cut -d ' ' -f 19,41 /proc/" pid "/stat; cat /proc/" pid "/oom_score_adj; "                \
	"grep -E '^(Umask|SigBlk|SigIgn|Cpus_allowed_list|Mems_allowed_list|THP_enabled)' "        \
	"/proc/" pid "/status; cat /proc/" pid "/personality /proc/" pid "/limits; ionice -p " pid \
	"; "

static void must(long r)
{
	if (r < 0)
		_exit(126);
}

/* What was lowered cannot be raised again without it: some hosts keep it from their root. */
static bool may_raise(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	must(syscall(SYS_capget, &header, data));
	return data[CAP_TO_INDEX(CAP_SYS_RESOURCE)].effective & CAP_TO_MASK(CAP_SYS_RESOURCE);
}

static void limit(__rlimit_resource_t resource, rlim_t value)
{
	struct rlimit both;

	must(getrlimit(resource, &both));
	both.rlim_cur = value;
	if (may_raise())
		both.rlim_max = value;
	must(setrlimit(resource, &both));
}

/* A starter with a hard life: everything that is inherited is not as it should be. */
static void be_odd(void)
{
	/* The kernel's struct sigaction: the handler comes first. */
	const uint64_t ignore[8] = {(uint64_t)(uintptr_t)SIG_IGN};
	const struct sched_param none = {0};
	cpu_set_t first;
	sigset_t all;

	must(fd_write_text_at(AT_FDCWD, "/proc/self/oom_score_adj", "300"));
	must(sched_setscheduler(0, SCHED_BATCH, &none));
	must(setpriority(PRIO_PROCESS, 0, 5));
	must(syscall(
		SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)));
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	must(sched_setaffinity(0, sizeof(first), &first));
	must(prctl(PR_SET_TIMERSLACK, 1000000000ul, 0, 0, 0));
	must(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	must(personality(ADDR_NO_RANDOMIZE));
	umask(0077);
	limit(RLIMIT_FSIZE, 1ul << 30);
	limit(RLIMIT_NOFILE, 512);
	limit(RLIMIT_CPU, 3600);
	limit(RLIMIT_CORE, 0);
	/* 32 and 33 too, which libc keeps for itself and leaves as they came. */
	for (int number = 1; number < NSIG; number++)
		syscall(SYS_rt_sigaction, number, ignore, NULL, sizeof(uint64_t));
	sigfillset(&all);
	must(sigprocmask(SIG_SETMASK, &all, NULL));
}

/* One that protects itself, as a daemon's unit does. */
static void be_important(void)
{
	const struct sched_param low = {.sched_priority = 1};

	if (may_raise())
		must(fd_write_text_at(AT_FDCWD, "/proc/self/oom_score_adj", "-900"));
	must(sched_setscheduler(0, SCHED_RR, &low));
	must(setpriority(PRIO_PROCESS, 0, -5));
}

struct reports {
	char init[OUTPUT_MAX];
	char command[OUTPUT_MAX];
};

static void ask(struct sup *s, struct reports *ret)
{
	struct msg_container_start msg = sup_start_msg(s, "web");
	char *argv[] = {(char *)"/bin/sleep", (char *)"100000", NULL};

	assert_done(s, sup_start_container_as(s, &msg, argv, NULL));
	assert_int_equal(exec_sh(s, "web", REPORT_OF("1")), 0);
	snprintf(ret->init, sizeof(ret->init), "%s", s->output);
	assert_int_equal(exec_sh(s, "web", REPORT_OF("$$") "cat /proc/self/timerslack_ns"), 0);
	snprintf(ret->command, sizeof(ret->command), "%s", s->output);
	/* Nobody inside puts itself behind the host's processes. */
	assert_int_not_equal(exec_sh(s, "web", "echo -1 > /proc/self/oom_score_adj"), 0);
	assert_int_not_equal(exec_sh(s, "web", "echo -1 > /proc/1/oom_score_adj"), 0);
	assert_int_equal(exec_sh(s, "web", "echo 1 > /proc/self/oom_score_adj"), 0);
	sup_discard(s, "web");
}

static void assert_has(const char *report, const char *line)
{
	if (!strstr(report, line))
		fail_msg("not in the report: %s\n%s", line, report);
}

static void assert_as_it_should_be(const char *report)
{
	static const char *const lines[] = {"0 0\n0\n", "Umask:\t0022\n",
		"SigBlk:\t0000000000000000\n", "THP_enabled:\t1\n", "\n00000000\n",
		"Max file size             unlimited            unlimited",
		"Max cpu time              unlimited            unlimited",
		"Max open files            1024 ", "Max core file size        0  ",
		"none: prio 0\n"};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		assert_has(report, lines[i]);
}

static void how_the_supervisor_was_started_is_not_seen(void **state)
{
	static void (*const starters[])(void) = {be_odd, be_important};
	struct reports plain;
	struct sup *s = sup_begin(state);

	assert_done(s, sup_tenant_set(s));
	ask(s, &plain);
	assert_as_it_should_be(plain.init);
	assert_has(plain.init, "SigIgn:\t0000000000000000\n");
	assert_as_it_should_be(plain.command);
	/* busybox's shell ignores SIGQUIT. */
	assert_has(plain.command, "SigIgn:\t0000000000000004\n");
	assert_has(plain.command, "\n50000\n");
	for (size_t i = 0; i < ARRAY_SIZE(starters); i++) {
		struct reports now;

		sup_kill(s);
		s->before_exec = starters[i];
		sup_start(s);
		ask(s, &now);
		assert_string_equal(now.init, plain.init);
		assert_string_equal(now.command, plain.command);
	}
	sup_shutdown(s);
}

#define with_supervisor(t) cmocka_unit_test_setup_teardown(t, supervisor_setup, supervisor_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_supervisor(how_the_supervisor_was_started_is_not_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

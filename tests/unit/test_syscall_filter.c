/*
 * The filter of a program that fences itself in, as the kernel carries it out.
 */
#include "base/syscall_filter.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const int calls[] = {SYS_getppid, SYS_exit_group};
static const struct syscall_rule rules[] = {
	{SYS_fcntl, 1, ~1u, F_SETFD},
	{SYS_mmap, 2, 4, 0},
};
static const struct syscall_filter filter = {
	calls, ARRAY_SIZE(calls), rules, ARRAY_SIZE(rules), ENOSYS};

/* The status of a child that did it below the filter. */
static int below(int (*probe)(void))
{
	struct err err;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
			syscall_filter_load(&filter, &err) < 0)
			syscall(SYS_exit_group, 255);
		syscall(SYS_exit_group, probe());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static bool fails(long result, int error)
{
	return result == -1 && errno == error;
}

/* The number of the first surprise, or 0. */
static int probe_calls(void)
{
	if (syscall(SYS_getppid) <= 0)
		return 1;
	if (!fails(syscall(SYS_getpgid, 0), ENOSYS))
		return 2;
	if (!fails(syscall(9999), ENOSYS))
		return 3;
	return 0;
}

static int probe_rules(void)
{
	if (syscall(SYS_fcntl, 0, F_SETFD, 0) != 0)
		return 1;
	if (syscall(SYS_fcntl, 0, F_GETFL) < 0)
		return 2;
	if (!fails(syscall(SYS_fcntl, 0, F_DUPFD, 0), EPERM))
		return 3;
	if (!fails(syscall(SYS_fcntl, 0, F_SETFL, 0), EPERM))
		return 4;
	/* Each rule is its own call's alone. */
	if (!fails(syscall(SYS_mmap, NULL, 4096, 4, 0x22, -1, 0), EPERM))
		return 5;
	if (syscall(SYS_mmap, NULL, 4096, 3, 0x22, -1, 0) == -1)
		return 6;
	return 0;
}

#if defined(__x86_64__)
/* getppid(2) of the 32-bit ABI, whose numbers mean other calls. */
static int probe_other_abi(void)
{
	long result = 64;

	__asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
	return 0;
}
#endif

static void test_calls(void **state)
{
	(void)state;
	assert_int_equal(below(probe_calls), 0);
}

static void test_rules(void **state)
{
	(void)state;
	assert_int_equal(below(probe_rules), 0);
}

static void test_another_abi_ends_it(void **state)
{
	(void)state;
#if defined(__x86_64__)
	int status = below(probe_other_abi);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
#else
	skip();
#endif
}

static void test_no_more_than_fits(void **state)
{
	static const int many[SYSCALL_FILTER_CALLS_MAX + 1];
	const struct syscall_filter too_many = {many, ARRAY_SIZE(many), NULL, 0, ENOSYS};
	struct err err;

	(void)state;
	assert_int_equal(syscall_filter_load(&too_many, &err), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_another_abi_ends_it),
		cmocka_unit_test(test_no_more_than_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

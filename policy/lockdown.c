/*
 * croft-policy fences itself in, whoever started it, so that a fault in a parser gains nothing.
 * A step that fails is an error, never passed over.
 */
#include "policy/lockdown.h"

#include "base/cleanup.h"
#include "base/sanitizer.h"
#include "policy/check.h"

#include <grp.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define NOBODY		65534u
#define CPU_SECONDS_MAX 5u		    /* a profile of 1 MiB takes milliseconds */
#define MEMORY_MAX	((rlim_t)256 << 20) /* the largest profile takes under 32 MiB */

static void cleanup_compiled(struct compiled **c)
{
	compiled_destroy(*c);
}

static int limit(int resource, rlim_t most, struct err *err)
{
	struct rlimit l;

	if (getrlimit(resource, &l) < 0)
		return err_sys(err, errno, "getrlimit");
	if (l.rlim_max > most)
		l.rlim_max = most;
	l.rlim_cur = l.rlim_max;
	return setrlimit(resource, &l) < 0 ? err_sys(err, errno, "setrlimit") : 0;
}

int lockdown_privileges(struct err *err)
{
	int r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(err, errno, "prctl");
	if (close_range(3, ~0u, 0) < 0)
		return err_sys(err, errno, "close_range");
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
				      setresuid(NOBODY, NOBODY, NOBODY) < 0))
		return err_sys(err, errno, "give up root");
	r = limit(RLIMIT_CPU, CPU_SECONDS_MAX, err);
	if (r == 0)
		r = limit(RLIMIT_CORE, 0, err);
	if (r == 0 && !SANITIZED)
		r = limit(RLIMIT_AS, MEMORY_MAX, err);
	return r;
}

int lockdown_syscalls(const struct policy_context *context, struct err *err)
{
	/* The C library grows its heap by brk, mmap and mremap; none of it may be executable. */
	static const char text[] =
		"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": ["
		" {\"names\": [\"brk\", \"mremap\", \"munmap\"], \"action\": \"SCMP_ACT_ALLOW\"},"
		" {\"names\": [\"write\", \"exit\", \"exit_group\"],"
		"  \"action\": \"SCMP_ACT_ALLOW\"},"
		" {\"names\": [\"mmap\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": ["
		"  {\"index\": 2, \"value\": 4, \"valueTwo\": 0, \"op\": "
		"\"SCMP_CMP_MASKED_EQ\"}]}]}";
	_cleanup_(cleanup_compiled) struct compiled *c = NULL;
	struct sock_fprog prog;
	int r;

	if (SANITIZED)
		return 0;
	r = policy_build(text, strlen(text), context, &c, err);
	if (r < 0)
		return err_wrap(err, r, "croft-policy's own filter");
	prog = (struct sock_fprog){(unsigned short)c->n, c->program};
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
		return err_sys(err, errno, "seccomp");
	return 0;
}

/*
 * Resetting what is inherited; see inherited.h. Runs once in each worker, while that still has the
 * host's capabilities, so that whatever it starts is born right. Must never allocate.
 */
#include "sandbox/inherited.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <fcntl.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CPU_BYTES	   1024 /* 8192 CPUs, the most that Linux can be built for; it takes more */
#define TIMER_SLACK_NSEC   50000      /* prctl(2), PR_SET_TIMERSLACK: that of pid 1 */
#define OPEN_FILES_MAX	   (1u << 19) /* below any host's fs.nr_open */
#define MEMORY_POLICY_NONE 0	      /* MPOL_DEFAULT of set_mempolicy(2) */

void inherited_reset_signals(void)
{
	/* The kernel's struct sigaction, which is all zeros for SIG_DFL whatever its order. */
	static const uint64_t by_default[8];
	sigset_t none;

	/*
	 * Not by signal(3), which knows nothing of 32 and 33, libc's own: they are inherited as
	 * well. Fails for SIGKILL and SIGSTOP, which cannot be ignored.
	 */
	for (int number = 1; number < NSIG; number++)
		syscall(SYS_rt_sigaction, number, by_default, NULL, sizeof(uint64_t));
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Written with CAP_SYS_RESOURCE it also becomes the lowest that others may write: proc(5). */
static int reset_oom_score(struct err *err)
{
	int r = fd_write_text_at(AT_FDCWD, "/proc/self/oom_score_adj", "0");

	return r < 0 ? err_sys(err, r, "reset oom_score_adj") : 0;
}

static int reset_scheduling(struct err *err)
{
	const struct sched_param none = {0};
	unsigned long cpus[CPU_BYTES / sizeof(long)];

	if (sched_setscheduler(0, SCHED_OTHER, &none) < 0 || setpriority(PRIO_PROCESS, 0, 0) < 0)
		return err_sys(err, errno, "reset the scheduling priority");
	if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
		    IOPRIO_PRIO_VALUE(IOPRIO_CLASS_NONE, 0)) < 0 &&
		errno != ENOSYS)
		return err_sys(err, errno, "reset the I/O priority");
	memset(cpus, 0xff, sizeof(cpus));
	if (syscall(SYS_sched_setaffinity, 0, sizeof(cpus), cpus) < 0)
		return err_sys(err, errno, "reset the CPU affinity");
	return 0;
}

static int reset_memory(struct err *err)
{
	if (syscall(SYS_set_mempolicy, MEMORY_POLICY_NONE, NULL, 0) < 0 && errno != ENOSYS)
		return err_sys(err, errno, "reset the memory policy");
	if (prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0) < 0 && errno != EINVAL)
		return err_sys(err, errno, "reset the use of huge pages");
	/* Also one without address randomization, as a debugger's child has it. */
	return personality(PER_LINUX) < 0 ? err_sys(err, errno, "reset the personality") : 0;
}

/* What they then are is for who confines the process: it can lower but no longer raise them. */
static int free_limits(struct err *err)
{
	for (int resource = 0; resource < (int)RLIM_NLIMITS; resource++) {
		__rlimit_resource_t which = (__rlimit_resource_t)resource;
		rlim_t most = which == RLIMIT_NOFILE ? OPEN_FILES_MAX : RLIM_INFINITY;
		struct rlimit limit;

		if (getrlimit(which, &limit) < 0)
			return err_sys(err, errno, "read a resource limit");
		if (limit.rlim_max >= most)
			continue;
		limit.rlim_max = most;
		/* Without CAP_SYS_RESOURCE, as in a container, what there is must do. */
		if (setrlimit(which, &limit) < 0 && errno != EPERM)
			return err_sys(err, errno, "raise a resource limit");
	}
	return 0;
}

int inherited_reset(struct err *err)
{
	int r = reset_oom_score(err);

	if (r == 0)
		r = reset_scheduling(err);
	if (r == 0)
		r = reset_memory(err);
	if (r == 0)
		r = free_limits(err);
	if (r == 0 && prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NSEC, 0, 0, 0) < 0)
		r = err_sys(err, errno, "reset the timer slack");
	umask(022);
	inherited_reset_signals();
	return r;
}

/* System calls that the C library does not wrap, and constants newer than its headers. */
#pragma once

#include <linux/sched.h>
#include <stdint.h>
#include <sys/types.h>

/* clone3(2) as fork: returns 0 in the child. Returns the pid or -errno. */
pid_t sys_clone3(const struct clone_args *args);

/* openat2(2) with these RESOLVE_ flags. Returns the descriptor or -errno. */
int sys_openat2(int dirfd, const char *path, int flags, uint64_t resolve);

int sys_pivot_root(const char *new_root, const char *put_old);
/* Gives the calling process a new, empty session keyring: none of the supervisor's keys. */
int sys_join_session_keyring(void);

/* How a process that is no child of ours ended: PIDFD_GET_INFO, Linux 6.15. */
struct pidfd_exit {
	int known;	 /* 0: this kernel does not tell, or the process is not yet reaped */
	int wait_status; /* as of wait(2) */
};
int sys_pidfd_exit(int pidfd, struct pidfd_exit *ret);

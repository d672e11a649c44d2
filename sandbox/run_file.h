/*
 * What the supervisor must remember of a run to find it again after being killed: one small file
 * a run, `runs/<tenant>.<container>`, replaced as a whole and checked by a checksum.
 *
 * It is written before init is released and again when the run has ended, with its final counters,
 * and stays until croftd acknowledges that those are committed.
 */
#pragma once

#include "base/err.h"
#include "sandbox/protocol.h"

#include <stdint.h>
#include <sys/types.h>

struct run_file {
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
	char policy[NAME_SIZE]; /* an exec gets the same */
	char run_id[RUN_ID_SIZE];
	char boot_id[BOOT_ID_LEN];
	uint32_t ended; /* 1: `final` holds */
	int32_t pid;
	uint64_t pid_start_ticks; /* field 22 of /proc/PID/stat: tells a reused pid */
	uint32_t id_base;
	uint32_t oom_group;
	uint64_t start_boot_usec;
	int64_t start_wall_usec;
	uint32_t net_number; /* its place in its tenant's network; 0: none */
	uint32_t net_slot;
	struct msg_run_ended final;
	uint64_t nesting;
	struct net_account net_account;
	/* Version 4 ended here; in it and in version 5 `final` was shorter. */
	struct io_disk disk; /* the one that it is on */
};

/* Replaces the run's file. dirfd is the `runs` directory. Returns 0 or -errno. */
int run_file_save(int dirfd, const struct run_file *state, struct err *err);
/* Removes it; -ENOENT is no error. */
int run_file_remove(int dirfd, const char *tenant, const char *container, struct err *err);
/*
 * Calls fn for every run on file. A file that is cut, damaged or from another version is moved
 * aside as `<name>.bad` and reported through bad (the file's name).
 */
int run_file_for_each(int dirfd, void (*fn)(const struct run_file *state, void *arg),
	void (*bad)(const char *name, void *arg), void *arg, struct err *err);

/* The start time of a process in clock ticks since boot. Returns 0 or -errno. */
int run_file_pid_start(pid_t pid, uint64_t *ret_ticks);
/*
 * How a process ended that is dead but not yet reaped, whoever's child it is, as of wait(2).
 * Returns 0; -ESRCH or -ENOENT when it was reaped (the pid may be another's); -EBUSY when it lives.
 */
int run_file_pid_exit(pid_t pid, uint64_t start_ticks, int *ret_wait_status);

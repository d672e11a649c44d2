/*
 * A profile as a classic BPF program for seccomp(2).
 *
 * One section an ABI; in it a binary tree over the numbers of calls, whose leaves return at once
 * or compare arguments. What the profile leaves open is decided here: calls of an ABI that is not
 * among the profile's kill the process, and so do x32's numbers unless x32 is; the number -1,
 * which a tracer sets to skip a call, gets the default action.
 */
#pragma once

#include "base/err.h"
#include "policy/profile.h"

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#define COMPILE_WARNINGS_MAX 64
#define COMPILE_WARNING_MAX  160

/* How the native ABI's calls fare, for `croft policy check`. Calls left to the default are out. */
struct compile_counts {
	uint32_t allow;
	uint32_t log;
	uint32_t refuse;      /* ERRNO */
	uint32_t kill;	      /* KILL_PROCESS, KILL_THREAD, TRAP */
	uint32_t conditional; /* it depends on the arguments */
};

struct compiled {
	struct sock_filter *program; /* owned */
	size_t n;
	uint32_t flags; /* for seccomp(2) */
	struct compile_counts counts;
	size_t n_warnings;
	char warnings[COMPILE_WARNINGS_MAX][COMPILE_WARNING_MAX]; /* the first of them */
};

/*
 * Compiles a profile for the host in context. Warnings: names that no table knows, rules that a
 * stricter one makes void. Returns 0 with the result the caller's to destroy, or -EINVAL
 * (POLICY_TOO_LARGE) when the program would be longer than the kernel takes.
 */
int compile_profile(const struct profile *p, const struct policy_context *context,
	struct compiled **ret, struct err *err);

void compiled_destroy(struct compiled *c);

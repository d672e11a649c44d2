/*
 * The system call filter of a program that fences itself in: what its work uses, and nothing else.
 * Plain BPF, without libseccomp, for the programs that link as little as they can.
 */
#pragma once

#include "base/err.h"

#include <linux/audit.h>
#include <stddef.h>
#include <stdint.h>

/* This machine's own ABI, as seccomp names it. */
#if defined(__x86_64__)
#define SYSCALL_FILTER_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define SYSCALL_FILTER_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define SYSCALL_FILTER_ARCH AUDIT_ARCH_RISCV64
#else
#error "name this machine's AUDIT_ARCH_ here"
#endif

#define SYSCALL_FILTER_CALLS_MAX 64
#define SYSCALL_FILTER_RULES_MAX 8

/* The call is allowed when (low 32 bits of its argument & mask) == value; else it fails: EPERM. */
struct syscall_rule {
	int number; /* SYS_* */
	unsigned argument;
	uint32_t mask;
	uint32_t value;
};

struct syscall_filter {
	const int *calls; /* SYS_*, allowed whatever their arguments; the frequent ones first */
	size_t n_calls;	  /* at most SYSCALL_FILTER_CALLS_MAX */
	const struct syscall_rule *rules;
	size_t n_rules; /* at most SYSCALL_FILTER_RULES_MAX */
	int error;	/* what every other call fails with, an errno */
};

/*
 * Loads the filter for the rest of this process; a call of another ABI ends it. no_new_privs must
 * be set, or CAP_SYS_ADMIN be held. Returns 0 or -errno.
 */
int syscall_filter_load(const struct syscall_filter *filter, struct err *err);

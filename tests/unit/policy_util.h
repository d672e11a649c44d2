/* What the tests of policies share: contexts, compiling a text, asking a program about a call. */
#pragma once

#include "policy/check.h"
#include "policy/compile.h"
#include "policy/profile.h"

#include "tests/unit/bpf_interp.h"
#include "tests/unit/unit.h"

#include <linux/audit.h>
#include <linux/seccomp.h>

#define ALLOW	 SECCOMP_RET_ALLOW
#define ERRNO(n) (SECCOMP_RET_ERRNO | (uint32_t)(n))
#define KILLED	 SECCOMP_RET_KILL_PROCESS

/* x86-64, kernel 6.1, CAP_SYS_ADMIN only: the same on whatever the tests run. */
struct policy_context policy_util_context(void);

/* Compiles a text that must be fine; the test fails with its error otherwise. Destroy it. */
struct compiled *policy_util_compile(const char *text, const struct policy_context *context);

/* A whole file, terminated, or NULL when there is none. Free it. */
char *policy_util_read(const char *path);

/* What a program answers; the test fails when it faults. */
uint32_t policy_util_ask(
	const struct compiled *c, uint32_t arch, uint32_t number, const uint64_t args[6]);

/* The same with arguments of zero on x86-64. */
uint32_t policy_util_ask_plain(const struct compiled *c, uint32_t number);

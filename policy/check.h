/* Reading and judging a profile as a whole: for `croft policy check` and for croft-policy. */
#pragma once

#include "base/err.h"
#include "policy/action.h"
#include "policy/compile.h"
#include "policy/context.h"

#include <stddef.h>
#include <stdint.h>

#define POLICY_ABIS_TEXT_MAX 128

struct policy_summary {
	char default_action[ACTION_TEXT_MAX]; /* "ERRNO(ENOSYS)" */
	char abis[POLICY_ABIS_TEXT_MAX];      /* "SCMP_ARCH_X86_64 SCMP_ARCH_X86" */
	struct compile_counts counts;
	uint32_t flags; /* SECCOMP_FILTER_FLAG_* that go to seccomp(2) */
	size_t n_instructions;
	size_t n_warnings; /* COMPILE_WARNINGS_MAX of them are in `warnings` */
	char warnings[COMPILE_WARNINGS_MAX][COMPILE_WARNING_MAX];
};

/*
 * Reads a profile's text to its end. Returns 0 with the text the caller's to free;
 * POLICY_TOO_LARGE above PROFILE_BYTES_MAX; or -errno.
 */
int policy_read(int fd, char **ret_text, size_t *ret_size, struct err *err);

/* Parses and compiles a profile. Returns 0 or what profile_parse() and compile_profile() return. */
int policy_build(const char *text, size_t size, const struct policy_context *context,
	struct compiled **ret, struct err *err);

/*
 * What a profile would do on this host: parses and compiles it, and sums it up. context may be NULL
 * for policy_context_init()'s. ret is large (some 10 KiB). Errors as policy_build().
 */
int policy_check(const char *text, size_t size, const struct policy_context *context,
	struct policy_summary *ret, struct err *err);

/*
 * A seccomp profile as OCI writes it (runtime-spec, config-linux.md "Seccomp"), read strictly.
 *
 * The extensions of Docker's and Podman's engines (archMap, includes, excludes, minKernel, errno
 * names) are resolved for one context while reading, so that what is left means the same in every
 * engine. Whatever else is unknown is refused: a misspelt key would be a rule that is not there.
 */
#pragma once

#include "base/err.h"
#include "policy/context.h"

#include <stddef.h>
#include <stdint.h>

#define PROFILE_BYTES_MAX (1u << 20)
#define PROFILE_DEPTH_MAX 8    /* profiles need 5: syscalls, entry, args, condition, value */
#define PROFILE_RULES_MAX 1024 /* entries of "syscalls" */
#define PROFILE_NAMES_MAX 8192 /* names in all entries */
#define PROFILE_CONDS_MAX 12   /* conditions of one rule */
#define PROFILE_NAME_MAX  48   /* the longest name of a system call, and its terminator */
#define PROFILE_PATH_MAX  80   /* "syscalls[12].args[0].op" */

enum profile_op {
	PROFILE_OP_NE,
	PROFILE_OP_LT,
	PROFILE_OP_LE,
	PROFILE_OP_EQ,
	PROFILE_OP_GE,
	PROFILE_OP_GT,
	PROFILE_OP_MASKED_EQ,
};

/* A comparison of one argument, all 64 bits, unsigned. */
struct profile_cond {
	uint32_t arg; /* 0 to 5 */
	enum profile_op op;
	uint64_t value; /* MASKED_EQ: the mask */
	uint64_t want;	/* MASKED_EQ only: what the masked argument must be, within the mask */
};

/* Applies when all its conditions hold; two on one argument are both needed. */
struct profile_rule {
	uint32_t entry;	 /* its index in "syscalls", for messages */
	uint32_t action; /* the kernel's SECCOMP_RET_*, with its errno */
	size_t first_name;
	size_t n_names;
	size_t n_conds;
	struct profile_cond conds[PROFILE_CONDS_MAX];
};

/*
 * Where several rules match a call the strictest action holds, as if each rule were a filter of
 * its own (seccomp(2)); of two errnos the first in the file. Where none matches: the default.
 */
struct profile {
	uint32_t default_action;
	uint32_t flags; /* SECCOMP_FILTER_FLAG_LOG, _SPEC_ALLOW */
	uint32_t abis;	/* bit N: enum policy_abi N is filtered; the native one always. Calls
			   through any other kill the process */
	struct profile_rule *rules;
	size_t n_rules;
	char (*names)[PROFILE_NAME_MAX];
	size_t n_names;
};

/*
 * Reads a profile for a context. Returns 0, with the profile the caller's to finish, or -EINVAL
 * (INVALID_ARGUMENT) with the place in the message and as the error's subject: a line for a fault
 * of syntax, a path such as "syscalls[3].args[0].op" for one of meaning. Reasons:
 * POLICY_SYNTAX, POLICY_INVALID, POLICY_UNSUPPORTED (a listener or tracer), POLICY_TOO_LARGE.
 */
int profile_parse(const char *text, size_t size, const struct policy_context *context,
	struct profile *ret, struct err *err);

/* Frees what a profile holds; an all-zero profile is fine. */
void profile_finish(struct profile *p);

/*
 * For whom a profile is read: the host's native ABI and kernel, and the capabilities that the
 * container has. Engine extensions of a profile (archMap, includes, excludes) depend on them.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* The system call ABIs that a host Croft runs on may offer. */
enum policy_abi {
	POLICY_ABI_X86_64,
	POLICY_ABI_X86,
	POLICY_ABI_X32,
	POLICY_ABI_AARCH64,
	POLICY_ABI_ARM,
	POLICY_ABI_N,
};

struct policy_abi_info {
	const char *name;	/* in profiles: "SCMP_ARCH_X86_64" */
	const char *go_name;	/* in includes and excludes: "amd64" */
	uint32_t scmp;		/* libseccomp's token */
	uint32_t audit;		/* struct seccomp_data's arch; x32 shares x86-64's */
	enum policy_abi native; /* the native ABI of the hosts that offer it */
};

struct policy_context {
	enum policy_abi native;
	uint64_t caps; /* bit N is capability N of linux/capability.h */
	uint32_t kernel_major;
	uint32_t kernel_minor;
};

/* The row of an ABI; abi must be below POLICY_ABI_N. */
const struct policy_abi_info *policy_abi_info(enum policy_abi abi);

/*
 * This host, with the capabilities of an ordinary container (all but those that reach the host
 * itself). Returns 0, or -EOPNOTSUPP on a machine that Croft has no tables for.
 */
int policy_context_init(struct policy_context *ret, struct err *err);

/* The number of a capability ("CAP_SYS_ADMIN"), or -1. */
int policy_cap_number(const char *name);

/* Reads "CAP_A,CAP_B" ("" is none) into a mask. Returns 0 or -EINVAL naming the unknown one. */
int policy_caps_parse(const char *list, uint64_t *ret_caps, struct err *err);

/* Reads "6" or "6.1" (what follows a second number is ignored in a kernel's release). */
bool policy_kernel_parse(const char *text, bool release, uint32_t *ret_major, uint32_t *ret_minor);

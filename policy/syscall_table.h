/* Numbers of system calls, per ABI. */
#pragma once

#include "policy/context.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The number of a system call in an ABI (x32's with its bit 30). Returns 0; -ENOENT when the name
 * is known but the ABI has no such call of its own; -EINVAL when nobody knows the name.
 */
int syscall_number(enum policy_abi abi, const char *name, uint32_t *ret_number);

/* How an ABI reaches a call through another one, by its first argument: socketcall(2), ipc(2). */
struct syscall_detour {
	uint32_t number; /* of socketcall or ipc */
	uint32_t mask;	 /* of the argument */
	uint32_t call;	 /* what the masked argument is for this call */
};

/* Returns whether there is such a way (i386 only), with ret. */
bool syscall_detour(enum policy_abi abi, const char *name, struct syscall_detour *ret);

/* The name of a native call, or NULL. The caller frees it. */
char *syscall_name(enum policy_abi abi, uint32_t number);

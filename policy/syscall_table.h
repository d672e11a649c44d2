/* Numbers of system calls, per ABI. */
#pragma once

#include "policy/context.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The number of a system call in an ABI (x32's with its bit 30). Returns 0; -ENOENT when the name
 * is known but the ABI has no such call (its calls through socketcall(2) or ipc(2) do not count:
 * a profile names those two itself); -EINVAL when nobody knows the name.
 */
int syscall_number(enum policy_abi abi, const char *name, uint32_t *ret_number);

/* The name of a native call, or NULL. The caller frees it. */
char *syscall_name(enum policy_abi abi, uint32_t number);

/*
 * Names to numbers: libseccomp's tables, and the calls that are younger than the oldest library
 * Croft runs with. Never guesses: a name that is in neither is reported as unknown.
 */
#include "policy/syscall_table.h"

#include "base/cleanup.h"

#include <seccomp.h>
#include <string.h>

#define X32_BIT 0x40000000u /* __X32_SYSCALL_BIT of asm/unistd.h */

/*
 * Since 5.1 a new call has one number on every architecture here (the kernel's
 * scripts/syscall.tbl). Debian 12's library stops at 456.
 */
static const struct {
	const char *name;
	uint32_t number;
} recent[] = {
	{"cachestat", 451},
	{"fchmodat2", 452},
	{"map_shadow_stack", 453},
	{"futex_wake", 454},
	{"futex_wait", 455},
	{"futex_requeue", 456},
	{"statmount", 457},
	{"listmount", 458},
	{"lsm_get_self_attr", 459},
	{"lsm_set_self_attr", 460},
	{"lsm_list_modules", 461},
	{"mseal", 462},
	{"setxattrat", 463},
	{"getxattrat", 464},
	{"listxattrat", 465},
	{"removexattrat", 466},
	{"open_tree_attr", 467},
	{"file_getattr", 468},
	{"file_setattr", 469},
};

int syscall_number(enum policy_abi abi, const char *name, uint32_t *ret_number)
{
	int n = seccomp_syscall_resolve_name_arch(policy_abi_info(abi)->scmp, name);

	if (n >= 0) {
		*ret_number = (uint32_t)n;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(recent); i++) {
		if (strcmp(recent[i].name, name) != 0)
			continue;
		*ret_number = recent[i].number | (abi == POLICY_ABI_X32 ? X32_BIT : 0);
		return 0;
	}
	/* Other negative numbers are libseccomp's marks for "on some other architecture". */
	return n == __NR_SCMP_ERROR ? -EINVAL : -ENOENT;
}

char *syscall_name(enum policy_abi abi, uint32_t number)
{
	for (size_t i = 0; i < ARRAY_SIZE(recent); i++)
		if (recent[i].number == number)
			return strdup(recent[i].name);
	return seccomp_syscall_resolve_num_arch(policy_abi_info(abi)->scmp, (int)number);
}

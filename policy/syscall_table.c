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

/*
 * i386 has some calls twice: by a number of their own (0 where they have none) and through
 * socketcall or ipc (linux/net.h, linux/ipc.h). libseccomp gives no number for these.
 */
#define SOCKETCALL 102u
#define IPC	   117u

static const struct {
	const char *name;
	uint32_t number;
	uint32_t through;
	uint32_t call;
} doubled[] = {
	{"socket", 359, SOCKETCALL, 1},
	{"bind", 361, SOCKETCALL, 2},
	{"connect", 362, SOCKETCALL, 3},
	{"listen", 363, SOCKETCALL, 4},
	{"accept", 0, SOCKETCALL, 5},
	{"getsockname", 367, SOCKETCALL, 6},
	{"getpeername", 368, SOCKETCALL, 7},
	{"socketpair", 360, SOCKETCALL, 8},
	{"send", 0, SOCKETCALL, 9},
	{"recv", 0, SOCKETCALL, 10},
	{"sendto", 369, SOCKETCALL, 11},
	{"recvfrom", 371, SOCKETCALL, 12},
	{"shutdown", 373, SOCKETCALL, 13},
	{"setsockopt", 366, SOCKETCALL, 14},
	{"getsockopt", 365, SOCKETCALL, 15},
	{"sendmsg", 370, SOCKETCALL, 16},
	{"recvmsg", 372, SOCKETCALL, 17},
	{"accept4", 364, SOCKETCALL, 18},
	{"recvmmsg", 337, SOCKETCALL, 19},
	{"sendmmsg", 345, SOCKETCALL, 20},
	{"semop", 0, IPC, 1},
	{"semget", 393, IPC, 2},
	{"semctl", 394, IPC, 3},
	{"semtimedop", 0, IPC, 4},
	{"msgsnd", 400, IPC, 11},
	{"msgrcv", 401, IPC, 12},
	{"msgget", 399, IPC, 13},
	{"msgctl", 402, IPC, 14},
	{"shmat", 397, IPC, 21},
	{"shmdt", 398, IPC, 22},
	{"shmget", 395, IPC, 23},
	{"shmctl", 396, IPC, 24},
};

static size_t find_doubled(enum policy_abi abi, const char *name)
{
	size_t i = 0;

	if (abi != POLICY_ABI_X86)
		return ARRAY_SIZE(doubled);
	while (i < ARRAY_SIZE(doubled) && strcmp(doubled[i].name, name) != 0)
		i++;
	return i;
}

bool syscall_detour(enum policy_abi abi, const char *name, struct syscall_detour *ret)
{
	size_t i = find_doubled(abi, name);

	if (i == ARRAY_SIZE(doubled))
		return false;
	/* ipc's upper half is a version. */
	*ret = (struct syscall_detour){doubled[i].through,
		doubled[i].through == IPC ? 0xffffu : 0xffffffffu, doubled[i].call};
	return true;
}

int syscall_number(enum policy_abi abi, const char *name, uint32_t *ret_number)
{
	size_t i = find_doubled(abi, name);
	int n;

	if (i < ARRAY_SIZE(doubled)) {
		*ret_number = doubled[i].number;
		return doubled[i].number ? 0 : -ENOENT;
	}
	n = seccomp_syscall_resolve_name_arch(policy_abi_info(abi)->scmp, name);
	if (n >= 0) {
		*ret_number = (uint32_t)n;
		return 0;
	}
	for (i = 0; i < ARRAY_SIZE(recent); i++) {
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

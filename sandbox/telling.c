/*
 * See telling.h. A prologue is put before the policy, so that what follows is word for word what
 * was checked. Which calls it refuses is read from the program itself: a profile of any origin
 * means what it says, and a call that it allows is never touched.
 */
#include "sandbox/telling.h"

#include "base/syscall_filter.h"
#include "base/telltale.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define PROLOGUE_MAX (5u + TELLTALE_N)

/* False for what is not known before the call is made: its arguments. */
static bool load(uint32_t *a, uint32_t offset, int number)
{
	if (offset == offsetof(struct seccomp_data, arch))
		*a = SYSCALL_FILTER_ARCH;
	else if (offset == offsetof(struct seccomp_data, nr))
		*a = (uint32_t)number;
	else
		return false;
	return true;
}

static bool jumps(uint32_t a, const struct sock_filter *in)
{
	switch (BPF_OP(in->code)) {
	case BPF_JEQ:
		return a == in->k;
	case BPF_JGT:
		return a > in->k;
	default:
		return a >= in->k;
	}
}

/* What becomes of a call of the native ABI whatever its arguments; false: it depends on them. */
static bool action_of(const struct sock_filter *program, size_t n, int number, uint32_t *ret)
{
	uint32_t a = 0;

	for (size_t i = 0; i < n; i++) {
		const struct sock_filter *in = &program[i];

		switch (BPF_CLASS(in->code)) {
		case BPF_RET:
			*ret = in->k;
			return BPF_RVAL(in->code) == BPF_K;
		case BPF_LD:
			if (!load(&a, in->k, number))
				return false;
			break;
		case BPF_JMP:
			if (BPF_OP(in->code) == BPF_JA)
				i += in->k;
			else
				i += jumps(a, in) ? in->jt : in->jf;
			break;
		default:
			return false;
		}
	}
	return false;
}

static bool is_let_through(const struct sock_filter *program, size_t n, int number)
{
	uint32_t action;

	return action_of(program, n, number, &action) &&
	       (action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG);
}

uint64_t telling_set(const struct sock_filter *program, size_t n)
{
	uint64_t set = 0;
	uint32_t action;

	if (!is_let_through(program, n, SYS_sendmsg))
		return 0;
	for (enum telltale call = 0; call < TELLTALE_N; call++)
		if (action_of(program, n, telltale_row(call)->number, &action) &&
			action == (SECCOMP_RET_ERRNO | EPERM))
			set |= UINT64_C(1) << call;
	return set;
}

/*
 *	load the ABI; another than ours: to the policy
 *	load the call; if it is one of the set: to the return
 *	to the policy
 *	return: ask the listener
 */
static size_t make_prologue(uint64_t set, struct sock_filter out[static PROLOGUE_MAX])
{
	uint8_t left = (uint8_t)__builtin_popcountll(set);
	size_t n = 0;

	out[n++] = (struct sock_filter){
		BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch)};
	out[n++] = (struct sock_filter){
		BPF_JMP | BPF_JEQ | BPF_K, 0, (uint8_t)(left + 3), SYSCALL_FILTER_ARCH};
	out[n++] = (struct sock_filter){
		BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)};
	for (enum telltale call = 0; call < TELLTALE_N; call++)
		if (set >> call & 1)
			out[n++] = (struct sock_filter){BPF_JMP | BPF_JEQ | BPF_K, left--, 0,
				(uint32_t)telltale_row(call)->number};
	out[n++] = (struct sock_filter){BPF_JMP | BPF_JA, 0, 0, 1};
	out[n++] = (struct sock_filter){BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF};
	return n;
}

int telling_make(const struct sock_filter *program, size_t n, uint64_t set,
	struct sock_filter **ret, unsigned short *ret_n)
{
	struct sock_filter prologue[PROLOGUE_MAX];
	size_t n_prologue = make_prologue(set, prologue);
	struct sock_filter *made;

	if (n_prologue + n > BPF_MAXINSNS)
		return -E2BIG;
	made = calloc(n_prologue + n, sizeof(*made));
	if (!made)
		return -ENOMEM;
	memcpy(made, prologue, n_prologue * sizeof(*made));
	memcpy(made + n_prologue, program, n * sizeof(*made));
	*ret = made;
	*ret_n = (unsigned short)(n_prologue + n);
	return 0;
}

/*
 * The supervisor's side of croft-policy's output. It trusts nothing in it: the worker parsed a
 * file, so its output is treated as hostile. Never allocates and never parses JSON.
 */
#include "policy/format.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>

static int invalid(struct err *err, const char *what)
{
	return err_set(err, ERR_DATA_LOSS, "POLICY_OUTPUT_INVALID",
		"the policy compiler's output is not usable (%s)", what);
}

static int return_check(uint32_t value, struct err *err)
{
	switch (value & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_KILL_PROCESS:
	case SECCOMP_RET_KILL_THREAD:
	case SECCOMP_RET_TRAP:
	case SECCOMP_RET_ERRNO:
	case SECCOMP_RET_LOG:
	case SECCOMP_RET_ALLOW:
		return 0;
	}
	return invalid(err, "an action that Croft does not use");
}

static int instruction_check(const struct sock_filter *in, size_t left, struct err *err)
{
	switch (in->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		if (in->k % 4 != 0 || in->k > sizeof(struct seccomp_data) - 4)
			return invalid(err, "a load outside the call's data");
		return left > 0 ? 0 : invalid(err, "no return at the end");
	case BPF_ALU | BPF_AND | BPF_K:
		return left > 0 ? 0 : invalid(err, "no return at the end");
	case BPF_JMP | BPF_JA:
		return in->k < left ? 0 : invalid(err, "a jump past the end");
	case BPF_JMP | BPF_JEQ | BPF_K:
	case BPF_JMP | BPF_JGT | BPF_K:
	case BPF_JMP | BPF_JGE | BPF_K:
		return in->jt < left && in->jf < left ? 0 : invalid(err, "a jump past the end");
	case BPF_RET | BPF_K:
		return return_check(in->k, err);
	}
	return invalid(err, "an instruction that Croft does not use");
}

int policy_program_check(const struct sock_filter *program, size_t n, struct err *err)
{
	if (n == 0 || n > POLICY_INSTRUCTIONS_MAX)
		return invalid(err, "no program, or one that is too long");
	for (size_t i = 0; i < n; i++) {
		int r = instruction_check(&program[i], n - i - 1, err);

		if (r < 0)
			return r;
	}
	return 0;
}

int policy_output_check(const void *data, size_t size, struct policy_header *ret_header,
	const struct sock_filter **ret_program, struct err *err)
{
	const struct sock_filter *program;
	struct policy_header h;
	int r;

	if (size < sizeof(h))
		return invalid(err, "too short");
	memcpy(&h, data, sizeof(h));
	if (h.magic != POLICY_FORMAT_MAGIC || h.version != POLICY_FORMAT_VERSION || h.reserved != 0)
		return invalid(err, "another format");
	if (h.err.code != ERR_OK) {
		r = err_sanitize(&h.err);
		if (err)
			*err = h.err;
		return r < 0 ? r : -EBADMSG;
	}
	if (h.n_instructions == 0 || h.n_instructions > POLICY_INSTRUCTIONS_MAX ||
		size - sizeof(h) != h.n_instructions * sizeof(struct sock_filter))
		return invalid(err, "a wrong size");
	if (h.flags & ~(uint32_t)(SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW))
		return invalid(err, "unknown flags");
	program = (const struct sock_filter *)((const char *)data + sizeof(h));
	r = policy_program_check(program, h.n_instructions, err);
	if (r < 0)
		return r;
	*ret_header = h;
	*ret_program = program;
	return 0;
}

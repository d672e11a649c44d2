/*
 * A program's own system call filter; see syscall_filter.h.
 */
#include "base/syscall_filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LOW_WORD 0
#else
#define LOW_WORD 4
#endif

#define INSTRUCTIONS_MAX (8 + 2 * SYSCALL_FILTER_CALLS_MAX + 6 * SYSCALL_FILTER_RULES_MAX)

struct program {
	struct sock_filter code[INSTRUCTIONS_MAX];
	unsigned short n;
};

static void emit(struct program *p, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	p->code[p->n++] = (struct sock_filter){code, jt, jf, k};
}

static void emit_load(struct program *p, size_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void emit_return(struct program *p, uint32_t action)
{
	emit(p, BPF_RET | BPF_K, action, 0, 0);
}

static void emit_rule(struct program *p, const struct syscall_rule *rule)
{
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)rule->number, 0, 5);
	emit_load(p,
		offsetof(struct seccomp_data, args) + rule->argument * sizeof(uint64_t) + LOW_WORD);
	emit(p, BPF_ALU | BPF_AND | BPF_K, rule->mask, 0, 0);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, rule->value, 0, 1);
	emit_return(p, SECCOMP_RET_ALLOW);
	emit_return(p, SECCOMP_RET_ERRNO | EPERM);
}

static void build(struct program *p, const struct syscall_filter *filter)
{
	emit_load(p, offsetof(struct seccomp_data, arch));
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, SYSCALL_FILTER_ARCH, 1, 0);
	emit_return(p, SECCOMP_RET_KILL_PROCESS);
	emit_load(p, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < filter->n_calls; i++) {
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)filter->calls[i], 0, 1);
		emit_return(p, SECCOMP_RET_ALLOW);
	}
	for (size_t i = 0; i < filter->n_rules; i++)
		emit_rule(p, &filter->rules[i]);
	emit_return(p, SECCOMP_RET_ERRNO | (uint32_t)filter->error);
}

int syscall_filter_load(const struct syscall_filter *filter, struct err *err)
{
	struct program program = {.n = 0};
	struct sock_fprog fprog = {.filter = program.code};

	if (filter->n_calls > SYSCALL_FILTER_CALLS_MAX ||
		filter->n_rules > SYSCALL_FILTER_RULES_MAX)
		return err_sys(err, E2BIG, "build a system call filter");
	build(&program, filter);
	fprog.len = program.n;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &fprog) < 0)
		return err_sys(err, errno, "load a system call filter");
	return 0;
}

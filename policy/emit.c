/*
 * Instructions for compile.c; see emit.h. Code is written forwards and every jump is relative and
 * lands in the same block, so that a block may be moved whole.
 */
#include "policy/emit.h"

#include <endian.h>
#include <linux/seccomp.h>
#include <string.h>

/* The widest jump of a conditional instruction. */
#define JUMP_MAX 255u
/* Marks a jump of a condition to "the rule does not match" until the rule's end is known. */
#define TO_FAIL 255u

static void emit(struct emitter *e, uint16_t code, size_t jt, size_t jf, uint32_t k)
{
	if (e->n == POLICY_INSTRUCTIONS_MAX) {
		e->full = true;
		return;
	}
	e->insns[e->n++] = (struct sock_filter){code, (uint8_t)jt, (uint8_t)jf, k};
}

void emit_load(struct emitter *e, uint32_t offset)
{
	emit(e, BPF_LD | BPF_W | BPF_ABS, 0, 0, offset);
}

void emit_return(struct emitter *e, uint32_t action)
{
	emit(e, BPF_RET | BPF_K, 0, 0, action);
}

/* Until it lands, a branch holds 1 in the side that leaves the block. */
size_t emit_branch(struct emitter *e, uint16_t op, uint32_t k)
{
	emit(e, (uint16_t)(BPF_JMP | op | BPF_K), 1, 0, k);
	return e->n - 1;
}

size_t emit_branch_not(struct emitter *e, uint16_t op, uint32_t k)
{
	emit(e, (uint16_t)(BPF_JMP | op | BPF_K), 0, 1, k);
	return e->n - 1;
}

void emit_land(struct emitter *e, size_t branch)
{
	size_t size = e->n - branch - 1;
	struct sock_filter *b = &e->insns[branch];

	if (e->full)
		return;
	if (size <= JUMP_MAX) {
		if (b->jt)
			b->jt = (uint8_t)size;
		else
			b->jf = (uint8_t)size;
		return;
	}
	/* Too far for eight bits: the leaving side goes to a long jump, the other one over it. */
	emit_return(e, 0);
	if (e->full)
		return;
	memmove(b + 2, b + 1, size * sizeof(*b));
	b[1] = (struct sock_filter){BPF_JMP | BPF_JA, 0, 0, (uint32_t)size};
	b->jt = !b->jt;
	b->jf = !b->jf;
}

static uint32_t arg_offset(uint32_t arg, bool high)
{
	bool second = high == (__BYTE_ORDER == __LITTLE_ENDIAN);

	return (uint32_t)(offsetof(struct seccomp_data, args) + arg * sizeof(uint64_t)) +
	       (second ? 4u : 0u);
}

static void emit_compare(struct emitter *e, uint16_t op, uint32_t k, size_t jt, size_t jf)
{
	emit(e, (uint16_t)(BPF_JMP | op | BPF_K), jt, jf, k);
}

/* Compares high words first; where they are equal the low words decide. */
static void emit_cond(struct emitter *e, const struct profile_cond *c)
{
	uint32_t high = (uint32_t)(c->value >> 32), low = (uint32_t)c->value;

	emit_load(e, arg_offset(c->arg, true));
	switch (c->op) {
	case PROFILE_OP_EQ:
		emit_compare(e, BPF_JEQ, high, 0, TO_FAIL);
		emit_load(e, arg_offset(c->arg, false));
		emit_compare(e, BPF_JEQ, low, 0, TO_FAIL);
		break;
	case PROFILE_OP_NE:
		emit_compare(e, BPF_JEQ, high, 0, 2);
		emit_load(e, arg_offset(c->arg, false));
		emit_compare(e, BPF_JEQ, low, TO_FAIL, 0);
		break;
	case PROFILE_OP_GT:
	case PROFILE_OP_GE:
		emit_compare(e, BPF_JGT, high, 3, 0);
		emit_compare(e, BPF_JEQ, high, 0, TO_FAIL);
		emit_load(e, arg_offset(c->arg, false));
		emit_compare(e, c->op == PROFILE_OP_GT ? BPF_JGT : BPF_JGE, low, 0, TO_FAIL);
		break;
	case PROFILE_OP_LT:
	case PROFILE_OP_LE:
		emit_compare(e, BPF_JGT, high, TO_FAIL, 0);
		emit_compare(e, BPF_JEQ, high, 0, 2);
		emit_load(e, arg_offset(c->arg, false));
		emit_compare(e, c->op == PROFILE_OP_LT ? BPF_JGE : BPF_JGT, low, TO_FAIL, 0);
		break;
	case PROFILE_OP_MASKED_EQ:
		emit(e, BPF_ALU | BPF_AND | BPF_K, 0, 0, high);
		emit_compare(e, BPF_JEQ, (uint32_t)(c->want >> 32), 0, TO_FAIL);
		emit_load(e, arg_offset(c->arg, false));
		emit(e, BPF_ALU | BPF_AND | BPF_K, 0, 0, low);
		emit_compare(e, BPF_JEQ, (uint32_t)c->want, 0, TO_FAIL);
		break;
	}
}

void emit_rule(struct emitter *e, const struct profile_rule *rule)
{
	size_t start = e->n;

	/* At most PROFILE_CONDS_MAX * 6 instructions: the end is always within a jump. */
	for (size_t i = 0; i < rule->n_conds; i++)
		emit_cond(e, &rule->conds[i]);
	emit_return(e, rule->action);
	for (size_t i = start; i < e->n; i++) {
		struct sock_filter *in = &e->insns[i];

		if (BPF_CLASS(in->code) != BPF_JMP)
			continue;
		if (in->jt == TO_FAIL)
			in->jt = (uint8_t)(e->n - i - 1);
		if (in->jf == TO_FAIL)
			in->jf = (uint8_t)(e->n - i - 1);
	}
}

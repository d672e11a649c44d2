/* Writing classic BPF: a bounded buffer, and the comparisons of seccomp arguments. */
#pragma once

#include "policy/format.h"
#include "policy/profile.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct emitter {
	struct sock_filter insns[POLICY_INSTRUCTIONS_MAX];
	size_t n;
	bool full; /* sticky: something did not fit, and the program is useless */
};

void emit_load(struct emitter *e, uint32_t offset); /* a word of struct seccomp_data */
void emit_return(struct emitter *e, uint32_t action);

/*
 * "if (A <op> k) goto the code after the block; else run the block". Call emit_branch() before
 * writing the block and emit_land() with its result after it. op is BPF_JGE or BPF_JEQ.
 * emit_branch_not() runs the block when the comparison holds, and skips it when not.
 */
size_t emit_branch(struct emitter *e, uint16_t op, uint32_t k);
size_t emit_branch_not(struct emitter *e, uint16_t op, uint32_t k);
void emit_land(struct emitter *e, size_t branch);

/* "if all conditions hold, return action"; otherwise goes on after it. Overwrites A. */
void emit_rule(struct emitter *e, const struct profile_rule *rule);

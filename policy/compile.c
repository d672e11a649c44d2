/*
 * Profiles to BPF; see compile.h. libseccomp gives the numbers of calls; the code is written here,
 * because its version in Debian 12 merges comparisons of one argument wrongly, some of them open
 * (docs/adr/0020). A rule is never dropped without a warning.
 */
#include "policy/compile.h"

#include "base/cleanup.h"
#include "policy/action.h"
#include "policy/emit.h"
#include "policy/syscall_table.h"

#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>

#define X32_FIRST    0x40000000u
#define SKIPPED_CALL 0xffffffffu /* the number a tracer sets to skip a call (seccomp(2)) */

/* One rule for one call. */
struct use {
	uint32_t number;
	const struct profile_rule *rule;
};

/* Calls from `first` up to the next range's: one action, after rules that look at arguments. */
struct range {
	uint32_t first;
	uint32_t action;
	const struct use *uses;
	size_t n_uses;
};

struct compiler {
	const struct profile *p;
	struct compiled *out;
	struct emitter *e;
	struct use *uses; /* of one section */
	size_t n_uses;
	struct profile_rule *detours; /* rules made for socketcall and ipc */
	size_t n_detours;
	struct range *ranges;
	size_t n_ranges;
};

static void cleanup_compiler(struct compiler *c)
{
	compiled_destroy(c->out);
	free(c->e);
	free(c->uses);
	free(c->detours);
	free(c->ranges);
}

void compiled_destroy(struct compiled *c)
{
	if (c)
		free(c->program);
	free(c);
}

static void warn(struct compiler *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void warn(struct compiler *c, const char *fmt, ...)
{
	struct compiled *out = c->out;
	va_list ap;

	if (out->n_warnings < COMPILE_WARNINGS_MAX) {
		va_start(ap, fmt);
		vsnprintf(out->warnings[out->n_warnings], COMPILE_WARNING_MAX, fmt, ap);
		va_end(ap);
	}
	out->n_warnings++;
}

/* By number, then the strictest first, then as in the file. */
static int compare_uses(const void *va, const void *vb)
{
	const struct use *a = va, *b = vb;

	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	if (action_is_stricter(a->rule->action, b->rule->action))
		return -1;
	if (action_is_stricter(b->rule->action, a->rule->action))
		return 1;
	return a->rule->entry < b->rule->entry ? -1 : a->rule->entry > b->rule->entry;
}

/*
 * A refused call stays refused through socketcall or ipc. An allowed one is not allowed by them
 * too: whoever wants that names the two. Conditions cannot follow, the arguments are in memory.
 */
static void collect_detour(
	struct compiler *c, enum policy_abi abi, const char *name, const struct profile_rule *rule)
{
	struct syscall_detour way;
	struct profile_rule *made;

	if (!action_is_stricter(rule->action, SECCOMP_RET_LOG) || !syscall_detour(abi, name, &way))
		return;
	if (rule->n_conds > 0) {
		warn(c,
			"syscalls[%u]: its conditions on %s cannot be checked for 32-bit calls "
			"through call %u",
			rule->entry, name, way.number);
		return;
	}
	made = &c->detours[c->n_detours++];
	*made = *rule;
	made->n_conds = 1;
	made->conds[0] = (struct profile_cond){0, PROFILE_OP_MASKED_EQ, way.mask, way.call};
	c->uses[c->n_uses++] = (struct use){way.number, made};
}

static void collect_uses(struct compiler *c, enum policy_abi abi, bool native)
{
	for (size_t i = 0; i < c->p->n_rules; i++) {
		const struct profile_rule *rule = &c->p->rules[i];

		for (size_t k = 0; k < rule->n_names; k++) {
			const char *name = c->p->names[rule->first_name + k];
			uint32_t number = 0;
			int r = syscall_number(abi, name, &number);

			if (r == 0)
				c->uses[c->n_uses++] = (struct use){number, rule};
			else if (r == -EINVAL && native)
				warn(c,
					"syscalls[%u]: \"%s\" is no system call that Croft knows; "
					"the name is skipped",
					rule->entry, name);
			collect_detour(c, abi, name, rule);
		}
	}
}

static void push_range(struct compiler *c, struct range r)
{
	struct range *last = c->n_ranges ? &c->ranges[c->n_ranges - 1] : NULL;

	if (last && last->first == r.first)
		*last = r;
	else
		c->ranges[c->n_ranges++] = r;
	/* Join with the range before, when both do the same at once. */
	if (c->n_ranges >= 2) {
		const struct range *a = &c->ranges[c->n_ranges - 2], *b = a + 1;

		if (a->n_uses == 0 && b->n_uses == 0 && a->action == b->action)
			c->n_ranges--;
	}
}

static void warn_of_void(
	struct compiler *c, enum policy_abi abi, const struct use *holds, const struct use *idle)
{
	char action[ACTION_TEXT_MAX];
	_cleanup_free_ char *name = syscall_name(abi, holds->number);

	warn(c, "syscalls[%u]: has no effect on %s, because syscalls[%u] is stricter (%s)",
		idle->rule->entry, name ? name : "a call", holds->rule->entry,
		action_format(holds->rule->action, action));
}

static void count(struct compile_counts *counts, const struct range *r)
{
	switch (r->action & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
		counts->allow++;
		break;
	case SECCOMP_RET_LOG:
		counts->log++;
		break;
	case SECCOMP_RET_ERRNO:
		counts->refuse++;
		break;
	default:
		counts->kill++;
	}
}

/*
 * The rules of one call, strictest first: those up to the first without conditions count, and that
 * one (or the default) is what happens when no condition holds.
 */
static struct range call_range(
	struct compiler *c, enum policy_abi abi, bool native, const struct use *uses, size_t n)
{
	struct range r = {uses[0].number, c->p->default_action, uses, 0};

	while (r.n_uses < n && uses[r.n_uses].rule->n_conds > 0)
		r.n_uses++;
	if (r.n_uses < n) {
		const struct use *plain = &uses[r.n_uses];

		r.action = plain->rule->action;
		for (size_t i = r.n_uses + 1; native && i < n; i++)
			if (uses[i].rule->action != r.action)
				warn_of_void(c, abi, plain, &uses[i]);
	}
	/* Conditions whose outcome is what happens anyway need no code. */
	while (r.n_uses > 0 && uses[r.n_uses - 1].rule->action == r.action)
		r.n_uses--;
	if (native && r.n_uses > 0)
		c->out->counts.conditional++;
	else if (native)
		count(&c->out->counts, &r);
	return r;
}

static void build_ranges(struct compiler *c, enum policy_abi abi, bool has_x32)
{
	const struct range rest = {0, c->p->default_action, NULL, 0};
	struct range next = rest;

	c->n_ranges = 0;
	push_range(c, rest);
	for (size_t i = 0, n; i < c->n_uses; i += n) {
		bool native = policy_abi_info(abi)->native == abi && c->uses[i].number < X32_FIRST;

		for (n = 1; i + n < c->n_uses && c->uses[i + n].number == c->uses[i].number; n++)
			;
		push_range(c, call_range(c, abi, native, &c->uses[i], n));
		next.first = c->uses[i].number + 1;
		push_range(c, next);
	}
	if (abi == POLICY_ABI_X86_64 && !has_x32) {
		push_range(c, (struct range){X32_FIRST, SECCOMP_RET_KILL_PROCESS, NULL, 0});
		next.first = SKIPPED_CALL;
		push_range(c, next);
	}
}

static void emit_tree(struct emitter *e, const struct range *ranges, size_t n)
{
	size_t middle = n / 2;
	size_t branch;

	if (n == 1) {
		for (size_t i = 0; i < ranges[0].n_uses; i++)
			emit_rule(e, ranges[0].uses[i].rule);
		emit_return(e, ranges[0].action);
		return;
	}
	if (e->full)
		return;
	branch = emit_branch(e, BPF_JGE, ranges[middle].first);
	emit_tree(e, ranges, middle);
	emit_land(e, branch);
	emit_tree(e, ranges + middle, n - middle);
}

/* The section of an ABI (x86-64 takes x32 along: the kernel reports both as one architecture). */
static void emit_section(struct compiler *c, enum policy_abi abi, bool native)
{
	bool has_x32 = c->p->abis & 1u << POLICY_ABI_X32;
	size_t branch = emit_branch_not(c->e, BPF_JEQ, policy_abi_info(abi)->audit);

	c->n_uses = 0;
	collect_uses(c, abi, native);
	if (abi == POLICY_ABI_X86_64 && has_x32)
		collect_uses(c, POLICY_ABI_X32, false);
	qsort(c->uses, c->n_uses, sizeof(c->uses[0]), compare_uses);
	build_ranges(c, abi, has_x32);
	emit_load(c->e, offsetof(struct seccomp_data, nr));
	emit_tree(c->e, c->ranges, c->n_ranges);
	emit_land(c->e, branch);
}

static int compiler_init(struct compiler *c, struct err *err)
{
	/*
	 * A section holds each name twice at most (x86-64 and x32; i386 and its detour), and a call
	 * makes two ranges. Only one section, i386's, has detours.
	 */
	size_t uses_max = 2 * c->p->n_names;

	c->out = calloc(1, sizeof(*c->out));
	c->e = calloc(1, sizeof(*c->e));
	c->uses = calloc(uses_max + 1, sizeof(c->uses[0]));
	c->detours = calloc(c->p->n_names + 1, sizeof(c->detours[0]));
	c->ranges = calloc(2 * uses_max + 4, sizeof(c->ranges[0]));
	return c->out && c->e && c->uses && c->detours && c->ranges ? 0 : err_oom(err);
}

int compile_profile(const struct profile *p, const struct policy_context *context,
	struct compiled **ret, struct err *err)
{
	_cleanup_(cleanup_compiler) struct compiler c = {.p = p};
	int r = compiler_init(&c, err);

	if (r < 0)
		return r;
	c.out->flags = p->flags;
	emit_load(c.e, offsetof(struct seccomp_data, arch));
	emit_section(&c, context->native, true);
	for (unsigned i = 0; i < POLICY_ABI_N; i++)
		if (p->abis >> i & 1 && i != context->native && i != POLICY_ABI_X32)
			emit_section(&c, (enum policy_abi)i, false);
	emit_return(c.e, SECCOMP_RET_KILL_PROCESS);
	if (c.e->full)
		return err_set(err, ERR_INVALID_ARGUMENT, "POLICY_TOO_LARGE",
			"the compiled profile is longer than the %u instructions that the kernel "
			"takes; use fewer conditions or architectures",
			POLICY_INSTRUCTIONS_MAX);
	c.out->program = calloc(c.e->n, sizeof(c.e->insns[0]));
	if (!c.out->program)
		return err_oom(err);
	memcpy(c.out->program, c.e->insns, c.e->n * sizeof(c.e->insns[0]));
	c.out->n = c.e->n;
	*ret = take_ptr(c.out);
	return 0;
}

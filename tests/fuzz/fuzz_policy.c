/*
 * Fuzzes the profile parser and the compiler: a text is refused with a sentence, or becomes a
 * program that the supervisor would take and that answers every call. Anything else aborts.
 */
#include "policy/check.h"
#include "policy/format.h"

#include "tests/unit/bpf_interp.h"

#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct compiled *c, uint32_t arch, uint32_t number, uint64_t arg)
{
	struct seccomp_data call = {(int)number, arch, 0, {arg, arg, arg, arg, arg, arg}};
	uint32_t action;

	if (!bpf_run(c->program, c->n, &call, &action))
		abort();
}

static void check_program(const struct compiled *c)
{
	static const uint32_t arches[] = {
		AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM, 0};

	if (policy_program_check(c->program, c->n, NULL) < 0)
		abort();
	for (size_t i = 0; i < sizeof(arches) / sizeof(arches[0]); i++) {
		for (uint32_t number = 0; number < 480; number++) {
			ask(c, arches[i], number, 0);
			ask(c, arches[i], number, UINT64_MAX);
			ask(c, arches[i], number | 0x40000000, number);
		}
		ask(c, arches[i], UINT32_MAX, 0);
	}
}

static void check_error(const struct err *err)
{
	if (err->code == ERR_OK || !err->msg[0] || !memchr(err->msg, '\0', sizeof(err->msg)))
		abort();
	for (const char *p = err->msg; *p; p++)
		if (*p < ' ' || *p > '~')
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum policy_abi natives[] = {POLICY_ABI_X86_64, POLICY_ABI_AARCH64};

	for (size_t i = 0; i < sizeof(natives) / sizeof(natives[0]); i++) {
		struct policy_context context = {natives[i], 0x00000000a80c25fb, 6, 1};
		struct compiled *c = NULL;
		struct err err = {0};

		if (policy_build((const char *)data, size, &context, &c, &err) == 0)
			check_program(c);
		else
			check_error(&err);
		compiled_destroy(c);
	}
	return 0;
}

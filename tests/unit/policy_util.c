/*
 * Shared by the tests of policies; see policy_util.h. Never says that something is fine: each
 * helper fails the running test when its step fails.
 */
#include "tests/unit/policy_util.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>

struct policy_context policy_util_context(void)
{
	return (struct policy_context){
		.native = POLICY_ABI_X86_64,
		.caps = UINT64_C(1) << CAP_SYS_ADMIN,
		.kernel_major = 6,
		.kernel_minor = 1,
	};
}

struct compiled *policy_util_compile(const char *text, const struct policy_context *context)
{
	struct compiled *c = NULL;
	struct err err = {0};

	if (policy_build(text, strlen(text), context, &c, &err) < 0)
		fail_msg("refused: %s", err.msg);
	return c;
}

char *policy_util_read(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = NULL;
	char *grown;
	size_t size = 0;

	if (fd < 0 || policy_read(fd, &text, &size, NULL) < 0)
		return NULL;
	grown = realloc(text, size + 1);
	assert_non_null(grown);
	grown[size] = '\0';
	return grown;
}

uint32_t policy_util_ask(
	const struct compiled *c, uint32_t arch, uint32_t number, const uint64_t args[6])
{
	struct seccomp_data data = {.nr = (int)number, .arch = arch};
	uint32_t action = 0;

	memcpy(data.args, args, sizeof(data.args));
	if (!bpf_run(c->program, c->n, &data, &action))
		fail_msg("the program faults on call %u of %x", number, arch);
	return action;
}

uint32_t policy_util_ask_plain(const struct compiled *c, uint32_t number)
{
	static const uint64_t zero[6];

	return policy_util_ask(c, AUDIT_ARCH_X86_64, number, zero);
}

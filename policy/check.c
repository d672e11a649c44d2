/*
 * A profile from descriptor to summary; see check.h. Says what the compiled program does, never
 * what the file seems to mean.
 */
#include "policy/check.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "policy/profile.h"

#include <stdio.h>
#include <string.h>

static void cleanup_compiled(struct compiled **c)
{
	compiled_destroy(*c);
}

int policy_read(int fd, char **ret_text, size_t *ret_size, struct err *err)
{
	_cleanup_free_ char *text = malloc(PROFILE_BYTES_MAX + 1);
	ssize_t n;

	if (!text)
		return err_oom(err);
	n = fd_read_full(fd, text, PROFILE_BYTES_MAX + 1);
	if (n < 0)
		return err_sys(err, (int)n, "read the profile");
	if (n > PROFILE_BYTES_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "POLICY_TOO_LARGE",
			"a profile may have at most %u KiB", PROFILE_BYTES_MAX >> 10);
	*ret_text = take_ptr(text);
	*ret_size = (size_t)n;
	return 0;
}

int policy_build(const char *text, size_t size, const struct policy_context *context,
	struct compiled **ret, struct err *err)
{
	_cleanup_(profile_finish) struct profile p = {0};
	int r = profile_parse(text, size, context, &p, err);

	return r < 0 ? r : compile_profile(&p, context, ret, err);
}

static void format_abis(uint32_t abis, char out[static POLICY_ABIS_TEXT_MAX])
{
	size_t used = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < POLICY_ABI_N; i++)
		if (abis >> i & 1)
			used += (size_t)snprintf(out + used, POLICY_ABIS_TEXT_MAX - used, "%s%s",
				used ? " " : "", policy_abi_info((enum policy_abi)i)->name);
}

int policy_check(const char *text, size_t size, const struct policy_context *context,
	struct policy_summary *ret, struct err *err)
{
	_cleanup_(profile_finish) struct profile p = {0};
	_cleanup_(cleanup_compiled) struct compiled *c = NULL;
	struct policy_context host;
	int r = 0;

	if (!context) {
		r = policy_context_init(&host, err);
		context = &host;
	}
	if (r == 0)
		r = profile_parse(text, size, context, &p, err);
	if (r == 0)
		r = compile_profile(&p, context, &c, err);
	if (r < 0)
		return r;
	action_format(p.default_action, ret->default_action);
	format_abis(p.abis, ret->abis);
	ret->counts = c->counts;
	ret->flags = c->flags;
	ret->n_instructions = c->n;
	ret->n_warnings = c->n_warnings;
	memcpy(ret->warnings, c->warnings, sizeof(ret->warnings));
	return 0;
}

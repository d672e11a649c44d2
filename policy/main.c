/*
 * croft-policy: one profile on standard input, one compiled program on standard output
 * (policy/format.h), then it ends. It parses, so it must hold nothing: it gives up its rights
 * first, and once the profile is read it can only compute and write.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "policy/check.h"
#include "policy/format.h"
#include "policy/lockdown.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static void cleanup_compiled(struct compiled **c)
{
	compiled_destroy(*c);
}

static int usage(void)
{
	fputs("usage: croft-policy [--caps CAP_A,CAP_B...] < PROFILE > PROGRAM\n"
	      "Compiles a seccomp profile for a container with these capabilities.\n",
		stderr);
	return POLICY_EXIT_USAGE;
}

static int build(const char *caps, struct compiled **ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct policy_context context;
	size_t size = 0;
	int r = lockdown_privileges(err);

	if (r == 0)
		r = policy_context_init(&context, err);
	if (r == 0 && caps)
		r = policy_caps_parse(caps, &context.caps, err);
	if (r < 0)
		return r;
	/* jansson would open the random device at its first object: too late by then. */
	json_object_seed(0);
	r = policy_read(STDIN_FILENO, &text, &size, err);
	if (r == 0)
		r = lockdown_syscalls(&context, err);
	if (r == 0)
		r = policy_build(text, size, &context, ret, err);
	return r;
}

int main(int argc, char **argv)
{
	_cleanup_(cleanup_compiled) struct compiled *c = NULL;
	struct policy_header h = {
		.magic = POLICY_FORMAT_MAGIC,
		.version = POLICY_FORMAT_VERSION,
	};
	const char *caps = NULL;
	int r;

	if (argc == 3 && strcmp(argv[1], "--caps") == 0)
		caps = argv[2];
	else if (argc != 1)
		return usage();
	r = build(caps, &c, &h.err);
	if (r == 0) {
		h.n_instructions = (uint32_t)c->n;
		h.flags = c->flags;
		h.n_warnings = (uint32_t)c->n_warnings;
	}
	if (fd_write_full(STDOUT_FILENO, &h, sizeof(h)) < 0)
		return POLICY_EXIT_USAGE;
	if (r < 0)
		return POLICY_EXIT_REFUSED;
	if (fd_write_full(STDOUT_FILENO, c->program, c->n * sizeof(c->program[0])) < 0)
		return POLICY_EXIT_USAGE;
	return POLICY_EXIT_OK;
}

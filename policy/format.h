/*
 * What croft-policy writes and the supervisor reads: a header of fixed size, then n_instructions
 * times struct sock_filter. Both ends run on one host, so the layout is the compiler's.
 *
 * Needs libc and base only: the supervisor includes this and never sees JSON.
 */
#pragma once

#include "base/err.h"

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_FORMAT_MAGIC   0x43525046u /* "CRPF" */
#define POLICY_FORMAT_VERSION 1u
/* BPF_MAXINSNS of linux/bpf_common.h: the kernel refuses longer programs. */
#define POLICY_INSTRUCTIONS_MAX 4096u

/* croft-policy's exit status; after any other (or a signal) its output means nothing. */
enum policy_exit {
	POLICY_EXIT_OK = 0,	 /* a header with err.code ERR_OK, and the program */
	POLICY_EXIT_REFUSED = 1, /* a header with err set, no program */
	POLICY_EXIT_USAGE = 2,	 /* called wrongly, or the output could not be written */
};

struct policy_header {
	uint32_t magic;
	uint32_t version;
	uint32_t n_instructions; /* 1 to POLICY_INSTRUCTIONS_MAX; 0 when err is set */
	uint32_t flags;		 /* for seccomp(2): SECCOMP_FILTER_FLAG_LOG, _SPEC_ALLOW */
	uint32_t n_warnings;	 /* what `croft policy check` would list */
	uint32_t reserved;	 /* 0 */
	struct err err;		 /* code ERR_OK: a program follows */
};

#define POLICY_OUTPUT_MAX                                                                          \
	(sizeof(struct policy_header) + POLICY_INSTRUCTIONS_MAX * sizeof(struct sock_filter))

/*
 * Checks a worker's whole output, aligned as malloc(3) aligns it: magic, version, exact size, and
 * of each instruction what policy_program_check() says. A header that carries an error gives that
 * error, sanitized. Returns 0 with ret_program pointing into data, or -errno (DATA_LOSS /
 * POLICY_OUTPUT_INVALID).
 */
int policy_output_check(const void *data, size_t size, struct policy_header *ret_header,
	const struct sock_filter **ret_program, struct err *err);

/*
 * Checks that a program holds only instructions that Croft's compiler writes, that every load is
 * of an aligned word of struct seccomp_data, that jumps stay inside and only go forward, that it
 * ends in a return, and that no return asks for a listener or a tracer. The kernel checks most of
 * it again; a listener or tracer it would allow. Returns 0 or -EBADMSG (DATA_LOSS).
 */
int policy_program_check(const struct sock_filter *program, size_t n, struct err *err);

/*
 * What the golden tests of Croft's own policies share. A test says in a table, by number, what its
 * policy refuses; everything else up to the newest known call must be allowed, so that neither a
 * hole nor a missing call passes unseen.
 */
#pragma once

#include "tests/unit/policy_util.h"

#define GOLDEN_EPERM  ERRNO(1)
#define GOLDEN_EINVAL ERRNO(22)
#define GOLDEN_ENOSYS ERRNO(38)
#define GOLDEN_EPROTO ERRNO(93) /* EPROTONOSUPPORT */
#define GOLDEN_EAF    ERRNO(97) /* EAFNOSUPPORT */

/* A call known and refused: EPERM. One that aarch64 lacks has -1 there. */
struct golden_call {
	const char *name;
	int x86_64, aarch64;
};

/* Calls that look as if no kernel had them. */
struct golden_range {
	uint32_t first, last;
};

/* A policy, beside what all of Croft's refuse. */
struct golden {
	const char *file; /* in policy/profiles */
	const struct golden_call *refused;
	size_t n_refused;
	const struct golden_range *absent; /* of x86-64 */
	size_t n_absent;
	/* Their answer depends on the arguments: x86-64's numbers of calls with tests of their own.
	 */
	const int *conditional;
	size_t n_conditional;
};

/* What the upper half of a register may hold where the kernel reads an int or unsigned int. */
extern const uint64_t golden_high_halves[5];

/* Compiles the policy for x86-64 and aarch64; each test program loads one. */
int golden_load(const struct golden *golden);
int golden_unload(void **state);

/* What x86-64's program answers to a call with up to three arguments. */
uint32_t golden_ask(uint32_t number, uint64_t a, uint64_t b, uint64_t c);
/* The same on aarch64. */
uint32_t golden_ask_aarch64(uint32_t number, uint64_t a, uint64_t b, uint64_t c);

/* Tests that every policy passes. */
void golden_has_no_warning(void **state);
void golden_answers_every_x86_64_call(void **state);
void golden_answers_alike_on_aarch64(void **state);
void golden_kills_i386_and_x32(void **state);
void golden_refuses_ioctls_on_terminals(void **state);
void golden_refuses_new_listeners(void **state);
void golden_refuses_other_socket_families(void **state);
void golden_refuses_namespaces_of_clone(void **state);
void golden_refuses_device_nodes(void **state);

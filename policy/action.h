/*
 * Actions: their names in profiles, and their order. An action is kept as the kernel's return
 * value (SECCOMP_RET_*, with the errno in its low bits).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define ACTION_ERRNO_MAX 4095u /* MAX_ERRNO of linux/err.h: above it a result is no error */
#define ACTION_TEXT_MAX	 48

enum action_kind {
	ACTION_UNKNOWN,	    /* no such name */
	ACTION_UNSUPPORTED, /* needs a listener or a tracer */
	ACTION_PLAIN,
	ACTION_ERRNO, /* takes an errno */
};

/* Reads "SCMP_ACT_ALLOW" and so on; ret_action is the kernel's value without an errno. */
enum action_kind action_parse(const char *name, uint32_t *ret_action);

/* True when a is stricter than b: the kernel's own precedence between filters (seccomp(2)). */
bool action_is_stricter(uint32_t a, uint32_t b);

/* "ALLOW", "ERRNO(EPERM)", for people. Returns out. */
const char *action_format(uint32_t action, char out[static ACTION_TEXT_MAX]);

/* The number of "EPERM", or 0. */
uint32_t action_errno_number(const char *name);

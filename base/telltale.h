/*
 * Tell-tale system calls: refused by Croft's policies, made by what looks for a way out of its
 * container, and tried by no distribution's init, package manager or ordinary service. They are
 * counted where a policy refuses them; see docs/adr/0099-refused-calls-are-told.md.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Bits of a set: part of what a run is known by, so a number is never given to another call. */
enum telltale {
	TELLTALE_INIT_MODULE,
	TELLTALE_FINIT_MODULE,
	TELLTALE_DELETE_MODULE,
	TELLTALE_KEXEC_LOAD,
	TELLTALE_KEXEC_FILE_LOAD,
	TELLTALE_OPEN_BY_HANDLE_AT,
	TELLTALE_PERF_EVENT_OPEN,
	TELLTALE_USERFAULTFD,
	TELLTALE_N,
};

struct telltale_row {
	const char *name;
	int number; /* of this machine's own ABI */
};

/* The row of a call, which must be below TELLTALE_N. */
const struct telltale_row *telltale_row(enum telltale call);
/* -ENOENT for a call that is none. */
int telltale_find(int number, enum telltale *ret);

#define TELLTALE_TEXT_MAX 160
/* "init_module, kexec_load": the calls of a set, bits that are none left out. Returns out. */
const char *telltale_format(uint64_t set, char out[static TELLTALE_TEXT_MAX]);

/*
 * Who waits for what: the kernel's pressure stall information of one cgroup, read through files
 * kept open. The cgroup2 tree has them on both drivers, where the kernel counts it at all. Source:
 * Documentation/accounting/psi.rst.
 */
#pragma once

#include "base/err.h"

#include <stdint.h>

enum stall { STALL_CPU, STALL_MEMORY, STALL_IO, STALL_N };

/*
 * Shares of the last ten seconds, in ten-thousandths, for which some of its tasks (at least one),
 * or all that could have worked, waited; -1 where the kernel does not say.
 */
struct stalls {
	int32_t some[STALL_N];
	int32_t full[STALL_N];
	/* For how long they have, since the cgroup was made; STALLS_UNKNOWN likewise. */
	uint64_t some_usec[STALL_N];
	uint64_t full_usec[STALL_N];
};

#define STALLS_UNKNOWN UINT64_MAX

struct stall_files;

/* Opens them below a cgroup2 directory; NULL without memory. What is not there stays unknown. */
struct stall_files *stalls_open(int dir);
void stalls_close(struct stall_files *files);

/* Reads all. files may be NULL: nothing is known. */
void stalls_read(const struct stall_files *files, struct stalls *ret);

/* The avg10 of a line that begins with `kind`, in ten-thousandths; -1 without one. */
int32_t stalls_parse(const char *text, const char *kind);
/* And the total of such a line; STALLS_UNKNOWN without one. */
uint64_t stalls_parse_total(const char *text, const char *kind);

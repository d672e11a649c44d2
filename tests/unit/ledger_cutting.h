/* Cutting points that a test has made up; for test_ledger_cut.c and test_ledger_sums.c. */
#pragma once

#include "server/ledger_cut.h"

#define SECOND	   INT64_C(1000000)
#define HOUR	   LEDGER_HOUR_USEC
#define GAP	   (31 * (uint64_t)SECOND)
#define PIECES_MAX 4096
#define EPOCH	   (INT64_C(490000) * HOUR) /* a full hour in 2025 */

struct cutting {
	struct ledger_cut cut;
	const struct ledger_terms *terms;
	size_t n_terms;
	struct ledger_piece pieces[PIECES_MAX];
	struct ledger_position next[PIECES_MAX];
	size_t n;
};

struct cutting *cutting_make(void);
void cutting_go_on(struct cutting *c, const struct ledger_position *at,
	const struct usage_point *points, size_t n, size_t last, const struct ledger_terms *terms);
void cutting_cut_all(struct cutting *c, const struct usage_point *points, size_t n);
struct usage_point cutting_at(uint64_t sequence, int64_t second, uint64_t cpu, uint64_t memory_kib);
size_t cutting_meter(const char *name);
uint64_t cutting_amount(const struct ledger_piece *piece, const char *name);

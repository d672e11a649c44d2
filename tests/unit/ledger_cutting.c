/* Pieces of points, kept to be looked at; see ledger_cutting.h. */
#include "tests/unit/ledger_cutting.h"

#include "tests/unit/unit.h"

#include <string.h>

static int next_terms(void *arg, uint64_t after_key, struct ledger_terms *ret, struct err *err)
{
	struct cutting *c = arg;

	(void)err;
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < c->n_terms; i++) {
		if (c->terms[i].key <= after_key)
			continue;
		*ret = c->terms[i];
		return 0;
	}
	return 0;
}

static int keep(void *arg, const struct ledger_piece *piece, const struct ledger_position *next,
	struct err *err)
{
	struct cutting *c = arg;

	(void)err;
	assert_true(c->n < PIECES_MAX);
	c->pieces[c->n] = *piece;
	c->next[c->n++] = *next;
	return 0;
}

struct cutting *cutting_make(void)
{
	struct cutting *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->cut.gap_usec = GAP;
	c->cut.next_terms = next_terms;
	c->cut.emit = keep;
	c->cut.arg = c;
	return c;
}

void cutting_go_on(struct cutting *c, const struct ledger_position *at,
	const struct usage_point *points, size_t n, size_t last, const struct ledger_terms *terms)
{
	struct err err;

	c->cut.net_boot_usec = points[0].boot_usec;
	for (size_t i = 1; i <= last; i++)
		if (points[i].sequence == at->net_sequence)
			c->cut.net_boot_usec = points[i].boot_usec;
	assert_int_equal(
		ledger_cut_begin(&c->cut, at, &points[last], terms, points[0].wall_usec, &err), 0);
	for (size_t i = last + 1; i < n; i++)
		assert_int_equal(ledger_cut_add(&c->cut, &points[i], &err), 0);
	assert_int_equal(ledger_cut_end(&c->cut, &err), 0);
}

void cutting_cut_all(struct cutting *c, const struct usage_point *points, size_t n)
{
	static const struct ledger_terms none;
	struct ledger_position at = ledger_cut_start(&points[0]);

	cutting_go_on(c, &at, points, n, 0, &none);
}

/* A sample so many seconds after the epoch, at an unhurried pace. */
struct usage_point cutting_at(uint64_t sequence, int64_t second, uint64_t cpu, uint64_t memory_kib)
{
	return (struct usage_point){.sequence = sequence,
		.boot_usec = (uint64_t)((5000 + second) * SECOND),
		.wall_usec = EPOCH + second * SECOND,
		.counters = {.cpu_usec = cpu,
			.memory_bytes = memory_kib * 1024,
			.memory_working_set_bytes = memory_kib * 1024,
			.memory_peak_bytes = memory_kib * 1024,
			.pids = 2,
			.pids_peak = UINT64_MAX}};
}

size_t cutting_meter(const char *name)
{
	for (size_t m = 0; m < LEDGER_METERS; m++)
		if (!strcmp(ledger_meters[m].name, name))
			return m;
	fail_msg("no meter %s", name);
	return 0;
}

uint64_t cutting_amount(const struct ledger_piece *piece, const char *name)
{
	return (uint64_t)piece->amount[cutting_meter(name)];
}

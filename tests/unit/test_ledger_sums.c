/*
 * server/ledger_cut.h: properties over random runs. Whatever is cut, and wherever it is
 * interrupted, the sum is what the samples say as a whole.
 */
#include "tests/unit/ledger_cutting.h"

#include "tests/unit/unit.h"

#include <string.h>

struct random {
	uint64_t state;
};

/* xorshift64*: the same runs each time. */
static uint64_t draw(struct random *r, uint64_t below)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return (r->state * UINT64_C(2685821657736338717) >> 11) % below;
}

#define POINTS_MAX  200
#define OF_COUNTERS 21 /* meters that usage_sum.h knows, too */

/* Cumulative ones go on, or (rarely, together) begin anew; what is not known is left out. */
static void draw_counters(struct random *r, const struct counters *before, struct counters *out)
{
	bool anew = draw(r, 40) == 0;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < USAGE_COUNTERS; i++) {
		uint64_t was = anew ? 0 : usage_counter_get(before, &usage_counters[i]);
		uint64_t value = usage_counters[i].cumulative
					 ? was + draw(r, draw(r, 2) ? 7 : 1000000007)
					 : draw(r, UINT64_C(1) << 40);

		usage_counter_set(out, usage_counters[i].id, value);
	}
	out->has_net = draw(r, 3) != 0;
	if (!out->has_net)
		memset(&out->net, 0, sizeof(out->net));
	out->has_io = draw(r, 3) != 0;
	if (!out->has_io)
		memset(&out->io, 0, sizeof(out->io));
}

static size_t draw_run(struct random *r, struct usage_point *points)
{
	size_t n = 2 + draw(r, POINTS_MAX - 2);
	int64_t offset = EPOCH + (int64_t)draw(r, (uint64_t)HOUR);
	struct counters known = {0};

	memset(points, 0, sizeof(*points));
	points[0].boot_usec = draw(r, UINT64_C(1) << 45);
	points[0].wall_usec = (int64_t)points[0].boot_usec + offset;
	points[0].counters.has_net = draw(r, 2) != 0;
	for (size_t i = 1; i < n; i++) {
		static const uint64_t paces[] = {1, 5000, 10 * SECOND, 1200 * SECOND, 9 * HOUR};

		points[i].sequence = points[i - 1].sequence + 1 + draw(r, 3);
		points[i].boot_usec = points[i - 1].boot_usec + draw(r, paces[draw(r, 5)]);
		if (draw(r, 25) == 0) /* the clock is set, by up to two days each way */
			offset += (int64_t)draw(r, (uint64_t)(96 * HOUR)) - 48 * HOUR;
		points[i].wall_usec = (int64_t)points[i].boot_usec + offset;
		draw_counters(r, i > 1 ? &known : &points[0].counters, &points[i].counters);
		known = points[i].counters;
		if (draw(r, 30) == 0 && points[i].boot_usec > 1000)
			points[i].boot_usec -= 1000;
		if (points[i].boot_usec < points[i - 1].boot_usec)
			points[i].boot_usec = points[i - 1].boot_usec;
	}
	return n;
}

static size_t draw_terms(
	struct random *r, const struct usage_point *points, size_t n, struct ledger_terms *terms)
{
	uint64_t span = points[n - 1].boot_usec - points[0].boot_usec;
	size_t n_terms = 1 + draw(r, 5);

	memset(terms, 0, n_terms * sizeof(*terms));
	for (size_t i = 0; i < n_terms; i++) {
		limits_init(&terms[i].limits);
		terms[i].key = 10 + i;
		terms[i].boot_usec = i ? terms[i - 1].boot_usec + draw(r, span + 2)
				       : points[0].boot_usec;
		terms[i].wall_usec = points[0].wall_usec +
				     (int64_t)(terms[i].boot_usec - points[0].boot_usec);
		if (draw(r, 4))
			terms[i].limits.value[LIMIT_CPU] = draw(r, 64000);
		if (draw(r, 4))
			terms[i].limits.value[LIMIT_MEMORY] = draw(r, UINT64_C(1) << 42);
	}
	return n_terms;
}

/* The arithmetic of usage_sum.h has its figures by name. */
static unsigned __int128 quantity_of(const struct usage_totals *totals, size_t i)
{
	switch (i) {
	case 0:
		return totals->cpu_usec;
	case 1:
		return totals->throttled_usec;
	case 2:
		return totals->memory_kib_usec / 1000000;
	case 3:
		return totals->memory_peak_bytes;
	case 4:
		return totals->memory_at_limit;
	case 5:
		return totals->oom_kills;
	case 6:
		return totals->pids_peak;
	case 7:
		return totals->pids_denied;
	case 8:
		return totals->running_usec;
	case 9:
		return totals->net.all_in.bytes;
	case 10:
		return totals->net.all_in.packets;
	case 11:
		return totals->net.all_out.bytes;
	case 12:
		return totals->net.all_out.packets;
	case 13:
		return totals->net.outside_in.bytes;
	case 14:
		return totals->net.outside_in.packets;
	case 15:
		return totals->net.outside_out.bytes;
	case 16:
		return totals->net.outside_out.packets;
	case 17:
		return totals->io.read_bytes;
	case 18:
		return totals->io.read_ops;
	case 19:
		return totals->io.write_bytes;
	default:
		return totals->io.write_ops;
	}
}

/* What the samples add up to as a whole, by that. */
static void check_sums(const struct cutting *c, const struct usage_point *points, size_t n)
{
	struct usage_totals whole = {0};
	struct usage_point last = points[0];
	uint32_t carry[LEDGER_METERS] = {0};
	unsigned __int128 sums[LEDGER_METERS] = {0};

	for (size_t i = 1; i < n; i++) {
		struct usage_point next = points[i];

		usage_carry(&next, &last);
		usage_add(&whole, &last, &next, GAP);
		last = next;
	}
	for (size_t i = 0; i < c->n; i++) {
		struct ledger_figures f;

		ledger_figures_make(&c->pieces[i], carry, &f);
		for (size_t m = 0; m < LEDGER_METERS; m++) {
			if (!ledger_meter_is_max(m))
				sums[m] += f.quantity[m];
			else if (f.quantity[m] > sums[m])
				sums[m] = f.quantity[m];
		}
	}
	for (size_t m = 0; m < OF_COUNTERS; m++)
		if (sums[m] != quantity_of(&whole, m))
			fail_msg("%s: the pieces do not add up", ledger_meters[m].name);
}

/* The five minutes have what was exchanged with the outside, but where nobody read it for long. */
static void check_slots(const struct cutting *c, const struct usage_point *points, size_t n)
{
	struct usage_totals whole = {0};
	struct usage_point last = points[0];
	uint64_t read = points[0].boot_usec;
	uint64_t in = 0;
	uint64_t out = 0;

	for (size_t i = 1; i < n; i++) {
		struct usage_point next = points[i];

		usage_carry(&next, &last);
		if (next.boot_usec - read <= BURST_SLOT_USEC)
			usage_add(&whole, &last, &next, GAP);
		if (points[i].counters.has_net)
			read = points[i].boot_usec;
		last = next;
	}
	for (size_t i = 0; i < c->n; i++) {
		for (size_t slot = 0; slot < BURST_SLOTS; slot++) {
			in += c->pieces[i].slots.bytes[BURST_IN][slot];
			out += c->pieces[i].slots.bytes[BURST_OUT][slot];
		}
	}
	assert_int_equal(in, whole.net.outside_in.bytes);
	assert_int_equal(out, whole.net.outside_out.bytes);
}

static void check_tiles(const struct cutting *c, const struct usage_point *points, size_t n)
{
	uint64_t samples = 0;

	for (size_t i = 0; i < c->n; i++) {
		const struct ledger_piece *p = &c->pieces[i];

		assert_int_equal(
			p->from_boot_usec, i ? c->pieces[i - 1].to_boot_usec : points[0].boot_usec);
		assert_true(p->to_boot_usec >= p->from_boot_usec);
		assert_true(p->window_start_usec <= p->window_end_usec);
		assert_true(p->window_end_usec - p->window_start_usec <= HOUR);
		samples += p->samples;
	}
	assert_int_equal(samples, n - 1);
	assert_int_equal(c->pieces[c->n - 1].to_boot_usec, points[n - 1].boot_usec);
}

/* Goes on behind each piece, as if everything had been killed there: the rest is the same. */
static void check_resumes(
	const struct cutting *all, const struct usage_point *points, size_t n, struct random *r)
{
	size_t at_piece = draw(r, all->n);
	const struct ledger_position *position = &all->next[at_piece];
	const struct ledger_terms *terms = &all->terms[0];
	struct cutting *c = cutting_make();
	size_t last = 0;

	if (at_piece + 1 == all->n) {
		free(c);
		return;
	}
	c->terms = all->terms;
	c->n_terms = all->n_terms;
	for (size_t i = 0; i < all->n_terms; i++)
		if (all->terms[i].key == position->terms)
			terms = &all->terms[i];
	assert_int_equal(terms->key, all->pieces[at_piece + 1].terms);
	/* As from the ledger, a sample that was not read in full has what was known before. */
	while (points[last].sequence != position->last_sequence)
		last++;
	{
		struct usage_point copy[POINTS_MAX];

		memcpy(copy, points, n * sizeof(*points));
		for (size_t i = 1; i <= last; i++)
			usage_carry(&copy[i], &copy[i - 1]);
		cutting_go_on(c, position, copy, n, last, terms);
	}
	assert_int_equal(c->n, all->n - at_piece - 1);
	for (size_t i = 0; i < c->n; i++)
		if (memcmp(&c->pieces[i], &all->pieces[at_piece + 1 + i], sizeof(c->pieces[i])) !=
			0)
			fail_msg("piece %zu of %zu, begun at %zu", i, c->n, at_piece);
	free(c);
}

static void whatever_is_cut_the_sum_is_the_whole(void **state)
{
	static struct usage_point points[POINTS_MAX];
	struct random r = {UINT64_C(88172645463325252)};
	struct ledger_terms terms[6];

	(void)state;
	for (int round = 0; round < 400; round++) {
		size_t n = draw_run(&r, points);
		struct ledger_position start = ledger_cut_start(&points[0]);
		struct cutting *c = cutting_make();

		c->terms = terms;
		c->n_terms = draw_terms(&r, points, n, terms);
		cutting_go_on(c, &start, points, n, 0, &terms[0]);
		assert_true(c->n > 0);
		check_sums(c, points, n);
		check_slots(c, points, n);
		check_tiles(c, points, n);
		check_resumes(c, points, n, &r);
		free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_is_cut_the_sum_is_the_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

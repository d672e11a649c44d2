/*
 * Cutting a run's samples into pieces, one for each hour of the wall clock, set of terms and
 * stretch without a step of the clock. Pure: the same samples come to the same pieces, whoever
 * cuts, and wherever it was interrupted.
 *
 * Time within a run is BOOTTIME, and never goes back. Where an edge lies between two samples
 * follows from both, and so does what a counter had come to there, so that pieces are each other's
 * continuation: whatever is cut, the sum is last less first. See docs/adr/0080-the-ledger.md.
 */
#pragma once

#include "base/burst.h"
#include "server/ledger_meters.h"

#define LEDGER_HOUR_USEC (INT64_C(3600) * 1000000)

/* What holds from a moment on. */
struct ledger_terms {
	uint64_t key; /* in the ledger; 0: not known */
	uint64_t boot_usec;
	int64_t wall_usec;
	struct limits limits; /* the container's own */
};

enum ledger_flag {
	LEDGER_GAP = 1,	    /* an interval in which nobody looked: gauges count nothing */
	LEDGER_FELL = 2,    /* a counter fell: nothing is added for that interval */
	LEDGER_STEPPED = 4, /* the wall clock was set */
	/* Of entries that no samples were cut to: */
	LEDGER_OPERATOR = 8,  /* an operator's correction */
	LEDGER_NEGATIVE = 16, /* its quantity is to be taken off */
	/* Of a run's, whole: what it wrote by way of the page cache is in nobody's counter. */
	LEDGER_PARTIAL_WRITES = 32,
};

struct ledger_piece {
	uint64_t from_boot_usec;
	uint64_t to_boot_usec;
	int64_t window_start_usec;
	int64_t window_end_usec;
	uint64_t terms;
	unsigned flags;				 /* enum ledger_flag */
	uint64_t samples;			 /* that lie in it */
	uint64_t present;			 /* ledger_bit()s */
	unsigned __int128 amount[LEDGER_METERS]; /* in parts of the quantity: see divisor */
	uint64_t counter_start[LEDGER_METERS];	 /* of METER_COUNTER */
	uint64_t counter_end[LEDGER_METERS];
	struct burst_hour slots; /* traffic with the outside, by five minutes of its hour */
};

/* Where a cut stands, and all it takes to go on from there. */
struct ledger_position {
	uint64_t boot_usec;
	int64_t window_start_usec;
	int64_t hour_end_usec;
	uint64_t last_sequence; /* of the last sample not behind it */
	uint64_t net_sequence;	/* of the last one that has the traffic; 0: the run's start */
	uint64_t io_sequence;	/* of the last one that has the I/O */
	uint64_t terms;		/* that hold behind it */
};

/* Fills ret with the terms of that run that follow those with this key; key 0 where none do. */
typedef int (*ledger_terms_fn)(
	void *arg, uint64_t after_key, struct ledger_terms *ret, struct err *err);
/* Takes a piece. `position` is where the next one begins. */
typedef int (*ledger_piece_fn)(void *arg, const struct ledger_piece *piece,
	const struct ledger_position *position, struct err *err);

/* Is told of an interval that is a gap, as often as it is walked. */
typedef int (*ledger_gap_fn)(
	void *arg, const struct usage_point *from, const struct usage_point *to, struct err *err);

struct ledger_cut {
	/* Set by the caller: */
	enum ledger_kind kind;
	uint64_t gap_usec; /* a longer interval is a gap; may change from piece to piece */
	/* When the traffic was last read by where it begins: the sample at.net_sequence, or the
	 * run's start. It goes on by itself. */
	uint64_t net_boot_usec;
	ledger_terms_fn next_terms;
	ledger_piece_fn emit;
	ledger_gap_fn gap; /* may be NULL */
	void *arg;
	/* Its own: */
	int64_t start_wall_usec;
	struct usage_point last;
	struct ledger_position at;
	struct ledger_terms terms;
	struct ledger_terms coming;
	struct ledger_piece piece;
	bool begun; /* the piece has its first counters */
};

/* True when BOOTTIME went on by span and the wall clock by wall: it was set meanwhile. */
bool ledger_is_step(uint64_t span_usec, int64_t wall_usec);
/* The start of the hour in which that lies. */
int64_t ledger_hour_of(int64_t wall_usec);
/* Where the cut of a run begins that started there. */
struct ledger_position ledger_cut_start(const struct usage_point *start);
/*
 * Begins, or goes on, at `at`; `last` is the sample at.last_sequence (or the run's start) with what
 * was known of each group by then, terms those that hold there, start_wall_usec when the run
 * started. The caller's fields are set before. Returns 0 or next_terms()'s error.
 */
int ledger_cut_begin(struct ledger_cut *cut, const struct ledger_position *at,
	const struct usage_point *last, const struct ledger_terms *terms, int64_t start_wall_usec,
	struct err *err);
/* Takes the next sample of the run, in order of sequence. Returns 0, or what a function said. */
int ledger_cut_add(struct ledger_cut *cut, const struct usage_point *point, struct err *err);
/*
 * The last sample was taken: emits what there is behind the last edge, if anything is. Of a run
 * that goes on that is the open piece, as of its last sample.
 */
int ledger_cut_end(struct ledger_cut *cut, struct err *err);

/*
 * What pieces say: whole quantities. carry is what was left over of each meter's division, in and
 * out, so that the quantities of all pieces add up to that of the whole.
 */
struct ledger_figures {
	uint64_t present;
	uint64_t samples;
	unsigned __int128 quantity[LEDGER_METERS];
	uint64_t counter_start[LEDGER_METERS];
	uint64_t counter_end[LEDGER_METERS];
	struct burst_hour slots; /* of METER_BURST */
};
void ledger_figures_make(const struct ledger_piece *piece, uint32_t carry[static LEDGER_METERS],
	struct ledger_figures *ret);

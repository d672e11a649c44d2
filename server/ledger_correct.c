/* Corrections by operators; see ledger_correct.h. Must never leave less than nothing of a record.
 */
#include "server/ledger_correct.h"

#include "server/ledger_close.h"

#include <stdio.h>
#include <string.h>

/* --- what may be asked for --- */

int ledger_correction_meter(const char *name, size_t *ret, struct err *err)
{
	for (size_t m = 0; m < LEDGER_METERS; m++) {
		if (strcmp(ledger_meters[m].name, name) != 0)
			continue;
		if (ledger_meter_is_max(m))
			return err_set_subject(err, ERR_INVALID_ARGUMENT, "METER_NOT_A_SUM",
				"meter",
				"%s is the highest value that was met, to which nothing can be "
				"added; correct a meter that is a sum",
				name);
		if (ledger_meter_is_burst(m))
			return err_set_subject(err, ERR_INVALID_ARGUMENT, "METER_NOT_A_SUM",
				"meter",
				"%s is a percentile, to which nothing can be added; correct "
				"net.ingress.outside or net.egress.outside, or the invoice",
				name);
		*ret = m;
		return 0;
	}
	return err_set_subject(err, ERR_INVALID_ARGUMENT, "METER_UNKNOWN", "meter",
		"there is no meter \"%.40s\"; use one of those that usage export shows", name);
}

int ledger_correction_amount(
	const char *text, bool *ret_negative, unsigned __int128 *ret, struct err *err)
{
	bool negative = *text == '-';
	const char *digits = text + negative;
	size_t len = strspn(digits, "0123456789");
	unsigned __int128 value = 0;

	if (!len || digits[len] || len > LEDGER_AMOUNT_DIGITS_MAX || *digits == '0')
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "AMOUNT_INVALID", "amount",
			"an amount is a whole number of the meter's unit other than 0, of at most "
			"%d digits, such as 5000 or -5000",
			LEDGER_AMOUNT_DIGITS_MAX);
	for (size_t i = 0; i < len; i++)
		value = value * 10 + (unsigned)(digits[i] - '0');
	*ret_negative = negative;
	*ret = value;
	return 0;
}

/* --- the record --- */

static bool is_same_window(const struct ledger_entry *a, const struct ledger_entry *b)
{
	return a->run == b->run && a->window_start_usec == b->window_start_usec;
}

/* Of several revisions of a window the last is the one. */
static int take_candidate(
	void *arg, const struct ledger_entry *e, const char *hash, struct err *err)
{
	struct ledger_correction *c = arg;
	char id[HASH_SIZE];
	int r;

	(void)hash;
	if (!ledger_entry_has(e, c->meter) || (!c->uid[0] && strcmp(e->resource, c->resource) != 0))
		return 0;
	r = ledger_record_id(e, c->meter, id, err);
	if (r < 0 || (c->record_id[0] && strcmp(c->record_id, id) != 0))
		return r;
	c->windows += !c->windows || !is_same_window(e, &c->entry);
	c->entry = *e;
	memcpy(c->entry.corrects, id, sizeof(c->entry.corrects));
	return 0;
}

static int take_number(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(uint64_t *)arg = db_column_u64(row, 0);
	return 0;
}

static int refuse_absent(struct db *db, const struct ledger_correction *c, struct err *err)
{
	int64_t end = c->hour_usec + LEDGER_HOUR_USEC;
	const char *meter = ledger_meters[c->meter].name;
	char hour[CLOCK_TEXT_MAX];
	uint64_t open = 0;
	int r = db_query(db,
		"SELECT count(*) FROM ledger_open o JOIN runs r ON r.key = o.run"
		" WHERE r.tenant_uid = ?1 AND iif(?3 <> '', r.container_uid = ?3, r.container = ?2)"
		" AND o.hour_end <= ?4",
		take_number, &open, err, "sssi", c->tenant_uid, c->name, c->uid, end);

	if (r < 0)
		return r;
	clock_format(c->hour_usec, hour);
	if (open || end + LEDGER_GRACE_USEC > clock_wall_usec())
		return err_set_subject(err, ERR_FAILED_PRECONDITION, "HOUR_NOT_CLOSED", "hour",
			"the hour from %s on is not closed; correct it once its records have a "
			"time of closing, some minutes after its end",
			hour);
	return err_set(err, ERR_FAILED_PRECONDITION, "NOTHING_TO_CORRECT",
		c->record_id[0] ? "%s has no record of %s with that record_id in the hour from %s "
				  "on; see usage export"
				: "%s has no record of %s in the hour from %s on that could be "
				  "corrected; see usage export",
		c->resource, meter, hour);
}

static int find(struct db *db, struct ledger_correction *c, struct err *err)
{
	struct ledger_chain chain;
	int r = ledger_chain_of(db, c->tenant_uid, &chain, err);

	if (r == 0 && chain.key)
		r = ledger_entries_of_hour(
			db, chain.key, c->hour_usec, c->name, c->uid, take_candidate, c, err);
	if (r < 0)
		return r;
	if (!c->windows)
		return refuse_absent(db, c, err);
	if (c->windows > 1)
		return err_set_subject(err, ERR_FAILED_PRECONDITION, "SEVERAL_RECORDS", "record_id",
			"%s has %u records of %s in that hour; name the one to correct by its "
			"record_id, which usage export shows",
			c->resource, c->windows, ledger_meters[c->meter].name);
	return 0;
}

/* --- what is left of it --- */

struct window {
	size_t meter;
	unsigned __int128 left;
	unsigned corrections;
	bool below_zero;
	bool found;
	const char *id;
};

static int add_up(void *arg, const struct ledger_entry *e, const char *hash, struct err *err)
{
	struct window *w = arg;
	char id[HASH_SIZE];
	unsigned __int128 quantity = e->figures.quantity[w->meter];

	(void)hash;
	w->corrections += e->flags & LEDGER_OPERATOR ? 1 : 0;
	if (!ledger_entry_has(e, w->meter))
		return 0;
	w->below_zero |= ledger_entry_is_negative(e) && quantity > w->left;
	w->left = ledger_entry_is_negative(e) ? w->left - quantity : w->left + quantity;
	if (e->flags & LEDGER_OPERATOR)
		return 0;
	w->found |= ledger_record_id(e, w->meter, id, err) == 0 && !strcmp(id, w->id);
	return 0;
}

static int look(struct db *db, const struct ledger_entry *e, size_t meter, uint64_t before,
	struct window *ret, struct err *err)
{
	*ret = (struct window){.meter = meter, .id = e->corrects};
	return ledger_entries_of_window(db, e->run, e->window_start_usec, before, add_up, ret, err);
}

static void make_entry(struct ledger_correction *c, unsigned before)
{
	struct ledger_entry *e = &c->entry;

	e->revision = before + 1;
	e->flags = LEDGER_OPERATOR | (c->negative ? LEDGER_NEGATIVE : 0);
	e->sequence = e->net_sequence = e->io_sequence = 0;
	memset(&e->figures, 0, sizeof(e->figures));
	memset(e->carry, 0, sizeof(e->carry));
	e->figures.present = ledger_bit(c->meter);
	e->figures.quantity[c->meter] = c->amount;
	memcpy(e->note, c->reason, sizeof(e->note));
}

int ledger_correct(struct db *db, struct ledger_correction *c, struct err *err)
{
	const struct ledger_meter *meter = &ledger_meters[c->meter];
	char left[USAGE_DECIMAL_MAX];
	struct window window;
	int r = find(db, c, err);

	if (r == 0)
		r = look(db, &c->entry, c->meter, INT64_MAX, &window, err);
	if (r < 0)
		return r;
	if (c->negative && c->amount > window.left)
		return err_set_subject(err, ERR_OUT_OF_RANGE, "AMOUNT_TOO_LARGE", "amount",
			"%s %s are on that record of %s, and no more can be taken off",
			usage_format(window.left, left), meter->unit, meter->name);
	make_entry(c, window.corrections);
	return ledger_entries_correct(db, &c->entry, c->host, c->actor, err);
}

int ledger_correction_check(
	struct db *db, const struct ledger_entry *e, const char **ret_problem, struct err *err)
{
	size_t meter = (size_t)__builtin_ctzll(e->figures.present | ledger_bit(LEDGER_METERS - 1));
	struct window window;
	int r = look(db, e, meter, e->number + 1, &window, err);

	*ret_problem = NULL;
	if (r < 0)
		return r;
	if (!window.found)
		*ret_problem = "it corrects a record that is missing";
	else if (window.below_zero)
		*ret_problem = "it takes off more than there was";
	return 0;
}

/*
 * The bytes of records; see ledger_record.h. What is hashed is the record as an export shows it:
 * its fields in the order of the columns but `final`, each as its text and a NUL. That must never
 * change.
 */
#include "server/ledger_record.h"

#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <string.h>

#define TEXT_MAX   3072 /* more than all fields of a record together */
#define NUMBER_MAX 24

/* --- hashes --- */

struct text {
	char data[TEXT_MAX];
	size_t size;
	bool cut; /* something did not fit: a hash of less would be no hash */
};

static void put(struct text *text, const char *field)
{
	size_t size = strlen(field) + 1;

	if (size > sizeof(text->data) - text->size) {
		text->cut = true;
		return;
	}
	memcpy(text->data + text->size, field, size);
	text->size += size;
}

static void put_number(struct text *text, uint64_t number)
{
	char field[NUMBER_MAX];

	snprintf(field, sizeof(field), "%" PRIu64, number);
	put(text, field);
}

/* As exports have it, which is protobuf's: a fraction of 0, 3 or 6 digits. */
static void put_time(struct text *text, int64_t usec)
{
	char field[CLOCK_TEXT_MAX];
	char *fraction = strchr(clock_format(usec, field), '.');

	if (fraction && usec % 1000000 == 0)
		strcpy(fraction, "Z");
	else if (fraction && usec % 1000 == 0)
		strcpy(fraction + 4, "Z");
	put(text, field);
}

static int digest(const struct text *text, char ret[static LEDGER_HASH_SIZE], struct err *err)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t bytes[EVP_MAX_MD_SIZE];

	if (text->cut)
		return err_set(err, ERR_INTERNAL, "HASH_FAILED", "a record is too long");
	if (!EVP_Digest(text->data, text->size, bytes, NULL, EVP_sha256(), NULL))
		return err_set(err, ERR_INTERNAL, "HASH_FAILED", "SHA-256 is not available");
	for (size_t i = 0; i < (LEDGER_HASH_SIZE - 1) / 2; i++) {
		ret[2 * i] = digits[bytes[i] >> 4];
		ret[2 * i + 1] = digits[bytes[i] & 15];
	}
	ret[LEDGER_HASH_SIZE - 1] = '\0';
	return 0;
}

/* Of tenant, resource, run, meter, start of the window and revision. */
static int make_id(const struct ledger_entry *e, size_t meter, unsigned revision,
	char ret[static HASH_SIZE], struct err *err)
{
	char hash[LEDGER_HASH_SIZE];
	struct text text = {.size = 0};
	int r;

	put(&text, e->tenant_uid);
	put(&text, e->resource_uid);
	put(&text, e->run_id);
	put(&text, ledger_meters[meter].name);
	put_time(&text, e->window_start_usec);
	put_number(&text, revision);
	/* These count for themselves, so that what comes late has the revision it would have. */
	if (e->flags & LEDGER_OPERATOR)
		put(&text, "operator");
	r = digest(&text, hash, err);
	if (r == 0)
		snprintf(ret, HASH_SIZE, "%.32s", hash);
	return r;
}

static void say_reason(
	const struct ledger_entry *e, size_t meter, char out[static LEDGER_REASON_SIZE])
{
	static const char *const words[] = {"gap", "counter fell", "clock set"};
	bool partial = e->flags & LEDGER_PARTIAL_WRITES && ledger_meter_is_write(meter);
	size_t len = 0;

	out[0] = '\0';
	if (e->flags & LEDGER_OPERATOR) {
		snprintf(out, LEDGER_REASON_SIZE, "operator: %s", e->note);
		return;
	}
	if (e->revision)
		len = (size_t)snprintf(out, LEDGER_REASON_SIZE, "late");
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (e->flags & (1u << i))
			len += (size_t)snprintf(out + len, LEDGER_REASON_SIZE - len, "%s%s",
				len ? ", " : "", words[i]);
	if (partial)
		snprintf(out + len, LEDGER_REASON_SIZE - len, "%sbuffered writes not attributed",
			len ? ", " : "");
}

static int make_hash(
	const struct ledger_entry *e, size_t meter, struct ledger_record *record, struct err *err)
{
	const struct ledger_meter *m = &ledger_meters[meter];
	struct text text = {.size = 0};

	put(&text, record->id);
	put(&text, e->tenant);
	put(&text, e->account_ref);
	put(&text, e->resource);
	put(&text, e->resource_uid);
	put(&text, e->run_id);
	put(&text, m->name);
	put(&text, record->quantity);
	put(&text, m->unit);
	put(&text, m->aggregation);
	put_time(&text, e->window_start_usec);
	put_time(&text, e->window_end_usec);
	put(&text, e->boot_id);
	put_number(&text, e->figures.counter_start[meter]);
	put_number(&text, e->figures.counter_end[meter]);
	put_number(&text, e->figures.samples);
	put(&text, e->host);
	put(&text, e->plan);
	put(&text, e->revision ? "correction" : "usage");
	put(&text, record->corrects);
	put_number(&text, e->revision);
	put(&text, record->reason);
	put_time(&text, e->finalized_usec);
	put(&text, record->prev_hash);
	/* A column that came later: what has none has the hash that it always had. */
	if (record->slots[0])
		put(&text, record->slots);
	return digest(&text, record->hash, err);
}

int ledger_record_id(
	const struct ledger_entry *e, size_t meter, char ret[static HASH_SIZE], struct err *err)
{
	return make_id(e, meter, e->revision, ret, err);
}

int ledger_record_make(const struct ledger_entry *e, size_t meter, const char *prev_hash,
	struct ledger_record *ret, struct err *err)
{
	struct ledger_record record = {0};
	int r = make_id(e, meter, e->revision, record.id, err);

	if (r == 0 && e->flags & LEDGER_OPERATOR)
		memcpy(record.corrects, e->corrects, sizeof(record.corrects));
	else if (r == 0 && e->revision)
		r = make_id(e, meter, e->revision - 1, record.corrects, err);
	if (r < 0)
		return r;
	usage_format_signed(
		ledger_entry_is_negative(e), e->figures.quantity[meter], record.quantity);
	say_reason(e, meter, record.reason);
	if (ledger_meter_is_burst(meter))
		burst_format(&e->figures.slots, record.slots);
	/* What is open has no place in the chain yet. */
	if (e->finalized_usec) {
		snprintf(record.prev_hash, sizeof(record.prev_hash), "%s", prev_hash);
		r = make_hash(e, meter, &record, err);
	}
	if (r == 0)
		*ret = record;
	return r;
}

int ledger_entry_chain(
	const struct ledger_entry *entry, char hash[static LEDGER_HASH_SIZE], struct err *err)
{
	struct ledger_record record;
	int r = 0;

	for (size_t m = 0; r == 0 && m < LEDGER_METERS; m++) {
		if (!ledger_entry_has(entry, m))
			continue;
		r = ledger_record_make(entry, m, hash, &record, err);
		if (r == 0)
			memcpy(hash, record.hash, LEDGER_HASH_SIZE);
	}
	return r;
}

void ledger_entry_revise(struct ledger_entry *entry, const struct ledger_entry *before)
{
	entry->revision = before->revision + 1;
	for (size_t m = 0; m < LEDGER_METERS; m++)
		if (ledger_meter_is_max(m) &&
			entry->figures.quantity[m] < before->figures.quantity[m])
			entry->figures.quantity[m] = before->figures.quantity[m];
}

/* --- figures as bytes: numbers of seven bits a byte, the lowest first --- */

#define VARINT_MAX 19 /* of 128 bits */

static size_t put_varint(uint8_t *out, unsigned __int128 value)
{
	size_t n = 0;

	for (; value > 127; value >>= 7)
		out[n++] = (uint8_t)(value & 127) | 128;
	out[n++] = (uint8_t)value;
	return n;
}

static size_t put_slots(uint8_t *out, const struct burst_hour *slots)
{
	size_t n = 0;

	for (size_t way = 0; way < BURST_WAYS; way++)
		for (size_t slot = 0; slot < BURST_SLOTS; slot++)
			n += put_varint(out + n, slots->bytes[way][slot]);
	return n;
}

size_t ledger_figures_write(const struct ledger_figures *figures,
	const uint32_t carry[static LEDGER_METERS], uint8_t out[static LEDGER_FIGURES_MAX])
{
	size_t n = 0;

	_Static_assert((2 + 4 * LEDGER_METERS + BURST_WAYS * BURST_SLOTS) * VARINT_MAX <=
			       LEDGER_FIGURES_MAX,
		"bytes");
	n += put_varint(out + n, figures->present);
	n += put_varint(out + n, figures->samples);
	for (size_t m = 0; m < LEDGER_METERS; m++) {
		if (!(figures->present & ledger_bit(m)))
			continue;
		n += put_varint(out + n, figures->quantity[m]);
		if (ledger_meter_is_burst(m))
			n += put_slots(out + n, &figures->slots);
		if (ledger_meters[m].kind != METER_COUNTER)
			continue;
		n += put_varint(out + n, figures->counter_start[m]);
		n += put_varint(out + n, figures->counter_end[m]);
	}
	for (size_t m = 0; m < LEDGER_METERS; m++)
		if (ledger_meters[m].divisor > 1)
			n += put_varint(out + n, carry[m]);
	return n;
}

struct bytes {
	const uint8_t *p;
	const uint8_t *end;
	bool bad;
};

static unsigned __int128 get_varint(struct bytes *b)
{
	unsigned __int128 value = 0;

	for (unsigned i = 0; i < VARINT_MAX; i++) {
		uint8_t byte;

		if (b->bad || b->p == b->end)
			break;
		byte = *b->p++;
		value |= (unsigned __int128)(byte & 127) << (7 * i);
		if (byte < 128)
			return value;
	}
	b->bad = true;
	return 0;
}

static uint64_t get_u64(struct bytes *b, uint64_t max)
{
	unsigned __int128 value = get_varint(b);

	if (value > max)
		b->bad = true;
	return b->bad ? 0 : (uint64_t)value;
}

static void get_slots(struct bytes *b, struct burst_hour *ret)
{
	for (size_t way = 0; way < BURST_WAYS; way++)
		for (size_t slot = 0; slot < BURST_SLOTS; slot++)
			ret->bytes[way][slot] = get_u64(b, UINT64_MAX);
}

int ledger_figures_read(const uint8_t *data, size_t size, struct ledger_figures *ret,
	uint32_t ret_carry[static LEDGER_METERS])
{
	struct bytes b = {.p = data, .end = data + size};
	struct ledger_figures figures = {0};
	uint32_t carry[LEDGER_METERS] = {0};

	figures.present = get_u64(&b, UINT64_MAX >> (64 - LEDGER_METERS));
	figures.samples = get_u64(&b, UINT64_MAX);
	for (size_t m = 0; m < LEDGER_METERS; m++) {
		if (!(figures.present & ledger_bit(m)))
			continue;
		figures.quantity[m] = get_varint(&b);
		if (ledger_meter_is_burst(m))
			get_slots(&b, &figures.slots);
		if (ledger_meters[m].kind != METER_COUNTER)
			continue;
		figures.counter_start[m] = get_u64(&b, UINT64_MAX);
		figures.counter_end[m] = get_u64(&b, UINT64_MAX);
	}
	/* A meter that is added later finds nothing of its own in what was written before. */
	for (size_t m = 0; m < LEDGER_METERS && b.p != b.end; m++)
		if (ledger_meters[m].divisor > 1)
			carry[m] = (uint32_t)get_u64(&b, ledger_meters[m].divisor - 1);
	if (b.bad || b.p != b.end)
		return -EBADMSG;
	*ret = figures;
	memcpy(ret_carry, carry, sizeof(carry));
	return 0;
}

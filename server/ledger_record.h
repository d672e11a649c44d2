/*
 * A record of the ledger: what leaves it, and what its hash is of. An entry is a piece as it is
 * kept (one row); its records, one for each meter, are made of it, always the same.
 */
#pragma once

#include "server/hash.h"
#include "server/ledger_cut.h"
#include "server/model.h"

#define LEDGER_HASH_SIZE   65  /* 64 hexadecimal digits and a terminator */
#define LEDGER_HOST_SIZE   65  /* HOST_NAME_MAX and a terminator */
#define LEDGER_NOTE_MAX	   256 /* why an operator corrects */
#define LEDGER_REASON_SIZE (LEDGER_NOTE_MAX + 16)
#define LEDGER_FIGURES_MAX 3584

struct ledger_entry {
	uint64_t number; /* in the order of closing; 0: it is not closed */
	uint64_t run;	 /* its key */
	char tenant_uid[UID_SIZE];
	char tenant[NAME_SIZE];
	char account_ref[ACCOUNT_REF_MAX + 1];
	char resource[RESOURCE_SIZE];
	char resource_uid[UID_SIZE];
	char run_id[RUN_ID_SIZE];
	char boot_id[BOOT_ID_LEN];
	char host[LEDGER_HOST_SIZE];
	char plan[NAME_SIZE];
	int64_t window_start_usec;
	int64_t window_end_usec;
	uint64_t from_boot_usec;
	uint64_t to_boot_usec;
	uint64_t terms;
	uint64_t sequence; /* as in struct ledger_position, at its end */
	uint64_t net_sequence;
	uint64_t io_sequence;
	uint64_t gap_usec;		  /* by which it was cut */
	unsigned revision;		  /* above 0: a correction of the window's record before */
	unsigned flags;			  /* enum ledger_flag */
	int64_t finalized_usec;		  /* 0: it is not closed */
	char prev_hash[LEDGER_HASH_SIZE]; /* of the tenant's record before its first */
	struct ledger_figures figures;
	uint32_t carry[LEDGER_METERS]; /* behind it */
	/* Of an operator's correction, which is of one meter: */
	char corrects[HASH_SIZE];
	char note[LEDGER_NOTE_MAX + 1];
};

struct ledger_record {
	char id[HASH_SIZE];
	char corrects[HASH_SIZE];	      /* "": nothing */
	char quantity[USAGE_DECIMAL_MAX + 1]; /* "-" before what is to be taken off */
	char reason[LEDGER_REASON_SIZE];
	char prev_hash[LEDGER_HASH_SIZE];
	char hash[LEDGER_HASH_SIZE];
	char slots[BURST_TEXT_MAX]; /* of METER_BURST; else "" */
};

/*
 * Makes the record of one of an entry's meters. prev_hash is the hash of the tenant's record
 * before, "" for its first. Returns 0, or -EIO when libcrypto cannot.
 */
int ledger_record_make(const struct ledger_entry *entry, size_t meter, const char *prev_hash,
	struct ledger_record *ret, struct err *err);
static inline bool ledger_entry_has(const struct ledger_entry *entry, size_t meter)
{
	return entry->figures.present & ledger_bit(meter);
}
static inline bool ledger_entry_is_negative(const struct ledger_entry *entry)
{
	return entry->flags & LEDGER_NEGATIVE;
}
/* The id of one of its records. Returns 0 or -EIO. */
int ledger_record_id(const struct ledger_entry *entry, size_t meter, char ret[static HASH_SIZE],
	struct err *err);
/* Makes an entry a correction of the one before of its window; a peak is the highest of both. */
void ledger_entry_revise(struct ledger_entry *entry, const struct ledger_entry *before);
/* Walks an entry's records, from the hash before them to that of the last. Returns 0 or -EIO. */
int ledger_entry_chain(
	const struct ledger_entry *entry, char hash[static LEDGER_HASH_SIZE], struct err *err);

/* Figures and what is carried on as bytes. Returns how many. */
size_t ledger_figures_write(const struct ledger_figures *figures,
	const uint32_t carry[static LEDGER_METERS], uint8_t out[static LEDGER_FIGURES_MAX]);
/* The same back. Returns 0, or -EBADMSG when that is not what was written. */
int ledger_figures_read(const uint8_t *data, size_t size, struct ledger_figures *ret,
	uint32_t ret_carry[static LEDGER_METERS]);

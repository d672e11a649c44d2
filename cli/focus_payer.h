/*
 * Who gets a bill, in the order of names and uids, as a name may have been given to somebody else
 * in a month: all of whom there are records, priced or not, and all
 * tenants that there are; with the traffic of a tenant's month, which has one percentile.
 */
#pragma once

#include "base/burst.h"
#include "cli/rate_card.h"

#include "croft/v1/usage.pb-c.h"

#define FOCUS_TEXT_MAX 256
#define FOCUS_UID_MAX  64

struct payer {
	char tenant[NAME_SIZE];
	char tenant_uid[FOCUS_UID_MAX]; /* "": from a croftd that does not tell it */
	char account[FOCUS_TEXT_MAX];	/* as its last record says, or it has now */
	int64_t end;			/* of the last window of those */
	rate_u128 minimum;		/* the largest of its plans */
	/* Of records of a percentile, where the card has a price for it. */
	struct burst_sum burst;		     /* owned */
	int64_t burst_end;		     /* of the last window of those */
	const struct rate_plan *burst_rates; /* its plan's, or NULL: there are none */
	char burst_plan[NAME_SIZE];
	char burst_unit[32];
};

struct payers {
	void *tree; /* of struct payer, which it owns */
	size_t n;
};

/* The tenant's, made where there is none yet. Returns 0 or -ENOMEM. */
int payers_get(struct payers *payers, const char *tenant, const char *uid, struct payer **ret,
	struct err *err);
/* NULL where there is none. */
struct payer *payers_find(const struct payers *payers, const char *tenant, const char *uid);
/* All, in order: an array of payers->n, which the caller frees. NULL: no memory. */
struct payer **payers_list(const struct payers *payers);
void payers_finish(struct payers *payers);

/*
 * Adds a record of a percentile. The month has one for each tenant, and the plan that it is priced
 * by is that of the last record. Returns 0 or -errno.
 */
int payer_add_burst(struct payer *payer, const Croft__V1__UsageRecord *record,
	const struct rate_plan *rates, struct err *err);

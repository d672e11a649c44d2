/*
 * What a period's records add up to, of each tenant. A percentile is worked out as soon as the
 * tenant's last record is added, so that the five minutes of one tenant are kept at a time, and of
 * all what is not closed yet, which is an hour or two. For the database's thread, but where it says
 * otherwise.
 */
#pragma once

#include "server/map.h"
#include "server/usage_sums.h"

struct sums_of_tenant {
	struct map_node by_uid;
	char uid[UID_SIZE];
	char name[NAME_SIZE];
	char account_ref[ACCOUNT_REF_MAX + 1];
	int64_t latest_usec; /* the start of the window that these are of */
	struct usage_sums sums;
};

/* All zero is empty. */
struct tenant_sums {
	struct map tenants;	       /* struct sums_of_tenant, owned */
	size_t hours;		       /* that are kept for percentiles */
	struct sums_of_tenant *closed; /* whose closed records are being read */
	char ranked[UID_SIZE];	       /* of those without any, the last one */
};

/*
 * One step of an export of that period (export_step()), which must be closed_last: adds what it
 * reads. Afterwards a step ranks one tenant. Returns 0 or -errno.
 */
int tenant_sums_step(
	struct db *db, struct tenant_sums *sums, struct export_cursor *cursor, struct err *err);
/* True when there is no step left. On any thread. */
bool tenant_sums_is_done(const struct tenant_sums *sums, const struct export_cursor *cursor);
/* The first one behind that uid, or NULL. On any thread. */
struct sums_of_tenant *tenant_sums_behind(const struct tenant_sums *sums, const char *uid);
void tenant_sums_finish(struct tenant_sums *sums);

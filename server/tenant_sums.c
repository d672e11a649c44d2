/* Adding up records by tenant; see tenant_sums.h. Only reads. */
#include "server/tenant_sums.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct sums_of_tenant *find(struct tenant_sums *sums, const char *uid)
{
	struct map_node *node = map_find(&sums->tenants, uid);
	struct sums_of_tenant *of;

	if (node)
		return map_object(node, struct sums_of_tenant, by_uid);
	of = calloc(1, sizeof(*of));
	if (!of)
		return NULL;
	of->latest_usec = INT64_MIN;
	snprintf(of->uid, sizeof(of->uid), "%s", uid);
	map_insert(&sums->tenants, &of->by_uid, of->uid);
	return of;
}

/* A chain is read to its end, and behind all that is not closed: then its tenant has no more. */
static void go_to_chain(
	struct tenant_sums *sums, const struct export_cursor *cursor, struct sums_of_tenant *of)
{
	if (sums->closed && sums->closed != of)
		usage_sums_rank(&sums->closed->sums, cursor, &sums->hours);
	sums->closed = of;
}

static int add(struct tenant_sums *sums, const struct export_cursor *cursor,
	const struct export_item *item, bool closed, struct err *err)
{
	const struct ledger_entry *entry = &item->entry;
	struct sums_of_tenant *of = find(sums, entry->tenant_uid);

	if (!of)
		return err_oom(err);
	if (closed)
		go_to_chain(sums, cursor, of);
	if (usage_sums_add(
		    &of->sums, item, usage_period_is_ranked(cursor) ? &sums->hours : NULL, err) < 0)
		return -ENOMEM;
	if (entry->window_start_usec >= of->latest_usec) {
		of->latest_usec = entry->window_start_usec;
		memcpy(of->name, entry->tenant, sizeof(of->name));
		memcpy(of->account_ref, entry->account_ref, sizeof(of->account_ref));
	}
	return 0;
}

struct sums_of_tenant *tenant_sums_behind(const struct tenant_sums *sums, const char *uid)
{
	struct map_node *node = map_after(&sums->tenants, uid);

	return node ? map_object(node, struct sums_of_tenant, by_uid) : NULL;
}

/* Those of the last chain, and of tenants of which nothing is closed. */
static void rank_one(struct tenant_sums *sums, const struct export_cursor *cursor)
{
	struct sums_of_tenant *of;

	while ((of = tenant_sums_behind(sums, sums->ranked))) {
		memcpy(sums->ranked, of->uid, sizeof(sums->ranked));
		if (of->sums.burst.n) {
			usage_sums_rank(&of->sums, cursor, &sums->hours);
			break;
		}
	}
}

int tenant_sums_step(
	struct db *db, struct tenant_sums *sums, struct export_cursor *cursor, struct err *err)
{
	/* One that has not begun yet begins with what is open. */
	bool closed = cursor->begun && cursor->phase == EXPORT_CLOSED;
	int r;

	if (cursor->phase == EXPORT_DONE) {
		rank_one(sums, cursor);
		return 0;
	}
	r = export_step(db, cursor, err);
	for (size_t i = 0; r == 0 && i < cursor->n_items; i++)
		r = add(sums, cursor, &cursor->items[i], closed, err);
	return r;
}

bool tenant_sums_is_done(const struct tenant_sums *sums, const struct export_cursor *cursor)
{
	return cursor->phase == EXPORT_DONE && !sums->hours;
}

void tenant_sums_finish(struct tenant_sums *sums)
{
	struct map_node *node;

	while ((node = map_after(&sums->tenants, ""))) {
		struct sums_of_tenant *of = map_object(node, struct sums_of_tenant, by_uid);

		map_remove(&sums->tenants, node);
		usage_sums_finish(&of->sums);
		free(of);
	}
}

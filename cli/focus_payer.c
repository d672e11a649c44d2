/* A tree of tenants that are billed; see focus_payer.h. */
#include "cli/focus_payer.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	const struct payer *x = a;
	const struct payer *y = b;

	int order = strcmp(x->tenant, y->tenant);

	return order ? order : strcmp(x->tenant_uid, y->tenant_uid);
}

struct payer *payers_find(const struct payers *payers, const char *tenant, const char *uid)
{
	struct payer like = {.end = 0};
	struct payer **found;

	snprintf(like.tenant, sizeof(like.tenant), "%s", tenant);
	snprintf(like.tenant_uid, sizeof(like.tenant_uid), "%s", uid);
	found = tfind(&like, &payers->tree, compare);
	return found ? *found : NULL;
}

int payers_get(struct payers *payers, const char *tenant, const char *uid, struct payer **ret,
	struct err *err)
{
	struct payer *payer = payers_find(payers, tenant, uid);

	if (payer) {
		*ret = payer;
		return 0;
	}
	payer = calloc(1, sizeof(*payer));
	if (!payer)
		return err_oom(err);
	snprintf(payer->tenant, sizeof(payer->tenant), "%s", tenant);
	snprintf(payer->tenant_uid, sizeof(payer->tenant_uid), "%s", uid);
	if (!tsearch(payer, &payers->tree, compare)) {
		free(payer);
		return err_oom(err);
	}
	payers->n++;
	*ret = payer;
	return 0;
}

struct list {
	struct payer **at;
	size_t n;
};

static void take(const void *node, VISIT which, void *arg)
{
	struct list *list = arg;

	if (which == postorder || which == leaf)
		list->at[list->n++] = *(struct payer *const *)node;
}

struct payer **payers_list(const struct payers *payers)
{
	struct list list = {.at = calloc(payers->n ? payers->n : 1, sizeof(struct payer *))};

	if (list.at)
		twalk_r(payers->tree, take, &list);
	return list.at;
}

static void destroy(void *arg)
{
	struct payer *payer = arg;

	burst_finish(&payer->burst);
	free(payer);
}

void payers_finish(struct payers *payers)
{
	tdestroy(payers->tree, destroy);
	*payers = (struct payers){.n = 0};
}

int payer_add_burst(struct payer *payer, const Croft__V1__UsageRecord *record,
	const struct rate_plan *rates, struct err *err)
{
	int64_t end = record->window_end ? record->window_end->seconds : 0;
	struct burst_hour hour;

	if (!record->window_start || burst_parse(record->slots, &hour) < 0)
		return err_set(err, ERR_INTERNAL, "REPLY_INVALID",
			"the server sent a record of %.60s without its five minutes",
			record->meter);
	if (burst_add(&payer->burst, record->window_start->seconds / 3600, &hour) < 0)
		return err_oom(err);
	if (payer->burst_rates && end < payer->burst_end)
		return 0;
	payer->burst_end = end;
	payer->burst_rates = rates;
	snprintf(payer->burst_plan, sizeof(payer->burst_plan), "%s", record->plan);
	snprintf(payer->burst_unit, sizeof(payer->burst_unit), "%s", record->unit);
	return 0;
}

/*
 * Makes bills; see focus.h. Rows are kept until the end, because what is included is of a tenant's
 * month: their number is bounded. Must never print a part of a bill that cannot be worked out.
 */
#include "cli/focus.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/focus_row.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX (1u << 20)

static int compare(const void *a, const void *b)
{
	const struct focus_row *x = a;
	const struct focus_row *y = b;
	int order = strcmp(x->tenant, y->tenant);

	if (!order)
		order = strcmp(x->tenant_uid, y->tenant_uid);
	if (!order)
		order = strcmp(x->plan, y->plan);
	if (!order)
		order = strcmp(x->meter, y->meter);
	if (!order)
		order = strcmp(x->resource, y->resource);
	if (!order)
		order = strcmp(x->uid, y->uid);
	if (!order)
		order = strcmp(x->account, y->account);
	/* What takes off comes last, so that no sum on the way is below 0. */
	if (!order)
		order = x->negative - y->negative;
	/* Behind what it corrects, which has none. */
	return order ? order : strcmp(x->correction, y->correction);
}

int focus_create(
	const struct rate_card *card, int64_t from, int64_t to, struct focus **ret, struct err *err)
{
	struct focus *f = calloc(1, sizeof(*f));

	if (!f)
		return err_oom(err);
	f->card = card;
	f->start = from;
	f->end = to;
	for (size_t i = 0; i < card->n_plans; i++)
		f->has_bursts |= rate_plan_price(&card->plans[i], FOCUS_METER_P95) != NULL;
	message_format_time(from, 0, f->from);
	message_format_time(to, 0, f->to);
	*ret = f;
	return 0;
}

void focus_destroy(struct focus *f)
{
	if (!f)
		return;
	tdestroy(f->tree, free);
	payers_finish(&f->payers);
	free(f->rows);
	free(f->list);
	free(f);
}

/* --- who pays --- */

static int find_rates(const struct focus *f, const char *plan, const char *tenant,
	const struct rate_plan **ret, struct err *err)
{
	*ret = rate_card_plan(f->card, plan);
	if (!*ret)
		return err_set(err, ERR_FAILED_PRECONDITION, "PLAN_WITHOUT_PRICES",
			"the rate card has no prices for the plan \"%.40s\" of tenant %.40s; add "
			"them, or the plan \"*\"",
			plan, tenant);
	return 0;
}

static int add_payer(struct focus *f, const struct focus_row *row, int64_t end, struct err *err)
{
	struct payer *payer;
	int r = payers_get(&f->payers, row->tenant, row->tenant_uid, &payer, err);

	if (r < 0)
		return r;
	if (row->rates->minimum > payer->minimum)
		payer->minimum = row->rates->minimum;
	if (end >= payer->end) {
		payer->end = end;
		memcpy(payer->account, row->account, sizeof(payer->account));
	}
	return 0;
}

int focus_add_tenant(struct focus *f, const Croft__V1__Tenant *tenant, struct err *err)
{
	const char *slash = strrchr(tenant->name, '/');
	const char *name = slash ? slash + 1 : tenant->name;
	const char *plan = strrchr(tenant->plan, '/');
	struct focus_row row = {.price = NULL};
	int r;

	if (tenant->create_time && tenant->create_time->seconds >= f->end)
		return 0; /* in a later month */
	r = find_rates(f, plan ? plan + 1 : tenant->plan, name, &row.rates, err);
	if (r < 0)
		return r;
	snprintf(row.tenant, sizeof(row.tenant), "%s", name);
	snprintf(row.tenant_uid, sizeof(row.tenant_uid), "%s", tenant->uid);
	snprintf(row.account, sizeof(row.account), "%s",
		*tenant->account_ref ? tenant->account_ref : name);
	/* What the records say comes first: its plan now may be one that it was not on in that
	 * month. */
	if (payers_find(&f->payers, name, tenant->uid) || payers_find(&f->payers, name, ""))
		return 0;
	return add_payer(f, &row, 0, err);
}

/* --- what was used --- */

/* What comes late by itself is a part of what it corrects. */
static bool is_by_operator(const Croft__V1__UsageRecord *record)
{
	static const char mark[] = "operator: ";

	return !strcmp(record->kind, "correction") && !strncmp(record->reason, mark, strlen(mark));
}

static bool is_burst(const Croft__V1__UsageRecord *record)
{
	return !strcmp(record->aggregation, "p95");
}

/* What is the tenant's as a whole has no uid of its own. */
static const char *uid_of_tenant(const Croft__V1__UsageRecord *record)
{
	return *record->tenant_uid ? record->tenant_uid : record->resource;
}

static int fill_row(const struct focus *f, const Croft__V1__UsageRecord *record,
	struct focus_row *row, struct err *err)
{
	const char *account = *record->account_ref ? record->account_ref : record->tenant;
	int r;

	memset(row, 0, sizeof(*row));
	r = find_rates(f, record->plan, record->tenant, &row->rates, err);
	if (r < 0)
		return r;
	row->price = rate_plan_price(row->rates, record->meter);
	if (row->price && strcmp(record->aggregation, "sum") != 0 &&
		strcmp(record->aggregation, "time_weighted") != 0 && !is_burst(record))
		return err_set(err, ERR_FAILED_PRECONDITION, "METER_NOT_A_SUM",
			"%.60s has no sum that could have a price; take it out of the rate card",
			record->meter);
	snprintf(row->tenant, sizeof(row->tenant), "%s", record->tenant);
	snprintf(row->tenant_uid, sizeof(row->tenant_uid), "%s", record->tenant_uid);
	snprintf(row->plan, sizeof(row->plan), "%s", record->plan);
	snprintf(row->meter, sizeof(row->meter), "%s", record->meter);
	snprintf(row->resource, sizeof(row->resource), "%s", record->resource);
	snprintf(row->uid, sizeof(row->uid), "%s",
		*record->resource_uid ? record->resource_uid : uid_of_tenant(record));
	snprintf(row->account, sizeof(row->account), "%s", account);
	snprintf(row->unit, sizeof(row->unit), "%s", record->unit);
	if (!is_by_operator(record))
		return 0;
	snprintf(row->reason, sizeof(row->reason), "%s", record->reason);
	row->n_corrected = 1;
	/* ChargeClass is of what was invoiced; before that a row simply has it in it. */
	if (record->finalized_at && record->finalized_at->seconds >= f->end) {
		snprintf(row->correction, sizeof(row->correction), "%s", record->record_id);
		row->negative = *record->quantity == '-';
	}
	return 0;
}

static int find_row(
	struct focus *f, const struct focus_row *like, struct focus_row **ret, struct err *err)
{
	struct focus_row **found = tfind(like, &f->tree, compare);
	struct focus_row *row;

	if (found) {
		*ret = *found;
		return 0;
	}
	if (f->n_rows == ROWS_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "BILL_TOO_LONG",
			"the bill has more than %u rows; ask for one tenant with --tenant",
			ROWS_MAX);
	row = malloc(sizeof(*row));
	if (!row)
		return err_oom(err);
	*row = *like;
	row->n_corrected = 0;
	if (!tsearch(row, &f->tree, compare)) {
		free(row);
		return err_oom(err);
	}
	f->n_rows++;
	*ret = row;
	return 0;
}

/* What a tenant's containers had together, by each five minutes: its row is made at the end. */
static int add_burst(struct focus *f, const struct focus_row *like,
	const Croft__V1__UsageRecord *record, struct err *err)
{
	struct payer *payer;
	int r = f->has_bursts
			? payers_get(&f->payers, record->tenant, record->tenant_uid, &payer, err)
			: 0;

	return r < 0 || !f->has_bursts ? r : payer_add_burst(payer, record, like->rates, err);
}

static int add_quantity(
	struct focus *f, const struct focus_row *like, const char *text, struct err *err)
{
	bool minus = *text == '-';
	struct focus_row *row = NULL;
	rate_u128 *sum;
	rate_u128 quantity;
	int r;

	if (rate_parse_whole(text + minus, &quantity) < 0)
		return err_set(err, ERR_INTERNAL, "REPLY_INVALID",
			"the server sent a quantity that is not a whole number");
	r = find_row(f, like, &row, err);
	if (r < 0)
		return r;
	sum = minus && !like->negative ? &row->taken_off : &row->quantity;
	if (__builtin_add_overflow(*sum, quantity, sum))
		return err_set(err, ERR_OUT_OF_RANGE, "AMOUNT_TOO_LARGE",
			"a month's sum of %.60s is too large", like->meter);
	if (like->n_corrected) {
		row->n_corrected++;
		memcpy(row->reason, like->reason, sizeof(row->reason));
	}
	return 0;
}

int focus_add(struct focus *f, const Croft__V1__UsageRecord *record, struct err *err)
{
	struct focus_row like;
	int r = fill_row(f, record, &like, err);

	if (r == 0)
		r = add_payer(f, &like, record->window_end ? record->window_end->seconds : 0, err);
	if (r == 0 && is_burst(record))
		return add_burst(f, &like, record, err);
	return r < 0 || !like.price ? r : add_quantity(f, &like, record->quantity, err);
}

/* Of so much of the month as is over. */
static int finish_burst(struct focus *f, const struct payer *payer, struct err *err)
{
	int64_t now = clock_wall_usec();
	int64_t end = f->end * 1000000;
	struct focus_row like = {.rates = payer->burst_rates};
	struct focus_row *row = NULL;

	if (like.rates)
		like.price = rate_plan_price(like.rates, FOCUS_METER_P95);
	if (!like.price)
		return 0;
	memcpy(like.tenant, payer->tenant, sizeof(like.tenant));
	memcpy(like.tenant_uid, payer->tenant_uid, sizeof(like.tenant_uid));
	memcpy(like.plan, payer->burst_plan, sizeof(like.plan));
	memcpy(like.account, payer->account, sizeof(like.account));
	memcpy(like.unit, payer->burst_unit, sizeof(like.unit));
	snprintf(like.meter, sizeof(like.meter), "%s", FOCUS_METER_P95);
	/* It is of the tenant as a whole. */
	snprintf(like.resource, sizeof(like.resource), "tenants/%s", payer->tenant);
	snprintf(like.uid, sizeof(like.uid), "tenants/%s", payer->tenant);
	if (*payer->tenant_uid)
		memcpy(like.uid, payer->tenant_uid, sizeof(like.uid));
	like.quantity = burst_p95(&payer->burst, f->start * 1000000, now < end ? now : end);
	return find_row(f, &like, &row, err);
}

static int finish_bursts(struct focus *f, struct err *err)
{
	int r = 0;

	f->list = payers_list(&f->payers);
	if (!f->list)
		return err_oom(err);
	for (size_t i = 0; r == 0 && i < f->payers.n; i++)
		r = finish_burst(f, f->list[i], err);
	return r;
}

/* --- what it costs --- */

static void take_row(const void *node, VISIT which, void *arg)
{
	struct focus *f = arg;

	if (which == postorder || which == leaf)
		f->rows[f->n_rows++] = *(struct focus_row *const *)node;
}

static bool is_same_meter(const struct focus_row *a, const struct focus_row *b)
{
	return !strcmp(a->tenant, b->tenant) && !strcmp(a->tenant_uid, b->tenant_uid) &&
	       !strcmp(a->plan, b->plan) && !strcmp(a->meter, b->meter);
}

static int work_out_all(struct focus *f, struct err *err)
{
	size_t n = f->n_rows;
	int r = 0;

	f->rows = calloc(n ? n : 1, sizeof(struct focus_row *));
	if (!f->rows)
		return err_oom(err);
	f->n_rows = 0;
	twalk_r(f->tree, take_row, f);
	for (size_t i = 0, end; r == 0 && i < n; i = end) {
		for (end = i + 1; end < n && is_same_meter(f->rows[i], f->rows[end]);)
			end++;
		r = focus_work_out(f->rows + i, end - i, err);
	}
	return r;
}

/* First to nobody: what fails, fails before a part of it is out. */
int focus_print(struct focus *f, FILE *out, struct err *err)
{
	_cleanup_fclose_ FILE *nobody = fopen("/dev/null", "we");
	int r = nobody ? finish_bursts(f, err) : err_sys(err, errno, "open /dev/null");

	if (r == 0)
		r = work_out_all(f, err);
	if (r == 0)
		r = focus_print_bill(f, nobody, err);
	return r < 0 ? r : focus_print_bill(f, out, err);
}

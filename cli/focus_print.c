/*
 * A bill in the columns of FOCUS 1.2; their rules are in tests/integration/focus_rules.py. Must
 * never print an amount that was not worked out.
 */
#include "base/cleanup.h"
#include "cli/csv.h"
#include "cli/focus_row.h"
#include "proto/json.h"

#include <string.h>

#define OBJECT_MAX 512 /* JSON of a row */

enum column {
	BILLED_COST,
	BILLING_ACCOUNT_ID,
	BILLING_ACCOUNT_NAME,
	BILLING_CURRENCY,
	BILLING_PERIOD_END,
	BILLING_PERIOD_START,
	CHARGE_CATEGORY,
	CHARGE_CLASS,
	CHARGE_DESCRIPTION,
	CHARGE_FREQUENCY,
	CHARGE_PERIOD_END,
	CHARGE_PERIOD_START,
	CONSUMED_QUANTITY,
	CONSUMED_UNIT,
	CONTRACTED_COST,
	CONTRACTED_UNIT_PRICE,
	EFFECTIVE_COST,
	INVOICE_ISSUER_NAME,
	LIST_COST,
	LIST_UNIT_PRICE,
	PRICING_CATEGORY,
	PRICING_QUANTITY,
	PRICING_UNIT,
	PROVIDER_NAME,
	PUBLISHER_NAME,
	RESOURCE_ID,
	RESOURCE_NAME,
	RESOURCE_TYPE,
	SERVICE_CATEGORY,
	SERVICE_NAME,
	SERVICE_SUBCATEGORY,
	SKU_ID,
	SKU_METER,
	SKU_PRICE_DETAILS,
	SKU_PRICE_ID,
	SUB_ACCOUNT_ID,
	SUB_ACCOUNT_NAME,
	TAGS,
	COLUMNS,
};

static const char *const headings[COLUMNS] = {"BilledCost", "BillingAccountId",
	"BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
	"ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd",
	"ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost",
	"ContractedUnitPrice", "EffectiveCost", "InvoiceIssuerName", "ListCost", "ListUnitPrice",
	"PricingCategory", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName",
	"ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName",
	"ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId", "SubAccountId",
	"SubAccountName", "Tags"};

/* FOCUS, "Unit Format". */
static const char *unit_name(const char *unit)
{
	static const char *const names[][2] = {
		{"us", "Microseconds"},
		{"s", "Seconds"},
		{"KiB.s", "KiB-Seconds"},
		{"bytes", "B"},
		{"count", "Counts"},
		{"packets", "Packets"},
		{"bits/s", "b/Second"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(unit, names[i][0]))
			return names[i][1];
	return unit;
}

static const char *type_of(const char *resource)
{
	if (strstr(resource, "/containers/"))
		return "Container";
	return strstr(resource, "/volumes/") ? "Volume" : "Tenant";
}

/* JSON of an object, as "Key-Value Format" asks; keys of tags that a provider gives have a prefix.
 */
static void write_tags(const struct focus_row *row, char out[static OBJECT_MAX])
{
	FILE *file = fmemopen(out, OBJECT_MAX, "w");

	out[0] = '\0';
	if (!file)
		return;
	fputs("{\"croft/meter\":", file);
	json_write_string(row->meter, file);
	fputs(",\"croft/plan\":", file);
	json_write_string(row->plan, file);
	fputs("}", file);
	fclose(file);
}

/* What is the same in all of a tenant's charges. A column that is left NULL is a null. */
static void fill_payer(
	const struct focus *f, const struct payer *payer, const char *values[static COLUMNS])
{
	const struct rate_card *card = f->card;

	memset(values, 0, COLUMNS * sizeof(*values));
	values[BILLING_ACCOUNT_ID] = values[BILLING_ACCOUNT_NAME] = payer->account;
	values[BILLING_CURRENCY] = card->currency;
	values[BILLING_PERIOD_START] = values[CHARGE_PERIOD_START] = f->from;
	values[BILLING_PERIOD_END] = values[CHARGE_PERIOD_END] = f->to;
	values[INVOICE_ISSUER_NAME] = values[PROVIDER_NAME] = values[PUBLISHER_NAME] =
		card->provider;
	values[SERVICE_CATEGORY] = "Compute";
	values[SERVICE_NAME] = card->service;
	values[SERVICE_SUBCATEGORY] = "Containers";
	values[SUB_ACCOUNT_ID] = *payer->tenant_uid ? payer->tenant_uid : payer->tenant;
	values[SUB_ACCOUNT_NAME] = payer->tenant;
}

/* An empty field is a null; FOCUS knows no empty texts. */
static void print_values(const char *values[static COLUMNS], FILE *out)
{
	for (size_t i = 0; i < COLUMNS; i++)
		if (!values[i])
			values[i] = "";
	csv_print(values, COLUMNS, out);
}

/* Whole, unlike amounts. Returns where it begins in out. */
static const char *format_whole(rate_u128 value, bool negative, char out[static RATE_MONEY_MAX])
{
	return rate_format(value, 0, negative && value, out);
}

/* With the reason for what operators corrected in it. */
static void describe(const struct focus_row *row, bool included, char *out, size_t size)
{
	char why[FOCUS_REASON_MAX + 48] = "";

	if (*row->correction)
		snprintf(why, sizeof(why), ", %s", row->reason);
	else if (row->n_corrected == 1)
		snprintf(why, sizeof(why), ", corrected (%s)", row->reason);
	else if (row->n_corrected)
		snprintf(why, sizeof(why), ", corrected %u times (the last: %s)", row->n_corrected,
			row->reason);
	snprintf(out, size, "%s%s of %s%s%s", *row->correction ? "Correction of " : "", row->meter,
		row->resource, included ? ", included" : "", why);
}

static void print_piece(const struct focus *f, const struct payer *payer,
	const struct focus_row *row, const struct focus_piece *piece, FILE *out)
{
	const char *v[COLUMNS];
	char description[FOCUS_TEXT_MAX + RATE_METER_MAX + FOCUS_REASON_MAX + 64];
	char tags[OBJECT_MAX], details[OBJECT_MAX], sku[NAME_SIZE + RATE_METER_MAX];
	char billed[RATE_MONEY_MAX], list[RATE_MONEY_MAX], price[RATE_MONEY_MAX];
	char consumed[RATE_MONEY_MAX], priced[RATE_MONEY_MAX];
	bool minus = row->negative;

	fill_payer(f, payer, v);
	v[BILLING_ACCOUNT_ID] = v[BILLING_ACCOUNT_NAME] = row->account;
	describe(row, piece->included, description, sizeof(description));
	v[CHARGE_CATEGORY] = "Usage";
	v[CHARGE_CLASS] = *row->correction ? "Correction" : NULL;
	v[CHARGE_DESCRIPTION] = description;
	v[CHARGE_FREQUENCY] = "Usage-Based";
	v[BILLED_COST] = v[EFFECTIVE_COST] = rate_format(
		piece->billed, RATE_DIGITS, minus && piece->billed, billed);
	v[LIST_COST] = v[CONTRACTED_COST] = rate_format(
		piece->list, 2 * RATE_DIGITS, minus && piece->list, list);
	v[LIST_UNIT_PRICE] = v[CONTRACTED_UNIT_PRICE] = rate_format(
		row->price->price, RATE_DIGITS, false, price);
	v[PRICING_CATEGORY] = "Standard";
	v[PRICING_QUANTITY] = rate_format(
		piece->priced, RATE_DIGITS, minus && piece->priced, priced);
	v[PRICING_UNIT] = row->price->unit;
	v[CONSUMED_QUANTITY] = format_whole(piece->quantity, minus, consumed);
	v[CONSUMED_UNIT] = unit_name(row->unit);
	v[RESOURCE_ID] = row->uid;
	v[RESOURCE_NAME] = row->resource;
	v[RESOURCE_TYPE] = type_of(row->resource);
	snprintf(sku, sizeof(sku), "%s/%s", row->plan, row->meter);
	v[SKU_ID] = v[SKU_PRICE_ID] = sku;
	v[SKU_METER] = row->meter;
	/* Of one PricingUnit, as numbers in it are to be. */
	snprintf(details, sizeof(details), "{\"ConsumedQuantity\":%llu,\"ConsumedUnit\":\"%s\"}",
		(unsigned long long)row->price->per, v[CONSUMED_UNIT]);
	v[SKU_PRICE_DETAILS] = details;
	write_tags(row, tags);
	v[TAGS] = tags;
	print_values(v, out);
}

/* Of who pays, not of something that is used; and it is its own price. */
static void print_adjustment(const struct focus *f, const struct payer *payer, const char *why,
	const char *frequency, rate_u128 from, rate_u128 to, FILE *out)
{
	rate_u128 amount = focus_apart(from, to);
	char text[RATE_MONEY_MAX];
	const char *v[COLUMNS];

	if (!amount)
		return;
	fill_payer(f, payer, v);
	v[CHARGE_CATEGORY] = "Adjustment";
	v[CHARGE_DESCRIPTION] = why;
	v[CHARGE_FREQUENCY] = frequency;
	v[BILLED_COST] = v[EFFECTIVE_COST] = v[LIST_COST] = v[CONTRACTED_COST] = rate_format(
		amount, RATE_DIGITS, from > to, text);
	print_values(v, out);
}

/* A tenant's rows, then what its total lacks of its minimum, and its rounding. */
static int print_tenant(const struct focus *f, const struct payer *payer,
	struct focus_row *const *rows, size_t n, FILE *out, struct err *err)
{
	rate_u128 total = 0;

	for (size_t i = 0; i < n; i++)
		for (unsigned k = 0; k < rows[i]->n_pieces; k++) {
			const struct focus_piece *piece = &rows[i]->pieces[k];

			if (focus_add_signed(&total, piece->billed, rows[i]->negative) < 0)
				return err_set(err, ERR_OUT_OF_RANGE, "AMOUNT_TOO_LARGE",
					"the total of tenant %.40s cannot be worked out",
					payer->tenant);
			print_piece(f, payer, rows[i], piece, out);
		}
	if (total < payer->minimum) {
		print_adjustment(
			f, payer, "Monthly minimum", "Recurring", total, payer->minimum, out);
		total = payer->minimum;
	}
	print_adjustment(f, payer, "Rounding of the month's total", "One-Time", total,
		rate_round(f->card, total), out);
	return 0;
}

static bool is_of(const struct focus_row *row, const struct payer *payer)
{
	return !strcmp(row->tenant, payer->tenant) && !strcmp(row->tenant_uid, payer->tenant_uid);
}

/* Both are in order of tenants, and whoever has a row is a payer. */
int focus_print_bill(const struct focus *f, FILE *out, struct err *err)
{
	size_t first = 0;
	int r = 0;

	csv_print(headings, COLUMNS, out);
	for (size_t i = 0; r == 0 && i < f->payers.n; i++) {
		const struct payer *payer = f->list[i];
		size_t end = first;

		while (end < f->n_rows && is_of(f->rows[end], payer))
			end++;
		r = print_tenant(f, payer, f->rows + first, end - first, out, err);
		first = end;
	}
	return r;
}

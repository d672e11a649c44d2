/*
 * A month's bill in FOCUS 1.2 (FinOps Open Cost and Usage Specification), as CSV: a row for each
 * tenant, plan, meter and container, then what makes up a minimum and what rounds the total. Each
 * tenant that there was in the month pays a minimum, whether it used anything or not.
 */
#pragma once

#include "cli/rate_card.h"

#include "croft/v1/tenants.pb-c.h"
#include "croft/v1/usage.pb-c.h"

#include <stdio.h>

struct focus;

/* A month as its first second and that of the next, UTC. The card must outlive the bill. */
int focus_create(const struct rate_card *card, int64_t from, int64_t to, struct focus **ret,
	struct err *err);
/* Adds a record of the month. Returns 0 or -errno: a plan without prices, a peak that has one. */
int focus_add(struct focus *focus, const Croft__V1__UsageRecord *record, struct err *err);
/*
 * Adds a tenant that there is now, for its minimum: whether it has records or not. The same errors.
 */
int focus_add_tenant(struct focus *focus, const Croft__V1__Tenant *tenant, struct err *err);
/* Works the bill out and writes it. Returns 0 or -errno; out may have failed. */
int focus_print(struct focus *focus, FILE *out, struct err *err);
void focus_destroy(struct focus *focus);

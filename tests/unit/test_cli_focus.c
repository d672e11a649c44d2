/* cli/focus.h: where corrections go, and how what is included divides a row. */
#include "cli/focus.h"

#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

/* 2026-11, UTC. */
#define MONTH 1793491200
#define NEXT  1796083200

static struct rate_price prices[] = {
	{.meter = "cpu.used", .unit = "Units", .price = 20000000000, .per = 10, .included = 100}};
static struct rate_plan plans[] = {{.name = "*", .prices = prices, .n_prices = 1}};
static const struct rate_card card = {.currency = "EUR",
	.digits = 2,
	.provider = "P",
	.service = "S",
	.plans = plans,
	.n_plans = 1};

struct entry {
	const char *container;
	const char *quantity;
	const char *reason; /* NULL: usage */
	int64_t finalized;
	const char *tenant_uid; /* NULL: "one" */
};

static void add(struct focus *f, const struct entry *e, unsigned i)
{
	Croft__V1__UsageRecord r = CROFT__V1__USAGE_RECORD__INIT;
	Google__Protobuf__Timestamp start = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Google__Protobuf__Timestamp end = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Google__Protobuf__Timestamp finalized = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	char resource[64], id[16];
	struct err err;

	snprintf(resource, sizeof(resource), "tenants/acme/containers/%s", e->container);
	snprintf(id, sizeof(id), "id%u", i);
	start.seconds = MONTH;
	end.seconds = MONTH + 3600;
	finalized.seconds = e->finalized;
	r.record_id = id;
	r.tenant = (char *)"acme";
	r.tenant_uid = (char *)(e->tenant_uid ? e->tenant_uid : "one");
	r.resource = resource;
	r.resource_uid = (char *)e->container;
	r.meter = (char *)"cpu.used";
	r.unit = (char *)"us";
	r.aggregation = (char *)"sum";
	r.plan = (char *)"small";
	r.quantity = (char *)e->quantity;
	r.kind = (char *)(e->reason ? "correction" : "usage");
	r.reason = (char *)(e->reason ? e->reason : "");
	r.window_start = &start;
	r.window_end = &end;
	r.finalized_at = &finalized;
	assert_int_equal(focus_add(f, &r, &err), 0);
}

/* "category,class,description,consumed,billed,list" of each row. */
static char *bill(const struct entry *entries, unsigned n)
{
	enum { FIELDS = 40 };
	struct focus *f = NULL;
	struct err err;
	char *text = NULL, *out = NULL, *line, *rest;
	size_t size = 0, out_size = 0;
	FILE *file = open_memstream(&text, &size);
	FILE *ret = open_memstream(&out, &out_size);

	assert_int_equal(focus_create(&card, MONTH, NEXT, &f, &err), 0);
	for (unsigned i = 0; i < n; i++)
		add(f, &entries[i], i);
	assert_int_equal(focus_print(f, file, &err), 0);
	focus_destroy(f);
	fclose(file);
	/* The heading is left out. Objects come last, so that their commas are of no concern; no
	 * other field has any, but for descriptions, which are quoted then. */
	rest = strchr(text, '\n') + 1;
	while ((line = strsep(&rest, "\n")) && *line) {
		char *fields[FIELDS] = {NULL};
		unsigned k = 0;

		for (char *p = line; p && k < FIELDS; k++) {
			bool quoted = *p == '"';
			char *end = quoted ? strchr(p + 1, '"') + 1 : p + strcspn(p, ",\r");

			fields[k] = p + quoted;
			p = *end == ',' ? end + 1 : NULL;
			end[-quoted] = '\0';
		}
		fprintf(ret, "%s|%s|%s|%s|%s|%s\n", fields[6], fields[7], fields[8], fields[12],
			fields[0], fields[18]);
	}
	fclose(ret);
	free(text);
	return out;
}

static void a_correction_is_of_what_may_have_been_invoiced(void **state)
{
	static const struct entry during[] = {
		{"web", "-30", "operator: first", NEXT - 1},
		{"web", "200", NULL, MONTH + 3720},
		{"web", "-20", "operator: slow", NEXT - 1},
	};
	static const struct entry after[] = {
		{"web", "-30", "operator: slow", NEXT},
		{"web", "200", NULL, MONTH + 3720},
		{"web", "10", "late", NEXT + 5},
	};
	char *text = bill(during, ARRAY_SIZE(during));

	(void)state;
	assert_string_equal(text,
		"Usage||cpu.used of tenants/acme/containers/web, included, corrected 2 times (the "
		"last: operator: slow)|100|0|20\n"
		"Usage||cpu.used of tenants/acme/containers/web, corrected 2 times (the last: "
		"operator: slow)|50|10|10\n");
	free(text);
	text = bill(after, ARRAY_SIZE(after));
	assert_string_equal(text,
		"Usage||cpu.used of tenants/acme/containers/web, included|100|0|20\n"
		"Usage||cpu.used of tenants/acme/containers/web|110|22|22\n"
		"Usage|Correction|Correction of cpu.used of tenants/acme/containers/web, "
		"operator: slow|-30|-6|-6\n");
	free(text);
}

/* A row is all free or not at all, also where what is taken off goes below what is included. */
static void a_correction_ends_where_what_is_included_does(void **state)
{
	static const struct entry across[] = {
		{"web", "110", NULL, 0}, {"web", "-30", "operator: slow", NEXT}};
	static const struct entry just[] = {
		{"web", "110", NULL, 0}, {"web", "-10", "operator: slow", NEXT}};
	char *text = bill(across, ARRAY_SIZE(across));

	(void)state;
	assert_string_equal(text,
		"Usage||cpu.used of tenants/acme/containers/web, included|100|0|20\n"
		"Usage||cpu.used of tenants/acme/containers/web|10|2|2\n"
		"Usage|Correction|Correction of cpu.used of tenants/acme/containers/web, "
		"operator: slow|-10|-2|-2\n"
		"Usage|Correction|Correction of cpu.used of tenants/acme/containers/web, "
		"included, operator: slow|-20|0|-4\n");
	free(text);
	text = bill(just, ARRAY_SIZE(just));
	assert_string_equal(text,
		"Usage||cpu.used of tenants/acme/containers/web, included|100|0|20\n"
		"Usage||cpu.used of tenants/acme/containers/web|10|2|2\n"
		"Usage|Correction|Correction of cpu.used of tenants/acme/containers/web, "
		"operator: slow|-10|-2|-2\n");
	free(text);
}

/* Whatever their ids, that is their order: none of the sums on the way is below 0. */
static void a_correction_that_was_undone(void **state)
{
	static const struct entry undone[] = {
		{"web", "-100", "operator: undo", NEXT + 9},
		{"web", "50", NULL, MONTH + 3720},
		{"web", "100", "operator: typo", NEXT},
	};
	char *text = bill(undone, ARRAY_SIZE(undone));

	(void)state;
	assert_string_equal(text,
		"Usage||cpu.used of tenants/acme/containers/web, included|50|0|10\n"
		"Usage|Correction|Correction of cpu.used of tenants/acme/containers/web, "
		"included, operator: typo|50|0|10\n"
		"Usage|Correction|Correction of cpu.used of tenants/acme/containers/web, "
		"operator: typo|50|10|10\n"
		"Usage|Correction|Correction of cpu.used of tenants/acme/containers/web, "
		"operator: undo|-50|-10|-10\n"
		"Usage|Correction|Correction of cpu.used of tenants/acme/containers/web, "
		"included, operator: undo|-50|0|-10\n");
	free(text);
}

static void what_is_included_ends_where_it_does(void **state)
{
	static const struct entry just[] = {{"a", "100", NULL, 0}, {"b", "7", NULL, 0}};
	static const struct entry less[] = {{"a", "99", NULL, 0}, {"b", "1", NULL, 0}};
	static const struct entry nothing[] = {{"a", "0", NULL, 0}, {"b", "103", NULL, 0}};
	char *text = bill(just, 2);

	(void)state;
	assert_string_equal(text,
		"Usage||cpu.used of tenants/acme/containers/a, included|100|0|20\n"
		"Usage||cpu.used of tenants/acme/containers/b|7|1.4|1.4\n");
	free(text);
	text = bill(less, 2);
	assert_string_equal(text,
		"Usage||cpu.used of tenants/acme/containers/a, included|99|0|19.8\n"
		"Usage||cpu.used of tenants/acme/containers/b, included|1|0|0.2\n");
	free(text);
	text = bill(nothing, 2);
	assert_string_equal(text,
		"Usage||cpu.used of tenants/acme/containers/a, included|0|0|0\n"
		"Usage||cpu.used of tenants/acme/containers/b, included|100|0|20\n"
		"Usage||cpu.used of tenants/acme/containers/b|3|0.6|0.6\n");
	free(text);
}

/* Each with what is included in its own plan. */
static void a_name_that_was_given_to_somebody_else(void **state)
{
	static const struct entry both[] = {
		{"a", "70", NULL, 0, "two"}, {"a", "60", NULL, 0}, {"b", "50", NULL, 0, "two"}};
	char *text = bill(both, ARRAY_SIZE(both));

	(void)state;
	assert_string_equal(text, "Usage||cpu.used of tenants/acme/containers/a, included|60|0|12\n"
				  "Usage||cpu.used of tenants/acme/containers/a, included|70|0|14\n"
				  "Usage||cpu.used of tenants/acme/containers/b, included|30|0|6\n"
				  "Usage||cpu.used of tenants/acme/containers/b|20|4|4\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_correction_is_of_what_may_have_been_invoiced),
		cmocka_unit_test(a_correction_ends_where_what_is_included_does),
		cmocka_unit_test(a_correction_that_was_undone),
		cmocka_unit_test(what_is_included_ends_where_it_does),
		cmocka_unit_test(a_name_that_was_given_to_somebody_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

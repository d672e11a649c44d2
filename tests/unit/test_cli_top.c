/* cli/top_frame.h, top_print.h: the order of rows, and lines that fit. */
#include "cli/top_frame.h"
#include "cli/top_print.h"

#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

struct given {
	const char *name;
	uint64_t cpu;
	uint64_t memory;
};

static const struct given rows[] = {
	{"tenants/acme", 500, 300},
	{"tenants/acme/containers/db", 100, 200},
	{"tenants/acme/containers/web", 400, 100},
	/* A name that begins as the other does, and sorts between it and its containers. */
	{"tenants/acme-2", 900, 10},
	{"tenants/acme-2/containers/web", 900, 10},
	{"tenants/beta", 500, 50},
	{"tenants/beta/containers/x", 500, 50},
};

static ProtobufCMessage *make(const struct given *given)
{
	Croft__V1__LiveUsage *usage = calloc(1, sizeof(*usage));

	croft__v1__live_usage__init(usage);
	usage->name = strdup(given->name);
	usage->cpu_milli = given->cpu;
	usage->memory_bytes = given->memory;
	return &usage->base;
}

static void fill(struct top_frame *frame)
{
	struct err err;

	*frame = (struct top_frame){0};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(top_frame_add(frame, make(&rows[i]), &err), 0);
}

static void expect_order(enum top_key key, bool flat, const char *wanted)
{
	struct top_frame frame;
	char order[256] = "";

	fill(&frame);
	top_frame_sort(&frame, key, flat);
	for (size_t i = 0; i < frame.n; i++) {
		if (flat && !frame.rows[i].is_container)
			continue;
		strcat(order, frame.rows[i].name);
		strcat(order, " ");
	}
	assert_string_equal(order, wanted);
	top_frame_finish(&frame);
}

static void tenants_have_their_containers_behind_them(void **state)
{
	(void)state;
	expect_order(TOP_CPU, false, "acme-2 acme-2/web acme acme/web acme/db beta beta/x ");
	expect_order(TOP_MEMORY, false, "acme acme/db acme/web beta beta/x acme-2 acme-2/web ");
	expect_order(TOP_NAME, false, "acme acme/db acme/web acme-2 acme-2/web beta beta/x ");
}

static void flat_has_containers_alone(void **state)
{
	(void)state;
	expect_order(TOP_CPU, true, "acme-2/web beta/x acme/web acme/db ");
	expect_order(TOP_MEMORY, true, "acme/db acme/web beta/x acme-2/web ");
}

static void every_key_has_a_letter_of_its_own(void **state)
{
	(void)state;
	for (int i = 0; i < TOP_KEYS; i++) {
		assert_non_null(top_key_names[i].name);
		assert_true(top_key_names[i].letter && !strchr("qf", top_key_names[i].letter));
		for (int j = 0; j < i; j++)
			assert_int_not_equal(top_key_names[i].letter, top_key_names[j].letter);
	}
}

/* The largest figures there can be, and a name that is as long as names are, and hostile. */
static void lines_fit(void **state)
{
	Croft__V1__Pressure pressure = CROFT__V1__PRESSURE__INIT;
	Croft__V1__Limits limits = CROFT__V1__LIMITS__INIT;
	Croft__V1__LiveUsage usage = CROFT__V1__LIVE_USAGE__INIT;
	struct top_row row = {.usage = &usage,
		.tenant = &usage,
		.name = "a23456789012345678901234567890\033[/b23456789012345678901234567890\n",
		.is_container = true};

	(void)state;
	pressure.some_permyriad = 10000;
	pressure.full_permyriad = UINT32_MAX;
	limits.memory_bytes = 1;
	limits.pids = UINT64_MAX;
	usage = (Croft__V1__LiveUsage){.base = usage.base,
		.name = (char *)"",
		.cpu_milli = UINT64_MAX,
		.throttled_milli = UINT64_MAX,
		.memory_bytes = UINT64_MAX,
		.pids = UINT64_MAX,
		.net_in_bytes = UINT64_MAX,
		.net_out_bytes = 1023,
		.io_read_bytes = 1024,
		.io_write_bytes = 999999,
		.limits = &limits,
		.cpu_pressure = &pressure,
		.memory_pressure = &pressure,
		.io_pressure = &pressure};
	for (unsigned columns = 1; columns <= 300; columns++) {
		char line[TOP_LINE_MAX];
		char heading[TOP_LINE_MAX];

		for (int flat = 0; flat < 2; flat++) {
			top_print_row(&row, columns, flat, line);
			assert_true(strlen(line) <= columns && strlen(line) <= TOP_COLUMNS_MAX);
			for (const char *p = line; *p; p++)
				assert_true(*p >= ' ' && *p <= '~');
		}
		top_print_heading(columns, heading);
		assert_true(strlen(heading) <= columns);
		if (columns >= TOP_COLUMNS_MIN)
			assert_int_equal(strlen(heading), strlen(line));
	}
}

static void a_line_says_what_is_there(void **state)
{
	Croft__V1__Pressure pressure = CROFT__V1__PRESSURE__INIT;
	Croft__V1__Limits limits = CROFT__V1__LIMITS__INIT;
	Croft__V1__LiveUsage tenant = CROFT__V1__LIVE_USAGE__INIT;
	Croft__V1__LiveUsage usage = CROFT__V1__LIVE_USAGE__INIT;
	struct top_row row = {
		.usage = &usage, .tenant = &tenant, .name = "acme/web", .is_container = true};
	char line[TOP_LINE_MAX];

	(void)state;
	pressure.some_permyriad = 1714;
	pressure.full_permyriad = 250;
	limits.memory_bytes = 256 << 20;
	tenant.limits = &limits;
	usage.cpu_milli = 1234;
	usage.throttled_milli = 56;
	usage.memory_bytes = 64 << 20;
	usage.pids = 12;
	usage.net_in_bytes = 1536;
	usage.net_out_bytes = 999;
	usage.io_read_bytes = 10240;
	usage.cpu_pressure = &pressure;
	assert_string_equal(top_print_heading(80, line),
		"NAME                CPU HELD  MEM   OF      PIDS   IN  OUT READ WRIT  WC  WM  WI");
	assert_string_equal(top_print_row(&row, 80, false, line),
		"  web              123%   6%  64M  25%      12/- 1.5K  999  10K    0  17   -   -");
	assert_string_equal(top_print_row(&row, 80, true, line),
		"acme/web           123%   6%  64M  25%      12/- 1.5K  999  10K    0  17   -   -");
	assert_non_null(strstr(top_print_row(&row, 120, true, line), "  17/3 "));
	/* Where a name is too long, it is the name that is cut. */
	usage.frozen = true;
	assert_non_null(strstr(top_print_row(&row, 80, false, line), "  web (frozen) "));
	row.name = "acme/abcdefghijklmnopqrstuvwxyz";
	assert_non_null(strstr(top_print_row(&row, 80, false, line), "  abcde~ (frozen) "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tenants_have_their_containers_behind_them),
		cmocka_unit_test(flat_has_containers_alone),
		cmocka_unit_test(every_key_has_a_letter_of_its_own),
		cmocka_unit_test(lines_fit),
		cmocka_unit_test(a_line_says_what_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

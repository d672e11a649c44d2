/* base/limits.h: the one table that the CLI, croftd and the supervisor check limits with. */
#include "base/limits.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define MIB UINT64_C(1048576)

static void sizes_parse(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} rows[] = {
		{"0", 0},
		{"1", 1},
		{"64B", 64},
		{"64K", 65536},
		{"64M", 67108864},
		{"64MiB", 67108864},
		{"64m", 67108864},
		{"64MB", 64000000},
		{"64KB", 64000},
		{"2G", 2048 * MIB},
		{"1T", 1048576 * MIB},
		{"1TB", UINT64_C(1000000000000)},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t bytes = 7;

		if (size_parse(rows[i].text, &bytes) < 0)
			fail_msg("\"%s\" was refused", rows[i].text);
		if (bytes != rows[i].bytes)
			fail_msg("\"%s\" is %" PRIu64, rows[i].text, bytes);
	}
}

static void bad_sizes_are_refused(void **state)
{
	static const char *const rows[] = {"", "-1", "+1", " 1", "1 ", "M", "1X", "1.5G", "1Mi",
		"1MiBx", "1MBx", "1BB", "1BM", "0x10", "99999999999999999999", "99999999999T",
		"18446744073709551615K", "1e3", "\n1", "64M\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t bytes = 7;

		if (size_parse(rows[i], &bytes) == 0)
			fail_msg("\"%s\" was accepted", rows[i]);
		assert_int_equal(bytes, 7);
	}
}

static void sizes_format(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{0, "0 B"},
		{100, "100 B"},
		{1023, "1023 B"},
		{1024, "1 KiB"},
		{1536, "1.5 KiB"},
		{512 * MIB, "512 MiB"},
		{1536 * MIB, "1.5 GiB"},
		{UINT64_MAX - 1, "16383.9 PiB"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char out[LIMIT_TEXT_MAX];

		assert_string_equal(size_format(rows[i].bytes, out), rows[i].text);
	}
}

static void parse_one(enum limit_id id, const char *text, uint64_t expected)
{
	struct limits l;
	struct err err;

	limits_init(&l);
	if (limits_parse(&l, id, text, &err) < 0)
		fail_msg("\"%s\" was refused: %s", text, err.msg);
	if (l.value[id] != expected)
		fail_msg("\"%s\" is %" PRIu64, text, l.value[id]);
	for (int other = 0; other < LIMIT_N; other++)
		if (other != (int)id)
			assert_true(l.value[other] == LIMIT_UNSET);
}

static void limits_parse_as_the_cli_writes_them(void **state)
{
	(void)state;
	parse_one(LIMIT_CPU, "1", 1000);
	parse_one(LIMIT_CPU, "0.5", 500);
	parse_one(LIMIT_CPU, "1.25", 1250);
	parse_one(LIMIT_CPU, "0.001", 1);
	parse_one(LIMIT_CPU, "2.500000", 2500);
	parse_one(LIMIT_CPU_WEIGHT, "200", 200);
	parse_one(LIMIT_CORES, "2", 2);
	parse_one(LIMIT_CORES, "auto", LIMIT_CORES_AUTO);
	parse_one(LIMIT_MEMORY, "256M", 256 * MIB);
	parse_one(LIMIT_SWAP, "0", 0);
	parse_one(LIMIT_PIDS, "500", 500);
	parse_one(LIMIT_DISK, "5G", 5120 * MIB);
	parse_one(LIMIT_CONTAINERS, "16", 16);
	parse_one(LIMIT_INODES, "100000", 100000);
	parse_one(LIMIT_MEMORY, "none", LIMIT_UNSET);
}

static void rates_of_io_are_bytes_or_requests_or_both(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
		uint64_t ops;
	} rows[] = {
		{"10MiB", 10 * MIB, LIMIT_UNSET},
		{"500iops", LIMIT_UNSET, 500},
		{"10MiB,500iops", 10 * MIB, 500},
		{"500iops,10MiB", 10 * MIB, 500},
		{"none", LIMIT_UNSET, LIMIT_UNSET},
	};
	char out[LIMIT_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct limits l;

		/* Each is all that holds from now on. */
		limits_init(&l);
		l.value[LIMIT_IO_WRITE] = 7 * MIB;
		l.value[LIMIT_IO_WRITE_OPS] = 70;
		assert_int_equal(limits_parse(&l, LIMIT_IO_WRITE, rows[i].text, NULL), 0);
		assert_true(l.value[LIMIT_IO_WRITE] == rows[i].bytes);
		assert_true(l.value[LIMIT_IO_WRITE_OPS] == rows[i].ops);
		assert_true(l.value[LIMIT_IO_READ] == LIMIT_UNSET);
	}
	assert_string_equal(limit_format(LIMIT_IO_READ, 10 * MIB, out), "10 MiB/s");
	assert_string_equal(limit_format(LIMIT_IO_READ_OPS, 500, out), "500 iops");
}

static void bad_limits_are_refused_with_a_sentence(void **state)
{
	static const struct {
		enum limit_id id;
		const char *text;
	} rows[] = {
		{LIMIT_CPU, ""},
		{LIMIT_CPU, "0."},
		{LIMIT_CPU, ".5"},
		{LIMIT_CPU, "-1"},
		{LIMIT_CPU, "0.0005"},
		{LIMIT_CPU, "1,5"},
		{LIMIT_CPU, "1cpu"},
		{LIMIT_CPU, "nan"},
		{LIMIT_CPU_WEIGHT, "1.5"},
		{LIMIT_PIDS, "many"},
		{LIMIT_PIDS, "-5"},
		{LIMIT_PIDS, "500 "},
		{LIMIT_PIDS, "18446744073709551615"},
		{LIMIT_PIDS, "18446744073709551616"},
		{LIMIT_MEMORY, "lots"},
		{LIMIT_MEMORY, "1Q"},
		{LIMIT_CORES, "0-"},
		{LIMIT_CORES, "1-0,"},
		{LIMIT_CORES, "a"},
		{LIMIT_CORES, "auto,1"},
		{LIMIT_CPU, "auto"},
		{LIMIT_CORES, "0,,1"},
		{LIMIT_CORES, "0,1024"},
		{LIMIT_IO_READ, ""},
		{LIMIT_IO_READ, "iops"},
		{LIMIT_IO_READ, "-5iops"},
		{LIMIT_IO_READ, "5 iops"},
		{LIMIT_IO_READ, "10MiB,"},
		{LIMIT_IO_READ, ",10MiB"},
		{LIMIT_IO_READ, "10MiB,20MiB"},
		{LIMIT_IO_READ, "5iops,6iops"},
		{LIMIT_IO_READ, "10MiB,5iops,6MiB"},
		{LIMIT_IO_READ, "10MiB/s"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct limits before;
		struct limits l;
		struct err err = {0};

		limits_init(&l);
		l.value[rows[i].id] = 7;
		before = l;
		if (limits_parse(&l, rows[i].id, rows[i].text, &err) != -EINVAL)
			fail_msg("\"%s\" was accepted", rows[i].text);
		assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
		assert_string_equal(err.subject, limit_rule(rows[i].id)->name);
		assert_true(strlen(err.msg) > 0);
		assert_memory_equal(&before, &l, sizeof(l));
	}
}

static void core_lists_parse_and_format(void **state)
{
	static const struct {
		const char *text;
		const char *formatted;
	} rows[] = {
		{"0", "0"},
		{"0,2-3", "0,2-3"},
		{"3,2,0", "0,2-3"},
		{"0-63", "0-63"},
		{"63,64", "63-64"},
		{"1023", "1023"},
		{"5-5", "5"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t mask[LIMITS_CPU_WORDS];
		char out[64];

		assert_int_equal(limits_parse_cores(rows[i].text, mask), 0);
		assert_string_equal(limits_format_cores(mask, out, sizeof(out)), rows[i].formatted);
	}
}

static void a_core_list_is_not_a_number(void **state)
{
	struct limits l;

	(void)state;
	limits_init(&l);
	assert_int_equal(limits_parse(&l, LIMIT_CORES, "0,2-3", NULL), 0);
	assert_true(limits_has_core_mask(&l));
	assert_true(l.value[LIMIT_CORES] == LIMIT_UNSET);
	assert_true(l.core_mask[0] == 0xd);
	assert_int_equal(limits_parse(&l, LIMIT_CORES, "2", NULL), 0);
	assert_false(limits_has_core_mask(&l));
	assert_int_equal(l.value[LIMIT_CORES], 2);
	assert_int_equal(limits_parse(&l, LIMIT_CORES, "1,2", NULL), 0);
	assert_int_equal(limits_parse(&l, LIMIT_CORES, "none", NULL), 0);
	assert_false(limits_has_core_mask(&l));
}

static void a_core_list_is_cut_within_its_buffer(void **state)
{
	uint64_t mask[LIMITS_CPU_WORDS];
	char out[8];

	(void)state;
	assert_int_equal(limits_parse_cores("0,2,4,6,8,10,12,14", mask), 0);
	limits_format_cores(mask, out, sizeof(out));
	assert_true(strlen(out) < sizeof(out));
}

static void limits_format(void **state)
{
	char out[LIMIT_TEXT_MAX];

	(void)state;
	assert_string_equal(limit_format(LIMIT_CPU, 500, out), "0.5");
	assert_string_equal(limit_format(LIMIT_CPU, 2000, out), "2");
	assert_string_equal(limit_format(LIMIT_CPU, 1250, out), "1.25");
	assert_string_equal(limit_format(LIMIT_CPU, 10, out), "0.01");
	assert_string_equal(limit_format(LIMIT_MEMORY, 256 * MIB, out), "256 MiB");
	assert_string_equal(limit_format(LIMIT_PIDS, 500, out), "500");
	assert_string_equal(limit_format(LIMIT_PIDS, LIMIT_UNSET, out), "none");
}

static void bounds_hold_at_their_edges(void **state)
{
	(void)state;
	for (int id = 0; id < LIMIT_N; id++) {
		const struct limit_rule *rule = limit_rule((enum limit_id)id);
		struct limits l;
		struct err err;

		assert_non_null(rule->name);
		limits_init(&l);
		assert_int_equal(limits_check(&l, NULL), 0);
		l.value[id] = rule->min;
		assert_int_equal(limits_check(&l, NULL), 0);
		l.value[id] = rule->max;
		assert_int_equal(limits_check(&l, NULL), 0);
		l.value[id] = rule->max + 1;
		assert_int_equal(limits_check(&l, &err), -EINVAL);
		assert_string_equal(err.subject, rule->name);
		assert_string_equal(err.reason, "LIMIT_INVALID");
		if (!rule->min)
			continue;
		l.value[id] = rule->min - 1;
		assert_int_equal(limits_check(&l, &err), -EINVAL);
	}
}

static void no_cores_at_all_says_what_a_number_is(void **state)
{
	struct limits l;
	struct err err;

	(void)state;
	limits_init(&l);
	assert_int_equal(limits_parse(&l, LIMIT_CORES, "0", &err), 0);
	assert_int_equal(limits_check(&l, &err), -EINVAL);
	assert_string_equal(err.subject, "cores");
	assert_non_null(strstr(err.msg, "how many"));
	assert_non_null(strstr(err.msg, "0-0"));
	assert_int_equal(limits_parse(&l, LIMIT_CORES, "0-0", &err), 0);
	assert_int_equal(limits_check(&l, &err), 0);
	assert_int_equal(l.core_mask[0], 1);
}

static void the_default_plan_is_the_documented_one(void **state)
{
	struct limits l;

	(void)state;
	limits_init_tenant_default(&l);
	assert_int_equal(l.value[LIMIT_CPU], 1000);
	assert_int_equal(l.value[LIMIT_MEMORY], 512 * MIB);
	assert_int_equal(l.value[LIMIT_SWAP], 0);
	assert_int_equal(l.value[LIMIT_PIDS], 256);
	assert_int_equal(l.value[LIMIT_DISK], 5120 * MIB);
	assert_int_equal(l.value[LIMIT_CONTAINERS], 16);
	assert_int_equal(l.value[LIMIT_LOG], 32 * MIB);
	assert_int_equal(limits_check(&l, NULL), 0);
}

static void a_container_fits_its_tenant(void **state)
{
	struct limits tenant;
	struct limits container;
	struct err err;

	(void)state;
	limits_init_tenant_default(&tenant);
	limits_init(&container);
	assert_int_equal(limits_check_within(&container, &tenant, NULL), 0);
	container.value[LIMIT_PIDS] = 256;
	container.value[LIMIT_CPU_WEIGHT] = 10000;
	assert_int_equal(limits_check_within(&container, &tenant, NULL), 0);
	container.value[LIMIT_PIDS] = 257;
	assert_int_equal(limits_check_within(&container, &tenant, &err), -EINVAL);
	assert_string_equal(err.reason, "LIMIT_ABOVE_TENANT");
	assert_string_equal(err.subject, "pids");
	assert_non_null(strstr(err.msg, "257"));
	assert_non_null(strstr(err.msg, "256"));
	container.value[LIMIT_PIDS] = 10;
	container.value[LIMIT_MEMORY] = 512 * MIB + 1;
	assert_int_equal(limits_check_within(&container, &tenant, &err), -EINVAL);
	assert_string_equal(err.subject, "memory");
	tenant.value[LIMIT_MEMORY] = LIMIT_UNSET;
	assert_int_equal(limits_check_within(&container, &tenant, NULL), 0);
}

static void what_exceeds_the_tenant_is_taken_down(void **state)
{
	struct limits tenant;
	struct limits container;

	(void)state;
	limits_init_tenant_default(&tenant);
	limits_init(&container);
	container.value[LIMIT_PIDS] = 257;
	container.value[LIMIT_MEMORY] = 64 * MIB;
	container.value[LIMIT_CPU_WEIGHT] = 10000;
	container.value[LIMIT_CORES] = 2;
	limits_fit_within(&container, &tenant);
	assert_int_equal(container.value[LIMIT_PIDS], 256);
	assert_int_equal(container.value[LIMIT_MEMORY], 64 * MIB);
	assert_int_equal(container.value[LIMIT_CPU_WEIGHT], 10000);
	assert_int_equal(container.value[LIMIT_CORES], 2);
	assert_true(container.value[LIMIT_DISK] == LIMIT_UNSET);
	tenant.value[LIMIT_CORES] = 1;
	limits_fit_within(&container, &tenant);
	assert_true(container.value[LIMIT_CORES] == LIMIT_UNSET);
	assert_int_equal(limits_check_within(&container, &tenant, NULL), 0);
}

static int check_cores(const char *container_text, const char *tenant_text)
{
	struct limits container;
	struct limits tenant;

	limits_init(&container);
	limits_init(&tenant);
	assert_int_equal(limits_parse(&container, LIMIT_CORES, container_text, NULL), 0);
	assert_int_equal(limits_parse(&tenant, LIMIT_CORES, tenant_text, NULL), 0);
	return limits_check_within(&container, &tenant, NULL);
}

/* No number that somebody writes stands for it, nor for "none". */
static void auto_is_no_number(void **state)
{
	static const char *const numbers[] = {"18446744073709551614", "18446744073709551615"};
	char text[LIMIT_TEXT_MAX];
	struct limits l;
	struct err err;

	(void)state;
	limits_init(&l);
	assert_int_equal(limits_parse(&l, LIMIT_CORES, "0,2", NULL), 0);
	assert_int_equal(limits_parse(&l, LIMIT_CORES, "auto", NULL), 0);
	assert_false(limits_has_core_mask(&l));
	assert_int_equal(limits_check(&l, &err), 0);
	assert_string_equal(limit_format(LIMIT_CORES, l.value[LIMIT_CORES], text), "auto");
	assert_int_equal(limits_parse(&l, LIMIT_CORES, "0,2", NULL), 0);
	assert_true(l.value[LIMIT_CORES] == LIMIT_UNSET);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		assert_int_equal(limits_parse(&l, LIMIT_CORES, numbers[i], NULL), 0);
		assert_int_equal(limits_check(&l, &err), -EINVAL);
		assert_string_equal(err.subject, "cores");
	}
	/* Of another limit it is as much out of bounds as ever. */
	limits_init(&l);
	l.value[LIMIT_PIDS] = LIMIT_CORES_AUTO;
	assert_int_equal(limits_check(&l, &err), -EINVAL);
}

static void cores_stay_within_the_tenants(void **state)
{
	(void)state;
	assert_int_equal(check_cores("0,2", "0-3"), 0);
	assert_int_equal(check_cores("0,4", "0-3"), -EINVAL);
	assert_int_equal(check_cores("4", "0-3"), 0);
	assert_int_equal(check_cores("5", "0-3"), -EINVAL);
	assert_int_equal(check_cores("2", "2"), 0);
	assert_int_equal(check_cores("3", "2"), -EINVAL);
	assert_int_equal(check_cores("0,1,2", "2"), -EINVAL);
	assert_int_equal(check_cores("none", "0"), 0);
	/* It takes what it may have. */
	assert_int_equal(check_cores("auto", "0"), 0);
	assert_int_equal(check_cores("auto", "2"), 0);
	assert_int_equal(check_cores("auto", "auto"), 0);
	assert_int_equal(check_cores("0-1", "auto"), 0);
}

static void merge_takes_what_is_set(void **state)
{
	struct limits to;
	struct limits from;

	(void)state;
	limits_init_tenant_default(&to);
	limits_init(&from);
	from.value[LIMIT_PIDS] = 64;
	assert_int_equal(limits_parse(&from, LIMIT_CORES, "0,1", NULL), 0);
	limits_merge(&to, &from);
	assert_int_equal(to.value[LIMIT_PIDS], 64);
	assert_int_equal(to.value[LIMIT_MEMORY], 512 * MIB);
	assert_true(limits_has_core_mask(&to));
	limits_init(&from);
	from.value[LIMIT_CORES] = 1;
	limits_merge(&to, &from);
	assert_false(limits_has_core_mask(&to));
	assert_int_equal(to.value[LIMIT_CORES], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_parse),
		cmocka_unit_test(bad_sizes_are_refused),
		cmocka_unit_test(sizes_format),
		cmocka_unit_test(limits_parse_as_the_cli_writes_them),
		cmocka_unit_test(rates_of_io_are_bytes_or_requests_or_both),
		cmocka_unit_test(bad_limits_are_refused_with_a_sentence),
		cmocka_unit_test(core_lists_parse_and_format),
		cmocka_unit_test(a_core_list_is_not_a_number),
		cmocka_unit_test(a_core_list_is_cut_within_its_buffer),
		cmocka_unit_test(limits_format),
		cmocka_unit_test(bounds_hold_at_their_edges),
		cmocka_unit_test(no_cores_at_all_says_what_a_number_is),
		cmocka_unit_test(the_default_plan_is_the_documented_one),
		cmocka_unit_test(a_container_fits_its_tenant),
		cmocka_unit_test(what_exceeds_the_tenant_is_taken_down),
		cmocka_unit_test(auto_is_no_number),
		cmocka_unit_test(cores_stay_within_the_tenants),
		cmocka_unit_test(merge_takes_what_is_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

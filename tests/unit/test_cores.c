/* server/cores.h: `--cores N` takes the least loaded cores, and stays inside what is allowed. */
#include "server/cores.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

static const uint64_t none[LIMITS_CPU_WORDS];
static const uint64_t eight[LIMITS_CPU_WORDS] = {0xff};

static void takes_the_least_loaded(void **state)
{
	struct core_load load = {.claims = {3, 1, 2, 0, 9, 9, 9, 9}};
	uint64_t mask[LIMITS_CPU_WORDS];
	struct err err;

	(void)state;
	assert_int_equal(cores_choose(&load, eight, none, 2, mask, &err), 0);
	assert_int_equal(mask[0], 1 << 3 | 1 << 1);
}

static void spreads_one_after_another(void **state)
{
	struct core_load load = {0};

	(void)state;
	for (int round = 0; round < 16; round++) {
		uint64_t mask[LIMITS_CPU_WORDS];
		struct err err;

		assert_int_equal(cores_choose(&load, eight, none, 1, mask, &err), 0);
		load.claims[__builtin_ctzll(mask[0])]++;
	}
	for (int cpu = 0; cpu < 8; cpu++)
		assert_int_equal(load.claims[cpu], 2);
}

static void keeps_what_it_has_among_equals(void **state)
{
	static const uint64_t keep[LIMITS_CPU_WORDS] = {1 << 6};
	struct core_load load = {0};
	uint64_t mask[LIMITS_CPU_WORDS];
	struct err err;

	(void)state;
	assert_int_equal(cores_choose(&load, eight, keep, 1, mask, &err), 0);
	assert_int_equal(mask[0], 1 << 6);
	load.claims[6] = 1;
	assert_int_equal(cores_choose(&load, eight, keep, 1, mask, &err), 0);
	assert_int_equal(mask[0], 1 << 0);
}

static void stays_inside_and_refuses_too_many(void **state)
{
	static const uint64_t allowed[LIMITS_CPU_WORDS] = {0, 0x30};
	struct core_load load = {0};
	uint64_t mask[LIMITS_CPU_WORDS] = {0xdead};
	struct err err;

	(void)state;
	assert_int_equal(cores_choose(&load, allowed, none, 3, mask, &err), -EINVAL);
	assert_string_equal(err.reason, "CORES_UNAVAILABLE");
	assert_int_equal(mask[0], 0xdead);
	assert_int_equal(cores_choose(&load, allowed, none, 2, mask, &err), 0);
	assert_int_equal(mask[0], 0);
	assert_int_equal(mask[1], 0x30);
}

static void an_empty_mask_is_everything(void **state)
{
	static const uint64_t two[LIMITS_CPU_WORDS] = {3};

	(void)state;
	assert_true(cores_within(eight, none));
	assert_true(cores_within(two, eight));
	assert_false(cores_within(eight, two));
	assert_true(cores_empty(none));
	assert_false(cores_empty(two));
}

struct host {
	struct model model;
	struct tenant *tenant;
};

static int make_host(void **state)
{
	struct host *host = calloc(1, sizeof(*host));

	host->tenant = model_add_tenant(&host->model, "acme");
	*state = host;
	return 0;
}

static int drop_host(void **state)
{
	struct host *host = *state;

	model_finish(&host->model);
	free(host);
	return 0;
}

static void containers_are_spread_over_the_tenants_cores(void **state)
{
	struct host *host = *state;
	struct limits limits;

	host->tenant->cpus[0] = 0xc;
	limits_init(&limits);
	limits.value[LIMIT_CORES] = 1;
	for (int i = 0; i < 4; i++) {
		const char *const names[] = {"a", "b", "c", "d"};
		struct container *c = model_add_container(host->tenant, names[i]);
		struct err err;

		assert_int_equal(cores_resolve_container(&host->model, eight, host->tenant->cpus, c,
					 &limits, c->cpus, &err),
			0);
		assert_int_equal(c->cpus[0], i % 2 ? 8 : 4);
	}
}

static void a_list_must_be_among_the_tenants(void **state)
{
	struct host *host = *state;
	uint64_t cpus[LIMITS_CPU_WORDS];
	struct limits limits;
	struct err err;

	host->tenant->cpus[0] = 0xc;
	limits_init(&limits);
	limits.core_mask[0] = 0x4;
	assert_int_equal(cores_resolve_container(&host->model, eight, host->tenant->cpus, NULL,
				 &limits, cpus, &err),
		0);
	assert_int_equal(cpus[0], 0x4);
	limits.core_mask[0] = 0x1;
	assert_int_equal(cores_resolve_container(&host->model, eight, host->tenant->cpus, NULL,
				 &limits, cpus, &err),
		-EINVAL);
}

static void the_supervisor_gets_a_list_and_no_number(void **state)
{
	struct host *host = *state;
	struct limits limits;

	host->tenant->limits.value[LIMIT_CORES] = 2;
	host->tenant->limits.value[LIMIT_DISK] = 1 << 30;
	host->tenant->cpus[0] = 0x3;
	tenant_fill_limits(host->tenant, &limits);
	assert_true(limits.value[LIMIT_CORES] == LIMIT_UNSET);
	assert_int_equal(limits.core_mask[0], 0x3);
	assert_int_equal(limits.value[LIMIT_DISK], 1 << 30);
	host->tenant->disk_unenforced = true;
	tenant_fill_limits(host->tenant, &limits);
	assert_true(limits.value[LIMIT_DISK] == LIMIT_UNSET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_the_least_loaded),
		cmocka_unit_test(spreads_one_after_another),
		cmocka_unit_test(keeps_what_it_has_among_equals),
		cmocka_unit_test(stays_inside_and_refuses_too_many),
		cmocka_unit_test(an_empty_mask_is_everything),
		cmocka_unit_test_setup_teardown(
			containers_are_spread_over_the_tenants_cores, make_host, drop_host),
		cmocka_unit_test_setup_teardown(
			a_list_must_be_among_the_tenants, make_host, drop_host),
		cmocka_unit_test_setup_teardown(
			the_supervisor_gets_a_list_and_no_number, make_host, drop_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

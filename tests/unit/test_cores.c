/* server/cores.h: `--cores N` takes the least loaded cores, `auto` those that the quota can keep
   busy, where least is promised; each stays inside what is allowed. */
#include "server/cores.h"

#include "server/container_state.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const uint64_t none[LIMITS_CPU_WORDS];
static const uint64_t eight[LIMITS_CPU_WORDS] = {0xff};
static const struct cpu_topology eight_cpus = {.usable = {0xff}};

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

		assert_int_equal(cores_resolve_container(&host->model, &eight_cpus,
					 host->tenant->cpus, c, &limits, c->cpus, &err),
			0);
		assert_int_equal(c->cpus[0], i % 2 ? 8 : 4);
	}
}

static void a_list_must_be_among_the_tenants(void **state)
{
	struct host *host = *state;
	struct container *c = model_add_container(host->tenant, "a");
	uint64_t cpus[LIMITS_CPU_WORDS];
	struct limits limits;
	struct err err;

	host->tenant->cpus[0] = 0xc;
	limits_init(&limits);
	limits.core_mask[0] = 0x4;
	assert_int_equal(cores_resolve_container(&host->model, &eight_cpus, host->tenant->cpus, c,
				 &limits, cpus, &err),
		0);
	assert_int_equal(cpus[0], 0x4);
	limits.core_mask[0] = 0x1;
	assert_int_equal(cores_resolve_container(&host->model, &eight_cpus, host->tenant->cpus, c,
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

/* --- auto --- */

/* One that runs, with a quota of its own (LIMIT_UNSET: none), placed as at its start. */
static struct container *run_auto(
	struct host *host, struct tenant *t, const char *name, uint64_t cpu)
{
	struct container *c = model_add_container(t, name);
	struct err err;

	c->limits.value[LIMIT_CPU] = cpu;
	c->limits.value[LIMIT_CORES] = LIMIT_CORES_AUTO;
	assert_int_equal(cores_resolve_container(
				 &host->model, &eight_cpus, t->cpus, c, &c->limits, c->cpus, &err),
		0);
	c->state = CONTAINER_RUNNING;
	return c;
}

static void auto_takes_what_the_quota_can_keep_busy(void **state)
{
	struct host *host = *state;
	struct container *c;

	host->tenant->limits.value[LIMIT_CPU] = 4000;
	assert_int_equal(run_auto(host, host->tenant, "a", 2500)->cpus[0], 0x07);
	assert_int_equal(run_auto(host, host->tenant, "b", 1000)->cpus[0], 0x08);
	/* Its tenant's, where it has none. */
	assert_int_equal(run_auto(host, host->tenant, "c", LIMIT_UNSET)->cpus[0], 0xf0);
	/* And no more than the tenant's cores. */
	host->tenant->cpus[0] = 0x3;
	c = run_auto(host, host->tenant, "d", 3000);
	assert_int_equal(c->cpus[0], 0x3);
	assert_true(cores_fit(&eight_cpus, c, &c->limits));
	c->limits.value[LIMIT_CPU] = 1000;
	assert_false(cores_fit(&eight_cpus, c, &c->limits));
}

static void auto_needs_something_to_count_by(void **state)
{
	struct host *host = *state;
	struct container *c = model_add_container(host->tenant, "a");
	uint64_t cpus[LIMITS_CPU_WORDS];
	struct limits limits;
	struct err err;

	limits_init(&limits);
	limits.value[LIMIT_CORES] = LIMIT_CORES_AUTO;
	assert_int_equal(cores_resolve_container(&host->model, &eight_cpus, host->tenant->cpus, c,
				 &limits, cpus, &err),
		-EINVAL);
	assert_string_equal(err.reason, "CORES_UNCOUNTED");
	assert_int_equal(
		cores_resolve_tenant(&host->model, &eight_cpus, host->tenant, &limits, cpus, &err),
		-EINVAL);
	assert_string_equal(err.reason, "CORES_UNCOUNTED");
	assert_int_equal(cores_check_plan(&limits, &err), -EINVAL);
	limits.value[LIMIT_CPU] = 500;
	assert_int_equal(cores_check_plan(&limits, &err), 0);
}

static void what_is_offline_is_never_chosen(void **state)
{
	static const struct cpu_topology four = {.usable = {0xaa}};
	struct host *host = *state;
	struct container *c = model_add_container(host->tenant, "a");
	struct err err;

	c->limits.value[LIMIT_CPU] = 3000;
	c->limits.value[LIMIT_CORES] = LIMIT_CORES_AUTO;
	host->tenant->cpus[0] = 0x0f;
	assert_int_equal(cores_resolve_container(&host->model, &four, host->tenant->cpus, c,
				 &c->limits, c->cpus, &err),
		0);
	assert_int_equal(c->cpus[0], 0x0a);
	assert_true(cores_fit(&four, c, &c->limits));
	/* One that it had before is none that it may keep. */
	c->cpus[0] = 0x09;
	assert_false(cores_fit(&four, c, &c->limits));
	host->tenant->cpus[0] = 0x55;
	assert_int_equal(cores_resolve_container(&host->model, &four, host->tenant->cpus, c,
				 &c->limits, c->cpus, &err),
		-EINVAL);
	assert_string_equal(err.reason, "CORES_UNAVAILABLE");
}

/* As after a boot with fewer of them than there were. */
static void a_start_takes_what_is_there(void **state)
{
	struct host *host = *state;
	struct container *c = model_add_container(host->tenant, "a");
	struct err err;

	c->limits.core_mask[0] = 0x301;
	c->cpus[0] = 0x301;
	assert_int_equal(cores_resolve_start(&host->model, &eight_cpus, c, &err), 0);
	assert_int_equal(c->cpus[0], 0x1);
	c->limits.core_mask[0] = 0x300;
	assert_int_equal(cores_resolve_start(&host->model, &eight_cpus, c, &err), -EBUSY);
	assert_string_equal(err.reason, "CORES_OFFLINE");
	assert_non_null(strstr(err.msg, "8-9"));
	assert_int_equal(c->cpus[0], 0x1);
	/* With the next boot they may be there again. */
	assert_int_equal(cores_resolve_start(&host->model,
				 &(const struct cpu_topology){.usable = {0xfff}}, c, &err),
		0);
	assert_int_equal(c->cpus[0], 0x300);
	/* A list that its tenant does not have is no matter of CPUs that are gone. */
	host->tenant->cpus[0] = 0x100;
	assert_int_equal(cores_resolve_start(&host->model, &eight_cpus, c, &err), -EINVAL);
	assert_string_equal(err.reason, "CORES_UNAVAILABLE");
}

static void a_start_keeps_a_number_of_cores_where_it_is(void **state)
{
	struct host *host = *state;
	struct container *c = model_add_container(host->tenant, "a");
	struct err err;

	c->limits.value[LIMIT_CORES] = 2;
	c->cpus[0] = 0x60;
	assert_int_equal(cores_resolve_start(&host->model, &eight_cpus, c, &err), 0);
	assert_int_equal(c->cpus[0], 0x60);
	c->cpus[0] = 0x120;
	assert_int_equal(cores_resolve_start(&host->model, &eight_cpus, c, &err), 0);
	assert_int_equal(c->cpus[0], 0x21);
	c->limits.value[LIMIT_CORES] = LIMIT_UNSET;
	c->cpus[0] = 0;
	assert_int_equal(cores_resolve_start(&host->model, &eight_cpus, c, &err), 0);
	assert_int_equal(c->cpus[0], 0);
}

static void a_boot_gives_a_tenant_others(void **state)
{
	struct host *host = *state;
	struct tenant *t = host->tenant;
	struct container *c = model_add_container(t, "a");
	struct err err;

	t->limits.value[LIMIT_CORES] = 2;
	t->cpus[0] = 0x120;
	/* Not while it runs: what is there of them is held by the kernel. */
	c->state = CONTAINER_RUNNING;
	assert_int_equal(cores_resolve_boot(&host->model, &eight_cpus, t, &err), 0);
	assert_int_equal(t->cpus[0], 0x120);
	c->state = CONTAINER_STOPPED;
	assert_int_equal(cores_resolve_boot(&host->model, &eight_cpus, t, &err), 0);
	assert_int_equal(t->cpus[0], 0x21);
	assert_int_equal(cores_resolve_boot(&host->model, &eight_cpus, t, &err), 0);
	assert_int_equal(t->cpus[0], 0x21);
	t->limits.value[LIMIT_CORES] = LIMIT_UNSET;
	t->limits.core_mask[0] = 0x300;
	t->cpus[0] = 0x300;
	assert_int_equal(cores_resolve_boot(&host->model, &eight_cpus, t, &err), 0);
	assert_int_equal(t->cpus[0], 0x300);
}

/* It holds its containers, so it keeps what it can. */
static void a_tenant_grows_and_shrinks_where_it_is(void **state)
{
	struct host *host = *state;
	struct tenant *other = model_add_tenant(&host->model, "other");
	struct tenant *t = host->tenant;
	uint64_t before;
	struct err err;

	t->limits.value[LIMIT_CORES] = LIMIT_CORES_AUTO;
	t->cpus[0] = 0x30;
	other->limits.value[LIMIT_CPU] = 8000;
	other->cpus[0] = 0xf0;
	t->limits.value[LIMIT_CPU] = 4000;
	assert_int_equal(
		cores_resolve_tenant(&host->model, &eight_cpus, t, &t->limits, t->cpus, &err), 0);
	assert_int_equal(t->cpus[0], 0x33);
	for (uint64_t milli = 4000; milli >= 1000; milli -= 1000) {
		before = t->cpus[0];
		t->limits.value[LIMIT_CPU] = milli;
		assert_int_equal(cores_resolve_tenant(
					 &host->model, &eight_cpus, t, &t->limits, t->cpus, &err),
			0);
		assert_int_equal(__builtin_popcountll(t->cpus[0]), milli / 1000);
		assert_int_equal(t->cpus[0] & ~before, 0);
	}
	/* It has left those that are promised to the other one. */
	assert_int_equal(t->cpus[0] & 0xf0, 0);
}

static uint64_t promised(const struct host *host, unsigned cpu)
{
	struct placement p;

	cores_promised(&host->model, &eight_cpus, NULL, &p);
	return p.cpu[cpu].promised;
}

/* Who pins containers without end to one core must not drive everybody else from it. */
static void a_tenant_promises_no_more_than_it_has(void **state)
{
	struct host *host = *state;
	char name[NAME_SIZE];

	host->tenant->limits.value[LIMIT_CPU] = 1000;
	for (int i = 0; i < 50; i++) {
		struct container *c;

		snprintf(name, sizeof(name), "c%d", i);
		c = model_add_container(host->tenant, name);
		c->limits.value[LIMIT_CPU] = 1000;
		c->cpus[0] = 1;
		c->state = CONTAINER_RUNNING;
	}
	assert_in_range(promised(host, 0), 999000, 1000000);
	assert_int_equal(promised(host, 1), 0);
	/* As it would be without: what they claim one by one. */
	host->tenant->limits.value[LIMIT_CPU] = LIMIT_UNSET;
	assert_int_equal(promised(host, 0), 50000000);
}

static void who_does_not_run_is_promised_nothing(void **state)
{
	struct host *host = *state;
	struct container *c = run_auto(host, host->tenant, "a", 1000);

	assert_int_equal(promised(host, 0), 1000000);
	c->state = CONTAINER_FROZEN;
	assert_int_equal(promised(host, 0), 1000000);
	c->state = CONTAINER_STOPPED;
	assert_int_equal(promised(host, 0), 0);
	c->state = CONTAINER_RUNNING;
	/* Pinned, it can use what it is pinned to and no more; free and without a quota, anything.
	 */
	c->limits.value[LIMIT_CPU] = 5000;
	assert_int_equal(promised(host, 0), 1000000);
	c->limits.value[LIMIT_CPU] = LIMIT_UNSET;
	assert_int_equal(promised(host, 0), 1000000);
	c->cpus[0] = 0;
	assert_int_equal(promised(host, 0), 0);
	/* A quota without cores of its own weighs on all. */
	c->limits.value[LIMIT_CPU] = 800;
	assert_int_equal(promised(host, 7), 100000);
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
		cmocka_unit_test_setup_teardown(
			auto_takes_what_the_quota_can_keep_busy, make_host, drop_host),
		cmocka_unit_test_setup_teardown(
			auto_needs_something_to_count_by, make_host, drop_host),
		cmocka_unit_test_setup_teardown(
			what_is_offline_is_never_chosen, make_host, drop_host),
		cmocka_unit_test_setup_teardown(a_start_takes_what_is_there, make_host, drop_host),
		cmocka_unit_test_setup_teardown(
			a_start_keeps_a_number_of_cores_where_it_is, make_host, drop_host),
		cmocka_unit_test_setup_teardown(a_boot_gives_a_tenant_others, make_host, drop_host),
		cmocka_unit_test_setup_teardown(
			a_tenant_grows_and_shrinks_where_it_is, make_host, drop_host),
		cmocka_unit_test_setup_teardown(
			a_tenant_promises_no_more_than_it_has, make_host, drop_host),
		cmocka_unit_test_setup_teardown(
			who_does_not_run_is_promised_nothing, make_host, drop_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * What lxcfs finds in a payload, on both drivers: the CPU quota that holds there, and what v2 has
 * only in a cgroup with controllers. None of it may limit, or count, in place of the container's
 * own directory.
 */
#include "tests/integration/root/cgroup_fixture.h"

#include "base/clock.h"

static int setup(void **state)
{
	return fixture_setup(state, "croft-test-view");
}

static const char *read_payload(
	const struct fixture *f, enum cgroup_controller controller, const char *file)
{
	static char text[CGROUP_TEXT_MAX];

	if (cgroup_read_text(f->root, controller, "acme/web/payload", file, text, sizeof(text)) < 0)
		return "<none>";
	return text;
}

static void set_cpu(struct fixture *f, const struct cgroup_id *id, uint64_t milli)
{
	struct limits limits;

	limits_init(&limits);
	limits.value[LIMIT_CPU] = milli;
	assert_ok(f, cgroup_set_limits(f->root, id, &limits, false, false, &f->err));
}

/* The quota in thousandths of a core, as lxcfs reads it; "" for none. */
static void assert_shown(const struct fixture *f, const char *quota_usec)
{
	const char *file = is_v2(f) ? "cpu.max" : "cpu.cfs_quota_us";
	char wanted[64];

	if (is_v2(f))
		snprintf(wanted, sizeof(wanted), "%s 1000000", quota_usec);
	else
		snprintf(wanted, sizeof(wanted), "%s", quota_usec);
	assert_string_equal(read_payload(f, CGROUP_CPU, file), wanted);
	if (!is_v2(f))
		assert_string_equal(read_payload(f, CGROUP_CPU, "cpu.cfs_period_us"), "1000000");
}

static void assert_none_shown(const struct fixture *f)
{
	const char *text = read_payload(f, CGROUP_CPU, is_v2(f) ? "cpu.max" : "cpu.cfs_quota_us");

	assert_int_equal(strncmp(text, is_v2(f) ? "max " : "-1", is_v2(f) ? 4 : 3), 0);
}

static void test_shows_the_quota_that_holds(void **state)
{
	struct fixture *f = *state;

	assert_none_shown(f);
	set_cpu(f, &f->tenant, 2000);
	assert_shown(f, "2000000");
	set_cpu(f, &f->web, 250);
	assert_shown(f, "250000");
	/* The other's is not the container's. */
	set_cpu(f, &f->tenant, 1500);
	assert_shown(f, "250000");
	set_cpu(f, &f->web, 1000);
	assert_shown(f, "1000000");
	set_cpu(f, &f->web, LIMIT_UNSET);
	assert_shown(f, "1500000");
	set_cpu(f, &f->tenant, LIMIT_UNSET);
	assert_none_shown(f);
}

static void test_a_new_one_shows_its_tenants(void **state)
{
	struct fixture *f = *state;
	struct limits none;

	limits_init(&none);
	assert_ok(f, cgroup_remove(f->root, &f->web, &f->err));
	set_cpu(f, &f->tenant, 2000);
	assert_ok(f, cgroup_make(f->root, &f->web, &f->err));
	assert_ok(f, cgroup_set_limits(f->root, &f->web, &none, false, false, &f->err));
	assert_shown(f, "2000000");
}

static int do_burn(void *arg)
{
	(void)arg;
	burn_cpu(150 * 1000);
	return 0;
}

/* Throttled, and that counted, is the container in its own directory. */
static void test_the_containers_own_is_what_throttles(void **state)
{
	struct fixture *f = *state;

	set_cpu(f, &f->web, 100);
	assert_int_equal(run_in(f, &f->web, do_burn, NULL), 0);
	assert_true(read_counters(f, &f->web).cpu_throttled_usec > 0);
	assert_true(read_counters(f, &f->web).cpu_usec >= 150 * 1000);
}

/* Memory is read there too on v2; the limits are looked for above by lxcfs itself. */
static void test_memory_is_counted_and_not_limited(void **state)
{
	struct fixture *f = *state;

	f->limits.value[LIMIT_MEMORY] = 64 * MIB;
	assert_ok(f, cgroup_set_limits(f->root, &f->web, &f->limits, false, false, &f->err));
	assert_non_null(strstr(read_payload(f, CGROUP_MEMORY, "memory.stat"), "inactive_anon "));
	if (is_v2(f)) {
		assert_string_equal(read_payload(f, CGROUP_MEMORY, "memory.max"), "max");
		assert_string_equal(read_payload(f, CGROUP_MEMORY, "memory.oom.group"), "0");
		/* A refused fork is to be counted in the container's own. */
		assert_string_equal(read_payload(f, CGROUP_PIDS, "pids.max"), "<none>");
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_shows_the_quota_that_holds),
		CASE(test_a_new_one_shows_its_tenants),
		CASE(test_the_containers_own_is_what_throttles),
		CASE(test_memory_is_counted_and_not_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

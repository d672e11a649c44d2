/* CPU lists on the real kernel: of tenants and containers, within one another and within what the
   host has. The same expectations on both drivers. */
#include "tests/integration/root/cgroup_fixture.h"

static int setup(void **state)
{
	return fixture_setup(state, "croft-test-cores");
}

static void set_cores(struct limits *limits, const char *list)
{
	assert_int_equal(limits_parse_cores(list, limits->core_mask), 0);
}

/* The first 64 CPUs that processes of the container may use. */
static uint64_t usable_cpus(struct fixture *f, const char *dir)
{
	uint64_t mask[LIMITS_CPU_WORDS];
	char leaf[CGROUP_DIR_SIZE];

	/* v2: payload has not this controller, and so no list of its own. */
	snprintf(leaf, sizeof(leaf), "%s%s", dir, is_v2(f) ? "" : "/" CGROUP_PAYLOAD);
	assert_ok(f, cgroup_read_effective_cpus(f->root, leaf, mask, &f->err));
	return mask[0];
}

static void test_pins_cores(void **state)
{
	struct fixture *f = *state;
	uint64_t host[LIMITS_CPU_WORDS];
	struct limits zero = f->limits;
	struct limits one = f->limits;
	struct limits both = f->limits;

	assert_ok(f, cgroup_host_cpus(f->root, host, &f->err));
	set_cores(&one, "1000");
	assert_refused(f, cgroup_set_limits(f->root, &f->tenant, &one, false, false, &f->err),
		"CORES_OFFLINE", "cores");
	if ((host[0] & 3) != 3)
		skip_because("needs CPUs 0 and 1");
	set_cores(&zero, "0");
	set_cores(&one, "1");
	set_cores(&both, "0-1");
	assert_ok(f, cgroup_make(f->root, &f->db, &f->err));
	/* A tenant that narrows takes those along that have no list of their own. */
	assert_ok(f, cgroup_set_limits(f->root, &f->tenant, &zero, false, false, &f->err));
	assert_int_equal(usable_cpus(f, "acme/db"), 1);
	assert_refused(f, cgroup_set_limits(f->root, &f->web, &one, false, false, &f->err),
		"LIMIT_ABOVE_TENANT", "cores");
	/* And disjoint lists follow one another. */
	assert_ok(f, cgroup_set_limits(f->root, &f->tenant, &one, false, false, &f->err));
	assert_int_equal(usable_cpus(f, "acme/db"), 2);
	assert_ok(f, cgroup_set_limits(f->root, &f->tenant, &both, false, false, &f->err));
	assert_ok(f, cgroup_set_limits(f->root, &f->web, &one, false, false, &f->err));
	assert_int_equal(usable_cpus(f, "acme/web"), 2);
	assert_refused(f, cgroup_set_limits(f->root, &f->tenant, &zero, false, false, &f->err),
		"LIMIT_BELOW_CHILD", "cores");
	assert_non_null(strstr(f->err.msg, "container web"));
	/* Lifted, it follows the tenant again. */
	assert_ok(f, cgroup_set_limits(f->root, &f->web, &f->limits, false, false, &f->err));
	assert_ok(f, cgroup_set_limits(f->root, &f->tenant, &zero, false, false, &f->err));
	assert_int_equal(usable_cpus(f, "acme/web"), 1);
	assert_ok(f, cgroup_set_limits(f->root, &f->tenant, &f->limits, false, false, &f->err));
	assert_int_equal(usable_cpus(f, "acme/web") & 3, 3);
}

/* Lists that are older than the host's CPUs: what there is of them, on both drivers alike. */
static void test_leaves_out_absent_cores(void **state)
{
	struct fixture *f = *state;
	uint64_t host[LIMITS_CPU_WORDS];
	struct limits some = f->limits;
	struct limits gone = f->limits;

	assert_ok(f, cgroup_host_cpus(f->root, host, &f->err));
	if ((host[0] & 3) != 3)
		skip_because("needs CPUs 0 and 1");
	set_cores(&some, "0,1000");
	set_cores(&gone, "1000-1001");
	assert_ok(f, cgroup_make(f->root, &f->db, &f->err));
	assert_ok(f, cgroup_set_limits(f->root, &f->web, &some, false, false, &f->err));
	assert_int_equal(usable_cpus(f, "acme/web"), 1);
	assert_ok(f, cgroup_set_limits(f->root, &f->tenant, &some, false, true, &f->err));
	assert_int_equal(usable_cpus(f, "acme/db"), 1);
	/* Nor by force does nothing become everything. */
	assert_refused(f, cgroup_set_limits(f->root, &f->web, &gone, false, true, &f->err),
		"CORES_OFFLINE", "cores");
	assert_refused(f, cgroup_set_limits(f->root, &f->tenant, &gone, false, true, &f->err),
		"CORES_OFFLINE", "cores");
	assert_int_equal(usable_cpus(f, "acme/web"), 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_pins_cores),
		CASE(test_leaves_out_absent_cores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

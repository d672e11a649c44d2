/* Orphans: whose container a child belongs to, told from its cgroups. */
#include "tests/unit/unit.h"

#include "sandbox/cgroup.h"
#include "sandbox/orphans.h"

static const struct cgroup_id web = {.tenant = "acme", .container = "web"};

static void a_child_is_in_its_container_only(void **state)
{
	(void)state;
	assert_true(orphans_is_in("0::/croft/acme/web/payload\n", &web));
	assert_true(orphans_is_in("0::/a.slice/croft/acme/web/payload", &web));
	assert_true(orphans_is_in("0::/croft/acme/web/payload/init.scope\n", &web));
	/* As a zombie's is shown whose cgroup was removed. */
	assert_true(orphans_is_in("0::/croft/acme/web/payload (deleted)\n", &web));
	assert_false(orphans_is_in("0::/croft/acme/web2/payload\n", &web));
	assert_false(orphans_is_in("0::/croft/acme/web/payload2\n", &web));
	assert_false(orphans_is_in("0::/croft/other/web/payload\n", &web));
	assert_false(orphans_is_in("0::/croft/acme/web\n", &web));
	assert_false(orphans_is_in("0::/\n", &web));
}

/* Of v1 a zombie shows none; and a tenant may name its own as it likes. */
static void only_the_cgroup2_line_counts(void **state)
{
	(void)state;
	assert_true(
		orphans_is_in("4:pids:/\n1:name=systemd:/\n0::/croft/acme/web/payload\n", &web));
	assert_false(orphans_is_in("4:pids:/croft/acme/web/payload\n0::/\n", &web));
	assert_false(orphans_is_in("1:name=systemd:/x 0::/croft/acme/web/payload\n0::/y\n", &web));
}

/* Rather a zombie for longer than a command that nobody knows. */
static void what_cannot_be_told_may_be_in_any(void **state)
{
	(void)state;
	assert_true(orphans_is_in(NULL, &web));
	assert_true(orphans_is_in("", &web));
	assert_true(orphans_is_in("4:pids:/croft/other/db/payload\n", &web));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_is_in_its_container_only),
		cmocka_unit_test(only_the_cgroup2_line_counts),
		cmocka_unit_test(what_cannot_be_told_may_be_in_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

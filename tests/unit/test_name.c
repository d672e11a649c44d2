/* base/name.h: the grammar that stands between a peer's bytes and a path. */
#include "base/name.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#define A32 "abcdefghijklmnopqrstuvwxyz012345"

static void accepts_names(void **state)
{
	static const char *const rows[] = {
		"a", "acme", "web-1", "a--", "z9", "tasks1", "task", A32};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!name_is_valid(rows[i]))
			fail_msg("\"%s\" was refused", rows[i]);
		assert_int_equal(name_check("tenant", rows[i], NULL), 0);
	}
}

static void refuses_everything_else(void **state)
{
	static const char *const rows[] = {"", "tasks", ".", "..", "-a", "1a", "A", "aB", "a_b",
		"a.b", "a/b", "a b", " a", "a\n", "a\t", "_croft", "\xc3\xa9", "a\xff", A32 "6",
		"a:b", "a*", "../etc", "a\x7f"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (name_is_valid(rows[i]))
			fail_msg("\"%s\" was accepted", rows[i]);
}

static void every_byte_is_judged(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		char name[3] = {'a', (char)c, '\0'};
		bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';

		assert_int_equal(name_is_valid(name), good);
		name[0] = (char)c;
		name[1] = '\0';
		assert_int_equal(name_is_valid(name), c >= 'a' && c <= 'z');
	}
}

static void check_says_what_and_how(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(name_check("tenant", "Acme!", &err), -EINVAL);
	assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
	assert_string_equal(err.reason, "INVALID_NAME");
	assert_string_equal(err.subject, "tenant");
	assert_non_null(strstr(err.msg, "\"Acme!\" is not a tenant name"));
	assert_int_equal(name_check("image", "Acme!", &err), -EINVAL);
	assert_non_null(strstr(err.msg, "\"Acme!\" is not an image name"));
	/* One that is too long is cut, and looks it. */
	assert_int_equal(
		name_check("plan", "a123456789b123456789c123456789d123456789e", &err), -EINVAL);
	assert_non_null(strstr(
		err.msg, "\"a123456789b123456789c123456789d123456789...\" is not a plan name"));
	assert_int_equal(
		name_check("plan", "a123456789b123456789c123456789d123456789", &err), -EINVAL);
	assert_non_null(strstr(err.msg, "d123456789\" is not a plan name"));
}

static void field_needs_its_terminator(void **state)
{
	char field[NAME_SIZE];

	(void)state;
	memset(field, 'a', sizeof(field));
	assert_false(name_field_is_valid(field));
	field[NAME_SIZE - 1] = '\0';
	assert_true(name_field_is_valid(field));
	memset(field, 0, sizeof(field));
	assert_false(name_field_is_valid(field));
}

static void parses_resources(void **state)
{
	char tenant[NAME_SIZE] = "?";
	char container[NAME_SIZE] = "?";

	(void)state;
	assert_int_equal(name_parse_resource("tenants/acme", tenant, container, NULL), 0);
	assert_string_equal(tenant, "acme");
	assert_string_equal(container, "");
	assert_int_equal(
		name_parse_resource("tenants/acme/containers/web-1", tenant, container, NULL), 0);
	assert_string_equal(tenant, "acme");
	assert_string_equal(container, "web-1");
	assert_int_equal(name_parse_resource("tenants/" A32, tenant, NULL, NULL), 0);
	assert_string_equal(tenant, A32);
}

static void refuses_other_resources(void **state)
{
	static const char *const rows[] = {"", "/", "tenants", "tenants/", "/tenants/a",
		"tenants//", "tenants/a/", "tenants/A", "tenants/a/containers",
		"tenants/a/containers/", "tenants/a/containers/b/", "tenants/a/containers/b/c",
		"tenants/a/images/b", "tenant/a", "tenants/../containers/b",
		"tenants/a/containers/..", "tenants/tasks", "tenants/a//containers/b",
		"tenants/a/containers//b", "tenants/a/containers/tasks",
		"tenants/" A32 A32 A32 "/containers/b", "tenants/-"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char tenant[NAME_SIZE] = "kept";
		char container[NAME_SIZE] = "kept";
		struct err err = {0};

		if (name_parse_resource(rows[i], tenant, container, &err) != -EINVAL)
			fail_msg("\"%s\" was accepted", rows[i]);
		assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
		assert_string_equal(tenant, "kept");
		assert_string_equal(container, "kept");
	}
}

static void refuses_a_container_where_only_a_tenant_may_be(void **state)
{
	char tenant[NAME_SIZE];

	(void)state;
	assert_int_equal(
		name_parse_resource("tenants/a/containers/b", tenant, NULL, NULL), -EINVAL);
}

static void parses_collections(void **state)
{
	char name[NAME_SIZE] = "kept";
	struct err err;

	(void)state;
	assert_int_equal(name_parse_in("images", "images/", name, &err), -EINVAL);
	assert_int_equal(name_parse_in("images", "images", name, &err), -EINVAL);
	assert_int_equal(name_parse_in("images", "image/busybox", name, &err), -EINVAL);
	assert_int_equal(name_parse_in("images", "images/a/b", name, &err), -EINVAL);
	assert_int_equal(name_parse_in("images", "imagesx/a", name, &err), -EINVAL);
	assert_string_equal(name, "kept");
	assert_int_equal(name_parse_in("images", "images/busybox", name, &err), 0);
	assert_string_equal(name, "busybox");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_names),
		cmocka_unit_test(refuses_everything_else),
		cmocka_unit_test(every_byte_is_judged),
		cmocka_unit_test(check_says_what_and_how),
		cmocka_unit_test(field_needs_its_terminator),
		cmocka_unit_test(parses_resources),
		cmocka_unit_test(refuses_other_resources),
		cmocka_unit_test(refuses_a_container_where_only_a_tenant_may_be),
		cmocka_unit_test(parses_collections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

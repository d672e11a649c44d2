/*
 * server/auth.h over every method there is: operator, the resource's tenant, another tenant, a
 * user bound to nobody, the network. A new method is in this test without being named here.
 */
#include "server/auth.h"

#include "tests/unit/unit.h"

#include <string.h>

#define ACME_UID  1001
#define OTHER_UID 1002
#define NO_UID	  1003

static const struct grpc_peer root = {.local = true, .uid = 0, .admin = true};
static const struct grpc_peer acme = {.local = true, .uid = ACME_UID};
static const struct grpc_peer other = {.local = true, .uid = OTHER_UID};
static const struct grpc_peer nobody = {.local = true, .uid = NO_UID};
/* A flag that says "admin" means nothing on a connection that nobody vouches for. */
static const struct grpc_peer remote = {.local = false, .uid = 0, .admin = true};

static int make_server(void **state)
{
	struct server *server = calloc(1, sizeof(*server));
	struct err err;

	for (int i = 0; i < 2; i++) {
		struct tenant *t = model_add_tenant(&server->model, i ? "other" : "acme");

		t->visible = true;
		assert_int_equal(model_bind(&server->model, t, i ? OTHER_UID : ACME_UID, &err), 0);
	}
	*state = server;
	return 0;
}

static int drop_server(void **state)
{
	struct server *server = *state;

	model_finish(&server->model);
	free(server);
	return 0;
}

static enum err_code ask(struct server *server, const struct grpc_peer *peer,
	const struct grpc_method *method, const char *resource)
{
	struct err err = {0};

	auth_authorize(peer, method, *method->resource ? resource : "", server, &err);
	return (enum err_code)err.code;
}

static void expect(
	const struct grpc_method *method, const char *who, enum err_code got, enum err_code want)
{
	if (got != want)
		fail_msg("%s for %s: %s, not %s", method->path, who, err_code_name(got),
			err_code_name(want));
}

static void check_method(struct server *server, const struct grpc_method *m)
{
	bool anyone = m->role == GRPC_ROLE_ANYONE;
	bool tenant = m->role == GRPC_ROLE_TENANT;
	enum err_code denied = anyone ? ERR_OK : ERR_PERMISSION_DENIED;
	enum err_code foreign = anyone ? ERR_OK : tenant ? ERR_NOT_FOUND : ERR_PERMISSION_DENIED;

	assert_true(anyone || tenant || m->role == GRPC_ROLE_OPERATOR);
	expect(m, "an operator", ask(server, &root, m, "tenants/acme"), ERR_OK);
	expect(m, "a user of no tenant", ask(server, &nobody, m, "tenants/acme"), denied);
	expect(m, "the network", ask(server, &remote, m, "tenants/acme"),
		anyone ? ERR_OK : ERR_UNAUTHENTICATED);
	expect(m, "its own tenant", ask(server, &acme, m, "tenants/acme"),
		anyone || tenant ? ERR_OK : ERR_PERMISSION_DENIED);
	if (!*m->resource)
		return;
	expect(m, "its own tenant's container",
		ask(server, &acme, m, "tenants/acme/containers/web"),
		anyone || tenant ? ERR_OK : ERR_PERMISSION_DENIED);
	expect(m, "another tenant", ask(server, &other, m, "tenants/acme"), foreign);
	expect(m, "another tenant's container",
		ask(server, &other, m, "tenants/acme/containers/web"), foreign);
	expect(m, "a tenant that is not there", ask(server, &other, m, "tenants/nothere"), foreign);
	expect(m, "every tenant", ask(server, &acme, m, "tenants/-"), denied);
	expect(m, "no resource", ask(server, &acme, m, ""),
		anyone	 ? ERR_OK
		: tenant ? ERR_INVALID_ARGUMENT
			 : ERR_PERMISSION_DENIED);
}

static void every_method_is_guarded(void **state)
{
	size_t operators = 0;
	size_t tenants = 0;

	assert_true(grpc_n_methods > 20);
	for (size_t i = 0; i < grpc_n_methods; i++) {
		/* Health and reflection answer before anybody is asked for. */
		if (strncmp(grpc_methods[i].path, "/croft.", 7) != 0)
			continue;
		check_method(*state, &grpc_methods[i]);
		operators += grpc_methods[i].role == GRPC_ROLE_OPERATOR;
		tenants += grpc_methods[i].role == GRPC_ROLE_TENANT;
	}
	/* The table has both kinds, so that neither branch above was empty. */
	assert_true(operators > 5 && tenants > 10);
}

static void a_foreign_tenant_and_none_sound_alike(void **state)
{
	static const struct grpc_method method = {
		.path = "/x", .role = GRPC_ROLE_TENANT, .resource = "name"};
	struct err exists = {0};
	struct err missing = {0};

	auth_authorize(&other, &method, "tenants/acme", *state, &exists);
	auth_authorize(&other, &method, "tenants/acmf", *state, &missing);
	assert_int_equal(exists.code, missing.code);
	assert_string_equal(exists.reason, missing.reason);
	assert_string_equal(exists.msg, "there is no tenant acme");
	assert_string_equal(missing.msg, "there is no tenant acmf");
}

static void scope_narrows_but_never_widens(void **state)
{
	struct server *server = *state;
	struct tenant *t;
	struct err err;

	assert_int_equal(auth_scope(server, &root, "", &t, &err), 0);
	assert_null(t);
	assert_int_equal(auth_scope(server, &root, "tenants/acme", &t, &err), 0);
	assert_string_equal(t->name, "acme");
	assert_int_equal(auth_scope(server, &acme, "", &t, &err), 0);
	assert_string_equal(t->name, "acme");
	assert_true(auth_scope(server, &acme, "tenants/other", &t, &err) < 0);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_true(auth_scope(server, &nobody, "", &t, &err) < 0);
	assert_true(auth_scope(server, &remote, "", &t, &err) < 0);
}

static void a_deleted_tenants_users_are_nobody(void **state)
{
	static const struct grpc_method method = {
		.path = "/x", .role = GRPC_ROLE_TENANT, .resource = ""};
	struct server *server = *state;

	assert_int_equal(ask(server, &acme, &method, ""), ERR_OK);
	model_remove_tenant(&server->model, model_any_tenant(&server->model, "acme"));
	assert_int_equal(ask(server, &acme, &method, ""), ERR_PERMISSION_DENIED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_method_is_guarded, make_server, drop_server),
		cmocka_unit_test_setup_teardown(
			a_foreign_tenant_and_none_sound_alike, make_server, drop_server),
		cmocka_unit_test_setup_teardown(
			scope_narrows_but_never_widens, make_server, drop_server),
		cmocka_unit_test_setup_teardown(
			a_deleted_tenants_users_are_nobody, make_server, drop_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

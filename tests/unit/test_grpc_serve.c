/* server/grpc_server.c: who is served, and when the user database is asked about it. */
#include "server/grpc_internal.h"

#include "tests/unit/unit.h"

#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

#define USER 54321 /* what tests are when they are root, of whom nobody is asked */

static struct {
	uint64_t now_usec;
	unsigned asked;
	bool is_operator;
} host;

static uint64_t now(void)
{
	return host.now_usec;
}

static bool ask(uid_t uid, const char *group)
{
	(void)uid;
	(void)group;
	host.asked++;
	return host.is_operator;
}

static int authorize(const struct grpc_peer *peer, const struct grpc_method *method,
	const char *resource, void *app, struct err *err)
{
	(void)peer;
	(void)method;
	(void)resource;
	(void)app;
	return err_set(err, ERR_PERMISSION_DENIED, "NOBODY", "nobody is served");
}

static int set_up(void **state)
{
	static const struct grpc_handler *const none[] = {NULL};
	struct grpc_server_config config = {.base = event_base_new(),
		.handlers = none,
		.authorize = authorize,
		.admin_group = "wheel"};
	struct grpc_server *server;
	struct err err;

	if (!config.base || grpc_server_create(&config, &server, &err) < 0)
		return -1;
	host.now_usec = 1;
	host.asked = 0;
	host.is_operator = false;
	operators_init(&server->operators, ask, config.admin_group, now);
	*state = server;
	return 0;
}

static int take_down(void **state)
{
	struct grpc_server *server = *state;
	struct event_base *base = server->base;

	grpc_server_destroy(server);
	event_base_free(base);
	return 0;
}

/* A connection of somebody else's than root; the client's end, or -1 when it was not served. */
static int come(struct grpc_server *server)
{
	size_t before = grpc_server_connections(server);
	bool is_root = geteuid() == 0;
	int ends[2];

	if (is_root)
		assert_int_equal(seteuid(USER), 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	if (is_root)
		assert_int_equal(seteuid(0), 0);
	grpc_server_serve(server, ends[0]);
	if (grpc_server_connections(server) > before)
		return ends[1];
	close(ends[1]);
	return -1;
}

static void who_has_too_many_is_not_asked_about(void **state)
{
	struct grpc_server *server = *state;
	int clients[GRPC_TENANT_CONNS_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] = come(server);
		assert_true(clients[i] >= 0);
	}
	assert_int_equal(host.asked, 1);
	host.now_usec += OPERATORS_KEPT_MS * UINT64_C(1000);
	for (int i = 0; i < 100; i++)
		assert_int_equal(come(server), -1);
	assert_int_equal(host.asked, 1);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		close(clients[i]);
}

static void an_operator_has_more(void **state)
{
	struct grpc_server *server = *state;
	int clients[GRPC_TENANT_CONNS_MAX + 1];

	host.is_operator = true;
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] = come(server);
		assert_true(clients[i] >= 0);
	}
	assert_int_equal(host.asked, 1);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		close(clients[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			who_has_too_many_is_not_asked_about, set_up, take_down),
		cmocka_unit_test_setup_teardown(an_operator_has_more, set_up, take_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* server/resolvers.h: which lines of a resolv.conf count. */
#include "server/resolvers.h"

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <string.h>

static void read_text(const char *text, struct net_resolvers *ret)
{
	char path[] = "/tmp/test-resolvers-XXXXXX";
	_cleanup_close_ int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	resolvers_read(path, ret);
	unlink(path);
}

static void expect(const struct net_address *address, const char *text)
{
	char out[NET_TEXT_MAX];

	assert_string_equal(net_format(address, out), text);
}

static void nameservers_alone_count(void **state)
{
	struct net_resolvers list;

	(void)state;
	read_text("# nameserver 10.0.0.9\nsearch example.org\nnameserver 10.0.0.1\n"
		  "  nameserver\t2001:db8::1  \nnameserver\nnameservers 10.0.0.2\n"
		  "nameserver fe80::1%eth0\nnameserver none\noptions edns0",
		&list);
	assert_int_equal(list.n, 2);
	expect(&list.list[0], "10.0.0.1");
	expect(&list.list[1], "2001:db8::1");
}

static void those_on_loopback_are_the_hosts_own(void **state)
{
	struct net_resolvers list;

	(void)state;
	read_text("nameserver 127.0.0.53\nnameserver ::1\nnameserver 10.0.0.1\n", &list);
	assert_int_equal(list.n, 1);
	expect(&list.list[0], "10.0.0.1");
}

static void no_more_than_fit(void **state)
{
	struct net_resolvers list;

	(void)state;
	read_text("nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n"
		  "nameserver 10.0.0.4\nnameserver 10.0.0.5\n",
		&list);
	assert_int_equal(list.n, NET_RESOLVERS_MAX);
}

static void a_file_that_is_not_there_has_none(void **state)
{
	struct net_resolvers list = {.n = 3};

	(void)state;
	resolvers_read("/nonexistent/resolv.conf", &list);
	assert_int_equal(list.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nameservers_alone_count),
		cmocka_unit_test(those_on_loopback_are_the_hosts_own),
		cmocka_unit_test(no_more_than_fit),
		cmocka_unit_test(a_file_that_is_not_there_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

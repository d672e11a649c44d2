/* sandbox/net_names.h: what is in a tenant's hosts file, that its inode stays, and that it mends.
 */
#include "sandbox/net_names.h"

#include "tests/unit/unit.h"

#include "base/fd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define FIRST                                                                                      \
	"127.0.0.1\tlocalhost\n"                                                                   \
	"::1\tlocalhost ip6-localhost ip6-loopback\n"

struct fixture {
	char path[32];
	int fd;
};

static int make(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->path, sizeof(f->path), "/tmp/test-names-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return 0;
}

static int drop(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(net_names_forget(f->fd, "acme", NULL), 0);
	assert_int_equal(net_names_forget(f->fd, "other", NULL), 0);
	unlinkat(f->fd, "resolv.conf", 0);
	close(f->fd);
	/* Empty: nothing else was left. */
	assert_int_equal(rmdir(f->path), 0);
	free(f);
	return 0;
}

static void put(struct fixture *f, const char *tenant, const char *name, uint8_t last)
{
	struct net_place place = {
		.ipv4 = {{10, 0, 0, last}, 4, 24}, .ipv6 = {{0xfd, [15] = last}, 16, 64}};

	assert_int_equal(net_names_put(f->fd, tenant, name, &place, NULL), 0);
}

static void expect(struct fixture *f, const char *file, const char *text)
{
	char buf[4096];
	_cleanup_close_ int fd = openat(f->fd, file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd_read_full(fd, buf, sizeof(buf) - 1);

	assert_true(n >= 0);
	buf[n] = '\0';
	assert_string_equal(buf, text);
}

static ino_t inode(struct fixture *f, const char *file)
{
	struct stat st;

	assert_int_equal(fstatat(f->fd, file, &st, 0), 0);
	return st.st_ino;
}

static void names_come_and_go_in_place(void **state)
{
	struct fixture *f = *state;
	ino_t before;

	put(f, "acme", "web", 2);
	before = inode(f, "acme");
	expect(f, "acme", FIRST "10.0.0.2\tweb\nfd00::2\tweb\n");
	put(f, "acme", "db", 3);
	put(f, "other", "web", 9);
	expect(f, "acme", FIRST "10.0.0.2\tweb\nfd00::2\tweb\n10.0.0.3\tdb\nfd00::3\tdb\n");
	expect(f, "other", FIRST "10.0.0.9\tweb\nfd00::9\tweb\n");
	/* Again, elsewhere: once in the file. */
	put(f, "acme", "web", 4);
	expect(f, "acme", FIRST "10.0.0.3\tdb\nfd00::3\tdb\n10.0.0.4\tweb\nfd00::4\tweb\n");
	assert_int_equal(net_names_remove(f->fd, "acme", "db", NULL), 0);
	assert_int_equal(net_names_remove(f->fd, "acme", "db", NULL), 0);
	expect(f, "acme", FIRST "10.0.0.4\tweb\nfd00::4\tweb\n");
	assert_int_equal(inode(f, "acme"), before);
}

static void what_is_not_there_is_no_error(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(net_names_remove(f->fd, "acme", "web", NULL), 0);
	assert_int_equal(faccessat(f->fd, "acme", F_OK, 0), -1);
}

/* A container may have the name of anything that is in the file. */
static void names_that_look_like_others(void **state)
{
	struct fixture *f = *state;

	put(f, "acme", "web", 2);
	put(f, "acme", "we", 3);
	put(f, "acme", "web-2", 4);
	assert_int_equal(net_names_remove(f->fd, "acme", "we", NULL), 0);
	expect(f, "acme", FIRST "10.0.0.2\tweb\nfd00::2\tweb\n10.0.0.4\tweb-2\nfd00::4\tweb-2\n");
	put(f, "acme", "localhost", 5);
	assert_int_equal(net_names_remove(f->fd, "acme", "web", NULL), 0);
	expect(f, "acme", FIRST "10.0.0.4\tweb-2\nfd00::4\tweb-2\n");
}

static void one_family_alone(void **state)
{
	struct net_place place = {.ipv4 = {{10, 0, 0, 2}, 4, 24}};
	struct fixture *f = *state;

	assert_int_equal(net_names_put(f->fd, "acme", "web", &place, NULL), 0);
	expect(f, "acme", FIRST "10.0.0.2\tweb\n");
}

static void a_half_written_file_is_mended(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int fd = -1;

	put(f, "acme", "web", 2);
	put(f, "acme", "db", 3);
	fd = openat(f->fd, "acme", O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "gar\nbage", 8, 50), 8);
	assert_int_equal(net_names_remove(f->fd, "acme", "nobody", NULL), 0);
	expect(f, "acme", FIRST "10.0.0.2\tweb\nfd00::2\tweb\n10.0.0.3\tdb\nfd00::3\tdb\n");
}

static bool is_web(const char *tenant, const char *container, void *arg)
{
	(void)arg;
	return !strcmp(tenant, "acme") && !strcmp(container, "web");
}

static void only_what_runs_is_kept(void **state)
{
	struct fixture *f = *state;

	put(f, "acme", "web", 2);
	put(f, "acme", "db", 3);
	put(f, "other", "web", 9);
	assert_int_equal(net_names_keep_only(f->fd, is_web, NULL, NULL), 0);
	expect(f, "acme", FIRST "10.0.0.2\tweb\nfd00::2\tweb\n");
	expect(f, "other", FIRST);
}

static void resolvers(void **state)
{
	struct net_resolvers list = {.n = 2};
	struct fixture *f = *state;

	assert_int_equal(net_parse_address("192.0.2.53", &list.list[0]), 0);
	assert_int_equal(net_parse_address("2001:db8::53", &list.list[1]), 0);
	assert_int_equal(net_names_set_resolvers(f->fd, &list, NULL), 0);
	expect(f, "resolv.conf", "nameserver 192.0.2.53\nnameserver 2001:db8::53\n");
	list.n = 0;
	assert_int_equal(net_names_set_resolvers(f->fd, &list, NULL), 0);
	expect(f, "resolv.conf", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names_come_and_go_in_place, make, drop),
		cmocka_unit_test_setup_teardown(what_is_not_there_is_no_error, make, drop),
		cmocka_unit_test_setup_teardown(names_that_look_like_others, make, drop),
		cmocka_unit_test_setup_teardown(one_family_alone, make, drop),
		cmocka_unit_test_setup_teardown(a_half_written_file_is_mended, make, drop),
		cmocka_unit_test_setup_teardown(only_what_runs_is_kept, make, drop),
		cmocka_unit_test_setup_teardown(resolvers, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

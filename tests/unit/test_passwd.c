/* A container's passwd(5) and group(5), well-formed and hostile. */
#include "tests/unit/unit.h"

#include "base/fd.h"
#include "sandbox/passwd.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct fixture {
	char path[64];
	int dir;
	struct err err;
	struct passwd_user user;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->path, "/tmp/croft-test-passwd-XXXXXX");
	if (!mkdtemp(f->path))
		return -1;
	f->dir = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return f->dir < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];
	int r;

	close(f->dir);
	snprintf(command, sizeof(command), "rm -rf %s", f->path);
	r = system(command);
	free(f);
	return r;
}

static void put(struct fixture *f, const char *name, const char *text)
{
	assert_int_equal(fd_replace_file_at(f->dir, name, text, strlen(text), false), 0);
}

static void find(struct fixture *f, const char *user)
{
	memset(&f->user, 0xee, sizeof(f->user));
	assert_int_equal(passwd_lookup(f->dir, user, &f->user, &f->err), 0);
}

static void assert_none(struct fixture *f, const char *user)
{
	struct passwd_user before;

	memset(&f->user, 0xee, sizeof(f->user));
	before = f->user;
	assert_int_equal(passwd_lookup(f->dir, user, &f->user, &f->err), -ENOENT);
	assert_string_equal(f->err.reason, "EXEC_NO_USER");
	assert_memory_equal(&f->user, &before, sizeof(before));
}

static const char ordinary[] = "root:x:0:0:root:/root:/bin/bash\n"
			       "# a comment\n"
			       "\n"
			       "www:x:33:33:www:/var/www:/usr/sbin/nologin\n"
			       "alice:x:1000:1001::/home/alice:/bin/sh";
static const char groups[] = "root:x:0:\n"
			     "adm:x:4:alice,www\n"
			     "alice:x:1001:alice\n"
			     "many:x:5:bob,malice,alice\n"
			     "none:x:6:alicex,xalice\n";

static void users_are_found_by_name_and_number(void **state)
{
	struct fixture *f = *state;

	put(f, "passwd", ordinary);
	put(f, "group", groups);
	find(f, "alice");
	assert_int_equal(f->user.uid, 1000);
	assert_int_equal(f->user.gid, 1001);
	assert_string_equal(f->user.name, "alice");
	assert_string_equal(f->user.home, "/home/alice");
	assert_string_equal(f->user.shell, "/bin/sh");
	find(f, "1000");
	assert_string_equal(f->user.name, "alice");
	assert_int_equal(f->user.n_groups, 2);
	find(f, "");
	assert_int_equal(f->user.uid, 0);
	assert_string_equal(f->user.home, "/root");
	assert_none(f, "bob");
	assert_none(f, "ali");
}

static void groups_are_those_that_name_the_user(void **state)
{
	struct fixture *f = *state;

	put(f, "passwd", ordinary);
	put(f, "group", groups);
	find(f, "alice");
	/* Not the primary group again, and no name that only begins or ends alike. */
	assert_int_equal(f->user.n_groups, 2);
	assert_int_equal(f->user.groups[0], 4);
	assert_int_equal(f->user.groups[1], 5);
	find(f, "www");
	assert_int_equal(f->user.n_groups, 1);
	find(f, "root");
	assert_int_equal(f->user.n_groups, 0);
}

static void find_image_user(struct fixture *f, const char *spec)
{
	memset(&f->user, 0xee, sizeof(f->user));
	assert_int_equal(passwd_lookup_group(f->dir, spec, &f->user, &f->err), 0);
}

static void an_image_may_name_a_group(void **state)
{
	static const char *const bad[] = {"alice:nobody", "alice:", "alice:65535", "alice:adm:x"};
	struct fixture *f = *state;

	put(f, "passwd", ordinary);
	put(f, "group", groups);
	find_image_user(f, "alice");
	assert_int_equal(f->user.gid, 1001);
	assert_int_equal(f->user.n_groups, 2);
	find_image_user(f, "alice:adm");
	assert_int_equal(f->user.uid, 1000);
	assert_int_equal(f->user.gid, 4);
	assert_int_equal(f->user.n_groups, 0);
	find_image_user(f, "1000:77");
	assert_string_equal(f->user.name, "alice");
	assert_int_equal(f->user.gid, 77);
	find_image_user(f, "4711:adm");
	assert_int_equal(f->user.uid, 4711);
	assert_int_equal(f->user.gid, 4);
	find_image_user(f, "4711");
	assert_int_equal(f->user.gid, 0);
	find_image_user(f, ":4");
	assert_int_equal(f->user.uid, 0);
	assert_int_equal(f->user.gid, 4);
	assert_int_equal(passwd_lookup_group(f->dir, "bob:adm", &f->user, &f->err), -ENOENT);
	assert_string_equal(f->err.reason, "EXEC_NO_USER");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(passwd_lookup_group(f->dir, bad[i], &f->user, &f->err), -ENOENT);
		assert_string_equal(f->err.reason, "EXEC_NO_GROUP");
	}
	/* A command's user is a name and nothing else. */
	assert_none(f, "alice:adm");
	assert_none(f, "0:0");
}

static void a_number_needs_no_entry(void **state)
{
	struct fixture *f = *state;

	find(f, "4711");
	assert_int_equal(f->user.uid, 4711);
	assert_int_equal(f->user.gid, 4711);
	assert_string_equal(f->user.name, "");
	assert_string_equal(f->user.home, "/");
	assert_int_equal(f->user.n_groups, 0);
	find(f, "0");
	assert_string_equal(f->user.home, "/root");
	find(f, "");
	assert_int_equal(f->user.uid, 0);
	assert_none(f, "alice");
}

static void numbers_out_of_the_range_are_no_users(void **state)
{
	static const char *const numbers[] = {"65535", "65536", "4294967295", "4294967296",
		"99999999999999999999", "-1", "+1", " 1", "1 ", "0x10", "1e3"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		assert_none(f, numbers[i]);
	assert_none(f, "65535");
	assert_non_null(strstr(f->err.msg, "0 to 65534"));
	find(f, "65534");
	assert_int_equal(f->user.uid, 65534);
}

static void lines_that_do_not_parse_are_skipped(void **state)
{
	static const char *const bad[] = {
		"eve:x:65535:0::/:/bin/sh\n",
		"eve:x:4294967295:0::/:/bin/sh\n",
		"eve:x:-1:0::/:/bin/sh\n",
		"eve:x:0:65535::/:/bin/sh\n",
		"eve:x::0::/:/bin/sh\n",
		"eve:x:0:0::/\n",
		"eve:x:0\n",
		"eve\n",
		"eve:x:0x0:0::/:/bin/sh\n",
		"eve:x: 0:0::/:/bin/sh\n",
		":::::::\n",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put(f, "passwd", bad[i]);
		assert_none(f, "eve");
	}
	put(f, "passwd", "eve:x:65535:0::/:/bin/sh\neve:x:7:8::/:/bin/sh\n");
	find(f, "eve");
	assert_int_equal(f->user.uid, 7);
}

static void a_home_is_an_absolute_path(void **state)
{
	struct fixture *f = *state;

	put(f, "passwd", "eve:x:7:8::../../etc:/bin/sh\n");
	find(f, "eve");
	assert_string_equal(f->user.home, "/");
}

static void long_lines_are_cut_not_overrun(void **state)
{
	struct fixture *f = *state;
	size_t size = 900 * 1024;
	char *text = malloc(size + 64);
	char *p = text;

	assert_non_null(text);
	p += sprintf(p, "eve:x:7:8::/");
	memset(p, 'h', size);
	p += size;
	strcpy(p, ":/bin/sh\n");
	put(f, "passwd", text);
	find(f, "eve");
	assert_int_equal(strlen(f->user.home), PASSWD_FIELD_MAX - 1);
	assert_string_equal(f->user.shell, "/bin/sh");
	/* A line of nothing but separators. */
	memset(text, ':', size);
	text[size] = '\0';
	put(f, "passwd", text);
	assert_none(f, "eve");
	free(text);
}

static void groups_are_bounded(void **state)
{
	struct fixture *f = *state;
	char text[16384];
	size_t n = 0;

	for (unsigned i = 0; i < PASSWD_GROUPS_MAX * 4; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "g%u:x:%u:alice\n", i, 2000 + i);
	put(f, "passwd", ordinary);
	put(f, "group", text);
	find(f, "alice");
	assert_int_equal(f->user.n_groups, PASSWD_GROUPS_MAX);
	put(f, "group", "g:x:65535:alice\nh:x:x:alice\ni:x:9:alice");
	find(f, "alice");
	assert_int_equal(f->user.n_groups, 1);
	assert_int_equal(f->user.groups[0], 9);
}

static void a_huge_file_counts_as_empty(void **state)
{
	struct fixture *f = *state;
	int fd;

	put(f, "passwd", ordinary);
	fd = openat(f->dir, "passwd", O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, (1 << 20) + 1), 0);
	assert_none(f, "alice");
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	find(f, "www");
	assert_int_equal(f->user.uid, 33);
	assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
	assert_none(f, "alice");
	close(fd);
}

static void what_is_no_file_counts_as_empty(void **state)
{
	struct fixture *f = *state;

	alarm(10);
	assert_int_equal(mkfifoat(f->dir, "passwd", 0600), 0);
	assert_none(f, "alice");
	find(f, "");
	assert_int_equal(unlinkat(f->dir, "passwd", 0), 0);
	assert_int_equal(mkdirat(f->dir, "passwd", 0700), 0);
	assert_none(f, "alice");
	assert_int_equal(unlinkat(f->dir, "passwd", AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("/dev/zero", f->dir, "passwd"), 0);
	assert_none(f, "alice");
	assert_int_equal(unlinkat(f->dir, "passwd", 0), 0);
	assert_int_equal(symlinkat("passwd", f->dir, "passwd"), 0);
	assert_none(f, "alice");
	assert_int_equal(unlinkat(f->dir, "passwd", 0), 0);
	assert_none(f, "alice");
	alarm(0);
}

/* Distributions do that: the lookup runs inside the container, so it leads nowhere else. */
static void a_link_to_a_file_is_followed(void **state)
{
	struct fixture *f = *state;

	put(f, "real", ordinary);
	assert_int_equal(symlinkat("real", f->dir, "passwd"), 0);
	find(f, "alice");
	assert_int_equal(f->user.uid, 1000);
}

static void bytes_after_a_nul_are_not_read(void **state)
{
	static const char text[] = "bob:x:1:1::/:/bin/sh\n\0alice:x:0:0::/:/bin/sh\n";
	struct fixture *f = *state;

	assert_int_equal(fd_replace_file_at(f->dir, "passwd", text, sizeof(text), false), 0);
	find(f, "bob");
	assert_none(f, "alice");
}

static void no_etc_at_all(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(passwd_lookup(-1, "alice", &f->user, &f->err), -ENOENT);
	assert_int_equal(passwd_lookup(-1, "", &f->user, &f->err), 0);
	assert_int_equal(f->user.uid, 0);
}

#define with_fixture(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_fixture(users_are_found_by_name_and_number),
		with_fixture(groups_are_those_that_name_the_user),
		with_fixture(an_image_may_name_a_group),
		with_fixture(a_number_needs_no_entry),
		with_fixture(numbers_out_of_the_range_are_no_users),
		with_fixture(lines_that_do_not_parse_are_skipped),
		with_fixture(a_home_is_an_absolute_path),
		with_fixture(long_lines_are_cut_not_overrun),
		with_fixture(groups_are_bounded),
		with_fixture(a_huge_file_counts_as_empty),
		with_fixture(what_is_no_file_counts_as_empty),
		with_fixture(a_link_to_a_file_is_followed),
		with_fixture(bytes_after_a_nul_are_not_read),
		with_fixture(no_etc_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

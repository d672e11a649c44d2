/* server/listen.h: sockets that are bound, replaced when stale, and taken away only while ours. */
#include "server/listen.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
	char dir[40];
	char path[64];
	char spec[80];
};

static int make(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/croft-test-listen-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/s", f->dir);
	snprintf(f->spec, sizeof(f->spec), "unix:%s", f->path);
	*state = f;
	return 0;
}

static int drop(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	rmdir(f->dir);
	free(f);
	return 0;
}

static bool exists(const struct fixture *f)
{
	struct stat st;

	return lstat(f->path, &st) == 0;
}

static void open_one(const struct fixture *f, struct listener *ret)
{
	struct err err;

	if (listen_open(f->spec, geteuid(), ret, &err) < 0)
		fail_msg("%s", err.msg);
}

static void everybody_may_connect(void **state)
{
	struct fixture *f = *state;
	struct listener listener;
	struct stat st;

	open_one(f, &listener);
	assert_int_equal(lstat(f->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0666);
	listen_close(&listener);
}

static void a_stop_takes_the_socket_away(void **state)
{
	struct fixture *f = *state;
	struct listener listener;

	open_one(f, &listener);
	/* Its descriptor may be somebody else's by then. */
	close(listener.fd);
	listener.fd = -1;
	listen_close(&listener);
	assert_false(exists(f));
	listen_close(&listener);
}

static void what_is_not_ours_stays(void **state)
{
	struct fixture *f = *state;
	struct listener ours;
	struct listener theirs;
	char aside[80];

	open_one(f, &ours);
	/* Ours lives on under another name, so that its inode is not used again. */
	snprintf(aside, sizeof(aside), "%s-aside", f->path);
	assert_int_equal(rename(f->path, aside), 0);
	open_one(f, &theirs);
	listen_close(&ours);
	assert_true(exists(f));
	listen_close(&theirs);
	assert_false(exists(f));
	unlink(aside);
}

static void a_stale_one_is_replaced_a_live_one_is_not(void **state)
{
	struct fixture *f = *state;
	struct listener first;
	struct listener second;
	struct err err;

	open_one(f, &first);
	assert_true(listen_open(f->spec, geteuid(), &second, &err) < 0);
	assert_string_equal(err.reason, "LISTEN_FAILED");
	close(first.fd);
	open_one(f, &second);
	listen_close(&second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(everybody_may_connect, make, drop),
		cmocka_unit_test_setup_teardown(a_stop_takes_the_socket_away, make, drop),
		cmocka_unit_test_setup_teardown(what_is_not_ours_stays, make, drop),
		cmocka_unit_test_setup_teardown(
			a_stale_one_is_replaced_a_live_one_is_not, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

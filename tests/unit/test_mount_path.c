/* Where in a container something may be mounted. */
#include "base/mount_path.h"

#include "base/cleanup.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

static void plain_absolute_paths_are_accepted(void **state)
{
	static const char *const good[] = {"/srv", "/srv/data", "/a/b/c/d", "/.hidden", "/...",
		"/a..b", "/with space", "/\xc3\xa9", "/process", "/device", "/sysfs", "/srv/proc",
		"/etc"};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(mount_path_check(good[i], &err), 0);
}

static void others_are_refused(void **state)
{
	static const char *const bad[] = {"", "/", "//", "srv", "./srv", "../srv", "/srv/",
		"/srv//x", "//srv", "/.", "/..", "/srv/.", "/srv/..", "/srv/../etc", "/./srv",
		"/srv/./x", "/a\nb", "/a\tb", "/a\x7f", "/dev", "/dev/shm", "/proc",
		"/proc/sys/kernel", "/sys", "/sys/fs"};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(mount_path_check(bad[i], &err), -EINVAL);
		assert_string_equal(err.reason, "MOUNT_PATH_INVALID");
	}
}

static void length_is_bounded(void **state)
{
	char field[MOUNT_PATH_SIZE];
	char text[MOUNT_PATH_SIZE + 1];
	struct err err;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[0] = '/';
	text[MOUNT_PATH_SIZE] = '\0';
	assert_int_equal(mount_path_check(text, &err), -EINVAL);
	memcpy(field, text, sizeof(field)); /* not terminated */
	assert_false(mount_path_field_is_valid(field));
	text[MOUNT_PATH_SIZE - 1] = '\0';
	assert_int_equal(mount_path_check(text, &err), 0);
	memcpy(field, text, sizeof(field));
	assert_true(mount_path_field_is_valid(field));
	memcpy(field, "/proc", 6);
	assert_false(mount_path_field_is_valid(field));
}

static void overlap_goes_by_whole_parts(void **state)
{
	(void)state;
	assert_true(mount_path_overlap("/srv", "/srv"));
	assert_true(mount_path_overlap("/srv", "/srv/data"));
	assert_true(mount_path_overlap("/srv/data/x", "/srv/data"));
	assert_false(mount_path_overlap("/srv/data", "/srv/data2"));
	assert_false(mount_path_overlap("/srv/a", "/srv/b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_absolute_paths_are_accepted),
		cmocka_unit_test(others_are_refused),
		cmocka_unit_test(length_is_bounded),
		cmocka_unit_test(overlap_goes_by_whole_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

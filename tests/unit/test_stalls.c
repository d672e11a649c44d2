/* sandbox/stalls.h: the kernel's lines, and what is not one. */
#include "sandbox/stalls.h"

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void lines_are_read(void **state)
{
	static const char text[] = "some avg10=5.14 avg60=1.38 avg300=0.31 total=994036\n"
				   "full avg10=100.00 avg60=1.35 avg300=0.30 total=955420\n";
	static const char *const bad[] = {"", "some", "some avg10=", "some avg10=x", "some avg10=1",
		"some avg10=1.", "some avg10=1.2", "some avg10=101.00", "some avg10=-1.00",
		"some avg60=1.00", "somewhat avg10=1.00", " some avg10=1.00"};

	(void)state;
	assert_int_equal(stalls_parse(text, "some"), 514);
	assert_int_equal(stalls_parse(text, "full"), 10000);
	assert_int_equal(stalls_parse("some avg10=0.00 x", "some"), 0);
	assert_int_equal(stalls_parse("some avg10=0.00 x", "full"), -1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(stalls_parse(bad[i], "some"), -1);
}

static void put(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* What a kernel lacks is unknown, not nothing. */
static void what_is_not_there_is_unknown(void **state)
{
	char path[] = "/tmp/croft-test-stalls-XXXXXX";
	struct stall_files *files;
	struct stalls stalls;
	int dir;

	(void)state;
	assert_non_null(mkdtemp(path));
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put(dir, "cpu.pressure", "some avg10=1.50 avg60=0.00 avg300=0.00 total=0\n");
	files = stalls_open(dir);
	assert_non_null(files);
	stalls_read(files, &stalls);
	assert_int_equal(stalls.some[STALL_CPU], 150);
	assert_int_equal(stalls.full[STALL_CPU], -1);
	assert_int_equal(stalls.some[STALL_MEMORY], -1);
	assert_int_equal(stalls.full[STALL_IO], -1);
	/* Through the file that was opened, whatever is in it by now. */
	put(dir, "cpu.pressure",
		"some avg10=2.00 avg60=0.00 avg300=0.00 total=18446744073709\n"
		"full avg10=0.25 avg60=0.00 avg300=0.00 total=17\n");
	stalls_read(files, &stalls);
	assert_int_equal(stalls.some[STALL_CPU], 200);
	assert_int_equal(stalls.full[STALL_CPU], 25);
	assert_int_equal(stalls.some_usec[STALL_CPU], 18446744073709);
	assert_int_equal(stalls.full_usec[STALL_CPU], 17);
	assert_int_equal(stalls.some_usec[STALL_IO], STALLS_UNKNOWN);
	/* Of the line that was asked for, and no other. */
	assert_int_equal(stalls_parse_total("some avg10=1.00\nfull avg10=1.00 total=7", "some"),
		STALLS_UNKNOWN);
	assert_int_equal(stalls_parse_total("some avg10=1.00 total=x", "some"), STALLS_UNKNOWN);
	stalls_close(files);
	stalls_read(NULL, &stalls);
	assert_int_equal(stalls.some[STALL_CPU], -1);
	unlinkat(dir, "cpu.pressure", 0);
	close(dir);
	rmdir(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_read),
		cmocka_unit_test(what_is_not_there_is_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

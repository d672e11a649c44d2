/*
 * Replays the hostile archives, and prefixes of the small ones, through the importer's fuzz
 * target: they must be refused or confined without a chroot as well, and as any user.
 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PREFIX_STEP 479 /* prime, so that cuts fall everywhere in the blocks of 512 */
#define PREFIX_MAX  16384

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay(const char *path)
{
	_cleanup_free_ uint8_t *data = NULL;
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	struct stat st;
	size_t size;

	assert_non_null(file);
	assert_int_equal(fstat(fileno(file), &st), 0);
	size = (size_t)st.st_size;
	data = malloc(size + 1);
	assert_non_null(data);
	assert_int_equal(fread(data, 1, size, file), size);
	LLVMFuzzerTestOneInput(data, size);
	for (size_t cut = 0; cut < size && size <= PREFIX_MAX; cut += PREFIX_STEP)
		LLVMFuzzerTestOneInput(data, cut);
}

static void hostile_archives_stay_inside(void **state)
{
	char dir[] = "/tmp/croft-test-corpus-XXXXXX";
	char command[512];
	char name[64];
	unsigned n = 0;
	FILE *list;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(command, sizeof(command), "python3 %s %s", HOSTILE_TARS, dir);
	list = popen(command, "r");
	assert_non_null(list);
	while (fscanf(list, "%63s %*s", name) == 1) {
		char path[128];

		snprintf(path, sizeof(path), "%s/%s", dir, name);
		replay(path);
		n++;
	}
	assert_int_equal(pclose(list), 0);
	assert_true(n > 60);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_archives_stay_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

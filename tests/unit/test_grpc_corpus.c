/* Every file of tests/fuzz/corpus/grpc_frames, and every cut of it, through the fuzzing function.
 */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run_file(int dir, const char *name)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	uint8_t data[4096];
	ssize_t n = read(fd, data, sizeof(data));

	assert_true(n > 0);
	for (size_t size = 0; size <= (size_t)n; size++)
		LLVMFuzzerTestOneInput(data, size);
	for (size_t i = 0; i < (size_t)n; i++) {
		data[i] ^= 0x81;
		LLVMFuzzerTestOneInput(data, (size_t)n);
		data[i] ^= 0x81;
	}
}

static void corpus_replays(void **state)
{
	_cleanup_closedir_ DIR *dir = opendir(GRPC_CORPUS);
	int files = 0;

	(void)state;
	assert_non_null(dir);
	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		if (e->d_name[0] == '.')
			continue;
		run_file(dirfd(dir), e->d_name);
		files++;
	}
	assert_true(files >= 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(corpus_replays)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Files for cloud-init between croftd and the supervisor: whole, or refused. */
#include "tests/unit/unit.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/cloud_seed.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

static const struct cloud_seed sound = {.files = {
						[CLOUD_SEED_USER_DATA] = {"a\0b", 3},
						[CLOUD_SEED_META_DATA] = {"instance-id: x\n", 15},
						[CLOUD_SEED_NETWORK] = {"", 0},
					}};

static void assert_refused(int fd)
{
	struct cloud_seed seed;
	struct err err;

	assert_true(fd >= 0);
	assert_true(cloud_seed_open(fd, &seed, &err) < 0);
	close(fd);
}

static void what_went_in_comes_back(void **state)
{
	_cleanup_close_ int fd = -1;
	struct cloud_seed seed;
	struct err err;

	(void)state;
	assert_int_equal(cloud_seed_pack(&sound, &fd, &err), 0);
	assert_int_equal(cloud_seed_open(fd, &seed, &err), 0);
	for (size_t i = 0; i < CLOUD_SEED_N; i++) {
		assert_int_equal(seed.files[i].size, sound.files[i].size);
		assert_memory_equal(seed.files[i].data, sound.files[i].data, sound.files[i].size);
	}
}

static void sizes_that_are_not_there_are_refused(void **state)
{
	uint32_t data[8] = {4, 4, 4, 0, 0, 0};

	(void)state;
	/* Control: three files of four bytes. */
	{
		_cleanup_close_ int fd = fd_sealed_memfd("test", data, 6 * sizeof(*data));
		struct cloud_seed seed;
		struct err err;

		assert_int_equal(cloud_seed_open(fd, &seed, &err), 0);
	}
	assert_refused(fd_sealed_memfd("test", data, 6 * sizeof(*data) - 1));
	assert_refused(fd_sealed_memfd("test", data, 6 * sizeof(*data) + 1));
	assert_refused(fd_sealed_memfd("test", data, 2 * sizeof(*data)));
	assert_refused(fd_sealed_memfd("test", data, 0));
	data[1] = UINT32_MAX;
	assert_refused(fd_sealed_memfd("test", data, 6 * sizeof(*data)));
	data[1] = UINT32_MAX - 3;
	data[2] = 8;
	assert_refused(fd_sealed_memfd("test", data, 6 * sizeof(*data)));
}

static void what_can_change_is_refused(void **state)
{
	static const uint32_t data[6] = {4, 4, 4};
	int pipe_fds[2];
	int fd = memfd_create("test", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(fd_write_full(fd, data, sizeof(data)), 0);
	assert_refused(fd);
	assert_int_equal(pipe(pipe_fds), 0);
	assert_refused(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void too_much_is_refused(void **state)
{
	_cleanup_free_ char *much = calloc(1, CLOUD_SEED_BYTES_MAX);
	struct cloud_seed seed = sound;
	struct err err;
	int fd = -1;

	(void)state;
	assert_non_null(much);
	seed.files[CLOUD_SEED_NETWORK].data = much;
	seed.files[CLOUD_SEED_NETWORK].size = CLOUD_SEED_BYTES_MAX;
	assert_int_equal(cloud_seed_pack(&seed, &fd, &err), -EMSGSIZE);
	assert_int_equal(fd, -1);
	assert_refused(fd_sealed_memfd("test", much, CLOUD_SEED_BYTES_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_went_in_comes_back),
		cmocka_unit_test(sizes_that_are_not_there_are_refused),
		cmocka_unit_test(what_can_change_is_refused),
		cmocka_unit_test(too_much_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

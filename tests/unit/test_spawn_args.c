/* The strings of an init or exec: what comes back is what went in, and nothing else is taken. */
#include "tests/unit/unit.h"

#include "base/fd.h"
#include "base/wire.h"
#include "sandbox/spawn_args.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static char *one[] = {(char *)"true", NULL};
static char *none[] = {NULL};

static int pack(char **argv, char **envp, const char *user, const char *dir, struct err *err)
{
	struct spawn_args args = {.argv = argv, .envp = envp, .user = user, .working_dir = dir};
	int fd = -1;
	int r = spawn_args_pack(&args, &fd, err);

	return r < 0 ? r : fd;
}

static int parse_bytes(const void *data, size_t size)
{
	struct spawn_args args;
	int fd = fd_sealed_memfd("test", data, size);
	int r;

	assert_true(fd >= 0);
	r = spawn_args_parse(fd, &args, NULL);
	close(fd);
	if (r == 0) {
		free(args.argv);
		free(args.envp);
	}
	return r;
}

static void strings_come_back(void **state)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)"", (char *)"a\nb \xff", NULL};
	char *envp[] = {(char *)"A=1", (char *)"odd", NULL};
	struct spawn_args args;
	struct err err;
	int fd = pack(argv, envp, "1000", "/srv/x", &err);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(spawn_args_parse(fd, &args, &err), 0);
	close(fd);
	for (size_t i = 0; i < ARRAY_SIZE(argv) - 1; i++)
		assert_string_equal(args.argv[i], argv[i]);
	assert_null(args.argv[4]);
	assert_string_equal(args.envp[0], "A=1");
	assert_string_equal(args.envp[1], "odd");
	assert_null(args.envp[2]);
	assert_string_equal(args.user, "1000");
	assert_string_equal(args.working_dir, "/srv/x");
	free(args.argv);
	free(args.envp);
}

static void an_environment_may_be_left_out(void **state)
{
	struct spawn_args args;
	struct err err;
	int fd = pack(one, NULL, "", "", &err);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(spawn_args_parse(fd, &args, &err), 0);
	assert_null(args.envp[0]);
	close(fd);
	free(args.argv);
	free(args.envp);
}

static void a_command_is_needed(void **state)
{
	char *empty[] = {(char *)"", NULL};
	struct err err;

	(void)state;
	assert_int_equal(pack(NULL, none, "", "", &err), -EINVAL);
	assert_string_equal(err.reason, "NO_COMMAND");
	assert_int_equal(pack(none, none, "", "", &err), -EINVAL);
	assert_int_equal(pack(empty, none, "", "", &err), -EINVAL);
}

static char *filled(size_t len)
{
	char *s = malloc(len + 1);

	assert_non_null(s);
	memset(s, 'x', len);
	s[len] = '\0';
	return s;
}

static void a_string_has_a_limit(void **state)
{
	char *longest = filled(SPAWN_STRING_MAX - 1);
	char *longer = filled(SPAWN_STRING_MAX);
	char *argv[] = {(char *)"x", longest, NULL};
	struct spawn_args args;
	struct err err;
	int fd = pack(argv, none, "", "", &err);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(spawn_args_parse(fd, &args, &err), 0);
	assert_string_equal(args.argv[1], longest);
	free(args.argv);
	free(args.envp);
	close(fd);
	argv[1] = longer;
	assert_int_equal(pack(argv, none, "", "", &err), -E2BIG);
	assert_string_equal(err.reason, "ARGUMENTS_TOO_LARGE");
	assert_int_equal(pack(one, argv, "", "", &err), -E2BIG);
	assert_int_equal(pack(one, none, longer, "", &err), -E2BIG);
	assert_int_equal(pack(one, none, "", longer, &err), -E2BIG);
	free(longest);
	free(longer);
}

static void their_number_has_a_limit(void **state)
{
	static char *many[SPAWN_ARGS_MAX + 2];
	struct spawn_args args;
	struct err err;
	int fd;

	(void)state;
	for (size_t i = 0; i < SPAWN_ARGS_MAX; i++)
		many[i] = (char *)"x";
	fd = pack(many, none, "", "", &err);
	assert_true(fd >= 0);
	assert_int_equal(spawn_args_parse(fd, &args, &err), 0);
	assert_string_equal(args.argv[SPAWN_ARGS_MAX - 1], "x");
	assert_null(args.argv[SPAWN_ARGS_MAX]);
	free(args.argv);
	free(args.envp);
	close(fd);
	many[SPAWN_ARGS_MAX] = (char *)"x";
	assert_int_equal(pack(many, none, "", "", &err), -E2BIG);
	assert_int_equal(pack(one, many, "", "", &err), -E2BIG);
}

static void their_sum_has_a_limit(void **state)
{
	char *big = filled(SPAWN_STRING_MAX - 1);
	char *argv[] = {big, big, big, big, big, big, big, big, big, NULL};
	struct err err;

	(void)state;
	assert_int_equal(pack(argv, none, "", "", &err), -E2BIG);
	assert_string_equal(err.reason, "ARGUMENTS_TOO_LARGE");
	free(big);
}

/* A memfd whose bytes its sender could still change is not parsed. */
static void an_unsealed_memfd_is_refused(void **state)
{
	static const int sets[] = {0, F_SEAL_WRITE, F_SEAL_SHRINK | F_SEAL_GROW,
		F_SEAL_WRITE | F_SEAL_GROW, F_SEAL_WRITE | F_SEAL_SHRINK};
	struct spawn_args args;
	uint8_t data[4096];
	struct err err;
	int fd = pack(one, none, "", "", &err);
	ssize_t n = pread(fd, data, sizeof(data), 0);

	(void)state;
	assert_true(n > 0);
	close(fd);
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		assert_int_equal(write(fd, data, (size_t)n), n);
		if (sets[i])
			assert_int_equal(fcntl(fd, F_ADD_SEALS, sets[i]), 0);
		assert_int_equal(spawn_args_parse(fd, &args, &err), -EBADMSG);
		close(fd);
	}
	assert_int_equal(parse_bytes(data, (size_t)n), 0);
}

static void other_descriptors_are_refused(void **state)
{
	struct spawn_args args;
	struct err err;
	int pair[2];
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(spawn_args_parse(fd, &args, &err), -EBADMSG);
	close(fd);
	assert_int_equal(spawn_args_parse(-1, &args, &err), -EBADMSG);
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(spawn_args_parse(pair[0], &args, &err), -EBADMSG);
	close(pair[0]);
	close(pair[1]);
}

static void every_truncation_is_refused(void **state)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)"exit", NULL};
	char *envp[] = {(char *)"A=1", (char *)"B=2", NULL};
	uint8_t data[4096];
	struct err err;
	int fd = pack(argv, envp, "root", "/", &err);
	ssize_t n = pread(fd, data, sizeof(data) - 1, 0);

	(void)state;
	assert_true(n > 0);
	close(fd);
	for (ssize_t size = 0; size < n; size++)
		assert_true(parse_bytes(data, (size_t)size) < 0);
	assert_int_equal(parse_bytes(data, (size_t)n), 0);
	/* And left-over bytes. */
	data[n] = 0;
	assert_int_equal(parse_bytes(data, (size_t)n + 1), -EBADMSG);
}

static void every_damaged_byte_is_parsed_or_refused(void **state)
{
	char *envp[] = {(char *)"A=1", NULL};
	uint8_t data[4096];
	struct err err;
	int fd = pack(one, envp, "", "", &err);
	ssize_t n = pread(fd, data, sizeof(data), 0);

	(void)state;
	close(fd);
	for (ssize_t at = 0; at < n; at++)
		for (int bit = 0; bit < 8; bit++) {
			data[at] ^= (uint8_t)(1u << bit);
			parse_bytes(data, (size_t)n);
			data[at] ^= (uint8_t)(1u << bit);
		}
}

static void lying_counts_are_refused(void **state)
{
	static const uint32_t counts[] = {0, 2, SPAWN_ARGS_MAX, SPAWN_ARGS_MAX + 1, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		struct wire_writer w;

		wire_writer_init(&w, 4096);
		wire_put_u32(&w, counts[i]);
		if (counts[i])
			wire_put_str(&w, "sh");
		wire_put_u32(&w, 0);
		wire_put_str(&w, "");
		wire_put_str(&w, "");
		assert_int_equal(w.error, 0);
		assert_true(parse_bytes(w.data, w.size) < 0);
		wire_writer_finish(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_come_back),
		cmocka_unit_test(an_environment_may_be_left_out),
		cmocka_unit_test(a_command_is_needed),
		cmocka_unit_test(a_string_has_a_limit),
		cmocka_unit_test(their_number_has_a_limit),
		cmocka_unit_test(their_sum_has_a_limit),
		cmocka_unit_test(an_unsealed_memfd_is_refused),
		cmocka_unit_test(other_descriptors_are_refused),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(every_damaged_byte_is_parsed_or_refused),
		cmocka_unit_test(lying_counts_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* An application image's config: what comes back is what went in, and nothing else is believed. */
#include "tests/unit/unit.h"

#include "base/fd.h"
#include "sandbox/image_config.h"

#include <string.h>

static char *argv[] = {(char *)"app", (char *)"--flag", (char *)"two\nlines", NULL};
static char *envp[] = {(char *)"A=1", (char *)"EMPTY=", NULL};
static char *none[] = {NULL};

static const struct image_config sound = {
	.argv = argv,
	.envp = envp,
	.user = "app:users",
	.working_dir = "/srv",
	.stop_signal = 3,
	.is_init = true,
};

/* Writes it and parses that. */
static int round_trip(const struct image_config *config, struct image_config **ret)
{
	struct wire_writer w;
	struct err err;
	int r;

	wire_writer_init(&w, IMAGE_CONFIG_BYTES_MAX);
	image_config_write(config, &w);
	assert_int_equal(w.error, 0);
	r = image_config_parse(w.data, w.size, ret, &err);
	wire_writer_finish(&w);
	assert_true(r == 0 || err.code == ERR_DATA_LOSS);
	return r;
}

static void assert_refused(const struct image_config *config)
{
	struct image_config *parsed = NULL;

	assert_int_equal(round_trip(config, &parsed), -EBADMSG);
	assert_null(parsed);
}

static void what_went_in_comes_back(void **state)
{
	struct image_config *c;

	(void)state;
	assert_int_equal(round_trip(&sound, &c), 0);
	for (size_t i = 0; i < ARRAY_SIZE(argv) - 1; i++)
		assert_string_equal(c->argv[i], argv[i]);
	assert_null(c->argv[3]);
	assert_string_equal(c->envp[0], "A=1");
	assert_string_equal(c->envp[1], "EMPTY=");
	assert_null(c->envp[2]);
	assert_string_equal(c->user, "app:users");
	assert_string_equal(c->working_dir, "/srv");
	assert_int_equal(c->stop_signal, 3);
	assert_true(c->is_init);
	image_config_free(c);
}

static void what_makes_no_sense_is_refused(void **state)
{
	static char *nameless[] = {(char *)"", NULL};
	static char *no_variable[] = {(char *)"A", NULL};
	static char *no_name[] = {(char *)"=1", NULL};
	static char *many[IMAGE_CONFIG_ARGS_MAX + 2];
	char long_name[IMAGE_CONFIG_NAME_MAX + 1] = "";
	char *long_argv[] = {long_name, NULL};
	struct image_config c = sound;

	(void)state;
	c.argv = none;
	assert_refused(&c);
	c.argv = nameless;
	assert_refused(&c);
	memset(long_name, 'x', sizeof(long_name) - 1);
	c.argv = long_argv;
	assert_refused(&c);
	for (size_t i = 0; i <= IMAGE_CONFIG_ARGS_MAX; i++)
		many[i] = argv[0];
	c.argv = many;
	assert_refused(&c);
	c = sound;
	c.envp = no_variable;
	assert_refused(&c);
	c.envp = no_name;
	assert_refused(&c);
	c = sound;
	c.working_dir = "relative";
	assert_refused(&c);
	c = sound;
	c.user = "a\033[31m";
	assert_refused(&c);
	c = sound;
	c.stop_signal = 0;
	assert_refused(&c);
	c.stop_signal = 65;
	assert_refused(&c);
}

static void any_other_bytes_are_refused(void **state)
{
	struct image_config *c = NULL;
	struct wire_writer w;
	uint8_t *large;

	(void)state;
	wire_writer_init(&w, IMAGE_CONFIG_BYTES_MAX);
	image_config_write(&sound, &w);
	for (size_t n = 0; n < w.size; n++)
		assert_int_equal(image_config_parse(w.data, n, &c, NULL), -EBADMSG);
	for (size_t i = 0; i < w.size; i++) {
		w.data[i] ^= 0xff;
		if (image_config_parse(w.data, w.size, &c, NULL) == 0)
			image_config_free(c);
		w.data[i] ^= 0xff;
	}
	large = calloc(1, IMAGE_CONFIG_BYTES_MAX + 1);
	assert_int_equal(image_config_parse(large, IMAGE_CONFIG_BYTES_MAX + 1, &c, NULL), -EBADMSG);
	free(large);
	wire_writer_finish(&w);
}

static void a_descriptor_is_read_within_bounds(void **state)
{
	struct image_config *c = NULL;
	struct wire_writer w;
	int pipes[2];
	int fd;

	(void)state;
	wire_writer_init(&w, IMAGE_CONFIG_BYTES_MAX);
	image_config_write(&sound, &w);
	fd = fd_sealed_memfd("test", w.data, w.size);
	assert_true(fd >= 0);
	assert_int_equal(image_config_read(fd, &c, NULL), 0);
	assert_string_equal(c->user, "app:users");
	image_config_free(c);
	close(fd);
	wire_writer_finish(&w);
	/* Would block for good. */
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(image_config_read(pipes[0], &c, NULL), -EBADMSG);
	close(pipes[0]);
	close(pipes[1]);
}

static void references_are_short_and_plain(void **state)
{
	char text[IMAGE_REFERENCE_MAX + 1] = "";

	(void)state;
	assert_true(image_reference_is_valid(""));
	assert_true(image_reference_is_valid("example.org/app:v1@sha256:00"));
	assert_false(image_reference_is_valid("a b"));
	assert_false(image_reference_is_valid("a\n"));
	assert_false(image_reference_is_valid("\xc3\xbc"));
	memset(text, 'x', IMAGE_REFERENCE_MAX - 1);
	assert_true(image_reference_is_valid(text));
	text[IMAGE_REFERENCE_MAX - 1] = 'x';
	assert_false(image_reference_is_valid(text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_went_in_comes_back),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(any_other_bytes_are_refused),
		cmocka_unit_test(a_descriptor_is_read_within_bounds),
		cmocka_unit_test(references_are_short_and_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

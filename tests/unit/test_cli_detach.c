/* cli/detach.h: the keys that leave a console, and that no other key is lost. */
#include "cli/detach.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#define A "\x01"

struct row {
	const char *in;
	const char *out;
	bool leaves;
};

static const struct row rows[] = {
	{"ls\n", "ls\n", false},
	{"q", "q", false},
	{A "q", "", true},
	{"ab" A "qcd", "ab", true},
	{A A, A, false},
	{A A "q", A "q", false},
	{A A A "q", A, true},
	{A "x", A "x", false},
	{A "x" A A "y", A "x" A "y", false},
	{A "Q", A "Q", false},
	{A "\n" A "q", A "\n", true},
};

/* Fed in pieces of every size: what is held back must survive the border. */
static void in_pieces(const struct row *row, size_t piece)
{
	struct detach d = {.prefix = DETACH_PREFIX};
	size_t len = strlen(row->in);
	uint8_t out[64];
	size_t n = 0;
	bool left = false;

	for (size_t at = 0; at < len && !left; at += piece) {
		size_t size = len - at < piece ? len - at : piece;
		size_t n_out;

		left = detach_filter(&d, (const uint8_t *)row->in + at, size, out + n, &n_out);
		assert_true(n_out <= size + 1);
		n += n_out;
	}
	assert_int_equal(left, row->leaves);
	assert_int_equal(n, strlen(row->out));
	assert_memory_equal(out, row->out, n);
}

static void finds_the_keys_and_loses_no_other(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t piece = 1; piece <= strlen(rows[i].in); piece++)
			in_pieces(&rows[i], piece);
}

static void every_byte_passes(void **state)
{
	struct detach d = {.prefix = 0x1d};
	uint8_t in[256];
	uint8_t out[257];
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)i;
	assert_false(detach_filter(&d, in, sizeof(in), out, &n));
	assert_int_equal(n, sizeof(in));
	assert_memory_equal(in, out, n);
}

static void prefixes(void **state)
{
	static const char *const wrong[] = {
		"", "^", "a", "^[", "^1", "^ab", "^@", "^?", "^ ", "\x01"};
	uint8_t key = 0;

	(void)state;
	assert_int_equal(detach_parse_prefix("^a", &key), 0);
	assert_int_equal(key, 1);
	assert_int_equal(detach_parse_prefix("^Z", &key), 0);
	assert_int_equal(key, 26);
	assert_int_equal(detach_parse_prefix("^]", &key), 0);
	assert_int_equal(key, 0x1d);
	assert_int_equal(detach_parse_prefix("^_", &key), 0);
	assert_int_equal(key, 0x1f);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(detach_parse_prefix(wrong[i], &key), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_keys_and_loses_no_other),
		cmocka_unit_test(every_byte_passes),
		cmocka_unit_test(prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* base/tar.h: what is written is read back, in pieces of any size; what is malformed is refused. */
#include "base/tar.h"

#include "tests/unit/unit.h"

#include <string.h>

#define ARCHIVE_MAX (256u << 10)

/* What a reader told, as lines of text. */
struct heard {
	char text[ARCHIVE_MAX];
	size_t len;
};

static int on_entry(void *arg, const struct tar_entry *e, struct err *err)
{
	struct heard *heard = arg;

	(void)err;
	heard->len += (size_t)snprintf(heard->text + heard->len, ARCHIVE_MAX - heard->len,
		"%d %s %o %lld %llu %s\n", e->type, e->path, e->mode, (long long)e->mtime,
		(unsigned long long)e->size, e->type == TAR_SYMLINK ? e->target : "-");
	return 0;
}

static int on_data(void *arg, const void *data, size_t size, struct err *err)
{
	struct heard *heard = arg;

	(void)err;
	assert_true(size < ARCHIVE_MAX - heard->len);
	memcpy(heard->text + heard->len, data, size);
	heard->len += size;
	return 0;
}

static int on_end(void *arg, struct err *err)
{
	struct heard *heard = arg;

	(void)err;
	heard->len += (size_t)snprintf(heard->text + heard->len, ARCHIVE_MAX - heard->len, ".\n");
	return 0;
}

static const struct tar_reader_ops ops = {.entry = on_entry, .data = on_data, .end = on_end};

static size_t add(uint8_t *archive, size_t at, const struct tar_entry *e, const char *content)
{
	ssize_t n = tar_format(e, archive + at);

	assert_true(n > 0 && n % (ssize_t)TAR_BLOCK == 0);
	at += (size_t)n;
	memcpy(archive + at, content, e->size);
	at += e->size;
	memset(archive + at, 0, tar_padding(e->size));
	return at + tar_padding(e->size);
}

static size_t end(uint8_t *archive, size_t at)
{
	memset(archive + at, 0, TAR_END_SIZE);
	return at + TAR_END_SIZE;
}

static struct heard *read_in_pieces(const uint8_t *archive, size_t size, size_t piece)
{
	static struct heard heard;
	static struct tar_reader reader;
	struct err err;

	heard.len = 0;
	tar_reader_init(&reader, &ops, &heard);
	for (size_t at = 0; at < size; at += piece)
		if (tar_reader_feed(
			    &reader, archive + at, size - at < piece ? size - at : piece, &err) < 0)
			fail_msg("%s", err.msg);
	assert_int_equal(tar_reader_finish(&reader, &err), 0);
	heard.text[heard.len] = '\0';
	return &heard;
}

static void what_is_written_is_read_back(void **state)
{
	static const size_t pieces[] = {1, 7, 511, 512, 513, ARCHIVE_MAX};
	static uint8_t archive[ARCHIVE_MAX];
	static struct tar_entry e;
	static char wanted[ARCHIVE_MAX];
	char name[300];
	size_t size;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[150] = '/';
	name[sizeof(name) - 1] = '\0';
	e = (struct tar_entry){.type = TAR_DIRECTORY, .mode = 0755, .mtime = 5, .path = "dir"};
	size = add(archive, 0, &e, "");
	e = (struct tar_entry){.type = TAR_FILE, .mode = 0640, .mtime = 1, .size = 5};
	strcpy(e.path, "dir/file");
	size = add(archive, size, &e, "hello");
	e.size = 0;
	strcpy(e.path, "empty");
	size = add(archive, size, &e, "");
	e.size = 3;
	strcpy(e.path, name);
	size = add(archive, size, &e, "abc");
	e = (struct tar_entry){.type = TAR_SYMLINK, .mode = 0777, .path = "link"};
	strcpy(e.target, name);
	size = add(archive, size, &e, "");
	size = end(archive, size);
	snprintf(wanted, sizeof(wanted),
		"1 dir 755 5 0 -\n.\n0 dir/file 640 1 5 -\nhello.\n0 empty 640 1 0 -\n.\n"
		"0 %s 640 1 3 -\nabc.\n2 link 777 0 0 %s\n.\n",
		name, name);
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++)
		assert_string_equal(read_in_pieces(archive, size, pieces[i])->text, wanted);
}

static void names_at_the_borders(void **state)
{
	static uint8_t archive[ARCHIVE_MAX];
	static struct tar_entry e;

	(void)state;
	/* 99 and 100 bytes fit the header or do not; TAR_PATH_MAX - 1 is the longest. */
	for (size_t len = 97; len < TAR_PATH_MAX; len = len < 103 ? len + 1 : len + 1331) {
		size_t size;

		memset(&e, 0, sizeof(e));
		e.type = TAR_FILE;
		memset(e.path, 'x', len);
		size = end(archive, add(archive, 0, &e, ""));
		assert_true(strstr(read_in_pieces(archive, size, 512)->text, e.path));
	}
	memset(&e, 0, sizeof(e));
	e.type = TAR_DIRECTORY;
	memset(e.path, 'x', TAR_PATH_MAX - 1);
	assert_int_equal(tar_format(&e, archive), -ENAMETOOLONG);
	e.path[0] = '\0';
	e.type = TAR_FILE;
	assert_int_equal(tar_format(&e, archive), -ENAMETOOLONG);
}

static void sizes_above_the_header(void **state)
{
	static uint8_t header[TAR_HEADER_MAX];
	static struct tar_entry e = {.type = TAR_FILE, .size = UINT64_C(1) << 40, .path = "large"};
	static struct heard heard;
	static struct tar_reader reader;
	struct err err;
	ssize_t n;

	(void)state;
	n = tar_format(&e, header);
	assert_true(n > (ssize_t)TAR_BLOCK);
	tar_reader_init(&reader, &ops, &heard);
	assert_int_equal(tar_reader_feed(&reader, header, (size_t)n, &err), 0);
	assert_string_equal(heard.text, "0 large 0 0 1099511627776 -\n");
	assert_true(tar_reader_finish(&reader, &err) < 0);
}

/* Changes one byte of a valid header, and mends the checksum when `mend`. */
static int read_changed(size_t at, char value, bool mend)
{
	static uint8_t archive[ARCHIVE_MAX];
	static struct tar_entry e = {.type = TAR_FILE, .size = 1, .path = "f"};
	static struct heard heard;
	static struct tar_reader reader;
	size_t size = end(archive, add(archive, 0, &e, "x"));
	struct err err;
	unsigned sum = 0;
	char text[8];

	archive[at] = (uint8_t)value;
	if (mend) {
		memset(archive + 148, ' ', 8);
		for (size_t i = 0; i < TAR_BLOCK; i++)
			sum += archive[i];
		snprintf(text, sizeof(text), "%06o", sum);
		memcpy(archive + 148, text, 7);
	}
	heard.len = 0;
	tar_reader_init(&reader, &ops, &heard);
	if (tar_reader_feed(&reader, archive, size, &err) < 0)
		return err.code == ERR_INVALID_ARGUMENT ? -1 : 1;
	return tar_reader_finish(&reader, &err);
}

static void malformed_headers_are_refused(void **state)
{
	(void)state;
	assert_int_equal(read_changed(0, 'g', true), 0);
	assert_int_equal(read_changed(0, 'g', false), -1);  /* the checksum tells */
	assert_int_equal(read_changed(0, '\0', true), -1);  /* no name */
	assert_int_equal(read_changed(0, '/', true), -1);   /* nothing but a slash */
	assert_int_equal(read_changed(124, '9', true), -1); /* no octal digit in the size */
	for (const char *type = "134567LKSg"; *type; type++)
		if (*type != '5' && *type != 'g')
			assert_int_equal(read_changed(156, *type, true), -1);
}

static int read_pax(const char *records, size_t n)
{
	static uint8_t archive[ARCHIVE_MAX];
	static struct tar_entry e = {.type = TAR_FILE, .path = "p"};
	static struct heard heard;
	static struct tar_reader reader;
	size_t size;
	struct err err;

	e.size = n;
	size = add(archive, 0, &e, records);
	archive[156] = 'x';
	{
		unsigned sum = 0;
		char text[8];

		memset(archive + 148, ' ', 8);
		for (size_t i = 0; i < TAR_BLOCK; i++)
			sum += archive[i];
		snprintf(text, sizeof(text), "%06o", sum);
		memcpy(archive + 148, text, 7);
	}
	e.size = 0;
	size = end(archive, add(archive, size, &e, ""));
	heard.len = 0;
	tar_reader_init(&reader, &ops, &heard);
	return tar_reader_feed(&reader, archive, size, &err) < 0 ? -1 : 0;
}

static void malformed_extensions_are_refused(void **state)
{
	static const struct {
		const char *records;
		int result;
	} cases[] = {
		{"12 path=abc\n", 0},
		{"12 path=abc\n20 mtime=123456.789\n", 0},
		{"0 path=abc\n", -1},
		{"999 path=abc\n", -1},
		{"11 path=abc\n", -1},
		{"12 path=abcd", -1},
		{"9 path=\n", -1},
		{"12 pathabc=", -1},
		{"x path=abc\n", -1},
		{"99999999999999999999 path=abc\n", -1},
		{"12 size=abc\n", -1},
		{"31 size=99999999999999999999999\n", -1},
		{" \n", -1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (read_pax(cases[i].records, strlen(cases[i].records)) != cases[i].result)
			fail_msg("\"%s\"", cases[i].records);
	assert_int_equal(read_pax("12 path=a\0c\n", 12), -1);
}

static void a_cut_archive_is_noticed(void **state)
{
	static uint8_t archive[ARCHIVE_MAX];
	static struct tar_entry e = {.type = TAR_FILE, .size = 600, .path = "f"};
	static char content[600];
	static struct heard heard;
	static struct tar_reader reader;
	size_t size = end(archive, add(archive, 0, &e, content));
	struct err err;

	(void)state;
	for (size_t cut = 0; cut < size - TAR_BLOCK; cut += 100) {
		heard.len = 0;
		tar_reader_init(&reader, &ops, &heard);
		assert_int_equal(tar_reader_feed(&reader, archive, cut, &err), 0);
		if (cut < size - TAR_END_SIZE + TAR_BLOCK)
			assert_true(tar_reader_finish(&reader, &err) < 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(names_at_the_borders),
		cmocka_unit_test(sizes_above_the_header),
		cmocka_unit_test(malformed_headers_are_refused),
		cmocka_unit_test(malformed_extensions_are_refused),
		cmocka_unit_test(a_cut_archive_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* cli/busybox.h, tar.h: the image that is made of one static program. */
#include "cli/busybox.h"

#include "tests/unit/unit.h"

#include "cli/tar.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 512u

/* One entry, read independently of the writer: POSIX's field offsets. */
struct entry {
	const uint8_t *header;
	const uint8_t *data;
	uint64_t size;
};

static uint64_t octal(const uint8_t *field, size_t size)
{
	char text[16] = "";

	memcpy(text, field, size);
	return strtoull(text, NULL, 8);
}

static void check_header(const uint8_t *h)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : h[i];
	assert_int_equal(octal(h + 148, 7), sum);
	assert_memory_equal(h + 257, "ustar\00000", 8);
	assert_int_equal(octal(h + 108, 7), 0); /* uid */
	assert_int_equal(octal(h + 116, 7), 0); /* gid */
}

/* The entry at *pos, which moves behind it; false at the archive's end. */
static bool next_entry(const struct buffer *tar, size_t *pos, struct entry *ret)
{
	const uint8_t *h = buffer_bytes(tar) + *pos;

	assert_true(*pos + BLOCK <= buffer_size(tar));
	if (!h[0])
		return false;
	check_header(h);
	ret->header = h;
	ret->data = h + BLOCK;
	ret->size = octal(h + 124, 11);
	*pos += BLOCK + (ret->size + BLOCK - 1) / BLOCK * BLOCK;
	return true;
}

static bool find(const struct buffer *tar, const char *path, struct entry *ret)
{
	size_t pos = 0;

	while (next_entry(tar, &pos, ret))
		if (!strncmp((const char *)ret->header, path, 100))
			return true;
	return false;
}

static void expect(const struct buffer *tar, const char *path, char type, unsigned mode)
{
	struct entry e;

	if (!find(tar, path, &e))
		fail_msg("%s is missing", path);
	assert_int_equal(e.header[156], type);
	assert_int_equal(octal(e.header + 100, 7), mode);
}

static const char applets[] = "bin/busybox\n"
			      "bin/ls\n"
			      "sbin/init\n"
			      "usr/bin/[[\n"
			      "usr/sbin/chroot\n"
			      "linuxrc\n"
			      "bin/../../etc/passwd\n"
			      "/bin/abs\n"
			      "bin/.hidden\n"
			      "bin/\n"
			      "etc/evil\n"
			      "\n"
			      "sbin/last";

static void the_image_has_what_a_container_needs(void **state)
{
	struct buffer tar = {0};
	struct entry e;
	size_t pos = 0;
	size_t links = 0;

	(void)state;
	assert_int_equal(busybox_write_tar("\177ELFbytes", 9, applets, 1700000000, &tar, NULL), 0);
	expect(&tar, "bin/busybox", '0', 0755);
	expect(&tar, "etc/passwd", '0', 0644);
	expect(&tar, "etc/shadow", '0', 0600);
	expect(&tar, "etc/inittab", '0', 0644);
	expect(&tar, "etc/init.d/rcS", '0', 0755);
	expect(&tar, "tmp/", '5', 01777);
	expect(&tar, "proc/", '5', 0555);
	expect(&tar, "root/", '5', 0700);
	expect(&tar, "sbin/init", '2', 0777);
	assert_true(find(&tar, "bin/busybox", &e));
	assert_int_equal(e.size, 9);
	assert_memory_equal(e.data, "\177ELFbytes", 9);
	assert_int_equal(octal(e.header + 136, 11), 1700000000);
	assert_true(find(&tar, "etc/inittab", &e));
	assert_null(memmem(e.data, e.size, "getty", 5));
	while (next_entry(&tar, &pos, &e)) {
		if (e.header[156] != '2')
			continue;
		assert_string_equal((const char *)e.header + 157, "/bin/busybox");
		links++;
	}
	assert_int_equal(links, 5); /* ls, init, [[, chroot, last: nothing with tricks */
	assert_int_equal(buffer_size(&tar), pos + 2 * BLOCK);
	buffer_finish(&tar);
}

static void the_same_input_gives_the_same_bytes(void **state)
{
	struct buffer a = {0};
	struct buffer b = {0};

	(void)state;
	assert_int_equal(busybox_write_tar("x", 1, applets, 1, &a, NULL), 0);
	assert_int_equal(busybox_write_tar("x", 1, applets, 1, &b, NULL), 0);
	assert_int_equal(buffer_size(&a), buffer_size(&b));
	assert_memory_equal(buffer_bytes(&a), buffer_bytes(&b), buffer_size(&a));
	buffer_finish(&a);
	buffer_finish(&b);
}

static void a_busybox_without_applets_is_refused(void **state)
{
	struct buffer tar = {0};
	struct err err;

	(void)state;
	assert_true(busybox_write_tar("x", 1, "", 1, &tar, &err) < 0);
	assert_non_null(strstr(err.msg, "busybox-static"));
	assert_null(tar.data);
}

static void only_static_programs_will_do(void **state)
{
	struct {
		Elf64_Ehdr header;
		Elf64_Phdr program[2];
	} elf = {.header = {.e_phoff = sizeof(Elf64_Ehdr),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 2}};

	(void)state;
	memcpy(elf.header.e_ident, ELFMAG, SELFMAG);
	elf.header.e_ident[EI_CLASS] = ELFCLASS64;
	elf.program[0].p_type = PT_LOAD;
	elf.program[1].p_type = PT_LOAD;
	assert_true(busybox_is_static(&elf, sizeof(elf)));
	elf.program[1].p_type = PT_INTERP;
	assert_false(busybox_is_static(&elf, sizeof(elf)));
	/* Tables that are not in the file. */
	elf.program[1].p_type = PT_LOAD;
	elf.header.e_phnum = 5000;
	assert_false(busybox_is_static(&elf, sizeof(elf)));
	elf.header.e_phnum = 2;
	elf.header.e_phoff = UINT64_MAX - 8;
	assert_false(busybox_is_static(&elf, sizeof(elf)));
	assert_false(busybox_is_static("#!/bin/sh\n", 10));
}

static void tar_refuses_what_does_not_fit(void **state)
{
	char path[TAR_PATH_MAX + 1];
	struct tar tar = {0};

	(void)state;
	memset(path, 'a', TAR_PATH_MAX);
	path[TAR_PATH_MAX] = '\0';
	tar_add_symlink(&tar, path, "x");
	assert_int_equal(tar_end(&tar), -ENAMETOOLONG);
	buffer_finish(&tar.out);
	tar = (struct tar){0};
	tar_add_symlink(&tar, "x", path);
	assert_int_equal(tar_end(&tar), -ENAMETOOLONG);
	buffer_finish(&tar.out);
	tar = (struct tar){0};
	path[TAR_PATH_MAX - 1] = '\0';
	tar_add_symlink(&tar, path, path);
	assert_int_equal(tar_end(&tar), 0);
	buffer_finish(&tar.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_image_has_what_a_container_needs),
		cmocka_unit_test(the_same_input_gives_the_same_bytes),
		cmocka_unit_test(a_busybox_without_applets_is_refused),
		cmocka_unit_test(only_static_programs_will_do),
		cmocka_unit_test(tar_refuses_what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

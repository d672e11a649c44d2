/* Owners, attributes and ACLs of archive entries: what is kept, refused or left out. */
#include "tests/unit/unit.h"

#include "sandbox/importer/metadata.h"

#include <archive.h>
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <string.h>
#include <sys/stat.h>

struct acl_entry {
	uint16_t tag;
	uint16_t perm;
	uint32_t id;
};

static int setup(void **state)
{
	*state = archive_entry_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	archive_entry_free(*state);
	return 0;
}

static void owners_must_fit_a_range(void **state)
{
	static const struct {
		int64_t uid;
		int64_t gid;
		int expected;
	} cases[] = {
		{0, 0, 0}, {65535, 65535, 0}, {65536, 0, -EINVAL}, {0, 65536, -EINVAL},
		{-1, 0, -EINVAL}, {0, -1, -EINVAL}, {UINT32_MAX, 0, -EINVAL},
		{1ll << 32, 0, -EINVAL}, /* 0 if it were cut */
	};
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		archive_entry_set_uid(*state, cases[i].uid);
		archive_entry_set_gid(*state, cases[i].gid);
		assert_int_equal(metadata_check_owner(*state, "etc/x", &err), cases[i].expected);
		if (cases[i].expected)
			assert_non_null(strstr(err.msg, "etc/x"));
	}
}

static void only_harmless_attributes_are_kept(void **state)
{
	const uint32_t revision2[5] = {0x02000001, 0x2000};
	const uint32_t revision3[6] = {0x03000001, 0x2000};
	const uint32_t foreign[6] = {0x03000001, 0x2000, 0, 0, 0, 1000};
	const uint32_t revision1[3] = {0x01000000, 0x2000};

	(void)state;
	assert_true(metadata_keeps_xattr("user.note", "x", 1));
	assert_true(metadata_keeps_xattr("user.overlayed", "x", 1));
	assert_false(metadata_keeps_xattr("user.overlay.redirect", "x", 1));
	assert_false(metadata_keeps_xattr("user.overlay.", "x", 1));
	assert_false(metadata_keeps_xattr("trusted.overlay.opaque", "y", 1));
	assert_false(metadata_keeps_xattr("security.selinux", "x", 1));
	assert_false(metadata_keeps_xattr("security.ima", "x", 1));
	assert_false(metadata_keeps_xattr("system.posix_acl_access", "x", 1));
	assert_false(metadata_keeps_xattr("", "x", 1));
	assert_true(metadata_keeps_xattr("security.capability", revision2, sizeof(revision2)));
	assert_true(metadata_keeps_xattr("security.capability", revision3, sizeof(revision3)));
	assert_false(metadata_keeps_xattr("security.capability", foreign, sizeof(foreign)));
	assert_false(metadata_keeps_xattr("security.capability", revision1, sizeof(revision1)));
	assert_false(metadata_keeps_xattr("security.capability", revision3, sizeof(revision2)));
	assert_false(metadata_keeps_xattr("security.capability", revision2, 0));
}

static void acls_are_encoded_in_the_kernels_order(void **state)
{
	static const struct acl_entry expected[] = {
		{ACL_USER_OBJ, 6, UINT32_MAX},
		{ACL_USER, 7, 5},
		{ACL_USER, 1, 65535},
		{ACL_GROUP_OBJ, 4, UINT32_MAX},
		{ACL_GROUP, 5, 4},
		{ACL_MASK, 7, UINT32_MAX},
		{ACL_OTHER, 0, UINT32_MAX},
	};
	_Alignas(8) char out[ACL_SIZE_MAX];

	archive_entry_set_filetype(*state, AE_IFREG);
	archive_entry_acl_from_text(*state,
		"user::rw-,other::---,user:a:--x:65535,group:g:r-x:4,user:b:rwx:5,group::r--,"
		"mask::rwx,user:byname:rwx",
		ARCHIVE_ENTRY_ACL_TYPE_ACCESS);
	assert_int_equal(metadata_encode_acl(*state, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "x", out,
				 sizeof(out), NULL),
		4 + sizeof(expected));
	assert_int_equal(*(uint32_t *)out, 2);
	assert_memory_equal(out + 4, expected, sizeof(expected));
}

static void no_acl_is_nothing(void **state)
{
	_Alignas(8) char out[ACL_SIZE_MAX];

	archive_entry_set_perm(*state, 0644);
	assert_int_equal(metadata_encode_acl(*state, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "x", out,
				 sizeof(out), NULL),
		0);
	assert_int_equal(metadata_encode_acl(*state, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "x", out,
				 sizeof(out), NULL),
		0);
}

static void bad_acls_are_refused(void **state)
{
	_Alignas(8) char out[ACL_SIZE_MAX];
	struct err err;

	archive_entry_acl_add_entry(
		*state, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 7, ARCHIVE_ENTRY_ACL_USER, 65536, "");
	assert_int_equal(metadata_encode_acl(*state, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "x", out,
				 sizeof(out), &err),
		-EINVAL);
	assert_non_null(strstr(err.msg, "65536"));
	archive_entry_acl_clear(*state);
	for (int i = 0; i < 1000; i++)
		archive_entry_acl_add_entry(
			*state, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 7, ARCHIVE_ENTRY_ACL_USER, i, "");
	assert_int_equal(metadata_encode_acl(*state, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "x", out,
				 sizeof(out), &err),
		-EINVAL);
}

static void times_are_kept_or_left_alone(void **state)
{
	struct timespec times[2];

	metadata_times(*state, times);
	assert_int_equal(times[0].tv_nsec, UTIME_OMIT);
	assert_int_equal(times[1].tv_nsec, UTIME_OMIT);
	archive_entry_set_mtime(*state, -5, 7);
	metadata_times(*state, times);
	assert_int_equal(times[1].tv_sec, -5);
	assert_int_equal(times[1].tv_nsec, 7);
}

#define with_entry(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_entry(owners_must_fit_a_range),
		with_entry(only_harmless_attributes_are_kept),
		with_entry(acls_are_encoded_in_the_kernels_order),
		with_entry(no_acl_is_nothing),
		with_entry(bad_acls_are_refused),
		with_entry(times_are_kept_or_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

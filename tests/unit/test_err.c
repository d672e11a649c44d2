/*
 * base/err.h: codes and errnos map both ways, messages are cut and never overflow, what arrives
 * from another process is made harmless.
 */
#include "base/err.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

static void set_fills_everything(void **state)
{
	struct err err;

	(void)state;
	memset(&err, 0xff, sizeof(err));
	assert_int_equal(
		err_set(&err, ERR_NOT_FOUND, "NO_TENANT", "no tenant \"%s\"", "acme"), -ENOENT);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(err.err_no, ENOENT);
	assert_string_equal(err.reason, "NO_TENANT");
	assert_string_equal(err.subject, "");
	assert_string_equal(err.msg, "no tenant \"acme\"");
}

static void set_subject_names_the_field(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(err_set_subject(&err, ERR_INVALID_ARGUMENT, "LIMIT_INVALID", "memory",
				 "too much: %d", 7),
		-EINVAL);
	assert_string_equal(err.subject, "memory");
	assert_string_equal(err.msg, "too much: 7");
}

static void null_err_is_allowed(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, ERR_UNAVAILABLE, "GONE", "gone"), -ECONNREFUSED);
	assert_int_equal(
		err_set_subject(NULL, ERR_OUT_OF_RANGE, "RANGE", "x", "out of range"), -ERANGE);
	assert_int_equal(err_sys(NULL, EPERM, "mount"), -EPERM);
	assert_int_equal(err_wrap(NULL, -EPERM, "start"), -EPERM);
	assert_int_equal(err_oom(NULL), -ENOMEM);
}

static void sys_takes_either_sign_and_names_the_error(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(err_sys(&err, -ENOENT, "open %s", "x"), -ENOENT);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(err.err_no, ENOENT);
	assert_string_equal(err.msg, "open x: No such file or directory");
	assert_int_equal(err_sys(&err, EXDEV, "rename"), -EXDEV);
	assert_int_equal(err.code, ERR_INTERNAL);
}

static void sys_without_an_errno_is_still_a_failure(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(err_sys(&err, 0, "read"), -EIO);
	assert_int_equal(err.err_no, EIO);
}

static void every_code_has_a_name_and_a_negative_errno(void **state)
{
	(void)state;
	assert_int_equal(err_code_to_errno(ERR_OK), 0);
	for (int code = ERR_OK + 1; code <= ERR_UNAUTHENTICATED; code++) {
		assert_true(err_code_to_errno((enum err_code)code) < 0);
		assert_true(strlen(err_code_name((enum err_code)code)) > 0);
	}
	assert_string_equal(err_code_name(ERR_RESOURCE_EXHAUSTED), "RESOURCE_EXHAUSTED");
	assert_string_equal(err_code_name((enum err_code)17), "UNKNOWN");
	assert_string_equal(err_code_name((enum err_code) - 1), "UNKNOWN");
	assert_int_equal(err_code_to_errno((enum err_code)99), -EIO);
}

static void errnos_become_codes(void **state)
{
	static const struct {
		int err_no;
		enum err_code code;
	} rows[] = {
		{0, ERR_OK},
		{ENOENT, ERR_NOT_FOUND},
		{EEXIST, ERR_ALREADY_EXISTS},
		{EINVAL, ERR_INVALID_ARGUMENT},
		{EDQUOT, ERR_RESOURCE_EXHAUSTED},
		{ENOSPC, ERR_RESOURCE_EXHAUSTED},
		{EAGAIN, ERR_RESOURCE_EXHAUSTED},
		{ENOMEM, ERR_RESOURCE_EXHAUSTED},
		{EMFILE, ERR_RESOURCE_EXHAUSTED},
		{EBUSY, ERR_FAILED_PRECONDITION},
		{EOPNOTSUPP, ERR_UNIMPLEMENTED},
		{ETIMEDOUT, ERR_DEADLINE_EXCEEDED},
		{EPIPE, ERR_UNAVAILABLE},
		{EFAULT, ERR_INTERNAL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(err_code_from_errno(rows[i].err_no), rows[i].code);
		assert_int_equal(err_code_from_errno(-rows[i].err_no), rows[i].code);
	}
}

static void wrap_puts_the_context_first(void **state)
{
	struct err err;

	(void)state;
	err_sys(&err, EPERM, "mount /proc");
	assert_int_equal(err_wrap(&err, -EPERM, "start %s", "web"), -EPERM);
	assert_string_equal(err.msg, "start web: mount /proc: Operation not permitted");
	assert_string_equal(err.reason, "SYSTEM_CALL_FAILED");
}

static void long_messages_are_cut(void **state)
{
	char text[3 * ERR_MSG_MAX];
	struct err err;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set_subject(&err, ERR_INTERNAL, text, text, "%s", text);
	assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
	assert_int_equal(strlen(err.reason), ERR_REASON_MAX - 1);
	assert_int_equal(strlen(err.subject), ERR_SUBJECT_MAX - 1);
	err_wrap(&err, -EIO, "%s", text);
	assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
	err_sys(&err, EIO, "%s", text);
	assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
}

static void sanitize_cleans_a_hostile_value(void **state)
{
	struct err err;

	(void)state;
	memset(&err, 'A', sizeof(err));
	err.code = 4711;
	err.msg[0] = '\n';
	err.msg[1] = '\x1b';
	err.msg[2] = '\x7f';
	assert_int_equal(err_sanitize(&err), -EIO);
	assert_int_equal(err.code, ERR_INTERNAL);
	assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
	assert_int_equal(strlen(err.reason), ERR_REASON_MAX - 1);
	assert_int_equal(strlen(err.subject), ERR_SUBJECT_MAX - 1);
	assert_memory_equal(err.msg, "   A", 4);
}

static void sanitize_never_yields_success(void **state)
{
	struct err err = {.code = ERR_OK};

	(void)state;
	assert_int_equal(err_sanitize(&err), -EIO);
	err.code = -3;
	assert_int_equal(err_sanitize(&err), -EIO);
	err.code = ERR_RESOURCE_EXHAUSTED;
	assert_int_equal(err_sanitize(&err), -EDQUOT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_fills_everything),
		cmocka_unit_test(set_subject_names_the_field),
		cmocka_unit_test(null_err_is_allowed),
		cmocka_unit_test(sys_takes_either_sign_and_names_the_error),
		cmocka_unit_test(sys_without_an_errno_is_still_a_failure),
		cmocka_unit_test(every_code_has_a_name_and_a_negative_errno),
		cmocka_unit_test(errnos_become_codes),
		cmocka_unit_test(wrap_puts_the_context_first),
		cmocka_unit_test(long_messages_are_cut),
		cmocka_unit_test(sanitize_cleans_a_hostile_value),
		cmocka_unit_test(sanitize_never_yields_success),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

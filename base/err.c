/*
 * Errors as fixed-size values; see err.h. Formats into caller-owned memory only, and never
 * allocates, logs or exits, so that a forked child may use it.
 */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	int err_no;
} codes[] = {
	[ERR_OK] = {"OK", 0},
	[ERR_CANCELLED] = {"CANCELLED", ECANCELED},
	[ERR_UNKNOWN] = {"UNKNOWN", EIO},
	[ERR_INVALID_ARGUMENT] = {"INVALID_ARGUMENT", EINVAL},
	[ERR_DEADLINE_EXCEEDED] = {"DEADLINE_EXCEEDED", ETIMEDOUT},
	[ERR_NOT_FOUND] = {"NOT_FOUND", ENOENT},
	[ERR_ALREADY_EXISTS] = {"ALREADY_EXISTS", EEXIST},
	[ERR_PERMISSION_DENIED] = {"PERMISSION_DENIED", EACCES},
	[ERR_RESOURCE_EXHAUSTED] = {"RESOURCE_EXHAUSTED", EDQUOT},
	[ERR_FAILED_PRECONDITION] = {"FAILED_PRECONDITION", EBUSY},
	[ERR_ABORTED] = {"ABORTED", ESTALE},
	[ERR_OUT_OF_RANGE] = {"OUT_OF_RANGE", ERANGE},
	[ERR_UNIMPLEMENTED] = {"UNIMPLEMENTED", EOPNOTSUPP},
	[ERR_INTERNAL] = {"INTERNAL", EIO},
	[ERR_UNAVAILABLE] = {"UNAVAILABLE", ECONNREFUSED},
	[ERR_DATA_LOSS] = {"DATA_LOSS", EBADMSG},
	[ERR_UNAUTHENTICATED] = {"UNAUTHENTICATED", EPERM},
};

#define N_CODES (sizeof(codes) / sizeof(codes[0]))

static void set_v(struct err *err, enum err_code code, int err_no, const char *reason,
	const char *subject, const char *fmt, va_list ap)
{
	memset(err, 0, sizeof(*err));
	err->code = code;
	err->err_no = err_no;
	snprintf(err->reason, sizeof(err->reason), "%s", reason);
	snprintf(err->subject, sizeof(err->subject), "%s", subject);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
}

int err_code_to_errno(enum err_code code)
{
	return (unsigned)code < N_CODES ? -codes[code].err_no : -EIO;
}

const char *err_code_name(enum err_code code)
{
	return (unsigned)code < N_CODES ? codes[code].name : "UNKNOWN";
}

enum err_code err_code_from_errno(int e)
{
	switch (abs(e)) {
	case 0:
		return ERR_OK;
	case EINVAL:
	case ENAMETOOLONG:
		return ERR_INVALID_ARGUMENT;
	case ENOENT:
		return ERR_NOT_FOUND;
	case EEXIST:
		return ERR_ALREADY_EXISTS;
	case EDQUOT:
	case ENOSPC:
	case EAGAIN:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
		return ERR_RESOURCE_EXHAUSTED;
	case EBUSY:
		return ERR_FAILED_PRECONDITION;
	case EOPNOTSUPP:
		return ERR_UNIMPLEMENTED;
	case ETIMEDOUT:
		return ERR_DEADLINE_EXCEEDED;
	case ECANCELED:
		return ERR_CANCELLED;
	case ECONNREFUSED:
	case EPIPE:
		return ERR_UNAVAILABLE;
	default:
		return ERR_INTERNAL;
	}
}

int err_set(struct err *err, enum err_code code, const char *reason, const char *fmt, ...)
{
	int r = err_code_to_errno(code);
	va_list ap;

	if (err) {
		va_start(ap, fmt);
		set_v(err, code, -r, reason, "", fmt, ap);
		va_end(ap);
	}
	return r;
}

int err_set_subject(struct err *err, enum err_code code, const char *reason, const char *subject,
	const char *fmt, ...)
{
	int r = err_code_to_errno(code);
	va_list ap;

	if (err) {
		va_start(ap, fmt);
		set_v(err, code, -r, reason, subject, fmt, ap);
		va_end(ap);
	}
	return r;
}

int err_sys(struct err *err, int e, const char *fmt, ...)
{
	int positive = e ? abs(e) : EIO;
	va_list ap;

	if (err) {
		size_t len;

		va_start(ap, fmt);
		set_v(err, err_code_from_errno(positive), positive, "SYSTEM_CALL_FAILED", "", fmt,
			ap);
		va_end(ap);
		len = strlen(err->msg);
		snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", strerror(positive));
	}
	return -positive;
}

int err_wrap(struct err *err, int r, const char *fmt, ...)
{
	char inner[ERR_MSG_MAX];
	va_list ap;
	size_t len;

	if (!err)
		return r;
	memcpy(inner, err->msg, sizeof(inner));
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	len = strlen(err->msg);
	snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", inner);
	return r;
}

int err_oom(struct err *err)
{
	err_set(err, ERR_RESOURCE_EXHAUSTED, "HOST_OUT_OF_MEMORY", "the host is out of memory");
	return -ENOMEM;
}

static void clean_string(char *s, size_t size)
{
	s[size - 1] = '\0';
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
}

int err_sanitize(struct err *err)
{
	if (err->code <= ERR_OK || (size_t)err->code >= N_CODES)
		err->code = ERR_INTERNAL;
	clean_string(err->reason, sizeof(err->reason));
	clean_string(err->subject, sizeof(err->subject));
	clean_string(err->msg, sizeof(err->msg));
	return err_code_to_errno((enum err_code)err->code);
}

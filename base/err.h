/*
 * struct err: what went wrong, as a value of fixed size.
 *
 * It is filled where the fault happens, wrapped once a layer with what was being done, crosses
 * child -> supervisor -> server unchanged, and becomes the gRPC status of the reply. It holds no
 * pointer, so it can be copied, sent and compared as bytes.
 *
 * A fallible function returns 0 or -errno and takes `struct err *err` as its last parameter; err
 * may be NULL where the caller does not care. On success err is left alone.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

/* The code a client will see. The numbers are gRPC's own (grpc/doc/statuscodes.md). */
enum err_code {
	ERR_OK = 0,
	ERR_CANCELLED = 1,
	ERR_UNKNOWN = 2,
	ERR_INVALID_ARGUMENT = 3,
	ERR_DEADLINE_EXCEEDED = 4,
	ERR_NOT_FOUND = 5,
	ERR_ALREADY_EXISTS = 6,
	ERR_PERMISSION_DENIED = 7,
	ERR_RESOURCE_EXHAUSTED = 8,
	ERR_FAILED_PRECONDITION = 9,
	ERR_ABORTED = 10,
	ERR_OUT_OF_RANGE = 11,
	ERR_UNIMPLEMENTED = 12,
	ERR_INTERNAL = 13,
	ERR_UNAVAILABLE = 14,
	ERR_DATA_LOSS = 15,
	ERR_UNAUTHENTICATED = 16,
};

#define ERR_REASON_MAX	40
#define ERR_SUBJECT_MAX 80
#define ERR_MSG_MAX	400

struct err {
	int32_t code;		       /* enum err_code */
	int32_t err_no;		       /* the errno behind it, positive; 0 when there is none */
	char reason[ERR_REASON_MAX];   /* UPPER_SNAKE_CASE for programs: google.rpc.ErrorInfo.reason
					*/
	char subject[ERR_SUBJECT_MAX]; /* the limit or field concerned, e.g. "memory"; may be "" */
	char msg[ERR_MSG_MAX];	       /* a sentence for people: what was wrong, what to do */
};

/*
 * Fills err with a refusal of the given code. reason must be a literal in UPPER_SNAKE_CASE.
 * Returns the errno that stands for code (below), negative: `return err_set(err, ...)`.
 */
int err_set(struct err *err, enum err_code code, const char *reason, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* As err_set(), naming the field or limit concerned as well. */
int err_set_subject(struct err *err, enum err_code code, const char *reason, const char *subject,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/*
 * Fills err from a failed system call: the code follows from the errno (ENOENT is NOT_FOUND,
 * EDQUOT, ENOSPC and EAGAIN are RESOURCE_EXHAUSTED, ..., anything else INTERNAL), the message is
 * "<what>: <strerror>". e may be negative or positive. Returns -|e|; an e of 0 counts as EIO.
 */
int err_sys(struct err *err, int e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "<what>: " before the message. Returns r, so that it can end a function. */
int err_wrap(struct err *err, int r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* -ENOMEM, with its message. */
int err_oom(struct err *err);

/*
 * Makes an err that arrived from another process safe to use: strings terminated and free of
 * control characters, code in range. Returns the matching negative errno.
 */
int err_sanitize(struct err *err);

/* The negative errno a code stands for (INVALID_ARGUMENT is -EINVAL, ...); 0 for ERR_OK. */
int err_code_to_errno(enum err_code code);

/* The code an errno stands for; e may be negative or positive. */
enum err_code err_code_from_errno(int e);

/* "NOT_FOUND" and so on; "UNKNOWN" for a number out of range. Static storage. */
const char *err_code_name(enum err_code code);

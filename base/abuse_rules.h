/*
 * Rules about abuse: which signal, how much of it within which time, and what is done then. A file
 * of `key = value` lines in sections, as docs/ABUSE.md describes it; croftd enforces what it says,
 * and `croft abuse check` reads it the same way.
 */
#pragma once

#include "base/err.h"
#include "base/name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ABUSE_RULES_MAX	     32u /* rules of a file */
#define ABUSE_EXEMPT_MAX     64u /* exemptions of a rule, and of all */
#define ABUSE_FILE_BYTES_MAX (256u << 10)
#define ABUSE_WINDOW_MAX_S   (7u * 86400)

/* What is measured. Those behind the comment are of a tenant's network, never of one container. */
enum abuse_signal {
	ABUSE_FORKS,
	ABUSE_FORKS_DENIED,
	ABUSE_OOM_KILLS,
	ABUSE_MEMORY_STALL,
	ABUSE_CPU_FULL,
	ABUSE_DISK_WRITE,
	ABUSE_DISK_WRITE_OPS,
	ABUSE_NET_OUT,
	ABUSE_PACKETS_OUT,
	ABUSE_SECCOMP,
	ABUSE_SMTP_REFUSED, /* of tenants */
	ABUSE_FLOWS_REFUSED,
	ABUSE_CONNECTIONS_REFUSED,
	ABUSE_PACKETS_REFUSED,
	ABUSE_CONNECTIONS_OUT,
	ABUSE_SMTP_OUT,
	ABUSE_SIGNAL_N,
};

enum abuse_unit {
	ABUSE_COUNT,   /* so many within the window */
	ABUSE_PERCENT, /* of the window's time */
	ABUSE_RATE,    /* a second, on the average of the window */
	ABUSE_BYTES,   /* the same, of bytes */
};

struct abuse_signal_row {
	const char *name;
	enum abuse_unit unit;
	bool of_tenant;
	const char *help;
};

/* The row of a signal, which must be below ABUSE_SIGNAL_N. */
const struct abuse_signal_row *abuse_signal_row(enum abuse_signal signal);
/* -ENOENT for a name that is none. */
int abuse_signal_find(const char *name, enum abuse_signal *ret);

/* As in croft.v1.AbuseAction, but for its zero. */
enum abuse_action {
	ABUSE_NOTIFY,
	ABUSE_THROTTLE,
	ABUSE_STOP,
	ABUSE_FREEZE,
	ABUSE_HOLD,
	ABUSE_ACTION_N,
};

const char *abuse_action_name(enum abuse_action action);
int abuse_action_find(const char *name, enum abuse_action *ret);

/* What a throttle leaves. */
struct abuse_throttle {
	uint32_t cpu_percent; /* of the CPU limit; 0: all of it */
	uint64_t rate_in;     /* bytes a second; 0: as before */
	uint64_t rate_out;
};

enum abuse_exempt_kind { ABUSE_EXEMPT_TENANT, ABUSE_EXEMPT_CONTAINER, ABUSE_EXEMPT_PLAN };

struct abuse_exempt {
	enum abuse_exempt_kind kind;
	char name[NAME_SIZE]; /* of the tenant, or the plan */
	char container[NAME_SIZE];
};

struct abuse_exempt_list {
	size_t n;
	struct abuse_exempt list[ABUSE_EXEMPT_MAX];
};

#define ABUSE_GRACE_DEFAULT (-2) /* of a hold: as croftd's settings say */
#define ABUSE_GRACE_NEVER   (-1)

struct abuse_rule {
	char name[NAME_SIZE];
	enum abuse_signal signal;
	bool per_tenant; /* all its containers together, not each */
	bool dry_run;
	uint64_t threshold; /* begins at or above it... */
	uint64_t until;	    /* ...and is over below this... */
	uint64_t window_usec;
	uint64_t quiet_usec; /* ...for so long */
	enum abuse_action action;
	struct abuse_throttle throttle;
	int64_t grace_s; /* of a hold */
	struct abuse_exempt_list exempt;
};

struct abuse_rules {
	bool dry_run; /* all of them */
	struct abuse_exempt_list exempt;
	size_t n;
	struct abuse_rule list[ABUSE_RULES_MAX];
};

/* The rules that hold where no file is given, as a file's text. */
extern const char abuse_rules_builtin[];

/*
 * Reads a whole file's text; file is what messages call it. All of it is understood, or nothing is
 * changed: INVALID_ARGUMENT / ABUSE_RULES_INVALID, "FILE:LINE: ...". *ret is the caller's to
 * free().
 */
int abuse_rules_parse(
	const char *text, size_t size, const char *file, struct abuse_rules **ret, struct err *err);

/*
 * Reads an open regular file to the end: *ret_text is the caller's to free(). Returns 0, or -errno
 * where it is none, is too large or cannot be read.
 */
int abuse_rules_read(int fd, char **ret_text, size_t *ret_size, struct err *err);

/* Whether a rule leaves somebody alone; container NULL: the tenant as a whole. */
bool abuse_rule_exempts(const struct abuse_rules *rules, const struct abuse_rule *rule,
	const char *tenant, const char *container, const char *plan);

#define ABUSE_VALUE_TEXT_MAX 48
/* "95 %", "1000", "5 MiB/s". Returns out. */
const char *abuse_value_format(
	enum abuse_signal signal, uint64_t value, char out[static ABUSE_VALUE_TEXT_MAX]);

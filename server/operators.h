/*
 * Which users are operators, without asking the user database each time: that may be another
 * machine (LDAP), the loop waits for it, and any local user can connect as often as it likes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define OPERATORS_KEPT_MS 30000 /* a change of the group takes that long to be known */
#define OPERATORS_MAX	  1024	/* answers kept, so users asked about in that time */

/* Asks the user database. May take long. */
typedef bool (*operators_ask_fn)(uid_t uid, const char *group);

struct operators_answer {
	uid_t uid;
	bool is_operator;
	uint64_t until_usec; /* 0: there is none */
};

struct operators {
	operators_ask_fn ask;
	const char *group;	      /* the caller's */
	uint64_t (*clock_usec)(void); /* as clock_boot_usec() */
	struct operators_answer answers[OPERATORS_MAX];
};

void operators_init(
	struct operators *o, operators_ask_fn ask, const char *group, uint64_t (*clock_usec)(void));

/*
 * Whether this user is one: root always is, without being asked about. While OPERATORS_MAX others
 * are known (a user may have that many ids, by subuid(5)), who is not is no operator.
 */
bool operators_have(struct operators *o, uid_t uid);

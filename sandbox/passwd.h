/*
 * A container's own /etc/passwd and /etc/group, read inside the container, never through NSS: a
 * tenant's libraries are not loaded, and its files are only text.
 */
#pragma once

#include "base/err.h"

#include <sys/types.h>

#define PASSWD_GROUPS_MAX 64
#define PASSWD_FIELD_MAX  256

struct passwd_user {
	uid_t uid;
	gid_t gid;
	char name[PASSWD_FIELD_MAX];  /* "" for a number without an entry */
	char home[PASSWD_FIELD_MAX];  /* "/" without an entry */
	char shell[PASSWD_FIELD_MAX]; /* "" without an entry */
	gid_t groups[PASSWD_GROUPS_MAX];
	size_t n_groups;
};

/*
 * Looks up a user by name or number ("" is root) in the files below etc_fd. A number needs no
 * entry. Returns 0 or -ENOENT (NOT_FOUND / EXEC_NO_USER). Files larger than 1 MiB, or that are not
 * regular, count as empty. Source: passwd(5), group(5).
 */
int passwd_lookup(int etc_fd, const char *user, struct passwd_user *ret, struct err *err);

/*
 * The same of an image's "user:group", which takes that group, a name or number, and no others.
 * Without a group a user is in those of the files; a number without an entry in root's. NOT_FOUND /
 * EXEC_NO_USER or EXEC_NO_GROUP.
 */
int passwd_lookup_group(int etc_fd, const char *spec, struct passwd_user *ret, struct err *err);

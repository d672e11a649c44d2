/*
 * passwd(5) and group(5) of a container; see passwd.h. The files are a tenant's: lengths are
 * bounded, a line that does not parse is skipped, nothing but regular files is read.
 */
#include "sandbox/passwd.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_BYTES_MAX (1u << 20)
#define FIELDS_MAX     8

/* The whole file, terminated; NULL when there is none that can be read. */
static char *read_file(int etc_fd, const char *name)
{
	/* O_NONBLOCK: a FIFO in its place must not hold us. */
	_cleanup_close_ int fd = openat(etc_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	char *text;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_BYTES_MAX)
		return NULL;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return NULL;
	n = fd_read_full(fd, text, (size_t)st.st_size);
	if (n < 0) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

/* Splits a line in place at its colons. Returns the number of fields. */
static size_t split(char *line, char *fields[static FIELDS_MAX])
{
	size_t n = 0;

	while (line && n < FIELDS_MAX)
		fields[n++] = strsep(&line, ":");
	return n;
}

static bool parse_id(const char *text, uint32_t *ret)
{
	unsigned long value;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	/* 65535 is no id: it is "no change" to the older id calls. */
	if (errno || *end || value >= 65535)
		return false;
	*ret = (uint32_t)value;
	return true;
}

static void copy_field(char out[static PASSWD_FIELD_MAX], const char *text)
{
	snprintf(out, PASSWD_FIELD_MAX, "%s", text);
}

/* name:password:uid:gid:gecos:home:shell */
static bool match_user(
	char *line, const char *name, bool by_uid, uid_t uid, struct passwd_user *ret)
{
	char *f[FIELDS_MAX];
	uint32_t line_uid;
	uint32_t line_gid;

	if (split(line, f) < 7 || !parse_id(f[2], &line_uid) || !parse_id(f[3], &line_gid))
		return false;
	if (by_uid ? line_uid != uid : strcmp(f[0], name) != 0)
		return false;
	ret->uid = line_uid;
	ret->gid = line_gid;
	copy_field(ret->name, f[0]);
	copy_field(ret->home, f[5][0] == '/' ? f[5] : "/");
	copy_field(ret->shell, f[6]);
	return true;
}

static bool find_user(int etc_fd, const char *name, bool by_uid, uid_t uid, struct passwd_user *ret)
{
	_cleanup_free_ char *text = read_file(etc_fd, "passwd");
	char *rest = text;
	char *line;

	while (rest && (line = strsep(&rest, "\n")))
		if (match_user(line, name, by_uid, uid, ret))
			return true;
	return false;
}

static bool is_member(char *members, const char *name)
{
	char *member;

	while ((member = strsep(&members, ",")))
		if (!strcmp(member, name))
			return true;
	return false;
}

/* name:password:gid:members */
static void find_groups(int etc_fd, struct passwd_user *user)
{
	_cleanup_free_ char *text = read_file(etc_fd, "group");
	char *rest = text;
	char *line;

	while (rest && user->n_groups < PASSWD_GROUPS_MAX && (line = strsep(&rest, "\n"))) {
		char *f[FIELDS_MAX];
		uint32_t gid;

		if (split(line, f) < 4 || !parse_id(f[2], &gid) || gid == user->gid ||
			!is_member(f[3], user->name))
			continue;
		user->groups[user->n_groups++] = gid;
	}
}

static int no_user(const char *user, struct err *err)
{
	if (!user[strspn(user, "0123456789")])
		return err_set(err, ERR_NOT_FOUND, "EXEC_NO_USER",
			"user id %.60s is none of the container's, which are 0 to 65534", user);
	return err_set(err, ERR_NOT_FOUND, "EXEC_NO_USER",
		"the container has no user \"%.60s\" in its /etc/passwd", user);
}

static bool find_group(int etc_fd, const char *name, gid_t *ret)
{
	_cleanup_free_ char *text = read_file(etc_fd, "group");
	char *rest = text;
	char *line;

	while (rest && (line = strsep(&rest, "\n"))) {
		char *f[FIELDS_MAX];

		if (split(line, f) >= 3 && !strcmp(f[0], name) && parse_id(f[2], ret))
			return true;
	}
	return false;
}

static int set_group(int etc_fd, const char *group, struct passwd_user *user, struct err *err)
{
	user->n_groups = 0;
	if (parse_id(group, &user->gid) || find_group(etc_fd, group, &user->gid))
		return 0;
	return err_set(err, ERR_NOT_FOUND, "EXEC_NO_GROUP",
		"the container has no group \"%.60s\" in its /etc/group", group);
}

int passwd_lookup(int etc_fd, const char *user, struct passwd_user *ret, struct err *err)
{
	struct passwd_user found = {.home = "/"};
	const char *wanted = *user ? user : "0";
	bool by_uid = parse_id(wanted, &found.uid);

	if (!find_user(etc_fd, wanted, by_uid, found.uid, &found)) {
		if (!by_uid)
			return no_user(wanted, err);
		found.gid = found.uid;
		if (found.uid == 0)
			copy_field(found.home, "/root");
	}
	if (found.name[0])
		find_groups(etc_fd, &found);
	*ret = found;
	return 0;
}

int passwd_lookup_group(int etc_fd, const char *spec, struct passwd_user *ret, struct err *err)
{
	const char *colon = strchrnul(spec, ':');
	char user[PASSWD_FIELD_MAX];
	struct passwd_user found;
	int r;

	snprintf(user, sizeof(user), "%.*s", (int)(colon - spec), spec);
	r = passwd_lookup(etc_fd, user, &found, err);
	if (r == 0 && *colon)
		r = set_group(etc_fd, colon + 1, &found, err);
	if (r < 0)
		return r;
	/* As docker has it: a number that no user has is in root's group, unless one is named. */
	if (!*colon && !found.name[0])
		found.gid = 0;
	*ret = found;
	return 0;
}

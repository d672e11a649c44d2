/*
 * Hosts files; see net_names.h. The list of a tenant's names is kept in `TENANT.list`, which is
 * replaced as a whole; `TENANT` is what containers see, rewritten from it in place. So one that a
 * killed worker left half-written is whole again after the next change, or the next start of the
 * supervisor.
 */
#include "sandbox/net_names.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define LIST_SUFFIX    ".list"
#define LIST_NAME_SIZE (NAME_SIZE + sizeof(LIST_SUFFIX))
#define RESOLV_CONF    "resolv.conf" /* has a dot, so that no tenant has this name */
/* Two lines a container: 8,190 of them come to less. */
#define HOSTS_SIZE_MAX (2u << 20)

static const char first_lines[] = "127.0.0.1\tlocalhost\n"
				  "::1\tlocalhost ip6-localhost ip6-loopback\n";

struct text {
	char *data; /* owned */
	size_t size;
};

static void cleanup_text(struct text *text)
{
	free(text->data);
}

static int read_all(int dir_fd, const char *name, struct text *ret, struct err *err)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return errno == ENOENT ? -ENOENT : err_sys(err, errno, "read a hosts file");
	if (st.st_size > HOSTS_SIZE_MAX)
		return err_sys(err, EFBIG, "read a hosts file");
	ret->data = malloc((size_t)st.st_size + 1);
	if (!ret->data)
		return err_oom(err);
	n = fd_read_full(fd, ret->data, (size_t)st.st_size);
	if (n < 0)
		return err_sys(err, (int)n, "read a hosts file");
	ret->size = (size_t)n;
	return 0;
}

/* Bytes that a container reads: there is always a whole beginning of the old or the new. */
static int write_in_place(int fd, const char *data, size_t size, struct err *err)
{
	for (size_t at = 0; at < size;) {
		ssize_t n = pwrite(fd, data + at, size - at, (off_t)at);

		if (n < 0 && errno != EINTR)
			return err_sys(err, errno, "write a hosts file");
		at += n > 0 ? (size_t)n : 0;
	}
	return ftruncate(fd, (off_t)size) < 0 ? err_sys(err, errno, "write a hosts file") : 0;
}

/* The tenant's file, locked by whoever changes it. */
static int open_locked(int dir_fd, const char *tenant, bool create, int *ret_fd, struct err *err)
{
	int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | (create ? O_CREAT : 0);
	_cleanup_close_ int fd = openat(dir_fd, tenant, flags, 0644);

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : err_sys(err, errno, "open a hosts file");
	if (flock(fd, LOCK_EX) < 0)
		return err_sys(err, errno, "lock a hosts file");
	*ret_fd = take_fd(&fd);
	return 0;
}

/* The name in a line "ADDRESS\tNAME"; "" when it is none of a container's. */
static const char *name_of(const char *line, size_t len, char out[static NAME_SIZE])
{
	const char *tab = memchr(line, '\t', len);
	size_t name_len = tab ? len - (size_t)(tab + 1 - line) : 0;

	out[0] = '\0';
	if (name_len > 0 && name_len < NAME_SIZE) {
		memcpy(out, tab + 1, name_len);
		out[name_len] = '\0';
		if (!name_is_valid(out) || !strcmp(out, "localhost"))
			out[0] = '\0';
	}
	return out;
}

typedef bool (*keep_fn)(const char *tenant, const char *container, void *arg);

/* Copies the lines of containers that are to stay; others go. */
static size_t copy_kept(
	const struct text *from, const char *tenant, keep_fn keep, void *arg, char *to)
{
	const char *end = from->data + from->size;
	size_t size = 0;

	for (const char *line = from->data; from->data && line < end;) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		size_t len = (size_t)((newline ? newline : end) - line);
		char name[NAME_SIZE];

		if (newline && *name_of(line, len, name) && keep(tenant, name, arg)) {
			memcpy(to + size, line, len + 1);
			size += len + 1;
		}
		line += len + 1;
	}
	return size;
}

static size_t add_lines(char *to, size_t room, const char *container, const struct net_place *place)
{
	const struct net_address *addresses[] = {&place->ipv4, &place->ipv6};
	size_t size = 0;

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		char text[NET_TEXT_MAX];

		if (addresses[i]->size)
			size += (size_t)snprintf(to + size, room - size, "%s\t%s\n",
				net_format(addresses[i], text), container);
	}
	return size;
}

/* Rewrites a tenant's names: those that are kept, and one more (place NULL: none). */
static int rewrite(int dir_fd, const char *tenant, keep_fn keep, void *arg, const char *container,
	const struct net_place *place, struct err *err)
{
	const size_t line_max = 2 * (NET_TEXT_MAX + NAME_SIZE);
	_cleanup_(cleanup_text) struct text old = {0};
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	char list[LIST_NAME_SIZE];
	size_t size;
	int r = open_locked(dir_fd, tenant, place, &fd, err);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	snprintf(list, sizeof(list), "%s%s", tenant, LIST_SUFFIX);
	r = read_all(dir_fd, list, &old, err);
	if (r < 0 && r != -ENOENT)
		return r;
	text = malloc(sizeof(first_lines) + old.size + line_max);
	if (!text)
		return err_oom(err);
	size = sizeof(first_lines) - 1;
	memcpy(text, first_lines, size);
	size += copy_kept(&old, tenant, keep, arg, text + size);
	if (place)
		size += add_lines(text + size, line_max, container, place);
	if (size > HOSTS_SIZE_MAX)
		return err_sys(err, EFBIG, "write a hosts file");
	r = fd_replace_file_at(dir_fd, list, text, size, false);
	if (r < 0)
		return err_sys(err, r, "write a hosts file");
	return write_in_place(fd, text, size, err);
}

static bool is_other(const char *tenant, const char *container, void *arg)
{
	(void)tenant;
	return strcmp(container, arg) != 0;
}

int net_names_put(int dir_fd, const char *tenant, const char *container,
	const struct net_place *place, struct err *err)
{
	return rewrite(dir_fd, tenant, is_other, (void *)container, container, place, err);
}

int net_names_remove(int dir_fd, const char *tenant, const char *container, struct err *err)
{
	return rewrite(dir_fd, tenant, is_other, (void *)container, NULL, NULL, err);
}

int net_names_keep_only(int dir_fd, keep_fn keep, void *arg, struct err *err)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!dir) {
		cleanup_close(&fd);
		return err_sys(err, errno, "read the hosts files");
	}
	while (r == 0 && (entry = readdir(dir)))
		if (name_is_valid(entry->d_name))
			r = rewrite(dir_fd, entry->d_name, keep, arg, NULL, NULL, err);
	return r;
}

int net_names_forget(int dir_fd, const char *tenant, struct err *err)
{
	char list[LIST_NAME_SIZE];

	snprintf(list, sizeof(list), "%s%s", tenant, LIST_SUFFIX);
	if ((unlinkat(dir_fd, list, 0) < 0 && errno != ENOENT) ||
		(unlinkat(dir_fd, tenant, 0) < 0 && errno != ENOENT))
		return err_sys(err, errno, "remove a hosts file");
	return 0;
}

int net_names_set_resolvers(int dir_fd, const struct net_resolvers *resolvers, struct err *err)
{
	_cleanup_close_ int fd = openat(
		dir_fd, RESOLV_CONF, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	char text[NET_RESOLVERS_MAX * (NET_TEXT_MAX + sizeof("nameserver \n"))];
	size_t size = 0;

	if (fd < 0)
		return err_sys(err, errno, "open resolv.conf");
	for (uint32_t i = 0; i < resolvers->n && i < NET_RESOLVERS_MAX; i++) {
		char address[NET_TEXT_MAX];

		size += (size_t)snprintf(text + size, sizeof(text) - size, "nameserver %s\n",
			net_format(&resolvers->list[i], address));
	}
	return write_in_place(fd, text, size, err);
}

static int clone_read_only(int dir_fd, const char *name, int *ret_fd, struct err *err)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
					      MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC};
	_cleanup_close_ int fd = open_tree(
		dir_fd, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);

	if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return err_sys(err, errno, "prepare the container's names");
	*ret_fd = take_fd(&fd);
	return 0;
}

int net_names_open(
	int dir_fd, const char *tenant, int *ret_hosts_fd, int *ret_resolv_fd, struct err *err)
{
	_cleanup_close_ int hosts = -1;
	int r = clone_read_only(dir_fd, tenant, &hosts, err);

	if (r == 0)
		r = clone_read_only(dir_fd, RESOLV_CONF, ret_resolv_fd, err);
	if (r == 0)
		*ret_hosts_fd = take_fd(&hosts);
	return r;
}

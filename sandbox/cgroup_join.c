/*
 * Putting a process into a payload. What can fail or allocate is done beforehand by the supervisor;
 * cgroup_join_self() runs in a forked child and only writes and reads descriptors.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/cgroup_internal.h"
#include "sandbox/syscalls.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <unistd.h>

static void join_init(struct cgroup_join *join, enum cgroup_kind kind)
{
	memset(join, 0, sizeof(*join));
	join->kind = kind;
	join->into_fd = -1;
	for (size_t i = 0; i < ARRAY_SIZE(join->pids_max_fd); i++)
		join->pids_current_fd[i] = join->pids_max_fd[i] = -1;
}

void cgroup_join_close(struct cgroup_join *join)
{
	close_fd(&join->into_fd);
	for (size_t i = 0; i < join->n_task_fds; i++)
		close_fd(&join->task_fds[i]);
	join->n_task_fds = 0;
	for (size_t i = 0; i < ARRAY_SIZE(join->pids_max_fd); i++) {
		close_fd(&join->pids_current_fd[i]);
		close_fd(&join->pids_max_fd[i]);
	}
}

void cgroup_join_list_fds(const struct cgroup_join *join, struct fd_list *list)
{
	fd_list_add(list, join->into_fd);
	for (size_t i = 0; i < join->n_task_fds; i++)
		fd_list_add(list, join->task_fds[i]);
	for (size_t i = 0; i < ARRAY_SIZE(join->pids_max_fd); i++) {
		fd_list_add(list, join->pids_current_fd[i]);
		fd_list_add(list, join->pids_max_fd[i]);
	}
}

static int open_pids(
	const struct cgroup_root *root, const char *dir, size_t level, struct cgroup_join *join)
{
	int fd = cgroup_open_file(root, CGROUP_PIDS, dir, "pids.current", O_RDONLY);

	if (fd < 0)
		return fd;
	join->pids_current_fd[level] = fd;
	fd = cgroup_open_file(root, CGROUP_PIDS, dir, "pids.max", O_RDONLY);
	if (fd < 0)
		return fd;
	join->pids_max_fd[level] = fd;
	return 0;
}

int cgroup_join_open(struct cgroup_root *root, const struct cgroup_id *id, struct cgroup_join *ret,
	struct err *err)
{
	_cleanup_(cgroup_join_close) struct cgroup_join join;
	char leaf[CGROUP_DIR_SIZE];
	char dir[CGROUP_DIR_SIZE];
	int r;

	join_init(&join, root->ops->kind);
	r = cgroup_leaf_of(id, leaf, err);
	if (r < 0)
		return r;
	cgroup_dir_of(id, dir, NULL);
	r = root->ops->open_join(root, leaf, &join);
	if (r == 0)
		r = open_pids(root, dir, 0, &join);
	if (r == 0)
		r = open_pids(root, id->tenant, 1, &join);
	if (r < 0)
		return err_sys(err, r, "open the container's cgroup");
	*ret = join;
	join_init(&join, root->ops->kind);
	return 0;
}

/* The path below payload of a process's directory in the cgroup2 tree; "" is payload itself. */
static int find_below(pid_t pid, const char *leaf, char ret[static PATH_MAX])
{
	char text[PATH_MAX + 16]; /* the kernel shows no longer path */
	char wanted[CGROUP_DIR_SIZE + 1];
	char path[PATH_MAX];
	char file[32];
	char *found;
	ssize_t n;
	int r;

	snprintf(file, sizeof(file), "/proc/%d/cgroup", (int)pid);
	n = fd_read_text_at(AT_FDCWD, file, text, sizeof(text));
	if (n < 0)
		return (int)n;
	r = cgroup_parse_own_path(text, path, sizeof(path));
	if (r < 0)
		return r;
	snprintf(wanted, sizeof(wanted), "/%s", leaf);
	found = strstr(path, wanted);
	if (!found)
		return -ESRCH;
	found += strlen(wanted);
	if (*found && *found != '/')
		return -ESRCH;
	found += strspn(found, "/");
	memcpy(ret, found, strlen(found) + 1);
	return 0;
}

int cgroup_join_open_beside(struct cgroup_root *root, const struct cgroup_id *id, pid_t init,
	struct cgroup_join *ret, struct err *err)
{
	char leaf[CGROUP_DIR_SIZE];
	char below[PATH_MAX];
	int fd;
	int r = cgroup_join_open(root, id, ret, err);

	if (r < 0 || root->ops->kind != CGROUP_UNIFIED)
		return r;
	r = cgroup_leaf_of(id, leaf, err);
	if (r == 0)
		r = find_below(init, leaf, below);
	if (r == 0 && *below) {
		fd = sys_openat2(ret->into_fd, below, O_PATH | O_DIRECTORY | O_CLOEXEC,
			RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
		r = fd < 0 ? fd : 0;
		if (fd >= 0) {
			close(ret->into_fd);
			ret->into_fd = fd;
		}
	}
	if (r == 0)
		return 0;
	cgroup_join_close(ret);
	return err_set(err, ERR_ABORTED, "CONTAINER_CGROUP_MOVED",
		"init of container %s is moving between cgroups, or has just ended: try again",
		id->container);
}

/* Hand-made, as strtoull() is not on the list of async-signal-safe functions (signal-safety(7)). */
static uint64_t parse_number(const char *text)
{
	uint64_t value = 0;

	if (*text < '0' || *text > '9')
		return UINT64_MAX; /* "max" */
	for (; *text >= '0' && *text <= '9'; text++)
		value = value * 10 + (uint64_t)(*text - '0');
	return value;
}

static int read_number(int fd, uint64_t *ret)
{
	char text[32];
	ssize_t n = fd_pread_text(fd, text, sizeof(text));

	if (n < 0)
		return (int)n;
	*ret = parse_number(text);
	return 0;
}

/* An attach passes a pids limit that a fork would not: pids.c, "organisational operations". */
static int check_pids(const struct cgroup_join *join)
{
	for (size_t i = 0; i < ARRAY_SIZE(join->pids_max_fd); i++) {
		uint64_t current = 0;
		uint64_t max = UINT64_MAX;
		int r = read_number(join->pids_max_fd[i], &max);

		if (r == 0 && max != UINT64_MAX)
			r = read_number(join->pids_current_fd[i], &current);
		if (r < 0)
			return r;
		if (max != UINT64_MAX && current > max)
			return -EAGAIN;
	}
	return 0;
}

int cgroup_join_self(const struct cgroup_join *join)
{
	for (size_t i = 0; i < join->n_task_fds; i++) {
		ssize_t n;

		do
			n = write(join->task_fds[i], "0", 1);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return -errno;
	}
	return check_pids(join);
}

/*
 * Walks and removes cgroup directories that a hostile init may have made: any depth, any number,
 * names of any bytes. Works with three descriptors, no recursion, and no path longer than one name.
 * Must never be used where somebody can still move directories: the caller has seen the tree empty
 * of processes.
 */
#include "base/cleanup.h"
#include "sandbox/cgroup_internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/*
 * How often a directory without children and without a listed process may still be refused as
 * busy: the kernel lets go of a process a moment after it was reaped.
 */
#define BUSY_RETRIES	50
#define BUSY_RETRY_MSEC 2

static int open_dir(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static bool is_subdir(const struct dirent *entry)
{
	return entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 &&
	       strcmp(entry->d_name, "..") != 0;
}

/* Takes over fd. */
static int each_in(int fd, int (*fn)(const char *name, void *arg), void *arg)
{
	_cleanup_closedir_ DIR *d = fdopendir(fd);
	int r = 0;

	if (!d) {
		r = -errno;
		close(fd);
		return r;
	}
	while (r == 0) {
		const struct dirent *entry;

		errno = 0;
		entry = readdir(d);
		if (!entry)
			return -errno;
		if (is_subdir(entry))
			r = fn(entry->d_name, arg);
	}
	return r;
}

int cgroup_tree_each(
	int parent_fd, const char *dir, int (*fn)(const char *name, void *arg), void *arg)
{
	int fd = open_dir(parent_fd, dir);

	return fd < 0 ? fd : each_in(fd, fn, arg);
}

/* Without a child left, EBUSY means a process: wait a moment for one that is just going. */
static int remove_empty(int parent, const char *name)
{
	const struct timespec pause = {.tv_nsec = BUSY_RETRY_MSEC * 1000000L};

	for (unsigned i = 0;; i++) {
		if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (errno != EBUSY || i == BUSY_RETRIES)
			return -errno;
		nanosleep(&pause, NULL);
	}
}

struct sweep {
	int dir;
	int child;  /* a subdirectory with children of its own, opened; -1: none */
	int result; /* why a subdirectory stayed */
};

/* True when the directory has subdirectories: kernfs counts them in st_nlink. */
static int has_subdirs(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? -errno : st.st_nlink > 2;
}

static int sweep_one(const char *name, void *arg)
{
	struct sweep *sweep = arg;
	_cleanup_close_ int fd = -1;
	int nested;

	if (unlinkat(sweep->dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY) {
		sweep->result = -errno;
		return 1;
	}
	fd = open_dir(sweep->dir, name);
	if (fd < 0) {
		sweep->result = fd == -ENOENT ? 0 : fd;
		return sweep->result < 0;
	}
	nested = has_subdirs(fd);
	if (nested > 0) {
		sweep->child = take_fd(&fd);
		return 1;
	}
	sweep->result = nested < 0 ? nested : remove_empty(sweep->dir, name);
	return sweep->result < 0;
}

/*
 * Removes all below top: removes each childless directory of the current one, descends into the
 * first that has children, and climbs by ".." when nothing is left. Every step down is followed by
 * at least one removal, so the walk ends.
 */
static int empty_tree(int top)
{
	_cleanup_close_ int cur = open_dir(top, ".");
	size_t depth = 0;

	if (cur < 0)
		return cur;
	for (;;) {
		struct sweep sweep = {.dir = cur, .child = -1};
		int list = open_dir(cur, ".");
		int r = list < 0 ? list : each_in(list, sweep_one, &sweep);
		int next;

		if (r < 0)
			return r;
		if (sweep.result < 0)
			return sweep.result;
		if (sweep.child < 0 && depth == 0)
			return 0;
		next = sweep.child >= 0 ? sweep.child : open_dir(cur, "..");
		if (next < 0)
			return next;
		depth = sweep.child >= 0 ? depth + 1 : depth - 1;
		close(cur);
		cur = next;
	}
}

int cgroup_tree_remove(int parent_fd, const char *dir)
{
	_cleanup_close_ int fd = -1;
	int r;

	/* The usual case: nothing was made below. */
	if (unlinkat(parent_fd, dir, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY)
		return -errno;
	fd = open_dir(parent_fd, dir);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r = empty_tree(fd);
	return r < 0 ? r : remove_empty(parent_fd, dir);
}

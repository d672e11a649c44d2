/*
 * Telling when a container met a limit, without polling its counters. A watch only says "look
 * again": it may fire for nothing, and what happened is in the counters.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>

int cgroup_watch_file(struct cgroup_watch *watch, const struct cgroup_root *root,
	enum cgroup_controller controller, const char *dir, const char *file)
{
	_cleanup_close_ int fd = cgroup_open_file(root, controller, dir, file, O_PATH);
	char path[64];

	if (fd < 0)
		return fd;
	if (watch->file_fd < 0)
		watch->file_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch->file_fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return inotify_add_watch(watch->file_fd, path, IN_MODIFY) < 0 ? -errno : 0;
}

int cgroup_watch_open(struct cgroup_root *root, const struct cgroup_id *id,
	struct cgroup_watch *ret, struct err *err)
{
	struct cgroup_watch watch = {.oom_fd = -1, .file_fd = -1};
	char dir[CGROUP_DIR_SIZE];
	int r = cgroup_dir_of(id, dir, err);

	if (r < 0)
		return r;
	r = root->ops->open_watch(root, dir, &watch);
	if (r < 0) {
		cgroup_watch_close(&watch);
		return err_sys(err, r, "watch the container's limits");
	}
	*ret = watch;
	return 0;
}

static void drain(int fd)
{
	char buf[4096];

	while (fd >= 0) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n == 0 || (n < 0 && errno != EINTR))
			return;
	}
}

void cgroup_watch_drain(const struct cgroup_watch *watch)
{
	drain(watch->oom_fd);
	drain(watch->file_fd);
}

void cgroup_watch_close(struct cgroup_watch *watch)
{
	close_fd(&watch->oom_fd);
	close_fd(&watch->file_fd);
}

/*
 * Telling when a container met a limit, without polling its counters. A watch only says "look
 * again": it may fire for nothing, and what happened is in the counters.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>

/*
 * The file itself is polled: the kernel notifies cgroup files by POLLPRI. (An inotify descriptor
 * tells the same, but closing one waits for RCU, too long for the supervisor's loop.)
 */
int cgroup_watch_file(struct cgroup_watch *watch, const struct cgroup_root *root,
	enum cgroup_controller controller, const char *dir, const char *file)
{
	int fd;

	if (watch->n_files == ARRAY_SIZE(watch->file_fds))
		return -ENOSPC;
	fd = cgroup_open_file(root, controller, dir, file, O_RDONLY);
	if (fd < 0)
		return fd;
	watch->file_fds[watch->n_files++] = fd;
	return 0;
}

int cgroup_watch_open(struct cgroup_root *root, const struct cgroup_id *id,
	struct cgroup_watch *ret, struct err *err)
{
	struct cgroup_watch watch = {.oom_fd = -1};
	char dir[CGROUP_DIR_SIZE];
	int r = cgroup_dir_of(id, dir, err);

	if (r < 0)
		return r;
	r = root->ops->open_watch(root, dir, &watch);
	if (r < 0) {
		cgroup_watch_close(&watch);
		return err_sys(err, r, "watch the container's limits");
	}
	/* What has happened so far is known: only news is told. */
	cgroup_watch_drain(&watch);
	*ret = watch;
	return 0;
}

void cgroup_watch_drain(const struct cgroup_watch *watch)
{
	char text[4096];
	uint64_t count;

	if (watch->oom_fd >= 0 && read(watch->oom_fd, &count, sizeof(count)) < 0) {
		/* Nothing was in it. */
	}
	for (size_t i = 0; i < watch->n_files; i++)
		fd_pread_text(watch->file_fds[i], text, sizeof(text));
}

void cgroup_watch_close(struct cgroup_watch *watch)
{
	close_fd(&watch->oom_fd);
	for (size_t i = 0; i < watch->n_files; i++)
		close_fd(&watch->file_fds[i]);
	watch->n_files = 0;
}

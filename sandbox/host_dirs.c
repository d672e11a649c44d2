/*
 * The host's directories for containers; see host_dirs.h. Must never follow a symbolic link on the
 * way, nor go through what anybody but root can exchange.
 */
#include "sandbox/host_dirs.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/name.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_STEP (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* What is wrong is told to the operator by the log; a client learns no path of the host. */
static int unsafe(const char *name, const char *path, const char *why, struct err *err)
{
	log_warning("host-directory-unsafe name=%s path=\"%s\" reason=\"%s\"", name, path, why);
	return err_set(err, ERR_FAILED_PRECONDITION, "HOST_DIRECTORY_UNSAFE",
		"the host's directory %s is not fit to be given to containers: %s; ask the "
		"operator",
		name, why);
}

static int read_path(int list_fd, const char *name, char path[static PATH_MAX], struct err *err)
{
	ssize_t n = readlinkat(list_fd, name, path, PATH_MAX);

	if (n < 0 && errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "HOST_DIRECTORY_NOT_ALLOWED",
			"the operator has allowed no directory of the host under the name %s",
			name);
	if (n < 0 || n == PATH_MAX)
		return unsafe(name, "", "its entry is no symbolic link", err);
	path[n] = '\0';
	return path[0] == '/' && path[1] ? 0 : unsafe(name, path, "its path is not absolute", err);
}

/* NULL: the step is root's alone. */
static const char *distrust(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return "it cannot be looked at";
	if (st.st_uid != 0)
		return "a directory on the way to it is not root's";
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return "others than root may write to a directory on the way to it";
	return NULL;
}

int host_dirs_open(int list_fd, const char *name, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = open("/", OPEN_STEP);
	char path[PATH_MAX];
	char steps[PATH_MAX];
	char *rest = NULL;
	int r = name_check("host directory", name, err);

	if (r == 0)
		r = read_path(list_fd, name, path, err);
	if (r < 0)
		return r;
	memcpy(steps, path, sizeof(steps));
	for (char *step = strtok_r(steps, "/", &rest); step && fd >= 0;
		step = strtok_r(NULL, "/", &rest)) {
		const char *why = distrust(fd);
		int next;

		if (!strcmp(step, "..") || !strcmp(step, "."))
			why = "its path has a step that is no name";
		if (why)
			return unsafe(name, path, why, err);
		next = openat(fd, step, OPEN_STEP);
		close_fd(&fd);
		fd = next;
	}
	if (fd < 0)
		return unsafe(name, path, "its path leads to no directory, or over a link", err);
	if (distrust(fd))
		return unsafe(name, path, distrust(fd), err);
	*ret_fd = take_fd(&fd);
	return 0;
}

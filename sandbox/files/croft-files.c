/*
 * croft-files: moves files in and out of a container, as a tar stream on standard input or output.
 *
 * It is executed inside the container, as its root, in its cgroup and under its policy: nothing
 * that a tenant plants there can lead it anywhere that the tenant could not go. Static, so that it
 * runs in any image and loads nothing of one. A failure is a struct err on standard error; what a
 * `get` left out, a struct tree_left_out there.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/tree_pack.h"
#include "base/tree_unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK	    (64u << 10)
#define EXIT_FAILED 1

/* Cuts trailing slashes, and finds the last component, which must be a name. */
static int split(char *path, const char **ret_name, bool *ret_slash, struct err *err)
{
	size_t length = strlen(path);
	size_t len;

	*ret_slash = length > 1 && path[length - 1] == '/';
	*ret_name = path_last(path, &len);
	/* Of slashes alone, the first stays. */
	path[len ? (size_t)(*ret_name - path) + len : length > 0] = '\0';
	if (path[0] != '/' || !path_is_name(*ret_name))
		return err_set(err, ERR_INVALID_ARGUMENT, "PATH_INVALID",
			"\"%.200s\" does not end in the name of a file or directory", path);
	return 0;
}

static int write_out(void *arg, const void *data, size_t size, struct err *err)
{
	int r = fd_write_full(STDOUT_FILENO, data, size);

	(void)arg;
	return r < 0 ? err_sys(err, r, "send") : 0;
}

static int get(char *path, struct err *err)
{
	const struct tree_sink sink = {.write = write_out};
	struct tree_report report;
	const char *name;
	bool slash;
	struct stat st;
	int r = split(path, &name, &slash, err);

	if (r < 0)
		return r;
	if (stat(path, &st) < 0 || (slash && !S_ISDIR(st.st_mode)))
		return err_set(err, ERR_NOT_FOUND, "PATH_NOT_FOUND",
			"there is no %s %.200s in the container", slash ? "directory" : "file",
			path);
	r = tree_pack(AT_FDCWD, path, true, name, &sink, &report, err);
	if (r == 0 && report.left_out.count)
		fd_write_full(STDERR_FILENO, &report.left_out, sizeof(report.left_out));
	return r;
}

/* The directory that the archive goes to, and the name of what it holds there (NULL: its own). */
static int open_target(char *path, int *ret_fd, const char **ret_as, struct err *err)
{
	const char *parent = path;
	const char *name;
	bool slash;
	struct stat st;
	int r;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		*ret_as = NULL;
	} else {
		r = split(path, &name, &slash, err);
		if (r < 0)
			return r;
		if (slash)
			return err_set(err, ERR_NOT_FOUND, "PATH_NOT_FOUND",
				"there is no directory %.200s in the container", path);
		*ret_as = name;
		/* "/name" is in "/". */
		if (name - path > 1)
			path[name - path - 1] = '\0';
		else
			parent = "/";
	}
	*ret_fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fd < 0)
		return err_set(err, ERR_NOT_FOUND, "PATH_NOT_FOUND",
			"there is no directory %.200s in the container", parent);
	return 0;
}

static int feed_all(struct tree_unpack *unpack, struct err *err)
{
	static uint8_t chunk[CHUNK];

	for (;;) {
		ssize_t n = read(STDIN_FILENO, chunk, sizeof(chunk));
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "receive");
		if (n == 0)
			return tree_unpack_end(unpack, err);
		r = tree_unpack_feed(unpack, chunk, (size_t)n, err);
		if (r < 0)
			return r;
	}
}

static int put(char *path, struct err *err)
{
	static struct tree_unpack unpack;
	_cleanup_close_ int fd = -1;
	const char *as = NULL;
	int r = open_target(path, &fd, &as, err);

	if (r < 0)
		return r;
	tree_unpack_init(&unpack, fd, as, 0777);
	r = feed_all(&unpack, err);
	tree_unpack_finish(&unpack);
	return r;
}

int main(int argc, char **argv)
{
	struct err err;
	int r;

	/* A client that is gone is seen as the end of a pipe: there may be half a file to take
	 * away. */
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && !strcmp(argv[1], "get"))
		r = get(argv[2], &err);
	else if (argc == 3 && !strcmp(argv[1], "put"))
		r = put(argv[2], &err);
	else
		r = err_set(&err, ERR_INVALID_ARGUMENT, "USAGE", "croft-files get|put PATH");
	if (r < 0)
		fd_write_full(STDERR_FILENO, &err, sizeof(err));
	return r < 0 ? EXIT_FAILED : 0;
}

/* Re-execution from a sealed memfd; see seal.h. Source: memfd_create(2), CVE-2019-5736. */
#include "sandbox/seal.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#define DIR_ENV "CROFT_PROGRAM_DIR"

extern char **environ;

static struct {
	char *start;
	size_t size;
} arguments;

static int own_dir(char *ret_dir, size_t size, struct err *err)
{
	ssize_t n = readlink("/proc/self/exe", ret_dir, size - 1);
	char *slash;

	if (n < 0)
		return err_sys(err, errno, "find the program");
	ret_dir[n] = '\0';
	slash = strrchr(ret_dir, '/');
	if (!slash)
		return err_sys(err, ENOENT, "find the program");
	*slash = '\0';
	return 0;
}

int seal_program_dir(char *ret_dir, size_t size, struct err *err)
{
	const char *dir = getenv(DIR_ENV);

	if (!dir)
		return own_dir(ret_dir, size, err);
	snprintf(ret_dir, size, "%s", dir);
	return 0;
}

int seal_copy(int fd, const char *name, int *ret_fd, struct err *err)
{
	_cleanup_close_ int copy = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct stat st;
	off_t offset = 0;
	int r;

	if (copy < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "copy %s", name);
	while (offset < st.st_size)
		if (sendfile(copy, fd, &offset, (size_t)(st.st_size - offset)) <= 0)
			return err_sys(err, errno, "copy %s", name);
	r = fd_seal(copy);
	if (r < 0)
		return err_sys(err, r, "seal %s", name);
	*ret_fd = take_fd(&copy);
	return 0;
}

int seal_self(char **argv, struct err *err)
{
	_cleanup_close_ int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int copy = -1;
	char dir[PATH_MAX];
	int seals;
	int r;

	if (self < 0)
		return err_sys(err, errno, "open the program");
	seals = fcntl(self, F_GET_SEALS);
	if (seals >= 0 && (seals & FD_SEALS) == FD_SEALS)
		return 0;
	r = own_dir(dir, sizeof(dir), err);
	if (r < 0)
		return r;
	if (setenv(DIR_ENV, dir, 1) < 0)
		return err_oom(err);
	r = seal_copy(self, "croft-supervisor", &copy, err);
	if (r < 0)
		return r;
	fexecve(copy, argv, environ);
	return err_sys(err, errno, "execute the sealed program");
}

void seal_note_arguments(int argc, char **argv)
{
	char *last;

	if (argc < 1)
		return;
	/* The kernel puts them in one piece (execve(2)). */
	last = argv[argc - 1];
	arguments.start = argv[0];
	arguments.size = (size_t)(last - argv[0]) + strlen(last) + 1;
}

void seal_hide_arguments(const char *shown)
{
	if (!arguments.size)
		return;
	memset(arguments.start, 0, arguments.size);
	snprintf(arguments.start, arguments.size, "%s", shown);
}

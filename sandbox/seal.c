/* Re-execution from a sealed memfd; see seal.h. Source: memfd_create(2), CVE-2019-5736. */
#include "sandbox/seal.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#define ALL_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define DIR_ENV	  "CROFT_PROGRAM_DIR"

extern char **environ;

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

static int copy_self(int self_fd, struct err *err)
{
	_cleanup_close_ int copy = memfd_create(
		"croft-supervisor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct stat st;
	off_t offset = 0;

	if (copy < 0 || fstat(self_fd, &st) < 0)
		return err_sys(err, errno, "copy the program");
	while (offset < st.st_size)
		if (sendfile(copy, self_fd, &offset, (size_t)(st.st_size - offset)) <= 0)
			return err_sys(err, errno, "copy the program");
	if (fcntl(copy, F_ADD_SEALS, ALL_SEALS) < 0)
		return err_sys(err, errno, "seal the program");
	return take_fd(&copy);
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
	if (seals >= 0 && (seals & ALL_SEALS) == ALL_SEALS)
		return 0;
	r = own_dir(dir, sizeof(dir), err);
	if (r < 0)
		return r;
	if (setenv(DIR_ENV, dir, 1) < 0)
		return err_oom(err);
	copy = copy_self(self, err);
	if (copy < 0)
		return copy;
	fexecve(copy, argv, environ);
	return err_sys(err, errno, "execute the sealed program");
}

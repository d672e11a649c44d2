/*
 * From root of a container to one of its users; see become.h. Must never end in a directory that
 * is not the container's, nor keep a group of root's.
 */
#include "sandbox/become.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* /etc is the tenant's, and may be a link to anywhere that this process can reach. */
int become_find(const char *name, struct passwd_user *ret, struct err *err)
{
	_cleanup_close_ int etc = open("/etc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return passwd_lookup(etc, name, ret, err);
}

int become_find_image_user(const char *spec, struct passwd_user *ret, struct err *err)
{
	_cleanup_close_ int etc = open("/etc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return passwd_lookup_group(etc, spec, ret, err);
}

static int set_default(const char *name, const char *value, struct err *err)
{
	return setenv(name, value, 0) < 0 ? err_oom(err) : 0;
}

int become_set_environment(char **envp, const struct passwd_user *user, bool tty, struct err *err)
{
	int r = 0;

	clearenv();
	for (char **env = envp; *env; env++)
		if (strchr(*env, '=') && putenv(*env) != 0)
			return err_oom(err);
	r = set_default("PATH", DEFAULT_PATH, err);
	if (r == 0)
		r = set_default("HOME", user->home, err);
	if (r == 0 && *user->name)
		r = set_default("USER", user->name, err);
	if (r == 0 && tty)
		r = set_default("TERM", "xterm", err);
	return r;
}

int become_user(const struct passwd_user *user, struct err *err)
{
	if (setgroups(user->n_groups, user->groups) < 0 ||
		setresgid(user->gid, user->gid, user->gid) < 0 ||
		setresuid(user->uid, user->uid, user->uid) < 0)
		return err_sys(err, errno, "become the user");
	return 0;
}

int become_enter_directory(const char *working_dir, const struct passwd_user *user, struct err *err)
{
	char path[PATH_MAX];

	if (*working_dir) {
		if (chdir(working_dir) < 0)
			return err_set(err, ERR_NOT_FOUND, "EXEC_NO_DIRECTORY",
				"cannot enter %.100s in the container: %s", working_dir,
				strerror(errno));
	} else if (chdir(user->home) < 0 && chdir("/") < 0) {
		return err_sys(err, errno, "enter /");
	}
	/* The kernel says "(unreachable)" of what lies outside the root. */
	if (syscall(SYS_getcwd, path, sizeof(path)) < 0 || path[0] != '/')
		return err_set(err, ERR_NOT_FOUND, "EXEC_NO_DIRECTORY",
			"the working directory is not one of the container's");
	return 0;
}

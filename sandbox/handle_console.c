/*
 * A console's master that croftd gives back to a supervisor which has none: so it outlives either
 * of the two. It is only held, and passed on to the next croftd. Must never be read or written, nor
 * be anything but the master of a pty.
 */
#include "sandbox/handlers.h"

#include "base/cleanup.h"
#include "sandbox/container.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* Of /dev/ptmx, see pts(4) and the kernel's admin-guide/devices.txt. */
#define PTMX_MAJOR 5
#define PTMX_MINOR 2

static bool is_pty_master(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(PTMX_MAJOR, PTMX_MINOR);
}

static int keep(struct supervisor *s, const struct msg_console_keep *in, int *fd, struct err *err)
{
	struct container *c;

	if (handler_check_names(in->tenant, in->container, err) < 0)
		return -EINVAL;
	if (!is_pty_master(*fd))
		return err_set(err, ERR_INVALID_ARGUMENT, "CONSOLE_DESCRIPTOR",
			"a console is a pty's master");
	c = container_find_running(s, in->tenant, in->container, err);
	if (!c)
		return -EBUSY;
	if (strncmp(c->file.run_id, in->run_id, sizeof(in->run_id)) != 0 || c->console_fd >= 0)
		return err_set(err, ERR_FAILED_PRECONDITION, "CONSOLE_NOT_WANTED",
			"that run has its console, or is over");
	c->console_fd = take_fd(fd);
	return 0;
}

HANDLER(handle_console_keep)
{
	struct err err;
	int r = keep(s, msg, &fds[0], &err);

	(void)n_fds;
	handler_answer(s, request, r, &err);
}

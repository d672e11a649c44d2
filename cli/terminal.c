/* Terminal modes; see terminal.h. Whoever makes a terminal raw restores it on every path. */
#include "cli/terminal.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

void terminal_init(struct terminal *t)
{
	*t = (struct terminal){.fd = -1};
}

int terminal_make_raw(struct terminal *t, int fd, struct err *err)
{
	struct termios raw;

	if (tcgetattr(fd, &t->saved) < 0)
		return err_sys(err, errno, "read the terminal's mode");
	raw = t->saved;
	cfmakeraw(&raw);
	if (tcsetattr(fd, TCSADRAIN, &raw) < 0)
		return err_sys(err, errno, "set the terminal's mode");
	t->fd = fd;
	t->raw = true;
	return 0;
}

void terminal_restore(struct terminal *t)
{
	if (!t->raw)
		return;
	tcsetattr(t->fd, TCSADRAIN, &t->saved);
	t->raw = false;
}

bool terminal_size(int fd, uint32_t *ret_rows, uint32_t *ret_columns)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) < 0 || !size.ws_row || !size.ws_col)
		return false;
	*ret_rows = size.ws_row;
	*ret_columns = size.ws_col;
	return true;
}

/* Terminal modes; see terminal.h. Whoever makes a terminal raw restores it on every path. */
#include "cli/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
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

int terminal_open_signals(const int *signals, size_t n, int *ret_fd, struct err *err)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < n; i++)
		sigaddset(&set, signals[i]);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_sys(err, errno, "hold signals back");
	*ret_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return *ret_fd < 0 ? err_sys(err, errno, "receive signals") : 0;
}

void terminal_reset_screen(int fd)
{
	static const char reset[] = "\033[!p"	  /* DECSTR: modes, margins, colours */
				    "\033[?1047l" /* the first screen */
				    "\033[?1000;1002;1003;1006l" /* no mouse */
				    "\033[?2004l" /* no marks around what is pasted */
				    "\033(B\017"; /* ASCII */
	const char *term = getenv("TERM");

	if (!term || !*term || !strcmp(term, "dumb"))
		return;
	if (write(fd, reset, sizeof(reset) - 1) < 0)
		return; /* a terminal that is gone needs none */
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

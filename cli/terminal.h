/* The caller's terminal: its size, and raw mode for as long as another terminal is behind it. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

struct terminal {
	int fd;
	bool raw;
	struct termios saved;
};

/* Nothing to restore yet. */
void terminal_init(struct terminal *t);
/* Switches fd, a terminal, to raw mode. Returns 0 or -errno. */
int terminal_make_raw(struct terminal *t, int fd, struct err *err);
/* Puts the mode back that terminal_make_raw() found; harmless otherwise, and when repeated. */
void terminal_restore(struct terminal *t);

/*
 * Makes signals readable bytes (struct signalfd_siginfo), so that none can end croft with the
 * terminal still raw; SIGPIPE is ignored. Returns 0 with a non-blocking descriptor, or -errno.
 */
int terminal_open_signals(const int *signals, size_t n, int *ret_fd, struct err *err);

/*
 * Undoes what programs behind a terminal may have left on its screen: the other screen, mouse and
 * paste reports, a hidden cursor, another character set, colours (xterm's control sequences). The
 * text stays. Nothing where TERM says that there are no such sequences.
 */
void terminal_reset_screen(int fd);

/* The size of the window of fd; false when it is no terminal or does not know. */
bool terminal_size(int fd, uint32_t *ret_rows, uint32_t *ret_columns);

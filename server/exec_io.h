/*
 * The server's ends of a command's pipes or pty: buffered input, bounded output, end of file.
 * Knows nothing of calls; who owns it is told by callbacks.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event;
struct event_base;
struct evbuffer;

#define EXEC_IO_CHUNK (32u << 10)

struct exec_io_ops {
	/* Output of the command: stream 1 or 2. False: no more until exec_io_resume(). */
	bool (*output)(void *arg, int stream, const void *data, size_t size);
	/* Everything that was given as input was taken. */
	void (*input_drained)(void *arg);
};

struct exec_io {
	const struct exec_io_ops *ops;
	void *arg;
	int in_fd; /* of a pty: the same as out_fd[0], which owns it */
	int out_fd[2];
	bool tty;
	bool close_wanted; /* after what is buffered */
	struct evbuffer *input;
	struct event *writable;
	struct event *readable[2];
};

void exec_io_init(struct exec_io *io, const struct exec_io_ops *ops, void *arg);
/*
 * Makes three pipes; ret_theirs (stdin, stdout, stderr) are the caller's, to be passed on and
 * closed.
 */
int exec_io_make_pipes(struct exec_io *io, int ret_theirs[static 3], struct err *err);
/* Takes a pty's master. */
void exec_io_take_pty(struct exec_io *io, int master);
/* Begins reading and writing. */
int exec_io_begin(struct exec_io *io, struct event_base *base, struct err *err);
void exec_io_finish(struct exec_io *io);

/* Queues input. True when all of it was taken at once. */
bool exec_io_write(struct exec_io *io, const void *data, size_t size);
/* End of input, after what is queued; on a pty the end-of-file character. */
void exec_io_close_input(struct exec_io *io);
void exec_io_resume(struct exec_io *io);
void exec_io_resize(struct exec_io *io, uint16_t rows, uint16_t columns);
/* The command has ended: gives what is left in the pipes, a bounded amount. */
void exec_io_drain(struct exec_io *io);

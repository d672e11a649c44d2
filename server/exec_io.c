/* Moving bytes between a command and a call; see exec_io.h. Must never block or buffer without end.
 */
#include "server/exec_io.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#define DRAIN_MAX (1u << 20)
/* The default end-of-file character of a terminal, see termios(3). */
#define TTY_EOF "\004"

void exec_io_init(struct exec_io *io, const struct exec_io_ops *ops, void *arg)
{
	memset(io, 0, sizeof(*io));
	io->ops = ops;
	io->arg = arg;
	io->in_fd = -1;
	io->out_fd[0] = -1;
	io->out_fd[1] = -1;
}

int exec_io_make_pipes(struct exec_io *io, int ret_theirs[static 3], struct err *err)
{
	int pipes[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}};

	for (int i = 0; i < 3; i++) {
		/*
		 * Readable and writable for the container's users, to whom croftd is a stranger:
		 * so /dev/stdout can be opened. Nobody else has a way to a pipe.
		 */
		if (pipe2(pipes[i], O_CLOEXEC) == 0 && fchmod(pipes[i][0], 0666) == 0)
			continue;
		int r = err_sys(err, errno, "make a pipe");

		for (; i >= 0; i--) {
			close_fd(&pipes[i][0]);
			close_fd(&pipes[i][1]);
		}
		return r;
	}
	ret_theirs[0] = pipes[0][0];
	io->in_fd = pipes[0][1];
	for (int i = 0; i < 2; i++) {
		io->out_fd[i] = pipes[i + 1][0];
		ret_theirs[i + 1] = pipes[i + 1][1];
	}
	return 0;
}

void exec_io_take_pty(struct exec_io *io, int master)
{
	io->tty = true;
	io->out_fd[0] = master;
	io->in_fd = master;
}

static void close_input(struct exec_io *io)
{
	if (io->writable)
		event_del(io->writable);
	if (io->input)
		evbuffer_drain(io->input, evbuffer_get_length(io->input));
	if (!io->tty)
		close_fd(&io->in_fd);
	io->in_fd = -1;
}

/* Writes what is buffered. True when nothing is left. */
static bool flush(struct exec_io *io)
{
	int n;

	if (io->in_fd < 0)
		return true;
	while (evbuffer_get_length(io->input)) {
		n = evbuffer_write(io->input, io->in_fd);
		if (n < 0 && errno == EAGAIN) {
			event_add(io->writable, NULL);
			return false;
		}
		if (n <= 0) {
			/* The command closed its input: what comes is for nobody. */
			close_input(io);
			return true;
		}
	}
	if (io->close_wanted)
		close_input(io);
	return true;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct exec_io *io = arg;

	(void)fd;
	(void)what;
	if (flush(io))
		io->ops->input_drained(io->arg);
}

static void end_output(struct exec_io *io, int i)
{
	if (io->readable[i])
		event_del(io->readable[i]);
	if (io->tty)
		io->in_fd = -1;
	close_fd(&io->out_fd[i]);
}

/* Reads one chunk. Returns its size, 0 at the end, -EAGAIN when there is none now. */
static ssize_t read_chunk(struct exec_io *io, int i, bool *ret_more)
{
	uint8_t buf[EXEC_IO_CHUNK];
	ssize_t n = read(io->out_fd[i], buf, sizeof(buf));

	*ret_more = false;
	/* A pty's master gives EIO when the last process has closed the other side. */
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : 0;
	if (n > 0)
		*ret_more = io->ops->output(io->arg, i + 1, buf, (size_t)n);
	return n;
}

static void read_output(struct exec_io *io, int i)
{
	bool more;

	if (read_chunk(io, i, &more) == 0)
		end_output(io, i);
	else if (!more && io->out_fd[i] >= 0)
		event_del(io->readable[i]);
}

static void on_stdout(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	read_output(arg, 0);
}

static void on_stderr(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	read_output(arg, 1);
}

int exec_io_begin(struct exec_io *io, struct event_base *base, struct err *err)
{
	static const event_callback_fn callbacks[] = {on_stdout, on_stderr};

	io->input = evbuffer_new();
	io->writable = event_new(base, io->in_fd, EV_WRITE, on_writable, io);
	if (!io->input || !io->writable || fd_set_nonblock(io->in_fd, true) < 0)
		return err_oom(err);
	for (int i = 0; i < 2; i++) {
		if (io->out_fd[i] < 0)
			continue;
		io->readable[i] = event_new(
			base, io->out_fd[i], EV_READ | EV_PERSIST, callbacks[i], io);
		if (!io->readable[i] || fd_set_nonblock(io->out_fd[i], true) < 0 ||
			event_add(io->readable[i], NULL) < 0)
			return err_oom(err);
	}
	if (io->close_wanted) {
		io->close_wanted = false;
		exec_io_close_input(io);
	}
	return 0;
}

void exec_io_finish(struct exec_io *io)
{
	if (io->writable)
		event_free(io->writable);
	io->writable = NULL;
	for (int i = 0; i < 2; i++) {
		if (io->readable[i])
			event_free(io->readable[i]);
		io->readable[i] = NULL;
	}
	if (!io->tty)
		close_fd(&io->in_fd);
	io->in_fd = -1;
	close_fd(&io->out_fd[0]);
	close_fd(&io->out_fd[1]);
	if (io->input)
		evbuffer_free(io->input);
	io->input = NULL;
}

bool exec_io_write(struct exec_io *io, const void *data, size_t size)
{
	if (io->in_fd < 0 || !io->input || io->close_wanted)
		return true;
	if (evbuffer_add(io->input, data, size) < 0) {
		close_input(io);
		return true;
	}
	return flush(io);
}

void exec_io_close_input(struct exec_io *io)
{
	if (!io->input) {
		/* Before it has begun: done by exec_io_begin(). */
		io->close_wanted = true;
		return;
	}
	if (io->in_fd < 0 || io->close_wanted)
		return;
	if (io->tty) {
		exec_io_write(io, TTY_EOF, strlen(TTY_EOF));
		return;
	}
	io->close_wanted = true;
	flush(io);
}

void exec_io_resume(struct exec_io *io)
{
	for (int i = 0; i < 2; i++)
		if (io->readable[i] && io->out_fd[i] >= 0)
			event_add(io->readable[i], NULL);
}

void exec_io_resize(struct exec_io *io, uint16_t rows, uint16_t columns)
{
	struct winsize size = {.ws_row = rows, .ws_col = columns};

	if (io->tty && io->out_fd[0] >= 0)
		ioctl(io->out_fd[0], TIOCSWINSZ, &size);
}

void exec_io_drain(struct exec_io *io)
{
	for (int i = 0; i < 2; i++) {
		size_t taken = 0;
		ssize_t n = 1;
		bool more;

		/* Bounded: what the command left behind may go on writing. */
		while (n > 0 && taken < DRAIN_MAX && io->out_fd[i] >= 0) {
			n = read_chunk(io, i, &more);
			taken += n > 0 ? (size_t)n : 0;
		}
	}
}

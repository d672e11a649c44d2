/*
 * Drives one Exec stream; see exec_session.h. One poll loop moves standard input, both outputs,
 * signals and window sizes. It must never leave the terminal raw, read input that the command was
 * not there to take, or hold more than one message of output: a slow reader slows the command.
 */
#include "cli/exec_session.h"

#include "base/cleanup.h"
#include "cli/terminal.h"

#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#define INPUT_CHUNK 32768

enum { POLL_SIGNAL, POLL_INPUT, POLL_OUTPUT, POLL_N };

struct session {
	struct client *client;
	struct call *call;
	bool tty;
	struct terminal terminal;
	int signal_fd;
	bool started;
	bool input_open;
	bool ended; /* the stream ended in order */
	/* Output not yet written: bytes of `message` from `at` on, for `fd`. */
	ProtobufCMessage *message;
	const ProtobufCBinaryData *output;
	size_t written;
	int output_fd;
	int status; /* -1: the command has not ended */
};

static void session_finish(struct session *s)
{
	terminal_restore(&s->terminal);
	protobuf_c_message_free_unpacked(s->message, NULL);
	call_destroy(s->call);
	close_fd(&s->signal_fd);
}

static int open_signals(struct session *s, struct err *err)
{
	/* The last two are a terminal's. */
	static const int wanted[] = {
		SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGTSTP};
	size_t n = ARRAY_SIZE(wanted) - (s->tty ? 0 : 2);

	return terminal_open_signals(wanted, n, &s->signal_fd, err);
}

static void drop_output(struct session *s)
{
	protobuf_c_message_free_unpacked(s->message, NULL);
	s->message = NULL;
	s->output = NULL;
	s->written = 0;
}

/* Ends the session as if this signal had killed croft. */
static void leave(struct session *s, int signal_number)
{
	s->status = EXEC_SIGNAL + signal_number;
	drop_output(s);
}

static int send_signal(struct session *s, uint32_t number, struct err *err)
{
	Croft__V1__ExecRequest request = CROFT__V1__EXEC_REQUEST__INIT;

	request.kind_case = CROFT__V1__EXEC_REQUEST__KIND_SIGNAL;
	request.signal = number;
	return call_send(s->call, &request.base, err);
}

static int send_size(struct session *s, struct err *err)
{
	Croft__V1__ExecRequest request = CROFT__V1__EXEC_REQUEST__INIT;
	Croft__V1__WindowSize size = CROFT__V1__WINDOW_SIZE__INIT;

	if (!terminal_size(STDIN_FILENO, &size.rows, &size.columns))
		return 0;
	request.kind_case = CROFT__V1__EXEC_REQUEST__KIND_RESIZE;
	request.resize = &size;
	return call_send(s->call, &request.base, err);
}

/*
 * Before the command runs, and with a terminal (whose keys reach the command as bytes), a signal
 * is for croft: leaving hangs the command up.
 */
static int take_signals(struct session *s, struct err *err)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		int r = 0;

		if (info.ssi_signo == SIGTSTP)
			continue;
		if (info.ssi_signo == SIGWINCH)
			r = send_size(s, err);
		else if (s->started && !s->tty)
			r = send_signal(s, info.ssi_signo, err);
		else
			leave(s, (int)info.ssi_signo);
		if (r < 0)
			return r;
	}
	return 0;
}

static int take_input(struct session *s, struct err *err)
{
	Croft__V1__ExecRequest request = CROFT__V1__EXEC_REQUEST__INIT;
	uint8_t data[INPUT_CHUNK];
	ssize_t n = read(STDIN_FILENO, data, sizeof(data));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n > 0) {
		request.kind_case = CROFT__V1__EXEC_REQUEST__KIND_STDIN;
		request.stdin = (ProtobufCBinaryData){.data = data, .len = (size_t)n};
	} else {
		/* Also an error, such as EIO of a terminal that is gone: no more will come. */
		s->input_open = false;
		request.kind_case = CROFT__V1__EXEC_REQUEST__KIND_CLOSE_STDIN;
		request.close_stdin = 1;
	}
	return call_send(s->call, &request.base, err);
}

/*
 * How much can be written to a descriptor that poll() calls writable without blocking: a pipe
 * promises PIPE_BUF (pipe(7)).
 */
static size_t write_size(const struct session *s)
{
	size_t left = s->output->len - s->written;
	struct stat st;

	if (fstat(s->output_fd, &st) == 0 && S_ISREG(st.st_mode))
		return left;
	return left < PIPE_BUF ? left : PIPE_BUF;
}

static int put_output(struct session *s, struct err *err)
{
	ssize_t n = write(s->output_fd, s->output->data + s->written, write_size(s));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	/* Nobody reads any more: leave as a command in a pipeline does. */
	if (n < 0 && errno == EPIPE) {
		leave(s, SIGPIPE);
		return 0;
	}
	if (n < 0)
		return err_sys(err, errno, "write the command's output");
	s->written += (size_t)n;
	if (s->written == s->output->len)
		drop_output(s);
	return 0;
}

static int exit_status(const Croft__V1__Exit *e, int *ret_status, struct err *err)
{
	switch (e->kind) {
	case CROFT__V1__EXIT__KIND__EXITED:
		*ret_status = e->status & 0xff;
		return 0;
	case CROFT__V1__EXIT__KIND__SIGNALLED:
		*ret_status = EXEC_SIGNAL + (e->signal & 0x7f);
		return 0;
	case CROFT__V1__EXIT__KIND__OOM:
		*ret_status = EXEC_SIGNAL + SIGKILL;
		return 0;
	default:
		return err_set(err, ERR_UNKNOWN, "EXIT_UNKNOWN",
			"the command has ended, but how is not known");
	}
}

static int take_response(struct session *s, ProtobufCMessage *message, struct err *err)
{
	Croft__V1__ExecResponse *response = (void *)message;
	int r = 0;

	switch (response->kind_case) {
	case CROFT__V1__EXEC_RESPONSE__KIND_STARTED:
		s->started = true;
		break;
	case CROFT__V1__EXEC_RESPONSE__KIND_STDOUT:
	case CROFT__V1__EXEC_RESPONSE__KIND_STDERR:
		s->output_fd = response->kind_case == CROFT__V1__EXEC_RESPONSE__KIND_STDOUT
				       ? STDOUT_FILENO
				       : STDERR_FILENO;
		s->output = s->output_fd == STDOUT_FILENO ? &response->stdout : &response->stderr;
		if (s->output->len) {
			s->message = message;
			return 0;
		}
		s->output = NULL;
		break;
	case CROFT__V1__EXEC_RESPONSE__KIND_EXIT:
		r = exit_status(response->exit, &s->status, err);
		s->ended = r == 0;
		break;
	default:
		break; /* of a newer server */
	}
	protobuf_c_message_free_unpacked(message, NULL);
	return r;
}

/* Takes responses until there is output to write, nothing more has come, or the end. */
static int take_responses(struct session *s, struct err *err)
{
	while (!s->message && !s->ended) {
		ProtobufCMessage *message;
		int r = call_next(s->call, &message, err);

		if (r < 0 || r == CALL_NOTHING)
			return r < 0 ? r : 0;
		if (r == CALL_END)
			return err_set(err, ERR_INTERNAL, "EXIT_UNKNOWN",
				"the server ended the command without saying how it went");
		r = take_response(s, message, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int step(struct session *s, struct err *err)
{
	bool want_input = s->input_open && s->started && call_is_writable(s->call);
	struct pollfd fds[POLL_N] = {
		[POLL_SIGNAL] = {.fd = s->signal_fd, .events = POLLIN},
		[POLL_INPUT] = {.fd = want_input ? STDIN_FILENO : -1, .events = POLLIN},
		[POLL_OUTPUT] = {.fd = s->message ? s->output_fd : -1, .events = POLLOUT},
	};
	int r = client_wait(s->client, fds, POLL_N, -1, err);

	if (r == 0 && fds[POLL_SIGNAL].revents)
		r = take_signals(s, err);
	if (r == 0 && fds[POLL_INPUT].revents)
		r = take_input(s, err);
	/* Unless it was dropped meanwhile, by a signal to leave. */
	if (r == 0 && s->message && fds[POLL_OUTPUT].revents)
		r = put_output(s, err);
	return r;
}

static int send_start(struct session *s, const Croft__V1__ExecStart *start, struct err *err)
{
	Croft__V1__ExecRequest request = CROFT__V1__EXEC_REQUEST__INIT;

	request.kind_case = CROFT__V1__EXEC_REQUEST__KIND_START;
	request.start = (Croft__V1__ExecStart *)start;
	return call_send(s->call, &request.base, err);
}

/* The server says by its reason which of the three ways a command can fail to start it was. */
static int status_of_error(const struct err *err)
{
	if (!strcmp(err->reason, "COMMAND_NOT_FOUND"))
		return EXEC_NOT_FOUND;
	if (!strcmp(err->reason, "COMMAND_NOT_EXECUTABLE"))
		return EXEC_NOT_EXECUTABLE;
	return EXEC_REFUSED;
}

static int run(struct session *s, const Croft__V1__ExecStart *start, struct err *err)
{
	int r = open_signals(s, err);

	if (r == 0)
		r = call_open(s->client, &croft__v1__containers__descriptor, "Exec", &s->call, err);
	if (r == 0)
		r = send_start(s, start, err);
	while (r == 0) {
		r = take_responses(s, err);
		/* Raw only now: a refusal is printed on a terminal as it was. */
		if (r == 0 && s->started && s->tty && !s->terminal.raw && isatty(STDIN_FILENO))
			r = terminal_make_raw(&s->terminal, STDIN_FILENO, err);
		if (r == 0 && s->status >= 0 && !s->message)
			return 0;
		if (r == 0)
			r = step(s, err);
	}
	return r;
}

int exec_session_run(
	struct client *client, const Croft__V1__ExecStart *start, int *ret_status, struct err *err)
{
	struct session s = {
		.client = client,
		.tty = start->tty,
		.signal_fd = -1,
		.input_open = true,
		.status = -1,
	};
	int r;

	terminal_init(&s.terminal);
	r = run(&s, start, err);
	session_finish(&s);
	*ret_status = r < 0 ? status_of_error(err) : s.status;
	return r;
}

/*
 * Drives one Console stream; see console_session.h. One poll loop moves input, output, signals and
 * window sizes. It must never leave the terminal raw, or as the container's programs have set it,
 * nor hold more than one message of output: the server leaves out what is not read in time.
 */
#include "cli/console_session.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/detach.h"
#include "cli/terminal.h"

#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#define INPUT_CHUNK   4096
#define SIGNAL_STATUS 128 /* + the signal's number, as shells have it */

/*
 * After the end of the input, what it led to is still shown: until nothing has come for so long. A
 * console that is never quiet is left all the same.
 */
#define QUIET_USEC  2000000u
#define LINGER_USEC 10000000u

enum { POLL_SIGNAL, POLL_INPUT, POLL_OUTPUT, POLL_N };

struct session {
	struct client *client;
	struct call *call;
	const char *label;
	struct terminal terminal;
	struct detach detach;
	int signal_fd;
	bool interactive; /* standard input is a terminal */
	bool attached;
	bool input_open;
	/* Output not yet written: bytes of `message` from `at` on. */
	ProtobufCMessage *message;
	const ProtobufCBinaryData *output;
	size_t written;
	/* CLOCK_BOOTTIME; 0 before the console has taken the last input. */
	uint64_t quiet_usec;  /* it is left when nothing comes until then */
	uint64_t linger_usec; /* or then */
	int status;	      /* -1: it goes on */
	const char *goodbye;  /* a sentence for people, once the terminal is theirs again */
};

static void drop_output(struct session *s)
{
	protobuf_c_message_free_unpacked(s->message, NULL);
	s->message = NULL;
	s->output = NULL;
	s->written = 0;
}

static void session_finish(struct session *s)
{
	bool was_raw = s->terminal.raw;

	if (was_raw && isatty(STDOUT_FILENO))
		terminal_reset_screen(STDOUT_FILENO);
	terminal_restore(&s->terminal);
	if (s->goodbye && s->interactive)
		fprintf(stderr, "%s%s %s\n", was_raw ? "\r\n" : "", s->label, s->goodbye);
	drop_output(s);
	call_destroy(s->call);
	close_fd(&s->signal_fd);
}

static int open_signals(struct session *s, struct err *err)
{
	static const int wanted[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};

	return terminal_open_signals(wanted, ARRAY_SIZE(wanted), &s->signal_fd, err);
}

static int send_size(struct session *s, struct err *err)
{
	Croft__V1__ConsoleRequest request = CROFT__V1__CONSOLE_REQUEST__INIT;
	Croft__V1__WindowSize size = CROFT__V1__WINDOW_SIZE__INIT;

	if (!s->interactive || !terminal_size(STDIN_FILENO, &size.rows, &size.columns))
		return 0;
	request.kind_case = CROFT__V1__CONSOLE_REQUEST__KIND_RESIZE;
	request.resize = &size;
	return call_send(s->call, &request.base, err);
}

static int take_signals(struct session *s, struct err *err)
{
	struct signalfd_siginfo info;
	int r = 0;

	while (r == 0 && read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGWINCH)
			r = send_size(s, err);
		else if (info.ssi_signo != SIGTSTP)
			s->status = SIGNAL_STATUS + (int)info.ssi_signo;
	}
	return r;
}

static int send_input(struct session *s, uint8_t *data, size_t n, struct err *err)
{
	Croft__V1__ConsoleRequest request = CROFT__V1__CONSOLE_REQUEST__INIT;

	if (!n)
		return 0;
	request.kind_case = CROFT__V1__CONSOLE_REQUEST__KIND_INPUT;
	request.input = (ProtobufCBinaryData){.data = data, .len = n};
	return call_send(s->call, &request.base, err);
}

static int take_input(struct session *s, struct err *err)
{
	uint8_t in[INPUT_CHUNK];
	uint8_t out[INPUT_CHUNK + 1];
	ssize_t n = read(STDIN_FILENO, in, sizeof(in));
	size_t n_out = 0;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0) {
		/* Also an error, such as EIO of a terminal that is gone. */
		s->input_open = false;
		return call_half_close(s->call, err);
	}
	if (!s->interactive)
		return send_input(s, in, (size_t)n, err);
	if (detach_filter(&s->detach, in, (size_t)n, out, &n_out)) {
		s->status = 0;
		s->goodbye = "runs on";
		drop_output(s);
	}
	return send_input(s, out, n_out, err);
}

/* Something came, or went on: the quiet begins anew. */
static void note_life(struct session *s)
{
	s->quiet_usec = clock_boot_usec() + QUIET_USEC;
}

static int put_output(struct session *s, struct err *err)
{
	/* What poll() calls writable takes this much of a pipe without blocking (pipe(7)). */
	size_t left = s->output->len - s->written;
	ssize_t n = write(
		STDOUT_FILENO, s->output->data + s->written, left < PIPE_BUF ? left : PIPE_BUF);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n < 0 && errno == EPIPE) {
		s->status = SIGNAL_STATUS + SIGPIPE;
		return 0;
	}
	if (n < 0)
		return err_sys(err, errno, "write the console's output");
	s->written += (size_t)n;
	note_life(s);
	if (s->written == s->output->len)
		drop_output(s);
	return 0;
}

static void take_response(struct session *s, ProtobufCMessage *message)
{
	const Croft__V1__ConsoleResponse *response = (const void *)message;

	switch (response->kind_case) {
	case CROFT__V1__CONSOLE_RESPONSE__KIND_ATTACHED:
		s->attached = true;
		break;
	case CROFT__V1__CONSOLE_RESPONSE__KIND_OUTPUT:
		if (!response->output.len)
			break;
		s->output = &response->output;
		s->message = message;
		note_life(s);
		return;
	case CROFT__V1__CONSOLE_RESPONSE__KIND_INPUT_TAKEN:
		s->linger_usec = clock_boot_usec() + LINGER_USEC;
		note_life(s);
		break;
	case CROFT__V1__CONSOLE_RESPONSE__KIND_SKIPPED_BYTES:
		fprintf(stderr, "%scroft: %" PRIu64 " bytes of output were skipped%s\n",
			s->terminal.raw ? "\r\n" : "", response->skipped_bytes,
			s->terminal.raw ? "\r" : "");
		break;
	case CROFT__V1__CONSOLE_RESPONSE__KIND_EXIT:
		s->status = 0;
		s->goodbye = "has ended";
		break;
	default:
		break; /* of a newer server */
	}
	protobuf_c_message_free_unpacked(message, NULL);
}

/* Takes responses until there is output to write, nothing more has come, or the end. */
static int take_responses(struct session *s, struct err *err)
{
	while (!s->message && s->status < 0) {
		ProtobufCMessage *message;
		int r = call_next(s->call, &message, err);

		if (r < 0 || r == CALL_NOTHING)
			return r < 0 ? r : 0;
		if (r == CALL_END)
			s->status = 0;
		else
			take_response(s, message);
	}
	return 0;
}

/* How long to wait for what comes next; leaves when the time after the last input is over. */
static int time_left_ms(struct session *s)
{
	uint64_t now = clock_boot_usec();
	uint64_t end = s->quiet_usec < s->linger_usec ? s->quiet_usec : s->linger_usec;

	/* Who does not take what there is yet is given the time. */
	if (!s->linger_usec || s->message)
		return -1;
	if (now < end)
		return (int)((end - now) / 1000) + 1;
	s->status = 0;
	s->goodbye = "runs on";
	return 0;
}

static int step(struct session *s, struct err *err)
{
	bool want_input = s->input_open && s->attached && call_is_writable(s->call);
	struct pollfd fds[POLL_N] = {
		[POLL_SIGNAL] = {.fd = s->signal_fd, .events = POLLIN},
		[POLL_INPUT] = {.fd = want_input ? STDIN_FILENO : -1, .events = POLLIN},
		[POLL_OUTPUT] = {.fd = s->message ? STDOUT_FILENO : -1, .events = POLLOUT},
	};
	int r = client_wait(s->client, fds, POLL_N, time_left_ms(s), err);

	if (r == 0 && fds[POLL_SIGNAL].revents)
		r = take_signals(s, err);
	if (r == 0 && fds[POLL_INPUT].revents)
		r = take_input(s, err);
	if (r == 0 && s->message && fds[POLL_OUTPUT].revents)
		r = put_output(s, err);
	return r;
}

/* Raw only now: a refusal is printed on a terminal as it was. */
static int greet(struct session *s, struct err *err)
{
	if (!s->attached || !s->interactive || s->terminal.raw)
		return 0;
	fprintf(stderr, "Connected to %s; ^%c %c leaves it.\n", s->label, s->detach.prefix ^ 0x40,
		DETACH_KEY);
	return terminal_make_raw(&s->terminal, STDIN_FILENO, err);
}

static int run(struct session *s, const Croft__V1__ConsoleStart *start, struct err *err)
{
	Croft__V1__ConsoleRequest request = CROFT__V1__CONSOLE_REQUEST__INIT;
	int r = open_signals(s, err);

	if (r == 0)
		r = call_open(
			s->client, &croft__v1__containers__descriptor, "Console", &s->call, err);
	request.kind_case = CROFT__V1__CONSOLE_REQUEST__KIND_START;
	request.start = (Croft__V1__ConsoleStart *)start;
	if (r == 0)
		r = call_send(s->call, &request.base, err);
	while (r == 0) {
		r = take_responses(s, err);
		if (r == 0)
			r = greet(s, err);
		if (r == 0 && s->status >= 0 && !s->message)
			return 0;
		/* Whoever has left waits for no more output. */
		if (r == 0 && s->status > 0)
			return 0;
		if (r == 0)
			r = step(s, err);
	}
	return r;
}

int console_session_run(struct client *client, const Croft__V1__ConsoleStart *start,
	const char *label, uint8_t prefix, int *ret_status, struct err *err)
{
	struct session s = {
		.client = client,
		.label = label,
		.detach = {.prefix = prefix},
		.signal_fd = -1,
		.interactive = isatty(STDIN_FILENO),
		.input_open = true,
		.status = -1,
	};
	int r;

	terminal_init(&s.terminal);
	r = run(&s, start, err);
	*ret_status = r < 0 ? 1 : s.status;
	session_finish(&s);
	return r;
}

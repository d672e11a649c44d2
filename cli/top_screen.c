/*
 * The live screen of croft top; see top_screen.h. One poll loop moves the call, keys, signals and
 * sizes. It must never leave the terminal raw, on its other screen, or without a cursor.
 */
#include "cli/top_screen.h"

#include "base/cleanup.h"
#include "cli/terminal.h"
#include "cli/top_print.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>

#define SIGNAL_STATUS 128
#define CTRL_C	      3
#define CTRL_L	      12
#define ENTER_SCREEN  "\033[?1049h\033[?25l"
#define LEAVE_SCREEN  "\033[?25h\033[?1049l"

enum { POLL_SIGNAL, POLL_INPUT, POLL_N };

struct screen {
	struct client *client;
	struct call *call; /* a look that is under way; NULL: none */
	struct top_options options;
	struct top_frame frame; /* shown */
	struct top_frame next;	/* coming in */
	struct terminal terminal;
	int signal_fd;
	bool entered;
	bool stale;	    /* to be drawn */
	int64_t next_at_ms; /* the next look */
	char clock[16];
	int status; /* -1: it goes on */
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* --- Drawing ---------------------------------------------------------------------------------- */

static void count(const struct top_frame *frame, size_t *ret_tenants, size_t *ret_containers)
{
	*ret_tenants = 0;
	*ret_containers = 0;
	for (size_t i = 0; i < frame->n; i++)
		*(frame->rows[i].is_container ? ret_containers : ret_tenants) += 1;
}

static void draw_head(const struct screen *s, FILE *out, unsigned columns)
{
	char line[TOP_LINE_MAX];
	size_t containers;
	size_t tenants;

	count(&s->frame, &tenants, &containers);
	snprintf(line, sizeof(line), "croft top %s  %zu tenant%s, %zu container%s  by %s", s->clock,
		tenants, tenants == 1 ? "" : "s", containers, containers == 1 ? " runs" : "s run",
		top_key_names[s->options.key].name);
	fprintf(out, "%.*s\033[K\r\n", (int)columns, line);
	snprintf(line, sizeof(line),
		"q quit  by: c cpu m memory p pids n network i io w wait t held a name  f flat");
	fprintf(out, "%.*s\033[K\r\n", (int)columns, line);
	fprintf(out, "\033[7m%-*s\033[0m\033[K", (int)columns, top_print_heading(columns, line));
}

/* One write, so that nothing flickers. */
static int draw(struct screen *s, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	uint32_t columns = TOP_COLUMNS_MIN;
	uint32_t rows = 24;
	size_t size = 0;
	size_t shown = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return err_oom(err);
	terminal_size(STDOUT_FILENO, &rows, &columns);
	if (columns > TOP_COLUMNS_MAX)
		columns = TOP_COLUMNS_MAX;
	top_frame_sort(&s->frame, s->options.key, s->options.flat);
	fputs("\033[H", out);
	draw_head(s, out, columns);
	for (size_t i = 0; i < s->frame.n && shown + 3 < rows; i++) {
		char line[TOP_LINE_MAX];

		if (s->options.flat && !s->frame.rows[i].is_container)
			continue;
		fprintf(out, "\r\n%s\033[K",
			top_print_row(&s->frame.rows[i], columns, s->options.flat, line));
		shown++;
	}
	fputs("\033[J", out);
	if (fclose(out) != 0)
		return err_oom(err);
	s->stale = false;
	fwrite(text, 1, size, stdout);
	return output_flush(stdout, err);
}

/* --- What comes in ---------------------------------------------------------------------------- */

static void take_key(struct screen *s, char key)
{
	s->stale = true;
	if (key == 'q' || key == CTRL_C) {
		s->status = 0;
		return;
	}
	if (key == 'f')
		s->options.flat = !s->options.flat;
	for (int i = 0; i < TOP_KEYS; i++)
		if (key == top_key_names[i].letter)
			s->options.key = (enum top_key)i;
}

static void take_input(struct screen *s)
{
	char keys[64];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	/* The terminal is gone. */
	if (n <= 0)
		s->status = SIGNAL_STATUS + SIGHUP;
	for (ssize_t i = 0; i < n && s->status < 0; i++)
		take_key(s, keys[i]);
}

static void take_signals(struct screen *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGWINCH)
			s->stale = true;
		else if (info.ssi_signo != SIGTSTP)
			s->status = SIGNAL_STATUS + (int)info.ssi_signo;
	}
}

static int begin_look(struct screen *s, struct err *err)
{
	Croft__V1__ListLiveUsageRequest request = CROFT__V1__LIST_LIVE_USAGE_REQUEST__INIT;
	int r = call_open(s->client, &croft__v1__usage__descriptor, "ListLiveUsage", &s->call, err);

	request.tenant = (char *)s->options.tenant;
	s->next_at_ms = now_ms() + s->options.interval_ms;
	if (r == 0)
		r = call_send(s->call, &request.base, err);
	if (r == 0)
		r = call_half_close(s->call, err);
	return r;
}

static void end_look(struct screen *s)
{
	time_t now = time(NULL);
	struct tm tm;

	call_destroy(take_ptr(s->call));
	top_frame_finish(&s->frame);
	s->frame = s->next;
	s->next = (struct top_frame){0};
	if (localtime_r(&now, &tm))
		strftime(s->clock, sizeof(s->clock), "%H:%M:%S", &tm);
	s->stale = true;
}

static int take_rows(struct screen *s, struct err *err)
{
	while (s->call) {
		ProtobufCMessage *message;
		int r = call_next(s->call, &message, err);

		if (r < 0 || r == CALL_NOTHING)
			return r < 0 ? r : 0;
		if (r == CALL_END) {
			end_look(s);
			return 0;
		}
		r = top_frame_add(&s->next, message, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- The loop --------------------------------------------------------------------------------- */

static int open_signals(struct screen *s, struct err *err)
{
	static const int wanted[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};

	return terminal_open_signals(wanted, ARRAY_SIZE(wanted), &s->signal_fd, err);
}

/* With the first rows only: a refusal is printed on a terminal as it was. */
static int enter(struct screen *s, struct err *err)
{
	int r = terminal_make_raw(&s->terminal, STDIN_FILENO, err);

	if (r < 0)
		return r;
	s->entered = true;
	fputs(ENTER_SCREEN, stdout);
	return 0;
}

static int step(struct screen *s, struct err *err)
{
	struct pollfd fds[POLL_N] = {
		[POLL_SIGNAL] = {.fd = s->signal_fd, .events = POLLIN},
		[POLL_INPUT] = {.fd = s->entered ? STDIN_FILENO : -1, .events = POLLIN},
	};
	int64_t wait = s->next_at_ms - now_ms();
	int r = client_wait(s->client, fds, POLL_N, s->call ? -1 : (int)(wait > 0 ? wait : 0), err);

	if (r == 0 && fds[POLL_SIGNAL].revents)
		take_signals(s);
	if (r == 0 && fds[POLL_INPUT].revents)
		take_input(s);
	return r;
}

static int run(struct screen *s, struct err *err)
{
	int r = open_signals(s, err);

	while (r == 0 && s->status < 0) {
		if (!s->call && now_ms() >= s->next_at_ms)
			r = begin_look(s, err);
		if (r == 0)
			r = take_rows(s, err);
		if (r == 0 && s->stale && !s->entered)
			r = enter(s, err);
		if (r == 0 && s->stale)
			r = draw(s, err);
		if (r == 0)
			r = step(s, err);
	}
	return r;
}

static void finish(struct screen *s)
{
	if (s->entered) {
		fputs(LEAVE_SCREEN, stdout);
		fflush(stdout);
	}
	terminal_restore(&s->terminal);
	call_destroy(s->call);
	top_frame_finish(&s->frame);
	top_frame_finish(&s->next);
	close_fd(&s->signal_fd);
}

int top_screen_run(
	struct client *client, const struct top_options *options, int *ret_status, struct err *err)
{
	struct screen s = {.client = client, .options = *options, .signal_fd = -1, .status = -1};
	int r;

	terminal_init(&s.terminal);
	r = run(&s, err);
	*ret_status = r < 0 ? 1 : s.status;
	finish(&s);
	return r;
}

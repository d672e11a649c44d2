/* Streams into pipes; see feed.h. Must never block the loop, nor keep more than one message. */
#include "server/feed.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <string.h>

#define PIPE_SIZE	(1 << 20)
#define TELL_EVERY_USEC 200000u

int feed_init(struct feed *feed, struct grpc_call *call)
{
	*feed = (struct feed){.call = grpc_call_ref(call), .buffer = evbuffer_new(), .pipe = -1};
	grpc_call_set_data(call, feed);
	grpc_call_set_receiving(call, false);
	return feed->buffer ? 0 : -ENOMEM;
}

void feed_close(struct feed *feed)
{
	if (feed->writable)
		event_free(feed->writable);
	feed->writable = NULL;
	feed->closed = true;
	close_fd(&feed->pipe);
	if (feed->buffer)
		evbuffer_drain(feed->buffer, evbuffer_get_length(feed->buffer));
}

void feed_finish(struct feed *feed)
{
	feed_close(feed);
	if (feed->buffer)
		evbuffer_free(feed->buffer);
	feed->buffer = NULL;
	grpc_call_set_data(feed->call, NULL);
	grpc_call_unref(feed->call);
	feed->call = NULL;
}

void feed_flush(struct feed *feed)
{
	while (feed->pipe >= 0 && evbuffer_get_length(feed->buffer)) {
		int n = evbuffer_write(feed->buffer, feed->pipe);

		if (n < 0 && errno == EAGAIN) {
			event_add(feed->writable, NULL);
			return;
		}
		/* Its reader has stopped: the answer says why. */
		if (n <= 0)
			feed_close(feed);
	}
	if (feed->ending)
		feed_close(feed);
	else
		grpc_call_set_receiving(feed->call, true);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	feed_flush(arg);
}

void feed_message(struct grpc_call *call, bool is_data, const ProtobufCBinaryData *data)
{
	struct feed *feed = grpc_call_data(call);

	if (!feed || !is_data || feed->closed)
		return;
	if (evbuffer_add(feed->buffer, data->data, data->len) < 0) {
		feed_close(feed);
		return;
	}
	/* Let through again when the pipe has taken it. */
	grpc_call_set_receiving(feed->call, false);
	if (feed->pipe >= 0)
		feed_flush(feed);
}

void feed_half_closed(struct grpc_call *call)
{
	struct feed *feed = grpc_call_data(call);

	if (!feed)
		return;
	feed->ending = true;
	if (feed->pipe >= 0)
		feed_flush(feed);
}

void feed_cancelled(struct grpc_call *call)
{
	struct feed *feed = grpc_call_data(call);

	if (!feed)
		return;
	feed->cancelled = true;
	feed_close(feed);
}

bool feed_tells(struct feed *feed)
{
	uint64_t now = clock_boot_usec();

	if (now - feed->told_boot_usec < TELL_EVERY_USEC || !grpc_call_writable(feed->call))
		return false;
	feed->told_boot_usec = now;
	return true;
}

int feed_open(struct feed *feed, struct event_base *base, int *ret_theirs, struct err *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "make a pipe");
	feed->pipe = fds[1];
	*ret_theirs = fds[0];
	/* Larger where the host allows it; the default works too. */
	fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE);
	feed->writable = event_new(base, feed->pipe, EV_WRITE, on_writable, feed);
	if (!feed->writable || fd_set_nonblock(feed->pipe, true) < 0)
		return err_oom(err);
	return 0;
}

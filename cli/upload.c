/*
 * One stream of a file; see upload.h. Reads the file only as fast as the server takes it, and stops
 * reading as soon as the server has refused.
 */
#include "cli/upload.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "cli/progress.h"

#include <string.h>

#define CHUNK (128u << 10)

struct upload {
	struct client *client;
	const struct upload_method *method;
	struct call *call;
	struct archive_source *source;
	bool at_end; /* it has been read */
	uint64_t sent_bytes;
	uint64_t total_bytes; /* 0: unknown */
	uint64_t unpacked_entries;
	struct progress progress;
	uint8_t *chunk;
	ProtobufCMessage *result; /* from the last response */
	bool ended;
};

static void show_progress(struct upload *u)
{
	char sent[LIMIT_TEXT_MAX];
	char total[LIMIT_TEXT_MAX + 4] = "";
	char size[LIMIT_TEXT_MAX];

	if (u->total_bytes)
		snprintf(total, sizeof(total), " of %s", size_format(u->total_bytes, size));
	progress_show(&u->progress, "sent %s%s, %lu entries unpacked",
		size_format(u->sent_bytes, sent), total, (unsigned long)u->unpacked_entries);
}

static int send_chunk(struct upload *u, struct err *err)
{
	ssize_t n = archive_source_read(u->source, u->chunk, CHUNK, err);

	if (n < 0)
		return n == -EAGAIN ? 0 : (int)n;
	if (n == 0) {
		u->at_end = true;
		return call_half_close(u->call, err);
	}
	u->sent_bytes += (uint64_t)n;
	return u->method->send_data(u->call, u->chunk, (size_t)n, err);
}

static void take_response(struct upload *u, ProtobufCMessage *response)
{
	ProtobufCMessage *result = u->method->take(response, &u->unpacked_entries);

	if (!result)
		return;
	if (u->result)
		protobuf_c_message_free_unpacked(u->result, NULL);
	u->result = result;
}

static int take_responses(struct upload *u, struct err *err)
{
	for (;;) {
		_cleanup_message_ ProtobufCMessage *message = NULL;
		int r = call_next(u->call, &message, err);

		if (r == CALL_END)
			u->ended = true;
		if (r != CALL_MESSAGE)
			return r < 0 ? r : 0;
		/* Whatever is printed about it is not printed into the line of progress. */
		progress_clear(&u->progress);
		take_response(u, message);
	}
}

static int run(struct upload *u, const ProtobufCMessage *start, struct err *err)
{
	int r = call_open(u->client, u->method->service, u->method->name, &u->call, err);

	if (r == 0)
		r = call_send(u->call, start, err);
	while (r == 0) {
		bool want = !u->at_end && call_is_writable(u->call);
		struct pollfd input = {
			.fd = want ? archive_source_poll_fd(u->source) : -1, .events = POLLIN};

		r = client_wait(u->client, &input, 1, -1, err);
		if (r == 0)
			r = take_responses(u, err);
		if (r == 0 && u->ended)
			return 0;
		if (r == 0 && input.revents)
			r = send_chunk(u, err);
		show_progress(u);
	}
	return r;
}

int upload(struct client *client, const struct upload_method *method, const ProtobufCMessage *start,
	struct archive_source *source, ProtobufCMessage **ret, struct err *err)
{
	_cleanup_free_ uint8_t *chunk = malloc(CHUNK);
	struct upload u = {.client = client, .method = method, .source = source, .chunk = chunk};
	int r;

	if (!chunk)
		return err_oom(err);
	u.total_bytes = archive_source_size(source);
	progress_init(&u.progress);
	r = run(&u, start, err);
	progress_clear(&u.progress);
	call_destroy(u.call);
	if (r == 0 && !u.result)
		r = err_set(err, ERR_INTERNAL, "REPLY_COUNT", "%s", method->no_result);
	if (r < 0) {
		if (u.result)
			protobuf_c_message_free_unpacked(u.result, NULL);
		return r;
	}
	*ret = u.result;
	return 0;
}

/*
 * One ImportImage stream; see image_upload.h. Reads the archive only as fast as the server takes
 * it, and stops reading as soon as the server has refused.
 */
#include "cli/image_upload.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "cli/progress.h"
#include "cli/uuid.h"
#include "croft/v1/images.pb-c.h"

#include <string.h>

#define CHUNK (128u << 10)

struct upload {
	struct client *client;
	struct call *call;
	const struct image_upload *what;
	bool at_end; /* the archive has been read */
	uint64_t sent_bytes;
	uint64_t total_bytes; /* 0: unknown */
	uint64_t unpacked_entries;
	struct progress progress;
	uint8_t *chunk;
	Croft__V1__Image *image; /* from the last response */
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

static int send_start(struct upload *u, struct err *err)
{
	Croft__V1__ImportImageRequest request = CROFT__V1__IMPORT_IMAGE_REQUEST__INIT;
	Croft__V1__ImportImageStart start = CROFT__V1__IMPORT_IMAGE_START__INIT;
	char request_id[UUID_SIZE];

	if (uuid_random(request_id, err) < 0)
		return -EIO;
	start.image_id = (char *)u->what->id;
	start.init = (char *)u->what->init;
	start.reference = (char *)u->what->reference;
	start.request_id = request_id;
	request.kind_case = CROFT__V1__IMPORT_IMAGE_REQUEST__KIND_START;
	request.start = &start;
	return call_send(u->call, &request.base, err);
}

static int send_chunk(struct upload *u, struct err *err)
{
	Croft__V1__ImportImageRequest request = CROFT__V1__IMPORT_IMAGE_REQUEST__INIT;
	ssize_t n = archive_source_read(u->what->source, u->chunk, CHUNK, err);

	if (n < 0)
		return n == -EAGAIN ? 0 : (int)n;
	if (n == 0) {
		u->at_end = true;
		return call_half_close(u->call, err);
	}
	u->sent_bytes += (uint64_t)n;
	request.kind_case = CROFT__V1__IMPORT_IMAGE_REQUEST__KIND_DATA;
	request.data = (ProtobufCBinaryData){.data = u->chunk, .len = (size_t)n};
	return call_send(u->call, &request.base, err);
}

static void take_response(struct upload *u, Croft__V1__ImportImageResponse *response)
{
	if (response->kind_case == CROFT__V1__IMPORT_IMAGE_RESPONSE__KIND_PROGRESS)
		u->unpacked_entries = response->progress->entries;
	if (response->n_warnings)
		progress_clear(&u->progress);
	for (size_t i = 0; i < response->n_warnings; i++)
		fprintf(stderr, "croft: warning: %s\n", response->warnings[i]);
	if (response->kind_case == CROFT__V1__IMPORT_IMAGE_RESPONSE__KIND_IMAGE) {
		if (u->image)
			croft__v1__image__free_unpacked(u->image, NULL);
		u->image = take_ptr(response->image);
		response->kind_case = CROFT__V1__IMPORT_IMAGE_RESPONSE__KIND__NOT_SET;
	}
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
		take_response(u, (void *)message);
	}
}

static int run(struct upload *u, struct err *err)
{
	int r = call_open(u->client, &croft__v1__images__descriptor, "ImportImage", &u->call, err);

	if (r == 0)
		r = send_start(u, err);
	while (r == 0) {
		bool want = !u->at_end && call_is_writable(u->call);
		struct pollfd input = {.fd = want ? archive_source_poll_fd(u->what->source) : -1,
			.events = POLLIN};

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

int image_upload(struct client *client, const struct image_upload *what,
	ProtobufCMessage **ret_image, struct err *err)
{
	_cleanup_free_ uint8_t *chunk = malloc(CHUNK);
	struct upload u = {.client = client, .what = what, .chunk = chunk};
	int r;

	if (!chunk)
		return err_oom(err);
	u.total_bytes = archive_source_size(what->source);
	progress_init(&u.progress);
	r = run(&u, err);
	progress_clear(&u.progress);
	call_destroy(u.call);
	if (r == 0 && !u.image)
		r = err_set(err, ERR_INTERNAL, "REPLY_COUNT",
			"the server ended the import without an image");
	if (r < 0) {
		if (u.image)
			croft__v1__image__free_unpacked(u.image, NULL);
		return r;
	}
	*ret_image = &u.image->base;
	return 0;
}

/* ImportImage's messages; see image_upload.h. */
#include "cli/image_upload.h"

#include "base/cleanup.h"
#include "cli/upload.h"
#include "cli/uuid.h"
#include "croft/v1/images.pb-c.h"

#include <stdio.h>

static int send_data(struct call *call, void *data, size_t size, struct err *err)
{
	Croft__V1__ImportImageRequest request = CROFT__V1__IMPORT_IMAGE_REQUEST__INIT;

	request.kind_case = CROFT__V1__IMPORT_IMAGE_REQUEST__KIND_DATA;
	request.data = (ProtobufCBinaryData){.data = data, .len = size};
	return call_send(call, &request.base, err);
}

static ProtobufCMessage *take(ProtobufCMessage *message, uint64_t *entries)
{
	Croft__V1__ImportImageResponse *response = (void *)message;
	Croft__V1__Image *image;

	if (response->kind_case == CROFT__V1__IMPORT_IMAGE_RESPONSE__KIND_PROGRESS)
		*entries = response->progress->entries;
	for (size_t i = 0; i < response->n_warnings; i++)
		fprintf(stderr, "croft: warning: %s\n", response->warnings[i]);
	if (response->kind_case != CROFT__V1__IMPORT_IMAGE_RESPONSE__KIND_IMAGE)
		return NULL;
	image = take_ptr(response->image);
	response->kind_case = CROFT__V1__IMPORT_IMAGE_RESPONSE__KIND__NOT_SET;
	return image ? &image->base : NULL;
}

int image_upload(struct client *client, const struct image_upload *what,
	ProtobufCMessage **ret_image, struct err *err)
{
	static const struct upload_method method = {
		.service = &croft__v1__images__descriptor,
		.name = "ImportImage",
		.send_data = send_data,
		.take = take,
		.no_result = "the server ended the import without an image",
	};
	Croft__V1__ImportImageRequest request = CROFT__V1__IMPORT_IMAGE_REQUEST__INIT;
	Croft__V1__ImportImageStart start = CROFT__V1__IMPORT_IMAGE_START__INIT;
	char request_id[UUID_SIZE];

	if (uuid_random(request_id, err) < 0)
		return -EIO;
	start.image_id = (char *)what->id;
	start.init = (char *)what->init;
	start.reference = (char *)what->reference;
	start.request_id = request_id;
	request.kind_case = CROFT__V1__IMPORT_IMAGE_REQUEST__KIND_START;
	request.start = &start;
	return upload(client, &method, &request.base, what->source, ret_image, err);
}

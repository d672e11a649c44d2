/* Sending an archive to ImportImage, with progress for a terminal. */
#pragma once

#include "cli/client.h"

/*
 * Sends all of fd (a file or a pipe, from where it stands) as the image `id`; init is "" or an
 * absolute path. Returns 0 with the croft.v1.Image the caller's, or -errno.
 */
int image_upload(struct client *client, const char *id, const char *init, int fd,
	ProtobufCMessage **ret_image, struct err *err);

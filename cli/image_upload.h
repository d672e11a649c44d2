/* Sending an archive to ImportImage, with progress for a terminal. */
#pragma once

#include "cli/archive_source.h"
#include "cli/client.h"

struct image_upload {
	const char *id;
	const char *init;      /* "" or an absolute path */
	const char *reference; /* which of several images; "": the only one */
	struct archive_source *source;
};

/* Sends all of the source. Returns 0 with the croft.v1.Image the caller's, or -errno. */
int image_upload(struct client *client, const struct image_upload *what,
	ProtobufCMessage **ret_image, struct err *err);

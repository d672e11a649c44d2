/* Sending a file by a method that takes its start and then its bytes, with progress on a terminal.
 */
#pragma once

#include "cli/archive_source.h"
#include "cli/client.h"

struct upload_method {
	const ProtobufCServiceDescriptor *service;
	const char *name;
	/* Sends one piece as a request. */
	int (*send_data)(struct call *call, void *data, size_t size, struct err *err);
	/*
	 * Looks at a response: what it says of progress, and the result, which becomes the
	 * caller's; NULL: not yet.
	 */
	ProtobufCMessage *(*take)(ProtobufCMessage *response, uint64_t *entries);
	const char *no_result; /* what is wrong when the server ends without one */
};

/* start is the first request. Returns 0 with the result the caller's, or -errno. */
int upload(struct client *client, const struct upload_method *method, const ProtobufCMessage *start,
	struct archive_source *source, ProtobufCMessage **ret, struct err *err);

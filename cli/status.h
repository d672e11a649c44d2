/*
 * How a call ended: grpc-status, grpc-message and grpc-status-details-bin as a struct err.
 * Source: gRPC's PROTOCOL-HTTP2.md ("Responses", "Status and Error codes").
 */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define STATUS_DETAILS_MAX (16u << 10) /* of base64; the server's headers are below 8 KiB */
#define STATUS_MESSAGE_MAX 2048u

/* What the trailers said; values are cut at their limits. */
struct status {
	int http_status; /* 0: none seen */
	int grpc_status; /* -1: none seen */
	char message[STATUS_MESSAGE_MAX];
	char content_type[64];
	char *details; /* base64, owned; NULL: none */
};

void status_init(struct status *status);
void status_finish(struct status *status);

/* Takes one header or trailer; ignores those that do not matter. Returns 0 or -ENOMEM. */
int status_add_header(struct status *status, const char *name, size_t name_size, const char *value,
	size_t value_size);

/*
 * The result of a call whose stream ended in order: 0 for status OK, else err filled with the
 * server's code and sentence, and its reason and subject from google.rpc.ErrorInfo.
 */
int status_to_err(const struct status *status, struct err *err);

/*
 * The result of a stream that the peer reset with this HTTP/2 error code before any grpc-status.
 * Never 0.
 */
int status_from_reset(uint32_t http2_error, struct err *err);

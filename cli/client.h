/*
 * A gRPC client over one connection: nghttp2 on a non-blocking socket, driven by poll(2).
 *
 * Unary calls and plain receiving block (call_unary(), call_receive()). A bidirectional stream is
 * driven by its owner: poll the connection beside other descriptors with client_wait(), then take
 * what arrived with call_next(). What is not taken is not acknowledged to the peer, so a reader
 * that stops makes the server stop (HTTP/2 flow control).
 */
#pragma once

#include "base/err.h"

#include <poll.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

#define CLIENT_MESSAGE_MAX (4u << 20) /* a larger message from the server is an error */

struct client;
struct call;

/* Connects to an address of dial.h. Returns 0 with the client the caller's, or dial's errors. */
int client_connect(const char *address, struct client **ret, struct err *err);
/* Closes the connection; calls of it must have been destroyed. NULL is allowed. */
void client_destroy(struct client *client);

/*
 * Waits until the connection or one of the n descriptors of `others` is ready (their revents are
 * set), at most timeout_ms (-1: for ever), then moves what the connection can. Returns 0, also
 * when only time passed, a signal arrived or the connection was lost: call_next() reports that,
 * behind what arrived before. -errno when waiting itself failed.
 */
int client_wait(
	struct client *client, struct pollfd *others, size_t n, int timeout_ms, struct err *err);

/*
 * Opens a call of a method by its name in the service's descriptor. Returns 0 with the call the
 * caller's.
 */
int call_open(struct client *client, const ProtobufCServiceDescriptor *service, const char *method,
	struct call **ret, struct err *err);
/* Cancels the call if it has not ended, and frees it. NULL is allowed. */
void call_destroy(struct call *call);

/* Queues a message; client_wait() or the next receiving sends it. Returns 0 or -errno. */
int call_send(struct call *call, const ProtobufCMessage *message, struct err *err);
/* No more messages will be sent. */
int call_half_close(struct call *call, struct err *err);
/* False while so much is queued that the caller should let the peer take some first. */
bool call_is_writable(const struct call *call);

enum call_event {
	CALL_NOTHING, /* no whole message yet: client_wait() */
	CALL_MESSAGE, /* *ret_message, the caller's to free */
	CALL_END,     /* ended with status OK */
};

/*
 * Takes what has arrived, without waiting. Returns an enum call_event, or the negative errno of
 * the status the call ended with (err holds the server's sentence).
 */
int call_next(struct call *call, ProtobufCMessage **ret_message, struct err *err);
/* As call_next(), but waits: never CALL_NOTHING. */
int call_receive(struct call *call, ProtobufCMessage **ret_message, struct err *err);

/*
 * Sends one request and waits for its reply, the caller's to free. An empty `request_id` of the
 * request is filled with a random one (and put back). Returns 0 or the status's -errno.
 */
int call_unary(struct client *client, const ProtobufCServiceDescriptor *service, const char *method,
	ProtobufCMessage *request, ProtobufCMessage **ret_reply, struct err *err);

static inline void cleanup_call(struct call **call)
{
	call_destroy(*call);
}

static inline void cleanup_message(ProtobufCMessage **message)
{
	protobuf_c_message_free_unpacked(*message, NULL);
}

#define _cleanup_call_	  __attribute__((cleanup(cleanup_call)))
#define _cleanup_message_ __attribute__((cleanup(cleanup_message)))

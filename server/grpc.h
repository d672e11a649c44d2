/*
 * gRPC over HTTP/2: nghttp2 on libevent bufferevents, messages by protobuf-c.
 *
 * The rules are those of gRPC's PROTOCOL-HTTP2.md, the limits those below. A handler sees calls
 * and messages, never frames. Everything here runs on the loop's thread.
 */
#pragma once

#include "base/err.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct event_base;
struct grpc_server;
struct grpc_call;

#define GRPC_MESSAGE_MAX     (4u << 20) /* larger: RESOURCE_EXHAUSTED */
#define GRPC_HEADERS_MAX     8192u
#define GRPC_STREAMS_MAX     64u	/* concurrent calls a connection */
#define GRPC_SEND_BUFFER_MAX (1u << 20) /* a call with more unsent than this is not writable */
#define GRPC_IDLE_SECONDS    600u	/* without a call: the connection is ended in order */
#define GRPC_ADMIN_GROUP     "croft-admin"
#define GRPC_WRITE_SECONDS   60u /* that a client reads nothing of what waits: it is dropped */

enum grpc_role { GRPC_ROLE_ANYONE = 1, GRPC_ROLE_TENANT = 2, GRPC_ROLE_OPERATOR = 3 };

/* One row a method; the table is generated from the descriptor set at build time. */
struct grpc_method {
	const char *path; /* "/croft.v1.Tenants/CreateTenant" */
	const ProtobufCMessageDescriptor *request;
	const ProtobufCMessageDescriptor *reply;
	bool client_streaming;
	bool server_streaming;
	enum grpc_role role;
	const char *resource; /* dotted request field with the resource name; "" for none */
};

extern const struct grpc_method grpc_methods[];
extern const size_t grpc_n_methods;

/* The serialized FileDescriptorProtos of every service, for reflection (generated too). */
struct grpc_file {
	const char *name; /* "croft/v1/tenants.proto" */
	const uint8_t *data;
	size_t size;
};
extern const struct grpc_file grpc_files[];
extern const size_t grpc_n_files;

/* Who is calling, read once when the connection was accepted. */
struct grpc_peer {
	bool local; /* unix socket; else TCP */
	uid_t uid;  /* of SO_PEERCRED; local only */
	bool admin; /* uid 0, or a member of the group croft-admin */
};

/*
 * What a handler implements. `start` is called with the first (for unary and server-streaming:
 * the only) request after authorization; the others are NULL where they cannot occur.
 * Messages are freed by the caller when the callback returns.
 */
struct grpc_handler {
	const char *path;
	void (*start)(struct grpc_call *call, const ProtobufCMessage *request);
	/* Client streaming: each later message. */
	void (*message)(struct grpc_call *call, const ProtobufCMessage *request);
	/* Client streaming: the client will send no more. */
	void (*half_closed)(struct grpc_call *call);
	/* The client has read enough that grpc_call_writable() holds again. */
	void (*writable)(struct grpc_call *call);
	/*
	 * The call ended before its handler finished it: reset, deadline, lost connection, or a
	 * message that could not be received or sent. Free what grpc_call_set_data() holds. Not
	 * called after grpc_reply(), _finish() or _fail(), nor from within a function below.
	 */
	void (*cancelled)(struct grpc_call *call);
};

/*
 * Authorization, asked before every `start`. resource is the value of the method's resource field
 * ("" when it has none). Returns 0, or fills err: what the client gets instead of the handler.
 */
typedef int (*grpc_authorize_fn)(const struct grpc_peer *peer, const struct grpc_method *method,
	const char *resource, void *app, struct err *err);

/*
 * Who is on the other end of a connected socket: the kernel says it of a unix socket, nobody of
 * TCP. admin is left false, for grpc_server_is_operator() to say.
 */
int grpc_peer_read(
	int fd, struct grpc_peer *ret_peer, uint8_t ret_address[static 16], struct err *err);

/* A call has ended: with which status, and how long after its headers had come. */
typedef void (*grpc_ended_fn)(
	void *app, const struct grpc_method *method, enum err_code code, uint64_t usec);

struct grpc_server_config {
	struct event_base *base;
	const struct grpc_handler *const *handlers; /* tables of handlers, NULL-terminated list */
	grpc_authorize_fn authorize;
	grpc_ended_fn ended;	 /* may be NULL */
	void *app;		 /* grpc_call_app() */
	const char *admin_group; /* "croft-admin" */
	/* Seconds; 0: as GRPC_IDLE_SECONDS and GRPC_WRITE_SECONDS. For tests, which cannot wait. */
	unsigned idle_seconds;
	unsigned write_seconds;
};

/*
 * Makes a server. Each table in config->handlers ends with a row whose path is NULL. A method
 * without a handler answers UNIMPLEMENTED; a handler without a method is an error here, so that a
 * forgotten row cannot stay. Health and reflection are served without being listed. From here on
 * the process ignores SIGPIPE.
 */
int grpc_server_create(
	const struct grpc_server_config *config, struct grpc_server **ret, struct err *err);
/* Accepts on a bound, listening socket, which becomes the server's. */
int grpc_server_listen(struct grpc_server *server, int fd, struct err *err);
/*
 * Whether a peer is an operator: root, and members of the config's admin_group. The user database
 * is waited for, but of a user asked at most once in OPERATORS_KEPT_MS.
 */
bool grpc_server_is_operator(struct grpc_server *server, const struct grpc_peer *peer);
/* How many clients are connected. */
size_t grpc_server_connections(const struct grpc_server *server);
/* What grpc.health.v1 answers for "" and every service: SERVING or NOT_SERVING. */
void grpc_server_set_healthy(struct grpc_server *server, bool healthy);
/* Stops accepting and sends GOAWAY; `drained` is called once every call has ended (or at once). */
void grpc_server_drain(struct grpc_server *server, void (*drained)(void *arg), void *arg);
/* Drops every connection (calls are cancelled) and frees the server. NULL is allowed. */
void grpc_server_destroy(struct grpc_server *server);

/*
 * A call is reference-counted: work that outlives a callback holds a reference. Sending on a call
 * that has ended does nothing, so a late answer to a client that left is harmless.
 */
struct grpc_call *grpc_call_ref(struct grpc_call *call);
void grpc_call_unref(struct grpc_call *call);
bool grpc_call_is_open(const struct grpc_call *call);

void *grpc_call_app(const struct grpc_call *call);
const struct grpc_peer *grpc_call_peer(const struct grpc_call *call);
const struct grpc_method *grpc_call_method(const struct grpc_call *call);
void grpc_call_set_data(struct grpc_call *call, void *data);
void *grpc_call_data(const struct grpc_call *call);

/* Unary: sends the reply and status OK. The message stays the caller's. */
void grpc_reply(struct grpc_call *call, const ProtobufCMessage *reply);
/* As grpc_reply() with an already packed message (a stored reply to a repeated request_id). */
void grpc_reply_packed(struct grpc_call *call, const uint8_t *data, size_t size);
/*
 * Server streaming: sends one message. One above GRPC_MESSAGE_MAX (also in a reply), or sent while
 * far too much waits already, ends the call with RESOURCE_EXHAUSTED.
 */
void grpc_send(struct grpc_call *call, const ProtobufCMessage *message);
/* False while more than GRPC_SEND_BUFFER_MAX waits for the client; see grpc_handler.writable. */
bool grpc_call_writable(const struct grpc_call *call);
/* How many bytes wait for the client: fewer than before means that it has taken some. */
size_t grpc_call_waiting(const struct grpc_call *call);
/*
 * Holds back (false) or lets through (true) `message` and `half_closed` callbacks: HTTP/2 flow
 * control follows, and the client can send 256 KiB more. Callbacks that were held
 * back come when the caller has returned.
 */
void grpc_call_set_receiving(struct grpc_call *call, bool on);
/* Streaming: ends the call with status OK. */
void grpc_finish(struct grpc_call *call);
/*
 * Ends the call with err as its status, with google.rpc.ErrorInfo (reason, domain "croft", subject
 * in its metadata), and QuotaFailure or BadRequest where the code calls for it.
 */
void grpc_fail(struct grpc_call *call, const struct err *err);

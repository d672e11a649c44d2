/* What the files of the gRPC server share; nothing outside server/grpc_*.c includes it. */
#pragma once

#include "base/err.h"
#include "server/grpc.h"
#include "server/grpc_frames.h"
#include "server/grpc_guard.h"
#include "server/operators.h"

#include <event2/util.h>
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

struct bufferevent;
struct event;

#define GRPC_STREAM_WINDOW	(256u << 10) /* bytes a client may send ahead on one call */
#define GRPC_CONN_WINDOW	(1u << 20)   /* and on all of a connection's calls together */
#define GRPC_CONNS_MAX		1024u	     /* in all; the last are kept for operators: */
#define GRPC_CONNS_RESERVE	64u
#define GRPC_TENANT_CONNS_MAX	64u  /* of one uid, or address */
#define GRPC_OPERATOR_CONNS_MAX 768u /* each `croft exec` of a shell service is one */
#define GRPC_TENANT_CALLS_MAX	256u /* that go on, or are still worked for */
#define GRPC_OPERATOR_CALLS_MAX 4096u
#define GRPC_TENANT_BYTES_MAX	(64u << 20) /* buffered for one peer, both directions */
#define GRPC_OPERATOR_BYTES_MAX (256u << 20)
#define GRPC_OUT_HIGH		(256u << 10) /* unwritten bytes that stop framing and reading */
#define GRPC_SCRATCH_SIZE	(64u << 10)  /* framed bytes gathered for one write */
#define GRPC_READ_MAX		(64u << 10)  /* read from one connection in one turn */
#define GRPC_FD_RESERVE		64u	     /* descriptors that connections leave to the others */
#define GRPC_ACCEPT_BATCH	64	     /* accepted in one turn of the loop */
#define GRPC_GOAWAY_TICKS	1u	     /* between the two steps of a graceful stop */
#define GRPC_DRAIN_TICKS	2u	     /* for what is written, once the last call has ended */

/* Server-side state of one listening socket. */
struct grpc_listener {
	int fd;
	struct event *event;
	struct grpc_server *server;
	LIST_ENTRY(grpc_listener) link;
};

/*
 * A peer's identity with what is charged to it; shared by its connections and its calls, freed with
 * the last of them. A call counts until its last reference is dropped: who leaves a call does not
 * end the work that it has caused.
 */
struct grpc_user {
	bool local;
	uid_t uid;	     /* local */
	uint8_t address[16]; /* else: IPv6, or IPv4 mapped into it */
	unsigned connections;
	unsigned connections_max;
	unsigned calls;
	unsigned calls_max;
	bool listed; /* until its server is destroyed */
	size_t bytes;
	size_t bytes_max;
	LIST_ENTRY(grpc_user) link;
};

struct grpc_server {
	struct event_base *base;
	grpc_authorize_fn authorize;
	grpc_ended_fn ended; /* may be NULL */
	void *app;
	char *admin_group; /* NULL: root alone is an operator */
	struct operators operators;
	const struct grpc_handler **handlers; /* one a row of grpc_methods, NULL: unimplemented */
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *options;
	uint8_t *scratch; /* where frames are gathered for one write */
	LIST_HEAD(, grpc_listener) listeners;
	LIST_HEAD(, grpc_conn) conns;
	LIST_HEAD(, grpc_user) users;
	LIST_HEAD(, grpc_watch) watches; /* calls of grpc.health.v1.Health/Watch */
	size_t n_conns;
	size_t n_calls;
	unsigned idle_ticks_max;
	struct timeval write_timeout;
	struct event *tick; /* once a second while there is something to watch */
	bool ticking;
	bool accept_paused;
	bool refused_logged; /* one line a tick at most */
	bool healthy;
	bool draining;
	unsigned drain_ticks;
	struct event *drained_event;
	void (*drained)(void *arg);
	void *drained_arg;
};

/* The headers of the request being received: one at a time, since a block is contiguous. */
struct grpc_request {
	size_t list_size; /* as SETTINGS_MAX_HEADER_LIST_SIZE counts */
	bool is_post;
	bool has_te;
	bool content_type_ok;
	bool encoding_ok;
	bool timeout_ok;
	bool has_timeout;
	uint64_t timeout_usec;
	const struct grpc_method *method;
	char path[128]; /* for the error message, cut */
};

struct grpc_conn {
	struct grpc_server *server;
	struct grpc_user *user;
	struct grpc_peer peer;
	int fd;
	struct bufferevent *bev;
	bool direct; /* plain socket: write to it without a turn through the loop */
	nghttp2_session *session;
	struct event *run_event;
	struct grpc_guard guard;
	struct grpc_request request;
	TAILQ_HEAD(, grpc_call) calls;
	TAILQ_HEAD(, grpc_call) todo;
	bool dead;	  /* to be destroyed as soon as nothing of it is on the stack */
	bool running;	  /* whoever is on the stack will write out what is queued */
	bool read_paused; /* until the peer has read what waits for it */
	unsigned goaway;  /* steps of the graceful stop that were sent */
	unsigned idle_ticks;
	unsigned goaway_ticks;
	LIST_ENTRY(grpc_conn) link;
};

enum grpc_todo {
	GRPC_TODO_DELIVER = 1 << 0,   /* messages may wait, or the half-close */
	GRPC_TODO_WRITABLE = 1 << 1,  /* tell the handler */
	GRPC_TODO_CANCELLED = 1 << 2, /* tell it if cancel_due still holds */
};

struct grpc_call {
	unsigned refs;
	struct grpc_conn *conn; /* NULL once the stream is closed */
	struct grpc_user *user;
	int32_t stream_id;
	const struct grpc_method *method;
	const struct grpc_handler *handler;
	void *app;
	struct grpc_peer peer;
	void *data;
	struct event *deadline;
	uint64_t began_usec;

	bool started;	 /* `start` was called */
	bool ended;	 /* by the handler or for it: nothing is called any more */
	bool cancel_due; /* ended for the handler, while that was on the stack */
	bool responded;	 /* the response headers are queued */
	bool deferred;	 /* nghttp2 waits for more to send */
	bool blocked;	 /* not writable: `writable` is due */
	bool receiving;
	bool remote_closed; /* the client's last byte is in */
	bool half_closed;   /* and the handler knows */

	struct grpc_deframer deframer;
	struct grpc_buf held; /* received while not receiving: bounded by the stream's window */
	ProtobufCMessage
		*request; /* of a method that takes one, until the client has half-closed */
	struct grpc_buf out;
	struct err status;
	size_t charged;

	unsigned todo; /* enum grpc_todo */
	TAILQ_ENTRY(grpc_call) link;
	TAILQ_ENTRY(grpc_call) todo_link;
};

/* A name that a reflection client may ask for; generated, sorted by name. */
struct grpc_symbol {
	const char *name;
	const struct grpc_file *file;
};
extern const struct grpc_symbol grpc_symbols[];
extern const size_t grpc_n_symbols;

extern const struct grpc_handler grpc_health_handlers[];
extern const struct grpc_handler grpc_reflection_handlers[];

/* grpc_server.c */
/* The row of a method, or NULL. */
const struct grpc_method *grpc_method_find(const char *path);
/* Takes an accepted socket, and serves it unless its peer has too many already. */
void grpc_server_serve(struct grpc_server *server, int fd);
/* A connection was destroyed. */
void grpc_server_conn_gone(struct grpc_server *server, struct grpc_user *user);
/* One call less of this peer's. */
void grpc_user_call_gone(struct grpc_user *user);
/* Adds bytes to what a peer holds; false (and nothing added) beyond its bytes_max. */
bool grpc_user_charge(struct grpc_user *user, size_t bytes);

/* grpc_peer.c */
/* Whether the user database has uid in a group. Not there, or not readable: no. */
bool grpc_peer_is_member(uid_t uid, const char *group);

/* grpc_conn.c */
/* Makes the server's nghttp2 callbacks and options. Returns 0 or -ENOMEM. */
int grpc_conn_init_library(struct grpc_server *server, struct err *err);
/* Takes fd on success. user's connection count is the caller's business. */
int grpc_conn_create(struct grpc_server *server, int fd, const struct grpc_peer *peer,
	struct grpc_user *user, struct err *err);
void grpc_conn_destroy(struct grpc_conn *conn);
/* Sees to it that what is queued goes out in this turn of the loop. */
void grpc_conn_kick(struct grpc_conn *conn);
void grpc_conn_start_drain(struct grpc_conn *conn);
/* Once a second: timers. May destroy the connection. */
void grpc_conn_tick(struct grpc_conn *conn);

/* grpc_request.c */
/*
 * The value of grpc-timeout: one to eight digits and a unit. Returns 0 or -EINVAL. Below a
 * microsecond it is rounded up; 0 is valid and means that the deadline has passed.
 */
int grpc_request_parse_timeout(const char *text, uint64_t *ret_usec);
void grpc_request_reset(struct grpc_request *request);
void grpc_request_add(struct grpc_request *request, const uint8_t *name, size_t name_len,
	const uint8_t *value, size_t value_len);
/* All headers are in: opens a call, or answers with an error. Returns 0 or an nghttp2 error. */
int grpc_request_finish(struct grpc_conn *conn, int32_t stream_id);

/* grpc_call.c */
int grpc_call_open(struct grpc_conn *conn, int32_t stream_id, const struct grpc_request *request);
/* Body bytes, and the end of the client's side. */
void grpc_call_receive(struct grpc_call *call, const uint8_t *data, size_t size);
void grpc_call_remote_close(struct grpc_call *call);
/* The stream is gone: tells the handler, and drops the connection's reference. */
void grpc_call_detach(struct grpc_call *call);
/* Runs what grpc_call.todo asks for. */
void grpc_call_run_todo(struct grpc_call *call);
/* Tells that the call ends, with this status; once a call. */
void grpc_call_tell_end(const struct grpc_call *call, enum err_code code);
struct grpc_server *grpc_call_server(const struct grpc_call *call);
/* Has grpc_call_run_todo() called for this (enum grpc_todo) before the turn of the loop ends. */
void grpc_call_add_todo(struct grpc_call *call, unsigned what);
/*
 * Charges what the call holds now to its peer, request_cost on top; false when that is more than
 * the peer may have: grpc_call_refuse_bytes() says so.
 */
bool grpc_call_recharge(struct grpc_call *call, size_t request_cost);
void grpc_call_refuse_bytes(struct err *err);
void grpc_call_drop_request(struct grpc_call *call);

/* grpc_reply.c */
/* Ends the call with this status (NULL: OK) and drops what it still received. */
void grpc_reply_end(struct grpc_call *call, const struct err *status);

/* grpc_status.c */
/*
 * Queues the end of a stream: trailers after a body, else a reply of headers alone with this HTTP
 * status. err NULL: status OK. Returns 0 or an nghttp2 error.
 */
int grpc_status_submit_trailers(nghttp2_session *session, int32_t stream_id, const struct err *err);
int grpc_status_submit_only(
	nghttp2_session *session, int32_t stream_id, int http_status, const struct err *err);
/* The text of grpc-message: percent-encoded. out must hold three times the text and a NUL. */
size_t grpc_status_percent_encode(const char *text, char *out);
/* Base64 without padding, as gRPC sends -bin headers. out must hold 4/3 of size, and 3 more. */
size_t grpc_status_base64(const uint8_t *data, size_t size, char *out);

/* grpc_unpack.c */
#define GRPC_DEPTH_MAX	32u	    /* messages within messages */
#define GRPC_UNPACK_MAX (16u << 20) /* bytes of memory that one message may take, estimated */
/*
 * Unpacks a message that a hostile peer wrote: nesting, memory and strings are checked first,
 * because protobuf-c recurses and allocates as the bytes say. Errors: INTERNAL for bytes that are
 * not this message, RESOURCE_EXHAUSTED beyond GRPC_UNPACK_MAX, INVALID_ARGUMENT for text that is
 * not UTF-8 or holds a NUL. Free with protobuf_c_message_free_unpacked(message, NULL).
 */
int grpc_unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t size,
	ProtobufCMessage **ret_message, size_t *ret_cost, struct err *err);
/* The text of a string field by its dotted path; "" when a message on the way is not set. */
const char *grpc_unpack_field(const ProtobufCMessage *message, const char *path);
/* The estimate and the checks alone. */
int grpc_unpack_check(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data,
	size_t size, size_t *ret_cost, struct err *err);

/* grpc_health.c */
void grpc_health_changed(struct grpc_server *server);
/* Ends the calls of Watch, which would never end by themselves. */
void grpc_health_drain(struct grpc_server *server);

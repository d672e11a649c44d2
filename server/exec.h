/*
 * Commands run inside containers: a session joins a bidirectional call with the pipes or the pty of
 * the command. Both belong to the call: when the client leaves, the command is hung up.
 */
#pragma once

#include "base/tree_left_out.h"
#include "sandbox/supervisor_client.h"
#include "server/server.h"

#include "croft/v1/containers.pb-c.h"

struct exec_session;

/* What Croft's own program inside says beside its output, as far as it has come. */
struct exec_word {
	size_t size;
	union {
		struct err err;		       /* when it failed */
		struct tree_left_out left_out; /* when it did not */
	};
};

int exec_table_create(struct server *server, struct err *err);
void exec_table_destroy(struct server *server);

/* How a session speaks to its client: in the messages of the method that was called. */
struct exec_front {
	/* The command runs; may be NULL. */
	void (*started)(struct grpc_call *call, int32_t pid);
	/* Output of stream 1 or 2. `word` is the session's, all zero at first. */
	void (*output)(struct grpc_call *call, int stream, const void *data, size_t size,
		struct exec_word *word);
	/* It has ended (never EXIT_KIND_REFUSED): ends the call. */
	void (*ended)(
		struct grpc_call *call, const struct exit_info *exit, const struct exec_word *word);
};

/*
 * Checks the request, makes the descriptors and asks the supervisor. Returns 0 with the session
 * attached to the call (grpc_call_set_data()), or -errno: the caller fails the call. The front must
 * be static.
 */
int exec_start(struct grpc_call *call, const Croft__V1__ExecStart *start, enum exec_program program,
	const struct exec_front *front, struct err *err);

/* FAILED_PRECONDITION unless a command may run in it now. */
int exec_check_container(const struct container *container, struct err *err);
/* The same, but one that is frozen for being idle may: it is to be woken. */
int exec_check_wakable(const struct container *container, struct err *err);
/* INVALID_ARGUMENT for more rows or columns than a terminal can have; NULL is right. */
int exec_check_size(const Croft__V1__WindowSize *size, struct err *err);

/* What the client sends. */
void exec_input(struct exec_session *session, const void *data, size_t size);
void exec_close_input(struct exec_session *session);
int exec_resize(struct exec_session *session, const Croft__V1__WindowSize *size, struct err *err);
int exec_signal(struct exec_session *session, uint32_t signal, struct err *err);
/* The client is gone: SIGHUP, and SIGKILL some seconds later. */
void exec_hang_up(struct exec_session *session);

/* As struct grpc_handler has them, of every method whose call holds a session. */
void exec_half_closed(struct grpc_call *call);
void exec_writable(struct grpc_call *call);
void exec_cancelled(struct grpc_call *call);

/* The supervisor's word that a command has ended. */
void exec_ended(struct server *server, const struct msg_exec_ended *msg);
/* The supervisor is gone, and with it every session. */
void exec_lost(struct server *server);

/*
 * Who looks at containers' consoles. The console itself belongs to the container: logs.c reads it,
 * whether anybody looks or not, and what it reads comes here too. A viewer that does not keep up
 * misses output, and is told how much; nobody waits for one.
 */
#pragma once

#include "server/server.h"

#include "croft/v1/containers.pb-c.h"

#define CONSOLE_VIEWERS_MAX	 8	      /* of one container */
#define CONSOLE_INPUT_MAX	 (64u << 10)  /* bytes in one message */
#define CONSOLE_INPUT_RATE	 (256u << 10) /* bytes a second, of one viewer */
#define CONSOLE_INPUT_COST	 64u	      /* what a message counts at least */
#define CONSOLE_INPUT_BURST_USEC 100000u      /* so much time's worth at once */
#define CONSOLE_RETRY_MS	 20	      /* when the console takes no more input */

struct console_viewer;

/*
 * Attaches a call to the console of a running container: `attached` is sent, and the viewer is the
 * call's data. RESOURCE_EXHAUSTED when too many look, FAILED_PRECONDITION when there is no console.
 */
int console_open(struct grpc_call *call, const Croft__V1__ConsoleStart *start, struct err *err);
/* The client has left, or the caller has failed the call. */
void console_close(struct console_viewer *viewer);

/* What the client sends. INVALID_ARGUMENT: the caller fails the call and closes. */
int console_input(struct console_viewer *viewer, const void *data, size_t size, struct err *err);
int console_resize(
	struct console_viewer *viewer, const Croft__V1__WindowSize *size, struct err *err);

/* What the console has written. True when somebody looks. arg is the container. */
bool console_output(void *arg, const void *data, size_t size);

/* The container's console is there, or is behind another descriptor than before. */
void console_plugged(struct container *container);
/* No run follows: every viewer is told how the last one ended, and its call ends. */
void console_end(struct container *container);

/* One invocation of croft: what the command line said, and the connection. */
#pragma once

#include "base/name.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/output.h"

struct cli {
	const char *host;
	enum output_format format;
	const struct command *command;
	struct options options;
	struct client *client; /* connected by the first call */
	int status;	       /* the exit status after success; when not 0, also after a failure */
};

/* The exit statuses of everything but exec and shell. */
enum cli_exit { CLI_DONE = 0, CLI_REFUSED = 1, CLI_USAGE = 2 };

/*
 * Runs one command line (argv[0] is the program's name), prints its errors, and returns the exit
 * status.
 */
int cli_run(int argc, char **argv);

/* The connection, made on first use. Returns 0 or -errno. */
int cli_connect(struct cli *cli, struct client **ret, struct err *err);

/* call_unary() on the invocation's connection. */
int cli_call(struct cli *cli, const ProtobufCServiceDescriptor *service, const char *method,
	ProtobufCMessage *request, ProtobufCMessage **ret_reply, struct err *err);

/*
 * Opens a server-streaming call with its one request sent. Returns 0 with the call the caller's,
 * to be destroyed before the invocation ends.
 */
int cli_stream(struct cli *cli, const ProtobufCServiceDescriptor *service, const char *method,
	const ProtobufCMessage *request, struct call **ret, struct err *err);

/*
 * call_receive() of a stream that standard output shows. When nobody reads that any more, croft
 * ends by SIGPIPE at once, not at the next write, for which it might wait for ever.
 */
int cli_receive(
	struct cli *cli, struct call *call, ProtobufCMessage **ret_message, struct err *err);

/* cli_call() whose reply is printed by its columns: a Get method. Returns 0 or -errno. */
int cli_show(struct cli *cli, const ProtobufCServiceDescriptor *service, const char *method,
	ProtobufCMessage *request, const struct column *columns, struct err *err);

/* cli_call() whose reply nobody reads. */
int cli_call_only(struct cli *cli, const ProtobufCServiceDescriptor *service, const char *method,
	ProtobufCMessage *request, struct err *err);

/* The i-th argument, or NULL when it was optional and left out. */
const char *cli_arg(const struct cli *cli, size_t i);

/* Resource names ("tenants/acme") of what people write ("acme"); usage errors when malformed. */
int cli_tenant_name(const char *text, char ret[static RESOURCE_SIZE], struct err *err);
int cli_container_name(const char *text, char ret[static RESOURCE_SIZE], struct err *err);
int cli_image_name(const char *text, char ret[static RESOURCE_SIZE], struct err *err);
int cli_plan_name(const char *text, char ret[static RESOURCE_SIZE], struct err *err);
int cli_webhook_name(const char *text, char ret[static RESOURCE_SIZE], struct err *err);
int cli_policy_name(const char *text, char ret[static RESOURCE_SIZE], struct err *err);
/* Splits "TENANT/NAME" into the tenant's resource name and the container's id. */
int cli_split_container(const char *text, char ret_parent[static RESOURCE_SIZE],
	char ret_id[static NAME_SIZE], struct err *err);

/* A whole number from 0 to max; `what` names it in the usage error. */
int cli_number(const char *what, const char *text, uint64_t max, uint64_t *ret, struct err *err);
/* "on" or "off", behind --OPTION. */
int cli_switch(const char *option, const char *text, bool *ret, struct err *err);

/*
 * Reports a mutation that was done: for people the sentence, for programs the reply by its columns
 * (columns NULL: the reply was empty). Returns 0 or -errno when standard output fails.
 */
int cli_report(struct cli *cli, const struct column *columns, const ProtobufCMessage *reply,
	struct err *err, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

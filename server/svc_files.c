/*
 * PushFiles and PullFiles: tar streams to and from Croft's own program inside the container, which
 * is run as any command of exec is. Nothing of an archive is looked at here.
 */
#include "server/exec.h"
#include "server/grpc_utf8.h"
#include "server/svc.h"

#include <stddef.h>
#include <string.h>

/* The program sends one struct: an err when it fails, or what it left out. More is not taken. */
static void take_word(struct exec_word *word, const void *data, size_t size)
{
	size_t room = sizeof(*word) - offsetof(struct exec_word, err) - word->size;

	if (size > room)
		size = room;
	memcpy((char *)&word->err + word->size, data, size);
	word->size += size;
}

/* What the program inside says is a tenant's word: it cannot claim to be the server's state. */
static bool is_plausible(const struct err *err)
{
	switch (err->code) {
	case ERR_INVALID_ARGUMENT:
	case ERR_NOT_FOUND:
	case ERR_FAILED_PRECONDITION:
	case ERR_PERMISSION_DENIED:
	case ERR_RESOURCE_EXHAUSTED:
		return true;
	default:
		return false;
	}
}

/* Fails the call unless the program ended well. */
static bool succeeded(
	struct grpc_call *call, const struct exit_info *exit, const struct exec_word *word)
{
	struct err err = word->err;

	if (exit->kind == EXIT_KIND_EXITED && exit->status == 0)
		return true;
	err_sanitize(&err);
	if (word->size != sizeof(err) || !is_plausible(&err))
		err_set(&err, ERR_ABORTED, "TRANSFER_KILLED",
			"the transfer was cut off inside the container; try again");
	grpc_fail(call, &err);
	return false;
}

/* --- PushFiles --- */

static void push_output(
	struct grpc_call *call, int stream, const void *data, size_t size, struct exec_word *word)
{
	(void)call;
	if (stream == 2)
		take_word(word, data, size);
}

static void push_ended(
	struct grpc_call *call, const struct exit_info *exit, const struct exec_word *word)
{
	Croft__V1__PushFilesResponse response = CROFT__V1__PUSH_FILES_RESPONSE__INIT;

	if (succeeded(call, exit, word))
		grpc_reply(call, &response.base);
}

static const struct exec_front push_front = {.output = push_output, .ended = push_ended};

/* --- PullFiles --- */

static void pull_output(
	struct grpc_call *call, int stream, const void *data, size_t size, struct exec_word *word)
{
	Croft__V1__PullFilesResponse response = CROFT__V1__PULL_FILES_RESPONSE__INIT;

	if (stream == 2) {
		take_word(word, data, size);
		return;
	}
	response.data.data = (uint8_t *)data;
	response.data.len = size;
	grpc_send(call, &response.base);
}

/* What was left out, as the program inside says: a tenant's word, like the archive. */
static void send_left_out(struct grpc_call *call, const struct tree_left_out *said)
{
	Croft__V1__PullFilesResponse response = CROFT__V1__PULL_FILES_RESPONSE__INIT;
	Croft__V1__FilesLeftOut message = CROFT__V1__FILES_LEFT_OUT__INIT;
	Croft__V1__FileLeftOut entries[TREE_LEFT_OUT_NAMED];
	Croft__V1__FileLeftOut *first[TREE_LEFT_OUT_NAMED];
	struct tree_left_out left_out = *said;

	tree_left_out_sanitize(&left_out);
	message.count = left_out.count;
	message.n_first = tree_left_out_named(&left_out);
	message.first = first;
	for (unsigned i = 0; i < message.n_first; i++) {
		grpc_utf8_repair(left_out.first[i].path);
		croft__v1__file_left_out__init(&entries[i]);
		entries[i].path = left_out.first[i].path;
		entries[i].what = (char *)tree_left_out_text(left_out.first[i].kind);
		first[i] = &entries[i];
	}
	response.left_out = &message;
	grpc_send(call, &response.base);
}

static void pull_ended(
	struct grpc_call *call, const struct exit_info *exit, const struct exec_word *word)
{
	if (!succeeded(call, exit, word))
		return;
	if (word->size == sizeof(word->left_out))
		send_left_out(call, &word->left_out);
	grpc_finish(call);
}

static const struct exec_front pull_front = {.output = pull_output, .ended = pull_ended};

/* --- both --- */

static int run(struct grpc_call *call, const char *name, const char *verb, const char *path,
	const struct exec_front *front, struct err *err)
{
	Croft__V1__ExecStart start = CROFT__V1__EXEC_START__INIT;
	char *args[] = {(char *)"croft-files", (char *)verb, (char *)path};

	if (path[0] != '/')
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "PATH_INVALID", "path",
			"\"%.200s\" is not an absolute path", path);
	start.name = (char *)name;
	start.args = args;
	start.n_args = sizeof(args) / sizeof(args[0]);
	start.working_dir = (char *)"/";
	return exec_start(call, &start, EXEC_FILES, front, err);
}

static void push_start(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__PushFilesRequest *request = (const void *)message;
	struct err err;
	int r;

	if (request->kind_case != CROFT__V1__PUSH_FILES_REQUEST__KIND_START)
		r = err_set(&err, ERR_INVALID_ARGUMENT, "START_MISSING",
			"the first request of a push is its start");
	else
		r = run(call, request->start->name, "put", request->start->path, &push_front, &err);
	if (r < 0)
		grpc_fail(call, &err);
}

static void push_message(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__PushFilesRequest *request = (const void *)message;
	struct exec_session *session = grpc_call_data(call);
	struct err err;

	if (!session)
		return;
	if (request->kind_case == CROFT__V1__PUSH_FILES_REQUEST__KIND_DATA) {
		exec_input(session, request->data.data, request->data.len);
		return;
	}
	err_set(&err, ERR_INVALID_ARGUMENT, "REQUEST_INVALID", "a later request of a push is data");
	grpc_fail(call, &err);
	exec_hang_up(session);
}

static void pull_start(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__PullFilesRequest *request = (const void *)message;
	struct exec_session *session;
	struct err err;

	if (run(call, request->name, "get", request->path, &pull_front, &err) < 0) {
		grpc_fail(call, &err);
		return;
	}
	session = grpc_call_data(call);
	exec_close_input(session);
}

const struct grpc_handler svc_files_handlers[] = {
	{.path = "/croft.v1.Containers/PushFiles",
		.start = push_start,
		.message = push_message,
		.half_closed = exec_half_closed,
		.cancelled = exec_cancelled},
	{.path = "/croft.v1.Containers/PullFiles",
		.start = pull_start,
		.writable = exec_writable,
		.cancelled = exec_cancelled},
	{.path = NULL},
};

/* The method Exec: the first request starts a command, later ones are its input; see exec.h. */
#include "server/exec.h"
#include "server/svc.h"

static void send_started(struct grpc_call *call, int32_t pid)
{
	Croft__V1__ExecResponse response = CROFT__V1__EXEC_RESPONSE__INIT;
	Croft__V1__ExecStarted started = CROFT__V1__EXEC_STARTED__INIT;

	started.host_pid = (uint32_t)pid;
	response.kind_case = CROFT__V1__EXEC_RESPONSE__KIND_STARTED;
	response.started = &started;
	grpc_send(call, &response.base);
}

static void send_output(
	struct grpc_call *call, int stream, const void *data, size_t size, struct exec_word *word)
{
	Croft__V1__ExecResponse response = CROFT__V1__EXEC_RESPONSE__INIT;

	(void)word;
	if (stream == 1) {
		response.kind_case = CROFT__V1__EXEC_RESPONSE__KIND_STDOUT;
		response.stdout.data = (uint8_t *)data;
		response.stdout.len = size;
	} else {
		response.kind_case = CROFT__V1__EXEC_RESPONSE__KIND_STDERR;
		response.stderr.data = (uint8_t *)data;
		response.stderr.len = size;
	}
	grpc_send(call, &response.base);
}

static void send_exit(
	struct grpc_call *call, const struct exit_info *info, const struct exec_word *word)
{
	Croft__V1__ExecResponse response = CROFT__V1__EXEC_RESPONSE__INIT;
	Croft__V1__Exit exit = CROFT__V1__EXIT__INIT;

	(void)word;
	switch (info->kind) {
	case EXIT_KIND_EXITED:
		exit.kind = CROFT__V1__EXIT__KIND__EXITED;
		exit.status = info->status;
		break;
	case EXIT_KIND_SIGNALLED:
		exit.kind = CROFT__V1__EXIT__KIND__SIGNALLED;
		exit.signal = info->signal;
		break;
	default:
		exit.kind = CROFT__V1__EXIT__KIND__UNKNOWN;
		break;
	}
	response.kind_case = CROFT__V1__EXEC_RESPONSE__KIND_EXIT;
	response.exit = &exit;
	grpc_send(call, &response.base);
	grpc_finish(call);
}

static const struct exec_front front = {
	.started = send_started, .output = send_output, .ended = send_exit};

static void start(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ExecRequest *request = (const void *)message;
	struct err err;

	if (request->kind_case != CROFT__V1__EXEC_REQUEST__KIND_START) {
		err_set(&err, ERR_INVALID_ARGUMENT, "START_MISSING",
			"the first request of an exec is its start");
		grpc_fail(call, &err);
	} else if (exec_start(call, request->start, EXEC_COMMAND, &front, &err) < 0) {
		grpc_fail(call, &err);
	}
}

static void message(struct grpc_call *call, const ProtobufCMessage *message_)
{
	const Croft__V1__ExecRequest *request = (const void *)message_;
	struct exec_session *session = grpc_call_data(call);
	struct err err;
	int r = 0;

	if (!session)
		return;
	switch (request->kind_case) {
	case CROFT__V1__EXEC_REQUEST__KIND_STDIN:
		exec_input(session, request->stdin.data, request->stdin.len);
		break;
	case CROFT__V1__EXEC_REQUEST__KIND_CLOSE_STDIN:
		exec_close_input(session);
		break;
	case CROFT__V1__EXEC_REQUEST__KIND_RESIZE:
		r = exec_resize(session, request->resize, &err);
		break;
	case CROFT__V1__EXEC_REQUEST__KIND_SIGNAL:
		r = exec_signal(session, request->signal, &err);
		break;
	default:
		r = err_set(&err, ERR_INVALID_ARGUMENT, "REQUEST_INVALID",
			"a later request of an exec is stdin, close_stdin, resize or signal");
		break;
	}
	if (r < 0) {
		grpc_fail(call, &err);
		exec_hang_up(session);
	}
}

const struct grpc_handler svc_exec_handlers[] = {
	{.path = "/croft.v1.Containers/Exec",
		.start = start,
		.message = message,
		.half_closed = exec_half_closed,
		.writable = exec_writable,
		.cancelled = exec_cancelled},
	{.path = NULL},
};

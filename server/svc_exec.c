/* The method Exec: the first request starts a command, later ones are its input; see exec.h. */
#include "server/exec.h"
#include "server/svc.h"

static void start(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ExecRequest *request = (const void *)message;
	struct err err;

	if (request->kind_case != CROFT__V1__EXEC_REQUEST__KIND_START) {
		err_set(&err, ERR_INVALID_ARGUMENT, "START_MISSING",
			"the first request of an exec is its start");
		grpc_fail(call, &err);
	} else if (exec_start(call, request->start, &err) < 0) {
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

static void half_closed(struct grpc_call *call)
{
	struct exec_session *session = grpc_call_data(call);

	if (session)
		exec_close_input(session);
}

static void writable(struct grpc_call *call)
{
	struct exec_session *session = grpc_call_data(call);

	if (session)
		exec_resume_output(session);
}

static void cancelled(struct grpc_call *call)
{
	struct exec_session *session = grpc_call_data(call);

	if (session)
		exec_hang_up(session);
}

const struct grpc_handler svc_exec_handlers[] = {
	{.path = "/croft.v1.Containers/Exec",
		.start = start,
		.message = message,
		.half_closed = half_closed,
		.writable = writable,
		.cancelled = cancelled},
	{.path = NULL},
};

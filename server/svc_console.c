/* The method Console: the first request opens it, later ones are input and sizes; see console.h. */
#include "server/console.h"
#include "server/svc.h"

static void start(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ConsoleRequest *request = (const void *)message;
	struct err err;

	if (request->kind_case != CROFT__V1__CONSOLE_REQUEST__KIND_START) {
		err_set(&err, ERR_INVALID_ARGUMENT, "START_MISSING",
			"the first request of a console is its start");
		grpc_fail(call, &err);
	} else if (console_open(call, request->start, &err) < 0) {
		grpc_fail(call, &err);
	}
}

static void message(struct grpc_call *call, const ProtobufCMessage *message_)
{
	const Croft__V1__ConsoleRequest *request = (const void *)message_;
	struct console_viewer *viewer = grpc_call_data(call);
	struct err err;
	int r;

	if (!viewer)
		return;
	switch (request->kind_case) {
	case CROFT__V1__CONSOLE_REQUEST__KIND_INPUT:
		r = console_input(viewer, request->input.data, request->input.len, &err);
		break;
	case CROFT__V1__CONSOLE_REQUEST__KIND_RESIZE:
		r = console_resize(viewer, request->resize, &err);
		break;
	default:
		r = err_set(&err, ERR_INVALID_ARGUMENT, "REQUEST_INVALID",
			"a later request of a console is input or resize");
		break;
	}
	if (r < 0) {
		grpc_fail(call, &err);
		console_close(viewer);
	}
}

/* Whoever sends nothing more may still look. It is held back as messages are, until all is taken.
 */
static void half_closed(struct grpc_call *call)
{
	Croft__V1__ConsoleResponse response = CROFT__V1__CONSOLE_RESPONSE__INIT;

	response.kind_case = CROFT__V1__CONSOLE_RESPONSE__KIND_INPUT_TAKEN;
	response.input_taken = true;
	if (grpc_call_data(call))
		grpc_send(call, &response.base);
}

static void cancelled(struct grpc_call *call)
{
	struct console_viewer *viewer = grpc_call_data(call);

	if (viewer)
		console_close(viewer);
}

const struct grpc_handler svc_console_handlers[] = {
	{.path = "/croft.v1.Containers/Console",
		.start = start,
		.message = message,
		.half_closed = half_closed,
		.cancelled = cancelled},
	{.path = NULL},
};

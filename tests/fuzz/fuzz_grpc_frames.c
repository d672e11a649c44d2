/*
 * Bytes of a hostile client, three ways, by the first byte: messages cut out of a body (0), one
 * protobuf message (1), and a whole connection (2: as it comes, 3: behind a valid preface and one
 * request's headers). The second byte says where the rest is cut in two.
 *
 * A stream of bytes must give the same messages however it is cut; nothing may leak or be touched
 * after its end; and a connection that has gone leaves no call behind.
 */
#include "server/grpc_internal.h"

#include <croft/v1/containers.pb-c.h>
#include <croft/v1/tenants.pb-c.h>
#include <event2/event.h>
#include <google/protobuf/descriptor.pb-c.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURNS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		__builtin_trap();
}

/* --- Messages
 * ------------------------------------------------------------------------------------- */

/* Deframes the bytes in two pieces; a number that depends on each message, and the outcome. */
static uint64_t deframe(const uint8_t *data, size_t size, size_t cut, int *ret_end)
{
	const uint8_t *pieces[] = {data, data + cut};
	size_t sizes[] = {cut, size - cut};
	struct grpc_deframer d = {0};
	uint64_t sum = 0;
	int r = 0;

	for (int i = 0; i < 2 && r == 0; i++) {
		const uint8_t *message;
		size_t message_size;
		struct err err;

		while ((r = grpc_deframer_next(
				&d, &pieces[i], &sizes[i], &message, &message_size, &err)) == 1) {
			sum = sum * 31 + message_size;
			for (size_t k = 0; k < message_size; k++)
				sum = sum * 31 + message[k];
		}
	}
	*ret_end = r < 0 ? r : grpc_deframer_is_between(&d);
	grpc_deframer_finish(&d);
	return sum;
}

static void fuzz_deframer(const uint8_t *data, size_t size, size_t cut)
{
	int whole_end, cut_end;
	uint64_t whole = deframe(data, size, size, &whole_end);

	require(deframe(data, size, cut, &cut_end) == whole && cut_end == whole_end);
}

static void fuzz_unpack(const uint8_t *data, size_t size, size_t which)
{
	static const ProtobufCMessageDescriptor *const descriptors[] = {
		&croft__v1__create_tenant_request__descriptor,
		&croft__v1__update_container_request__descriptor,
		&croft__v1__exec_request__descriptor,
		&google__protobuf__file_descriptor_proto__descriptor,
	};
	const ProtobufCMessageDescriptor *d = descriptors[which % 4];
	ProtobufCMessage *message;
	struct err err = {0};
	size_t cost;

	if (grpc_unpack(d, data, size, &message, &cost, &err) < 0) {
		require(err.code != ERR_OK);
		return;
	}
	grpc_unpack_field(message, "tenant.name");
	grpc_unpack_field(message, "container.name");
	grpc_unpack_field(message, "start.name");
	protobuf_c_message_free_unpacked(message, NULL);
}

/* --- A connection
 * --------------------------------------------------------------------------------- */

static size_t open_calls;

static void start(struct grpc_call *call, const ProtobufCMessage *request)
{
	Croft__V1__Tenant tenant = CROFT__V1__TENANT__INIT;

	tenant.name = (char *)grpc_unpack_field(request, "name");
	grpc_reply(call, &tenant.base);
}

static void exec_start(struct grpc_call *call, const ProtobufCMessage *request)
{
	(void)call;
	(void)request;
	open_calls++;
}

static void exec_message(struct grpc_call *call, const ProtobufCMessage *request)
{
	const Croft__V1__ExecRequest *r = (const void *)request;
	Croft__V1__ExecResponse response = CROFT__V1__EXEC_RESPONSE__INIT;

	grpc_call_set_receiving(call, r->kind_case != CROFT__V1__EXEC_REQUEST__KIND_SIGNAL);
	grpc_send(call, &response.base);
}

static void exec_half_closed(struct grpc_call *call)
{
	open_calls--;
	grpc_finish(call);
}

static void exec_cancelled(struct grpc_call *call)
{
	(void)call;
	open_calls--;
}

static int authorize(const struct grpc_peer *peer, const struct grpc_method *method,
	const char *resource, void *app, struct err *err)
{
	(void)peer;
	(void)method;
	(void)app;
	return resource[0] == '!' ? err_set(err, ERR_NOT_FOUND, "NO", "no") : 0;
}

static const struct grpc_handler handlers[] = {
	{.path = "/croft.v1.Tenants/GetTenant", .start = start},
	{.path = "/croft.v1.Containers/Exec",
		.start = exec_start,
		.message = exec_message,
		.half_closed = exec_half_closed,
		.cancelled = exec_cancelled},
	{0},
};
static const struct grpc_handler *const tables[] = {handlers, NULL};

static void turn(struct event_base *base, int fd)
{
	static char replies[1 << 16];

	for (int i = 0; i < TURNS_MAX; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		while (recv(fd, replies, sizeof(replies), MSG_DONTWAIT) > 0)
			;
	}
}

static void put(struct event_base *base, int fd, const void *data, size_t size)
{
	const uint8_t *p = data;

	while (size) {
		ssize_t n = send(fd, p, size, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			p += n;
			size -= (size_t)n;
		}
		turn(base, fd);
		if (n <= 0)
			return; /* it was hung up on */
	}
}

/* The preface, SETTINGS, and Exec's headers on stream 1 without compression. */
static void put_opening(struct event_base *base, int fd)
{
	static const char *const headers[][2] = {{":method", "POST"}, {":scheme", "http"},
		{":path", "/croft.v1.Containers/Exec"}, {":authority", "x"}, {"te", "trailers"},
		{"content-type", "application/grpc"}};
	uint8_t frame[512] = {0, 0, 0, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 0, 0, 0, 1};
	static const uint8_t settings[9] = {0, 0, 0, NGHTTP2_SETTINGS};
	size_t n = 9;

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		frame[n++] = 0;
		for (int k = 0; k < 2; k++) {
			size_t len = strlen(headers[i][k]);

			frame[n++] = (uint8_t)len;
			memcpy(frame + n, headers[i][k], len);
			n += len;
		}
	}
	frame[1] = (uint8_t)((n - 9) >> 8);
	frame[2] = (uint8_t)(n - 9);
	put(base, fd, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
	put(base, fd, settings, sizeof(settings));
	put(base, fd, frame, n);
}

static void fuzz_connection(const uint8_t *data, size_t size, size_t cut, bool opening)
{
	static struct event_base *base;
	static struct grpc_server *server;
	int pair[2];

	if (!base) {
		struct grpc_server_config config = {.handlers = tables, .authorize = authorize};
		struct err err;

		base = config.base = event_base_new();
		require(base && grpc_server_create(&config, &server, &err) == 0);
	}
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	grpc_server_serve(server, pair[0]);
	if (opening)
		put_opening(base, pair[1]);
	put(base, pair[1], data, cut);
	put(base, pair[1], data + cut, size - cut);
	close(pair[1]);
	for (int i = 0; i < TURNS_MAX && server->n_conns; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	require(server->n_conns == 0 && server->n_calls == 0 && open_calls == 0);
	require(LIST_EMPTY(&server->users) && LIST_EMPTY(&server->watches));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t cut;

	if (size < 2)
		return 0;
	cut = size > 2 ? data[1] % (size - 1) : 0;
	switch (data[0] % 4) {
	case 0:
		fuzz_deframer(data + 2, size - 2, cut);
		break;
	case 1:
		fuzz_unpack(data + 2, size - 2, data[1]);
		break;
	default:
		fuzz_connection(data + 2, size - 2, cut, data[0] % 4 == 3);
		break;
	}
	return 0;
}

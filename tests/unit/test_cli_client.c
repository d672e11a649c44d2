/*
 * cli/client.h, status.h, dial.h: a client against servers that answer with prepared bytes, most
 * of them wrong. No answer may crash it, hang it or be taken for a success.
 */
#include "cli/client.h"

#include "tests/unit/unit.h"

#include "cli/buffer.h"
#include "cli/status.h"
#include "cli/usage.h"
#include "croft/v1/host.pb-c.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define SERVICE (&croft__v1__host__descriptor)

/* RFC 9113, section 4.1. */
static void frame(struct buffer *b, uint8_t type, uint8_t flags, uint32_t stream,
	const void *payload, size_t size)
{
	const uint8_t head[9] = {(uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size, type,
		flags, 0, 0, 0, (uint8_t)stream};

	buffer_append(b, head, sizeof(head));
	buffer_append(b, payload, size);
}

/* RFC 7541, section 6.2.2: a literal without indexing; values of up to 126 bytes. */
static void field(struct buffer *b, const char *name, const char *value)
{
	const uint8_t zero = 0;
	uint8_t len = (uint8_t)strlen(name);

	buffer_append(b, &zero, 1);
	buffer_append(b, &len, 1);
	buffer_append(b, name, len);
	len = (uint8_t)strlen(value);
	assert_true(len < 127);
	buffer_append(b, &len, 1);
	buffer_append(b, value, len);
}

static void headers(struct buffer *b, bool end, const char *const *pairs)
{
	struct buffer block = {0};

	for (; *pairs; pairs += 2)
		field(&block, pairs[0], pairs[1]);
	frame(b, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | (end ? NGHTTP2_FLAG_END_STREAM : 0), 1,
		buffer_bytes(&block), buffer_size(&block));
	buffer_finish(&block);
}

#define HEADERS(b, end, ...) headers(b, end, (const char *const[]){__VA_ARGS__, NULL})

static void begin(struct buffer *b)
{
	frame(b, NGHTTP2_SETTINGS, 0, 0, "", 0);
}

static void begin_reply(struct buffer *b)
{
	begin(b);
	HEADERS(b, false, ":status", "200", "content-type", "application/grpc");
}

static void message(struct buffer *b, uint8_t flag, uint32_t claimed, const char *text)
{
	char data[64] = {(char)flag, (char)(claimed >> 24), (char)(claimed >> 16),
		(char)(claimed >> 8), (char)claimed};

	memcpy(data + 5, text, strlen(text));
	frame(b, NGHTTP2_DATA, 0, 1, data, 5 + strlen(text));
}

/* Serves one connection with these bytes, then hangs up, or reads until the client does. */
static pid_t serve(const char *path, const struct buffer *b, bool hang_up)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char sink[4096];
	pid_t pid;
	int fd;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	assert_int_equal(bind(s, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(s, 1), 0);
	pid = fork();
	if (pid) {
		close(s);
		return pid;
	}
	alarm(20); /* a client that hangs fails its test instead of the whole run */
	fd = accept4(s, NULL, NULL, SOCK_CLOEXEC);
	/* The request must be there first, or the answer belongs to no stream. */
	if (fd < 0 || read(fd, sink, sizeof(sink)) <= 0)
		_exit(1);
	if (write(fd, buffer_bytes(b), buffer_size(b)) != (ssize_t)buffer_size(b))
		_exit(1);
	while (!hang_up && read(fd, sink, sizeof(sink)) > 0)
		;
	_exit(0);
}

/* Calls GetVersion of a server that answers with these bytes. Returns call_unary()'s result. */
static int call_bytes(struct buffer *b, bool hang_up, char version[static 64], struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Google__Protobuf__Empty request = GOOGLE__PROTOBUF__EMPTY__INIT;
	char dir[] = "/tmp/croft-client-XXXXXX";
	struct client *client = NULL;
	char address[64];
	int status;
	pid_t pid;
	int r;

	assert_non_null(mkdtemp(dir));
	snprintf(address, sizeof(address), "unix:%s/s", dir);
	pid = serve(address + 5, b, hang_up);
	buffer_finish(b);
	memset(err, 0, sizeof(*err));
	r = client_connect(address, &client, err);
	assert_int_equal(r, 0);
	r = call_unary(client, SERVICE, "GetVersion", &request.base, &reply, err);
	if (r == 0)
		snprintf(version, 64, "%s", ((Croft__V1__Version *)(void *)reply)->version);
	client_destroy(client);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0); /* SIGALRM: the client hung */
	unlink(address + 5);
	rmdir(dir);
	return r;
}

static void expect_refusal(struct buffer *b, bool hang_up, enum err_code code, const char *says)
{
	struct err err;
	char version[64];
	int r = call_bytes(b, hang_up, version, &err);

	assert_true(r < 0);
	if (err.code != (int)code || !strstr(err.msg, says))
		fail_msg("%s: \"%s\"", err_code_name((enum err_code)err.code), err.msg);
}

static void a_reply_is_read(void **state)
{
	struct buffer b = {0};
	char version[64];
	struct err err;

	(void)state;
	begin_reply(&b);
	message(&b, 0, 5,
		"\x0a\x03"
		"1.2");
	HEADERS(&b, true, "grpc-status", "0");
	assert_int_equal(call_bytes(&b, false, version, &err), 0);
	assert_string_equal(version, "1.2");
}

static void a_message_may_come_in_any_pieces(void **state)
{
	struct buffer b = {0};
	char version[64];
	struct err err;

	(void)state;
	begin_reply(&b);
	frame(&b, NGHTTP2_DATA, 0, 1, "\0\0\0", 3);
	frame(&b, NGHTTP2_DATA, 0, 1, "", 0);
	frame(&b, NGHTTP2_DATA, 0, 1, "\0\5\x0a", 3);
	frame(&b, NGHTTP2_DATA, 0, 1,
		"\x03"
		"1.2",
		4);
	HEADERS(&b, true, "grpc-status", "0");
	assert_int_equal(call_bytes(&b, true, version, &err), 0);
	assert_string_equal(version, "1.2");
}

static void a_refusal_is_a_sentence(void **state)
{
	struct buffer b = {0};

	(void)state;
	begin(&b);
	HEADERS(&b, true, ":status", "200", "content-type", "application/grpc", "grpc-status", "5",
		"grpc-message", "no tenant %22a%22: 100%25 gr%C3%BC%");
	expect_refusal(&b, false, ERR_NOT_FOUND, "no tenant \"a\": 100% gr\xc3\xbc%");
}

static void control_characters_do_not_reach_the_terminal(void **state)
{
	struct buffer b = {0};
	struct err err;
	char version[64];

	(void)state;
	begin(&b);
	HEADERS(&b, true, ":status", "200", "grpc-status", "9", "grpc-message",
		"a%1B]0;evil%07b%0Ac%00d");
	assert_true(call_bytes(&b, false, version, &err) < 0);
	for (const char *p = err.msg; *p; p++)
		assert_true((unsigned char)*p >= 0x20);
}

static void odd_statuses_are_errors(void **state)
{
	static const char *const odd[] = {"", "x", "-1", "99999", "17", "00x"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		struct buffer b = {0};
		char version[64];
		struct err err;

		begin(&b);
		HEADERS(&b, true, ":status", "200", "grpc-status", odd[i]);
		assert_true(call_bytes(&b, false, version, &err) < 0);
		assert_true(err.msg[0]);
	}
}

static void broken_answers_are_errors(void **state)
{
	struct buffer b = {0};
	uint8_t reset[4] = {0, 0, 0, NGHTTP2_REFUSED_STREAM};

	(void)state;
	begin_reply(&b);
	message(&b, 0, CLIENT_MESSAGE_MAX + 1, "x");
	expect_refusal(&b, false, ERR_INTERNAL, "larger than 4 MiB");

	begin_reply(&b);
	message(&b, 1, 1, "x");
	expect_refusal(&b, false, ERR_INTERNAL, "compressed");

	begin_reply(&b);
	message(&b, 0, 9, "x");
	HEADERS(&b, true, "grpc-status", "0");
	expect_refusal(&b, false, ERR_INTERNAL, "middle of a message");

	begin_reply(&b);
	message(&b, 0, 3, "\x0a\x7f\x01");
	expect_refusal(&b, false, ERR_INTERNAL, "malformed Version");

	begin_reply(&b);
	HEADERS(&b, true, "grpc-status", "0");
	expect_refusal(&b, false, ERR_INTERNAL, "no reply");

	begin_reply(&b);
	message(&b, 0, 0, "");
	message(&b, 0, 0, "");
	HEADERS(&b, true, "grpc-status", "0");
	expect_refusal(&b, false, ERR_INTERNAL, "a second reply");

	begin_reply(&b);
	message(&b, 0, 0, "");
	frame(&b, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "", 0);
	expect_refusal(&b, false, ERR_INTERNAL, "without a status");

	begin(&b);
	HEADERS(&b, true, ":status", "404", "content-type", "text/html");
	expect_refusal(&b, false, ERR_UNAVAILABLE, "HTTP 404");

	begin(&b);
	frame(&b, NGHTTP2_RST_STREAM, 0, 1, reset, sizeof(reset));
	expect_refusal(&b, false, ERR_UNAVAILABLE, "try again");
}

static void lost_connections_are_errors(void **state)
{
	struct buffer b = {0};

	(void)state;
	expect_refusal(&b, true, ERR_UNAVAILABLE, "ended early");
	begin_reply(&b);
	message(&b, 0, 5,
		"\x0a\x03"
		"1.2");
	expect_refusal(&b, true, ERR_UNAVAILABLE, "ended early");
	buffer_append(&b, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
	expect_refusal(&b, false, ERR_UNAVAILABLE, "ended early");
	frame(&b, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, "\xff\xff\xff\xff\xff\xff", 6);
	expect_refusal(&b, false, ERR_UNAVAILABLE, "ended early");
}

/* Base64 without padding, as gRPC sends it. */
static void encode(const uint8_t *data, size_t size, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	int n = 0;

	for (size_t i = 0; i < size; i++) {
		bits = bits << 8 | data[i];
		for (n += 8; n >= 6; n -= 6)
			*out++ = digits[bits >> (n - 6) & 63];
	}
	if (n)
		*out++ = digits[bits << (6 - n) & 63];
	*out = '\0';
}

static void add(struct status *status, const char *name, const char *value)
{
	assert_int_equal(status_add_header(status, name, strlen(name), value, strlen(value)), 0);
}

static void details_name_the_reason(void **state)
{
	Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
	Google__Rpc__ErrorInfo__MetadataEntry subject =
		GOOGLE__RPC__ERROR_INFO__METADATA_ENTRY__INIT;
	Google__Rpc__ErrorInfo__MetadataEntry *metadata[] = {&subject};
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	Google__Protobuf__Any *anys[] = {&any};
	Google__Rpc__Status details = GOOGLE__RPC__STATUS__INIT;
	uint8_t packed_info[128];
	uint8_t packed[256];
	char text[512];
	struct status status;
	struct err err = {0};

	(void)state;
	subject.key = (char *)"subject";
	subject.value = (char *)"memory";
	info.reason = (char *)"LIMIT_ABOVE_TENANT";
	info.metadata = metadata;
	info.n_metadata = 1;
	any.type_url = (char *)"type.googleapis.com/google.rpc.ErrorInfo";
	any.value.data = packed_info;
	any.value.len = google__rpc__error_info__pack(&info, packed_info);
	details.message = (char *)"from the details";
	details.details = anys;
	details.n_details = 1;
	encode(packed, google__rpc__status__pack(&details, packed), text);

	status_init(&status);
	add(&status, "grpc-status", "3");
	add(&status, "grpc-status-details-bin", text);
	assert_int_equal(status_to_err(&status, &err), -EINVAL);
	assert_string_equal(err.reason, "LIMIT_ABOVE_TENANT");
	assert_string_equal(err.subject, "memory");
	assert_string_equal(err.msg, "from the details");
	/* The plain message goes first; broken details change nothing. */
	add(&status, "grpc-message", "plain");
	add(&status, "grpc-status-details-bin", "!!!");
	assert_int_equal(status_to_err(&status, &err), -EINVAL);
	assert_string_equal(err.msg, "plain");
	assert_string_equal(err.reason, "");
	status_finish(&status);
}

static void addresses_are_checked(void **state)
{
	static const struct {
		const char *address;
		bool usage;
		const char *says;
	} rows[] = {
		{"", true, "is not an address"},
		{"/run/croft.sock", true, "is not an address"},
		{"unix:", true, "1 to"},
		{"tcp:localhost", true, "tcp:HOST:PORT"},
		{"tcp::1", true, "tcp:HOST:PORT"},
		{"tcp:::1:80", true, "tcp:HOST:PORT"},
		{"tcp:127.0.0.1:x", false, "cannot find"},
		{"unix:/nonexistent/croft.sock", false, "--host or CROFT_HOST"},
	};
	char longest[200] = "unix:";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct client *client = NULL;
		struct err err = {0};

		assert_true(client_connect(rows[i].address, &client, &err) < 0);
		assert_null(client);
		if (usage_is(&err) != rows[i].usage || !strstr(err.msg, rows[i].says))
			fail_msg("\"%s\": \"%s\"", rows[i].address, err.msg);
	}
	memset(longest + 5, 'x', sizeof(longest) - 6);
	longest[sizeof(longest) - 1] = '\0';
	for (size_t n = 100; n < sizeof(longest); n++) {
		struct client *client = NULL;
		struct err err = {0};
		char c = longest[n];

		longest[n] = '\0';
		assert_true(client_connect(longest, &client, &err) < 0);
		longest[n] = c;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_is_read),
		cmocka_unit_test(a_message_may_come_in_any_pieces),
		cmocka_unit_test(a_refusal_is_a_sentence),
		cmocka_unit_test(control_characters_do_not_reach_the_terminal),
		cmocka_unit_test(odd_statuses_are_errors),
		cmocka_unit_test(broken_answers_are_errors),
		cmocka_unit_test(lost_connections_are_errors),
		cmocka_unit_test(details_name_the_reason),
		cmocka_unit_test(addresses_are_checked),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

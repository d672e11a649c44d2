/*
 * A request's headers: collected one by one, judged when they are complete
 * (grpc/doc/PROTOCOL-HTTP2.md, "Requests"). Application metadata is counted, never kept. What is
 * refused here is answered by headers alone, before a call exists.
 */
#include "base/cleanup.h"
#include "server/grpc_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* RFC 9113, section 10.5.1: what an entry counts beside its name and value. */
#define HEADER_OVERHEAD 32u

void grpc_request_reset(struct grpc_request *request)
{
	*request = (struct grpc_request){.encoding_ok = true, .timeout_ok = true};
}

static bool starts_with(const char *text, const char *prefix, const char **ret_rest)
{
	size_t len = strlen(prefix);

	if (strncmp(text, prefix, len) != 0)
		return false;
	*ret_rest = text + len;
	return true;
}

/* "application/grpc", with "+proto" or parameters; not grpc-web, not another encoding. */
static bool is_grpc_content_type(const char *value)
{
	const char *rest;

	if (!starts_with(value, "application/grpc", &rest))
		return false;
	(void)starts_with(rest, "+proto", &rest);
	return *rest == '\0' || *rest == ';';
}

int grpc_request_parse_timeout(const char *text, uint64_t *ret_usec)
{
	static const struct {
		char unit;
		uint64_t nsec;
	} units[] = {
		{'H', 3600000000000u},
		{'M', 60000000000u},
		{'S', 1000000000u},
		{'m', 1000000u},
		{'u', 1000u},
		{'n', 1u},
	};
	uint64_t value = 0;
	size_t digits = 0;

	for (; text[digits] >= '0' && text[digits] <= '9'; digits++) {
		if (digits == 8)
			return -EINVAL;
		value = value * 10 + (uint64_t)(text[digits] - '0');
	}
	if (!digits || !text[digits] || text[digits + 1])
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (units[i].unit != text[digits])
			continue;
		/* At most 99999999 hours: 3.6e17 us. Rounded up, so that 1n is not "at once". */
		*ret_usec = units[i].nsec >= 1000 ? value * (units[i].nsec / 1000)
						  : (value + 999) / 1000;
		return 0;
	}
	return -EINVAL;
}

void grpc_request_add(struct grpc_request *request, const uint8_t *name, size_t name_len,
	const uint8_t *value, size_t value_len)
{
	/* nghttp2 terminates both (nghttp2_on_header_callback). */
	const char *n = (const char *)name;
	const char *v = (const char *)value;

	request->list_size += name_len + value_len + HEADER_OVERHEAD;
	if (request->list_size > GRPC_HEADERS_MAX)
		return;
	if (strcmp(n, ":path") == 0) {
		request->method = grpc_method_find(v);
		snprintf(request->path, sizeof(request->path), "%s", v);
	} else if (strcmp(n, ":method") == 0) {
		request->is_post = strcmp(v, "POST") == 0;
	} else if (strcmp(n, "content-type") == 0) {
		request->content_type_ok = is_grpc_content_type(v);
	} else if (strcmp(n, "te") == 0) {
		request->has_te = strcmp(v, "trailers") == 0;
	} else if (strcmp(n, "grpc-encoding") == 0) {
		request->encoding_ok = strcmp(v, "identity") == 0;
	} else if (strcmp(n, "grpc-timeout") == 0) {
		request->has_timeout = true;
		request->timeout_ok = grpc_request_parse_timeout(v, &request->timeout_usec) == 0;
	}
}

/* What is wrong with the request, and the HTTP status it gets; 0 when nothing is. */
static int judge(const struct grpc_conn *conn, struct err *err)
{
	const struct grpc_request *r = &conn->request;

	if (r->list_size > GRPC_HEADERS_MAX) {
		err_set(err, ERR_RESOURCE_EXHAUSTED, "HEADERS_TOO_LARGE",
			"the request's headers count %zu bytes, more than the %u that are allowed: "
			"send less metadata",
			r->list_size, GRPC_HEADERS_MAX);
		return 431;
	}
	if (!r->is_post) {
		err_set(err, ERR_INTERNAL, "METHOD_NOT_POST", "a gRPC call is a POST request");
		return 405;
	}
	if (!r->content_type_ok) {
		err_set(err, ERR_INTERNAL, "BAD_CONTENT_TYPE",
			"the content-type must be application/grpc or application/grpc+proto");
		return 415;
	}
	if (!r->has_te) {
		err_set(err, ERR_INTERNAL, "TE_MISSING",
			"the header `te: trailers` is missing: something between here and the "
			"client does not pass trailers on");
		return 400;
	}
	if (!r->method) {
		err_set(err, ERR_UNIMPLEMENTED, "UNKNOWN_METHOD", "there is no method %s", r->path);
		return 200;
	}
	if (!r->encoding_ok) {
		err_set(err, ERR_UNIMPLEMENTED, "UNKNOWN_ENCODING",
			"messages in this grpc-encoding are not understood: send them with "
			"identity");
		return 200;
	}
	if (!r->timeout_ok) {
		err_set_subject(err, ERR_INVALID_ARGUMENT, "BAD_TIMEOUT", "grpc-timeout",
			"grpc-timeout must be one to eight digits and a unit of H, M, S, m, u or "
			"n");
		return 200;
	}
	if (!conn->server->handlers[r->method - grpc_methods]) {
		err_set(err, ERR_UNIMPLEMENTED, "METHOD_NOT_IMPLEMENTED",
			"%s is not implemented by this server", r->path);
		return 200;
	}
	if (conn->user->calls >= conn->user->calls_max) {
		err_set(err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_CALLS",
			"%u calls of this client go on or are still worked for, which is as many "
			"as are allowed: wait for some to end before making more",
			conn->user->calls_max);
		return 200;
	}
	return 0;
}

int grpc_request_finish(struct grpc_conn *conn, int32_t stream_id)
{
	struct err err;
	int http_status = judge(conn, &err);

	if (http_status)
		return grpc_status_submit_only(conn->session, stream_id, http_status, &err);
	return grpc_call_open(conn, stream_id, &conn->request);
}

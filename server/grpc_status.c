/*
 * How a call ends: grpc-status, grpc-message and grpc-status-details-bin from a struct err
 * (grpc/doc/PROTOCOL-HTTP2.md, "Responses"; google.rpc.Status by AIP-193). Text that came from
 * elsewhere is made valid UTF-8 here, because a client refuses a reply that is not.
 */
#include "base/cleanup.h"
#include "server/grpc_internal.h"
#include "server/grpc_utf8.h"

#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>
#include <stdio.h>
#include <string.h>

#define TYPE_URL(name) "type.googleapis.com/google.rpc." name

/* ErrorInfo, QuotaFailure or BadRequest, and what holds them; texts are cut to struct err's. */
#define DETAIL_MAX     (2u * (ERR_MSG_MAX + ERR_SUBJECT_MAX + ERR_REASON_MAX))
#define STATUS_MAX     (3u * DETAIL_MAX)
#define BASE64_SIZE(n) ((n)*4u / 3u + 4u)
#define N_DETAILS      2u
#define N_HEADERS_MAX  6u

size_t grpc_status_percent_encode(const char *text, char *out)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;

	for (const uint8_t *p = (const uint8_t *)text; *p; p++) {
		if (*p >= 0x20 && *p <= 0x7e && *p != '%') {
			out[n++] = (char)*p;
			continue;
		}
		out[n++] = '%';
		out[n++] = hex[*p >> 4];
		out[n++] = hex[*p & 15];
	}
	out[n] = '\0';
	return n;
}

size_t grpc_status_base64(const uint8_t *data, size_t size, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = 0;

	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i;
		uint32_t v = (uint32_t)data[i] << 16;

		if (left > 1)
			v |= (uint32_t)data[i + 1] << 8;
		if (left > 2)
			v |= data[i + 2];
		out[n++] = digits[v >> 18];
		out[n++] = digits[v >> 12 & 63];
		if (left > 1)
			out[n++] = digits[v >> 6 & 63];
		if (left > 2)
			out[n++] = digits[v & 63];
	}
	out[n] = '\0';
	return n;
}

/* Packs a detail into an Any; false when it does not fit, and is then left out. */
static bool pack_any(const ProtobufCMessage *detail, char *type_url,
	uint8_t data[static DETAIL_MAX], Google__Protobuf__Any *any)
{
	google__protobuf__any__init(any);
	if (protobuf_c_message_get_packed_size(detail) > DETAIL_MAX)
		return false;
	any->type_url = type_url;
	any->value.data = data;
	any->value.len = protobuf_c_message_pack(detail, data);
	return true;
}

static bool pack_error_info(
	struct err *e, uint8_t data[static DETAIL_MAX], Google__Protobuf__Any *any)
{
	Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
	Google__Rpc__ErrorInfo__MetadataEntry entry = GOOGLE__RPC__ERROR_INFO__METADATA_ENTRY__INIT;
	Google__Rpc__ErrorInfo__MetadataEntry *entries[] = {&entry};

	info.reason = e->reason[0] ? e->reason : (char *)err_code_name((enum err_code)e->code);
	info.domain = (char *)"croft";
	if (e->subject[0]) {
		entry.key = (char *)"subject";
		entry.value = e->subject;
		info.n_metadata = 1;
		info.metadata = entries;
	}
	return pack_any(&info.base, (char *)TYPE_URL("ErrorInfo"), data, any);
}

static bool pack_quota_failure(
	struct err *e, uint8_t data[static DETAIL_MAX], Google__Protobuf__Any *any)
{
	Google__Rpc__QuotaFailure failure = GOOGLE__RPC__QUOTA_FAILURE__INIT;
	Google__Rpc__QuotaFailure__Violation violation =
		GOOGLE__RPC__QUOTA_FAILURE__VIOLATION__INIT;
	Google__Rpc__QuotaFailure__Violation *violations[] = {&violation};

	violation.subject = e->subject;
	violation.description = e->msg;
	failure.n_violations = 1;
	failure.violations = violations;
	return pack_any(&failure.base, (char *)TYPE_URL("QuotaFailure"), data, any);
}

static bool pack_bad_request(
	struct err *e, uint8_t data[static DETAIL_MAX], Google__Protobuf__Any *any)
{
	Google__Rpc__BadRequest request = GOOGLE__RPC__BAD_REQUEST__INIT;
	Google__Rpc__BadRequest__FieldViolation violation =
		GOOGLE__RPC__BAD_REQUEST__FIELD_VIOLATION__INIT;
	Google__Rpc__BadRequest__FieldViolation *violations[] = {&violation};

	violation.field = e->subject;
	violation.description = e->msg;
	request.n_field_violations = 1;
	request.field_violations = violations;
	return pack_any(&request.base, (char *)TYPE_URL("BadRequest"), data, any);
}

/* google.rpc.Status as grpc-status-details-bin carries it; "" when it cannot be told. */
static size_t details_header(struct err *e, char out[static BASE64_SIZE(STATUS_MAX)])
{
	Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
	Google__Protobuf__Any anys[N_DETAILS];
	Google__Protobuf__Any *details[N_DETAILS] = {&anys[0], &anys[1]};
	uint8_t data[N_DETAILS][DETAIL_MAX];
	uint8_t packed[STATUS_MAX];
	size_t n = 0;

	status.code = e->code;
	status.message = e->msg;
	if (pack_error_info(e, data[n], &anys[n]))
		n++;
	if (e->code == ERR_RESOURCE_EXHAUSTED && pack_quota_failure(e, data[n], &anys[n]))
		n++;
	else if (e->code == ERR_INVALID_ARGUMENT && e->subject[0] &&
		 pack_bad_request(e, data[n], &anys[n]))
		n++;
	status.n_details = n;
	status.details = details;
	if (protobuf_c_message_get_packed_size(&status.base) > sizeof(packed)) {
		out[0] = '\0';
		return 0;
	}
	return grpc_status_base64(packed, protobuf_c_message_pack(&status.base, packed), out);
}

static nghttp2_nv header(const char *name, const char *value, size_t len, uint8_t flags)
{
	/* nghttp2 does not write to them; names are literals, and stay. */
	return (nghttp2_nv){
		.name = (uint8_t *)name,
		.value = (uint8_t *)value,
		.namelen = strlen(name),
		.valuelen = len,
		.flags = (uint8_t)(NGHTTP2_NV_FLAG_NO_COPY_NAME | flags),
	};
}

/* What a client may be shown, whatever is in err: a known code, and UTF-8. */
static struct err presentable(const struct err *err)
{
	struct err e = *err;

	if (e.code <= ERR_OK || e.code > ERR_UNAUTHENTICATED)
		e.code = ERR_UNKNOWN;
	e.reason[sizeof(e.reason) - 1] = '\0';
	e.subject[sizeof(e.subject) - 1] = '\0';
	e.msg[sizeof(e.msg) - 1] = '\0';
	grpc_utf8_repair(e.reason);
	grpc_utf8_repair(e.subject);
	grpc_utf8_repair(e.msg);
	return e;
}

/* Both ways to end a stream; http_status 0: as trailers. */
static int submit(
	nghttp2_session *session, int32_t stream_id, int http_status, const struct err *err)
{
	char http[12], code[12], message[3 * ERR_MSG_MAX + 1], details[BASE64_SIZE(STATUS_MAX)];
	nghttp2_nv nv[N_HEADERS_MAX];
	size_t n = 0, len;

	if (http_status) {
		len = (size_t)snprintf(http, sizeof(http), "%d", http_status);
		nv[n++] = header(":status", http, len, 0);
		nv[n++] = header("content-type", "application/grpc", strlen("application/grpc"),
			NGHTTP2_NV_FLAG_NO_COPY_VALUE);
	}
	if (!err) {
		nv[n++] = header("grpc-status", "0", 1, NGHTTP2_NV_FLAG_NO_COPY_VALUE);
	} else {
		struct err e = presentable(err);

		len = (size_t)snprintf(code, sizeof(code), "%d", e.code);
		nv[n++] = header("grpc-status", code, len, 0);
		/* NO_INDEX: every text is another one, and would push the rest out of the table. */
		len = grpc_status_percent_encode(e.msg, message);
		nv[n++] = header("grpc-message", message, len, NGHTTP2_NV_FLAG_NO_INDEX);
		len = details_header(&e, details);
		if (len)
			nv[n++] = header(
				"grpc-status-details-bin", details, len, NGHTTP2_NV_FLAG_NO_INDEX);
		if (e.code == ERR_UNIMPLEMENTED && http_status)
			nv[n++] = header("grpc-accept-encoding", "identity", strlen("identity"),
				NGHTTP2_NV_FLAG_NO_COPY_VALUE);
	}
	if (http_status)
		return nghttp2_submit_response(session, stream_id, nv, n, NULL);
	return nghttp2_submit_trailer(session, stream_id, nv, n);
}

int grpc_status_submit_trailers(nghttp2_session *session, int32_t stream_id, const struct err *err)
{
	return submit(session, stream_id, 0, err);
}

int grpc_status_submit_only(
	nghttp2_session *session, int32_t stream_id, int http_status, const struct err *err)
{
	return submit(session, stream_id, http_status, err);
}

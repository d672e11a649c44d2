/*
 * Reads a call's status; see status.h. All of it is the peer's: every length is bounded, and text
 * is stripped of control characters before anybody prints it.
 */
#include "cli/status.h"

#include "base/cleanup.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>

#define TYPE_URL_ERROR_INFO "type.googleapis.com/google.rpc.ErrorInfo"

void status_init(struct status *status)
{
	memset(status, 0, sizeof(*status));
	status->grpc_status = -1;
}

void status_finish(struct status *status)
{
	free(status->details);
	status->details = NULL;
}

static bool is_header(const char *name, size_t size, const char *want)
{
	return size == strlen(want) && !memcmp(name, want, size);
}

static void copy_cut(char *to, size_t to_size, const char *from, size_t from_size)
{
	size_t n = from_size < to_size - 1 ? from_size : to_size - 1;

	memcpy(to, from, n);
	to[n] = '\0';
}

/* A decimal number of up to four digits; anything else is -1. */
static int small_number(const char *value, size_t size)
{
	int n = 0;

	if (!size || size > 4)
		return -1;
	for (size_t i = 0; i < size; i++) {
		if (value[i] < '0' || value[i] > '9')
			return -1;
		n = n * 10 + (value[i] - '0');
	}
	return n;
}

int status_add_header(struct status *status, const char *name, size_t name_size, const char *value,
	size_t value_size)
{
	if (is_header(name, name_size, ":status")) {
		status->http_status = small_number(value, value_size);
	} else if (is_header(name, name_size, "content-type")) {
		copy_cut(status->content_type, sizeof(status->content_type), value, value_size);
	} else if (is_header(name, name_size, "grpc-status")) {
		int n = small_number(value, value_size);

		status->grpc_status = n < 0 ? ERR_UNKNOWN : n;
	} else if (is_header(name, name_size, "grpc-message")) {
		copy_cut(status->message, sizeof(status->message), value, value_size);
	} else if (is_header(name, name_size, "grpc-status-details-bin") &&
		   value_size <= STATUS_DETAILS_MAX) {
		char *copy = strndup(value, value_size);

		if (!copy)
			return -ENOMEM;
		free(status->details);
		status->details = copy;
	}
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Undoes grpc-message's percent encoding; a broken escape stays as it is, as gRPC asks. */
static void percent_decode(const char *in, char *out, size_t size)
{
	size_t n = 0;

	for (; *in && n + 1 < size; in++) {
		if (*in == '%' && in[1] && hex_digit(in[1]) >= 0 && hex_digit(in[2]) >= 0) {
			out[n++] = (char)(hex_digit(in[1]) << 4 | hex_digit(in[2]));
			in += 2;
		} else {
			out[n++] = *in;
		}
	}
	out[n] = '\0';
}

static int base64_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c ? strchr(digits, c) : NULL;

	return p ? (int)(p - digits) : -1;
}

/* Base64 with or without padding (gRPC allows both). Returns the length or -EBADMSG. */
static ssize_t base64_decode(const char *in, uint8_t *out)
{
	size_t n = 0;
	uint32_t bits = 0;
	int n_bits = 0;

	for (; *in && *in != '='; in++) {
		int digit = base64_digit(*in);

		if (digit < 0)
			return -EBADMSG;
		bits = bits << 6 | (uint32_t)digit;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			out[n++] = (uint8_t)(bits >> n_bits);
		}
	}
	return (ssize_t)n;
}

static void read_error_info(const Google__Protobuf__Any *any, struct err *err)
{
	Google__Rpc__ErrorInfo *info = google__rpc__error_info__unpack(
		NULL, any->value.len, any->value.data);

	if (!info)
		return;
	snprintf(err->reason, sizeof(err->reason), "%s", info->reason);
	for (size_t i = 0; i < info->n_metadata; i++)
		if (!strcmp(info->metadata[i]->key, "subject"))
			snprintf(
				err->subject, sizeof(err->subject), "%s", info->metadata[i]->value);
	google__rpc__error_info__free_unpacked(info, NULL);
}

/* Details only add to the error; malformed ones leave it as the plain trailers told it. */
static void read_details(const char *base64, struct err *err)
{
	_cleanup_free_ uint8_t *data = malloc(strlen(base64) + 1);
	ssize_t size = data ? base64_decode(base64, data) : -ENOMEM;
	Google__Rpc__Status *details =
		size < 0 ? NULL : google__rpc__status__unpack(NULL, (size_t)size, data);

	if (!details)
		return;
	if (!err->msg[0])
		snprintf(err->msg, sizeof(err->msg), "%s", details->message);
	for (size_t i = 0; i < details->n_details; i++)
		if (!strcmp(details->details[i]->type_url, TYPE_URL_ERROR_INFO))
			read_error_info(details->details[i], err);
	google__rpc__status__free_unpacked(details, NULL);
}

static int not_grpc(const struct status *status, struct err *err)
{
	if (status->http_status && status->http_status != 200)
		return err_set(err, ERR_UNAVAILABLE, "SERVER_NOT_GRPC",
			"the server answered HTTP %d instead of a gRPC status; check the address",
			status->http_status);
	return err_set(err, ERR_INTERNAL, "STATUS_MISSING",
		"the server ended the call without a status; look at croftd's log");
}

int status_to_err(const struct status *status, struct err *err)
{
	struct err local = {0};
	int r;

	if (status->grpc_status == ERR_OK)
		return 0;
	if (status->grpc_status < 0)
		return not_grpc(status, err);
	local.code = status->grpc_status;
	percent_decode(status->message, local.msg, sizeof(local.msg));
	if (status->details)
		read_details(status->details, &local);
	if (!local.msg[0])
		snprintf(local.msg, sizeof(local.msg), "the server refused: %s",
			err_code_name((enum err_code)local.code));
	r = err_sanitize(&local);
	if (err)
		*err = local;
	return r;
}

int status_from_reset(uint32_t http2_error, struct err *err)
{
	switch (http2_error) {
	case NGHTTP2_REFUSED_STREAM:
		return err_set(err, ERR_UNAVAILABLE, "SERVER_BUSY",
			"the server takes no more calls now; try again");
	case NGHTTP2_CANCEL:
		return err_set(err, ERR_CANCELLED, "CANCELLED", "the server cancelled the call");
	case NGHTTP2_ENHANCE_YOUR_CALM:
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "SERVER_BUSY",
			"the server asks for fewer calls; try again later");
	default:
		return err_set(err, ERR_INTERNAL, "STREAM_RESET",
			"the server broke the call off (HTTP/2 error %u); look at croftd's log",
			http2_error);
	}
}

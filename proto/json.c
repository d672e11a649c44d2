/*
 * The JSON printer; see json.h. Whatever bytes a server put into strings, the output is valid
 * UTF-8 JSON without control characters. It does not know map fields (protobuf-c shows them as
 * repeated entries): no message of croft.v1 has one.
 */
#include "proto/json.h"

#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/field_mask.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "proto/message.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

static void print_message(const ProtobufCMessage *message, FILE *out);

/*
 * The length of the valid UTF-8 sequence at s (terminated by NUL), or 0: RFC 3629, so neither
 * overlong forms nor surrogates nor anything above U+10FFFF.
 */
static size_t utf8_length(const unsigned char *s)
{
	unsigned char low = 0x80;
	unsigned char high = 0xbf;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

static void print_escaped(unsigned char c, FILE *out)
{
	static const char short_forms[] = {'b', 't', 'n', 0, 'f', 'r'};

	if (c == '"' || c == '\\')
		fprintf(out, "\\%c", c);
	else if (c >= '\b' && c <= '\r' && short_forms[c - '\b'])
		fprintf(out, "\\%c", short_forms[c - '\b']);
	else
		fprintf(out, "\\u%04x", c);
}

static void print_string(const char *text, FILE *out)
{
	const unsigned char *s = (const unsigned char *)text;

	fputc('"', out);
	while (*s) {
		size_t n = utf8_length(s);

		if (n == 1 && (*s < 0x20 || *s == '"' || *s == '\\' || *s == 0x7f))
			print_escaped(*s, out);
		else if (n == 2 && s[0] == 0xc2 && s[1] < 0xa0) /* C1 controls */
			print_escaped(s[1], out);
		else if (n)
			fwrite(s, 1, n, out);
		else
			fputs("\\ufffd", out);
		s += n ? n : 1;
	}
	fputc('"', out);
}

/*
 * snake_case to lowerCamelCase, of a field name or a field mask's path. A mask's paths are the
 * peer's text: what can be in no path is dropped.
 */
static void print_camel(const char *name, FILE *out)
{
	bool upper = false;

	for (; *name; name++) {
		char c = *name;

		if (c == '_') {
			upper = true;
			continue;
		}
		if (!isalnum((unsigned char)c) && c != '.')
			continue;
		if (upper && c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		upper = false;
		fputc(c, out);
	}
}

static void print_bytes(const ProtobufCBinaryData *bytes, FILE *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	fputc('"', out);
	for (size_t i = 0; i < bytes->len; i += 3) {
		size_t left = bytes->len - i;
		uint32_t b = (uint32_t)bytes->data[i] << 16;

		if (left > 1)
			b |= (uint32_t)bytes->data[i + 1] << 8;
		if (left > 2)
			b |= bytes->data[i + 2];
		fputc(digits[b >> 18], out);
		fputc(digits[b >> 12 & 63], out);
		fputc(left > 1 ? digits[b >> 6 & 63] : '=', out);
		fputc(left > 2 ? digits[b & 63] : '=', out);
	}
	fputc('"', out);
}

static void print_real(double value, int digits, FILE *out)
{
	if (isnan(value))
		fputs("\"NaN\"", out);
	else if (isinf(value))
		fputs(value < 0 ? "\"-Infinity\"" : "\"Infinity\"", out);
	else
		fprintf(out, "%.*g", digits, value);
}

static void print_integer(const struct message_value *value, FILE *out)
{
	const char *quote = message_is_64_bit(value) ? "\"" : "";

	if (message_is_signed(value))
		fprintf(out, "%s%" PRId64 "%s", quote, (int64_t)message_u64(value), quote);
	else
		fprintf(out, "%s%" PRIu64 "%s", quote, message_u64(value), quote);
}

static void print_enum(const struct message_value *value, FILE *out)
{
	const char *name = message_enum_name(value);

	if (name)
		fprintf(out, "\"%s\"", name);
	else
		fprintf(out, "%" PRId64, (int64_t)message_u64(value));
}

static void print_value(const struct message_value *value, FILE *out)
{
	switch (value->field->type) {
	case PROTOBUF_C_TYPE_STRING:
		print_string(message_string(value), out);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		print_bytes(value->at, out);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		print_message(message_sub(value), out);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		fputs(message_u64(value) ? "true" : "false", out);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		print_enum(value, out);
		break;
	case PROTOBUF_C_TYPE_FLOAT:
		print_real((double)*(const float *)value->at, 9, out);
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		print_real(*(const double *)value->at, 17, out);
		break;
	default:
		print_integer(value, out);
		break;
	}
}

static void print_time(bool valid, const char *text, FILE *out)
{
	if (valid)
		fprintf(out, "\"%s\"", text);
	else
		fputs("null", out); /* out of the format's range: there is no right text */
}

/* The messages with a JSON form of their own. */
static bool print_well_known(const ProtobufCMessage *message, FILE *out)
{
	char text[MESSAGE_TIME_MAX];

	if (message->descriptor == &google__protobuf__timestamp__descriptor) {
		const Google__Protobuf__Timestamp *t = (const void *)message;

		print_time(message_format_time(t->seconds, t->nanos, text), text, out);
		return true;
	}
	if (message->descriptor == &google__protobuf__duration__descriptor) {
		const Google__Protobuf__Duration *d = (const void *)message;

		print_time(message_format_duration(d->seconds, d->nanos, text), text, out);
		return true;
	}
	if (message->descriptor == &google__protobuf__field_mask__descriptor) {
		const Google__Protobuf__FieldMask *m = (const void *)message;

		fputc('"', out);
		for (size_t i = 0; i < m->n_paths; i++) {
			if (i)
				fputc(',', out);
			print_camel(m->paths[i], out);
		}
		fputc('"', out);
		return true;
	}
	return false;
}

static void print_field(
	const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, size_t n, FILE *out)
{
	fputc('"', out);
	print_camel(field->name, out);
	fputs("\":", out);
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		fputc('[', out);
	for (size_t i = 0; i < n; i++) {
		struct message_value value = message_get(message, field, i);

		if (i)
			fputc(',', out);
		print_value(&value, out);
	}
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		fputc(']', out);
}

static void print_message(const ProtobufCMessage *message, FILE *out)
{
	bool first = true;

	if (print_well_known(message, out))
		return;
	fputc('{', out);
	for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
		size_t n = message_count(message, field);

		if (!n)
			continue;
		if (!first)
			fputc(',', out);
		first = false;
		print_field(message, field, n, out);
	}
	fputc('}', out);
}

void json_write(const ProtobufCMessage *message, FILE *out)
{
	print_message(message, out);
}

void json_write_string(const char *text, FILE *out)
{
	print_string(text, out);
}

void json_print(const ProtobufCMessage *message, FILE *out)
{
	print_message(message, out);
	fputc('\n', out);
}

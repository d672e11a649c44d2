/*
 * Reflection over protobuf-c messages; see message.h. Reads members only through the generated
 * descriptors, so it is right for every message and knows none.
 */
#include "proto/message.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NANOS_PER_SEC INT64_C(1000000000)
#define TIME_MIN      INT64_C(-62135596800) /* 0001-01-01T00:00:00Z */
#define TIME_MAX      INT64_C(253402300799) /* 9999-12-31T23:59:59Z */
#define DURATION_MAX  INT64_C(315576000000)

static const void *member(const ProtobufCMessage *message, unsigned offset)
{
	return (const char *)message + offset;
}

static size_t size_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_ENUM:
		return 4;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		break;
	}
	return sizeof(void *);
}

static bool is_set(const ProtobufCFieldDescriptor *field, const void *at)
{
	static const char zeros[8];

	if (field->type == PROTOBUF_C_TYPE_BYTES)
		return ((const ProtobufCBinaryData *)at)->len > 0;
	if (field->type == PROTOBUF_C_TYPE_STRING)
		return *(const char *const *)at && **(const char *const *)at;
	return memcmp(at, zeros, size_of(field->type)) != 0;
}

size_t message_count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const void *at = member(message, field->offset);
	const void *quantifier = member(message, field->quantifier_offset);

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)quantifier;
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		if (*(const uint32_t *)quantifier != field->id)
			return 0;
		/* A member of a oneof is there even when it is zero; a NULL message cannot be. */
		return field->type != PROTOBUF_C_TYPE_MESSAGE || is_set(field, at);
	}
	return is_set(field, at);
}

struct message_value message_get(
	const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, size_t i)
{
	const void *at = member(message, field->offset);

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		at = *(const char *const *)at + i * size_of(field->type);
	return (struct message_value){.field = field, .at = at};
}

static const ProtobufCFieldDescriptor *next_field(
	const ProtobufCMessageDescriptor *descriptor, const char **path)
{
	size_t len = strcspn(*path, ".");
	char name[64];

	if (!len || len >= sizeof(name))
		return NULL;
	memcpy(name, *path, len);
	name[len] = '\0';
	*path += len + ((*path)[len] == '.');
	return protobuf_c_message_descriptor_get_field_by_name(descriptor, name);
}

bool message_find(const ProtobufCMessage *message, const char *path, struct message_value *ret)
{
	for (;;) {
		const ProtobufCFieldDescriptor *f = next_field(message->descriptor, &path);

		if (!f || f->label == PROTOBUF_C_LABEL_REPEATED || !message_count(message, f))
			return false;
		*ret = message_get(message, f, 0);
		if (!*path)
			return true;
		message = message_sub(ret);
		if (!message)
			return false;
	}
}

bool message_path_exists(const ProtobufCMessageDescriptor *descriptor, const char *path)
{
	while (*path) {
		const ProtobufCFieldDescriptor *f = descriptor ? next_field(descriptor, &path)
							       : NULL;

		if (!f || f->label == PROTOBUF_C_LABEL_REPEATED)
			return false;
		descriptor = f->type == PROTOBUF_C_TYPE_MESSAGE ? f->descriptor : NULL;
	}
	return true;
}

bool message_is_signed(const struct message_value *value)
{
	switch (value->field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_ENUM:
		return true;
	default:
		return false;
	}
}

bool message_is_64_bit(const struct message_value *value)
{
	return size_of(value->field->type) == 8 && value->field->type != PROTOBUF_C_TYPE_DOUBLE &&
	       value->field->type != PROTOBUF_C_TYPE_STRING &&
	       value->field->type != PROTOBUF_C_TYPE_MESSAGE;
}

uint64_t message_u64(const struct message_value *value)
{
	switch (value->field->type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return *(const uint64_t *)value->at;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return *(const uint32_t *)value->at;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_ENUM:
		return (uint64_t)(int64_t) * (const int32_t *)value->at;
	case PROTOBUF_C_TYPE_BOOL:
		return *(const protobuf_c_boolean *)value->at != 0;
	default:
		return 0;
	}
}

const char *message_string(const struct message_value *value)
{
	const char *s = NULL;

	if (value->field->type == PROTOBUF_C_TYPE_STRING)
		s = *(const char *const *)value->at;
	return s ? s : "";
}

const ProtobufCMessage *message_sub(const struct message_value *value)
{
	if (value->field->type != PROTOBUF_C_TYPE_MESSAGE)
		return NULL;
	return *(const ProtobufCMessage *const *)value->at;
}

const char *message_enum_name(const struct message_value *value)
{
	const ProtobufCEnumValue *v;

	if (value->field->type != PROTOBUF_C_TYPE_ENUM)
		return NULL;
	v = protobuf_c_enum_descriptor_get_value(
		value->field->descriptor, (int)(int64_t)message_u64(value));
	return v ? v->name : NULL;
}

/* ".5" seconds as ".500": no decimals, or the fewest of 3, 6 and 9 that are exact. */
static void format_fraction(int32_t nanos, char *out, size_t size)
{
	if (!nanos)
		out[0] = '\0';
	else if (nanos % 1000000 == 0)
		snprintf(out, size, ".%03d", nanos / 1000000);
	else if (nanos % 1000 == 0)
		snprintf(out, size, ".%06d", nanos / 1000);
	else
		snprintf(out, size, ".%09d", nanos);
}

bool message_format_time(int64_t seconds, int32_t nanos, char out[static MESSAGE_TIME_MAX])
{
	char fraction[12];
	char *end;

	if (seconds < TIME_MIN || seconds > TIME_MAX || nanos < 0 || nanos >= NANOS_PER_SEC)
		return false;
	_Static_assert(CLOCK_TEXT_MAX <= MESSAGE_TIME_MAX, "clock_format() writes into out");
	clock_format(seconds * 1000000, out);
	end = out + strcspn(out, ".");
	format_fraction(nanos, fraction, sizeof(fraction));
	snprintf(end, MESSAGE_TIME_MAX - (size_t)(end - out), "%sZ", fraction);
	return true;
}

bool message_format_duration(int64_t seconds, int32_t nanos, char out[static MESSAGE_TIME_MAX])
{
	bool negative = seconds < 0 || nanos < 0;
	char fraction[12];

	if (seconds < -DURATION_MAX || seconds > DURATION_MAX || nanos <= -NANOS_PER_SEC ||
		nanos >= NANOS_PER_SEC || (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0))
		return false;
	format_fraction(nanos < 0 ? -nanos : nanos, fraction, sizeof(fraction));
	snprintf(out, MESSAGE_TIME_MAX, "%s%" PRId64 "%ss", negative ? "-" : "",
		seconds < 0 ? -seconds : seconds, fraction);
	return true;
}

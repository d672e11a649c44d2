/*
 * Reading protobuf-c messages by their descriptors, without knowing their C types: what the JSON
 * printer and the columns of tables share.
 */
#pragma once

#include "base/clock.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One value: an element of a repeated field, or a singular field's. */
struct message_value {
	const ProtobufCFieldDescriptor *field;
	const void *at; /* the C member */
};

/*
 * How many values a field has in a message: the length of a repeated one; for others 1, or 0 where
 * proto3 leaves it out (zero, "", an unset message or another member of a oneof).
 */
size_t message_count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);

/* The i-th value (below message_count()) of a field. */
struct message_value message_get(
	const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, size_t i);

/*
 * Follows a dotted path of singular fields ("run.exit.kind"). Returns false when a message on the
 * way or the last field is left out, or the path names no field.
 */
bool message_find(const ProtobufCMessage *message, const char *path, struct message_value *ret);

/* True when the path names fields, whatever their values: what tests check column tables with. */
bool message_path_exists(const ProtobufCMessageDescriptor *descriptor, const char *path);

/* Integers, booleans and enums as 64 bits; 0 for other types. Negative ones are sign-extended. */
uint64_t message_u64(const struct message_value *value);
/* The string, never NULL; "" for other types. */
const char *message_string(const struct message_value *value);
/* The message; NULL for other types. */
const ProtobufCMessage *message_sub(const struct message_value *value);
/* The enum value's name, or NULL for a number it does not know. */
const char *message_enum_name(const struct message_value *value);

bool message_is_signed(const struct message_value *value);
bool message_is_64_bit(const struct message_value *value);

#define MESSAGE_TIME_MAX 40
/*
 * google.protobuf.Timestamp's seconds and nanoseconds as RFC 3339 with 0, 3, 6 or 9 decimals, as
 * protobuf's JSON mapping asks. Returns false outside the years 1 to 9999.
 */
bool message_format_time(int64_t seconds, int32_t nanos, char out[static MESSAGE_TIME_MAX]);
/* The same of google.protobuf.Duration: "1.500s". False outside +-10000 years. */
bool message_format_duration(int64_t seconds, int32_t nanos, char out[static MESSAGE_TIME_MAX]);

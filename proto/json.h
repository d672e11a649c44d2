/*
 * Protobuf JSON of any protobuf-c message, by its descriptor.
 * Source: protobuf.dev, "ProtoJSON format": lowerCamelCase names, 64-bit numbers as strings, enums
 * by name, Timestamp, Duration and FieldMask as strings, bytes as base64; defaults are left out.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdio.h>

/* Writes the message as one object on one line, with a newline. */
void json_print(const ProtobufCMessage *message, FILE *out);
/* The same without the newline: an object in a larger one. */
void json_write(const ProtobufCMessage *message, FILE *out);
/* Writes text as a JSON string. */
void json_write_string(const char *text, FILE *out);

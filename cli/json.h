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

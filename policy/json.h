/*
 * Strict access to a JSON document: every getter names the path of what is wrong. Internal to the
 * profile parser; the only header here that shows jansson.
 */
#pragma once

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_QUOTE_MAX 48

/* Parses a document of bounded depth without repeated keys. Returns 0 with a new reference. */
int json_read(const char *text, size_t size, unsigned depth_max, json_t **ret, struct err *err);

/* INVALID_ARGUMENT / reason at a path ("" is the document): "<path>: <message>". */
int json_bad(struct err *err, const char *reason, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* "<path>.<key>" or "<path>[index]", cut to size. Returns out. */
const char *json_path_key(char *out, size_t size, const char *path, const char *key);
const char *json_path_index(char *out, size_t size, const char *path, size_t index);

/* A string of the document made fit for a message: short, printable. Returns out. */
const char *json_quote(const char *s, char out[static JSON_QUOTE_MAX]);

/* Checks that v is an object whose keys are all among the NULL-terminated `known`. */
int json_check_keys(const json_t *v, const char *path, const char *const known[], struct err *err);

/*
 * Members of an object. A missing or null member gives NULL (or leaves *ret alone) and 0; one of
 * another type is refused. The strings and values stay the document's.
 */
int json_get_string(
	const json_t *o, const char *path, const char *key, const char **ret, struct err *err);
int json_get_array(
	const json_t *o, const char *path, const char *key, const json_t **ret, struct err *err);
int json_get_object(
	const json_t *o, const char *path, const char *key, const json_t **ret, struct err *err);
int json_get_u64(const json_t *o, const char *path, const char *key, uint64_t max, uint64_t *ret,
	bool *ret_present, struct err *err);

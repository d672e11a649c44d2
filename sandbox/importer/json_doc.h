/* JSON documents of an image archive: bounded in size and depth, strict about types. */
#pragma once

#include "base/err.h"
#include "sandbox/importer/spool.h"

#include <jansson.h>

#define JSON_DOC_MAX	   (1u << 20)
#define JSON_DOC_DEPTH_MAX 32

/* Reads a file of the spool as a JSON object or array, the caller's. -EINVAL (IMAGE_INVALID). */
int json_doc_read(
	const struct spool *spool, const struct spool_file *file, json_t **ret, struct err *err);

static inline void cleanup_json(json_t **v)
{
	json_decref(*v);
}
#define _cleanup_json_ __attribute__((cleanup(cleanup_json)))

/* A member that is a string; "" when it is missing or of another type. */
const char *json_doc_string(const json_t *object, const char *key);
/* A member that is an unsigned number; UINT64_MAX when not. */
uint64_t json_doc_number(const json_t *object, const char *key);

/* A refusal of what a document says. */
int json_doc_refuse(struct err *err, const struct spool_file *file, const char *why);

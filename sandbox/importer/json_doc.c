/*
 * Documents; see json_doc.h. Must never hand jansson, which recurses and allocates freely, more
 * than JSON_DOC_MAX bytes or JSON_DOC_DEPTH_MAX levels.
 */
#include "sandbox/importer/json_doc.h"

#include "base/cleanup.h"
#include "sandbox/importer/entry_path.h"

#include <stdbool.h>
#include <string.h>
#include <sys/random.h>

int json_doc_refuse(struct err *err, const struct spool_file *file, const char *why)
{
	char quoted[ENTRY_QUOTED_MAX];

	return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID", "the archive's \"%s\" %s",
		entry_path_quote(file->name, quoted), why);
}

static bool is_too_deep(const char *text, size_t size)
{
	unsigned depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < size; i++) {
		char c = text[i];

		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '[' || c == '{') && ++depth > JSON_DOC_DEPTH_MAX)
			return true;
		else if (!in_string && (c == ']' || c == '}') && depth)
			depth--;
	}
	return false;
}

/* The jail has no /dev/urandom, and keys that all collide would take their square in time. */
static void seed(void)
{
	static bool done;
	size_t value = 0;

	if (!done && getrandom(&value, sizeof(value), 0) == (ssize_t)sizeof(value))
		json_object_seed(value);
	done = true;
}

int json_doc_read(
	const struct spool *spool, const struct spool_file *file, json_t **ret, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	uint64_t at = 0;
	json_error_t e;
	json_t *v;

	if (file->size > JSON_DOC_MAX)
		return json_doc_refuse(err, file, "is larger than the 1 MiB that one may have");
	text = malloc(file->size + 1);
	if (!text)
		return err_oom(err);
	while (at < file->size) {
		ssize_t n = spool_read(spool, file, at, text + at, file->size - at);

		if (n <= 0)
			return err_sys(err, (int)n, "read the archive's parts");
		at += (uint64_t)n;
	}
	if (is_too_deep(text, file->size))
		return json_doc_refuse(err, file, "is nested deeper than any needs");
	seed();
	v = json_loadb(text, file->size, JSON_REJECT_DUPLICATES, &e);
	if (!v && json_error_code(&e) == json_error_out_of_memory)
		return err_oom(err);
	if (!v)
		return json_doc_refuse(err, file, "is no valid JSON");
	*ret = v;
	return 0;
}

const char *json_doc_string(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

uint64_t json_doc_number(const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);

	return json_is_integer(v) && json_integer_value(v) >= 0 ? (uint64_t)json_integer_value(v)
								: UINT64_MAX;
}

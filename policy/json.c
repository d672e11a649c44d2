/*
 * Strict access to a JSON document; see json.h. Never guesses: a value of another type, a repeated
 * key or an unknown one is an error that names its place.
 */
#include "policy/json.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

static void cleanup_json(json_t **v)
{
	json_decref(*v);
}

/* Bounds the nesting before jansson, which recurses, sees the text. */
static int check_depth(const char *text, size_t size, unsigned max, struct err *err)
{
	unsigned depth = 0;
	bool in_string = false;
	unsigned line = 1;

	for (size_t i = 0; i < size; i++) {
		char c = text[i];

		line += c == '\n';
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '[' || c == '{') {
			if (++depth > max)
				return err_set(err, ERR_INVALID_ARGUMENT, "POLICY_TOO_LARGE",
					"line %u: nested deeper than %u levels, which no profile "
					"needs",
					line, max);
		} else if ((c == ']' || c == '}') && depth > 0) {
			depth--;
		}
	}
	return 0;
}

int json_read(const char *text, size_t size, unsigned depth_max, json_t **ret, struct err *err)
{
	_cleanup_(cleanup_json) json_t *v = NULL;
	char line[ERR_SUBJECT_MAX];
	json_error_t e;
	int r;

	r = check_depth(text, size, depth_max, err);
	if (r < 0)
		return r;
	v = json_loadb(text, size, JSON_REJECT_DUPLICATES, &e);
	if (!v) {
		char quoted[sizeof(e.text)];

		if (json_error_code(&e) == json_error_out_of_memory)
			return err_oom(err);
		/* The message may quote the document: let no control character through. */
		for (size_t i = 0; i < sizeof(quoted); i++) {
			unsigned char c = (unsigned char)e.text[i];

			quoted[i] = c == '\0' || (c >= ' ' && c < 127) ? (char)c : '?';
		}
		quoted[sizeof(quoted) - 1] = '\0';
		snprintf(line, sizeof(line), "line %d", e.line);
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "POLICY_SYNTAX", line,
			"line %d, column %d: not valid JSON: %s", e.line, e.column, quoted);
	}
	*ret = take_ptr(v);
	return 0;
}

int json_bad(struct err *err, const char *reason, const char *path, const char *fmt, ...)
{
	char msg[ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	return err_set_subject(
		err, ERR_INVALID_ARGUMENT, reason, path, "%s%s%s", path, path[0] ? ": " : "", msg);
}

const char *json_path_key(char *out, size_t size, const char *path, const char *key)
{
	snprintf(out, size, "%s%s%s", path, path[0] ? "." : "", key);
	return out;
}

const char *json_path_index(char *out, size_t size, const char *path, size_t index)
{
	snprintf(out, size, "%s[%zu]", path, index);
	return out;
}

const char *json_quote(const char *s, char out[static JSON_QUOTE_MAX])
{
	size_t n = 0;

	for (; s[n] && n < JSON_QUOTE_MAX - 4; n++)
		out[n] = s[n] >= ' ' && s[n] < 127 ? s[n] : '?';
	snprintf(out + n, 4, "%s", s[n] ? "..." : "");
	return out;
}

int json_check_keys(const json_t *v, const char *path, const char *const known[], struct err *err)
{
	char quoted[JSON_QUOTE_MAX];

	if (!json_is_object(v))
		return json_bad(err, "POLICY_INVALID", path, "must be an object");
	for (void *i = json_object_iter((json_t *)v); i;
		i = json_object_iter_next((json_t *)v, i)) {
		const char *key = json_object_iter_key(i);
		size_t k = 0;

		while (known[k] && strcmp(known[k], key) != 0)
			k++;
		if (!known[k])
			return json_bad(err, "POLICY_INVALID", path,
				"unknown key \"%s\"; remove it or correct its spelling",
				json_quote(key, quoted));
	}
	return 0;
}

/* A member that is present and not null, or NULL. */
static const json_t *member(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_null(v) ? NULL : v;
}

static int wrong_type(struct err *err, const char *path, const char *key, const char *type)
{
	char at[ERR_SUBJECT_MAX];

	return json_bad(err, "POLICY_INVALID", json_path_key(at, sizeof(at), path, key),
		"must be %s", type);
}

int json_get_string(
	const json_t *o, const char *path, const char *key, const char **ret, struct err *err)
{
	const json_t *v = member(o, key);

	if (v && !json_is_string(v))
		return wrong_type(err, path, key, "a string");
	*ret = v ? json_string_value(v) : NULL;
	return 0;
}

int json_get_array(
	const json_t *o, const char *path, const char *key, const json_t **ret, struct err *err)
{
	const json_t *v = member(o, key);

	if (v && !json_is_array(v))
		return wrong_type(err, path, key, "an array");
	*ret = v;
	return 0;
}

int json_get_object(
	const json_t *o, const char *path, const char *key, const json_t **ret, struct err *err)
{
	const json_t *v = member(o, key);

	if (v && !json_is_object(v))
		return wrong_type(err, path, key, "an object");
	*ret = v;
	return 0;
}

int json_get_u64(const json_t *o, const char *path, const char *key, uint64_t max, uint64_t *ret,
	bool *ret_present, struct err *err)
{
	const json_t *v = member(o, key);
	char at[ERR_SUBJECT_MAX];

	if (v && (!json_is_integer(v) || json_integer_value(v) < 0))
		return wrong_type(err, path, key, "a whole number, not negative");
	if (v && (uint64_t)json_integer_value(v) > max)
		return json_bad(err, "POLICY_INVALID", json_path_key(at, sizeof(at), path, key),
			"must be at most %llu", (unsigned long long)max);
	*ret_present = v != NULL;
	if (v)
		*ret = (uint64_t)json_integer_value(v);
	return 0;
}

/* JSON objects for events; see details.h. Must never leave half a member or half a character. */
#include "server/details.h"

#include "server/convert.h"
#include "server/grpc_utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX  3
#define VALUE_SIZE 4096

void details_init(struct details *d)
{
	memset(d, 0, sizeof(*d));
	strcpy(d->text, "{");
	d->len = 1;
	d->depth = 1;
}

/* Adds text unless what is needed to close every object would not fit behind it. */
static bool add(struct details *d, const char *text)
{
	size_t len = strlen(text);

	if (!d->depth || d->left_out || d->len + len + DEPTH_MAX + 1 > sizeof(d->text))
		return false;
	memcpy(d->text + d->len, text, len + 1);
	d->len += len;
	return true;
}

static bool add_member(struct details *d, const char *key, const char *json)
{
	char member[VALUE_SIZE + 128];

	snprintf(member, sizeof(member), "%s\"%s\":%s", d->text[d->len - 1] == '{' ? "" : ",", key,
		json);
	return add(d, member);
}

/* As a JSON string. Six bytes stand for one where it must be escaped. */
static void quote(const char *value, char out[static VALUE_SIZE])
{
	char text[VALUE_SIZE / 6];
	size_t len = 1;

	snprintf(text, sizeof(text), "%s", value);
	grpc_utf8_repair(text);
	out[0] = '"';
	for (const char *p = text; *p; p++) {
		if (*p == '"' || *p == '\\')
			len += (size_t)snprintf(out + len, VALUE_SIZE - len, "\\%c", *p);
		else if ((unsigned char)*p < ' ' || *p == 0x7f)
			len += (size_t)snprintf(
				out + len, VALUE_SIZE - len, "\\u%04x", (unsigned char)*p);
		else
			out[len++] = *p;
	}
	out[len] = '"';
	out[len + 1] = '\0';
}

void details_text(struct details *d, const char *key, const char *value)
{
	char json[VALUE_SIZE];

	quote(value, json);
	add_member(d, key, json);
}

void details_number(struct details *d, const char *key, uint64_t value)
{
	char json[24];

	snprintf(json, sizeof(json), "%" PRIu64, value);
	add_member(d, key, json);
}

void details_int(struct details *d, const char *key, int64_t value)
{
	char json[24];

	snprintf(json, sizeof(json), "%" PRId64, value);
	add_member(d, key, json);
}

void details_bool(struct details *d, const char *key, bool value)
{
	add_member(d, key, value ? "true" : "false");
}

void details_null(struct details *d, const char *key)
{
	add_member(d, key, "null");
}

void details_open(struct details *d, const char *key)
{
	if (d->depth < DEPTH_MAX && add_member(d, key, "{"))
		d->depth++;
	else
		d->left_out++;
}

void details_close(struct details *d)
{
	if (d->left_out) {
		d->left_out--;
		return;
	}
	if (d->depth < 2)
		return;
	d->depth--;
	strcpy(d->text + d->len++, "}");
}

const char *details_end(struct details *d)
{
	while (d->depth) {
		d->depth--;
		strcpy(d->text + d->len++, "}");
	}
	return d->text;
}

/* --- limits and changes --- */

void details_limit(struct details *d, const char *key, uint64_t value)
{
	if (value == LIMIT_UNSET)
		details_null(d, key);
	else
		details_number(d, key, value);
}

void details_limits(struct details *d, const struct limits *limits)
{
	char cores[CORES_TEXT_SIZE];

	for (int i = 0; i < LIMIT_N; i++)
		if (i == LIMIT_CORES && limits->value[i] == LIMIT_CORES_AUTO)
			details_bool(d, CONVERT_CORE_AUTO_PATH, true);
		else if (limits->value[i] != LIMIT_UNSET)
			details_number(d, convert_limit_path((enum limit_id)i), limits->value[i]);
	if (limits_has_core_mask(limits))
		details_text(d, CONVERT_CORE_LIST_PATH,
			limits_format_cores(limits->core_mask, cores, sizeof(cores)));
}

void changes_init(struct changes *c)
{
	memset(c, 0, sizeof(*c));
	details_init(&c->details);
	details_open(&c->details, "changes");
}

static void say(struct changes *c, const char *name, const char *old, const char *new)
{
	size_t len = strlen(c->text);

	snprintf(c->text + len, sizeof(c->text) - len, "%s%s %s to %s", len ? ", " : "", name,
		*old ? old : "none", *new ? new : "none");
	c->n++;
}

void changes_text(struct changes *c, const char *path, const char *old, const char *new)
{
	if (!strcmp(old, new))
		return;
	details_open(&c->details, path);
	details_text(&c->details, "old", old);
	details_text(&c->details, "new", new);
	details_close(&c->details);
	say(c, path, old, new);
}

void changes_number(struct changes *c, const char *path, uint64_t old, uint64_t new)
{
	char before[24];
	char after[24];

	if (old == new)
		return;
	snprintf(before, sizeof(before), "%" PRIu64, old);
	snprintf(after, sizeof(after), "%" PRIu64, new);
	details_open(&c->details, path);
	details_number(&c->details, "old", old);
	details_number(&c->details, "new", new);
	details_close(&c->details);
	say(c, path, before, after);
}

void changes_bool(struct changes *c, const char *path, bool old, bool new)
{
	if (old == new)
		return;
	details_open(&c->details, path);
	details_bool(&c->details, "old", old);
	details_bool(&c->details, "new", new);
	details_close(&c->details);
	say(c, path, old ? "on" : "off", new ? "on" : "off");
}

/* A list of cores; "" stands for none. */
static void change_cores(struct changes *c, const char *path,
	const uint64_t old[static LIMITS_CPU_WORDS], const uint64_t new[static LIMITS_CPU_WORDS])
{
	char before[CORES_TEXT_SIZE];
	char after[CORES_TEXT_SIZE];

	changes_text(c, path, limits_format_cores(old, before, sizeof(before)),
		limits_format_cores(new, after, sizeof(after)));
}

static void change_number(struct changes *c, enum limit_id id, uint64_t old, uint64_t new)
{
	bool was_auto = id == LIMIT_CORES && old == LIMIT_CORES_AUTO;
	bool is_auto = id == LIMIT_CORES && new == LIMIT_CORES_AUTO;

	if (was_auto != is_auto) {
		details_open(&c->details, CONVERT_CORE_AUTO_PATH);
		details_bool(&c->details, "old", was_auto);
		details_bool(&c->details, "new", is_auto);
		details_close(&c->details);
	}
	old = was_auto ? LIMIT_UNSET : old;
	new = is_auto ? LIMIT_UNSET : new;
	if (old == new)
		return;
	details_open(&c->details, convert_limit_path(id));
	details_limit(&c->details, "old", old);
	details_limit(&c->details, "new", new);
	details_close(&c->details);
}

void changes_limits(struct changes *c, const struct limits *old, const struct limits *new)
{
	for (int i = 0; i < LIMIT_N; i++) {
		enum limit_id id = (enum limit_id)i;
		char before[LIMIT_TEXT_MAX];
		char after[LIMIT_TEXT_MAX];

		if (old->value[i] == new->value[i])
			continue;
		change_number(c, id, old->value[i], new->value[i]);
		say(c, limit_rule(id)->name, limit_format(id, old->value[i], before),
			limit_format(id, new->value[i], after));
	}
	change_cores(c, CONVERT_CORE_LIST_PATH, old->core_mask, new->core_mask);
}

void changes_cores(struct changes *c, const uint64_t old[static LIMITS_CPU_WORDS],
	const uint64_t new[static LIMITS_CPU_WORDS])
{
	change_cores(c, "cores", old, new);
}

const char *changes_end(struct changes *c)
{
	return details_end(&c->details);
}

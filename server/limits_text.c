/* Limits as text, by the names of the one table; see limits_text.h. Never drops a word silently. */
#include "server/limits_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char core_list[] = "core-list";
static const char cores_auto[] = "cores=auto";

const char *limits_text_write(const struct limits *limits, char out[static LIMITS_TEXT_SIZE])
{
	size_t len = 0;

	out[0] = '\0';
	for (int i = 0; i < LIMIT_N; i++)
		if (i == LIMIT_CORES && limits->value[i] == LIMIT_CORES_AUTO)
			len += (size_t)snprintf(out + len, LIMITS_TEXT_SIZE - len, "%s%s",
				len ? " " : "", cores_auto);
		else if (limits->value[i] != LIMIT_UNSET)
			len += (size_t)snprintf(out + len, LIMITS_TEXT_SIZE - len, "%s%s=%" PRIu64,
				len ? " " : "", limit_rule((enum limit_id)i)->name,
				limits->value[i]);
	if (limits_has_core_mask(limits)) {
		len += (size_t)snprintf(
			out + len, LIMITS_TEXT_SIZE - len, "%s%s=", len ? " " : "", core_list);
		limits_format_cores(limits->core_mask, out + len, LIMITS_TEXT_SIZE - len);
	}
	return out;
}

static int unknown(const char *word, struct err *err)
{
	return err_set(err, ERR_DATA_LOSS, "STATE_DAMAGED",
		"the state database has a limit that is not known: \"%.40s\"", word);
}

static int read_word(struct limits *limits, const char *word, struct err *err)
{
	const char *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : 0;

	if (len == strlen(core_list) && !strncmp(word, core_list, len) &&
		limits_parse_cores(equals + 1, limits->core_mask) == 0)
		return 0;
	if (!strcmp(word, cores_auto)) {
		limits->value[LIMIT_CORES] = LIMIT_CORES_AUTO;
		return 0;
	}
	for (int i = 0; len && i < LIMIT_N; i++) {
		const char *name = limit_rule((enum limit_id)i)->name;
		char *end;

		if (strlen(name) != len || strncmp(name, word, len) != 0)
			continue;
		limits->value[i] = strtoull(equals + 1, &end, 10);
		if (end != equals + 1 && !*end)
			return 0;
	}
	return unknown(word, err);
}

int limits_text_read(const char *text, struct limits *ret, struct err *err)
{
	char copy[LIMITS_TEXT_SIZE];
	struct limits limits;
	char *save = NULL;

	limits_init(&limits);
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		int r = read_word(&limits, word, err);

		if (r < 0)
			return r;
	}
	*ret = limits;
	return 0;
}

const char *limits_text_write_names(uint32_t set, char out[static LIMITS_TEXT_SIZE])
{
	size_t len = 0;

	out[0] = '\0';
	for (int i = 0; i < LIMIT_N; i++)
		if (set & (1u << i))
			len += (size_t)snprintf(out + len, LIMITS_TEXT_SIZE - len, "%s%s",
				len ? " " : "", limit_rule((enum limit_id)i)->name);
	return out;
}

int limits_text_read_names(const char *text, uint32_t *ret, struct err *err)
{
	char copy[LIMITS_TEXT_SIZE];
	char *save = NULL;
	uint32_t set = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		enum limit_id id;

		if (limit_find(word, &id) < 0)
			return unknown(word, err);
		set |= 1u << id;
	}
	*ret = set;
	return 0;
}

/* What holds are; see hold.h. Must never give a reason away that the tenant is not to know. */
#include "server/hold.h"

#include "base/cleanup.h"
#include "base/span.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const names[HOLD_TYPE_N] = {
	[HOLD_BILLING] = "billing",
	[HOLD_ABUSE] = "abuse",
	[HOLD_OPERATOR] = "operator",
};

const char *hold_name(enum hold_type type)
{
	return names[type];
}

int hold_parse(const char *name, enum hold_type *ret)
{
	for (size_t i = 0; i < HOLD_TYPE_N; i++)
		if (!strcmp(name, names[i])) {
			*ret = (enum hold_type)i;
			return 0;
		}
	return -EINVAL;
}

int hold_parse_grace(const char *text, int64_t *ret_seconds)
{
	if (!strcmp(text, "never") || !strcmp(text, "0")) {
		*ret_seconds = *text == '0' ? 0 : HOLD_GRACE_NEVER;
		return 0;
	}
	return span_parse(text, HOLD_GRACE_MAX_S, ret_seconds);
}

void hold_refresh(struct tenant *t)
{
	t->suspended = false;
	for (size_t i = 0; i < HOLD_TYPE_N; i++)
		t->suspended = t->suspended || t->holds[i].set;
}

size_t hold_list(const struct tenant *t, enum hold_type ret[static HOLD_TYPE_N])
{
	size_t n = 0;

	for (size_t i = 0; i < HOLD_TYPE_N; i++) {
		size_t at = n;

		if (!t->holds[i].set)
			continue;
		for (; at && t->holds[ret[at - 1]].set_wall_usec > t->holds[i].set_wall_usec; at--)
			ret[at] = ret[at - 1];
		ret[at] = (enum hold_type)i;
		n++;
	}
	return n;
}

const char *hold_names(const struct tenant *t, char out[static HOLD_NAMES_SIZE])
{
	enum hold_type list[HOLD_TYPE_N];
	size_t n = hold_list(t, list);
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < n && len < HOLD_NAMES_SIZE; i++)
		len += (size_t)snprintf(
			out + len, HOLD_NAMES_SIZE - len, "%s%s", i ? ", " : "", names[list[i]]);
	return out;
}

int64_t hold_stop_wall_usec(const struct hold *hold)
{
	if (hold->grace_s == HOLD_GRACE_NEVER)
		return 0;
	return hold->set_wall_usec + hold->grace_s * 1000000;
}

/* "billing: unpaid; abuse" */
static const char *sentence(const struct tenant *t, char out[static HOLD_SENTENCE_SIZE])
{
	enum hold_type list[HOLD_TYPE_N];
	size_t n = hold_list(t, list);
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < n && len < HOLD_SENTENCE_SIZE; i++) {
		const struct hold *hold = &t->holds[list[i]];
		bool told = hold->told && hold->reason[0];

		len += (size_t)snprintf(out + len, HOLD_SENTENCE_SIZE - len, "%s%s%s%.80s",
			i ? "; " : "", names[list[i]], told ? ": " : "", told ? hold->reason : "");
	}
	return out;
}

bool hold_keeps_evidence(const struct tenant *t)
{
	return t->holds[HOLD_ABUSE].set;
}

int hold_check_evidence(const struct tenant *t, bool force, struct err *err)
{
	if (force || !hold_keeps_evidence(t))
		return 0;
	return err_set(err, ERR_FAILED_PRECONDITION, "FILES_ARE_EVIDENCE",
		"tenant %s is suspended for abuse, and the files that this would end may be "
		"evidence: keep a copy of them first, or force it",
		t->name);
}

int hold_check(const struct tenant *t, struct err *err)
{
	char why[HOLD_SENTENCE_SIZE];

	if (!t->suspended)
		return 0;
	return err_set(err, ERR_FAILED_PRECONDITION, "TENANT_SUSPENDED",
		"tenant %s is suspended (%s); an operator can resume it", t->name,
		sentence(t, why));
}

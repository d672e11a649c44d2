/*
 * The answers of the user database; see operators.h. Must never ask about a user again before its
 * answer is old, nor forget one for another's sake: else who connects in a loop would stop the
 * loop.
 */
#include "server/operators.h"

#include <stddef.h>

void operators_init(
	struct operators *o, operators_ask_fn ask, const char *group, uint64_t (*clock_usec)(void))
{
	*o = (struct operators){.ask = ask, .group = group, .clock_usec = clock_usec};
}

/* The answer about this user, else a place for it; NULL: neither. */
static struct operators_answer *find(struct operators *o, uid_t uid, uint64_t now)
{
	struct operators_answer *place = NULL;

	for (size_t i = 0; i < OPERATORS_MAX; i++) {
		struct operators_answer *a = &o->answers[i];

		if (now >= a->until_usec)
			place = a;
		else if (a->uid == uid)
			return a;
	}
	return place;
}

bool operators_have(struct operators *o, uid_t uid)
{
	uint64_t now = o->clock_usec();
	struct operators_answer *a = uid ? find(o, uid, now) : NULL;

	if (!a)
		return uid == 0;
	if (now >= a->until_usec) {
		a->uid = uid;
		a->is_operator = o->ask(uid, o->group);
		/* From when it is known: the question may have taken longer than that. */
		a->until_usec = o->clock_usec() + OPERATORS_KEPT_MS * UINT64_C(1000);
	}
	return a->is_operator;
}

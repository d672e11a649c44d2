/* The table of a container's moves; see container_state.h for its picture. */
#include "server/container_state.h"

#include "base/cleanup.h"

#include <stdint.h>

#define BIT(state) (1u << CONTAINER_##state)

static const struct {
	const char *name;
	uint32_t next; /* the states it may move to */
	const char *advice;
} states[] = {
	[CONTAINER_STOPPED] = {"stopped", BIT(STARTING) | BIT(DELETING), "start it first"},
	[CONTAINER_STARTING] = {"starting", BIT(RUNNING) | BIT(STOPPED) | BIT(STOPPING),
		"wait until it runs"},
	[CONTAINER_RUNNING] = {"running", BIT(FREEZING) | BIT(STOPPING) | BIT(STOPPED),
		"stop it first"},
	[CONTAINER_FREEZING] = {"freezing",
		BIT(FROZEN) | BIT(RUNNING) | BIT(STOPPING) | BIT(STOPPED), "try again"},
	[CONTAINER_FROZEN] = {"frozen", BIT(FREEZING) | BIT(STOPPING) | BIT(STOPPED),
		"thaw it first"},
	[CONTAINER_STOPPING] = {"stopping", BIT(STOPPED), "wait until it has stopped"},
	[CONTAINER_DELETING] = {"being deleted", 0, "wait until it is gone"},
};

const char *container_state_name(enum container_state state)
{
	return (unsigned)state < ARRAY_SIZE(states) && states[state].name ? states[state].name
									  : "unknown";
}

const char *container_state_advice(enum container_state state)
{
	return (unsigned)state < ARRAY_SIZE(states) && states[state].advice ? states[state].advice
									    : "try again";
}

bool container_state_may(enum container_state from, enum container_state to)
{
	return (unsigned)from < ARRAY_SIZE(states) && (unsigned)to < ARRAY_SIZE(states) &&
	       (states[from].next >> to & 1);
}

int container_state_check(const char *tenant, const char *container, enum container_state from,
	enum container_state to, struct err *err)
{
	if (container_state_may(from, to))
		return 0;
	return err_set(err, ERR_FAILED_PRECONDITION, "CONTAINER_STATE", "%s/%s is %s; %s", tenant,
		container, container_state_name(from),
		from == to ? "there is nothing to do" : states[from].advice);
}

bool container_state_is_live(enum container_state state)
{
	return state == CONTAINER_STARTING || state == CONTAINER_RUNNING ||
	       state == CONTAINER_FREEZING || state == CONTAINER_FROZEN ||
	       state == CONTAINER_STOPPING;
}

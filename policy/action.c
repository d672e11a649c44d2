/*
 * Names and precedence of seccomp actions; see action.h. Actions that need someone outside the
 * container to answer are known here only so that they can be refused by name.
 */
#include "policy/action.h"

#include "base/cleanup.h"

#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	uint32_t action;
	enum action_kind kind;
} actions[] = {
	{"SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW, ACTION_PLAIN},
	{"SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO, ACTION_ERRNO},
	{"SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD, ACTION_PLAIN},
	{"SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD, ACTION_PLAIN},
	{"SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS, ACTION_PLAIN},
	{"SCMP_ACT_TRAP", SECCOMP_RET_TRAP, ACTION_PLAIN},
	{"SCMP_ACT_LOG", SECCOMP_RET_LOG, ACTION_PLAIN},
	{"SCMP_ACT_NOTIFY", SECCOMP_RET_USER_NOTIF, ACTION_UNSUPPORTED},
	{"SCMP_ACT_TRACE", SECCOMP_RET_TRACE, ACTION_UNSUPPORTED},
};

enum action_kind action_parse(const char *name, uint32_t *ret_action)
{
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (strcmp(actions[i].name, name) != 0)
			continue;
		*ret_action = actions[i].action;
		return actions[i].kind;
	}
	return ACTION_UNKNOWN;
}

bool action_is_stricter(uint32_t a, uint32_t b)
{
	return (int32_t)(a & SECCOMP_RET_ACTION_FULL) < (int32_t)(b & SECCOMP_RET_ACTION_FULL);
}

const char *action_format(uint32_t action, char out[static ACTION_TEXT_MAX])
{
	uint32_t data = action & SECCOMP_RET_DATA;
	const char *name = "?";

	if ((action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO) {
		const char *error = strerrorname_np((int)data);

		if (error)
			snprintf(out, ACTION_TEXT_MAX, "ERRNO(%s)", error);
		else
			snprintf(out, ACTION_TEXT_MAX, "ERRNO(%u)", data);
		return out;
	}
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (actions[i].action == (action & SECCOMP_RET_ACTION_FULL))
			name = actions[i].name + strlen("SCMP_ACT_");
	snprintf(out, ACTION_TEXT_MAX, "%s", name);
	return out;
}

uint32_t action_errno_number(const char *name)
{
	for (uint32_t n = 1; n <= ACTION_ERRNO_MAX; n++) {
		const char *known = strerrorname_np((int)n);

		if (known && strcmp(known, name) == 0)
			return n;
	}
	return 0;
}

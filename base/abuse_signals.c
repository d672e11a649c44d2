/* The tables of signals and actions, and the rules that hold without a file; see abuse_rules.h. */
#include "base/abuse_rules.h"

#include "base/cleanup.h"
#include "base/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct abuse_signal_row signals[ABUSE_SIGNAL_N] = {
	[ABUSE_FORKS] = {"forks", ABUSE_RATE, false, "processes and threads begun"},
	[ABUSE_FORKS_DENIED] = {"forks-denied", ABUSE_COUNT, false,
		"forks that the pids limit refused"},
	[ABUSE_OOM_KILLS] = {"oom-kills", ABUSE_COUNT, false,
		"processes killed at the memory limit"},
	[ABUSE_MEMORY_STALL] = {"memory-stall", ABUSE_PERCENT, false,
		"time in which all its processes waited for memory (thrashing)"},
	[ABUSE_CPU_FULL] = {"cpu-full", ABUSE_PERCENT, false, "CPU time, of what its limit allows"},
	[ABUSE_DISK_WRITE] = {"disk-write", ABUSE_BYTES, false, "bytes written to the disk"},
	[ABUSE_DISK_WRITE_OPS] = {"disk-write-ops", ABUSE_RATE, false,
		"requests that write to the disk"},
	[ABUSE_NET_OUT] = {"net-out", ABUSE_BYTES, false, "bytes sent outside"},
	[ABUSE_PACKETS_OUT] = {"packets-out", ABUSE_RATE, false, "packets sent outside"},
	[ABUSE_SECCOMP] = {"seccomp", ABUSE_COUNT, false,
		"refused system calls that look for a way out"},
	[ABUSE_SMTP_REFUSED] = {"smtp-refused", ABUSE_COUNT, true,
		"packets to port 25 where that is shut"},
	[ABUSE_FLOWS_REFUSED] = {"flows-refused", ABUSE_COUNT, true,
		"new connections above their rate (scans)"},
	[ABUSE_CONNECTIONS_REFUSED] = {"connections-refused", ABUSE_COUNT, true,
		"connections above their number"},
	[ABUSE_PACKETS_REFUSED] = {"packets-refused", ABUSE_COUNT, true,
		"packets above their rate"},
	[ABUSE_CONNECTIONS_OUT] = {"connections-out", ABUSE_RATE, true,
		"connections begun outside (scans)"},
	[ABUSE_SMTP_OUT] = {"smtp-out", ABUSE_COUNT, true,
		"connections begun to port 25 where that is open"},
};

static const char *const actions[ABUSE_ACTION_N] = {
	[ABUSE_NOTIFY] = "notify",
	[ABUSE_THROTTLE] = "throttle",
	[ABUSE_STOP] = "stop",
	[ABUSE_FREEZE] = "freeze",
	[ABUSE_HOLD] = "hold",
};

const struct abuse_signal_row *abuse_signal_row(enum abuse_signal signal)
{
	return &signals[signal];
}

int abuse_signal_find(const char *name, enum abuse_signal *ret)
{
	for (size_t i = 0; i < ABUSE_SIGNAL_N; i++)
		if (!strcmp(signals[i].name, name)) {
			*ret = (enum abuse_signal)i;
			return 0;
		}
	return -ENOENT;
}

const char *abuse_action_name(enum abuse_action action)
{
	return actions[action];
}

int abuse_action_find(const char *name, enum abuse_action *ret)
{
	for (size_t i = 0; i < ABUSE_ACTION_N; i++)
		if (!strcmp(actions[i], name)) {
			*ret = (enum abuse_action)i;
			return 0;
		}
	return -ENOENT;
}

const char *abuse_value_format(
	enum abuse_signal signal, uint64_t value, char out[static ABUSE_VALUE_TEXT_MAX])
{
	char size[LIMIT_TEXT_MAX];

	switch (signals[signal].unit) {
	case ABUSE_PERCENT:
		snprintf(out, ABUSE_VALUE_TEXT_MAX, "%" PRIu64 " %%", value);
		break;
	case ABUSE_RATE:
		snprintf(out, ABUSE_VALUE_TEXT_MAX, "%" PRIu64 "/s", value);
		break;
	case ABUSE_BYTES:
		snprintf(out, ABUSE_VALUE_TEXT_MAX, "%.32s/s", size_format(value, size));
		break;
	default:
		snprintf(out, ABUSE_VALUE_TEXT_MAX, "%" PRIu64, value);
		break;
	}
	return out;
}

/*
 * What honest tenants do not do by accident, or want to hear of when they do. None of these takes
 * anything from what somebody has bought: the kernel holds the limits, and a provider who wants
 * more says so.
 */
const char abuse_rules_builtin[] =
	"# Rules that hold where --abuse-rules names no file. A file replaces all of them.\n"
	"\n"
	"[rule fork-bomb]\n"
	"signal = forks-denied\n"
	"threshold = 1000\n"
	"window = 1m\n"
	"action = notify\n"
	"\n"
	"# Of all its containers, and what its own limit refused, which may be no container's.\n"
	"[rule fork-bomb-of-tenant]\n"
	"signal = forks-denied\n"
	"per = tenant\n"
	"threshold = 1000\n"
	"window = 1m\n"
	"action = notify\n"
	"\n"
	"[rule fork-rate]\n"
	"signal = forks\n"
	"threshold = 5000\n"
	"until = 1000\n"
	"window = 10m\n"
	"action = notify\n"
	"\n"
	"[rule oom-loop]\n"
	"signal = oom-kills\n"
	"threshold = 10\n"
	"window = 10m\n"
	"action = notify\n"
	"\n"
	"[rule thrashing]\n"
	"signal = memory-stall\n"
	"threshold = 40\n"
	"until = 10\n"
	"window = 10m\n"
	"action = notify\n"
	"\n"
	"[rule steady-cpu]\n"
	"signal = cpu-full\n"
	"threshold = 95\n"
	"until = 70\n"
	"window = 12h\n"
	"quiet = 1h\n"
	"action = notify\n"
	"\n"
	"[rule disk-churn]\n"
	"signal = disk-write\n"
	"threshold = 100MB\n"
	"until = 30MB\n"
	"window = 1h\n"
	"action = notify\n"
	"\n"
	"[rule escape]\n"
	"signal = seccomp\n"
	"threshold = 20\n"
	"window = 10m\n"
	"action = notify\n"
	"\n"
	"[rule mail]\n"
	"signal = smtp-refused\n"
	"threshold = 300\n"
	"window = 10m\n"
	"action = notify\n"
	"\n"
	"[rule mass-mail]\n"
	"signal = smtp-out\n"
	"threshold = 3000\n"
	"window = 10m\n"
	"action = notify\n"
	"\n"
	"[rule scan]\n"
	"signal = flows-refused\n"
	"threshold = 3000\n"
	"window = 1m\n"
	"action = notify\n"
	"\n"
	"[rule wide-scan]\n"
	"signal = connections-out\n"
	"threshold = 200\n"
	"window = 10m\n"
	"action = notify\n"
	"\n"
	"[rule connections]\n"
	"signal = connections-refused\n"
	"threshold = 10000\n"
	"window = 10m\n"
	"action = notify\n"
	"\n"
	"[rule flood]\n"
	"signal = packets-refused\n"
	"threshold = 100000\n"
	"window = 1m\n"
	"action = notify\n";

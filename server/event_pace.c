/* The pace of events; see event_pace.h. A leaky bucket in one number. */
#include "server/event_pace.h"

bool event_pace_is_due(const struct event_pace *pace, uint64_t now_boot_usec)
{
	if (!pace->last_boot_usec)
		return true;
	return now_boot_usec - pace->last_boot_usec >= EVENT_PACE_GAP_USEC &&
	       pace->paid_boot_usec <= now_boot_usec + (EVENT_PACE_BURST - 1) * EVENT_PACE_USEC;
}

void event_pace_take(struct event_pace *pace, uint64_t now_boot_usec)
{
	if (pace->paid_boot_usec < now_boot_usec)
		pace->paid_boot_usec = now_boot_usec;
	pace->paid_boot_usec += EVENT_PACE_USEC;
	pace->last_boot_usec = now_boot_usec;
}

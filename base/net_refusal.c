/* Names of refusals, and of what is let through; see net_refusal.h. */
#include "base/net_refusal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[NET_COUNTED_N] = {
	[NET_REFUSED_CONNECTIONS] = "connections",
	[NET_REFUSED_FLOWS] = "flows",
	[NET_REFUSED_PACKETS] = "packets",
	[NET_REFUSED_SMTP] = "smtp",
	[NET_REFUSED_SPOOFED_MAC] = "spoofed_mac",
	[NET_REFUSED_SPOOFED_IP4] = "spoofed_ip4",
	[NET_REFUSED_SPOOFED_IP6] = "spoofed_ip6",
	[NET_REFUSED_SPOOFED_ARP] = "spoofed_arp",
	[NET_REFUSED_SPOOFED_ND] = "spoofed_nd",
	[NET_REFUSED_ROGUE_DHCP] = "rogue_dhcp",
	[NET_REFUSED_ROGUE_ICMP6] = "rogue_icmp6",
	[NET_REFUSED_OTHER_TENANTS] = "other_tenants",
	[NET_OPENED_CONNECTIONS] = "opened",
	[NET_OPENED_SMTP] = "opened_smtp",
};

bool net_refusal_is_of_tenant(uint32_t reason)
{
	return reason < NET_REFUSED_OF_TENANTS || reason >= NET_REFUSED_N;
}

const char *net_refusal_name(uint32_t reason)
{
	return reason < NET_COUNTED_N ? names[reason] : NULL;
}

int net_refusal_compare(const struct net_refusal *a, const struct net_refusal *b)
{
	if (a->network != b->network)
		return a->network < b->network ? -1 : 1;
	if (a->slot != b->slot)
		return a->slot < b->slot ? -1 : 1;
	return a->reason < b->reason ? -1 : a->reason > b->reason;
}

int net_refusal_parse(const char *name, struct net_refusal *ret)
{
	struct net_refusal refusal = {0};

	if (name[0] == 't' && name[1] >= '1' && name[1] <= '9') {
		char *rest;
		unsigned long number = strtoul(name + 1, &rest, 10);

		if (*rest != '_' || number > UINT32_MAX)
			return -ENOENT;
		refusal.network = (uint32_t)number;
		name = rest + 1;
	}
	for (uint32_t reason = 0; reason < NET_COUNTED_N; reason++) {
		if (net_refusal_is_of_tenant(reason) != (refusal.network != 0) ||
			strcmp(name, names[reason]) != 0)
			continue;
		refusal.reason = reason;
		*ret = refusal;
		return 0;
	}
	return -ENOENT;
}

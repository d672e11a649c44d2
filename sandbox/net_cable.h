/*
 * Cables (veth(4)) and what is set about an interface by files: the steps that bridges and
 * containers share. For workers, in the network namespace that is to be changed.
 */
#pragma once

#include "base/err.h"
#include "base/net_plan.h"

#include <stddef.h>
#include <sys/types.h>

/* A file below /proc/sys/net/FAMILY/conf/INTERFACE. */
struct net_sysctl {
	const char *family; /* "ipv4", "ipv6" */
	const char *name;
	const char *value;
};

/* Sets each for an interface; what this kernel does not have is left out. */
int net_sysctl_set(const char *interface, const struct net_sysctl *list, size_t n, struct err *err);

/* The far end of a cable: where and what it is to be when it appears. */
struct net_cable_end {
	const char *name;
	const uint8_t *mac; /* NULL: any */
	pid_t netns_of;	    /* in this process's network namespace; 0: here */
};

/* Makes a cable whose near end is here. fd: netlink.h. Returns 0, -EEXIST or -errno. */
int net_cable_make(int fd, const char *name, const struct net_cable_end *far, struct err *err);
/* Makes an interface a port of a bridge, up and without addresses of its own. */
int net_cable_connect(int fd, const char *name, int bridge_index, struct err *err);

/* Whom the host asks for names, for containers to ask the same: resolv.conf(5). */
#pragma once

#include "base/net_plan.h"

/*
 * Reads the addresses of the host's resolvers. Those on loopback are the host's alone and are left
 * out; where that leaves none, those behind systemd-resolved are taken. None is no error.
 */
void resolvers_read_host(struct net_resolvers *ret);
/* The same of one file: its "nameserver" lines. */
void resolvers_read(const char *path, struct net_resolvers *ret);

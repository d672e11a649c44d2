/*
 * Sockets to netfilter (NETLINK_NETFILTER), with libmnl: what is asked on them is the caller's.
 */
#pragma once

#include <libmnl/libmnl.h>

/*
 * A socket of one's own, to be closed with mnl_socket_close(): what is left of a dump that was
 * broken off, or that changed meanwhile, is of no use to who asks next. NULL with errno.
 */
struct mnl_socket *nfnetlink_open(void);

/*
 * Takes the answers to what was asked with this number until they end, or until `take` (NULL: only
 * an acknowledgement is waited for) stops or fails. Returns 0, or what the kernel answered:
 * -ENOENT where there is no such thing, -EINTR when a dump changed meanwhile; or -errno.
 */
int nfnetlink_receive(struct mnl_socket *socket, unsigned seq, mnl_cb_t take, void *arg);

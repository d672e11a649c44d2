/* Sockets to netfilter; see nfnetlink.h. Must never wait for what was not asked for. */
#include "sandbox/nfnetlink.h"

#include "base/cleanup.h"

#include <linux/netfilter/nfnetlink.h>

/* The kernel fills at most 32 KiB at a time (NLMSG_GOODSIZE's bound). */
#define BUFFER_SIZE 65536

struct mnl_socket *nfnetlink_open(void)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int e;

	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0)
		return socket;
	e = errno;
	mnl_socket_close(socket);
	errno = e;
	return NULL;
}

int nfnetlink_receive(struct mnl_socket *socket, unsigned seq, mnl_cb_t take, void *arg)
{
	_cleanup_free_ char *buffer = malloc(BUFFER_SIZE);
	unsigned port = mnl_socket_get_portid(socket);
	int r = MNL_CB_OK;

	if (!buffer)
		return -ENOMEM;
	while (r > MNL_CB_STOP) {
		ssize_t n = mnl_socket_recvfrom(socket, buffer, BUFFER_SIZE);

		if (n < 0)
			return -errno;
		r = mnl_cb_run(buffer, (size_t)n, seq, port, take, arg);
	}
	return r == MNL_CB_STOP ? 0 : -errno;
}

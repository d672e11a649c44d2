/* Rows of the packet filter, packed to be sent; see net_rules.h. Shared by both daemons. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/net_rules.h"

#include <string.h>

int net_rows_pack(const struct net_plan *plan, enum net_op op, const struct net_row *rows,
	uint32_t n, struct err *err)
{
	const struct net_header header = {.magic = NET_RULES_MAGIC,
		.version = NET_RULES_VERSION,
		.op = op,
		.n_rows = n,
		.plan = *plan};
	size_t size = sizeof(header) + (size_t)n * sizeof(*rows);
	_cleanup_free_ uint8_t *data = malloc(size);
	int fd;

	if (!data)
		return err_oom(err);
	memcpy(data, &header, sizeof(header));
	if (n)
		memcpy(data + sizeof(header), rows, (size_t)n * sizeof(*rows));
	fd = fd_sealed_memfd("croft-net-rows", data, size);
	return fd < 0 ? err_sys(err, fd, "pack the network's rules") : fd;
}

struct net_row net_row_tenant(uint32_t number, const struct net_caps *caps)
{
	struct net_row row = {.kind = NET_TENANT, .tenant = number};

	row.u.caps = *caps;
	return row;
}

struct net_row net_row_container(uint32_t number, uint32_t slot)
{
	return (struct net_row){.kind = NET_CONTAINER, .tenant = number, .slot = slot};
}

struct net_caps net_caps_default(bool smtp)
{
	return (struct net_caps){.flows = NET_FLOWS_DEFAULT,
		.packets = NET_PACKETS_DEFAULT,
		.connections = NET_CONNECTIONS_DEFAULT,
		.smtp = smtp};
}

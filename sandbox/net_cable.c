/* Cables; see net_cable.h. */
#include "sandbox/net_cable.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/netlink.h"

#include <fcntl.h>
#include <linux/veth.h>
#include <net/if.h>

/* A port of a bridge has no address of its own. */
static const struct net_sysctl port_sysctls[] = {{"ipv6", "disable_ipv6", "1"}};
int net_sysctl_set(const char *interface, const struct net_sysctl *list, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		char path[96];
		int r;

		snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", list[i].family,
			interface, list[i].name);
		r = fd_write_text_at(AT_FDCWD, path, list[i].value);
		/* A kernel without IPv6 has nothing to set. */
		if (r < 0 && r != -ENOENT)
			return err_sys(err, r, "set %s of an interface", list[i].name);
	}
	return 0;
}

static void put_cable(
	struct netlink_batch *batch, const char *name, const struct net_cable_end *far)
{
	struct nlmsghdr *nlh = netlink_add(
		batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, "make a network cable", 0);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));
	struct nlattr *link;
	struct nlattr *data;
	struct nlattr *end;

	info->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put_u32(nlh, IFLA_MTU, NET_MTU);
	link = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_str(nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	end = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(nlh, sizeof(*info));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, far->name);
	mnl_attr_put_u32(nlh, IFLA_MTU, NET_MTU);
	if (far->mac)
		mnl_attr_put(nlh, IFLA_ADDRESS, NET_MAC_SIZE, far->mac);
	if (far->netns_of)
		mnl_attr_put_u32(nlh, IFLA_NET_NS_PID, (uint32_t)far->netns_of);
	mnl_attr_nest_end(nlh, end);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, link);
}

static void put_port(struct netlink_batch *batch, const char *name, int bridge_index)
{
	struct nlmsghdr *nlh = netlink_add(batch, RTM_NEWLINK, 0, "connect to a bridge", 0);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));

	info->ifi_family = AF_UNSPEC;
	info->ifi_flags = IFF_UP;
	info->ifi_change = IFF_UP;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put_u32(nlh, IFLA_MASTER, (uint32_t)bridge_index);
}

/* A bridge is full when it has no port left for the next (BR_MAX_PORTS). */
int net_cable_connect(int fd, const char *name, int bridge_index, struct err *err)
{
	struct netlink_batch batch;
	int r = net_sysctl_set(name, port_sysctls, ARRAY_SIZE(port_sysctls), err);

	if (r < 0)
		return r;
	netlink_begin(&batch);
	put_port(&batch, name, bridge_index);
	return netlink_commit(fd, &batch, err);
}

int net_cable_make(int fd, const char *name, const struct net_cable_end *far, struct err *err)
{
	struct netlink_batch batch;

	netlink_begin(&batch);
	put_cable(&batch, name, far);
	return netlink_commit(fd, &batch, err);
}

/* A tenant's bridges; see net_bridge.h. Must never change an interface that is not Croft's. */
#include "sandbox/net_bridge.h"

#include "base/cleanup.h"
#include "sandbox/net_cable.h"
#include "sandbox/netlink.h"

#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/file.h>

#define LOCK_FILE "network.lock"

/* No router but Croft configures a container, and the host none of its own by a bridge. */
static const struct net_sysctl bridge_sysctls[] = {
	{"ipv6", "accept_ra", "0"},
	{"ipv6", "autoconf", "0"},
	{"ipv6", "accept_redirects", "0"},
	{"ipv4", "rp_filter", "1"},
	{"ipv4", "accept_redirects", "0"},
	{"ipv4", "send_redirects", "0"},
};
/* "croft INSTANCE TENANT"; without a tenant, what all aliases of the instance begin with. */
static void make_alias(
	const struct net_owner *owner, const char *tenant, char out[static NETLINK_ALIAS_SIZE])
{
	snprintf(out, NETLINK_ALIAS_SIZE, "croft %s %s", owner->instance, tenant);
}

static int not_ours(const char *name, struct err *err)
{
	return err_set(err, ERR_FAILED_PRECONDITION, "INTERFACE_NOT_OURS",
		"the host has an interface %s that is not Croft's: choose another bridge prefix",
		name);
}

static void put_alias(struct netlink_batch *batch, const char *name, const char *alias)
{
	struct nlmsghdr *nlh = netlink_add(batch, RTM_SETLINK, 0, "mark an interface", 0);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));

	info->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put_str(nlh, IFLA_IFALIAS, alias);
}

static void put_bridge(
	struct netlink_batch *batch, const char *name, const uint8_t mac[static NET_MAC_SIZE])
{
	struct nlmsghdr *nlh = netlink_add(
		batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, "make a bridge", EEXIST);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));
	struct nlattr *link;
	struct nlattr *data;

	info->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	/* One of its own: else it would change with its ports. */
	mnl_attr_put(nlh, IFLA_ADDRESS, NET_MAC_SIZE, mac);
	mnl_attr_put_u32(nlh, IFLA_MTU, NET_MTU);
	link = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_str(nlh, IFLA_INFO_KIND, "bridge");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	mnl_attr_put_u32(nlh, IFLA_BR_STP_STATE, 0);
	/* Neighbour discovery is multicast, and nobody here would ask for memberships. */
	mnl_attr_put_u8(nlh, IFLA_BR_MCAST_SNOOPING, 0);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, link);
}

/* What a bridge is to be. */
struct bridge {
	const char *name;
	const uint8_t *mac;
	const char *alias;
	const struct net_address *addresses[2]; /* NULL or without size: none */
	/* A tenant's first bridge has limits of rates: */
	const struct net_plan *plan;
	uint32_t number;
	const struct net_rates *rates; /* NULL: not this one */
};

/* Looks for a bridge. Returns 0 when it is complete, -ENODEV when it is not, or -errno. */
static int find_bridge(int fd, const struct bridge *want, struct netlink_link *ret, struct err *err)
{
	int r = netlink_find(fd, want->name, ret, err);

	if (r < 0)
		return r;
	if (strcmp(ret->kind, "bridge") != 0 || strcmp(ret->alias, want->alias) != 0)
		return not_ours(want->name, err);
	return ret->flags & IFF_UP ? 0 : -ENODEV;
}

/* It is set up last, so that a bridge that is up is complete. */
static int complete_bridge(int fd, const struct bridge *want, int index, struct err *err)
{
	struct netlink_batch batch;
	int r = net_sysctl_set(want->name, bridge_sysctls, ARRAY_SIZE(bridge_sysctls), err);

	if (r == 0 && want->rates && (want->rates->in || want->rates->out))
		r = net_shape_set(want->plan, want->number, 0, want->rates, err);
	if (r < 0)
		return r;
	netlink_begin(&batch);
	for (size_t i = 0; i < ARRAY_SIZE(want->addresses); i++)
		if (want->addresses[i] && want->addresses[i]->size)
			netlink_add_address(&batch, index, want->addresses[i]);
	netlink_add_up(&batch, index);
	return netlink_commit(fd, &batch, err);
}

static int make_bridge(int fd, const struct bridge *want, struct netlink_link *ret, struct err *err)
{
	struct netlink_batch batch;
	int r = find_bridge(fd, want, ret, err);

	/* One without the mark is somebody else's: ours get theirs under the lock. */
	if (r != -ENODEV)
		return r;
	netlink_begin(&batch);
	put_bridge(&batch, want->name, want->mac);
	put_alias(&batch, want->name, want->alias);
	r = netlink_commit(fd, &batch, err);
	if (r == 0)
		r = netlink_find(fd, want->name, ret, err);
	if (r == -ENODEV)
		return err_sys(err, r, "make a bridge");
	return r < 0 ? r : complete_bridge(fd, want, ret->index, err);
}

/* Several containers of a tenant may be the first at once. */
static int lock(const struct net_owner *owner, struct err *err)
{
	_cleanup_close_ int fd = openat(
		owner->private_fd, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return err_sys(err, errno, "lock the network");
	return take_fd(&fd);
}

static int ensure_bridge(const struct net_owner *owner, int fd, const struct bridge *want,
	struct netlink_link *ret, struct err *err)
{
	_cleanup_close_ int lock_fd = -1;
	struct err ignored;
	int r = find_bridge(fd, want, ret, &ignored);

	if (r == 0)
		return 0;
	lock_fd = lock(owner, err);
	return lock_fd < 0 ? lock_fd : make_bridge(fd, want, ret, err);
}

/* A cable between two bridges of a tenant, marked as they are. */
static int make_trunk(int fd, const struct net_shard *names, const char *alias, struct err *err)
{
	struct net_cable_end down = {.name = names->down};
	struct netlink_batch batch;
	struct netlink_link port;
	int r = netlink_find(fd, names->up, &port, err);

	if (r == -ENODEV)
		r = net_cable_make(fd, names->up, &down, err);
	else if (r == 0 && strcmp(port.kind, "veth") != 0)
		return not_ours(names->up, err);
	if (r < 0)
		return r;
	netlink_begin(&batch);
	put_alias(&batch, names->up, alias);
	return netlink_commit(fd, &batch, err);
}

/* Bridge `shard` of a tenant, and the cable by which it is part of the first one. */
static int ensure_shard(const struct net_owner *owner, int fd, const struct net_shard *names,
	const char *alias, int first_index, int *ret_index, struct err *err)
{
	struct bridge want = {.name = names->bridge, .mac = names->mac, .alias = alias};
	_cleanup_close_ int lock_fd = -1;
	struct netlink_link found;
	struct netlink_link port;
	struct err ignored;
	int r;

	if (find_bridge(fd, &want, &found, &ignored) == 0 &&
		netlink_find(fd, names->up, &port, &ignored) == 0 && port.master == first_index) {
		*ret_index = found.index;
		return 0;
	}
	lock_fd = lock(owner, err);
	if (lock_fd < 0)
		return lock_fd;
	r = make_bridge(fd, &want, &found, err);
	if (r == 0)
		r = make_trunk(fd, names, alias, err);
	if (r == 0)
		r = net_cable_connect(fd, names->down, found.index, err);
	/* Last, since it is what tells that all is done. */
	if (r == 0)
		r = net_cable_connect(fd, names->up, first_index, err);
	if (r == 0)
		*ret_index = found.index;
	return r;
}

int net_bridge_ensure(const struct net_owner *owner, const struct net_plan *plan,
	const char *tenant, uint32_t number, uint32_t shard, const struct net_rates *rates,
	int *ret_index, struct err *err)
{
	_cleanup_close_ int fd = netlink_open(err);
	char alias[NETLINK_ALIAS_SIZE];
	struct net_network network;
	struct net_shard names;
	struct netlink_link first;
	struct bridge want;
	int r;

	if (fd < 0)
		return fd;
	r = net_plan_network(plan, number, &network);
	if (r == 0 && shard)
		r = net_plan_shard(plan, number, shard, &names);
	if (r < 0)
		return err_sys(err, r, "find the tenant's bridge");
	make_alias(owner, tenant, alias);
	want = (struct bridge){.name = network.bridge,
		.mac = network.mac,
		.alias = alias,
		.addresses = {&network.ipv4, &network.ipv6},
		.plan = plan,
		.number = number,
		.rates = rates};
	r = ensure_bridge(owner, fd, &want, &first, err);
	if (r == 0 && shard)
		return ensure_shard(owner, fd, &names, alias, first.index, ret_index, err);
	if (r == 0)
		*ret_index = first.index;
	return r;
}

int net_bridge_limit(const struct net_owner *owner, const struct net_plan *plan, const char *tenant,
	uint32_t number, const struct net_rates *rates, struct err *err)
{
	_cleanup_close_ int fd = netlink_open(err);
	char alias[NETLINK_ALIAS_SIZE];
	struct net_network network;
	struct netlink_link found;
	struct bridge want;
	int r;

	if (fd < 0)
		return fd;
	r = net_plan_network(plan, number, &network);
	if (r < 0)
		return 0; /* in none of the pools that there are now */
	make_alias(owner, tenant, alias);
	want = (struct bridge){.name = network.bridge, .alias = alias};
	r = find_bridge(fd, &want, &found, err);
	if (r == 0)
		r = net_shape_set(plan, number, 0, rates, err);
	return r == -ENODEV ? 0 : r;
}

struct removal {
	char alias[NETLINK_ALIAS_SIZE];
	bool whole; /* the alias, not only its beginning */
	int *indexes;
	size_t n;
	bool out_of_memory;
};

static void note_link(const struct netlink_link *link, void *arg)
{
	struct removal *removal = arg;
	int *grown;

	if (removal->whole ? strcmp(link->alias, removal->alias)
			   : strncmp(link->alias, removal->alias, strlen(removal->alias)))
		return;
	grown = realloc(removal->indexes, (removal->n + 1) * sizeof(*grown));
	if (!grown) {
		removal->out_of_memory = true;
		return;
	}
	removal->indexes = grown;
	grown[removal->n++] = link->index;
}

static int remove_links(int fd, const struct removal *removal, struct err *err)
{
	struct netlink_batch batch;
	int r = 0;

	for (size_t i = 0; i < removal->n && r == 0; i++) {
		netlink_begin(&batch);
		netlink_add_delete(&batch, removal->indexes[i]);
		r = netlink_commit(fd, &batch, err);
	}
	return r;
}

int net_bridge_remove(const struct net_owner *owner, const char *tenant, struct err *err)
{
	struct removal removal = {.whole = tenant};
	_cleanup_close_ int fd = netlink_open(err);
	int r;

	if (fd < 0)
		return fd;
	make_alias(owner, tenant ? tenant : "", removal.alias);
	r = netlink_for_each(fd, "bridge", note_link, &removal, err);
	if (r == 0)
		r = netlink_for_each(fd, "veth", note_link, &removal, err);
	if (r == 0 && removal.out_of_memory)
		r = err_oom(err);
	if (r == 0)
		r = remove_links(fd, &removal, err);
	free(removal.indexes);
	return r;
}

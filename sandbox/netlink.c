/*
 * Messages to and from the kernel's routing socket; see netlink.h. Knows no tenant and no plan, and
 * must never read beyond what the kernel sent.
 */
#include "sandbox/netlink.h"

#include "base/cleanup.h"

#include <linux/if_addr.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#define REPLY_SIZE 32768

int netlink_open(struct err *err)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	int on = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return err_sys(err, errno, "open a netlink socket");
	/* The kernel's own words about what it refused; older ones have none. */
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	return take_fd(&fd);
}

void netlink_begin(struct netlink_batch *batch)
{
	batch->last = NULL;
	batch->n = 0;
}

struct nlmsghdr *netlink_add(
	struct netlink_batch *batch, uint16_t type, uint16_t flags, const char *what, int tolerated)
{
	uint8_t *at = batch->data;

	if (batch->last)
		at = (uint8_t *)batch->last + MNL_ALIGN(batch->last->nlmsg_len);
	batch->last = mnl_nlmsg_put_header(at);
	batch->last->nlmsg_type = type;
	batch->last->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	batch->last->nlmsg_seq = (uint32_t)batch->n;
	batch->changes[batch->n].what = what;
	batch->changes[batch->n].tolerated = tolerated;
	batch->n++;
	return batch->last;
}

static int take_text(const struct nlattr *attr, void *data)
{
	const char **ret = data;

	if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG &&
		mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
		*ret = mnl_attr_get_str(attr);
	return MNL_CB_OK;
}

/* What the kernel said beside the number, or "". */
static const char *kernel_text(const struct nlmsghdr *nlh)
{
	const char *text = "";

	/* With NETLINK_CAP_ACK only the header of the request comes back. */
	if (nlh->nlmsg_flags & NLM_F_ACK_TLVS)
		mnl_attr_parse(nlh, sizeof(struct nlmsgerr), take_text, &text);
	return text;
}

/* Returns 0 or the -errno of an acknowledgement, with err filled. */
static int check_ack(const struct netlink_batch *batch, const struct nlmsghdr *nlh, struct err *err)
{
	const struct nlmsgerr *ack = mnl_nlmsg_get_payload(nlh);
	const char *text;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ack) || nlh->nlmsg_seq >= batch->n)
		return err_sys(err, EBADMSG, "read the kernel's answer");
	if (!ack->error || -ack->error == batch->changes[nlh->nlmsg_seq].tolerated)
		return 0;
	text = kernel_text(nlh);
	return err_sys(err, ack->error, "%s%s%s%s", batch->changes[nlh->nlmsg_seq].what,
		*text ? " (" : "", text, *text ? ")" : "");
}

/* Receives one datagram. Returns its size or -errno. */
static int receive(int fd, void *buf, size_t size, struct err *err)
{
	ssize_t n;

	do
		n = recv(fd, buf, size, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? err_sys(err, errno, "read the kernel's answer") : (int)n;
}

int netlink_commit(int fd, struct netlink_batch *batch, struct err *err)
{
	_Alignas(NLMSG_ALIGNTO) uint8_t buf[8192];
	size_t waiting = batch->n;
	size_t size;
	int first = 0;

	if (!batch->n)
		return 0;
	size = (size_t)((uint8_t *)batch->last - batch->data) + batch->last->nlmsg_len;
	if (send(fd, batch->data, size, 0) != (ssize_t)size)
		return err_sys(err, errno, "send to the kernel");
	while (waiting) {
		int n = receive(fd, buf, sizeof(buf), err);
		const struct nlmsghdr *nlh = (const void *)buf;

		if (n < 0)
			return n;
		for (; mnl_nlmsg_ok(nlh, n); nlh = mnl_nlmsg_next(nlh, &n)) {
			if (nlh->nlmsg_type != NLMSG_ERROR)
				continue;
			if (first == 0)
				first = check_ack(batch, nlh, err);
			if (--waiting == 0)
				break;
		}
	}
	netlink_begin(batch);
	return first;
}

static int take_kind(const struct nlattr *attr, void *data)
{
	struct netlink_link *link = data;

	if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
		snprintf(link->kind, sizeof(link->kind), "%s", mnl_attr_get_str(attr));
	return MNL_CB_OK;
}

static int take_attribute(const struct nlattr *attr, void *data)
{
	struct netlink_link *link = data;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		snprintf(link->name, sizeof(link->name), "%s", mnl_attr_get_str(attr));
		break;
	case IFLA_IFALIAS:
		snprintf(link->alias, sizeof(link->alias), "%s", mnl_attr_get_str(attr));
		break;
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(attr) == NET_MAC_SIZE)
			memcpy(link->mac, mnl_attr_get_payload(attr), NET_MAC_SIZE);
		break;
	case IFLA_MASTER:
		link->master = (int)mnl_attr_get_u32(attr);
		break;
	case IFLA_LINKINFO:
		mnl_attr_parse_nested(attr, take_kind, link);
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static void read_link(const struct nlmsghdr *nlh, struct netlink_link *ret)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(nlh);

	memset(ret, 0, sizeof(*ret));
	ret->index = info->ifi_index;
	ret->flags = info->ifi_flags;
	mnl_attr_parse(nlh, sizeof(*info), take_attribute, ret);
}

static struct nlmsghdr *ask_for_links(void *buf, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *info;

	nlh->nlmsg_type = RTM_GETLINK;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));
	info->ifi_family = AF_UNSPEC;
	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return nlh;
}

int netlink_find(int fd, const char *name, struct netlink_link *ret, struct err *err)
{
	_Alignas(NLMSG_ALIGNTO) uint8_t buf[REPLY_SIZE];
	struct nlmsghdr *nlh = ask_for_links(buf, 0);
	int n;

	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	if (send(fd, nlh, nlh->nlmsg_len, 0) != (ssize_t)nlh->nlmsg_len)
		return err_sys(err, errno, "ask for an interface");
	n = receive(fd, buf, sizeof(buf), err);
	if (n < 0)
		return n;
	nlh = (void *)buf;
	if (!mnl_nlmsg_ok(nlh, n))
		return err_sys(err, EBADMSG, "read the kernel's answer");
	if (nlh->nlmsg_type == NLMSG_ERROR) {
		int e = ((const struct nlmsgerr *)mnl_nlmsg_get_payload(nlh))->error;

		return e == -ENODEV ? e : err_sys(err, e, "look for an interface");
	}
	read_link(nlh, ret);
	return 0;
}

int netlink_for_each(int fd, const char *kind,
	void (*fn)(const struct netlink_link *link, void *arg), void *arg, struct err *err)
{
	_Alignas(NLMSG_ALIGNTO) uint8_t buf[REPLY_SIZE];
	struct nlmsghdr *nlh = ask_for_links(buf, NLM_F_DUMP);
	struct nlattr *info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);

	mnl_attr_put_str(nlh, IFLA_INFO_KIND, kind);
	mnl_attr_nest_end(nlh, info);
	if (send(fd, nlh, nlh->nlmsg_len, 0) != (ssize_t)nlh->nlmsg_len)
		return err_sys(err, errno, "ask for the interfaces");
	for (;;) {
		int n = receive(fd, buf, sizeof(buf), err);

		if (n < 0)
			return n;
		for (nlh = (void *)buf; mnl_nlmsg_ok(nlh, n); nlh = mnl_nlmsg_next(nlh, &n)) {
			struct netlink_link link;

			if (nlh->nlmsg_type == NLMSG_DONE)
				return 0;
			if (nlh->nlmsg_type == NLMSG_ERROR)
				return err_sys(err,
					((const struct nlmsgerr *)mnl_nlmsg_get_payload(nlh))
						->error,
					"look for interfaces");
			read_link(nlh, &link);
			/* A kernel without links of this kind does not filter. */
			if (!strcmp(link.kind, kind))
				fn(&link, arg);
		}
	}
}

static uint8_t family_of(const struct net_address *address)
{
	return address->size == 4 ? AF_INET : AF_INET6;
}

void netlink_add_address(struct netlink_batch *batch, int index, const struct net_address *address)
{
	struct nlmsghdr *nlh = netlink_add(
		batch, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, "add an address", 0);
	struct ifaddrmsg *msg = mnl_nlmsg_put_extra_header(nlh, sizeof(*msg));

	msg->ifa_family = family_of(address);
	msg->ifa_prefixlen = address->prefix;
	msg->ifa_index = (uint32_t)index;
	/* Nobody else can have it, so it may be used at once. */
	msg->ifa_flags = address->size == 4 ? 0 : IFA_F_NODAD;
	mnl_attr_put(nlh, IFA_LOCAL, address->size, address->bytes);
	mnl_attr_put(nlh, IFA_ADDRESS, address->size, address->bytes);
	if (address->size == 4) {
		struct net_address broadcast = *address;

		for (unsigned bit = address->prefix; bit < 32; bit++)
			broadcast.bytes[bit / 8] |= (uint8_t)(1u << (7 - bit % 8));
		mnl_attr_put(nlh, IFA_BROADCAST, broadcast.size, broadcast.bytes);
	}
}

void netlink_add_default_route(
	struct netlink_batch *batch, int index, const struct net_address *gateway)
{
	struct nlmsghdr *nlh = netlink_add(
		batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, "add the default route", 0);
	struct rtmsg *msg = mnl_nlmsg_put_extra_header(nlh, sizeof(*msg));

	msg->rtm_family = family_of(gateway);
	msg->rtm_table = RT_TABLE_MAIN;
	msg->rtm_protocol = RTPROT_STATIC;
	msg->rtm_scope = RT_SCOPE_UNIVERSE;
	msg->rtm_type = RTN_UNICAST;
	mnl_attr_put(nlh, RTA_GATEWAY, gateway->size, gateway->bytes);
	mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)index);
}

void netlink_add_up(struct netlink_batch *batch, int index)
{
	struct nlmsghdr *nlh = netlink_add(batch, RTM_NEWLINK, 0, "set an interface up", 0);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));

	info->ifi_family = AF_UNSPEC;
	info->ifi_index = index;
	info->ifi_flags = IFF_UP;
	info->ifi_change = IFF_UP;
}

void netlink_add_delete(struct netlink_batch *batch, int index)
{
	struct nlmsghdr *nlh = netlink_add(batch, RTM_DELLINK, 0, "remove an interface", ENODEV);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));

	info->ifi_family = AF_UNSPEC;
	info->ifi_index = index;
}

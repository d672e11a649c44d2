/* Summing up whom one is connected with; see net_peers.h. Must never need memory without bound. */
#include "sandbox/net_peers.h"

#include "base/cleanup.h"
#include "sandbox/net_flows.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 1024u

struct look {
	struct net_address subject; /* its own address or network */
	struct net_contact *list;   /* owned */
	size_t n;
	size_t room;
	struct net_peers *found;
};

/* --- one connection --- */

static int make_room(struct look *look)
{
	size_t room = look->room ? look->room * 2 : ROOM_FIRST;
	struct net_contact *grown = reallocarray(look->list, room, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	look->list = grown;
	look->room = room;
	return 0;
}

/* What another has called is at the port where it was led to, not at that of a forward. */
static void fill(struct net_contact *c, const struct net_flow *flow, bool incoming, uint8_t size)
{
	*c = (struct net_contact){
		.size = size,
		.protocol = flow->orig.protocol,
		.incoming = incoming,
		.port = incoming ? flow->reply.sport : flow->orig.dport,
		.sent = incoming ? flow->received : flow->sent,
		.received = incoming ? flow->sent : flow->received,
	};
	memcpy(c->address, incoming ? flow->orig.src : flow->orig.dst, size);
}

static int take(const struct net_flow *flow, void *arg)
{
	struct look *look = arg;
	bool outgoing = net_address_holds(&look->subject, flow->orig.src);

	if (!outgoing && !net_address_holds(&look->subject, flow->reply.src))
		return MNL_CB_OK;
	look->found->connections++;
	look->found->counted |= flow->counted;
	if (look->n == NET_PEERS_FLOWS_MAX || (look->n == look->room && make_room(look) < 0)) {
		look->found->left_out++;
		return MNL_CB_OK;
	}
	fill(&look->list[look->n++], flow, !outgoing, look->subject.size);
	return MNL_CB_OK;
}

/* --- all of them --- */

static int compare_service(const struct net_contact *x, const struct net_contact *y)
{
	if (x->incoming != y->incoming)
		return x->incoming - y->incoming;
	if (x->protocol != y->protocol)
		return x->protocol - y->protocol;
	return x->port - y->port;
}

static int compare(const void *a, const void *b)
{
	const struct net_contact *x = a;
	const struct net_contact *y = b;
	int r = compare_service(x, y);

	if (r == 0)
		r = x->size - y->size;
	return r ? r : memcmp(x->address, y->address, sizeof(x->address));
}

static bool is_more(const struct net_peer *a, const struct net_peer *b)
{
	uint64_t x = a->sent + a->received;
	uint64_t y = b->sent + b->received;

	return x != y ? x > y : a->connections > b->connections;
}

/* Keeps the list in order, and of no more than there is room for. */
static void insert(struct net_peer *list, uint32_t *n, uint32_t max, const struct net_peer *peer)
{
	uint32_t at = *n;

	while (at && is_more(peer, &list[at - 1]))
		at--;
	if (at == max)
		return;
	if (*n < max)
		++*n;
	memmove(&list[at + 1], &list[at], (*n - 1 - at) * sizeof(*list));
	list[at] = *peer;
}

static void add(struct net_peer *to, const struct net_contact *c)
{
	to->protocol = c->protocol;
	to->incoming = c->incoming;
	to->port = c->port;
	to->connections++;
	to->sent += c->sent;
	to->received += c->received;
}

void net_peers_sum(struct net_contact *contacts, size_t n, struct net_peers *ret)
{
	struct net_peer service = {0};
	struct net_peer peer = {0};

	if (n)
		qsort(contacts, n, sizeof(*contacts), compare);
	for (size_t i = 0; i < n; i++) {
		const struct net_contact *c = &contacts[i];

		add(&service, c);
		add(&peer, c);
		if (i + 1 < n && compare(c, c + 1) == 0)
			continue;
		peer.address.size = c->size;
		memcpy(peer.address.bytes, c->address, sizeof(peer.address.bytes));
		insert(ret->list, &ret->n, NET_PEERS_MAX, &peer);
		memset(&peer, 0, sizeof(peer));
		service.peers++;
		if (i + 1 < n && compare_service(c, c + 1) == 0)
			continue;
		insert(ret->services, &ret->n_services, NET_SERVICES_MAX, &service);
		memset(&service, 0, sizeof(service));
	}
}

static int find_subjects(const struct net_plan *plan, uint32_t number, uint32_t slot,
	struct net_address ret[static 2])
{
	struct net_network network;
	struct net_place place;
	int r = net_plan_network(plan, number, &network);

	if (r == 0 && slot)
		r = net_plan_place(plan, number, slot, &place);
	if (r < 0)
		return r;
	ret[0] = slot ? place.ipv4 : network.ipv4;
	ret[1] = slot ? place.ipv6 : network.ipv6;
	if (slot) {
		ret[0].prefix = 32;
		ret[1].prefix = 128;
	}
	return 0;
}

int net_peers_read(const struct net_plan *plan, uint32_t number, uint32_t slot,
	struct net_peers *ret, struct err *err)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	struct net_address subjects[2];
	struct look look = {.found = ret};
	int r = find_subjects(plan, number, slot, subjects);

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < ARRAY_SIZE(families) && r == 0; i++) {
		if (!subjects[i].size)
			continue;
		look.subject = subjects[i];
		r = net_flows_each(families[i], take, &look);
		/* What has changed meanwhile may be missing, or there twice: it is a look. */
		if (r == -EINTR)
			r = 0;
	}
	if (r == 0)
		net_peers_sum(look.list, look.n, ret);
	free(look.list);
	return r < 0 ? err_sys(err, r, "look at its connections") : 0;
}

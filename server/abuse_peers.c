/*
 * Whom a container was connected with, as a part of the evidence (ADR 101): the supervisor looks
 * into the kernel's table. What it does not know, or does not say soon, is left out.
 */
#include "server/abuse_internal.h"

#include "base/log.h"
#include "server/link.h"

#include "croft/v1/abuse.pb-c.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX      (NET_PEERS_MAX + NET_SERVICES_MAX)
#define PROTOCOL_SIZE 8

/* What the message points into. */
struct rows {
	Croft__V1__AbusePeer peers[ROWS_MAX];
	Croft__V1__AbusePeer *list[ROWS_MAX];
	char addresses[ROWS_MAX][NET_TEXT_MAX];
	char protocols[ROWS_MAX][PROTOCOL_SIZE];
};

static const char *protocol_name(uint8_t protocol, char out[static PROTOCOL_SIZE])
{
	switch (protocol) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return "icmp";
	default:
		snprintf(out, PROTOCOL_SIZE, "%u", protocol);
		return out;
	}
}

static void fill(struct rows *rows, size_t at, const struct net_peer *peer)
{
	Croft__V1__AbusePeer *msg = &rows->peers[at];

	croft__v1__abuse_peer__init(msg);
	msg->address = (char *)net_format(&peer->address, rows->addresses[at]);
	msg->protocol = (char *)protocol_name(peer->protocol, rows->protocols[at]);
	msg->port = peer->port;
	msg->incoming = peer->incoming;
	msg->connections = peer->connections;
	msg->peers = peer->peers;
	msg->sent_bytes = peer->sent;
	msg->received_bytes = peer->received;
	rows->list[at] = msg;
}

/* A message that is behind another's bytes is read as one with it. */
static void add(struct abuse_case *one, const struct net_peers *found)
{
	Croft__V1__AbuseEvidence msg = CROFT__V1__ABUSE_EVIDENCE__INIT;
	struct rows rows;
	uint8_t *grown;
	size_t size;

	if (found->n > NET_PEERS_MAX || found->n_services > NET_SERVICES_MAX)
		return;
	for (uint32_t i = 0; i < found->n; i++)
		fill(&rows, i, &found->list[i]);
	for (uint32_t i = 0; i < found->n_services; i++)
		fill(&rows, NET_PEERS_MAX + i, &found->services[i]);
	msg.n_peers = found->n;
	msg.peers = rows.list;
	msg.n_services = found->n_services;
	msg.services = rows.list + NET_PEERS_MAX;
	msg.connections = found->connections;
	msg.connections_left_out = found->left_out;
	size = croft__v1__abuse_evidence__get_packed_size(&msg);
	if (one->evidence_size + size > ABUSE_EVIDENCE_BYTES)
		return;
	grown = realloc(one->evidence, one->evidence_size + size + 1);
	if (!grown)
		return;
	one->evidence = grown;
	one->evidence_size += croft__v1__abuse_evidence__pack(&msg, grown + one->evidence_size);
}

struct asking {
	struct abuse_case *one;
	void (*done)(struct abuse_case *one);
};

static void on_found(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct asking asking = *(struct asking *)arg;

	free(arg);
	link_close_fds(fds, n_fds);
	if (err)
		log_warning("abuse-peers-not-known number=%" PRIu64 " error=\"%s\"",
			asking.one->record.number, err->msg);
	else
		add(asking.one, reply);
	asking.done(asking.one);
}

static bool ask(struct abuse_case *one, struct asking *asking)
{
	struct link *link = one->server->link;
	struct msg_net_peers msg = {.number = one->tenant->net_number,
		.slot = one->container ? one->container->net_slot : 0};
	struct err err;

	return asking && one->evidence && net_plan_is_on(&one->server->config->net) && msg.number &&
	       (msg.slot || !one->container) && link_is_ready(link) &&
	       link_send(link, MSG_NET_PEERS, &msg, NULL, 0, on_found, asking, &err) == 0;
}

void abuse_peers_ask(struct abuse_case *one, void (*done)(struct abuse_case *one))
{
	struct asking *asking = malloc(sizeof(*asking));

	if (asking)
		*asking = (struct asking){one, done};
	if (ask(one, asking))
		return;
	free(asking);
	done(one);
}

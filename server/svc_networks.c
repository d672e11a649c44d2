/* The service Networks: what network a tenant has, and what it may. Forwards: svc_forwards.c. */
#include "server/svc.h"

#include "base/log.h"
#include "server/details.h"
#include "server/events.h"
#include "server/network.h"
#include "server/store.h"
#include "server/tenant_op.h"

#include "croft/v1/networks.pb-c.h"

#include <stdio.h>
#include <string.h>

struct network_message {
	Croft__V1__Network msg;
	char tenant[RESOURCE_SIZE];
	char bridge[NET_IFNAME_SIZE];
	char ipv4_subnet[NET_TEXT_MAX];
	char ipv4_gateway[NET_TEXT_MAX];
	char ipv6_subnet[NET_TEXT_MAX];
	char ipv6_gateway[NET_TEXT_MAX];
};

static void fill_family(const struct net_address *gateway, char subnet_text[static NET_TEXT_MAX],
	char gateway_text[static NET_TEXT_MAX])
{
	struct net_address subnet = net_network_of(gateway);

	net_format_prefix(&subnet, subnet_text);
	net_format(gateway, gateway_text);
}

static void fill(const struct server *server, const struct tenant *t, struct network_message *out)
{
	const struct net_plan *plan = &server->config->net;
	Croft__V1__Network *msg = &out->msg;
	struct net_network network = {0};

	croft__v1__network__init(msg);
	snprintf(out->tenant, sizeof(out->tenant), "tenants/%s", t->name);
	msg->tenant = out->tenant;
	msg->addresses_used = network_count_places(t);
	msg->addresses_max = net_plan_slots(plan);
	if (net_plan_network(plan, t->net_number, &network) == 0)
		msg->number = t->net_number;
	snprintf(out->bridge, sizeof(out->bridge), "%s", network.bridge);
	fill_family(&network.ipv4, out->ipv4_subnet, out->ipv4_gateway);
	fill_family(&network.ipv6, out->ipv6_subnet, out->ipv6_gateway);
	msg->bridge = out->bridge;
	msg->smtp = t->net_smtp;
	if (t->limits.value[LIMIT_RATE_IN] != LIMIT_UNSET)
		msg->rate_in_bytes = t->limits.value[LIMIT_RATE_IN];
	if (t->limits.value[LIMIT_RATE_OUT] != LIMIT_UNSET)
		msg->rate_out_bytes = t->limits.value[LIMIT_RATE_OUT];
	msg->ipv4_subnet = out->ipv4_subnet;
	msg->ipv4_gateway = out->ipv4_gateway;
	msg->ipv6_subnet = out->ipv6_subnet;
	msg->ipv6_gateway = out->ipv6_gateway;
}

static void get_network(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__GetNetworkRequest *request = (const void *)message;
	struct server *server = grpc_call_app(call);
	struct network_message out;
	struct tenant *t;
	struct err err;

	if (model_find_tenant(&server->model, request->tenant, &t, &err) < 0) {
		grpc_fail(call, &err);
		return;
	}
	fill(server, t, &out);
	grpc_reply(call, &out.msg.base);
}

/* --- UpdateNetwork --- */

static void on_updated(void *arg, const struct err *err)
{
	struct tenant_op *op = arg;
	struct network_message out;

	if (err) {
		op->tenant->net_smtp = !op->tenant->net_smtp;
		network_change_tenant(op->server, op->tenant, NULL, NULL, &op->err);
		tenant_op_fail(op, err);
		return;
	}
	log_info("network-updated tenant=%s smtp=%d", op->tenant->name, op->tenant->net_smtp);
	fill(op->server, op->tenant, &out);
	mutation_reply(op->mutation, &out.msg.base);
	tenant_op_free(op);
}

static void on_filtered(void *arg, const struct err *err)
{
	struct tenant_op *op = arg;
	struct tenant *t = op->tenant;
	struct network_message out;
	struct details d;
	struct db_tx *tx;

	if (err) {
		t->net_smtp = !t->net_smtp;
		tenant_op_fail(op, err);
		return;
	}
	fill(op->server, t, &out);
	details_init(&d);
	details_bool(&d, "smtp", t->net_smtp);
	tx = db_tx_new();
	store_put_network(tx, t);
	events_add_tenant(tx, t, "network.updated", details_end(&d),
		"the network of %s was changed", t->name);
	mutation_store(op->mutation, tx, &out.msg.base);
	db_commit(op->server->db, tx, on_updated, op);
}

static int check_update(struct server *server, const Croft__V1__UpdateNetworkRequest *request,
	struct tenant **ret, struct err *err)
{
	const Google__Protobuf__FieldMask *mask = request->update_mask;
	struct net_network network;
	int r;

	if (!request->network || !mask || mask->n_paths != 1 || strcmp(mask->paths[0], "smtp") != 0)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "MASK_INVALID", "update_mask",
			"an update of a network names what to change: smtp");
	r = model_find_tenant(&server->model, request->network->tenant, ret, err);
	if (r == 0 && net_plan_network(&server->config->net, (*ret)->net_number, &network) < 0)
		r = err_set(err, ERR_FAILED_PRECONDITION, "NO_NETWORK",
			"%s has no network yet: it gets one with its first container that has one",
			(*ret)->name);
	return r;
}

static void update_network(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__UpdateNetworkRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct network_message out;
	struct tenant_op *op;
	struct tenant *t;
	struct err err;

	if (!m)
		return;
	if (check_update(m->server, request, &t, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	op = tenant_op_begin(m, t);
	if (!op)
		return;
	if (t->net_smtp == (bool)request->network->smtp) {
		fill(op->server, t, &out);
		mutation_reply(op->mutation, &out.msg.base);
		tenant_op_free(op);
		return;
	}
	t->net_smtp = request->network->smtp;
	if (network_change_tenant(op->server, t, on_filtered, op, &err) < 0) {
		t->net_smtp = !t->net_smtp;
		tenant_op_fail(op, &err);
	}
}

const struct grpc_handler svc_networks_handlers[] = {
	{.path = "/croft.v1.Networks/GetNetwork", .start = get_network},
	{.path = "/croft.v1.Networks/UpdateNetwork", .start = update_network},
	{.path = NULL},
};

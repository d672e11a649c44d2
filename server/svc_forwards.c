/*
 * Forwards: ports of the host that lead to a container. The packet filter has one before its row is
 * committed, and loses it before the row goes: what a crash leaves of either, the next
 * reconciliation makes as the rows say.
 */
#include "server/svc.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "google/protobuf/empty.pb-c.h"
#include "server/details.h"
#include "server/events.h"
#include "server/mutation.h"
#include "server/network.h"
#include "server/page.h"
#include "server/store.h"

#include "croft/v1/networks.pb-c.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

struct forward_message {
	Croft__V1__Forward msg;
	char container[RESOURCE_SIZE];
	char address[NET_TEXT_MAX];
};

static Croft__V1__Forward *convert(const struct forward *forward, struct forward_message *out)
{
	const struct net_forward *f = &forward->ports;
	const struct container *c = forward->container;

	croft__v1__forward__init(&out->msg);
	snprintf(out->container, sizeof(out->container), "tenants/%s/containers/%s",
		c->tenant->name, c->name);
	out->msg.container = out->container;
	out->msg.address = (char *)net_format(&f->listen, out->address);
	out->msg.protocol = f->protocol == IPPROTO_TCP ? CROFT__V1__FORWARD__PROTOCOL__TCP
						       : CROFT__V1__FORWARD__PROTOCOL__UDP;
	out->msg.first_port = f->first;
	out->msg.last_port = f->last;
	out->msg.target_port = f->to;
	return &out->msg;
}

/* One on its way to be made or removed. */
struct forward_op {
	struct mutation *mutation;
	struct server *server;
	struct container *container; /* a reference: its forwards go with it */
	char key[FORWARD_KEY_SIZE];
	struct net_forward ports;
};

static struct forward *find(const struct container *c, const char *key)
{
	struct map_node *node = map_find(&c->tenant->forwards, key);
	struct forward *forward = node ? map_object(node, struct forward, by_key) : NULL;

	return forward && forward->container == c ? forward : NULL;
}

static void op_free(struct forward_op *op)
{
	container_unref(op->container);
	free(op);
}

static void op_fail(struct forward_op *op, const struct err *err)
{
	mutation_fail(op->mutation, err);
	op_free(op);
}

static struct forward_op *op_new(struct mutation *m, const struct forward *forward)
{
	struct container *c = forward->container;
	struct forward_op *op = calloc(1, sizeof(*op));
	struct err err;

	if (!op) {
		err_oom(&err);
		mutation_fail(m, &err);
		return NULL;
	}
	op->mutation = m;
	op->server = m->server;
	op->container = container_ref(c);
	op->ports = forward->ports;
	memcpy(op->key, forward->key, sizeof(op->key));
	return op;
}

static void fail_deleted(struct forward_op *op)
{
	struct err err;

	err_set(&err, ERR_ABORTED, "CONTAINER_DELETED", "%s/%s was deleted meanwhile",
		op->container->tenant->name, op->container->name);
	op_fail(op, &err);
}

/* NULL: the container went meanwhile, and the forward with it; that has been answered. */
static struct forward *still_there(struct forward_op *op)
{
	struct forward *forward = op->container->gone ? NULL : find(op->container, op->key);

	if (!forward)
		fail_deleted(op);
	return forward;
}

/* --- AddForward --- */

static int read_ports(const Croft__V1__Forward *msg, struct net_forward *ret, struct err *err)
{
	uint32_t last = msg->last_port ? msg->last_port : msg->first_port;

	if (msg->first_port < 1 || last > 65535 || last < msg->first_port ||
		last - msg->first_port >= NET_FORWARD_PORTS_MAX || msg->target_port < 1 ||
		msg->target_port + (last - msg->first_port) > 65535)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "FORWARD_INVALID", "ports",
			"ports are 1 to 65535, and a range has at most %u of them",
			NET_FORWARD_PORTS_MAX);
	if (msg->protocol != CROFT__V1__FORWARD__PROTOCOL__TCP &&
		msg->protocol != CROFT__V1__FORWARD__PROTOCOL__UDP)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "FORWARD_INVALID", "protocol",
			"a forward is of tcp or udp");
	memset(ret, 0, sizeof(*ret));
	ret->protocol = msg->protocol == CROFT__V1__FORWARD__PROTOCOL__TCP ? IPPROTO_TCP
									   : IPPROTO_UDP;
	ret->first = (uint16_t)msg->first_port;
	ret->last = (uint16_t)last;
	ret->to = (uint16_t)msg->target_port;
	if (!msg->address[0])
		return 0;
	if (net_parse_address(msg->address, &ret->listen) < 0 || net_is_loopback(&ret->listen))
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "FORWARD_INVALID", "address",
			"\"%.60s\" is not an address that others can reach the host by",
			msg->address);
	ret->listen.prefix = 0;
	ret->family = ret->listen.size == 4 ? 4 : 6;
	return 0;
}

static bool overlap(const struct net_forward *a, const struct net_forward *b)
{
	if (a->protocol != b->protocol || a->first > b->last || b->first > a->last)
		return false;
	if (!a->listen.size || !b->listen.size)
		return true;
	return a->listen.size == b->listen.size &&
	       !memcmp(a->listen.bytes, b->listen.bytes, a->listen.size);
}

static int check_free(const struct server *server, const struct net_forward *ports, struct err *err)
{
	struct map_node *t;
	struct map_node *f;

	MAP_FOREACH(t, &server->model.tenants)
	MAP_FOREACH(f, &map_object(t, struct tenant, by_name)->forwards)
	{
		const struct forward *other = map_object(f, struct forward, by_key);

		if (overlap(ports, &other->ports))
			return err_set_subject(err, ERR_ALREADY_EXISTS, "FORWARD_EXISTS", "ports",
				"port %u of this host is forwarded to %s/%s already",
				ports->first > other->ports.first ? ports->first
								  : other->ports.first,
				other->container->tenant->name, other->container->name);
	}
	return 0;
}

static bool is_going(const struct container *c)
{
	return c->gone || c->condemned || c->state == CONTAINER_DELETING;
}

static int check_container(
	const struct container *c, const struct net_forward *ports, struct err *err)
{
	const struct net_address *own = ports->family == 6 ? &c->ipv6 : &c->ipv4;

	if (!own->size && (ports->family || !c->ipv6.size))
		return err_set(err, ERR_FAILED_PRECONDITION, "NO_ADDRESS",
			"%s/%s has no address to forward to%s", c->tenant->name, c->name,
			ports->family ? " of that family" : "");
	if (is_going(c))
		return err_set(err, ERR_FAILED_PRECONDITION, "CONTAINER_STATE",
			"%s/%s is being deleted", c->tenant->name, c->name);
	if (c->tenant->forwards.n >= FORWARDS_MAX)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_FORWARDS", "forwards",
			"%s has %d forwards, which is the most; a range counts as one",
			c->tenant->name, FORWARDS_MAX);
	return 0;
}

static void add_event(struct db_tx *tx, const struct forward *forward, bool added)
{
	const struct net_forward *f = &forward->ports;
	const struct container *c = forward->container;
	char address[NET_TEXT_MAX];
	struct details d;

	details_init(&d);
	details_text(&d, "address", net_format(&f->listen, address));
	details_text(&d, "protocol", f->protocol == IPPROTO_TCP ? "tcp" : "udp");
	details_number(&d, "first_port", f->first);
	details_number(&d, "last_port", f->last);
	details_number(&d, "target_port", f->to);
	events_add_container(tx, c, "", added ? "forward.added" : "forward.deleted",
		details_end(&d), "port %u of the host %s %s/%s", f->first,
		added ? "leads to" : "leads no more to", c->tenant->name, c->name);
}

/*
 * The packet filter is not to have it. A deletion of its container may have taken its rules away
 * before this one came to be, so it is taken away again; where there is none, nothing happens.
 */
static void unfilter(const struct forward_op *op)
{
	const struct forward forward = {.container = op->container, .ports = op->ports};
	struct err ignored;

	network_change_forward(op->server, &forward, true, NULL, NULL, &ignored);
}

static void on_add_committed(void *arg, const struct err *err)
{
	struct forward_op *op = arg;
	struct forward *forward = still_there(op);
	struct forward_message out;

	if (!forward)
		return;
	if (err) {
		unfilter(op);
		model_remove_forward(forward);
		op_fail(op, err);
		return;
	}
	forward->visible = true;
	log_info("forward-added tenant=%s container=%s forward=%s", op->container->tenant->name,
		op->container->name, forward->key);
	mutation_reply(op->mutation, &convert(forward, &out)->base);
	op_free(op);
}

static void on_add_filtered(void *arg, const struct err *err)
{
	struct forward_op *op = arg;
	struct forward *forward = op->container->gone ? NULL : find(op->container, op->key);
	struct forward_message out;
	struct db_tx *tx;

	if (err || !forward || is_going(op->container)) {
		unfilter(op);
		if (forward)
			model_remove_forward(forward);
		if (err)
			op_fail(op, err);
		else
			fail_deleted(op);
		return;
	}
	tx = db_tx_new();
	store_add_forward(tx, op->container, forward);
	add_event(tx, forward, true);
	mutation_store(op->mutation, tx, &convert(forward, &out)->base);
	db_commit(op->server->db, tx, on_add_committed, op);
}

static int begin_add(struct server *server, const Croft__V1__AddForwardRequest *request,
	struct forward **ret, struct err *err)
{
	struct net_forward ports;
	struct container *c;
	int r;

	if (!request->forward)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "FIELD_MISSING", "forward",
			"the request has no forward");
	r = model_find_container(&server->model, request->forward->container, &c, err);
	if (r == 0)
		r = read_ports(request->forward, &ports, err);
	if (r == 0)
		r = check_container(c, &ports, err);
	if (r == 0)
		r = check_free(server, &ports, err);
	if (r < 0)
		return r;
	*ret = model_add_forward(c, &ports);
	return *ret ? 0 : err_oom(err);
}

static void add_forward(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__AddForwardRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct forward *forward = NULL;
	struct forward_op *op;
	struct err err;

	if (!m)
		return;
	if (begin_add(m->server, request, &forward, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	op = op_new(m, forward);
	if (!op) {
		model_remove_forward(forward);
		return;
	}
	if (network_change_forward(op->server, forward, false, on_add_filtered, op, &err) < 0) {
		model_remove_forward(forward);
		op_fail(op, &err);
	}
}

/* --- DeleteForward --- */

static void on_delete_committed(void *arg, const struct err *err)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct forward_op *op = arg;
	struct forward *forward = op->container->gone ? NULL : find(op->container, op->key);

	if (err) {
		if (forward)
			forward->changing = false;
		op_fail(op, err);
		return;
	}
	log_info("forward-deleted tenant=%s container=%s forward=%s", op->container->tenant->name,
		op->container->name, op->key);
	if (forward)
		model_remove_forward(forward);
	mutation_reply(op->mutation, &empty.base);
	op_free(op);
}

static void on_delete_filtered(void *arg, const struct err *err)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct forward_op *op = arg;
	struct forward *forward = still_there(op);
	struct db_tx *tx;

	if (!forward)
		return;
	if (err) {
		forward->changing = false;
		op_fail(op, err);
		return;
	}
	tx = db_tx_new();
	store_delete_forward(tx, forward);
	add_event(tx, forward, false);
	mutation_store(op->mutation, tx, &empty.base);
	db_commit(op->server->db, tx, on_delete_committed, op);
}

static int begin_delete(struct server *server, const Croft__V1__DeleteForwardRequest *request,
	struct forward **ret, struct err *err)
{
	Croft__V1__Forward named = CROFT__V1__FORWARD__INIT;
	char key[FORWARD_KEY_SIZE];
	struct net_forward ports;
	struct forward *forward;
	struct container *c;
	int r = model_find_container(&server->model, request->container, &c, err);

	named.address = request->address;
	named.protocol = request->protocol;
	named.first_port = request->first_port;
	named.target_port = 1;
	if (r == 0)
		r = read_ports(&named, &ports, err);
	if (r < 0)
		return r;
	model_forward_key(&ports, key);
	forward = find(c, key);
	if (!forward || !forward->visible)
		return err_set(err, ERR_NOT_FOUND, "FORWARD_NOT_FOUND",
			"%s/%s has no forward of %s port %u", c->tenant->name, c->name,
			ports.protocol == IPPROTO_TCP ? "tcp" : "udp", ports.first);
	if (forward->changing)
		return err_set(err, ERR_ABORTED, "FORWARD_BUSY", "it is being deleted");
	*ret = forward;
	return 0;
}

static void delete_forward(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__DeleteForwardRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct forward *forward = NULL;
	struct forward_op *op;
	struct err err;

	if (!m)
		return;
	if (begin_delete(m->server, request, &forward, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	op = op_new(m, forward);
	if (!op)
		return;
	forward->changing = true;
	if (network_change_forward(op->server, forward, true, on_delete_filtered, op, &err) < 0) {
		forward->changing = false;
		op_fail(op, &err);
	}
}

/* --- ListForwards --- */

static bool is_visible(const struct map_node *node, const void *arg)
{
	(void)arg;
	return map_object(node, struct forward, by_key)->visible;
}

static void reply_forwards(struct grpc_call *call, const struct tenant *t, const struct page *page)
{
	Croft__V1__ListForwardsResponse reply = CROFT__V1__LIST_FORWARDS_RESPONSE__INIT;
	_cleanup_free_ struct forward_message *messages = calloc(page->size, sizeof(*messages));
	_cleanup_free_ Croft__V1__Forward **list = calloc(page->size, sizeof(*list));
	_cleanup_free_ const struct map_node **nodes = calloc(page->size, sizeof(*nodes));
	char token[PAGE_TOKEN_SIZE];
	struct err err;

	if (!messages || !list || !nodes) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	reply.n_forwards = page_collect(page, "f", &t->forwards, is_visible, NULL, nodes, token);
	for (size_t i = 0; i < reply.n_forwards; i++)
		list[i] = convert(map_object(nodes[i], struct forward, by_key), &messages[i]);
	reply.forwards = list;
	reply.next_page_token = token;
	grpc_reply(call, &reply.base);
}

static void list_forwards(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ListForwardsRequest *request = (const void *)message;
	struct server *server = grpc_call_app(call);
	struct tenant *t;
	struct page page;
	struct err err;

	if (page_parse("f", request->page_size, request->page_token, &page, &err) < 0 ||
		model_find_tenant(&server->model, request->parent, &t, &err) < 0)
		grpc_fail(call, &err);
	else
		reply_forwards(call, t, &page);
}

const struct grpc_handler svc_forwards_handlers[] = {
	{.path = "/croft.v1.Networks/AddForward", .start = add_forward},
	{.path = "/croft.v1.Networks/ListForwards", .start = list_forwards},
	{.path = "/croft.v1.Networks/DeleteForward", .start = delete_forward},
	{.path = NULL},
};

/*
 * What the packet filter is told: rows of numbers, by way of the supervisor; see network.h. What is
 * lost on the way is put right by the next reconciliation, which replaces all.
 */
#include "server/network.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/link.h"

#include <string.h>

struct rows {
	struct net_row *list; /* owned */
	uint32_t n;
	uint32_t capacity;
	bool failed;
};

static void add(struct rows *rows, struct net_row row)
{
	if (rows->n == rows->capacity) {
		uint32_t capacity = rows->capacity ? 2 * rows->capacity : 16;
		struct net_row *grown = realloc(rows->list, capacity * sizeof(*grown));

		if (!grown || capacity > NET_ROWS_MAX) {
			rows->failed = true;
			return;
		}
		rows->list = grown;
		rows->capacity = capacity;
	}
	rows->list[rows->n++] = row;
}

static void add_tenant(struct rows *rows, const struct tenant *t)
{
	const struct net_caps caps = net_caps_default(t->net_smtp);

	add(rows, net_row_tenant(t->net_number, &caps));
}

/* One without an address is of each family that the container has. */
static void add_forward(struct rows *rows, const struct forward *forward)
{
	const struct container *c = forward->container;
	static const uint8_t families[] = {4, 6};

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		const struct net_address *own = families[i] == 4 ? &c->ipv4 : &c->ipv6;
		struct net_row row = {
			.kind = NET_FORWARD, .tenant = c->tenant->net_number, .slot = c->net_slot};

		if (!own->size || (forward->ports.family && forward->ports.family != families[i]))
			continue;
		row.u.forward = forward->ports;
		row.u.forward.family = families[i];
		add(rows, row);
	}
}

static void add_forwards(struct rows *rows, const struct container *c)
{
	struct map_node *node;

	MAP_FOREACH(node, &c->tenant->forwards)
	{
		const struct forward *forward = map_object(node, struct forward, by_key);

		if (forward->container == c)
			add_forward(rows, forward);
	}
}

/* Rows on their way. */
struct sending {
	struct server *server;
	void (*done)(void *arg, const struct err *err);
	void *arg;
};

static void on_applied(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct sending *sending = arg;

	(void)reply;
	link_close_fds(fds, n_fds);
	if (err)
		log_error("packet-filter-not-changed error=\"%s\"", err->msg);
	if (sending->done)
		sending->done(sending->arg, err);
	free(sending);
}

/* Takes the rows. Also before the link is ready. */
static int send(struct server *server, enum net_op op, struct rows *rows,
	void (*done)(void *arg, const struct err *err), void *arg, struct err *err)
{
	static const struct msg_empty empty;
	struct sending *sending = malloc(sizeof(*sending));
	_cleanup_close_ int fd = -1;
	int r;

	fd = rows->failed || !sending
		     ? err_oom(err)
		     : net_rows_pack(&server->config->net, op, rows->list, rows->n, err);
	free(rows->list);
	if (fd < 0) {
		free(sending);
		return fd;
	}
	*sending = (struct sending){.server = server, .done = done, .arg = arg};
	r = link_send_early(server->link, MSG_NET_RULES, &empty, &fd, 1, on_applied, sending, err);
	if (r < 0)
		free(sending);
	return r;
}

static bool has_slot(const struct tenant *t, uint32_t slot)
{
	return t->net_filtered_slots[slot / 8] & 1u << slot % 8;
}

static void note_slot(struct tenant *t, uint32_t slot)
{
	t->net_filtered_slots[slot / 8] |= (uint8_t)(1u << slot % 8);
}

void network_fill_filter(struct container *c, struct msg_container_start *msg)
{
	if (!msg->net_number)
		return;
	if (!c->tenant->net_filtered)
		msg->net_add = NET_ADD_TENANT;
	else if (!c->net_filtered)
		msg->net_add = NET_ADD_PLACE;
	msg->net_smtp = c->tenant->net_smtp;
	note_slot(c->tenant, c->net_slot);
}

/* What a failed start has come to do is not known; adding it again does no harm. */
void network_note_filter(struct container *c, const struct err *failure)
{
	if (failure || !c->net_slot)
		return;
	c->net_filtered = true;
	c->tenant->net_filtered = true;
}

int network_replace_filter(struct server *server, void (*done)(void *arg, const struct err *err),
	void *arg, struct err *err)
{
	struct container *c = NULL;
	struct map_node *node;
	struct rows rows = {0};

	MAP_FOREACH(node, &server->model.tenants)
	{
		struct tenant *t = map_object(node, struct tenant, by_name);

		memset(t->net_filtered_slots, 0, sizeof(t->net_filtered_slots));
		t->net_filtered = t->net_number &&
				  t->net_number <= net_plan_networks(&server->config->net);
		if (t->net_filtered)
			add_tenant(&rows, t);
	}
	while ((c = model_next_container(&server->model, c))) {
		c->net_filtered = false;
		if (!c->tenant->net_filtered || (!c->ipv4.size && !c->ipv6.size))
			continue;
		add(&rows, net_row_container(c->tenant->net_number, c->net_slot));
		add_forwards(&rows, c);
		note_slot(c->tenant, c->net_slot);
		c->net_filtered = true;
	}
	return send(server, NET_REPLACE, &rows, done, arg, err);
}

/* A tenant with every place that the packet filter knows of it. */
static void add_all_of(struct rows *rows, const struct tenant *t)
{
	add_tenant(rows, t);
	for (uint32_t slot = 1; slot <= NET_SLOT_MAX; slot++)
		if (has_slot(t, slot))
			add(rows, net_row_container(t->net_number, slot));
}

/* What a tenant leaves: its rules, then its counters. */
struct forgetting {
	struct server *server;
	struct tenant *tenant; /* a reference */
	void (*done)(void *arg);
	void *arg;
};

static void on_forgotten(void *arg, const struct err *err)
{
	struct forgetting *f = arg;

	(void)err;
	tenant_unref(f->tenant);
	f->done(f->arg);
	free(f);
}

static void on_rules_removed(void *arg, const struct err *err)
{
	struct forgetting *f = arg;
	struct rows rows = {0};
	struct err failure;

	if (!err)
		add_all_of(&rows, f->tenant);
	if (err || send(f->server, NET_FORGET, &rows, on_forgotten, f, &failure) < 0)
		on_forgotten(f, err);
}

void network_forget_filter(
	struct server *server, struct tenant *t, void (*done)(void *arg), void *arg)
{
	struct forgetting *f = t->net_filtered ? malloc(sizeof(*f)) : NULL;
	struct rows rows = {0};
	struct err err;

	if (!f) {
		done(arg);
		return;
	}
	*f = (struct forgetting){server, tenant_ref(t), done, arg};
	add_all_of(&rows, t);
	if (send(server, NET_REMOVE, &rows, on_rules_removed, f, &err) < 0)
		on_forgotten(f, &err);
}

int network_change_forward(struct server *server, const struct forward *forward, bool remove,
	void (*done)(void *arg, const struct err *err), void *arg, struct err *err)
{
	struct rows rows = {0};

	if (!remove && !forward->container->tenant->net_filtered)
		add_tenant(&rows, forward->container->tenant);
	add_forward(&rows, forward);
	return send(server, remove ? NET_REMOVE : NET_ADD, &rows, done, arg, err);
}

bool network_forget_forwards(struct server *server, const struct container *c,
	void (*done)(void *arg, const struct err *err), void *arg)
{
	struct rows rows = {0};
	struct err err;

	add_forwards(&rows, c);
	return rows.n && send(server, NET_REMOVE, &rows, done, arg, &err) == 0;
}

int network_change_tenant(struct server *server, const struct tenant *t,
	void (*done)(void *arg, const struct err *err), void *arg, struct err *err)
{
	struct rows rows = {0};

	add_tenant(&rows, t);
	return send(server, NET_ADD, &rows, done, arg, err);
}

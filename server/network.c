/* Giving out networks and places; see network.h. Only the loop's thread, and only the model. */
#include "server/network.h"

#include "base/cleanup.h"
#include "server/resolvers.h"
#include "server/store.h"

#include <string.h>

struct used {
	uint8_t *bits;
	uint32_t max; /* 1 to max */
};

static int used_make(struct used *used, uint32_t max, struct err *err)
{
	used->max = max;
	used->bits = calloc(max / 8 + 1, 1);
	return used->bits ? 0 : err_oom(err);
}

static void used_add(struct used *used, uint32_t number)
{
	if (number <= used->max)
		used->bits[number / 8] |= (uint8_t)(1u << number % 8);
}

/* The first free number from `next` on, round the end; 0: none. */
static uint32_t used_find_free(const struct used *used, uint32_t next)
{
	for (uint32_t i = 0; i < used->max; i++) {
		uint32_t number = (next ? next - 1 + i : i) % used->max + 1;

		if (!(used->bits[number / 8] & 1u << number % 8))
			return number;
	}
	return 0;
}

static int take_number(struct server *server, struct tenant *t, struct err *err)
{
	struct model *model = &server->model;
	struct map_node *node;
	struct used used;
	struct db_tx *tx;
	int r = used_make(&used, net_plan_networks(&server->config->net), err);

	if (r < 0)
		return r;
	MAP_FOREACH(node, &model->tenants)
	used_add(&used, map_object(node, struct tenant, by_name)->net_number);
	t->net_number = used_find_free(&used, model->net_next_number);
	free(used.bits);
	if (!t->net_number)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "NO_NETWORK_LEFT", "network",
			"all %u networks of this host are taken: make it with --no-network, or "
			"have the host's pools enlarged",
			used.max);
	model->net_next_number = t->net_number + 1;
	tx = db_tx_new();
	store_put_net_cursor(tx, model);
	db_commit(server->db, tx, NULL, NULL);
	return 0;
}

static int take_slot(struct server *server, struct container *c, struct err *err)
{
	struct tenant *t = c->tenant;
	struct map_node *node;
	struct used used;
	int r = used_make(&used, net_plan_slots(&server->config->net), err);

	if (r < 0)
		return r;
	MAP_FOREACH(node, &t->containers)
	used_add(&used, map_object(node, struct container, by_name)->net_slot);
	c->net_slot = used_find_free(&used, t->net_next_slot);
	free(used.bits);
	if (!c->net_slot)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "NO_ADDRESS_LEFT", "network",
			"all %u addresses of %s are taken: delete a container, or make this one "
			"with --no-network",
			used.max, t->name);
	t->net_next_slot = c->net_slot + 1;
	return 0;
}

static void fill_addresses(const struct server *server, struct container *c)
{
	struct net_place place;

	memset(&c->ipv4, 0, sizeof(c->ipv4));
	memset(&c->ipv6, 0, sizeof(c->ipv6));
	if (!c->net_slot || net_plan_place(&server->config->net, c->tenant->net_number, c->net_slot,
				    &place) < 0)
		return;
	c->ipv4 = place.ipv4;
	c->ipv6 = place.ipv6;
}

int network_place(struct server *server, struct container *c, struct err *err)
{
	int r = 0;

	if (!net_plan_is_on(&server->config->net) || c->no_network || c->net_slot)
		return 0;
	if (!c->tenant->net_number)
		r = take_number(server, c->tenant, err);
	if (r == 0)
		r = take_slot(server, c, err);
	if (r == 0)
		fill_addresses(server, c);
	return r;
}

void network_load(struct server *server)
{
	struct container *c = NULL;

	while ((c = model_next_container(&server->model, c)))
		fill_addresses(server, c);
}

int network_fill_start(const struct server *server, const struct container *c,
	struct msg_container_start *msg, struct err *err)
{
	if (!net_plan_is_on(&server->config->net) || !c->net_slot)
		return 0;
	if (!c->ipv4.size && !c->ipv6.size)
		return err_set(err, ERR_FAILED_PRECONDITION, "NETWORK_MOVED",
			"the address of %s/%s is not in the host's pools any more: have them "
			"enlarged again, or make the container anew",
			c->tenant->name, c->name);
	msg->net_number = c->tenant->net_number;
	msg->net_slot = c->net_slot;
	return 0;
}

void network_fill_config(const struct server *server, struct msg_net_config *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->plan = server->config->net;
	ret->resolvers = server->config->dns;
	if (!ret->resolvers.n)
		resolvers_read_host(&ret->resolvers);
}

uint32_t network_count(const struct server *server)
{
	struct map_node *node;
	uint32_t n = 0;

	MAP_FOREACH(node, &server->model.tenants)
	n += map_object(node, struct tenant, by_name)->net_number != 0;
	return n;
}

uint32_t network_count_places(const struct tenant *t)
{
	struct map_node *node;
	uint32_t n = 0;

	MAP_FOREACH(node, &t->containers)
	n += map_object(node, struct container, by_name)->net_slot != 0;
	return n;
}

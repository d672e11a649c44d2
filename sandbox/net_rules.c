/*
 * The check of what croft-net is given; see net_rules.h. Runs on bytes of another process: must
 * believe no number before it was compared with its bounds.
 */
#include "sandbox/net_rules.h"

#include "base/cleanup.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const uint8_t zeros[sizeof(((struct net_row *)0)->u)];

static int refuse(struct err *err, const char *what)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "NET_RULES_INVALID",
		"the rules for the network cannot be used: %s", what);
}

static int refuse_row(struct err *err, size_t i, const char *what)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "NET_RULES_INVALID",
		"row %zu of the rules for the network cannot be used: %s", i, what);
}

static bool within(uint32_t value, uint32_t max)
{
	return value >= 1 && value <= max;
}

static const char *check_caps(const struct net_row *row)
{
	const struct net_caps *caps = &row->u.caps;

	if (row->slot != 0 || caps->smtp > 1 || memcmp(caps->zero, zeros, sizeof(caps->zero)) ||
		memcmp(row->u.bytes + sizeof(*caps), zeros, sizeof(row->u) - sizeof(*caps)))
		return "a field that has no meaning is set";
	if (!within(caps->flows, NET_FLOWS_MAX) || !within(caps->packets, NET_PACKETS_MAX) ||
		!within(caps->connections, NET_CONNECTIONS_MAX))
		return "a cap is out of range";
	return NULL;
}

static const char *check_listen(const struct net_forward *f)
{
	size_t used = f->listen.size;

	if (used != 0 && used != (f->family == 4 ? 4 : 16))
		return "the address to listen on is of another family";
	if (f->listen.prefix != 0 ||
		memcmp(f->listen.bytes + used, zeros, sizeof(f->listen.bytes) - used))
		return "a field that has no meaning is set";
	if (used && net_is_loopback(&f->listen))
		return "what is sent to the loopback address never leaves the host";
	return NULL;
}

static const char *check_forward(const struct net_plan *plan, const struct net_forward *f)
{
	if (memcmp(f->zero, zeros, sizeof(f->zero)))
		return "a field that has no meaning is set";
	if (f->protocol != IPPROTO_TCP && f->protocol != IPPROTO_UDP)
		return "neither TCP nor UDP";
	if (f->family != 4 && f->family != 6)
		return "neither IPv4 nor IPv6";
	if (!(f->family == 4 ? plan->ipv4 : plan->ipv6).base.size)
		return "there is no pool of this family";
	if (f->first == 0 || f->to == 0 || f->last < f->first ||
		(unsigned)(f->last - f->first) >= NET_FORWARD_PORTS_MAX ||
		f->to + (f->last - f->first) > UINT16_MAX)
		return "not a range of ports";
	return check_listen(f);
}

static const char *check_row(const struct net_plan *plan, const struct net_row *row)
{
	struct net_network network;
	struct net_place place;

	if (row->zero != 0)
		return "a field that has no meaning is set";
	if (net_plan_network(plan, row->tenant, &network) < 0)
		return "no such network";
	if (row->kind == NET_TENANT)
		return check_caps(row);
	if (net_plan_place(plan, row->tenant, row->slot, &place) < 0)
		return "no such place in the network";
	if (row->kind == NET_FORWARD)
		return check_forward(plan, &row->u.forward);
	if (row->kind != NET_CONTAINER && row->kind != NET_COUNTED)
		return "of an unknown kind";
	return memcmp(row->u.bytes, zeros, sizeof(row->u)) ? "a field that has no meaning is set"
							   : NULL;
}

static int check_header(const struct net_header *h, size_t size, struct err *err)
{
	if (h->magic != NET_RULES_MAGIC || h->version != NET_RULES_VERSION)
		return refuse(err, "not of this version");
	if (h->op < NET_REPLACE || h->op > NET_DROP || h->n_rows > NET_ROWS_MAX ||
		size - sizeof(*h) != h->n_rows * sizeof(struct net_row) ||
		(h->op == NET_DROP && h->n_rows > 0))
		return refuse(err, "their size and kind do not fit");
	return net_plan_check(&h->plan, err);
}

static int by_owner(const void *a, const void *b)
{
	const struct net_row *x = *(const struct net_row *const *)a;
	const struct net_row *y = *(const struct net_row *const *)b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->tenant != y->tenant)
		return x->tenant < y->tenant ? -1 : 1;
	if (x->slot != y->slot)
		return x->slot < y->slot ? -1 : 1;
	return 0;
}

/* Which packets a forward takes, but for the port. */
static int compare_listen(const struct net_forward *x, const struct net_forward *y)
{
	if (x->protocol != y->protocol)
		return x->protocol < y->protocol ? -1 : 1;
	if (x->family != y->family)
		return x->family < y->family ? -1 : 1;
	return memcmp(&x->listen, &y->listen, sizeof(x->listen));
}

static int by_listen(const void *a, const void *b)
{
	const struct net_row *x = *(const struct net_row *const *)a;
	const struct net_row *y = *(const struct net_row *const *)b;
	int r = compare_listen(&x->u.forward, &y->u.forward);

	return r ? r : (int)x->u.forward.first - y->u.forward.first;
}

static bool has_owner(
	const struct net_row **sorted, size_t n, uint32_t kind, uint32_t tenant, uint32_t slot)
{
	const struct net_row wanted = {.kind = kind, .tenant = tenant, .slot = slot};
	const struct net_row *key = &wanted;

	return bsearch(&key, sorted, n, sizeof(*sorted), by_owner) != NULL;
}

/* A whole set of rules must make sense by itself; a part of one lies beside what there is. */
static int check_owners(
	const struct net_rules *rules, const struct net_row **sorted, struct err *err)
{
	size_t n = rules->header.n_rows;

	for (size_t i = 1; i < n; i++)
		if (sorted[i]->kind != NET_FORWARD && by_owner(&sorted[i - 1], &sorted[i]) == 0)
			return refuse_row(err, (size_t)(sorted[i] - rules->rows), "it comes twice");
	for (size_t i = 0; i < n && rules->header.op == NET_REPLACE; i++) {
		const struct net_row *row = &rules->rows[i];

		if (row->kind != NET_TENANT && row->kind != NET_COUNTED &&
			!has_owner(sorted, n, NET_TENANT, row->tenant, 0))
			return refuse_row(err, i, "its tenant has none");
		if (row->kind == NET_FORWARD &&
			!has_owner(sorted, n, NET_CONTAINER, row->tenant, row->slot))
			return refuse_row(err, i, "its container has none");
	}
	return 0;
}

static int check_overlap(
	const struct net_rules *rules, const struct net_row **sorted, struct err *err)
{
	size_t n = rules->header.n_rows;
	size_t forwards = 0;

	/* By owner the forwards come together, before what is only counted. */
	while (n > 0 && sorted[n - 1]->kind == NET_COUNTED)
		n--;
	while (forwards < n && sorted[n - 1 - forwards]->kind == NET_FORWARD)
		forwards++;
	sorted += n - forwards;
	qsort(sorted, forwards, sizeof(*sorted), by_listen);
	for (size_t i = 1; i < forwards; i++) {
		const struct net_forward *x = &sorted[i - 1]->u.forward;
		const struct net_forward *y = &sorted[i]->u.forward;

		if (compare_listen(x, y) == 0 && y->first <= x->last)
			return refuse_row(err, (size_t)(sorted[i] - rules->rows),
				"a port of it is forwarded already");
	}
	return 0;
}

static int check_together(const struct net_rules *rules, struct err *err)
{
	size_t n = rules->header.n_rows;
	_cleanup_free_ const struct net_row **sorted = NULL;
	int r;

	if (n == 0)
		return 0;
	sorted = calloc(n, sizeof(*sorted));
	if (!sorted)
		return err_oom(err);
	for (size_t i = 0; i < n; i++)
		sorted[i] = &rules->rows[i];
	qsort(sorted, n, sizeof(*sorted), by_owner);
	r = check_owners(rules, sorted, err);
	return r < 0 ? r : check_overlap(rules, sorted, err);
}

int net_rules_parse(const void *data, size_t size, struct net_rules *ret, struct err *err)
{
	struct net_rules rules;
	int r;

	if (size < sizeof(rules.header))
		return refuse(err, "they are cut off");
	memcpy(&rules.header, data, sizeof(rules.header));
	rules.rows = (const void *)((const uint8_t *)data + sizeof(rules.header));
	r = check_header(&rules.header, size, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < rules.header.n_rows; i++) {
		const char *fault = check_row(&rules.header.plan, &rules.rows[i]);

		if (fault)
			return refuse_row(err, i, fault);
	}
	r = check_together(&rules, err);
	if (r == 0)
		*ret = rules;
	return r;
}

void net_rules_table(const struct net_plan *plan, int counters, char ret[static NET_TABLE_SIZE])
{
	snprintf(ret, NET_TABLE_SIZE, "croft_%s%s", plan->prefix_name, counters ? "_count" : "");
}

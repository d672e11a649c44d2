/* Counters without a row; see stale.h. Never touches one of a container that has a row. */
#include "sandbox/net/stale.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <string.h>

struct key {
	uint8_t bytes[16];
};

enum key_kind { KEY_PORT, KEY_IP4, KEY_IP6, KEY_KIND_N };

/* A MAC follows from its port, so that a container has both or neither. */
static const enum key_kind kinds[NET_USAGE_SET_N] = {
	[NET_USAGE_ALL_OUT] = KEY_PORT,
	[NET_USAGE_ALL_IN] = KEY_PORT,
	[NET_USAGE_OUT4] = KEY_IP4,
	[NET_USAGE_IN4] = KEY_IP4,
	[NET_USAGE_OUT6] = KEY_IP6,
	[NET_USAGE_IN6] = KEY_IP6,
	[NET_USAGE_TO_OWN] = KEY_PORT,
};

struct stale {
	FILE *out;
	char table[NET_TABLE_SIZE];
	struct key *wanted[KEY_KIND_N]; /* sorted */
	size_t n;
};

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct key));
}

static void collect(struct stale *stale, const struct net_rules *rules)
{
	for (size_t i = 0; i < rules->header.n_rows; i++) {
		const struct net_row *row = &rules->rows[i];
		struct net_place place;

		if ((row->kind != NET_CONTAINER && row->kind != NET_COUNTED) ||
			net_plan_place(&rules->header.plan, row->tenant, row->slot, &place) < 0)
			continue;
		memcpy(&stale->wanted[KEY_PORT][stale->n], place.port, sizeof(struct key));
		memcpy(&stale->wanted[KEY_IP4][stale->n], place.ipv4.bytes, sizeof(struct key));
		memcpy(&stale->wanted[KEY_IP6][stale->n], place.ipv6.bytes, sizeof(struct key));
		stale->n++;
	}
	for (int kind = 0; kind < KEY_KIND_N; kind++)
		qsort(stale->wanted[kind], stale->n, sizeof(struct key), compare);
}

static void forget(enum net_usage_set set, const struct net_usage_key *key, void *arg)
{
	const struct stale *stale = arg;
	enum key_kind kind = kinds[set];
	char text[INET6_ADDRSTRLEN];
	const uint8_t *m = key->mac;

	if (bsearch(key->first, stale->wanted[kind], stale->n, sizeof(struct key), compare))
		return;
	fprintf(stale->out, "delete element %s %s %s { ", net_usage_set_family(set), stale->table,
		net_usage_set_name(set));
	if (set == NET_USAGE_TO_OWN)
		fprintf(stale->out, "\"%.15s\" . %02x:%02x:%02x:%02x:%02x:%02x }\n",
			(const char *)key->first, m[0], m[1], m[2], m[3], m[4], m[5]);
	else if (kind == KEY_PORT)
		fprintf(stale->out, "\"%.15s\" }\n", (const char *)key->first);
	else
		fprintf(stale->out, "%s }\n",
			inet_ntop(kind == KEY_IP4 ? AF_INET : AF_INET6, key->first, text,
				sizeof(text)));
}

int stale_write(FILE *out, const struct net_rules *rules, const struct net_usage_table *counted)
{
	struct stale stale = {.out = out};
	int r = 0;

	if (!counted)
		return 0;
	net_rules_table(&rules->header.plan, 1, stale.table);
	for (int kind = 0; kind < KEY_KIND_N; kind++) {
		stale.wanted[kind] = calloc(rules->header.n_rows + 1u, sizeof(struct key));
		if (!stale.wanted[kind])
			r = -ENOMEM;
	}
	if (r == 0) {
		collect(&stale, rules);
		net_usage_for_each(counted, forget, &stale);
	}
	for (int kind = 0; kind < KEY_KIND_N; kind++)
		free(stale.wanted[kind]);
	return r;
}

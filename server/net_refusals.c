/* What the packet filter counts; see net_refusals.h. The supervisor reads the counters. */
#include "server/net_refusals.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/abuse.h"
#include "server/details.h"
#include "server/events.h"
#include "server/link.h"
#include "server/sampler.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct refusal_watch {
	struct event *timer;
	bool looking;
	bool looked; /* at all, by this croftd */
	struct refusals of_all[NET_REFUSED_N];
};

static void add_event(
	struct db_tx *tx, const struct tenant *t, uint32_t reason, uint64_t count, uint64_t total)
{
	const char *name = net_refusal_name(reason);
	struct details d;

	details_init(&d);
	details_text(&d, "reason", name);
	details_number(&d, "count", count);
	details_number(&d, "total", total);
	if (t)
		events_add_tenant(tx, t, "network.refused", details_end(&d),
			"%" PRIu64 " packets of tenant %s were refused: %s", count, t->name, name);
	else
		events_add_host(tx, "network.refused", details_end(&d),
			"%" PRIu64 " packets of containers were refused: %s", count, name);
}

static struct refusals *refusals_of(struct server *server, struct tenant *t, uint32_t reason)
{
	return t ? &t->refusals[reason] : &server->refusal_watch->of_all[reason];
}

/* What was refused since it was last told; a counter that fell was made anew. */
static void take(
	struct server *server, struct db_tx **tx, struct tenant *t, const struct net_refusal *row)
{
	struct refusals *r = refusals_of(server, t, row->reason);
	uint64_t now = clock_boot_usec();

	r->seen = row->packets;
	r->looked = true;
	if (row->packets < r->told)
		r->told = 0;
	if (t)
		abuse_take_counted(server, t, row->reason, row->packets, r->told);
	if (row->packets == r->told || !event_pace_is_due(&r->pace, now))
		return;
	if (!*tx)
		*tx = db_tx_new();
	add_event(*tx, t, row->reason, row->packets - r->told, row->packets);
	db_tx_write(*tx,
		"INSERT OR REPLACE INTO refusals (tenant_uid, reason, boot_id, told)"
		" VALUES (?1, ?2, ?3, ?4)",
		"sdsu", t ? t->uid : "", (int)row->reason, server->boot_id, row->packets);
	event_pace_take(&r->pace, now);
	r->told = row->packets;
}

/*
 * What was let through is no event. Nothing is on record of how much of it was seen, so this
 * croftd's first look is what the next ones are compared with; a counter that comes later began
 * at 0.
 */
static void take_opened(struct server *server, struct tenant *t, const struct net_refusal *row)
{
	struct opened *opened = &t->opened[row->reason - NET_REFUSED_N];

	if (!server->refusal_watch->looked)
		opened->seen = row->packets;
	abuse_take_counted(server, t, row->reason, row->packets,
		row->packets < opened->seen ? 0 : opened->seen);
	opened->seen = row->packets;
	opened->looked = true;
}

static int compare_networks(const void *a, const void *b)
{
	uint32_t x = (*(struct tenant *const *)a)->net_number;
	uint32_t y = (*(struct tenant *const *)b)->net_number;

	return (x > y) - (x < y);
}

/* Those whose networks there are, in the order of these. The array is the caller's; NULL: no
 * memory.
 */
static struct tenant **list_networks(const struct server *server, size_t *ret_n)
{
	struct tenant **list = calloc(server->model.tenants.n + 1, sizeof(struct tenant *));
	struct map_node *node;
	size_t n = 0;

	if (!list)
		return NULL;
	MAP_FOREACH(node, &server->model.tenants)
	{
		struct tenant *t = map_object(node, struct tenant, by_name);

		if (t->net_number && t->visible && !t->deleting)
			list[n++] = t;
	}
	qsort(list, n, sizeof(struct tenant *), compare_networks);
	*ret_n = n;
	return list;
}

/* It is in the counters, and in the count of the next one. */
static void on_told(void *arg, const struct err *err)
{
	(void)arg;
	if (err)
		log_warning("refusals-not-told error=\"%s\"", err->msg);
}

static int compare_rows(const void *a, const void *b)
{
	return net_refusal_compare(a, b);
}

static void look_up_dropped(const struct net_refusal *rows, size_t n, uint32_t network,
	uint32_t slot, struct dropped *ret)
{
	struct net_refusal key = {.network = network, .slot = slot};

	ret->looked = true;
	for (uint32_t i = 0; i < NET_DROPPED_N; i++) {
		const struct net_refusal *row = NULL;

		key.reason = NET_DROPPED_IN + i;
		if (n)
			row = bsearch(&key, rows, n, sizeof(*rows), compare_rows);
		ret->packets[i] = row ? row->packets : 0;
	}
}

/* Of each tenant and container with a network: who is not in the rows has dropped nothing. */
static void take_dropped(struct server *server, const struct net_refusal *rows, size_t n)
{
	struct map_node *i;
	struct map_node *j;

	/* They come behind the others. */
	while (n && rows->reason < NET_DROPPED_IN) {
		rows++;
		n--;
	}
	MAP_FOREACH(i, &server->model.tenants)
	{
		struct tenant *t = map_object(i, struct tenant, by_name);

		if (!t->net_number)
			continue;
		look_up_dropped(rows, n, t->net_number, 0, &t->dropped);
		MAP_FOREACH(j, &t->containers)
		{
			struct container *c = map_object(j, struct container, by_name);

			if (c->net_slot)
				look_up_dropped(rows, n, t->net_number, c->net_slot, &c->dropped);
		}
	}
}

static void take_rows(struct server *server, const struct net_refusal *rows, size_t n)
{
	_cleanup_free_ struct tenant **networks = NULL;
	struct db_tx *tx = NULL;
	size_t n_networks = 0;
	size_t at = 0;

	networks = list_networks(server, &n_networks);
	if (!networks)
		return;
	for (size_t i = 0; i < n; i++) {
		const struct net_refusal *row = &rows[i];
		struct tenant *t = NULL;

		if (row->reason >= NET_COUNTED_N ||
			(row->network != 0) != net_refusal_is_of_tenant(row->reason))
			continue;
		/* They come in order of networks, too. */
		while (row->network && at < n_networks && networks[at]->net_number < row->network)
			at++;
		if (row->network && at < n_networks && networks[at]->net_number == row->network)
			t = networks[at];
		if (!row->network)
			take(server, &tx, NULL, row);
		else if (t && row->reason >= NET_REFUSED_N)
			take_opened(server, t, row);
		else if (t)
			take(server, &tx, t, row);
	}
	server->refusal_watch->looked = true;
	if (tx)
		db_commit(server->db, tx, on_told, NULL);
}

static int read_rows(int fd, struct net_refusal **ret, size_t *ret_n)
{
	_cleanup_free_ struct net_refusal *rows = NULL;
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_size < 0 || st.st_size % (off_t)sizeof(*rows) ||
		st.st_size > (off_t)(NET_ROWS_MAX * sizeof(*rows)))
		return -EBADMSG;
	rows = malloc((size_t)st.st_size + 1);
	if (!rows)
		return -ENOMEM;
	if (pread(fd, rows, (size_t)st.st_size, 0) != st.st_size)
		return -EIO;
	*ret_n = (size_t)st.st_size / sizeof(*rows);
	*ret = take_ptr(rows);
	return 0;
}

static void on_looked(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct server *server = arg;
	_cleanup_free_ struct net_refusal *rows = NULL;
	size_t n = 0;
	int r = err || n_fds != 1 ? -EBADMSG : read_rows(fds[0], &rows, &n);

	(void)reply;
	link_close_fds(fds, n_fds);
	server->refusal_watch->looking = false;
	if (r < 0)
		log_warning("refusals-not-read error=\"%s\"", err ? err->msg : "no list came");
	else if (!server->shutting_down) {
		take_rows(server, rows, n);
		take_dropped(server, rows, n);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	static const struct msg_empty empty;
	struct server *server = arg;
	struct refusal_watch *watch = server->refusal_watch;
	struct err err;

	(void)fd;
	(void)what;
	sampler_arm_look(server, server->refusal_watch->timer);
	/* What cannot be told is not looked for: the counters go on. */
	if (watch->looking || !link_is_ready(server->link) || server->shutting_down ||
		db_is_full(server->db))
		return;
	watch->looking = link_send(server->link, MSG_NET_REFUSALS, &empty, NULL, 0, on_looked,
				 server, &err) == 0;
}

static int load_row(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct server *server = arg;
	uint32_t reason = (uint32_t)sqlite3_column_int(row, 1);
	char name[NAME_SIZE];
	struct tenant *t;

	(void)err;
	db_column_text(row, 0, name, sizeof(name));
	t = *name ? model_any_tenant(&server->model, name) : NULL;
	if (reason < (t ? NET_REFUSED_OF_TENANTS : NET_REFUSED_N) && (t || !*name))
		refusals_of(server, t, reason)->told = db_column_u64(row, 2);
	return 0;
}

/* Of this boot: the counters of another are gone. */
int refusal_watch_load(struct server *server, struct err *err)
{
	server->refusal_watch = calloc(1, sizeof(*server->refusal_watch));
	if (!server->refusal_watch)
		return err_oom(err);
	return db_query(server->db,
		"SELECT coalesce(name, ''), reason, told FROM refusals"
		" LEFT JOIN tenants ON uid = tenant_uid"
		" WHERE boot_id = ?1 AND (tenant_uid = '' OR name IS NOT NULL)",
		load_row, server, err, "s", server->boot_id);
}

bool refusal_watch_seen(const struct server *server, uint32_t reason, uint64_t *ret)
{
	const struct refusals *r = &server->refusal_watch->of_all[reason];

	if (r->looked)
		*ret = r->seen;
	return r->looked;
}

int refusal_watch_start(struct server *server, struct err *err)
{
	server->refusal_watch->timer = evtimer_new(server->base, on_timer, server);
	if (!server->refusal_watch->timer)
		return err_oom(err);
	if (net_plan_is_on(&server->config->net))
		sampler_arm_look(server, server->refusal_watch->timer);
	return 0;
}

void refusal_watch_destroy(struct server *server)
{
	if (!server->refusal_watch)
		return;
	if (server->refusal_watch->timer)
		event_free(server->refusal_watch->timer);
	free(server->refusal_watch);
	server->refusal_watch = NULL;
}

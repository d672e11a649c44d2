/*
 * Long windows outlive croftd: what was added up in them is put on record now and then, and at its
 * end (ADR 94). Those of less than an hour begin anew, as what they have lost they soon have again.
 */
#include "server/abuse_internal.h"

#include "base/cleanup.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_WINDOW_USEC (3600 * UINT64_C(1000000))
#define KEEP_EVERY_USEC	 (300 * UINT64_C(1000000))
#define SUBJECTS_A_TURN	 1024 /* of which most have nothing new: a fifth of a microsecond each */

/*
 * What is added up from samples goes on at the last one that is on record: only what a sweep has
 * added that is not committed may be there twice. Other counters are looked at from some moment of
 * their own, and all that they came to would be.
 */
static bool is_kept(const struct abuse_rule *rule)
{
	return rule->window_usec >= KEPT_WINDOW_USEC && rule->signal != ABUSE_FORKS &&
	       !abuse_signal_row(rule->signal)->of_tenant;
}

/* Returns how many rows that takes. */
static size_t keep_subject(struct server *server, struct db_tx *tx, const struct tenant *t,
	const struct container *c, struct abuse_subject *s)
{
	size_t rows = 0;

	for (size_t i = 0; s && i < s->n; i++) {
		const struct abuse_rule *rule = &server->abuse->rules->list[i];
		struct abuse_track *track = &s->tracks[i];

		if (!track->window || !track->changed || !is_kept(rule))
			continue;
		store_abuse_window(tx, server->boot_id, t->uid, c ? c->uid : "", rule->name,
			abuse_signal_row(rule->signal)->name, track->window);
		track->changed = false;
		rows++;
	}
	return rows;
}

/* Each tenant, and then its containers; what comes or goes meanwhile keeps out no other. */
static bool next_subject(struct server *server, struct tenant **ret_t, struct container **ret_c)
{
	struct abuse_keeper *at = &server->abuse->keeper;
	struct tenant *t = model_any_tenant(&server->model, at->tenant);
	struct map_node *node = t ? map_after(&t->containers, at->container) : NULL;
	struct container *c = NULL;

	if (node) {
		c = map_object(node, struct container, by_name);
		memcpy(at->container, c->name, sizeof(at->container));
	} else {
		node = map_after(&server->model.tenants, at->tenant);
		if (!node)
			return false;
		t = map_object(node, struct tenant, by_name);
		memcpy(at->tenant, t->name, sizeof(at->tenant));
		at->container[0] = '\0';
	}
	*ret_t = t;
	*ret_c = c;
	return true;
}

static void begin(struct abuse_keeper *at)
{
	at->tenant[0] = '\0';
	at->container[0] = '\0';
	at->began_boot_usec = clock_boot_usec();
}

/* A transaction of a turn's length. Returns false when all is put down. */
static bool keep_slice(struct server *server)
{
	struct abuse_keeper *at = &server->abuse->keeper;
	struct db_tx *tx = db_tx_new();
	struct container *c;
	struct tenant *t;
	size_t rows = 0;
	bool more = true;

	/* Never yet by these rules, which may be others since the slice before. */
	if (!server->abuse->kept_boot_usec) {
		begin(at);
		store_drop_abuse_windows(tx, server->boot_id);
		rows++;
	}
	server->abuse->kept_boot_usec = at->began_boot_usec;
	for (size_t i = 0; i < SUBJECTS_A_TURN && rows < ABUSE_ROWS_A_TURN && more; i++) {
		more = next_subject(server, &t, &c);
		if (more && t->visible && !t->deleting && (!c || c->visible))
			rows += keep_subject(server, tx, t, c, c ? c->abuse : t->abuse);
	}
	if (rows)
		db_commit(server->db, tx, NULL, NULL);
	else
		db_tx_free(tx);
	return more;
}

static void go_on(struct server *server)
{
	static const struct timeval now;

	/* Where a turn cannot be had, the next look begins anew. */
	if (db_is_full(server->db))
		server->abuse->kept_boot_usec = 0;
	else if (keep_slice(server))
		evtimer_add(server->abuse->keeper.turn, &now);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	go_on(arg);
}

void abuse_keep(struct server *server)
{
	if (!server->abuse || !server->abuse->rules || db_is_full(server->db))
		return;
	begin(&server->abuse->keeper);
	while (keep_slice(server))
		;
}

void abuse_keep_when_due(struct server *server)
{
	struct abuse_keeper *at = &server->abuse->keeper;

	if (clock_boot_usec() - server->abuse->kept_boot_usec < KEEP_EVERY_USEC ||
		(at->turn && evtimer_pending(at->turn, NULL)))
		return;
	if (!at->turn)
		at->turn = evtimer_new(server->base, on_turn, server);
	if (!at->turn)
		return;
	begin(at);
	go_on(server);
}

void abuse_keeper_finish(struct abuse_keeper *at)
{
	if (at->turn)
		event_free(at->turn);
}

/* A rule of that name may have become another since. */
static bool fits(const struct abuse_rule *rule, bool of_tenant, const char *signal,
	const struct abuse_window *window)
{
	struct abuse_window like;

	abuse_window_init(&like, rule->window_usec);
	return is_kept(rule) && rule->per_tenant == of_tenant &&
	       !strcmp(abuse_signal_row(rule->signal)->name, signal) &&
	       like.bucket_usec == window->bucket_usec &&
	       window->newest <= clock_boot_usec() / window->bucket_usec;
}

static int load_row(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct server *server = arg;
	const struct abuse_rules *rules = server->abuse->rules;
	struct abuse_stored_window stored;
	struct abuse_subject *s;
	struct container *c = NULL;
	struct tenant *t;

	if (store_read_abuse_window(row, &stored) < 0)
		return 0;
	t = model_any_tenant(&server->model, stored.tenant);
	if (t && stored.container[0])
		c = model_any_container(t, stored.container);
	if (!t || (stored.container[0] && !c))
		return 0;
	s = abuse_subject_of(server, t, c);
	if (!s)
		return err_oom(err);
	for (size_t i = 0; i < s->n; i++) {
		if (strcmp(rules->list[i].name, stored.rule) != 0 || s->tracks[i].window ||
			!fits(&rules->list[i], !c, stored.signal, &stored.window))
			continue;
		s->tracks[i].window = malloc(sizeof(stored.window));
		if (!s->tracks[i].window)
			return err_oom(err);
		*s->tracks[i].window = stored.window;
	}
	return 0;
}

int abuse_keep_load(struct server *server, struct err *err)
{
	/* The clock of windows begins anew with each boot. */
	return db_query(
		server->db, ABUSE_WINDOWS_OF_BOOT, load_row, server, err, "s", server->boot_id);
}

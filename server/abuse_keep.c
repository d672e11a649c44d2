/*
 * Long windows outlive croftd: what was added up in them is put on record now and then, and at its
 * end (ADR 94). Those of less than an hour begin anew, as what they have lost they soon have again.
 */
#include "server/abuse_internal.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

#define KEPT_WINDOW_USEC (3600 * UINT64_C(1000000))
#define KEEP_EVERY_USEC	 (300 * UINT64_C(1000000))

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

static void keep_subject(struct server *server, struct db_tx *tx, const struct tenant *t,
	const struct container *c, struct abuse_subject *s)
{
	for (size_t i = 0; s && i < s->n; i++) {
		const struct abuse_rule *rule = &server->abuse->rules->list[i];
		struct abuse_track *track = &s->tracks[i];

		if (!track->window || !track->changed || !is_kept(rule))
			continue;
		store_abuse_window(tx, server->boot_id, t->uid, c ? c->uid : "", rule->name,
			abuse_signal_row(rule->signal)->name, track->window);
		track->changed = false;
	}
}

void abuse_keep(struct server *server)
{
	struct map_node *node;
	struct map_node *inner;
	struct db_tx *tx;

	if (!server->abuse || !server->abuse->rules || db_is_full(server->db))
		return;
	tx = db_tx_new();
	if (!server->abuse->kept_boot_usec)
		store_drop_abuse_windows(tx, server->boot_id);
	MAP_FOREACH(node, &server->model.tenants)
	{
		struct tenant *t = map_object(node, struct tenant, by_name);

		if (!t->visible || t->deleting)
			continue;
		keep_subject(server, tx, t, NULL, t->abuse);
		MAP_FOREACH(inner, &t->containers)
		{
			struct container *c = map_object(inner, struct container, by_name);

			if (c->visible)
				keep_subject(server, tx, t, c, c->abuse);
		}
	}
	server->abuse->kept_boot_usec = clock_boot_usec();
	db_commit(server->db, tx, NULL, NULL);
}

void abuse_keep_when_due(struct server *server)
{
	if (clock_boot_usec() - server->abuse->kept_boot_usec >= KEEP_EVERY_USEC)
		abuse_keep(server);
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

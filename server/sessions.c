/* Telling of logins and of who enters containers; see sessions.h. Must never refuse anybody. */
#include "server/sessions.h"

#include "base/cleanup.h"
#include "server/auth.h"
#include "server/details.h"
#include "server/events.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct user {
	struct map_node node;
	char key[ACTOR_SIZE + 2]; /* "+" or "-", for who may call and who may not, and the name */
	uint64_t last_boot_usec;
	uint64_t untold;
	struct event_pace pace;
};

struct sessions {
	struct map users;
};

int sessions_create(struct server *server, struct err *err)
{
	server->sessions = calloc(1, sizeof(*server->sessions));
	return server->sessions ? 0 : err_oom(err);
}

static void forget(struct sessions *sessions, struct user *user)
{
	map_remove(&sessions->users, &user->node);
	free(user);
}

void sessions_destroy(struct server *server)
{
	struct map_node *node;

	if (!server->sessions)
		return;
	while ((node = map_after(&server->sessions->users, "")))
		forget(server->sessions, map_object(node, struct user, node));
	free(server->sessions);
	server->sessions = NULL;
}

/* Room for one more: who has not called for the longest time goes. */
static void make_room(struct sessions *sessions)
{
	struct user *oldest = NULL;
	struct map_node *node;

	if (sessions->users.n < SESSIONS_USERS_MAX)
		return;
	MAP_FOREACH(node, &sessions->users)
	{
		struct user *user = map_object(node, struct user, node);

		if (!oldest || user->last_boot_usec < oldest->last_boot_usec)
			oldest = user;
	}
	forget(sessions, oldest);
}

static struct user *user_of(struct sessions *sessions, const struct actor *actor, bool accepted)
{
	char key[ACTOR_SIZE + 2];
	struct map_node *node;
	struct user *user;

	snprintf(key, sizeof(key), "%c%s", accepted ? '+' : '-', actor->name);
	node = map_find(&sessions->users, key);
	if (node)
		return map_object(node, struct user, node);
	make_room(sessions);
	user = calloc(1, sizeof(*user));
	if (!user)
		return NULL;
	memcpy(user->key, key, sizeof(user->key));
	map_insert(&sessions->users, &user->node, user->key);
	return user;
}

static void tell_accepted(struct server *server, const struct grpc_peer *peer,
	const struct tenant *t, const struct actor *actor)
{
	struct db_tx *tx = db_tx_new();
	struct details d;

	db_tx_set_actor(tx, actor);
	details_init(&d);
	details_number(&d, "pause_seconds", SESSIONS_PAUSE_USEC / 1000000);
	if (t)
		events_add_tenant(tx, t, "login.accepted", details_end(&d),
			"user %u came, for tenant %s", (unsigned)peer->uid, t->name);
	else
		events_add_host(tx, "login.accepted", details_end(&d),
			"user %u came, as an operator", (unsigned)peer->uid);
	db_commit(server->db, tx, NULL, NULL);
}

static void tell_refused(struct server *server, const struct actor *actor, uint64_t count)
{
	struct db_tx *tx = db_tx_new();
	struct details d;

	db_tx_set_actor(tx, actor);
	details_init(&d);
	details_number(&d, "count", count);
	events_add_host(tx, "login.refused", details_end(&d),
		"%s, who is bound to no tenant, was refused %" PRIu64 " times", actor->name, count);
	db_commit(server->db, tx, NULL, NULL);
}

static void note(struct server *server, const struct grpc_peer *peer)
{
	uint64_t now = clock_boot_usec();
	struct tenant *t = NULL;
	struct actor actor;
	struct user *user;
	struct err ignored;
	bool accepted = auth_tenant_of(server, peer, &t, &ignored) == 0;
	uint64_t last;

	auth_actor(peer, &actor);
	user = user_of(server->sessions, &actor, accepted);
	if (!user || db_is_full(server->db) || server->shutting_down)
		return;
	last = user->last_boot_usec;
	user->last_boot_usec = now;
	if (accepted) {
		if (!last || now - last >= SESSIONS_PAUSE_USEC)
			tell_accepted(server, peer, t, &actor);
		return;
	}
	user->untold++;
	if (!event_pace_is_due(&user->pace, now))
		return;
	event_pace_take(&user->pace, now);
	tell_refused(server, &actor, user->untold);
	user->untold = 0;
}

int sessions_authorize(const struct grpc_peer *peer, const struct grpc_method *method,
	const char *resource, void *app, struct err *err)
{
	/* Who only asks whether croftd lives, or which it is, has not come. */
	if (method->role != GRPC_ROLE_ANYONE)
		note(app, peer);
	return auth_authorize(peer, method, resource, app, err);
}

/* --- into containers --- */

static bool is_due(const struct entries *e, uint64_t now_boot_usec, bool final)
{
	return e->commands + e->transfers && (final || event_pace_is_due(&e->pace, now_boot_usec));
}

static void add_entries(
	struct db_tx *tx, const struct container *c, struct entries *e, uint64_t now_boot_usec)
{
	bool once = e->commands + e->transfers == 1;
	struct details d;

	details_init(&d);
	details_number(&d, "commands", e->commands);
	details_number(&d, "transfers", e->transfers);
	details_text(&d, "by", e->last.is_operator ? "operator" : e->last.name);
	events_add_container(tx, c, c->run.id, "container.entered", details_end(&d),
		"%s/%s was entered%s", c->tenant->name, c->name, once ? "" : " more than once");
	event_pace_take(&e->pace, now_boot_usec);
	e->commands = 0;
	e->transfers = 0;
}

void sessions_entered(
	struct server *server, struct container *c, const struct grpc_peer *peer, bool files)
{
	uint64_t now = clock_boot_usec();
	struct actor actor;
	struct entries *e;
	struct db_tx *tx;

	auth_actor(peer, &actor);
	e = &c->entries[actor.is_operator];
	e->last = actor;
	if (files)
		e->transfers++;
	else
		e->commands++;
	if (!is_due(e, now, false) || db_is_full(server->db))
		return;
	tx = db_tx_new();
	db_tx_set_actor(tx, &actor);
	add_entries(tx, c, e, now);
	db_commit(server->db, tx, NULL, NULL);
}

void sessions_add_events(struct db_tx *tx, struct container *c, uint64_t now, bool final)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->entries); i++)
		if (is_due(&c->entries[i], now, final))
			add_entries(tx, c, &c->entries[i], now);
}

/*
 * Events when somebody has filled its disk; see disk_watch.h. The supervisor looks, when it is
 * asked. Must never fill the log of events for who fills and empties its disk all day: there is one
 * event at most every few looks.
 */
#include "server/disk_watch.h"

#include "base/log.h"
#include "server/details.h"
#include "server/events.h"
#include "server/held.h"
#include "server/link.h"
#include "server/sampler.h"
#include "server/volume.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

/* Looks in a row that must have found room. One may have missed what was being renamed. */
#define LOOKS_WITH_ROOM 2u

struct disk_watch {
	struct event *timer;
	struct map full; /* struct full by uid */
	uint64_t look;	 /* the present one's number */
	bool all;	 /* it is one for what is held, too */
	bool looking;
};

struct full {
	struct map_node node;
	char uid[UID_SIZE];
	uint64_t seen; /* the last look that found it so */
	bool telling;  /* the event is on its way, */
	bool told;     /* or on record */
};

/* Whose disk it is. */
struct owner {
	struct tenant *tenant;
	struct container *container;
	struct volume *volume;
	const char *uid;
};

/* --- what is known --- */

static struct full *find(const struct disk_watch *watch, const char *uid)
{
	struct map_node *node = map_find(&watch->full, uid);

	return node ? map_object(node, struct full, node) : NULL;
}

static struct full *add(struct disk_watch *watch, const char *uid)
{
	struct full *full = calloc(1, sizeof(*full));

	if (!full)
		return NULL;
	snprintf(full->uid, sizeof(full->uid), "%s", uid);
	full->seen = watch->look;
	map_insert(&watch->full, &full->node, full->uid);
	return full;
}

static void forget(struct disk_watch *watch, struct full *full)
{
	map_remove(&watch->full, &full->node);
	free(full);
}

static int load(sqlite3_stmt *row, void *arg, struct err *err)
{
	char uid[UID_SIZE];

	struct full *full;

	db_column_text(row, 0, uid, sizeof(uid));
	full = add(arg, uid);
	if (!full)
		return err_oom(err);
	full->told = true;
	return 0;
}

int disk_watch_load(struct server *server, struct err *err)
{
	server->disk_watch = calloc(1, sizeof(*server->disk_watch));
	if (!server->disk_watch)
		return err_oom(err);
	return db_query(
		server->db, "SELECT uid FROM full_disks", load, server->disk_watch, err, "");
}

/* --- what is found --- */

static bool find_owner(
	const struct server *server, const struct msg_event_disk *msg, struct owner *ret)
{
	struct tenant *t = model_any_tenant(&server->model, msg->tenant);

	*ret = (struct owner){.tenant = t};
	if (!t || !t->visible || t->deleting)
		return false;
	if (msg->owner == DISK_OF_CONTAINER) {
		ret->container = model_any_container(t, msg->name);
		if (!ret->container || !ret->container->visible || ret->container->condemned)
			return false;
		ret->uid = ret->container->uid;
	} else if (msg->owner == DISK_OF_VOLUME) {
		ret->volume = volume_any(t, msg->name);
		if (!ret->volume || !ret->volume->visible || ret->volume->dropping)
			return false;
		ret->uid = ret->volume->uid;
	} else {
		ret->uid = t->uid;
	}
	return true;
}

static void add_figures(struct details *d, const struct msg_event_disk *msg)
{
	details_limit(d, "used_bytes", msg->used.bytes);
	details_limit(d, "limit_bytes", msg->limit.bytes);
	details_limit(d, "used_inodes", msg->used.inodes);
	details_limit(d, "limit_inodes", msg->limit.inodes);
}

/* "31.8MiB of 32MiB" or "500 of 500 inodes". */
static void say_how_full(const struct msg_event_disk *msg, char *out, size_t size)
{
	char used[LIMIT_TEXT_MAX];
	char limit[LIMIT_TEXT_MAX];

	if (msg->state == DISK_FULL)
		snprintf(out, size, "%s of %s", limit_format(LIMIT_DISK, msg->used.bytes, used),
			limit_format(LIMIT_DISK, msg->limit.bytes, limit));
	else
		snprintf(out, size, "%s of %s inodes",
			limit_format(LIMIT_INODES, msg->used.inodes, used),
			limit_format(LIMIT_INODES, msg->limit.inodes, limit));
}

static void add_event(struct db_tx *tx, const struct owner *owner, const struct msg_event_disk *msg)
{
	const char *tenant = owner->tenant->name;
	char how_full[2 * LIMIT_TEXT_MAX + 16];
	struct details d;

	say_how_full(msg, how_full, sizeof(how_full));
	details_init(&d);
	if (owner->volume) {
		details_text(&d, "volume", owner->volume->name);
		details_text(&d, "uid", owner->volume->uid);
	}
	add_figures(&d, msg);
	if (owner->container)
		events_add_container(tx, owner->container, owner->container->run.id,
			"container.disk_full", details_end(&d),
			"%s/%s has filled its disk: %s are in use", tenant, owner->container->name,
			how_full);
	else if (owner->volume)
		events_add_tenant(tx, owner->tenant, "volume.disk_full", details_end(&d),
			"volume %s/%s is full: %s are in use", tenant, owner->volume->name,
			how_full);
	else
		events_add_tenant(tx, owner->tenant, "tenant.disk_full", details_end(&d),
			"tenant %s has filled its disk: %s are in use or set aside", tenant,
			how_full);
}

struct telling {
	struct server *server;
	char uid[UID_SIZE];
};

/* What could not be told is told by a later look, and was counted. */
static void on_told(void *arg, const struct err *err)
{
	struct telling *telling = arg;
	struct full *full = find(telling->server->disk_watch, telling->uid);

	if (full) {
		full->telling = false;
		full->told = !err;
	}
	free(telling);
}

/* What was counted and could not be told (`full`) is not counted again. */
static void tell(struct server *server, const struct owner *owner, struct full *full,
	const struct msg_event_disk *msg)
{
	struct telling *telling = malloc(sizeof(*telling));
	bool counted = full != NULL;
	struct db_tx *tx;

	if (telling && !full)
		full = add(server->disk_watch, owner->uid);
	if (!telling || !full) {
		log_error("no-memory for=disk-full tenant=%s", owner->tenant->name);
		free(telling);
		return;
	}
	full->telling = true;
	telling->server = server;
	memcpy(telling->uid, full->uid, sizeof(telling->uid));
	tx = db_tx_new();
	if (!counted)
		held_filled(tx, owner->tenant, owner->container, owner->volume);
	db_tx_write(tx, "INSERT OR IGNORE INTO full_disks (uid, tenant_uid) VALUES (?1, ?2)", "ss",
		full->uid, owner->tenant->uid);
	add_event(tx, owner, msg);
	log_info("disk-full tenant=%s name=%s", owner->tenant->name, msg->name);
	db_commit(server->db, tx, on_told, telling);
}

/* A tenant's is the sum of these, and of its snapshots. */
static void note_use(
	struct server *server, const struct owner *owner, const struct msg_event_disk *msg)
{
	uint64_t look = server->disk_watch->look;

	if (owner->container)
		held_measured(&owner->container->held, msg->used.bytes, look);
	else if (owner->volume)
		held_measured(&owner->volume->held, msg->used.bytes, look);
}

void disk_watch_take(struct server *server, const struct msg_event_disk *msg)
{
	struct owner owner;
	struct full *full;

	if (!find_owner(server, msg, &owner))
		return;
	note_use(server, &owner, msg);
	full = find(server->disk_watch, owner.uid);
	if (full)
		full->seen = server->disk_watch->look;
	if (msg->state >= DISK_FULL && !(full && (full->telling || full->told)))
		tell(server, &owner, full, msg);
}

/* --- looking --- */

/* Who was not named has room, or is gone. */
static void forget_others(struct server *server)
{
	struct disk_watch *watch = server->disk_watch;
	struct db_tx *tx = NULL;
	struct map_node *node;
	struct map_node *next;

	for (node = map_after(&watch->full, ""); node; node = next) {
		struct full *full = map_object(node, struct full, node);

		next = map_after(&watch->full, full->uid);
		if (watch->look - full->seen < LOOKS_WITH_ROOM || full->telling)
			continue;
		if (!tx)
			tx = db_tx_new();
		db_tx_write(tx, "DELETE FROM full_disks WHERE uid=?1", "s", full->uid);
		forget(watch, full);
	}
	if (tx)
		db_commit(server->db, tx, NULL, NULL);
}

static void on_looked(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	const struct msg_disk_look *look = reply;
	struct server *server = arg;

	link_close_fds(fds, n_fds);
	server->disk_watch->looking = false;
	if (err || server->shutting_down)
		return;
	if (look->looked)
		forget_others(server);
	if (server->disk_watch->all)
		held_sample_all(server, server->disk_watch->look);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;
	struct msg_look msg;
	struct disk_watch *watch = server->disk_watch;
	struct err err;

	(void)fd;
	(void)what;
	sampler_arm_look(server, server->disk_watch->timer);
	/* What cannot be told is not looked for; nor is there a disk without a tenant. */
	if (watch->looking || !link_is_ready(server->link) || server->shutting_down ||
		!server->model.tenants.n || db_is_full(server->db))
		return;
	watch->all = watch->look++ % LEDGER_HELD_LOOKS == 0;
	msg = (struct msg_look){.all = watch->all};
	watch->looking = link_send(server->link, MSG_DISK_LOOK, &msg, NULL, 0, on_looked, server,
				 &err) == 0;
}

int disk_watch_start(struct server *server, struct err *err)
{
	server->disk_watch->timer = evtimer_new(server->base, on_timer, server);
	if (!server->disk_watch->timer)
		return err_oom(err);
	sampler_arm_look(server, server->disk_watch->timer);
	return 0;
}

void disk_watch_stop(struct server *server)
{
	if (!server->disk_watch || !server->disk_watch->timer)
		return;
	event_free(server->disk_watch->timer);
	server->disk_watch->timer = NULL;
}

void disk_watch_destroy(struct server *server)
{
	struct map_node *node;

	disk_watch_stop(server);
	if (!server->disk_watch)
		return;
	while ((node = map_after(&server->disk_watch->full, "")))
		forget(server->disk_watch, map_object(node, struct full, node));
	free(server->disk_watch);
	server->disk_watch = NULL;
}

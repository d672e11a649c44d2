/* Samples of what is held; see held.h. Must never bill what it does not know. */
#include "server/held.h"

#include "server/snapshot.h"
#include "server/store.h"

#include <stdio.h>
#include <string.h>

/* One of them, as it is now. */
struct subject {
	enum ledger_kind kind;
	struct held *held;
	const struct tenant *tenant;
	const char *uid; /* "": the tenant's own */
	const char *name;
	struct usage_held now;
};

void held_begin(struct held *held)
{
	held->begin_boot_usec = clock_boot_usec();
	held->begin_wall_usec = clock_wall_usec();
}

void held_measured(struct held *held, uint64_t bytes, uint64_t look)
{
	held->disk_bytes = bytes;
	held->disk_look = look;
}

uint64_t held_disk_of_tenant(const struct tenant *t)
{
	struct map_node *node;
	uint64_t bytes = 0;

	MAP_FOREACH(node, &t->containers)
	bytes += map_object(node, struct container, by_name)->held.disk_bytes;
	MAP_FOREACH(node, &t->volumes)
	bytes += map_object(node, struct volume, by_name)->held.disk_bytes;
	return bytes;
}

/* --- what there is --- */

static void set(struct usage_held *now, enum usage_held_id id, uint64_t value)
{
	now->known |= 1u << id;
	now->value[id] = value;
}

static void set_disk(struct usage_held *now, const struct held *held, uint64_t look)
{
	if (held->disk_bytes && held->disk_look == look)
		set(now, HELD_DISK, held->disk_bytes);
}

static struct subject of_container(struct container *c, uint64_t look)
{
	struct subject s = {LEDGER_CONTAINER, &c->held, c->tenant, c->uid, c->name, {0}};
	uint64_t bytes = 0;
	struct map_node *node;

	MAP_FOREACH(node, &c->snapshots)
	{
		const struct snapshot *snapshot = map_object(node, struct snapshot, by_name);

		if (snapshot->visible && !snapshot->dropping)
			bytes += snapshot->size_bytes;
	}
	set_disk(&s.now, &c->held, look);
	if (bytes)
		set(&s.now, HELD_SNAPSHOTS, bytes);
	if (c->net_slot)
		set(&s.now, HELD_IPV4, 1);
	return s;
}

static struct subject of_volume(struct volume *v, uint64_t look)
{
	struct subject s = {LEDGER_VOLUME, &v->held, v->tenant, v->uid, v->name, {0}};

	set_disk(&s.now, &v->held, look);
	if (v->size_bytes != LIMIT_UNSET)
		set(&s.now, HELD_SIZE, v->size_bytes);
	return s;
}

static struct subject of_tenant(struct tenant *t)
{
	return (struct subject){LEDGER_TENANT, &t->held, t, "", "", {0}};
}

/* --- what is put down --- */

/* What croftd itself gave it is held from the beginning. */
static void begin(struct db_tx *tx, const struct subject *s)
{
	struct held *held = s->held;
	struct usage_held first = s->now;

	if (!held->begin_boot_usec)
		held_begin(held);
	first.known &= 1u << HELD_IPV4 | 1u << HELD_SIZE;
	store_put_held(tx, held, s->kind, s->tenant, s->uid);
	store_held_base(tx, held, &first);
}

/* The row that samples are put behind: another one where there is none that has the name. */
static void use_row(struct db_tx *tx, const struct subject *s)
{
	struct held *held = s->held;

	/* One that was renamed goes on under its new name. */
	if (held->id[0] && strcmp(held->name, s->name) != 0) {
		store_end_held(tx, held);
		*held = (struct held){.disk_bytes = held->disk_bytes, .disk_look = held->disk_look};
	}
	if (!held->id[0]) {
		model_make_uid(held->id);
		snprintf(held->name, sizeof(held->name), "%s", s->name);
	}
}

static void sample(struct db_tx *tx, struct subject *s)
{
	struct held *held = s->held;

	use_row(tx, s);
	/* A row counts from its own beginning; one whose disk was never full has no such meter. */
	if (held->fills)
		set(&s->now, HELD_FILLS, held->fills);
	/* Until a sample of it is on record nobody knows whether the row is. */
	begin(tx, s);
	held->sequence++;
	store_held_sample(tx, held, &s->now);
	held->sampled = true;
}

static bool is_there(const struct container *c)
{
	return c->visible && c->stored && !c->row_gone && !c->condemned && !c->launching;
}

static void sample_tenant(struct db_tx *tx, struct tenant *t, uint64_t look)
{
	struct map_node *node;
	struct subject s = of_tenant(t);

	sample(tx, &s);
	MAP_FOREACH(node, &t->containers)
	{
		struct container *c = map_object(node, struct container, by_name);

		s = of_container(c, look);
		if (is_there(c))
			sample(tx, &s);
	}
	MAP_FOREACH(node, &t->volumes)
	{
		struct volume *v = map_object(node, struct volume, by_name);

		s = of_volume(v, look);
		if (v->visible && !v->dropping)
			sample(tx, &s);
	}
}

static struct subject of_any(struct tenant *t, struct container *c, struct volume *v)
{
	if (c)
		return of_container(c, c->held.disk_look);
	return v ? of_volume(v, v->held.disk_look) : of_tenant(t);
}

void held_filled(struct db_tx *tx, struct tenant *t, struct container *c, struct volume *v)
{
	struct subject s = of_any(t, c, v);

	if (c && !is_there(c)) {
		/* It goes into its first sample. */
		s.held->fills++;
		return;
	}
	use_row(tx, &s);
	s.held->fills++;
	sample(tx, &s);
}

void held_sample_all(struct server *server, uint64_t look)
{
	struct map_node *node;

	MAP_FOREACH(node, &server->model.tenants)
	{
		struct tenant *t = map_object(node, struct tenant, by_name);
		struct db_tx *tx;

		if (!t->visible || t->deleting)
			continue;
		tx = db_tx_new();
		sample_tenant(tx, t, look);
		db_commit(server->db, tx, NULL, NULL);
	}
}

/* --- ends --- */

static void end(struct db_tx *tx, struct subject *s, bool told)
{
	if (!s->held->sampled && !(told && s->held->begin_boot_usec))
		return;
	sample(tx, s);
	store_end_held(tx, s->held);
}

void held_end_container(struct db_tx *tx, struct container *c)
{
	struct subject s = of_container(c, c->held.disk_look);

	end(tx, &s, c->visible && c->stored && !c->launching);
}

void held_end_volume(struct db_tx *tx, struct volume *v)
{
	struct subject s = of_volume(v, v->held.disk_look);

	end(tx, &s, v->visible);
}

void held_end_tenant(struct db_tx *tx, struct tenant *t)
{
	struct subject s = of_tenant(t);

	end(tx, &s, t->visible);
}

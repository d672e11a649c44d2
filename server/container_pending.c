/* Changes that outlive a crash; see container_pending.h. */
#include "server/container_pending.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/container_update.h"
#include "server/details.h"
#include "server/events.h"
#include "server/health.h"
#include "server/idle.h"
#include "server/init_args.h"
#include "server/link.h"
#include "server/log_quota.h"
#include "server/placer.h"
#include "server/snapshot_schedule.h"
#include "server/store.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_S 2

union pending_msg {
	struct msg_snapshot snapshot;
	struct msg_container_create create;
	struct msg_rename rename;
	struct msg_limits limits;
};

struct kind;

struct pending {
	struct server *server;
	const struct kind *kind;
	struct container_op *op;     /* NULL: resumed, nobody waits */
	struct container *container; /* a reference */
	char old_name[NAME_SIZE];
	struct err err;
};

/* A kind: "<word> <name>" in the row; or the word alone, of one without a member. */
struct kind {
	const char *word;
	enum msg_op msg;
	void (*fill)(const struct pending *p, const char *name, union pending_msg *ret);
	/* Makes the container in the model what it has become. Returns 0 or -errno. */
	int (*apply)(struct pending *p, const char *name, struct err *err);
	/* When that could not be committed; NULL: it stays, and is committed with the next change.
	 */
	void (*take_back)(struct pending *p);
	void (*add_event)(struct pending *p, const char *name, struct db_tx *tx);
	const char *event;
	const char *member; /* of the event's details: what `name` names */
	const char *done;   /* "went back to snapshot" */
};

static void add_event(struct pending *p, const char *name, struct db_tx *tx)
{
	const struct container *c = p->container;
	const char *subject = name;
	struct details d;

	details_init(&d);
	if (strcmp(p->old_name, c->name) != 0) {
		details_text(&d, "old_name", p->old_name);
		subject = p->old_name;
	}
	details_text(&d, p->kind->member, name);
	events_add_container(tx, c, "", p->kind->event, details_end(&d), "%s/%s %s %s",
		c->tenant->name, c->name, p->kind->done, subject);
}

/* --- restore --- */

static void fill_restore(const struct pending *p, const char *name, union pending_msg *ret)
{
	const struct container *c = p->container;
	struct msg_snapshot *msg = &ret->snapshot;
	const struct snapshot *s = snapshot_any(c, name);
	struct limits limits = c->limits;

	if (s)
		snapshot_limits(s, &limits);
	memcpy(msg->tenant, c->tenant->name, sizeof(msg->tenant));
	memcpy(msg->container, c->name, sizeof(msg->container));
	snprintf(msg->snapshot, sizeof(msg->snapshot), "%s", name);
	msg->disk = limits_disk(&limits);
}

static int apply_restore(struct pending *p, const char *name, struct err *err)
{
	struct container *c = p->container;
	const struct snapshot *s = snapshot_any(c, name);
	struct limits limits;
	char **args = NULL;
	size_t n = 0;
	int r;

	if (!s)
		return err_set(
			err, ERR_NOT_FOUND, "SNAPSHOT_NOT_FOUND", "the snapshot %s is gone", name);
	while (s->init_args && s->init_args[n])
		n++;
	r = init_args_copy(s->init_args, n, &args, err);
	if (r < 0)
		return r;
	init_args_free(c->init_args);
	c->init_args = args;
	memcpy(c->image, s->image, sizeof(c->image));
	memcpy(c->policy, s->policy, sizeof(c->policy));
	snapshot_limits(s, &limits);
	c->limits = limits;
	c->with_init = s->with_init;
	c->oom_group = s->oom_group;
	/* Chosen when it starts. */
	memset(c->cpus, 0, sizeof(c->cpus));
	return 0;
}

/* --- rename --- */

static void fill_rename(const struct pending *p, const char *name, union pending_msg *ret)
{
	const struct container *c = p->container;

	memcpy(ret->rename.tenant, c->tenant->name, sizeof(ret->rename.tenant));
	memcpy(ret->rename.from, c->name, sizeof(ret->rename.from));
	snprintf(ret->rename.to, sizeof(ret->rename.to), "%s", name);
}

static int apply_rename(struct pending *p, const char *name, struct err *err)
{
	struct container *c = p->container;

	(void)err;
	map_remove(&c->tenant->containers, &c->by_name);
	snprintf(c->name, sizeof(c->name), "%s", name);
	map_insert(&c->tenant->containers, &c->by_name, c->name);
	return 0;
}

/* --- rebuild --- */

static void fill_rebuild(const struct pending *p, const char *name, union pending_msg *ret)
{
	const struct container *c = p->container;

	(void)name;
	memcpy(ret->create.tenant, c->tenant->name, sizeof(ret->create.tenant));
	memcpy(ret->create.container, c->name, sizeof(ret->create.container));
	ret->create.disk = limits_disk(&c->limits);
}

static int apply_rebuild(struct pending *p, const char *name, struct err *err)
{
	(void)err;
	snprintf(p->container->image, sizeof(p->container->image), "%s", name);
	model_make_uid(p->container->cloud_id);
	return 0;
}

static void add_rebuild_event(struct pending *p, const char *name, struct db_tx *tx)
{
	if (p->container->cloud_init)
		store_put_cloud_init(tx, p->container);
	add_event(p, name, tx);
}

/* --- limits --- */

static void fill_limits(const struct pending *p, const char *name, union pending_msg *ret)
{
	(void)name;
	container_update_fill(p->container, p->op, &ret->limits);
}

static int apply_limits(struct pending *p, const char *name, struct err *err)
{
	(void)name;
	(void)err;
	if (p->op)
		container_update_swap(p->op);
	return 0;
}

static void take_back_limits(struct pending *p)
{
	if (p->op)
		container_update_swap(p->op);
}

static void add_limits_event(struct pending *p, const char *name, struct db_tx *tx)
{
	(void)name;
	if (p->op)
		container_update_store(tx, p->op);
}

static const struct kind kinds[] = {
	{"restore", MSG_SNAPSHOT_RESTORE, fill_restore, apply_restore, NULL, add_event,
		"snapshot.restored", "snapshot", "went back to snapshot"},
	{"rename", MSG_CONTAINER_RENAME, fill_rename, apply_rename, NULL, add_event,
		"container.renamed", "name", "is the new name of"},
	{"rebuild", MSG_CONTAINER_RESET, fill_rebuild, apply_rebuild, NULL, add_rebuild_event,
		"container.rebuilt", "image", "was made anew from image"},
	{"limits", MSG_CONTAINER_LIMITS, fill_limits, apply_limits, take_back_limits,
		add_limits_event, NULL, NULL, NULL},
};

static bool is_of_kind(const struct kind *kind, const char *pending, const char **ret_name)
{
	size_t length = strlen(kind->word);

	if (strncmp(pending, kind->word, length) != 0)
		return false;
	pending += length;
	*ret_name = kind->member && *pending == ' ' ? pending + 1 : pending;
	return kind->member ? *pending == ' ' && name_is_valid(*ret_name) : !*pending;
}

static const struct kind *kind_of(const char *pending, const char **ret_name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (is_of_kind(&kinds[i], pending, ret_name))
			return &kinds[i];
	return NULL;
}

bool container_pending_is_valid(const char *pending)
{
	const char *name;

	return !*pending || kind_of(pending, &name);
}

bool container_pending_uses_image(const struct container *c, const char *image)
{
	const char *name;
	const struct kind *kind = kind_of(c->pending, &name);

	return kind && kind->apply == apply_rebuild && !strcmp(name, image);
}

bool container_pending_takes_name(const struct tenant *t, const char *wanted)
{
	struct map_node *node;
	const char *name;

	MAP_FOREACH(node, &t->containers)
	{
		const struct container *c = map_object(node, struct container, by_name);
		const struct kind *kind = kind_of(c->pending, &name);

		if (kind && kind->apply == apply_rename && !strcmp(name, wanted))
			return true;
	}
	return false;
}

/* --- carrying out --- */

static void pending_free(struct pending *p)
{
	container_unref(p->container);
	free(p);
}

/* Lets go of the container, with the answer for whoever waits. */
static void end(struct pending *p, const struct err *err)
{
	struct container *c = p->container;

	c->changing = false;
	c->pending_begun = false;
	if (p->op && err)
		container_op_fail(p->op, err);
	else if (p->op)
		container_op_reply(p->op);
	pending_free(p);
}

static void resume(struct server *server, struct container *c);

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct pending *p = arg;

	(void)fd;
	(void)what;
	/* Without a connection it goes on after the next reconciliation. */
	if (!p->container->gone && link_is_ready(p->server->link))
		resume(p->server, p->container);
	pending_free(p);
}

/* It may have been done or not: whoever asked is told, and it is done again until it is known. */
static void leave_pending(struct pending *p)
{
	static const struct timeval pause = {.tv_sec = RETRY_S};

	log_warning("change-pending tenant=%s container=%s pending=\"%s\" error=\"%s\"",
		p->container->tenant->name, p->container->name, p->container->pending, p->err.msg);
	p->container->pending_begun = false;
	if (p->op) {
		/* Still held: by what is pending, not by the operation. */
		container_op_fail(p->op, &p->err);
		p->container->changing = true;
		p->op = NULL;
	}
	if (!strcmp(p->err.reason, "SUPERVISOR_GONE") ||
		event_base_once(p->server->base, -1, EV_TIMEOUT, on_retry, p, &pause) < 0)
		pending_free(p);
}

static void on_taken_back(void *arg, const struct err *err)
{
	struct pending *p = arg;

	(void)err;
	end(p, &p->err);
}

/* It is not done. Nobody waits where it was to be done again: then an operator is to know. */
static void take_back(struct pending *p)
{
	struct db_tx *tx = db_tx_new_essential();
	struct details d;

	p->container->pending[0] = '\0';
	store_put_container(tx, p->container);
	if (!p->op) {
		details_init(&d);
		details_text(&d, "message", p->err.msg);
		events_add_container(tx, p->container, p->container->run.id,
			"container.limit_unenforced", details_end(&d),
			"the limits of %s/%s are not those on record: %s",
			p->container->tenant->name, p->container->name, p->err.msg);
	}
	db_commit(p->server->db, tx, on_taken_back, p);
}

static void on_committed(void *arg, const struct err *err)
{
	struct pending *p = arg;

	if (!err) {
		log_info("container-changed tenant=%s container=%s", p->container->tenant->name,
			p->container->name);
		snapshot_schedule_wake(p->server);
		p->container->unmovable = false;
		placer_wake(p->server);
		log_quota_enforce(p->server, p->container->tenant);
		if (p->op && !health_equal(&p->op->health_check, &p->container->health_check))
			health_changed(p->server, p->container);
		if (p->op && p->op->upkeep.idle_s != p->container->upkeep.idle_s)
			idle_changed(p->server, p->container);
	} else if (p->kind->take_back) {
		p->kind->take_back(p);
		snprintf(p->container->pending, sizeof(p->container->pending), "%s", p->kind->word);
		p->err = *err;
		leave_pending(p);
		return;
	}
	end(p, err);
}

static void commit(struct pending *p, const char *name)
{
	struct db_tx *tx = db_tx_new_essential();

	store_put_container(tx, p->container);
	p->kind->add_event(p, name, tx);
	if (p->op)
		container_op_store(p->op, tx);
	db_commit(p->server->db, tx, on_committed, p);
}

/* What is to be done to files again is tried until it works: without it they are half of each. */
static bool is_final(const struct pending *p)
{
	if (p->op)
		return true;
	/* Its run has ended meanwhile: the next attempt asks for what a stopped one has. */
	return p->kind->take_back && strcmp(p->err.reason, "CONTAINER_NOT_RUNNING") != 0;
}

static void on_done(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct pending *p = arg;
	char text[sizeof(p->container->pending)];
	const char *name;

	(void)reply;
	link_close_fds(fds, n_fds);
	if (err) {
		p->err = *err;
		if (!link_outcome_is_open(err) && is_final(p))
			take_back(p);
		else
			leave_pending(p);
		return;
	}
	memcpy(text, p->container->pending, sizeof(text));
	kind_of(text, &name);
	memcpy(p->old_name, p->container->name, sizeof(p->old_name));
	if (p->kind->apply(p, name, &p->err) < 0) {
		leave_pending(p);
		return;
	}
	p->container->pending[0] = '\0';
	commit(p, name);
}

static void carry_out(struct pending *p)
{
	union pending_msg msg = {0};
	const char *name;

	p->kind = kind_of(p->container->pending, &name);
	p->kind->fill(p, name, &msg);
	if (link_send(p->server->link, p->kind->msg, &msg, NULL, 0, on_done, p, &p->err) == 0)
		return;
	/* Not sent, so not done; a resumed one waits for the next connection. */
	if (p->op)
		take_back(p);
	else
		leave_pending(p);
}

static void on_marked(void *arg, const struct err *err)
{
	struct pending *p = arg;

	if (!err) {
		carry_out(p);
		return;
	}
	p->container->pending[0] = '\0';
	end(p, err);
}

/* The container is held by op, which answers when it is done. name is "" where there is none. */
static void begin(struct container_op *op, const char *word, const char *name)
{
	struct container *c = op->container;
	struct pending *p = calloc(1, sizeof(*p));
	struct db_tx *tx;
	struct err err;

	if (!p) {
		err_oom(&err);
		container_op_fail(op, &err);
		return;
	}
	p->server = op->server;
	p->op = op;
	p->container = container_ref(c);
	snprintf(c->pending, sizeof(c->pending), "%s%s%s", word, *name ? " " : "", name);
	c->pending_begun = true;
	tx = db_tx_new();
	store_put_container(tx, c);
	db_commit(p->server->db, tx, on_marked, p);
}

static void resume(struct server *server, struct container *c)
{
	struct pending *p;

	if (c->pending_begun || !c->pending[0] || c->condemned)
		return;
	p = calloc(1, sizeof(*p));
	if (!p)
		return;
	c->pending_begun = true;
	p->server = server;
	p->container = container_ref(c);
	carry_out(p);
}

void container_pending_resume_all(struct server *server)
{
	struct container *next;

	for (struct container *c = model_next_container(&server->model, NULL); c; c = next) {
		next = model_next_container(&server->model, c);
		resume(server, c);
	}
}

void container_pending_restore(struct container_op *op, struct snapshot *s)
{
	begin(op, "restore", s->name);
}

void container_pending_rename(struct container_op *op, const char *name)
{
	begin(op, "rename", name);
}

void container_pending_rebuild(struct container_op *op, const char *image)
{
	begin(op, "rebuild", image);
}

void container_pending_update(struct container_op *op)
{
	begin(op, "limits", "");
}

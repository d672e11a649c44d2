/* The model's objects and their look-ups; see model.h. Knows neither disk nor supervisor. */
#include "server/model.h"

#include "base/cleanup.h"
#include "server/abuse.h"
#include "server/abuse_procs.h"
#include "server/cloud_init.h"
#include "server/container_pending.h"
#include "server/health.h"
#include "server/logs.h"
#include "server/plan.h"
#include "server/snapshot.h"
#include "server/volume.h"

#include <event2/event.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>

struct binding {
	struct map_node by_uid;
	char key[16];
	struct tenant *tenant;
};

int waiters_add(struct waiter_list *list, void (*fn)(void *arg, const struct err *err), void *arg,
	struct err *err)
{
	struct waiter *w = malloc(sizeof(*w));

	if (!w)
		return err_oom(err);
	w->fn = fn;
	w->arg = arg;
	TAILQ_INSERT_TAIL(list, w, entry);
	return 0;
}

void waiters_call(struct waiter_list *list, const struct err *err)
{
	struct waiter_list taken = TAILQ_HEAD_INITIALIZER(taken);
	struct waiter *w;

	/* One that is called may wait again, for the next time. */
	TAILQ_CONCAT(&taken, list, entry);
	while ((w = TAILQ_FIRST(&taken))) {
		TAILQ_REMOVE(&taken, w, entry);
		w->fn(w->arg, err);
		free(w);
	}
}

void model_make_uid(char ret[static UID_SIZE])
{
	uint8_t bytes[(UID_SIZE - 1) / 2];

	/* Up to 256 bytes never come short (getrandom(2)). */
	while (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
}

void run_close(struct run *run)
{
	counter_files_close(run->files);
	run->files = NULL;
	stalls_close(run->stalls);
	run->stalls = NULL;
	abuse_procs_close(run->procs);
	run->procs = NULL;
	run->stalled_known = false;
}

struct tenant *tenant_ref(struct tenant *tenant)
{
	tenant->refs++;
	return tenant;
}

void tenant_unref(struct tenant *tenant)
{
	if (!tenant || --tenant->refs)
		return;
	run_close(&tenant->own);
	run_close(&tenant->work);
	volume_remove_all(tenant);
	free(tenant->plan_refusal);
	free(tenant->live);
	abuse_subject_free(tenant->abuse);
	if (tenant->hold_timer)
		event_free(tenant->hold_timer);
	if (tenant->thaw_timer)
		event_free(tenant->thaw_timer);
	free(tenant);
}

struct container *container_ref(struct container *container)
{
	container->refs++;
	return container;
}

void container_unref(struct container *container)
{
	if (!container || --container->refs)
		return;
	run_close(&container->run);
	log_source_close(container->logs);
	health_end(container);
	if (container->stop_timer)
		event_free(container->stop_timer);
	if (container->restart_timer)
		event_free(container->restart_timer);
	for (char **arg = container->init_args; arg && *arg; arg++)
		free(*arg);
	free(container->init_args);
	free(container->early_end);
	free(container->live);
	abuse_subject_free(container->abuse);
	cloud_init_unref(container->cloud_init);
	snapshot_remove_all(container);
	if (container->own)
		image_config_free(container->own->app);
	free(container->own);
	tenant_unref(container->tenant);
	free(container);
}

struct tenant *model_add_tenant(struct model *model, const char *name)
{
	struct tenant *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->refs = 1;
	snprintf(t->name, sizeof(t->name), "%s", name);
	model_make_uid(t->uid);
	limits_init(&t->limits);
	t->traffic_reset_day = 1;
	map_insert(&model->tenants, &t->by_name, t->name);
	return t;
}

struct container *model_add_container(struct tenant *tenant, const char *name)
{
	struct container *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->refs = 1;
	c->tenant = tenant_ref(tenant);
	c->state = CONTAINER_STOPPED;
	snprintf(c->name, sizeof(c->name), "%s", name);
	model_make_uid(c->uid);
	model_make_uid(c->cloud_id);
	limits_init(&c->limits);
	TAILQ_INIT(&c->end_waiters);
	TAILQ_INIT(&c->gone_waiters);
	TAILQ_INIT(&c->move_waiters);
	TAILQ_INIT(&c->idle.waiters);
	map_insert(&tenant->containers, &c->by_name, c->name);
	return c;
}

struct image *model_add_image(struct model *model, const char *name)
{
	struct image *image = calloc(1, sizeof(*image));

	if (!image)
		return NULL;
	snprintf(image->name, sizeof(image->name), "%s", name);
	model_make_uid(image->uid);
	map_insert(&model->images, &image->by_name, image->name);
	return image;
}

struct tenant *model_any_tenant(const struct model *model, const char *name)
{
	struct map_node *node = map_find(&model->tenants, name);

	return node ? map_object(node, struct tenant, by_name) : NULL;
}

struct container *model_any_container(const struct tenant *tenant, const char *name)
{
	struct map_node *node = map_find(&tenant->containers, name);

	return node ? map_object(node, struct container, by_name) : NULL;
}

struct image *model_any_image(const struct model *model, const char *name)
{
	struct map_node *node = map_find(&model->images, name);

	return node ? map_object(node, struct image, by_name) : NULL;
}

int model_no_tenant(const char *name, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "TENANT_NOT_FOUND", "there is no tenant %s", name);
}

int model_find_tenant(
	const struct model *model, const char *resource, struct tenant **ret, struct err *err)
{
	char name[NAME_SIZE];
	struct tenant *t;
	int r = name_parse_resource(resource, name, NULL, err);

	if (r < 0)
		return r;
	t = model_any_tenant(model, name);
	if (!t || !t->visible)
		return model_no_tenant(name, err);
	*ret = t;
	return 0;
}

int model_find_container(
	const struct model *model, const char *resource, struct container **ret, struct err *err)
{
	char tenant[NAME_SIZE];
	char name[NAME_SIZE];
	struct container *c;
	struct tenant *t;
	int r = name_parse_resource(resource, tenant, name, err);

	if (r < 0)
		return r;
	if (!name[0])
		return err_set(err, ERR_INVALID_ARGUMENT, "INVALID_RESOURCE_NAME",
			"\"%.80s\" names a tenant, not a container", resource);
	t = model_any_tenant(model, tenant);
	if (!t || !t->visible)
		return model_no_tenant(tenant, err);
	c = model_any_container(t, name);
	if (!c || !c->visible)
		return err_set(err, ERR_NOT_FOUND, "CONTAINER_NOT_FOUND",
			"there is no container %s/%s", tenant, name);
	*ret = c;
	return 0;
}

struct image_alias *model_add_alias(struct model *model, const char *name)
{
	struct image_alias *alias = calloc(1, sizeof(*alias));

	if (!alias)
		return NULL;
	snprintf(alias->name, sizeof(alias->name), "%s", name);
	map_insert(&model->aliases, &alias->by_name, alias->name);
	return alias;
}

struct image_alias *model_any_alias(const struct model *model, const char *name)
{
	struct map_node *node = map_find(&model->aliases, name);

	return node ? map_object(node, struct image_alias, by_name) : NULL;
}

void image_alias_move(struct image_alias *alias, struct image *image)
{
	if (alias->image)
		alias->image->n_aliases--;
	alias->image = image;
	if (image)
		image->n_aliases++;
}

void model_remove_alias(struct model *model, struct image_alias *alias)
{
	image_alias_move(alias, NULL);
	map_remove(&model->aliases, &alias->by_name);
	free(alias);
}

static struct image *image_of_alias(const struct model *model, const char *name)
{
	const struct image_alias *alias = model_any_alias(model, name);

	return alias ? alias->image : NULL;
}

int model_find_image(
	const struct model *model, const char *resource, struct image **ret, struct err *err)
{
	char name[NAME_SIZE];
	struct image *image;
	int r = name_parse_in("images", resource, name, err);

	if (r < 0)
		return r;
	image = model_any_image(model, name);
	if (!image)
		image = image_of_alias(model, name);
	if (!image || !image->visible)
		return err_set(err, ERR_NOT_FOUND, "IMAGE_NOT_FOUND",
			"there is no image %s; croft image list shows those there are", name);
	*ret = image;
	return 0;
}

static void unbind(struct model *model, struct tenant *tenant, uint32_t uid)
{
	struct binding *b;
	struct map_node *node;
	char key[16];

	snprintf(key, sizeof(key), "%" PRIu32, uid);
	node = map_find(&model->bindings, key);
	if (!node)
		return;
	b = map_object(node, struct binding, by_uid);
	if (b->tenant != tenant)
		return;
	map_remove(&model->bindings, node);
	free(b);
}

void model_remove_tenant(struct model *model, struct tenant *tenant)
{
	for (size_t i = 0; i < tenant->n_uids; i++)
		unbind(model, tenant, tenant->uids[i]);
	tenant->n_uids = 0;
	tenant->gone = true;
	map_remove(&model->tenants, &tenant->by_name);
	tenant_unref(tenant);
}

void model_forward_key(const struct net_forward *ports, char ret[static FORWARD_KEY_SIZE])
{
	char address[NET_TEXT_MAX];

	snprintf(ret, FORWARD_KEY_SIZE, "%s/%05hu/%s",
		ports->protocol == IPPROTO_TCP ? "tcp" : "udp", ports->first,
		ports->listen.size ? net_format(&ports->listen, address) : "*");
}

struct forward *model_add_forward(struct container *c, const struct net_forward *ports)
{
	struct forward *forward = calloc(1, sizeof(*forward));

	if (!forward)
		return NULL;
	forward->container = c;
	forward->ports = *ports;
	model_forward_key(ports, forward->key);
	map_insert(&c->tenant->forwards, &forward->by_key, forward->key);
	return forward;
}

void model_remove_forward(struct forward *forward)
{
	map_remove(&forward->container->tenant->forwards, &forward->by_key);
	free(forward);
}

static void remove_forwards(struct container *c)
{
	struct map_node *next;

	for (struct map_node *node = map_after(&c->tenant->forwards, ""); node; node = next) {
		struct forward *forward = map_object(node, struct forward, by_key);

		next = map_after(&c->tenant->forwards, forward->key);
		if (forward->container == c)
			model_remove_forward(forward);
	}
}

void model_remove_container(struct container *container)
{
	remove_forwards(container);
	container->gone = true;
	map_remove(&container->tenant->containers, &container->by_name);
	container_unref(container);
}

const struct image *container_base(
	const struct model *model, const struct container *container, const char *image)
{
	return *image ? model_any_image(model, image) : container->own;
}

int image_copy_start(struct image *image, const struct image *from, struct err *err)
{
	_cleanup_(wire_writer_finish) struct wire_writer app;

	memcpy(image->init, from->init, sizeof(image->init));
	image->stop_signal = from->stop_signal;
	wire_writer_init(&app, IMAGE_CONFIG_BYTES_MAX);
	if (!from->app)
		return 0;
	image_config_write(from->app, &app);
	return image_config_parse(app.data, app.size, &image->app, err);
}

int container_set_own(struct container *container, const struct image *from, struct err *err)
{
	container->own = calloc(1, sizeof(*container->own));
	if (!container->own)
		return err_oom(err);
	container->own->visible = true;
	return from ? image_copy_start(container->own, from, err) : 0;
}

void model_remove_image(struct model *model, struct image *image)
{
	struct map_node *node = image->n_aliases ? map_after(&model->aliases, "") : NULL;

	while (node) {
		struct image_alias *alias = map_object(node, struct image_alias, by_name);

		node = map_after(&model->aliases, alias->name);
		if (alias->image == image)
			model_remove_alias(model, alias);
	}
	map_remove(&model->images, &image->by_name);
	image_config_free(image->app);
	free(image);
}

struct tenant *model_bound_tenant(const struct model *model, uint32_t uid)
{
	struct map_node *node;
	char key[16];

	snprintf(key, sizeof(key), "%" PRIu32, uid);
	node = map_find(&model->bindings, key);
	return node ? map_object(node, struct binding, by_uid)->tenant : NULL;
}

int model_bind(struct model *model, struct tenant *tenant, uint32_t uid, struct err *err)
{
	struct binding *b;

	if (tenant->n_uids == TENANT_UIDS_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_USERS",
			"%s is bound to %d users already, which is the most", tenant->name,
			TENANT_UIDS_MAX);
	b = malloc(sizeof(*b));
	if (!b)
		return err_oom(err);
	b->tenant = tenant;
	snprintf(b->key, sizeof(b->key), "%" PRIu32, uid);
	map_insert(&model->bindings, &b->by_uid, b->key);
	tenant->uids[tenant->n_uids++] = uid;
	return 0;
}

uint32_t tenant_running_count(const struct tenant *tenant)
{
	struct map_node *node;
	uint32_t n = 0;

	MAP_FOREACH(node, &tenant->containers)
	n += container_state_is_live(map_object(node, struct container, by_name)->state);
	return n;
}

uint32_t tenant_image_users(const struct tenant *tenant, const char *image)
{
	const struct container *c;
	struct map_node *node;
	uint32_t n = 0;

	MAP_FOREACH(node, &tenant->containers)
	{
		c = map_object(node, struct container, by_name);
		n += !strcmp(c->image, image) || container_pending_uses_image(c, image);
	}
	return n;
}

uint32_t model_image_users(const struct model *model, const char *image)
{
	struct map_node *node;
	uint32_t n = 0;

	MAP_FOREACH(node, &model->tenants)
	n += tenant_image_users(map_object(node, struct tenant, by_name), image);
	return n;
}

struct container *model_next_container(const struct model *model, const struct container *prev)
{
	const char *tenant = "";
	struct map_node *node;

	if (prev) {
		node = map_after(&prev->tenant->containers, prev->name);
		if (node)
			return map_object(node, struct container, by_name);
		tenant = prev->tenant->name;
	}
	while ((node = map_after(&model->tenants, tenant))) {
		struct tenant *t = map_object(node, struct tenant, by_name);

		node = map_after(&t->containers, "");
		if (node)
			return map_object(node, struct container, by_name);
		tenant = t->name;
	}
	return NULL;
}

void model_finish(struct model *model)
{
	struct container *c;
	struct map_node *node;

	while ((c = model_next_container(model, NULL))) {
		struct err err;

		err_set(&err, ERR_UNAVAILABLE, "SHUTTING_DOWN", "croftd is shutting down");
		waiters_call(&c->end_waiters, &err);
		waiters_call(&c->gone_waiters, &err);
		waiters_call(&c->move_waiters, &err);
		model_remove_container(c);
	}
	while ((node = map_after(&model->tenants, "")))
		model_remove_tenant(model, map_object(node, struct tenant, by_name));
	while ((node = map_after(&model->aliases, "")))
		model_remove_alias(model, map_object(node, struct image_alias, by_name));
	while ((node = map_after(&model->plans, "")))
		plan_remove(model, map_object(node, struct plan, by_name));
	while ((node = map_after(&model->images, "")))
		model_remove_image(model, map_object(node, struct image, by_name));
}

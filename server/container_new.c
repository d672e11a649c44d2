/* Checking and making a new container; see container_new.h. Nothing is written before all holds. */
#include "server/container_new.h"

#include "server/auth.h"
#include "server/cloud_init.h"
#include "server/container_pending.h"
#include "server/convert.h"
#include "server/cores.h"
#include "server/health.h"
#include "server/held.h"
#include "server/hold.h"
#include "server/init_args.h"
#include "server/network.h"
#include "server/placer.h"
#include "server/snapshot_schedule.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const char default_policy[] = "default";
static const char nesting_policy[] = "nesting";

int container_check_name_free(const struct tenant *t, const char *name, struct err *err)
{
	if (!model_any_container(t, name) && !container_pending_takes_name(t, name))
		return 0;
	return err_set(err, ERR_ALREADY_EXISTS, "CONTAINER_EXISTS",
		"there is a container %s/%s already", t->name, name);
}

static int check_room(const struct tenant *t, const char *name, struct err *err)
{
	uint64_t max = t->limits.value[LIMIT_CONTAINERS];

	if (max == LIMIT_UNSET)
		max = limit_rule(LIMIT_CONTAINERS)->max;
	if (t->deleting)
		return err_set(err, ERR_FAILED_PRECONDITION, "TENANT_DELETING",
			"tenant %s is being deleted", t->name);
	if (container_check_name_free(t, name, err) < 0)
		return -EEXIST;
	if (t->containers.n >= max)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_CONTAINERS",
			"containers",
			"tenant %s has %zu containers, and may have %" PRIu64
			"; delete one, or have the limit raised",
			t->name, t->containers.n, max);
	return 0;
}

/* The limits of the tenant as its containers meet them: cores as those it has. */
static void effective_limits(const struct tenant *t, struct limits *ret)
{
	*ret = t->limits;
	if (cores_empty(t->cpus))
		return;
	memcpy(ret->core_mask, t->cpus, sizeof(ret->core_mask));
	ret->value[LIMIT_CORES] = LIMIT_UNSET;
}

int container_check_limits(const struct tenant *t, const struct limits *limits, struct err *err)
{
	struct limits allowed;

	effective_limits(t, &allowed);
	return limits_check_within(limits, &allowed, err);
}

void container_fit_limits(const struct tenant *t, struct limits *limits)
{
	struct limits allowed;

	effective_limits(t, &allowed);
	limits_fit_within(limits, &allowed);
}

int container_check_nesting(const struct tenant *t, bool nesting, struct err *err)
{
	if (!nesting || t->nesting)
		return 0;
	return err_set(err, ERR_FAILED_PRECONDITION, "NESTING_NOT_ALLOWED",
		"tenant %s may not have containers inside containers; an operator can allow it",
		t->name);
}

struct wanted {
	struct tenant *tenant;
	char image[NAME_SIZE];
	char policy[NAME_SIZE];
	struct limits limits;
	struct snapshot_schedule schedule;
	struct health_check health_check;
	struct upkeep upkeep;
};

static int check_image(
	struct server *server, const char *name, bool own, struct wanted *w, struct err *err)
{
	struct image *image;
	int r;

	if (own && *name)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "IMAGE_NOT_EXPECTED", "image",
			"a container that is imported stands on no image; leave it out");
	if (own)
		return 0;
	r = model_find_image(&server->model, name, &image, err);
	if (r < 0)
		return r;
	if (image->deleting)
		return err_set(err, ERR_FAILED_PRECONDITION, "IMAGE_DELETING",
			"image %s is being deleted", image->name);
	memcpy(w->image, image->name, sizeof(w->image));
	return 0;
}

static int check_request(struct server *server, const Croft__V1__CreateContainerRequest *request,
	bool own, struct wanted *w, struct err *err)
{
	const Croft__V1__Container *c = request->container;
	int r = model_find_tenant(&server->model, request->parent, &w->tenant, err);

	if (r == 0)
		r = hold_check(w->tenant, err);
	if (r == 0)
		r = name_check("container", request->container_id, err);
	if (r == 0 && !c)
		r = err_set_subject(err, ERR_INVALID_ARGUMENT, "FIELD_MISSING", "container",
			"the request has no container");
	if (r == 0)
		r = check_room(w->tenant, request->container_id, err);
	if (r == 0)
		r = check_image(server, c->image, own, w, err);
	if (r < 0)
		return r;
	if (c->nesting)
		memcpy(w->policy, nesting_policy, sizeof(nesting_policy));
	else
		memcpy(w->policy, default_policy, sizeof(default_policy));
	if (c->policy[0])
		r = name_parse_in("policies", c->policy, w->policy, err);
	if (r == 0)
		r = container_check_nesting(w->tenant, c->nesting, err);
	if (r == 0)
		r = convert_limits_back(c->limits, false, &w->limits, err);
	if (r == 0)
		r = snapshot_schedule_read(
			c->snapshot_schedule, clock_wall_usec(), &w->schedule, err);
	if (r == 0)
		r = health_read(c->health_check, c->ephemeral, &w->health_check, err);
	if (r == 0)
		r = convert_upkeep_back(c, UPKEEP_ALL, c->ephemeral, &w->upkeep, err);
	if (r < 0)
		return r;
	return container_check_limits(w->tenant, &w->limits, err);
}

static int make(struct server *server, const struct grpc_peer *peer,
	const Croft__V1__CreateContainerRequest *request, bool own, struct container **ret,
	struct err *err)
{
	const Croft__V1__Container *from = request->container;
	char **init_args = NULL;
	struct container *c;
	struct wanted w = {0};
	int r = check_request(server, request, own, &w, err);

	if (r == 0 && peer)
		r = auth_check_io_limits(peer, NULL, &w.limits, err);
	if (r == 0)
		r = init_args_copy(from->init_args, from->n_init_args, &init_args, err);
	if (r < 0)
		return r;
	c = model_add_container(w.tenant, request->container_id);
	if (!c) {
		init_args_free(init_args);
		return err_oom(err);
	}
	memcpy(c->image, w.image, sizeof(c->image));
	memcpy(c->policy, w.policy, sizeof(c->policy));
	c->limits = w.limits;
	c->upkeep = w.upkeep;
	c->init_args = init_args;
	c->with_init = from->with_init;
	c->ephemeral = from->ephemeral;
	c->no_network = from->no_network;
	c->oom_group = from->oom_group;
	c->nesting = from->nesting;
	c->created_wall_usec = clock_wall_usec();
	held_begin(&c->held);
	c->schedule = w.schedule;
	c->health_check = w.health_check;
	r = cloud_init_change(
		w.tenant, c, NULL, from->cloud_init, CLOUD_INIT_ALL, &c->cloud_init, err);
	if (r == 0)
		r = cores_resolve_container(&server->model, placer_cpus(server), w.tenant->cpus, c,
			&c->limits, c->cpus, err);
	if (r == 0)
		r = network_place(server, c, err);
	if (r < 0) {
		model_remove_container(c);
		return r;
	}
	*ret = c;
	return 0;
}

int container_new(struct server *server, const struct grpc_peer *peer,
	const Croft__V1__CreateContainerRequest *request, struct container **ret, struct err *err)
{
	return make(server, peer, request, false, ret, err);
}

int container_new_own(struct server *server, const struct grpc_peer *peer,
	const Croft__V1__CreateContainerRequest *request, const struct image *own,
	struct container **ret, struct err *err)
{
	struct container *c;
	int r = make(server, peer, request, true, &c, err);

	if (r < 0)
		return r;
	r = container_set_own(c, own, err);
	if (r < 0) {
		model_remove_container(c);
		return r;
	}
	*ret = c;
	return 0;
}

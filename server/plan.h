/*
 * Plans: named bundles of limits. A tenant has its plan's limits, but for those that are its own.
 *
 * Plans live in struct model. The plan `default` is always there: store_load() makes it on the
 * first start from the table of base/limits.c.
 */
#pragma once

#include "server/model.h"

#define PLAN_DEFAULT "default"
#define PLANS_MAX    1024

struct plan {
	struct map_node by_name;
	bool visible;	/* its creation is committed */
	bool changing;	/* a change of it, its roll-out or its deletion is under way */
	unsigned holds; /* changes under way that put a tenant on it */
	char name[NAME_SIZE];
	char uid[UID_SIZE];
	struct limits limits;
	int64_t created_wall_usec;
};

/* Adds one that is not visible yet. NULL when out of memory. The name must be free. */
struct plan *plan_add(struct model *model, const char *name);
/* Takes it out and frees it. */
void plan_remove(struct model *model, struct plan *plan);

/* By name, whether visible or not. NULL when there is none. */
struct plan *plan_any(const struct model *model, const char *name);
/* A visible one by a name that a client gave ("" is PLAN_DEFAULT). NOT_FOUND / PLAN_NOT_FOUND. */
int plan_find(const struct model *model, const char *name, struct plan **ret, struct err *err);
/* The same by its resource name, "plans/{plan}". */
int plan_find_resource(
	const struct model *model, const char *resource, struct plan **ret, struct err *err);

/* ABORTED / PLAN_BUSY while it is being changed: nobody can come to it then. */
int plan_check_free(const struct plan *plan, struct err *err);

/* How many tenants are on it. */
uint32_t plan_tenant_count(const struct model *model, const struct plan *plan);

/*
 * The limits of a tenant on a plan: those of `present` whose bit (1 << limit_id) is in `own`, and
 * the plan's for all others. A core list belongs to LIMIT_CORES.
 */
void plan_apply(
	const struct limits *plan, const struct limits *present, uint32_t own, struct limits *ret);

/* True when the tenant's limits are not what its plan, which this is, says. */
bool plan_is_ahead_of(const struct plan *plan, const struct tenant *tenant);

/* A tenant on this plan whose limits are not what it says, after `after` in order of names; NULL
 * when there are no more. */
struct tenant *plan_next_behind(
	const struct model *model, const struct plan *plan, const char *after);

/* One change of a tenant on its way; what the tenant handlers have in common. */
#pragma once

#include "server/mutation.h"

struct plan;

struct tenant_op {
	struct mutation *mutation; /* NULL: asked for by croftd itself, and `done` is told */
	void (*done)(void *arg, const struct err *err);
	void *arg;
	struct server *server;
	struct tenant *tenant; /* a reference */
	/* What it is to become. */
	struct limits limits;
	uint64_t cpus[LIMITS_CPU_WORDS];
	char account_ref[ACCOUNT_REF_MAX + 1];
	char plan[NAME_SIZE];
	uint32_t own_limits;
	struct plan *plan_held; /* the plan it comes to; held */
	bool disk_unenforced;
	bool nesting;
	uint32_t traffic_reset_day;
	enum hold_type hold_type; /* tenant_hold.c */
	struct hold hold;	  /* as it was */
	bool first_hold;	  /* or the last, that is being lifted */
	bool unfrozen;		  /* it could not be frozen */
	bool force;
	uint32_t uid;
	size_t waiting;	  /* for containers to be gone */
	unsigned tries;	  /* at ending what is under way */
	uint64_t own_run; /* tenant_delete.c: the rows that are being ended; 0: none */
	uint64_t work_run;
	bool failed;
	struct err err;
};

/* Makes one that marks the tenant as changing (ABORTED when it is already). NULL: answered. */
struct tenant_op *tenant_op_begin(struct mutation *mutation, struct tenant *tenant);
/* The same without a request: done is called once, from here too when this returns NULL. */
struct tenant_op *tenant_op_begin_own(struct server *server, struct tenant *tenant,
	void (*done)(void *arg, const struct err *err), void *arg);
/* The tenant is to come to this plan, which so stays until the operation ends. */
void tenant_op_hold_plan(struct tenant_op *op, struct plan *plan);
/* Ends it with the tenant as it is now, or with an error; frees it. */
void tenant_op_reply(struct tenant_op *op);
void tenant_op_fail(struct tenant_op *op, const struct err *err);
/* Frees it, the mutation having been ended. */
void tenant_op_free(struct tenant_op *op);

/* Starts from what the tenant has: limits, their ownership, plan, account. */
void tenant_op_copy(struct tenant_op *op);

/* Commits tx with the stored reply `tenant as it is now`. */
void tenant_op_commit(struct tenant_op *op, struct db_tx *tx, db_done_fn done);

/* What deletes a tenant: svc_tenants' DeleteTenant. */
void tenant_delete(struct tenant_op *op);

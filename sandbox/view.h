/*
 * What containers see of their limits in /proc and /sys: which tenant has an lxcfs (view_program.h)
 * and what becomes of containers when one ends.
 *
 *             a start            started             it ends, and containers are left
 *   (none) ----------> STARTING ---------> UP ------------------------------> DOWN
 *     ^                    ^                | no container for a while         | after a pause
 *     +--------------------|----------------+                                  |
 *                          +---------------------------------------------------+
 *
 * A container is started with the files of its tenant's lxcfs, and with the kernel's own where
 * there is none: that is never a reason not to start. When lxcfs ends, another is started, and its
 * files are laid over the old ones in every container of the tenant.
 */
#pragma once

#include "base/err.h"
#include "sandbox/protocol.h"

#include <stdbool.h>
#include <sys/types.h>

struct container;
struct supervisor;
struct task;

/* Whether lxcfs is used on this host. */
enum view_kind view_kind_of(const struct supervisor *s);

/* Starts the task, which starts a container, once its tenant has an lxcfs or can have none. */
void view_start_task(struct supervisor *s, struct task *task);

/*
 * A container has started that was given the files of the lxcfs with that pid (0: of none): where
 * the tenant has another one by now, its files are laid over them.
 */
void view_check(struct supervisor *s, const struct container *c, pid_t given);

/* True for the pid of an lxcfs that is our child. */
bool view_has_pid(const struct supervisor *s, pid_t pid);

/* At the supervisor's start, before runs are adopted: finds those that still live. */
void view_adopt(struct supervisor *s);
/* True when this cgroup below CGROUP_VIEWS belongs to one of them. */
bool view_is_adopted(const struct supervisor *s, const char *tenant);
/* After runs were adopted: starts one for each tenant that lacks it. */
void view_adopted(struct supervisor *s);

/* A job for a view, counted in s->view_jobs, has ended. */
void view_job_ended(struct supervisor *s);
/* Starts the task that leaves the host when no such job is left. s->shutting_down is set. */
void view_last_task(struct supervisor *s, struct task *task);

/* In a worker: ends and removes a tenant's, and every tenant's. */
int view_end(struct supervisor *s, const char *tenant, struct err *err);
int view_end_all(struct supervisor *s, struct err *err);

/* Lets go of all; they run on. */
void view_forget_all(struct supervisor *s);

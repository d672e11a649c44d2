/* Where work on a tenant's behalf outside its containers runs, and is billed: its leaf _croft. */
#pragma once

#include "sandbox/cgroup.h"

/* Makes it, as long as it is empty: so that whoever counts finds it. Idempotent. */
int tenant_leaf_make(struct cgroup_root *cgroups, const char *tenant, struct err *err);
/*
 * Moves the calling worker into the tenant's leaf, which is made. Not when the tenant is frozen:
 * the worker would stop as well.
 */
int tenant_leaf_enter(struct cgroup_root *cgroups, const char *tenant, struct err *err);

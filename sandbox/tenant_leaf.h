/* Where work on a tenant's behalf outside its containers runs, and is billed: its leaf _croft. */
#pragma once

#include "sandbox/cgroup.h"

/*
 * Moves the calling worker into the tenant's leaf, which is made. Not when the tenant is frozen:
 * the worker would stop as well.
 */
int tenant_leaf_enter(struct cgroup_root *cgroups, const char *tenant, struct err *err);

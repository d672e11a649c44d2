/* Carrying out a change of a tenant's limits; see tenant_change.c. */
#pragma once

#include "server/tenant_op.h"

/*
 * Gives the tenant what the operation holds (limits and whose they are, plan, account): in the
 * kernel, then in the database. Ends the operation, with the tenant as it was on failure.
 */
void tenant_change(struct tenant_op *op);

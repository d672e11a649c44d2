/* What usage is of, as the command line names it. */
#pragma once

#include "cli/cli.h"

/*
 * Reads TENANT, TENANT/NAME or TENANT/UID, as records have it in resource_uid: what is gone may
 * share its name with others. *ret_uid points into arg, or is "". Returns 0 or a usage error.
 */
int usage_resource_read(
	const char *arg, char name[static RESOURCE_SIZE], const char **ret_uid, struct err *err);

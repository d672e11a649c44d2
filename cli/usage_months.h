/* croft usage show --months N: what the records of calendar months (UTC) add up to. */
#pragma once

#include "cli/cli.h"

#define USAGE_MONTHS_MAX 12

/* Prints this month's sums of a resource and those of the n - 1 before. Returns 0 or -errno. */
int usage_months_show(struct cli *cli, char *name, unsigned n, struct err *err);

/* net_shape.h as a command, in the network namespace it is run in: see test_net_shape.py. */
#include "base/net_plan.h"
#include "sandbox/net_shape.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* LETTERS sweep | LETTERS set NUMBER SLOT IN OUT */
int main(int argc, char **argv)
{
	struct net_plan plan;
	struct net_rates rates;
	struct err err = {0};
	int r = -EINVAL;

	net_plan_init(&plan);
	if (argc < 3 || !net_prefix_name_is_valid(argv[1]) ||
		net_parse_pool("10.80.0.0/12", &plan.ipv4.base) < 0)
		return 2;
	snprintf(plan.prefix_name, sizeof(plan.prefix_name), "%s", argv[1]);
	if (argc == 3 && !strcmp(argv[2], "sweep")) {
		r = net_shape_sweep(&plan, &err);
	} else if (argc == 7 && !strcmp(argv[2], "set")) {
		rates.in = strtoull(argv[5], NULL, 10);
		rates.out = strtoull(argv[6], NULL, 10);
		r = net_shape_set(&plan, (uint32_t)strtoul(argv[3], NULL, 10),
			(uint32_t)strtoul(argv[4], NULL, 10), &rates, &err);
	}
	if (r < 0)
		fprintf(stderr, "%s\n", err.msg);
	return r < 0 ? 1 : 0;
}

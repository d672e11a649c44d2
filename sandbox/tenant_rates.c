/* Tenants' limits of rates; see tenant_rates.h. The loop only remembers; workers change links. */
#include "sandbox/tenant_rates.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tenant_rates {
	struct tenant_rates *next;
	char tenant[NAME_SIZE];
	struct net_rates rates;
};

static struct tenant_rates **find(struct supervisor *s, const char *tenant)
{
	struct tenant_rates **at = &s->tenant_rates;

	while (*at && strcmp((*at)->tenant, tenant) != 0)
		at = &(*at)->next;
	return at;
}

int tenant_rates_note(
	struct supervisor *s, const char *tenant, const struct net_rates *rates, struct err *err)
{
	struct tenant_rates **at = find(s, tenant);

	if (!rates->in && !rates->out) {
		tenant_rates_forget(s, tenant);
		return 0;
	}
	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (!*at)
			return err_oom(err);
		snprintf((*at)->tenant, sizeof((*at)->tenant), "%s", tenant);
	}
	(*at)->rates = *rates;
	return 0;
}

struct net_rates tenant_rates_of(const struct supervisor *s, const char *tenant)
{
	for (const struct tenant_rates *t = s->tenant_rates; t; t = t->next)
		if (!strcmp(t->tenant, tenant))
			return t->rates;
	return (struct net_rates){0};
}

void tenant_rates_forget(struct supervisor *s, const char *tenant)
{
	struct tenant_rates **at = find(s, tenant);
	struct tenant_rates *gone = *at;

	if (!gone)
		return;
	*at = gone->next;
	free(gone);
}

void tenant_rates_forget_all(struct supervisor *s)
{
	while (s->tenant_rates)
		tenant_rates_forget(s, s->tenant_rates->tenant);
}

struct correction {
	struct supervisor *s;
	char tenant[NAME_SIZE];
	uint32_t number;
	struct net_rates rates;
};

static int correct(void *arg, struct job_output *out, struct err *err)
{
	struct correction *c = arg;
	struct net_owner owner = supervisor_net_owner(c->s);

	(void)out;
	return net_bridge_limit(&owner, &c->s->net_plan, c->tenant, c->number, &c->rates, err);
}

static void corrected(void *arg, struct job_result *result)
{
	struct correction *c = arg;
	struct net_rates given = c->rates;

	if (result->r < 0)
		log_error("rates not limited tenant=%s error=\"%s\"", c->tenant, result->err.msg);
	else
		tenant_rates_check(c->s, c->tenant, c->number, &given);
	free(c);
}

void tenant_rates_check(
	struct supervisor *s, const char *tenant, uint32_t number, const struct net_rates *given)
{
	struct net_rates now = tenant_rates_of(s, tenant);
	struct job_options options = {.fn = correct, .done = corrected, .into_cgroup_fd = -1};
	struct correction *c;
	struct err err;

	if (!number || (now.in == given->in && now.out == given->out))
		return;
	c = calloc(1, sizeof(*c));
	if (!c) {
		log_error("rates not limited tenant=%s error=\"out of memory\"", tenant);
		return;
	}
	*c = (struct correction){.s = s, .number = number, .rates = now};
	snprintf(c->tenant, sizeof(c->tenant), "%s", tenant);
	options.arg = c;
	if (job_start(s->jobs, &options, &err) < 0) {
		log_error("rates not limited tenant=%s error=\"%s\"", tenant, err.msg);
		free(c);
	}
}

/* Limits on tenants' output; see log_quota.h. Never touches a file: log_writer.h does. */
#include "server/log_quota.h"

#include "server/config.h"
#include "server/logs.h"

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t log_quota_bytes(const struct server *server, const struct container *c)
{
	uint64_t own = c->limits.value[LIMIT_LOG];
	uint64_t tenant = c->tenant->limits.value[LIMIT_LOG];

	if (own == LIMIT_UNSET)
		own = server->config->log_size_bytes;
	if (tenant == LIMIT_UNSET || !c->tenant->containers.n)
		return own;
	return least(own, tenant / c->tenant->containers.n);
}

static void trim(struct server *server, struct container *c)
{
	uint64_t max = log_quota_bytes(server, c);

	if (c->log_bytes > max && !c->log_trimming && !c->gone && !server->shutting_down)
		logs_trim(server, c, max);
}

void log_quota_enforce(struct server *server, struct tenant *t)
{
	struct map_node *node;

	MAP_FOREACH(node, &t->containers)
	trim(server, map_object(node, struct container, by_name));
}

void log_quota_kept(struct server *server, struct container *c, uint64_t bytes)
{
	struct tenant *t = c->tenant;

	/* What a deleted container keeps is deleted. */
	if (c->gone)
		bytes = 0;
	t->log_bytes += bytes - c->log_bytes;
	c->log_bytes = bytes;
	trim(server, c);
	/* Another one holds more than its share, which grows smaller with each new container. */
	if (t->log_bytes > t->limits.value[LIMIT_LOG])
		log_quota_enforce(server, t);
}

unsigned log_quota_pay(struct tenant *t, size_t bytes)
{
	uint64_t now = clock_boot_usec();

	if (t->log_paid_usec < now)
		t->log_paid_usec = now;
	t->log_paid_usec += bytes * UINT64_C(1000000) / LOG_TENANT_RATE;
	return (unsigned)((t->log_paid_usec - now) / 1000);
}

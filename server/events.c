/* Adding events to transactions; see events.h. */
#include "server/events.h"

#include "base/cleanup.h"
#include "server/details.h"
#include "server/grpc_utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_SIZE 512

/*
 * Tenants do not get at what operators did to them: that is in a share of the record of its own
 * (`tenant_uid!`), which no amount of the other events of a tenant pushes out.
 */
static bool is_of_operators(const char *type)
{
	static const char *const others[] = {"tenant.disk_full", "tenant.memory_at_limit",
		"tenant.memory_relieved", "tenant.cpu_throttled", "tenant.cpu_unthrottled",
		"tenant.pids_denied"};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (!strcmp(type, others[i]))
			return false;
	return !strncmp(type, "tenant.", 7);
}

/*
 * The number is taken inside the transaction: one that is rolled back leaves no hole. The highest
 * is never dropped (event_retention.c), so that none is given twice.
 */
static void add(struct db_tx *tx, const struct tenant *tenant, const char *resource,
	const char *run_id, const char *type, const char *details, const char *for_operators,
	const char *fmt, va_list ap)
{
	char message[MESSAGE_SIZE];

	vsnprintf(message, sizeof(message), fmt, ap);
	grpc_utf8_repair(message);
	db_tx_write(tx,
		"INSERT INTO events (number, wall, type, tenant_uid, tenant, resource, run_id,"
		" message, details, actor, by_operator, lane,"
		" operator_details)"
		" VALUES ((SELECT coalesce(max(number), 0) + 1 FROM events),"
		" ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?3 || iif(?3 <> '' AND (?10 OR ?11), "
		"'!', ''), ?12)",
		"isssssssaods", clock_wall_usec(), type, tenant ? tenant->uid : "",
		tenant ? tenant->name : "", resource, run_id, message, details,
		(int)is_of_operators(type), for_operators);
}

void events_add_tenant(struct db_tx *tx, const struct tenant *tenant, const char *type,
	const char *details, const char *fmt, ...)
{
	char resource[RESOURCE_SIZE];
	va_list ap;

	snprintf(resource, sizeof(resource), "tenants/%s", tenant->name);
	va_start(ap, fmt);
	add(tx, tenant, resource, "", type, details, "", fmt, ap);
	va_end(ap);
}

void events_add_tenant_own(struct db_tx *tx, const struct tenant *tenant, const char *type,
	const char *details, const char *own, const char *fmt, ...)
{
	char resource[RESOURCE_SIZE];
	va_list ap;

	snprintf(resource, sizeof(resource), "tenants/%s", tenant->name);
	va_start(ap, fmt);
	add(tx, tenant, resource, "", type, own, details, fmt, ap);
	va_end(ap);
}

void events_add_container(struct db_tx *tx, const struct container *container, const char *run_id,
	const char *type, const char *details, const char *fmt, ...)
{
	char resource[RESOURCE_SIZE];
	va_list ap;

	snprintf(resource, sizeof(resource), "tenants/%s/containers/%s", container->tenant->name,
		container->name);
	va_start(ap, fmt);
	add(tx, container->tenant, resource, run_id, type, details, "", fmt, ap);
	va_end(ap);
}

void events_add_container_own(struct db_tx *tx, const struct container *container, const char *type,
	const char *details, const char *own, const char *fmt, ...)
{
	char resource[RESOURCE_SIZE];
	va_list ap;

	snprintf(resource, sizeof(resource), "tenants/%s/containers/%s", container->tenant->name,
		container->name);
	va_start(ap, fmt);
	add(tx, container->tenant, resource, container->run.id, type, own, details, fmt, ap);
	va_end(ap);
}

void events_add_created(struct db_tx *tx, const struct container *c)
{
	struct details d;

	details_init(&d);
	details_text(&d, "uid", c->uid);
	details_text(&d, "image", c->image);
	details_text(&d, "policy", c->policy);
	details_bool(&d, "ephemeral", c->ephemeral);
	details_bool(&d, "nesting", c->nesting);
	details_open(&d, "limits");
	details_limits(&d, &c->limits);
	events_add_container(tx, c, "", "container.created", details_end(&d), "%s/%s was made%s%s",
		c->tenant->name, c->name, *c->image ? " from image " : "", c->image);
}

void events_add_deleted(struct db_tx *tx, const struct container *c)
{
	struct details d;

	details_init(&d);
	details_text(&d, "uid", c->uid);
	details_bool(&d, "ephemeral", c->ephemeral);
	events_add_container(tx, c, "", "container.deleted", details_end(&d), "%s/%s was deleted",
		c->tenant->name, c->name);
}

void events_add_started(struct db_tx *tx, const struct container *c)
{
	struct details d;

	details_init(&d);
	details_int(&d, "host_pid", c->run.pid);
	details_number(&d, "id_base", c->run.id_base);
	events_add_container(tx, c, c->run.id, "container.started", details_end(&d),
		"%s/%s was started", c->tenant->name, c->name);
}

static void describe(struct details *d, const struct err *why)
{
	details_init(d);
	details_text(d, "code", err_code_name((enum err_code)why->code));
	details_text(d, "reason", why->reason);
	details_text(d, "message", why->msg);
}

void events_add_start_failed(
	struct db_tx *tx, const struct container *c, const char *run_id, const struct err *why)
{
	struct details d;

	describe(&d, why);
	events_add_container(tx, c, run_id, "container.start_failed", details_end(&d),
		"%s/%s was not started: %s", c->tenant->name, c->name, why->msg);
}

void events_add_create_failed(struct db_tx *tx, const struct container *c, const struct err *why)
{
	struct details d;

	describe(&d, why);
	events_add_container(tx, c, "", "container.create_failed", details_end(&d),
		"%s/%s was not made: %s", c->tenant->name, c->name, why->msg);
}

void events_add_image(struct db_tx *tx, const struct image *image, const char *type,
	const char *details, const char *fmt, ...)
{
	char resource[RESOURCE_SIZE];
	va_list ap;

	snprintf(resource, sizeof(resource), "images/%s", image->name);
	va_start(ap, fmt);
	add(tx, NULL, resource, "", type, details, "", fmt, ap);
	va_end(ap);
}

void events_add_host(struct db_tx *tx, const char *type, const char *details, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(tx, NULL, "host", "", type, details, "", fmt, ap);
	va_end(ap);
}

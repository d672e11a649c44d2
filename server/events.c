/* Adding events to transactions; see events.h. */
#include "server/events.h"

#include <stdarg.h>
#include <stdio.h>

#define MESSAGE_SIZE 512

/* The number is taken inside the transaction: one that is rolled back leaves no hole. */
static void add(struct db_tx *tx, const struct tenant *tenant, const char *resource,
	const char *run_id, const char *type, const char *details, const char *fmt, va_list ap)
{
	char message[MESSAGE_SIZE];

	vsnprintf(message, sizeof(message), fmt, ap);
	db_tx_write(tx,
		"INSERT INTO events (number, wall, type, tenant_uid, tenant, resource, run_id,"
		" message, details) VALUES ((SELECT coalesce(max(number), 0) + 1 FROM events),"
		" ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
		"isssssss", clock_wall_usec(), type, tenant ? tenant->uid : "",
		tenant ? tenant->name : "", resource, run_id, message, details);
}

void events_add_tenant(struct db_tx *tx, const struct tenant *tenant, const char *type,
	const char *details, const char *fmt, ...)
{
	char resource[RESOURCE_SIZE];
	va_list ap;

	snprintf(resource, sizeof(resource), "tenants/%s", tenant->name);
	va_start(ap, fmt);
	add(tx, tenant, resource, "", type, details, fmt, ap);
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
	add(tx, container->tenant, resource, run_id, type, details, fmt, ap);
	va_end(ap);
}

void events_add_image(struct db_tx *tx, const struct image *image, const char *type,
	const char *details, const char *fmt, ...)
{
	char resource[RESOURCE_SIZE];
	va_list ap;

	snprintf(resource, sizeof(resource), "images/%s", image->name);
	va_start(ap, fmt);
	add(tx, NULL, resource, "", type, details, fmt, ap);
	va_end(ap);
}

void events_add_host(struct db_tx *tx, const char *type, const char *details, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(tx, NULL, "", "", type, details, fmt, ap);
	va_end(ap);
}

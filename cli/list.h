/* Lists: every page of a List method, as rows. */
#pragma once

#include "cli/cli.h"
#include "croft/v1/tenants.pb-c.h"

/*
 * Adds the messages of every page to an output. The request's page_size and page_token are filled
 * here; it and the reply have the fields that AIP-158 names, the reply's items being its field 1.
 * Returns 0 or -errno.
 */
int list_add(struct cli *cli, const ProtobufCServiceDescriptor *service, const char *method,
	ProtobufCMessage *request, struct output *output, struct err *err);

/* list_add() to an output of its own, which it prints. Returns 0 or -errno. */
int list_print(struct cli *cli, const ProtobufCServiceDescriptor *service, const char *method,
	ProtobufCMessage *request, const struct column *columns, struct err *err);

/* Adds what belongs to a tenant ("tenants/acme") to an output. Returns 0 or -errno. */
typedef int (*list_tenant_fn)(
	struct cli *cli, const char *tenant, struct output *output, struct err *err);

/* Calls for each tenant that the caller may see. Returns 0, or -errno, as `each` may do. */
typedef int (*list_each_tenant_fn)(void *arg, const Croft__V1__Tenant *tenant, struct err *err);
int list_each_tenant(struct cli *cli, list_each_tenant_fn each, void *arg, struct err *err);

/* Adds what belongs to each tenant that the caller may see. Returns 0 or -errno. */
int list_add_tenants(struct cli *cli, list_tenant_fn add, struct output *output, struct err *err);

/* Prints what belongs to the tenant that argument 0 names, or without one to each. Likewise. */
int list_print_tenants(
	struct cli *cli, const struct column *columns, list_tenant_fn add, struct err *err);

#define LIST_TOKEN_MAX 512
/*
 * Takes over a list's next_page_token ("" at its end). A token that is too long, or the same as
 * before, is an error: the list would never end. Returns 0 or -errno.
 */
int list_next_page(const char *next, char token[static LIST_TOKEN_MAX], struct err *err);

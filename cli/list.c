/*
 * Pages of a list; see list.h. Knows no message but by its descriptor. Must never follow a list
 * that does not end.
 */
#include "cli/list.h"

#include "croft/v1/tenants.pb-c.h"

#include <string.h>

#define PAGE_SIZE 500

static void *field(ProtobufCMessage *message, const char *name)
{
	return (char *)message +
	       protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name)->offset;
}

static int add_page(struct output *output, const ProtobufCMessage *reply, struct err *err)
{
	const ProtobufCFieldDescriptor *items = protobuf_c_message_descriptor_get_field(
		reply->descriptor, 1);
	size_t n = message_count(reply, items);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct message_value item = message_get(reply, items, i);

		r = output_add(output, message_sub(&item), err);
	}
	return r;
}

int list_next_page(const char *next, char token[static LIST_TOKEN_MAX], struct err *err)
{
	if (strlen(next) >= LIST_TOKEN_MAX || (*next && !strcmp(next, token)))
		return err_set(err, ERR_INTERNAL, "PAGE_TOKEN_INVALID",
			"the server's list does not end; look at croftd's log");
	snprintf(token, LIST_TOKEN_MAX, "%s", next);
	return 0;
}

int list_add(struct cli *cli, const ProtobufCServiceDescriptor *service, const char *method,
	ProtobufCMessage *request, struct output *output, struct err *err)
{
	char token[LIST_TOKEN_MAX] = "";
	int r;

	*(int32_t *)field(request, "page_size") = PAGE_SIZE;
	*(char **)field(request, "page_token") = token;
	do {
		_cleanup_message_ ProtobufCMessage *reply = NULL;
		struct message_value next;

		r = cli_call(cli, service, method, request, &reply, err);
		if (r == 0)
			r = add_page(output, reply, err);
		if (r == 0)
			r = list_next_page(message_find(reply, "next_page_token", &next)
						   ? message_string(&next)
						   : "",
				token, err);
	} while (r == 0 && *token);
	return r;
}

int list_print(struct cli *cli, const ProtobufCServiceDescriptor *service, const char *method,
	ProtobufCMessage *request, const struct column *columns, struct err *err)
{
	_cleanup_output_ struct output *output = NULL;
	int r = output_create(cli->format, columns, stdout, &output, err);

	if (r == 0)
		r = list_add(cli, service, method, request, output, err);
	return r < 0 ? r : output_end(output, err);
}

int list_each_tenant(struct cli *cli, list_each_tenant_fn each, void *arg, struct err *err)
{
	Croft__V1__ListTenantsRequest request = CROFT__V1__LIST_TENANTS_REQUEST__INIT;
	char token[LIST_TOKEN_MAX] = "";
	int r;

	request.page_token = token;
	do {
		_cleanup_message_ ProtobufCMessage *reply = NULL;
		const Croft__V1__ListTenantsResponse *page;

		r = cli_call(cli, &croft__v1__tenants__descriptor, "ListTenants", &request.base,
			&reply, err);
		page = (const void *)reply;
		for (size_t i = 0; r == 0 && i < page->n_tenants; i++)
			r = each(arg, page->tenants[i], err);
		if (r == 0)
			r = list_next_page(page->next_page_token, token, err);
	} while (r == 0 && *token);
	return r;
}

struct adding {
	struct cli *cli;
	list_tenant_fn add;
	struct output *output;
};

static int add_tenant(void *arg, const Croft__V1__Tenant *tenant, struct err *err)
{
	const struct adding *a = arg;

	return a->add(a->cli, tenant->name, a->output, err);
}

int list_add_tenants(struct cli *cli, list_tenant_fn add, struct output *output, struct err *err)
{
	struct adding adding = {cli, add, output};

	return list_each_tenant(cli, add_tenant, &adding, err);
}

int list_print_tenants(
	struct cli *cli, const struct column *columns, list_tenant_fn add, struct err *err)
{
	_cleanup_output_ struct output *output = NULL;
	char tenant[RESOURCE_SIZE];
	const char *name = cli_arg(cli, 0);
	int r = name ? cli_tenant_name(name, tenant, err) : 0;

	if (r == 0)
		r = output_create(cli->format, columns, stdout, &output, err);
	if (r == 0)
		r = name ? add(cli, tenant, output, err) : list_add_tenants(cli, add, output, err);
	return r < 0 ? r : output_end(output, err);
}

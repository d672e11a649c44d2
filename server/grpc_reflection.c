/*
 * grpc.reflection.v1 and v1alpha (grpc/doc/server-reflection.md), answered from the descriptors the
 * server was built with: what can be asked, never what is there. Both versions are one protocol on
 * the wire, and the method table gives v1alpha's methods v1's messages.
 */
#include "base/cleanup.h"
#include "server/grpc_internal.h"

#include <grpc/reflection/v1/reflection.pb-c.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST	 Grpc__Reflection__V1__ServerReflectionRequest
#define RESPONSE Grpc__Reflection__V1__ServerReflectionResponse

static void send_error(
	struct grpc_call *call, RESPONSE *response, enum err_code code, const char *text)
{
	Grpc__Reflection__V1__ErrorResponse error = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;

	error.error_code = (int32_t)code;
	error.error_message = (char *)text;
	response->message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
	response->error_response = &error;
	grpc_send(call, &response->base);
}

static void send_file(struct grpc_call *call, RESPONSE *response, const struct grpc_file *file)
{
	Grpc__Reflection__V1__FileDescriptorResponse files =
		GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
	ProtobufCBinaryData data;

	if (!file) {
		send_error(call, response, ERR_NOT_FOUND, "there is no such file or symbol here");
		return;
	}
	data = (ProtobufCBinaryData){.len = file->size, .data = (uint8_t *)file->data};
	files.n_file_descriptor_proto = 1;
	files.file_descriptor_proto = &data;
	response->message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
	response->file_descriptor_response = &files;
	grpc_send(call, &response->base);
}

static const struct grpc_file *find_file(const char *name)
{
	for (size_t i = 0; i < grpc_n_files; i++) {
		if (strcmp(grpc_files[i].name, name) == 0)
			return &grpc_files[i];
	}
	return NULL;
}

static int compare_symbol(const void *key, const void *row)
{
	return strcmp(key, ((const struct grpc_symbol *)row)->name);
}

static const struct grpc_file *find_symbol(const char *name)
{
	const struct grpc_symbol *symbol = bsearch(
		name, grpc_symbols, grpc_n_symbols, sizeof(*grpc_symbols), compare_symbol);

	return symbol ? symbol->file : NULL;
}

/* The table is sorted by path, so that a service's methods stand together. */
static size_t collect_services(Grpc__Reflection__V1__ServiceResponse *services, char *names)
{
	const char *last = "";
	size_t n = 0;

	for (size_t i = 0; i < grpc_n_methods; i++) {
		const char *service = grpc_methods[i].path + 1;
		size_t len = strcspn(service, "/");

		if (strncmp(last, service, len) == 0 && last[len] == '\0')
			continue;
		memcpy(names, service, len);
		names[len] = '\0';
		grpc__reflection__v1__service_response__init(&services[n]);
		services[n++].name = names;
		last = names;
		names += len + 1;
	}
	return n;
}

static void send_services(struct grpc_call *call, RESPONSE *response)
{
	Grpc__Reflection__V1__ListServiceResponse list =
		GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
	_cleanup_free_ Grpc__Reflection__V1__ServiceResponse *services = NULL;
	_cleanup_free_ Grpc__Reflection__V1__ServiceResponse **pointers = NULL;
	_cleanup_free_ char *names = NULL;
	size_t text = 0;

	for (size_t i = 0; i < grpc_n_methods; i++)
		text += strlen(grpc_methods[i].path) + 1;
	services = calloc(grpc_n_methods, sizeof(*services));
	pointers = calloc(grpc_n_methods, sizeof(*pointers));
	names = malloc(text);
	if (!services || !pointers || !names) {
		send_error(call, response, ERR_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	list.n_service = collect_services(services, names);
	list.service = pointers;
	for (size_t i = 0; i < list.n_service; i++)
		pointers[i] = &services[i];
	response->message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
	response->list_services_response = &list;
	grpc_send(call, &response->base);
}

static void answer(struct grpc_call *call, const REQUEST *request)
{
	RESPONSE response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;

	response.valid_host = request->host;
	response.original_request = (REQUEST *)request;
	switch (request->message_request_case) {
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
		send_file(call, &response, find_file(request->file_by_filename));
		break;
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
		send_file(call, &response, find_symbol(request->file_containing_symbol));
		break;
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
		send_services(call, &response);
		break;
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
		send_error(call, &response, ERR_NOT_FOUND, "extensions are not listed here");
		break;
	default:
		send_error(call, &response, ERR_INVALID_ARGUMENT, "the request asks for nothing");
		break;
	}
	/* A client that asks without reading the answers is asked to wait. */
	if (!grpc_call_writable(call))
		grpc_call_set_receiving(call, false);
}

static void on_request(struct grpc_call *call, const ProtobufCMessage *request)
{
	answer(call, (const REQUEST *)request);
}

static void on_writable(struct grpc_call *call)
{
	grpc_call_set_receiving(call, true);
}

#define REFLECTION_HANDLER(version)                                                                \
	{                                                                                          \
		.path = "/grpc.reflection." version ".ServerReflection/ServerReflectionInfo",      \
		.start = on_request, .message = on_request, .half_closed = grpc_finish,            \
		.writable = on_writable,                                                           \
	}

const struct grpc_handler grpc_reflection_handlers[] = {
	REFLECTION_HANDLER("v1"),
	REFLECTION_HANDLER("v1alpha"),
	{0},
};

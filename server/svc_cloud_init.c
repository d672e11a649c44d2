/* The method GetCloudInit: the one that shows what a container is given for cloud-init. */
#include "server/cloud_init.h"
#include "server/server.h"
#include "server/svc.h"

#include <string.h>

static void set_bytes(ProtobufCBinaryData *to, const struct cloud_bytes *from)
{
	to->data = from->data;
	to->len = from->size;
}

static void get_cloud_init(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__GetCloudInitRequest *request = (const void *)message;
	Croft__V1__CloudInit reply = CROFT__V1__CLOUD_INIT__INIT;
	struct server *server = grpc_call_app(call);
	char *keys[CLOUD_INIT_KEYS_MAX];
	const struct cloud_bytes *parts;
	struct container *c;
	struct err err;
	int r = model_find_container(&server->model, request->name, &c, &err);

	if (r == 0 && !c->cloud_init)
		r = err_set(&err, ERR_NOT_FOUND, "CLOUD_INIT_NOT_FOUND",
			"%s/%s is given nothing for cloud-init", c->tenant->name, c->name);
	if (r < 0) {
		grpc_fail(call, &err);
		return;
	}
	parts = c->cloud_init->parts;
	set_bytes(&reply.user_data, &parts[CLOUD_USER_DATA]);
	set_bytes(&reply.meta_data, &parts[CLOUD_META_DATA]);
	set_bytes(&reply.network_config, &parts[CLOUD_NETWORK_CONFIG]);
	for (size_t at = 0; at < parts[CLOUD_KEYS].size; at += strlen(keys[reply.n_ssh_keys++]) + 1)
		keys[reply.n_ssh_keys] = (char *)parts[CLOUD_KEYS].data + at;
	reply.ssh_keys = keys;
	grpc_reply(call, &reply.base);
}

const struct grpc_handler svc_cloud_init_handlers[] = {
	{.path = "/croft.v1.Containers/GetCloudInit", .start = get_cloud_init},
	{.path = NULL},
};

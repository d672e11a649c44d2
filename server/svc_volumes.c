/* The service Volumes, but for what attaches (volume_attach.c). */
#include "server/svc.h"

#include "base/cleanup.h"
#include "server/container_new.h"
#include "server/hold.h"
#include "server/link.h"
#include "server/page.h"
#include "server/volume_op.h"

#include <string.h>

/* What a client writes as 0, for no limit of the volume's own. */
static int check_size(const struct tenant *t, uint64_t from, uint64_t *ret, struct err *err)
{
	struct limits limits;
	int r;

	limits_init(&limits);
	limits.value[LIMIT_DISK] = from ? from : LIMIT_UNSET;
	r = limits_check(&limits, err);
	if (r == 0)
		r = container_check_limits(t, &limits, err);
	if (r == 0)
		*ret = limits.value[LIMIT_DISK];
	return r;
}

/* --- CreateVolume --- */

static int check_new(const struct tenant *t, const char *name, struct err *err)
{
	const struct volume *same;
	int r = name_check("volume", name, err);

	if (r < 0)
		return r;
	if (t->deleting)
		return err_set(err, ERR_FAILED_PRECONDITION, "TENANT_DELETING",
			"tenant %s is being deleted", t->name);
	same = volume_any(t, name);
	if (same && (!same->visible || same->dropping))
		return err_set(err, ERR_ABORTED, "VOLUME_BUSY",
			"a volume %s/%s is being made or removed; try again", t->name, name);
	if (same)
		return err_set(err, ERR_ALREADY_EXISTS, "VOLUME_EXISTS",
			"tenant %s has a volume %s already; delete it, or choose another name",
			t->name, name);
	if (t->volumes.n >= VOLUMES_MAX)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_VOLUMES", "volumes",
			"tenant %s has %d volumes, which is the most; delete one", t->name,
			VOLUMES_MAX);
	return 0;
}

static int add(struct server *server, const Croft__V1__CreateVolumeRequest *request,
	struct volume **ret, struct err *err)
{
	uint64_t size = LIMIT_UNSET;
	struct tenant *t;
	struct volume *v;
	int r = model_find_tenant(&server->model, request->parent, &t, err);

	if (r == 0)
		r = check_new(t, request->volume_id, err);
	if (r == 0 && request->volume)
		r = check_size(t, request->volume->size_bytes, &size, err);
	if (r < 0)
		return r;
	v = volume_add(t, request->volume_id);
	if (!v)
		return err_oom(err);
	v->size_bytes = size;
	*ret = v;
	return 0;
}

static void create_volume(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__CreateVolumeRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct volume *v = NULL;
	struct volume_op *op;
	struct err err;

	if (!m)
		return;
	if (add(m->server, request, &v, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	op = volume_op_new(m->server, m, v, &err);
	if (op) {
		volume_make(op);
		return;
	}
	volume_remove(v);
	mutation_fail(m, &err);
}

/* --- GetVolume, ListVolumes --- */

struct get {
	struct grpc_call *call;
	struct tenant *tenant; /* a reference */
	char name[NAME_SIZE];
};

static void finish_get(struct get *get)
{
	struct volume *v = volume_any(get->tenant, get->name);
	struct volume_message out = {0};
	const ProtobufCMessage *reply;
	struct err err;

	if (!v || !v->visible) {
		err_set(&err, ERR_NOT_FOUND, "VOLUME_NOT_FOUND", "tenant %s has no volume %s",
			get->tenant->name, get->name);
		grpc_fail(get->call, &err);
	} else if ((reply = volume_message_fill(v, &out))) {
		grpc_reply(get->call, reply);
	} else {
		err_oom(&err);
		grpc_fail(get->call, &err);
	}
	volume_message_finish(&out);
	grpc_call_unref(get->call);
	tenant_unref(get->tenant);
	free(get);
}

static void on_measured(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	const struct msg_disk *disk = reply;
	struct get *get = arg;
	struct volume *v = volume_any(get->tenant, get->name);

	link_close_fds(fds, n_fds);
	if (!err && v) {
		v->used_bytes = disk->used.bytes;
		v->enforced = disk->enforced && v->size_bytes != LIMIT_UNSET;
	}
	finish_get(get);
}

static void get_volume(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__GetVolumeRequest *request = (const void *)message;
	struct server *server = grpc_call_app(call);
	struct msg_volume msg = {.size_bytes = LIMIT_UNSET};
	struct volume *v;
	struct get *get;
	struct err err;

	if (volume_find(&server->model, request->name, &v, &err) < 0) {
		grpc_fail(call, &err);
		return;
	}
	get = calloc(1, sizeof(*get));
	if (!get) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	get->call = grpc_call_ref(call);
	get->tenant = tenant_ref(v->tenant);
	memcpy(get->name, v->name, sizeof(get->name));
	memcpy(msg.tenant, v->tenant->name, sizeof(msg.tenant));
	memcpy(msg.volume, v->name, sizeof(msg.volume));
	/* Without a supervisor it is shown with the figure last measured. */
	if (link_send(server->link, MSG_VOLUME_USAGE, &msg, NULL, 0, on_measured, get, &err) < 0)
		finish_get(get);
}

static bool is_visible(const struct map_node *node, const void *arg)
{
	(void)arg;
	return map_object(node, struct volume, by_name)->visible;
}

static int fill_page(const struct map_node **nodes, size_t n, struct volume_message *messages,
	Croft__V1__Volume **list)
{
	for (size_t i = 0; i < n; i++) {
		if (!volume_message_fill(
			    map_object(nodes[i], struct volume, by_name), &messages[i]))
			return -ENOMEM;
		list[i] = &messages[i].msg;
	}
	return 0;
}

static void reply_volumes(struct grpc_call *call, const struct tenant *t, const struct page *page)
{
	Croft__V1__ListVolumesResponse reply = CROFT__V1__LIST_VOLUMES_RESPONSE__INIT;
	_cleanup_free_ struct volume_message *messages = calloc(page->size, sizeof(*messages));
	_cleanup_free_ Croft__V1__Volume **list = calloc(page->size, sizeof(*list));
	_cleanup_free_ const struct map_node **nodes = calloc(page->size, sizeof(*nodes));
	char token[PAGE_TOKEN_SIZE];
	struct err err;

	if (messages && list && nodes)
		reply.n_volumes = page_collect(
			page, "v", &t->volumes, is_visible, NULL, nodes, token);
	if (!messages || !list || !nodes || fill_page(nodes, reply.n_volumes, messages, list) < 0) {
		err_oom(&err);
		grpc_fail(call, &err);
	} else {
		reply.volumes = list;
		reply.next_page_token = token;
		grpc_reply(call, &reply.base);
	}
	for (size_t i = 0; messages && i < page->size; i++)
		volume_message_finish(&messages[i]);
}

static void list_volumes(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ListVolumesRequest *request = (const void *)message;
	struct server *server = grpc_call_app(call);
	struct tenant *t;
	struct page page;
	struct err err;

	if (page_parse("v", request->page_size, request->page_token, &page, &err) < 0 ||
		model_find_tenant(&server->model, request->parent, &t, &err) < 0)
		grpc_fail(call, &err);
	else
		reply_volumes(call, t, &page);
}

/* --- UpdateVolume --- */

static int check_update(struct server *server, const Croft__V1__UpdateVolumeRequest *request,
	struct volume **ret, uint64_t *ret_size, struct err *err)
{
	const Google__Protobuf__FieldMask *mask = request->update_mask;
	int r;

	if (!request->volume)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "FIELD_MISSING", "volume",
			"the request names no volume");
	if (!mask || mask->n_paths != 1 || strcmp(mask->paths[0], "size_bytes") != 0)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "FIELD_MASK_INVALID",
			"update_mask", "an update of a volume names what to change: size_bytes");
	r = volume_find(&server->model, request->volume->name, ret, err);
	if (r == 0 && (*ret)->dropping)
		r = err_set(err, ERR_FAILED_PRECONDITION, "VOLUME_DELETING",
			"volume %s/%s is being deleted", (*ret)->tenant->name, (*ret)->name);
	if (r == 0)
		r = check_size((*ret)->tenant, request->volume->size_bytes, ret_size, err);
	return r;
}

static void update_volume(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__UpdateVolumeRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct volume_op *op = NULL;
	uint64_t size = LIMIT_UNSET;
	struct volume *v;
	struct err err;

	if (!m)
		return;
	if (check_update(m->server, request, &v, &size, &err) == 0)
		op = volume_op_new(m->server, m, v, &err);
	if (!op) {
		mutation_fail(m, &err);
		return;
	}
	op->size_bytes = size;
	op->force = request->force;
	volume_resize(op);
}

/* --- DeleteVolume --- */

static int check_delete(const struct volume *v, struct err *err)
{
	const struct container *user = volume_next_user(v, NULL);

	if (!user)
		return 0;
	return err_set(err, ERR_FAILED_PRECONDITION, "VOLUME_ATTACHED",
		"%s/%s has volume %s; detach it first", v->tenant->name, user->name, v->name);
}

static void delete_volume(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__DeleteVolumeRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct volume_op *op = NULL;
	struct volume *v;
	struct err err;

	if (!m)
		return;
	if (volume_find(&m->server->model, request->name, &v, &err) == 0 &&
		check_delete(v, &err) == 0 &&
		hold_check_evidence(v->tenant, request->force, &err) == 0)
		op = volume_op_new(m->server, m, v, &err);
	if (op)
		volume_drop(op);
	else
		mutation_fail(m, &err);
}

const struct grpc_handler svc_volumes_handlers[] = {
	{.path = "/croft.v1.Volumes/CreateVolume", .start = create_volume},
	{.path = "/croft.v1.Volumes/GetVolume", .start = get_volume},
	{.path = "/croft.v1.Volumes/ListVolumes", .start = list_volumes},
	{.path = "/croft.v1.Volumes/UpdateVolume", .start = update_volume},
	{.path = "/croft.v1.Volumes/DeleteVolume", .start = delete_volume},
	{.path = NULL},
};

/* Replies that are given once and stored; see mutation.h. Must end every mutation exactly once. */
#include "server/mutation.h"

#include "base/cleanup.h"
#include "server/auth.h"
#include "server/request_ids.h"

#include <string.h>

/* Sends a packed reply in the form the method wants. */
static void answer_packed(struct grpc_call *call, const uint8_t *data, size_t size)
{
	const struct grpc_method *method = grpc_call_method(call);
	ProtobufCMessage *message;

	if (!method->server_streaming) {
		grpc_reply_packed(call, data, size);
		return;
	}
	message = protobuf_c_message_unpack(method->reply, NULL, size, data);
	if (message)
		grpc_send(call, message);
	protobuf_c_message_free_unpacked(message, NULL);
	grpc_finish(call);
}

static void pack(const ProtobufCMessage *message, uint8_t **ret_data, size_t *ret_size)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *data = malloc(size + 1);

	*ret_data = data;
	*ret_size = data ? protobuf_c_message_pack(message, data) : 0;
}

/* A call that waits for the outcome of the same request. */
struct repeat {
	struct grpc_call *call;
	struct request_entry *entry;
	char key[64];
	uint8_t *reply;
	size_t size;
};

static void repeat_end(struct repeat *repeat, const struct err *err)
{
	if (err)
		grpc_fail(repeat->call, err);
	else
		answer_packed(repeat->call, repeat->reply, repeat->size);
	grpc_call_unref(repeat->call);
	free(repeat->reply);
	free(repeat);
}

static void on_first_ended(void *arg, const struct err *err)
{
	struct repeat *repeat = arg;
	size_t size;
	const uint8_t *reply = request_reply(repeat->entry, &size);

	if (!err) {
		repeat->reply = malloc(size + 1);
		if (repeat->reply)
			memcpy(repeat->reply, reply, size);
		repeat->size = repeat->reply ? size : 0;
	}
	repeat_end(repeat, err);
}

static int read_stored(struct db *db, void *arg, struct err *err)
{
	struct repeat *repeat = arg;

	return request_load_reply(db, repeat->key, &repeat->reply, &repeat->size, err);
}

static void on_stored(void *arg, const struct err *err)
{
	repeat_end(arg, err);
}

static void answer_again(struct server *server, struct grpc_call *call, struct request_entry *entry,
	enum request_state state)
{
	struct repeat *repeat = calloc(1, sizeof(*repeat));
	struct err err;

	if (!repeat) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	repeat->call = grpc_call_ref(call);
	repeat->entry = entry;
	snprintf(repeat->key, sizeof(repeat->key), "%s", request_key(entry));
	if (state == REQUEST_DONE)
		db_read(server->db, read_stored, on_stored, repeat);
	else if (request_wait(entry, on_first_ended, repeat, &err) < 0)
		repeat_end(repeat, &err);
}

/* Enters the request in the table. True when it is the caller's to carry out. */
static bool enter(struct mutation *m, const ProtobufCMessage *request, const char *request_id)
{
	const struct grpc_peer *peer = grpc_call_peer(m->call);
	_cleanup_free_ uint8_t *data = NULL;
	enum request_state state;
	struct request_entry *entry;
	struct actor caller;
	struct err err;
	size_t size;
	int r;

	if (!*request_id)
		return true;
	auth_actor(peer, &caller);
	pack(request, &data, &size);
	r = data ? request_begin(m->server->requests, caller.name, grpc_call_method(m->call)->path,
			   request_id, data, size, clock_wall_usec(), &entry, &state, &err)
		 : err_oom(&err);
	if (r < 0) {
		grpc_fail(m->call, &err);
		return false;
	}
	if (state != REQUEST_NEW) {
		answer_again(m->server, m->call, entry, state);
		return false;
	}
	m->request = entry;
	return true;
}

static void mutation_free(struct mutation *m)
{
	grpc_call_unref(m->call);
	free(m->reply);
	free(m);
}

/* What frees or protects goes on when the disk is full: it is committed from the reserve. */
static bool is_essential(const struct grpc_method *method)
{
	static const char *const paths[] = {
		"/croft.v1.Containers/StopContainer",
		"/croft.v1.Containers/KillContainer",
		"/croft.v1.Containers/FreezeContainer",
		"/croft.v1.Containers/ThawContainer",
		"/croft.v1.Containers/DeleteContainer",
		"/croft.v1.Tenants/SuspendTenant",
		"/croft.v1.Tenants/ResumeTenant",
		"/croft.v1.Tenants/DeleteTenant",
		"/croft.v1.Images/DeleteImage",
		"/croft.v1.Abuse/LiftAbuseCase",
	};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (!strcmp(method->path, paths[i]))
			return true;
	return false;
}

/* Before anything has happened: what could not be recorded is not begun. */
static int check_allowed(const struct mutation *m, struct err *err)
{
	if (m->server->shutting_down)
		return err_set(err, ERR_UNAVAILABLE, "SHUTTING_DOWN", "croftd is shutting down");
	if (db_is_full(m->server->db) && !is_essential(grpc_call_method(m->call)))
		return db_refuse_full(err);
	return 0;
}

struct mutation *mutation_begin(
	struct grpc_call *call, const ProtobufCMessage *request, const char *request_id)
{
	struct mutation *m = calloc(1, sizeof(*m));
	struct err err;

	if (!m) {
		err_oom(&err);
		grpc_fail(call, &err);
		return NULL;
	}
	m->server = grpc_call_app(call);
	m->call = grpc_call_ref(call);
	if (check_allowed(m, &err) < 0) {
		grpc_fail(call, &err);
		mutation_free(m);
		return NULL;
	}
	if (!enter(m, request, request_id)) {
		mutation_free(m);
		return NULL;
	}
	return m;
}

void mutation_set_actor(const struct mutation *m, struct db_tx *tx)
{
	struct actor actor;

	auth_actor(grpc_call_peer(m->call), &actor);
	db_tx_set_actor(tx, &actor);
}

void mutation_store(struct mutation *m, struct db_tx *tx, const ProtobufCMessage *reply)
{
	mutation_set_actor(m, tx);
	mutation_store_reply(m, tx, reply);
}

void mutation_store_reply(struct mutation *m, struct db_tx *tx, const ProtobufCMessage *reply)
{
	if (!m->request)
		return;
	free(m->reply);
	pack(reply, &m->reply, &m->reply_size);
	if (m->reply)
		request_store(tx, m->request, m->reply, m->reply_size);
}

void mutation_reply(struct mutation *m, const ProtobufCMessage *reply)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t size;
	struct err err;

	pack(reply, &data, &size);
	if (!data) {
		err_oom(&err);
		mutation_fail(m, &err);
		return;
	}
	answer_packed(m->call, data, size);
	if (m->request)
		request_finish(m->server->requests, m->request, data, size, m->reply != NULL, NULL);
	mutation_free(m);
}

static void fail(struct mutation *m, const struct err *err)
{
	grpc_fail(m->call, err);
	if (m->request)
		request_finish(m->server->requests, m->request, NULL, 0, m->reply != NULL, err);
	mutation_free(m);
}

/* What could not be taken back is all the same what has come of it. */
static void on_taken_back(void *arg, const struct err *err)
{
	struct mutation *m = arg;

	(void)err;
	fail(m, &m->failure);
}

/*
 * Behind the transaction that it may have been stored by, and before anybody is told: else who is
 * told of the failure, and asks again, may be answered by the next croftd with success.
 */
static void take_back_reply(struct mutation *m, const struct err *failure)
{
	struct db_tx *tx = db_tx_new_essential();

	m->failure = *failure;
	request_take_back(tx, m->request);
	db_commit(m->server->db, tx, on_taken_back, m);
}

void mutation_fail(struct mutation *m, const struct err *err)
{
	if (m->request && m->reply)
		take_back_reply(m, err);
	else
		fail(m, err);
}

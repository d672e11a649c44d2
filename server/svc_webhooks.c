/* The service Webhooks, but for what is read of the record to show them (webhook_list.c). */
#include "server/svc.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/auth.h"
#include "server/details.h"
#include "server/events.h"
#include "server/ledger_entries.h"
#include "server/mutation.h"
#include "server/store.h"
#include "server/webhook_list.h"
#include "server/webhook_message.h"
#include "server/webhook_queue.h"
#include "server/webhook_request.h"

#include "croft/v1/webhooks.pb-c.h"
#include "google/protobuf/empty.pb-c.h"

#include <openssl/crypto.h>
#include <string.h>

/* --- the frame of a change --- */

struct webhook_op {
	struct mutation *mutation;
	struct webhook *webhook;	    /* stays while it is `changing` */
	struct webhook_target before;	    /* what it had, for the way back */
	char disabled[WEBHOOK_REASON_SIZE]; /* why it was */
	bool with_secret;
	bool from_start;
	uint64_t last; /* the last number there is */
};

static struct webhook_op *begin(struct mutation *m, struct webhook *w)
{
	struct webhook_op *op = NULL;
	struct err err;

	if (w->changing) {
		err_set(&err, ERR_ABORTED, "WEBHOOK_BUSY", "webhook %s is being changed; try again",
			w->name);
	} else {
		op = calloc(1, sizeof(*op));
		if (op && webhook_target_copy(&w->target, &op->before) == 0) {
			op->mutation = m;
			op->webhook = w;
			memcpy(op->disabled, w->state.disabled, sizeof(op->disabled));
			w->changing = true;
			return op;
		}
		err_oom(&err);
	}
	free(op);
	mutation_fail(m, &err);
	return NULL;
}

static void end(struct webhook_op *op)
{
	op->webhook->changing = false;
	webhook_target_finish(&op->before);
	free(op);
}

static void reply(struct webhook_op *op)
{
	struct webhook_message out;

	webhook_message_fill(op->webhook, op->with_secret, &out);
	mutation_reply(op->mutation, &out.msg.base);
	end(op);
}

static void commit(struct webhook_op *op, struct db_tx *tx, db_done_fn done)
{
	struct webhook_message out;

	webhook_message_fill(op->webhook, op->with_secret, &out);
	mutation_store(op->mutation, tx, &out.msg.base);
	db_commit(op->mutation->server->db, tx, done, op);
}

static void swap_target(struct webhook_op *op)
{
	struct webhook_target target = op->webhook->target;

	op->webhook->target = op->before;
	op->before = target;
}

/* --- CreateWebhook --- */

static int check_new(const struct server *server, const char *name, struct err *err)
{
	int r = name_check("webhook", name, err);

	if (r < 0)
		return r;
	if (webhook_any(server, name))
		return err_set(err, ERR_ALREADY_EXISTS, "WEBHOOK_EXISTS",
			"there is a webhook %s already", name);
	if (server->webhooks.n >= WEBHOOKS_MAX)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_WEBHOOKS", "webhooks",
			"this host has %d webhooks, which is the most; delete one", WEBHOOKS_MAX);
	return 0;
}

static void drop_new(struct webhook_op *op, const struct err *err)
{
	struct webhook *w = op->webhook;

	mutation_fail(op->mutation, err);
	end(op);
	webhook_remove(w);
	webhook_free(w);
}

static void on_created(void *arg, const struct err *err)
{
	struct webhook_op *op = arg;
	struct webhook *w = op->webhook;

	if (err) {
		drop_new(op, err);
		return;
	}
	w->visible = true;
	w->kept_cursor = w->state.place.cursor;
	log_info("webhook-created webhook=%s", w->name);
	reply(op);
	webhook_queue_kick(w);
}

static int take_number(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(uint64_t *)arg = db_column_u64(row, 0);
	return 0;
}

static int read_last(struct db *db, void *arg, struct err *err)
{
	struct webhook_op *op = arg;

	/* Its kind does not change while it is being made. */
	if (op->webhook->feed.source == WEBHOOK_USAGE)
		return ledger_entries_last(db, &op->last, err);
	return db_query(
		db, "SELECT coalesce(max(number), 0) FROM events", take_number, &op->last, err, "");
}

static void on_last(void *arg, const struct err *err)
{
	struct webhook_op *op = arg;
	struct webhook *w = op->webhook;
	struct details d;
	struct db_tx *tx;

	if (err) {
		drop_new(op, err);
		return;
	}
	if (!op->from_start)
		w->state.place.cursor = op->last;
	tx = db_tx_new();
	store_put_webhook(tx, w);
	if (*w->state.disabled)
		store_disable_webhook(tx, w, w->state.disabled);
	details_init(&d);
	details_text(&d, "webhook", w->name);
	details_text(&d, "uid", w->uid);
	details_text(&d, "source", w->feed.source == WEBHOOK_USAGE ? "usage" : "events");
	details_text(&d, "tenant", w->feed.tenant);
	events_add_host(tx, "webhook.created", details_end(&d), "webhook %s was made", w->name);
	commit(op, tx, on_created);
}

static void create_webhook(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__CreateWebhookRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct webhook_op *op;
	struct webhook *w;
	struct err err;

	if (!m)
		return;
	if (!request->webhook) {
		err_set_subject(&err, ERR_INVALID_ARGUMENT, "FIELD_MISSING", "webhook",
			"the request has no webhook");
		mutation_fail(m, &err);
		return;
	}
	if (check_new(m->server, request->webhook_id, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	w = webhook_add(m->server, request->webhook_id);
	if (w)
		w->created_wall_usec = clock_wall_usec();
	else
		err_oom(&err);
	if (!w || webhook_request_create(w, call, request, &err) < 0 ||
		webhook_queue_admit(w, &err) < 0) {
		mutation_fail(m, &err);
		op = NULL;
	} else {
		op = begin(m, w);
	}
	if (!op && w) {
		webhook_remove(w);
		webhook_free(w);
	}
	if (!op)
		return;
	op->with_secret = true;
	op->from_start = request->from_start;
	db_read(m->server->db, read_last, on_last, op);
}

/* --- UpdateWebhook --- */

static void on_updated(void *arg, const struct err *err)
{
	struct webhook_op *op = arg;
	struct webhook *w = op->webhook;

	if (err) {
		swap_target(op);
		memcpy(w->state.disabled, op->disabled, sizeof(op->disabled));
		mutation_fail(op->mutation, err);
		end(op);
		return;
	}
	log_info("webhook-updated webhook=%s", w->name);
	reply(op);
	webhook_queue_kick(w);
}

static void begin_anew(struct webhook_state *s)
{
	s->attempts = 0;
	s->failing_wall_usec = 0;
	s->next_wall_usec = 0;
}

static void put_switch(struct db_tx *tx, struct webhook_op *op, bool disabled)
{
	struct webhook *w = op->webhook;

	/* It may be going on record that its last message disables it: this comes behind that. */
	if (w->disabling)
		snprintf(op->disabled, sizeof(op->disabled), "%s", w->disabling);
	w->disabling = NULL;
	if (disabled) {
		if (!*w->state.disabled)
			strcpy(w->state.disabled, "operator");
		store_disable_webhook(tx, w, w->state.disabled);
		return;
	}
	begin_anew(&w->settled);
	begin_anew(&w->state);
	w->state.disabled[0] = '\0';
	store_enable_webhook(tx, w);
}

static void update_webhook(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__UpdateWebhookRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct webhook_op *op;
	struct webhook *w;
	struct details d;
	struct db_tx *tx;
	bool switches;
	struct err err;

	if (!m)
		return;
	if (!request->webhook) {
		err_set_subject(&err, ERR_INVALID_ARGUMENT, "FIELD_MISSING", "webhook",
			"the request names no webhook");
		mutation_fail(m, &err);
		return;
	}
	if (webhook_find(m->server, request->webhook->name, &w, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	op = begin(m, w);
	if (!op)
		return;
	if (webhook_request_update(&op->webhook->target, request, &switches, &err) < 0) {
		swap_target(op);
		mutation_fail(m, &err);
		end(op);
		return;
	}
	tx = db_tx_new();
	store_put_webhook(tx, w);
	if (switches)
		put_switch(tx, op, request->webhook->disabled);
	details_init(&d);
	details_text(&d, "webhook", w->name);
	details_bool(&d, "url", strcmp(w->target.url, op->before.url) != 0);
	details_text(&d, "disabled", w->state.disabled);
	events_add_host(tx, "webhook.updated", details_end(&d), "webhook %s was changed", w->name);
	commit(op, tx, on_updated);
}

/* --- RotateWebhookSecret --- */

static void on_rotated(void *arg, const struct err *err)
{
	struct webhook_op *op = arg;

	if (err) {
		swap_target(op);
		mutation_fail(op->mutation, err);
		end(op);
		return;
	}
	log_info("webhook-secret-rotated webhook=%s", op->webhook->name);
	reply(op);
}

static int read_overlap(const Google__Protobuf__Duration *d, int64_t *ret_s, struct err *err)
{
	*ret_s = d ? d->seconds : WEBHOOK_OVERLAP_S;
	if (d && (d->nanos || d->seconds < 0 || d->seconds > WEBHOOK_OVERLAP_MAX_S))
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "OVERLAP_INVALID", "overlap",
			"the old secret goes on for whole seconds, at most %d days",
			WEBHOOK_OVERLAP_MAX_S / 86400);
	return 0;
}

static void rotate_secret(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__RotateWebhookSecretRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct webhook_target *target;
	struct webhook_op *op;
	struct webhook *w;
	int64_t overlap_s;
	struct details d;
	struct db_tx *tx;
	struct err err;

	if (!m)
		return;
	if (webhook_find(m->server, request->name, &w, &err) < 0 ||
		read_overlap(request->overlap, &overlap_s, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	op = begin(m, w);
	if (!op)
		return;
	target = &w->target;
	if (webhook_request_secret(target, request->secret, &err) < 0) {
		mutation_fail(m, &err);
		end(op);
		return;
	}
	memcpy(target->old_secret, op->before.secret, sizeof(target->old_secret));
	target->old_secret_until_wall_usec = clock_wall_usec() + overlap_s * 1000000;
	if (!overlap_s)
		OPENSSL_cleanse(target->old_secret, sizeof(target->old_secret));
	op->with_secret = true;
	tx = db_tx_new();
	store_put_webhook(tx, w);
	details_init(&d);
	details_text(&d, "webhook", w->name);
	details_int(&d, "overlap_seconds", overlap_s);
	events_add_host(tx, "webhook.secret_rotated", details_end(&d),
		"webhook %s has a new secret", w->name);
	commit(op, tx, on_rotated);
}

/* --- TestWebhook, DeleteWebhook --- */

static void test_webhook(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__TestWebhookRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct webhook *w;
	struct err err;

	if (!m)
		return;
	if (webhook_find(m->server, request->name, &w, &err) < 0)
		mutation_fail(m, &err);
	else
		webhook_test_start(w, m);
}

static void on_deleted(void *arg, const struct err *err)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct webhook_op *op = arg;
	struct webhook *w = op->webhook;

	if (err) {
		mutation_fail(op->mutation, err);
		end(op);
		return;
	}
	log_info("webhook-deleted webhook=%s", w->name);
	mutation_reply(op->mutation, &empty.base);
	end(op);
	webhook_remove(w);
	webhook_queue_forget(w);
}

static void delete_webhook(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__DeleteWebhookRequest *request = (const void *)message;
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct webhook_op *op;
	struct webhook *w;
	struct details d;
	struct db_tx *tx;
	struct err err;

	if (!m)
		return;
	if (webhook_find(m->server, request->name, &w, &err) < 0) {
		mutation_fail(m, &err);
		return;
	}
	op = begin(m, w);
	if (!op)
		return;
	tx = db_tx_new();
	store_delete_webhook(tx, w);
	details_init(&d);
	details_text(&d, "webhook", w->name);
	details_text(&d, "uid", w->uid);
	events_add_host(tx, "webhook.deleted", details_end(&d), "webhook %s was deleted", w->name);
	mutation_store(m, tx, &empty.base);
	db_commit(m->server->db, tx, on_deleted, op);
}

const struct grpc_handler svc_webhooks_handlers[] = {
	{.path = "/croft.v1.Webhooks/CreateWebhook", .start = create_webhook},
	{.path = "/croft.v1.Webhooks/GetWebhook", .start = webhook_get},
	{.path = "/croft.v1.Webhooks/ListWebhooks", .start = webhook_list},
	{.path = "/croft.v1.Webhooks/UpdateWebhook", .start = update_webhook},
	{.path = "/croft.v1.Webhooks/RotateWebhookSecret", .start = rotate_secret},
	{.path = "/croft.v1.Webhooks/TestWebhook", .start = test_webhook},
	{.path = "/croft.v1.Webhooks/DeleteWebhook", .start = delete_webhook},
	{.path = NULL},
};

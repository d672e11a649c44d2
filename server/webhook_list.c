/* Shows webhooks; see webhook_list.h. What waits is counted on the database's thread, up to a
 * bound.
 */
#include "server/webhook_list.h"

#include "base/cleanup.h"
#include "server/convert.h"
#include "server/page.h"
#include "server/webhook_batch.h"
#include "server/webhook_message.h"

#include <string.h>

struct listing {
	struct grpc_call *call; /* a reference */
	struct server *server;
	bool one;
	size_t n;
	char uids[WEBHOOKS_MAX][UID_SIZE];
	char names[WEBHOOKS_MAX][NAME_SIZE];
	struct webhook_waiting waiting[WEBHOOKS_MAX];
	char token[PAGE_TOKEN_SIZE];
};

static void listing_free(struct listing *l)
{
	grpc_call_unref(l->call);
	free(l);
}

static void fill(
	const struct listing *l, size_t i, const struct webhook *w, struct webhook_message *out)
{
	const struct webhook_waiting *waiting = &l->waiting[i];

	webhook_message_fill(w, false, out);
	out->msg.waiting = waiting->n;
	out->msg.waiting_more = waiting->more;
	if (waiting->n) {
		convert_time(waiting->since_wall_usec, &out->since);
		out->msg.waiting_since = &out->since;
	}
}

static void answer(struct listing *l)
{
	Croft__V1__ListWebhooksResponse response = CROFT__V1__LIST_WEBHOOKS_RESPONSE__INIT;
	_cleanup_free_ struct webhook_message *messages = calloc(l->n + 1, sizeof(*messages));
	Croft__V1__Webhook *list[WEBHOOKS_MAX];
	struct err err;

	if (!messages) {
		err_oom(&err);
		grpc_fail(l->call, &err);
		return;
	}
	for (size_t i = 0; i < l->n; i++) {
		const struct webhook *w = webhook_any(l->server, l->names[i]);

		if (!w || strcmp(w->uid, l->uids[i]) != 0)
			continue; /* it was deleted meanwhile */
		fill(l, i, w, &messages[i]);
		list[response.n_webhooks++] = &messages[i].msg;
	}
	response.webhooks = list;
	response.next_page_token = l->token;
	if (!l->one) {
		grpc_reply(l->call, &response.base);
	} else if (response.n_webhooks) {
		grpc_reply(l->call, &list[0]->base);
	} else {
		err_set_subject(&err, ERR_NOT_FOUND, "WEBHOOK_NOT_FOUND", "webhook",
			"there is no webhook \"%s\"", l->names[0]);
		grpc_fail(l->call, &err);
	}
}

static int count(struct db *db, void *arg, struct err *err)
{
	struct listing *l = arg;
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->n; i++)
		r = webhook_waiting_read(db, &l->waiting[i], err);
	return r;
}

static void on_counted(void *arg, const struct err *err)
{
	struct listing *l = arg;

	if (err)
		grpc_fail(l->call, err);
	else
		answer(l);
	listing_free(l);
}

static void add(struct listing *l, const struct webhook *w)
{
	memcpy(l->uids[l->n], w->uid, sizeof(w->uid));
	memcpy(l->names[l->n], w->name, sizeof(w->name));
	l->waiting[l->n].feed = w->feed;
	l->waiting[l->n++].after = w->state.place.cursor;
}

static struct listing *begin(struct grpc_call *call)
{
	struct listing *l = calloc(1, sizeof(*l));
	struct err err;

	if (!l) {
		err_oom(&err);
		grpc_fail(call, &err);
		return NULL;
	}
	l->call = grpc_call_ref(call);
	l->server = grpc_call_app(call);
	return l;
}

void webhook_get(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__GetWebhookRequest *request = (const void *)message;
	struct listing *l;
	struct webhook *w;
	struct err err;

	if (webhook_find(grpc_call_app(call), request->name, &w, &err) < 0) {
		grpc_fail(call, &err);
		return;
	}
	l = begin(call);
	if (!l)
		return;
	l->one = true;
	add(l, w);
	db_read(l->server->db, count, on_counted, l);
}

static bool is_visible(const struct map_node *node, const void *arg)
{
	(void)arg;
	return map_object(node, struct webhook, by_name)->visible;
}

void webhook_list(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ListWebhooksRequest *request = (const void *)message;
	const struct map_node *nodes[WEBHOOKS_MAX];
	struct listing *l;
	struct page page;
	struct err err;
	size_t n;

	if (page_parse("w", request->page_size, request->page_token, &page, &err) < 0) {
		grpc_fail(call, &err);
		return;
	}
	if (page.size > WEBHOOKS_MAX)
		page.size = WEBHOOKS_MAX;
	l = begin(call);
	if (!l)
		return;
	n = page_collect(&page, "w", &l->server->webhooks, is_visible, NULL, nodes, l->token);
	for (size_t i = 0; i < n; i++)
		add(l, map_object(nodes[i], struct webhook, by_name));
	db_read(l->server->db, count, on_counted, l);
}

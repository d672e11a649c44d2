/*
 * The service Policies. The supervisor owns profiles and programs; each request asks it anew, so
 * that a reload is seen at once.
 */
#include "server/svc_policies.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "server/link.h"
#include "server/page.h"
#include "server/server.h"
#include "server/svc.h"

#include "croft/v1/policies.pb-c.h"

#include <string.h>
#include <unistd.h>

#define PROFILE_MAX (1u << 20)

struct policy {
	struct map_node by_name;
	struct msg_policy_info info;
	uint64_t round; /* of the list that named it last */
};

struct query {
	struct server *server;
	struct grpc_call *call;
	uint64_t round;
	struct page page;
	char name[NAME_SIZE];
};

void policies_take(struct server *server, const struct msg_policy_info *info)
{
	struct map_node *node;
	struct policy *p;

	if (!name_field_is_valid(info->policy))
		return;
	node = map_find(&server->policies, info->policy);
	p = node ? map_object(node, struct policy, by_name) : calloc(1, sizeof(*p));
	if (!p)
		return;
	p->info = *info;
	err_sanitize(&p->info.err);
	p->round = server->policies_round;
	if (!node)
		map_insert(&server->policies, &p->by_name, p->info.policy);
}

static void drop_older(struct server *server, uint64_t round)
{
	char at[NAME_SIZE] = "";
	struct map_node *node;

	while ((node = map_after(&server->policies, at))) {
		struct policy *p = map_object(node, struct policy, by_name);

		memcpy(at, p->info.policy, sizeof(at));
		if (p->round >= round)
			continue;
		map_remove(&server->policies, node);
		free(p);
	}
}

void policies_forget(struct server *server)
{
	drop_older(server, UINT64_MAX);
}

struct policy_message {
	Croft__V1__Policy msg;
	char name[RESOURCE_SIZE];
};

static void fill(const struct policy *p, struct policy_message *out)
{
	croft__v1__policy__init(&out->msg);
	snprintf(out->name, sizeof(out->name), "policies/%s", p->info.policy);
	out->msg.name = out->name;
	out->msg.instructions = p->info.instructions;
	out->msg.warnings = p->info.warnings;
	if (p->info.err.code != ERR_OK)
		out->msg.error = (char *)p->info.err.msg;
}

static void query_free(struct query *q)
{
	grpc_call_unref(q->call);
	free(q);
}

static void query_fail(struct query *q, const struct err *err)
{
	grpc_fail(q->call, err);
	query_free(q);
}

static void reply_list(struct query *q)
{
	Croft__V1__ListPoliciesResponse reply = CROFT__V1__LIST_POLICIES_RESPONSE__INIT;
	_cleanup_free_ struct policy_message *messages = calloc(q->page.size, sizeof(*messages));
	_cleanup_free_ Croft__V1__Policy **list = calloc(q->page.size, sizeof(Croft__V1__Policy *));
	const struct map *policies = &q->server->policies;
	const char *after = q->page.after;
	char token[PAGE_TOKEN_SIZE];
	struct map_node *node = NULL;
	struct err err;

	if (!messages || !list) {
		err_oom(&err);
		query_fail(q, &err);
		return;
	}
	while (reply.n_policies < q->page.size && (node = map_after(policies, after))) {
		fill(map_object(node, struct policy, by_name), &messages[reply.n_policies]);
		list[reply.n_policies] = &messages[reply.n_policies].msg;
		reply.n_policies++;
		after = node->key;
	}
	if (node && map_after(policies, after))
		reply.next_page_token = (char *)page_token("p", after, token);
	reply.policies = list;
	grpc_reply(q->call, &reply.base);
	query_free(q);
}

static void on_opened(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct query *q = arg;
	struct map_node *node = map_find(&q->server->policies, q->name);
	_cleanup_free_ char *text = malloc(PROFILE_MAX + 1);
	struct policy_message out;
	struct err failure;
	ssize_t n = 0;

	(void)reply;
	if (!err && n_fds && text)
		n = fd_read_full(fds[0], text, PROFILE_MAX);
	link_close_fds(fds, n_fds);
	if (err || !node || !text || n < 0) {
		if (err)
			failure = *err;
		else
			err_sys(&failure, n < 0 ? (int)n : ENOMEM, "read policy %s", q->name);
		query_fail(q, &failure);
		return;
	}
	text[n] = '\0';
	fill(map_object(node, struct policy, by_name), &out);
	out.msg.json = text;
	grpc_reply(q->call, &out.msg.base);
	query_free(q);
}

static void open_policy(struct query *q)
{
	struct msg_policy msg = {0};
	struct err err;

	if (!map_find(&q->server->policies, q->name)) {
		err_set(&err, ERR_NOT_FOUND, "POLICY_NOT_FOUND", "there is no policy %s", q->name);
		query_fail(q, &err);
		return;
	}
	memcpy(msg.policy, q->name, sizeof(msg.policy));
	if (link_send(q->server->link, MSG_POLICY_OPEN, &msg, NULL, 0, on_opened, q, &err) < 0)
		query_fail(q, &err);
}

static void on_listed(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct query *q = arg;

	(void)reply;
	link_close_fds(fds, n_fds);
	if (err) {
		query_fail(q, err);
		return;
	}
	drop_older(q->server, q->round);
	if (q->name[0])
		open_policy(q);
	else
		reply_list(q);
}

static void ask(struct grpc_call *call, const char *name, const struct page *page)
{
	static const struct msg_empty empty;
	struct server *server = grpc_call_app(call);
	struct query *q = calloc(1, sizeof(*q));
	struct err err;

	if (!q) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	q->server = server;
	q->call = grpc_call_ref(call);
	q->round = ++server->policies_round;
	if (name)
		memcpy(q->name, name, sizeof(q->name));
	else
		q->page = *page;
	if (link_send(server->link, MSG_POLICY_LIST, &empty, NULL, 0, on_listed, q, &err) < 0)
		query_fail(q, &err);
}

static void get_policy(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__GetPolicyRequest *request = (const void *)message;
	char name[NAME_SIZE];
	struct err err;

	if (name_parse_in("policies", request->name, name, &err) < 0)
		grpc_fail(call, &err);
	else
		ask(call, name, NULL);
}

static void list_policies(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ListPoliciesRequest *request = (const void *)message;
	struct page page;
	struct err err;

	if (page_parse("p", request->page_size, request->page_token, &page, &err) < 0)
		grpc_fail(call, &err);
	else
		ask(call, NULL, &page);
}

const struct grpc_handler svc_policies_handlers[] = {
	{.path = "/croft.v1.Policies/GetPolicy", .start = get_policy},
	{.path = "/croft.v1.Policies/ListPolicies", .start = list_policies},
	{.path = NULL},
};

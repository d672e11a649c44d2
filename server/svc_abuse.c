/* The service Abuse: rules, and the record of what was done by them. For operators alone. */
#include "server/svc_abuse.h"

#include "base/cleanup.h"
#include "server/abuse_internal.h"
#include "server/convert.h"
#include "server/mutation.h"
#include "server/page.h"
#include "server/svc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Croft__V1__AbuseAction convert_action(enum abuse_action action)
{
	return (Croft__V1__AbuseAction)(action + 1);
}

const ProtobufCMessage *abuse_convert(const struct abuse_record *r, struct abuse_case_message *out)
{
	Croft__V1__AbuseCase *msg = &out->msg;

	croft__v1__abuse_case__init(msg);
	if (r->container[0])
		snprintf(out->resource, sizeof(out->resource), "tenants/%s/containers/%s",
			r->tenant, r->container);
	else
		snprintf(out->resource, sizeof(out->resource), "tenants/%s", r->tenant);
	msg->number = r->number;
	msg->rule = (char *)r->rule;
	msg->signal = (char *)abuse_signal_row(r->signal)->name;
	msg->resource = out->resource;
	msg->action = convert_action(r->action);
	msg->dry_run = r->dry_run;
	msg->value = r->value;
	msg->threshold = r->threshold;
	msg->window_seconds = r->window_s;
	convert_time(r->begin_wall_usec, &out->begin);
	msg->begin_time = &out->begin;
	if (r->end_wall_usec) {
		convert_time(r->end_wall_usec, &out->end);
		msg->end_time = &out->end;
	}
	msg->end_reason = (char *)r->end_reason;
	msg->outcome = (char *)r->outcome;
	msg->tenant_uid = (char *)r->tenant_uid;
	return &msg->base;
}

/* --- rules --- */

struct rules_message {
	Croft__V1__AbuseRules msg;
	Google__Protobuf__Timestamp load;
	Croft__V1__AbuseRule rules[ABUSE_RULES_MAX];
	Croft__V1__AbuseRule *list[ABUSE_RULES_MAX];
};

static void fill_rule(
	const struct abuse_rules *all, const struct abuse_rule *rule, Croft__V1__AbuseRule *msg)
{
	croft__v1__abuse_rule__init(msg);
	msg->name = (char *)rule->name;
	msg->signal = (char *)abuse_signal_row(rule->signal)->name;
	msg->per_tenant = rule->per_tenant;
	msg->threshold = rule->threshold;
	msg->until = rule->until;
	msg->window_seconds = rule->window_usec / 1000000;
	msg->quiet_seconds = rule->quiet_usec / 1000000;
	msg->action = convert_action(rule->action);
	msg->cpu_percent = rule->throttle.cpu_percent;
	msg->rate_in_bytes = rule->throttle.rate_in;
	msg->rate_out_bytes = rule->throttle.rate_out;
	msg->dry_run = rule->dry_run || all->dry_run;
	msg->exemptions = (uint32_t)(rule->exempt.n + all->exempt.n);
}

static const ProtobufCMessage *fill_rules(const struct abuse *abuse, struct rules_message *out)
{
	const struct abuse_rules *rules = abuse->rules;

	croft__v1__abuse_rules__init(&out->msg);
	out->msg.builtin = abuse->builtin;
	out->msg.error = (char *)abuse->error;
	convert_time(abuse->load_wall_usec, &out->load);
	out->msg.load_time = &out->load;
	for (size_t i = 0; i < rules->n; i++) {
		fill_rule(rules, &rules->list[i], &out->rules[i]);
		out->list[i] = &out->rules[i];
	}
	out->msg.n_rules = rules->n;
	out->msg.rules = out->list;
	return &out->msg.base;
}

static void get_rules(struct grpc_call *call, const ProtobufCMessage *message)
{
	struct server *server = grpc_call_app(call);
	struct rules_message out;

	(void)message;
	grpc_reply(call, fill_rules(server->abuse, &out));
}

static void reload_rules(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__ReloadAbuseRulesRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct rules_message out;
	struct err err;

	if (!m)
		return;
	if (abuse_reload(m->server, &err) < 0)
		mutation_fail(m, &err);
	else
		mutation_reply(m, fill_rules(m->server->abuse, &out));
}

/* --- reading cases --- */

struct reading {
	struct server *server;
	struct grpc_call *call;	   /* a reference; NULL: it is a mutation's */
	struct mutation *mutation; /* or NULL */
	struct page page;
	char tenant[NAME_SIZE];
	uint64_t after;
	bool single; /* one is asked for, not a list */
	uint64_t number;
	size_t n;
	struct abuse_record *records; /* owned; page.size + 1 */
};

static void reading_fail(struct reading *r, const struct err *err)
{
	if (r->mutation)
		mutation_fail(r->mutation, err);
	else
		grpc_fail(r->call, err);
}

static void reading_free(struct reading *r)
{
	if (r->call)
		grpc_call_unref(r->call);
	free(r->records);
	free(r);
}

static int take_record(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct reading *r = arg;

	(void)err;
	if (store_read_abuse(row, &r->records[r->n]) == 0)
		r->n++;
	return 0;
}

static int read_records(struct db *db, void *arg, struct err *err)
{
	struct reading *r = arg;

	if (r->single)
		return db_query(db, "SELECT " ABUSE_COLUMNS " FROM abuse_cases WHERE number = ?1",
			take_record, r, err, "u", r->number);
	if (r->tenant[0])
		return db_query(db,
			"SELECT " ABUSE_COLUMNS
			" FROM abuse_cases WHERE tenant = ?1 AND number > ?2"
			" ORDER BY number LIMIT ?3",
			take_record, r, err, "sud", r->tenant, r->after, (int)r->page.size + 1);
	return db_query(db,
		"SELECT " ABUSE_COLUMNS
		" FROM abuse_cases WHERE number > ?1 ORDER BY number LIMIT ?2",
		take_record, r, err, "ud", r->after, (int)r->page.size + 1);
}

static void reply_list(struct reading *r)
{
	Croft__V1__ListAbuseCasesResponse reply = CROFT__V1__LIST_ABUSE_CASES_RESPONSE__INIT;
	size_t n = r->n < r->page.size ? r->n : r->page.size;
	_cleanup_free_ struct abuse_case_message *messages = calloc(n + 1, sizeof(*messages));
	_cleanup_free_ Croft__V1__AbuseCase **list = calloc(n + 1, sizeof(*list));
	char token[PAGE_TOKEN_SIZE];
	char key[PAGE_KEY_SIZE];
	struct err err;

	if (!messages || !list) {
		err_oom(&err);
		grpc_fail(r->call, &err);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		abuse_convert(&r->records[i], &messages[i]);
		list[i] = &messages[i].msg;
	}
	if (r->n > n) {
		snprintf(key, sizeof(key), "%" PRIu64, r->records[n - 1].number);
		reply.next_page_token = (char *)page_token("abuse", key, token);
	}
	reply.n_cases = n;
	reply.cases = list;
	grpc_reply(r->call, &reply.base);
}

static void on_read(void *arg, const struct err *err)
{
	struct reading *r = arg;
	struct abuse_case_message message;
	struct err failure;

	if (err) {
		reading_fail(r, err);
	} else if (!r->single) {
		reply_list(r);
	} else if (!r->n) {
		err_set(&failure, ERR_NOT_FOUND, "ABUSE_CASE_NOT_FOUND",
			"there is no case of abuse %" PRIu64 "; croft abuse list has them",
			r->number);
		reading_fail(r, &failure);
	} else if (r->mutation) {
		mutation_reply(r->mutation, abuse_convert(&r->records[0], &message));
	} else {
		grpc_reply(r->call, abuse_convert(&r->records[0], &message));
	}
	reading_free(r);
}

/* call NULL: for a mutation, which it answers. */
static void read_case(
	struct server *server, struct grpc_call *call, struct mutation *m, uint64_t number)
{
	struct reading *r = calloc(1, sizeof(*r));
	struct err err;

	if (r)
		r->records = calloc(1, sizeof(*r->records));
	if (!r || !r->records) {
		free(r);
		err_oom(&err);
		if (m)
			mutation_fail(m, &err);
		else
			grpc_fail(call, &err);
		return;
	}
	r->server = server;
	r->call = call ? grpc_call_ref(call) : NULL;
	r->mutation = m;
	r->single = true;
	r->number = number;
	db_read(server->db, read_records, on_read, r);
}

static void get_case(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__GetAbuseCaseRequest *request = (const void *)message;

	read_case(grpc_call_app(call), call, NULL, request->number);
}

static int read_page(
	const Croft__V1__ListAbuseCasesRequest *request, struct reading *r, struct err *err)
{
	int parsed = page_parse("abuse", request->page_size, request->page_token, &r->page, err);

	if (parsed == 0 && *request->tenant)
		parsed = name_parse_resource(request->tenant, r->tenant, NULL, err);
	if (parsed < 0)
		return parsed;
	r->after = strtoull(r->page.after, NULL, 10);
	r->records = calloc(r->page.size + 1, sizeof(*r->records));
	return r->records ? 0 : err_oom(err);
}

static void list_cases(struct grpc_call *call, const ProtobufCMessage *message)
{
	struct reading *r = calloc(1, sizeof(*r));
	struct err err;

	if (!r) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	r->server = grpc_call_app(call);
	r->call = grpc_call_ref(call);
	if (read_page((const void *)message, r, &err) < 0) {
		grpc_fail(call, &err);
		reading_free(r);
		return;
	}
	db_read(r->server->db, read_records, on_read, r);
}

/* --- evidence --- */

struct evidence {
	struct grpc_call *call; /* a reference */
	uint64_t number;
	uint8_t *bundle; /* owned: packed, as it was stored */
	size_t size;
};

static int take_bundle(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct evidence *e = arg;
	const void *data = sqlite3_column_blob(row, 0);
	int size = sqlite3_column_bytes(row, 0);

	if (!data || size <= 0)
		return 0;
	e->bundle = malloc((size_t)size);
	if (!e->bundle)
		return err_oom(err);
	memcpy(e->bundle, data, (size_t)size);
	e->size = (size_t)size;
	return 0;
}

static int read_bundle(struct db *db, void *arg, struct err *err)
{
	struct evidence *e = arg;

	return db_query(db, "SELECT bundle FROM abuse_evidence WHERE number = ?1", take_bundle, e,
		err, "u", e->number);
}

static void on_bundle(void *arg, const struct err *err)
{
	struct evidence *e = arg;
	struct err failure;

	if (err) {
		grpc_fail(e->call, err);
	} else if (!e->bundle) {
		err_set(&failure, ERR_NOT_FOUND, "ABUSE_EVIDENCE_NOT_FOUND",
			"there is no evidence of case %" PRIu64
			"; the last %u cases of a tenant have some",
			e->number, ABUSE_EVIDENCE_OF_TENANT);
		grpc_fail(e->call, &failure);
	} else {
		grpc_reply_packed(e->call, e->bundle, e->size);
	}
	grpc_call_unref(e->call);
	free(e->bundle);
	free(e);
}

static void get_evidence(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__GetAbuseEvidenceRequest *request = (const void *)message;
	struct server *server = grpc_call_app(call);
	struct evidence *e = calloc(1, sizeof(*e));
	struct err err;

	if (!e) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	e->call = grpc_call_ref(call);
	e->number = request->number;
	db_read(server->db, read_bundle, on_bundle, e);
}

/* --- lifting --- */

static void lift_case(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__LiftAbuseCaseRequest *request = (const void *)message;
	struct mutation *m = mutation_begin(call, message, request->request_id);
	struct abuse_case *one;
	struct err err;

	if (!m)
		return;
	one = abuse_case_find(m->server, request->number);
	if (!one) {
		read_case(m->server, NULL, m, request->number);
	} else if (one->acting) {
		err_set(&err, ERR_ABORTED, "ABUSE_CASE_BUSY",
			"something is being done about case %" PRIu64 "; try again",
			request->number);
		mutation_fail(m, &err);
	} else {
		abuse_case_end(one, "lifted", m);
	}
}

const struct grpc_handler svc_abuse_handlers[] = {
	{.path = "/croft.v1.Abuse/GetAbuseRules", .start = get_rules},
	{.path = "/croft.v1.Abuse/ReloadAbuseRules", .start = reload_rules},
	{.path = "/croft.v1.Abuse/ListAbuseCases", .start = list_cases},
	{.path = "/croft.v1.Abuse/GetAbuseCase", .start = get_case},
	{.path = "/croft.v1.Abuse/GetAbuseEvidence", .start = get_evidence},
	{.path = "/croft.v1.Abuse/LiftAbuseCase", .start = lift_case},
	{.path = NULL},
};

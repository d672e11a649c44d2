/* Usage.VerifyUsage: tenant after tenant, in steps that let commits through. */
#include "server/svc.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/auth.h"
#include "server/grpc_turns.h"
#include "server/ledger_verify.h"

#include "croft/v1/usage.pb-c.h"

#include <inttypes.h>
#include <string.h>

struct verification {
	struct turns turns;
	struct server *server;
	char tenant_uid[UID_SIZE]; /* "": all */
	char tenant[NAME_SIZE];	   /* the present one's, as its last run has it */
	struct ledger_verifier verifier;
	bool begun; /* the present tenant */
	bool done;
};

static void verification_free(struct turns *turns)
{
	free(turns);
}

static int take_name(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	db_column_text(row, 0, arg, NAME_SIZE);
	return 0;
}

/* The next tenant that has a chain. */
static int next_tenant(struct db *db, struct verification *v, struct err *err)
{
	struct ledger_chain chain = {.key = v->verifier.chain.key};
	int r = 0;

	if (!v->tenant_uid[0])
		r = ledger_chain_after(db, v->verifier.chain.key, &chain, err);
	else if (!chain.key)
		r = ledger_chain_of(db, v->tenant_uid, &chain, err);
	else
		chain.key = 0;
	memset(&v->verifier, 0, sizeof(v->verifier));
	v->verifier.chain = chain;
	v->begun = r == 0 && chain.key;
	v->done = !v->begun;
	return r < 0 || v->done ? r
				: db_query(db,
					  "SELECT tenant FROM runs WHERE tenant_uid = ?1"
					  " ORDER BY key DESC LIMIT 1",
					  take_name, v->tenant, err, "s", chain.tenant_uid);
}

static int read_step(struct db *db, void *arg, struct err *err)
{
	struct verification *v = arg;

	return v->begun ? ledger_verify_step(db, &v->verifier, err) : next_tenant(db, v, err);
}

static void send_verified(struct verification *v)
{
	Croft__V1__VerifiedUsage out = CROFT__V1__VERIFIED_USAGE__INIT;
	char *problems[LEDGER_PROBLEMS_MAX];
	struct ledger_verifier *done = &v->verifier;

	out.n_problems = done->n_problems < LEDGER_PROBLEMS_MAX ? done->n_problems
								: LEDGER_PROBLEMS_MAX;
	for (size_t i = 0; i < out.n_problems; i++)
		problems[i] = done->problems[i];
	out.problems = problems;
	out.problem_count = done->n_problems;
	out.tenant = v->tenant;
	out.tenant_uid = done->chain.tenant_uid;
	out.records = done->records;
	out.recomputed = done->recomputed;
	out.head = done->hash;
	if (done->n_problems)
		log_error("ledger-not-proven tenant=%s problems=%" PRIu64 " first=\"%s\"",
			v->tenant, done->n_problems, done->problems[0]);
	grpc_send(v->turns.call, &out.base);
}

static void on_step(void *arg, const struct err *err);

static void go_on(struct turns *turns)
{
	struct verification *v = (struct verification *)turns;

	if (v->done) {
		turns_finish(turns);
		return;
	}
	if (!grpc_call_writable(turns->call))
		return;
	turns->pending = true;
	db_read(v->server->db, read_step, on_step, v);
}

static void on_step(void *arg, const struct err *err)
{
	struct verification *v = arg;

	if (!turns_back(&v->turns, err))
		return;
	if (v->begun && v->verifier.done) {
		send_verified(v);
		v->begun = false;
	}
	go_on(&v->turns);
}

static void verify_usage(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__VerifyUsageRequest *request = (const void *)message;
	struct verification *v = calloc(1, sizeof(*v));
	struct tenant *t = NULL;
	struct err err;

	if (!v) {
		err_oom(&err);
		grpc_fail(call, &err);
		return;
	}
	v->turns.go_on = go_on;
	v->turns.free = verification_free;
	v->server = grpc_call_app(call);
	turns_begin(&v->turns, call);
	if (auth_scope(v->server, grpc_call_peer(call), request->tenant, &t, &err) < 0) {
		turns_fail(&v->turns, &err);
		return;
	}
	if (t)
		memcpy(v->tenant_uid, t->uid, sizeof(v->tenant_uid));
	go_on(&v->turns);
}

const struct grpc_handler svc_usage_verify_handlers[] = {
	{.path = "/croft.v1.Usage/VerifyUsage",
		.start = verify_usage,
		.writable = turns_writable,
		.cancelled = turns_cancelled},
	{.path = NULL},
};

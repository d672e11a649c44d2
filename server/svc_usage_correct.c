/* Usage.CorrectUsage: an operator's correction of a closed record, with its event, in one commit.
 */
#include "server/svc.h"

#include "base/log.h"
#include "server/auth.h"
#include "server/convert.h"
#include "server/details.h"
#include "server/events.h"
#include "server/ledger_correct.h"
#include "server/mutation.h"
#include "server/record_message.h"
#include "server/tenant_update.h"

#include "croft/v1/usage.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct request {
	struct mutation *mutation;
	struct tenant *tenant; /* a reference */
	struct db_tx *tx;      /* owned: the event, then the stored reply */
	struct ledger_correction correction;
	struct record_message record;
};

static void request_free(struct request *q)
{
	if (q->tenant)
		tenant_unref(q->tenant);
	db_tx_free(q->tx);
	free(q);
}

/* --- what is asked for --- */

static int read_reason(
	const Croft__V1__CorrectUsageRequest *asked, struct ledger_correction *c, struct err *err)
{
	int r = tenant_check_text("reason", asked->reason, LEDGER_NOTE_MAX, err);

	if (r == 0 && !asked->reason[strspn(asked->reason, " ")])
		r = err_set_subject(err, ERR_INVALID_ARGUMENT, "REASON_MISSING", "reason",
			"say why it is corrected: the reason stays on the record, and the tenant "
			"sees it");
	if (r == 0)
		snprintf(c->reason, sizeof(c->reason), "%s", asked->reason);
	return r;
}

static int read_resource(const struct model *model, const Croft__V1__CorrectUsageRequest *asked,
	struct ledger_correction *c, struct tenant **ret_tenant, struct err *err)
{
	char tenant[NAME_SIZE];
	int r = name_parse_resource(asked->name, tenant, c->name, err);
	struct tenant *t;

	if (r < 0)
		return r;
	if (asked->resource_uid[0] && (c->name[0] || strlen(asked->resource_uid) >= sizeof(c->uid)))
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "RESOURCE_INVALID",
			"resource_uid",
			"a resource_uid is 32 digits, and the name beside it is tenants/{t}");
	t = model_any_tenant(model, tenant);
	if (!t || !t->visible)
		return model_no_tenant(tenant, err);
	*ret_tenant = t;
	memcpy(c->tenant_uid, t->uid, sizeof(c->tenant_uid));
	snprintf(c->uid, sizeof(c->uid), "%s", asked->resource_uid);
	snprintf(c->resource, sizeof(c->resource), "%s", asked->name);
	return 0;
}

static int read_hour(
	const Croft__V1__CorrectUsageRequest *asked, struct ledger_correction *c, struct err *err)
{
	int64_t moment;
	int r;

	if (!asked->hour)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "TIME_INVALID", "hour",
			"say which hour is to be corrected: any moment of it");
	r = convert_time_back(asked->hour, &moment, err);
	if (r == 0)
		c->hour_usec = ledger_hour_of(moment);
	return r;
}

static int read_request(
	struct request *q, const Croft__V1__CorrectUsageRequest *asked, struct err *err)
{
	struct ledger_correction *c = &q->correction;
	struct tenant *t = NULL;
	struct actor caller;
	int r = read_resource(&q->mutation->server->model, asked, c, &t, err);

	if (r == 0)
		r = ledger_correction_meter(asked->meter, &c->meter, err);
	if (r == 0)
		r = ledger_correction_amount(asked->amount, &c->negative, &c->amount, err);
	if (r == 0)
		r = read_hour(asked, c, err);
	if (r == 0)
		r = read_reason(asked, c, err);
	if (r == 0 && strlen(asked->record_id) >= sizeof(c->record_id))
		r = err_set_subject(err, ERR_INVALID_ARGUMENT, "RECORD_INVALID", "record_id",
			"a record_id is 32 digits, as usage export shows it");
	if (r < 0)
		return r;
	snprintf(c->record_id, sizeof(c->record_id), "%s", asked->record_id);
	auth_actor(grpc_call_peer(q->mutation->call), &caller);
	memcpy(c->actor, caller.name, sizeof(c->actor));
	if (gethostname(c->host, sizeof(c->host) - 1) < 0)
		c->host[0] = '\0';
	q->tenant = tenant_ref(t);
	return 0;
}

static void add_event(struct request *q, const char *amount)
{
	const struct ledger_correction *c = &q->correction;
	const struct ledger_meter *meter = &ledger_meters[c->meter];
	char hour[CLOCK_TEXT_MAX];
	struct details d;

	details_init(&d);
	details_text(&d, "resource", c->resource);
	details_text(&d, "resource_uid", c->uid);
	details_text(&d, "meter", meter->name);
	details_text(&d, "amount", amount);
	details_text(&d, "unit", meter->unit);
	details_text(&d, "hour", clock_format(c->hour_usec, hour));
	details_text(&d, "reason", c->reason);
	events_add_tenant(q->tx, q->tenant, "tenant.usage_corrected", details_end(&d),
		"%s of %s was corrected by %s %s: %s", meter->name, c->resource, amount,
		meter->unit, c->reason);
}

/* --- the change --- */

/* On the database's thread. */
static int correct(struct db *db, void *arg, struct err *err)
{
	struct request *q = arg;
	struct ledger_correction *c = &q->correction;
	int r = ledger_correct(db, c, err);

	if (r == 0)
		r = record_message_fill(
			&c->entry, c->meter, true, c->entry.prev_hash, &q->record, err);
	if (r < 0)
		return r;
	mutation_store_reply(q->mutation, q->tx, &q->record.msg.base);
	return db_tx_run(db, q->tx, err);
}

static void on_corrected(void *arg, const struct err *err)
{
	struct request *q = arg;

	if (err) {
		mutation_fail(q->mutation, err);
	} else {
		log_info("usage-corrected tenant=%s meter=%s amount=%s record=%s",
			q->correction.entry.tenant, q->record.msg.meter, q->record.msg.quantity,
			q->record.msg.record_id);
		mutation_reply(q->mutation, &q->record.msg.base);
	}
	request_free(q);
}

static void correct_usage(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__CorrectUsageRequest *asked = (const void *)message;
	struct mutation *m = mutation_begin(call, message, asked->request_id);
	struct request *q;
	struct err err;

	if (!m)
		return;
	q = calloc(1, sizeof(*q));
	if (!q) {
		err_oom(&err);
		mutation_fail(m, &err);
		return;
	}
	q->mutation = m;
	if (read_request(q, asked, &err) < 0) {
		mutation_fail(m, &err);
		request_free(q);
		return;
	}
	q->tx = db_tx_new();
	mutation_set_actor(m, q->tx);
	add_event(q, asked->amount);
	db_change(m->server->db, correct, on_corrected, q);
}

const struct grpc_handler svc_usage_correct_handlers[] = {
	{.path = "/croft.v1.Usage/CorrectUsage", .start = correct_usage},
	{.path = NULL},
};

/* Fills messages; see record_message.h. Every way out shows a record by this: the same everywhere.
 */
#include "server/record_message.h"

#include "server/convert.h"
#include "server/ledger_meters.h"

int record_message_fill(const struct ledger_entry *entry, size_t meter, bool final,
	const char *prev_hash, struct record_message *ret, struct err *err)
{
	const struct ledger_meter *m = &ledger_meters[meter];
	Croft__V1__UsageRecord *out = &ret->msg;
	int r = ledger_record_make(entry, meter, prev_hash, &ret->record, err);

	if (r < 0)
		return r;
	croft__v1__usage_record__init(out);
	convert_time(entry->window_start_usec, &ret->start);
	convert_time(entry->window_end_usec, &ret->end);
	convert_time(entry->finalized_usec, &ret->finalized);
	out->record_id = ret->record.id;
	out->tenant = (char *)entry->tenant;
	out->account_ref = (char *)entry->account_ref;
	out->resource = (char *)entry->resource;
	out->resource_uid = (char *)entry->resource_uid;
	out->run_id = (char *)entry->run_id;
	out->meter = (char *)m->name;
	out->quantity = ret->record.quantity;
	out->unit = (char *)m->unit;
	out->aggregation = (char *)m->aggregation;
	out->window_start = &ret->start;
	out->window_end = &ret->end;
	out->boot_id = (char *)entry->boot_id;
	out->counter_start = entry->figures.counter_start[meter];
	out->counter_end = entry->figures.counter_end[meter];
	out->samples = entry->figures.samples;
	out->final = final;
	out->host = (char *)entry->host;
	out->plan = (char *)entry->plan;
	out->kind = (char *)(entry->revision ? "correction" : "usage");
	out->corrects = ret->record.corrects;
	out->revision = entry->revision;
	out->reason = ret->record.reason;
	out->finalized_at = entry->finalized_usec ? &ret->finalized : NULL;
	out->prev_hash = ret->record.prev_hash;
	out->record_hash = ret->record.hash;
	out->slots = ret->record.slots;
	out->tenant_uid = (char *)entry->tenant_uid;
	return 0;
}

/* A record of the ledger as a message. */
#pragma once

#include "server/ledger_record.h"

#include "croft/v1/usage.pb-c.h"

struct record_message {
	Croft__V1__UsageRecord msg;
	struct ledger_record record;
	Google__Protobuf__Timestamp start;
	Google__Protobuf__Timestamp end;
	Google__Protobuf__Timestamp finalized;
};

/*
 * Fills in the record of one of an entry's meters, as ledger_record_make(). The message points into
 * the entry and into *ret, neither of which may move before it is sent. Returns 0 or -EIO.
 */
int record_message_fill(const struct ledger_entry *entry, size_t meter, bool final,
	const char *prev_hash, struct record_message *ret, struct err *err);

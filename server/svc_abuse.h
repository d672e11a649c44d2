/* The message of a case. */
#pragma once

#include "base/name.h"
#include "server/store_abuse.h"

#include "croft/v1/abuse.pb-c.h"

struct abuse_case_message {
	Croft__V1__AbuseCase msg;
	Google__Protobuf__Timestamp begin;
	Google__Protobuf__Timestamp end;
	char resource[RESOURCE_SIZE];
};

/* Points into both, so it is to be packed or sent before either changes. */
const ProtobufCMessage *abuse_convert(
	const struct abuse_record *record, struct abuse_case_message *out);

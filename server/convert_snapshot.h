/* A snapshot as the API's message; see convert.h for how long it lives. */
#pragma once

#include "croft/v1/snapshots.pb-c.h"
#include "server/convert.h"
#include "server/snapshot.h"

struct snapshot_message {
	Croft__V1__Snapshot msg;
	struct limits_message limits;
	Google__Protobuf__Timestamp created;
	Google__Protobuf__Timestamp expires;
	char name[RESOURCE_SIZE];
	char image[RESOURCE_SIZE];
	char policy[RESOURCE_SIZE];
};

const ProtobufCMessage *convert_snapshot(
	const struct snapshot *snapshot, struct snapshot_message *out);

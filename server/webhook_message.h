/* A webhook as a message of the API. */
#pragma once

#include "server/webhook.h"

#include "croft/v1/webhooks.pb-c.h"

struct webhook_message {
	Croft__V1__Webhook msg;
	char name[RESOURCE_SIZE];
	char tenant[RESOURCE_SIZE];
	char *types[WEBHOOK_TYPES_MAX];
	Google__Protobuf__Timestamp created;
	Google__Protobuf__Timestamp old_until;
	Google__Protobuf__Timestamp success;
	Google__Protobuf__Timestamp error;
	Google__Protobuf__Timestamp failing;
	Google__Protobuf__Timestamp next;
	Google__Protobuf__Timestamp since;
};

/* Points into the webhook. The secret is in it only where with_secret. */
void webhook_message_fill(const struct webhook *w, bool with_secret, struct webhook_message *ret);

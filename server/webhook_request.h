/* What requests say of webhooks, checked. */
#pragma once

#include "server/grpc.h"
#include "server/webhook.h"

#include "croft/v1/webhooks.pb-c.h"

/*
 * Fills a new webhook: what it is sent, its receiver, its secret, whether it is disabled. Returns
 * 0, or -errno and an error for the client; the webhook is the caller's to free then, too.
 */
int webhook_request_create(struct webhook *webhook, const struct grpc_call *call,
	const Croft__V1__CreateWebhookRequest *request, struct err *err);
/*
 * Changes what the request's mask names, but for `disabled`, which is the caller's: *ret_switches
 * says whether it is named. On failure some of it may have been changed.
 */
int webhook_request_update(struct webhook_target *target,
	const Croft__V1__UpdateWebhookRequest *request, bool *ret_switches, struct err *err);
/* Takes the secret that is given, or ("") makes one. */
int webhook_request_secret(struct webhook_target *target, const char *given, struct err *err);

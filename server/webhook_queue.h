/*
 * Sends what webhooks wait for. What waits is on record anyway, behind each one's cursor: nothing
 * is copied, and nothing is lost with croftd.
 */
#pragma once

#include "server/http_post.h"
#include "server/webhook.h"

int webhook_queue_create(struct server *server, struct err *err);
/* When the database calls back no more: ends transfers, and forgets the webhooks. */
void webhook_queue_destroy(struct server *server);

/* Something was committed: there may be something to send. */
void webhook_queue_wake(struct server *server);
/* It was made, or enabled, or leads elsewhere: it is tried now. */
void webhook_queue_kick(struct webhook *w);
/* It was taken out of the map: it is freed, now or when what is under way has come back. */
void webhook_queue_forget(struct webhook *w);

/* Makes it ready to be sent to. Returns 0 or -ENOMEM. */
int webhook_queue_admit(struct webhook *w, struct err *err);

/* The header lines of a message; see webhook_sign.h. */
struct webhook_headers {
	char id[80];
	char timestamp[48];
	char signature[2 * WEBHOOK_SIGNATURE_SIZE + 32];
	const char *list[5];
};
int webhook_headers_fill(const struct webhook *w, const char *id, const void *body, size_t size,
	struct webhook_headers *ret, struct err *err);
/* Posts a message to a webhook's receiver; as http_post_start(). */
int webhook_post(struct webhook *w, const char *id, const char *body, size_t size,
	void (*done)(void *arg, const struct http_post_result *result), void *arg,
	struct http_post **ret, struct err *err);
/*
 * Sends a message that is only a test, and answers the request with what came of it. One at a time
 * a webhook: ABORTED / WEBHOOK_BUSY.
 */
struct mutation;
void webhook_test_start(struct webhook *w, struct mutation *m);
/* Ends it, if there is one. */
void webhook_test_cancel(struct webhook *w);

/* What a result comes to, for people: "" when the message was taken. */
const char *webhook_verdict(
	const struct http_post_result *result, char out[static WEBHOOK_ERROR_SIZE]);
bool webhook_is_taken(const struct http_post_result *result);
/* What this host is called in messages. */
const char *webhook_host(const struct server *server);

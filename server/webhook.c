/* The webhooks of the model; see webhook.h. Writes nothing. */
#include "server/webhook.h"

#include "server/webhook_batch.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct webhook *webhook_add(struct server *server, const char *name)
{
	struct webhook *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->server = server;
	snprintf(w->name, sizeof(w->name), "%s", name);
	model_make_uid(w->uid);
	map_insert(&server->webhooks, &w->by_name, w->name);
	return w;
}

void webhook_remove(struct webhook *w)
{
	map_remove(&w->server->webhooks, &w->by_name);
}

void webhook_free(struct webhook *w)
{
	if (w->timer)
		event_free(w->timer);
	webhook_batch_destroy(w->batch);
	webhook_target_finish(&w->target);
	free(w);
}

struct webhook *webhook_any(const struct server *server, const char *name)
{
	struct map_node *node = map_find(&server->webhooks, name);

	return node ? map_object(node, struct webhook, by_name) : NULL;
}

int webhook_find(
	const struct server *server, const char *resource, struct webhook **ret, struct err *err)
{
	char name[NAME_SIZE];
	int r = name_parse_in("webhooks", resource, name, err);
	struct webhook *w;

	if (r < 0)
		return r;
	w = webhook_any(server, name);
	if (!w || !w->visible)
		return err_set_subject(err, ERR_NOT_FOUND, "WEBHOOK_NOT_FOUND", "webhook",
			"there is no webhook \"%s\"", name);
	*ret = w;
	return 0;
}

int webhook_target_copy(const struct webhook_target *from, struct webhook_target *ret)
{
	char *ca = from->ca_pem ? strdup(from->ca_pem) : NULL;

	if (from->ca_pem && !ca)
		return -ENOMEM;
	*ret = *from;
	ret->ca_pem = ca;
	return 0;
}

void webhook_target_finish(struct webhook_target *target)
{
	free(target->ca_pem);
	OPENSSL_cleanse(target, sizeof(*target));
}

bool webhook_feed_wants(const struct webhook_feed *feed, const char *type)
{
	for (size_t i = 0; i < feed->n_types; i++)
		if (!strncmp(type, feed->types[i], strlen(feed->types[i])))
			return true;
	return !feed->n_types;
}

const char *webhook_types_write(
	const struct webhook_feed *feed, char out[static WEBHOOK_TYPES_TEXT_SIZE])
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < feed->n_types; i++)
		n += (size_t)snprintf(
			out + n, WEBHOOK_TYPES_TEXT_SIZE - n, "%s%s", i ? " " : "", feed->types[i]);
	return out;
}

int webhook_feed_add_type(struct webhook_feed *feed, const char *type, struct err *err)
{
	size_t len = strlen(type);

	if (feed->n_types == WEBHOOK_TYPES_MAX)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "TYPE_INVALID", "types",
			"a webhook is for at most %d types of events", WEBHOOK_TYPES_MAX);
	if (!len || len >= WEBHOOK_TYPE_SIZE ||
		strspn(type, "abcdefghijklmnopqrstuvwxyz0123456789._") != len)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "TYPE_INVALID", "types",
			"\"%.40s\" is not how a type of events begins; write container. or "
			"tenant.suspended",
			type);
	memcpy(feed->types[feed->n_types++], type, len + 1);
	return 0;
}

int webhook_types_read(struct webhook_feed *feed, const char *text, struct err *err)
{
	char type[WEBHOOK_TYPE_SIZE];
	int r = 0;

	while (r == 0 && *text) {
		size_t len = strcspn(text, " ");

		snprintf(type, sizeof(type), "%.*s", (int)len, text);
		r = webhook_feed_add_type(feed, type, err);
		text += len + (text[len] == ' ');
	}
	return r;
}

/* Webhooks as messages; see webhook_message.h. A secret is shown where it was made, and never else.
 */
#include "server/webhook_message.h"

#include "server/convert.h"

#include <stdio.h>
#include <string.h>

static Google__Protobuf__Timestamp *time_of(int64_t wall_usec, Google__Protobuf__Timestamp *out)
{
	if (!wall_usec)
		return NULL;
	convert_time(wall_usec, out);
	return out;
}

static void fill_state(const struct webhook *w, struct webhook_message *ret)
{
	const struct webhook_state *s = &w->state;
	Croft__V1__Webhook *out = &ret->msg;

	out->disabled = *s->disabled;
	out->disabled_reason = (char *)s->disabled;
	out->last_success_time = time_of(s->success_wall_usec, &ret->success);
	out->last_error = (char *)s->error;
	out->last_error_time = time_of(s->error_wall_usec, &ret->error);
	out->last_status = (uint32_t)s->status;
	out->attempts = s->attempts;
	out->failing_since = time_of(s->failing_wall_usec, &ret->failing);
	if (!*s->disabled)
		out->next_attempt_time = time_of(s->next_wall_usec, &ret->next);
}

void webhook_message_fill(const struct webhook *w, bool with_secret, struct webhook_message *ret)
{
	const struct webhook_target *target = &w->target;
	Croft__V1__Webhook *out = &ret->msg;

	memset(ret, 0, sizeof(*ret));
	croft__v1__webhook__init(out);
	snprintf(ret->name, sizeof(ret->name), "webhooks/%s", w->name);
	out->name = ret->name;
	out->uid = (char *)w->uid;
	out->url = (char *)target->url;
	out->source = w->feed.source == WEBHOOK_USAGE ? CROFT__V1__WEBHOOK__SOURCE__USAGE
						      : CROFT__V1__WEBHOOK__SOURCE__EVENTS;
	if (*w->feed.tenant)
		snprintf(ret->tenant, sizeof(ret->tenant), "tenants/%s", w->feed.tenant);
	out->tenant = ret->tenant;
	for (size_t i = 0; i < w->feed.n_types; i++)
		ret->types[i] = (char *)w->feed.types[i];
	out->n_types = w->feed.n_types;
	out->types = ret->types;
	out->insecure_http = target->insecure_http;
	if (target->ca_pem)
		out->ca_pem = target->ca_pem;
	out->create_time = time_of(w->created_wall_usec, &ret->created);
	if (with_secret)
		out->secret = (char *)target->secret;
	if (*target->old_secret && target->old_secret_until_wall_usec > clock_wall_usec())
		out->old_secret_until = time_of(
			target->old_secret_until_wall_usec, &ret->old_until);
	fill_state(w, ret);
}

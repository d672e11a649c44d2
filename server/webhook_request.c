/* What requests say of webhooks; see webhook_request.h. */
#include "server/webhook_request.h"

#include "server/auth.h"
#include "server/server.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

static int bad_ca(struct err *err)
{
	return err_set_subject(err, ERR_INVALID_ARGUMENT, "CA_INVALID", "ca_pem",
		"the CA file has no certificate in PEM, or more than %d KiB",
		WEBHOOK_CA_MAX / 1024);
}

static int set_ca(struct webhook_target *target, const char *pem, struct err *err)
{
	BIO *bio;
	X509 *cert;
	char *copy;

	if (*pem) {
		bio = strlen(pem) > WEBHOOK_CA_MAX ? NULL : BIO_new_mem_buf(pem, -1);
		cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
		BIO_free(bio);
		ERR_clear_error();
		if (!cert)
			return bad_ca(err);
		X509_free(cert);
	}
	copy = *pem ? strdup(pem) : NULL;
	if (*pem && !copy)
		return err_oom(err);
	free(target->ca_pem);
	target->ca_pem = copy;
	return 0;
}

int webhook_request_secret(struct webhook_target *target, const char *given, struct err *err)
{
	int r;

	if (!*given)
		return webhook_secret_make(target->secret, err);
	r = webhook_secret_check(given, err);
	if (r == 0)
		snprintf(target->secret, sizeof(target->secret), "%s", given);
	return r;
}

static int check_url(const struct webhook_target *target, struct err *err)
{
	bool loopback_only;

	return webhook_url_check(target->url, target->insecure_http, &loopback_only, err);
}

static int set_url(struct webhook_target *target, const char *url, struct err *err)
{
	if (strlen(url) > WEBHOOK_URL_MAX)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "URL_INVALID", "url",
			"the receiver's URL has more than %d characters", WEBHOOK_URL_MAX);
	snprintf(target->url, sizeof(target->url), "%s", url);
	return 0;
}

static int read_feed(const struct grpc_call *call, const Croft__V1__Webhook *msg,
	struct webhook_feed *feed, struct err *err)
{
	struct tenant *t;
	int r = auth_scope(grpc_call_app(call), grpc_call_peer(call), msg->tenant, &t, err);

	if (r < 0)
		return r;
	if (msg->source != CROFT__V1__WEBHOOK__SOURCE__USAGE &&
		msg->source != CROFT__V1__WEBHOOK__SOURCE__EVENTS)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "SOURCE_MISSING", "source",
			"say what the webhook is sent: usage or events");
	feed->source = msg->source == CROFT__V1__WEBHOOK__SOURCE__USAGE ? WEBHOOK_USAGE
									: WEBHOOK_EVENTS;
	if (t) {
		memcpy(feed->tenant, t->name, sizeof(feed->tenant));
		memcpy(feed->tenant_uid, t->uid, sizeof(feed->tenant_uid));
	}
	if (msg->n_types && feed->source == WEBHOOK_USAGE)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "TYPE_INVALID", "types",
			"types are of events; usage is sent whole");
	for (size_t i = 0; r == 0 && i < msg->n_types; i++)
		r = webhook_feed_add_type(feed, msg->types[i], err);
	return r;
}

int webhook_request_create(struct webhook *w, const struct grpc_call *call,
	const Croft__V1__CreateWebhookRequest *request, struct err *err)
{
	const Croft__V1__Webhook *msg = request->webhook;
	int r = read_feed(call, msg, &w->feed, err);

	w->target.insecure_http = msg->insecure_http;
	if (r == 0)
		r = set_url(&w->target, msg->url, err);
	if (r == 0)
		r = check_url(&w->target, err);
	if (r == 0)
		r = set_ca(&w->target, msg->ca_pem, err);
	if (r == 0)
		r = webhook_request_secret(&w->target, request->secret, err);
	if (msg->disabled)
		strcpy(w->state.disabled, "operator");
	return r;
}

static int set_path(struct webhook_target *target, const Croft__V1__Webhook *msg, const char *path,
	struct err *err)
{
	if (!strcmp(path, "url"))
		return set_url(target, msg->url, err);
	if (!strcmp(path, "ca_pem"))
		return set_ca(target, msg->ca_pem, err);
	if (!strcmp(path, "insecure_http"))
		target->insecure_http = msg->insecure_http;
	else if (strcmp(path, "disabled") != 0)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "MASK_INVALID", "update_mask",
			"\"%.40s\" cannot be changed; url, ca_pem, insecure_http and disabled can, "
			"and for anything else make another webhook",
			path);
	return 0;
}

int webhook_request_update(struct webhook_target *target,
	const Croft__V1__UpdateWebhookRequest *request, bool *ret_switches, struct err *err)
{
	const Google__Protobuf__FieldMask *mask = request->update_mask;
	int r = 0;

	*ret_switches = false;
	if (!mask || !mask->n_paths)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "MASK_MISSING", "update_mask",
			"the request does not say what is to be changed");
	for (size_t i = 0; r == 0 && i < mask->n_paths; i++) {
		r = set_path(target, request->webhook, mask->paths[i], err);
		*ret_switches |= !strcmp(mask->paths[i], "disabled");
	}
	return r < 0 ? r : check_url(target, err);
}

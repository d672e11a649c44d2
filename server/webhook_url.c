/* URLs by libcurl's own parser, so that what is checked is what is used; see webhook_url.h. */
#include "server/webhook_url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <string.h>

static int bad(struct err *err, const char *what)
{
	return err_set_subject(
		err, ERR_INVALID_ARGUMENT, "URL_INVALID", "url", "the receiver's URL %s", what);
}

static bool has(CURLU *u, CURLUPart part)
{
	char *text = NULL;
	bool there = curl_url_get(u, part, &text, 0) == CURLUE_OK;

	curl_free(text);
	return there;
}

static bool is(CURLU *u, CURLUPart part, const char *value)
{
	char *text = NULL;
	bool same = curl_url_get(u, part, &text, 0) == CURLUE_OK && !strcmp(text, value);

	curl_free(text);
	return same;
}

/* By what it says; that it is so is looked at once more when the connection is made. */
static bool is_loopback(CURLU *u)
{
	struct in_addr address;
	char *host = NULL;
	bool loopback = false;

	if (curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK)
		loopback = !strcmp(host, "localhost") || !strcmp(host, "[::1]") ||
			   (inet_pton(AF_INET, host, &address) == 1 &&
				   ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET);
	curl_free(host);
	return loopback;
}

static int check(CURLU *u, const char *url, bool insecure_http, bool *ret, struct err *err)
{
	bool plain;

	for (const char *p = url; *p; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f)
			return bad(err, "has a space, or a character that must be written as %XX");
	if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK || !has(u, CURLUPART_HOST))
		return bad(err, "is none; write https://HOST/PATH");
	plain = is(u, CURLUPART_SCHEME, "http");
	if (!plain && !is(u, CURLUPART_SCHEME, "https"))
		return bad(err, "must begin with https://");
	if (has(u, CURLUPART_USER) || has(u, CURLUPART_PASSWORD))
		return bad(err, "has a user in it; messages are known by their signature");
	if (has(u, CURLUPART_FRAGMENT))
		return bad(err, "has a fragment (#), which no receiver sees; leave it out");
	if (plain && !insecure_http && !is_loopback(u))
		return bad(err, "is http:// to another host, where whoever is in between reads "
				"what is sent; use https://, or say --insecure-http");
	*ret = plain && !insecure_http;
	return 0;
}

int webhook_url_check(const char *url, bool insecure_http, bool *ret_loopback_only, struct err *err)
{
	CURLU *u;
	int r;

	if (!*url || strlen(url) > WEBHOOK_URL_MAX)
		return bad(err, *url ? "is too long; 1024 characters are the most" : "is missing");
	u = curl_url();
	if (!u)
		return err_oom(err);
	r = check(u, url, insecure_http, ret_loopback_only, err);
	curl_url_cleanup(u);
	return r;
}

/*
 * HTTP requests that croftd makes: POST alone, by libcurl's multi interface on the loop. Whoever
 * answers is a stranger: nothing of the answer is kept but its status, redirects are not followed,
 * and a transfer has an end.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct http_poster;
struct http_post;

#define HTTP_POST_ANSWER_MAX	  65536u /* bytes of a body that are read, and dropped */
#define HTTP_POST_ERROR_SIZE	  256
#define HTTP_POST_HEADERS_MAX	  8
#define HTTP_POST_CONNECTIONS_MAX 64

struct http_post_request {
	const char *url;
	const char *ca_pem;	    /* "": the certificates that the host trusts */
	const char *const *headers; /* "name: value", NULL at the end */
	const char *body;	    /* stays until the end */
	size_t size;
	bool loopback_only;  /* wherever the name leads */
	uint32_t timeout_ms; /* from the beginning to the end of the answer */
};

struct http_post_result {
	long status;			  /* of the answer; 0: there was none */
	int64_t retry_after_s;		  /* as it asks; 0: it does not */
	char error[HTTP_POST_ERROR_SIZE]; /* why there was none */
};
typedef void (*http_post_done_fn)(void *arg, const struct http_post_result *result);

int http_poster_create(struct event_base *base, struct http_poster **ret, struct err *err);
/* Cancels what is under way. NULL is allowed. */
void http_poster_destroy(struct http_poster *poster);

/* Begins one. done is called once, later, unless it is cancelled. Returns 0 or -errno. */
int http_post_start(struct http_poster *poster, const struct http_post_request *request,
	http_post_done_fn done, void *arg, struct http_post **ret, struct err *err);
/* Ends it without a call. NULL is allowed. */
void http_post_cancel(struct http_post *post);

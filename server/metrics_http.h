/*
 * HTTP for scrapers: libevent's evhttp, behind a gate. evhttp alone has no bound on connections,
 * and lets one that sends a byte now and then live for as long as it likes.
 */
#pragma once

#include "base/err.h"
#include "server/metrics_accept.h"

#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct metrics_http;
struct metrics_scrape;

#define METRICS_CONNS_MAX   32u	  /* beyond that, the one that was idle or slow for longest goes */
#define METRICS_SECONDS	    10u	  /* for a request to come in whole, and its answer to be read */
#define METRICS_HEADERS_MAX 8192u /* of a request; 400 beyond */

struct metrics_http_config {
	struct event_base *base;
	/* Answers in that format with metrics_http_reply(), now or later, exactly once. */
	void (*scrape)(void *arg, struct metrics_scrape *scrape, enum metrics_format format);
	/* Whether whoever is on the other end of this socket may read figures. */
	bool (*allowed)(void *arg, int fd);
	void *arg;
	/* 0: as METRICS_CONNS_MAX and METRICS_SECONDS. For tests. */
	unsigned conns_max;
	unsigned seconds;
};

/* Serves on a bound, listening socket, which becomes the server's also on failure. */
int metrics_http_create(const struct metrics_http_config *config, int fd, struct metrics_http **ret,
	struct err *err);
/* Ends every connection. No scrape may be unanswered. NULL is allowed. */
void metrics_http_destroy(struct metrics_http *http);

/*
 * Sends the text, which stays as it is until `sent` is called with arg: at once when the client is
 * gone. data NULL: 503.
 */
void metrics_http_reply(struct metrics_scrape *scrape, const char *data, size_t size,
	void (*sent)(void *arg), void *arg);

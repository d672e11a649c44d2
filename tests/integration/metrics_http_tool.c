/*
 * The listener of /metrics with a page of any size and bounds of any height, for
 * tests/abuse/test_scrapers.py: metrics_http_tool PATH CONNECTIONS SECONDS BYTES
 */
#include "server/listen.h"
#include "server/metrics_http.h"

#include "base/cleanup.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct page {
	char *data;
	size_t size;
};

static void on_sent(void *page)
{
	(void)page;
}

static void on_scrape(void *arg, struct metrics_scrape *scrape, enum metrics_format format)
{
	struct page *page = arg;

	(void)format;
	metrics_http_reply(scrape, page->data, page->size, on_sent, page);
}

static bool is_allowed(void *arg, int fd)
{
	(void)arg;
	(void)fd;
	return true;
}

int main(int argc, char **argv)
{
	struct metrics_http_config config = {.scrape = on_scrape, .allowed = is_allowed};
	struct listener listener;
	struct metrics_http *http;
	char spec[128];
	struct page page;
	struct err err;

	if (argc != 5)
		return 2;
	page.size = strtoul(argv[4], NULL, 10);
	page.data = malloc(page.size);
	if (!page.data)
		return 1;
	memset(page.data, 'x', page.size);
	snprintf(spec, sizeof(spec), "unix:%s", argv[1]);
	config.base = event_base_new();
	config.arg = &page;
	config.conns_max = (unsigned)strtoul(argv[2], NULL, 10);
	config.seconds = (unsigned)strtoul(argv[3], NULL, 10);
	if (listen_open(spec, geteuid(), &listener, &err) < 0 ||
		metrics_http_create(&config, take_fd(&listener.fd), &http, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	event_base_dispatch(config.base);
	return 0;
}

/* Where scrapes come in and pages go out; see metrics.h. */
#include "server/metrics.h"

#include "base/cleanup.h"
#include "server/grpc.h"
#include "server/metrics_http.h"
#include "server/metrics_page.h"

#include <stdlib.h>

struct answer {
	struct server *server;
	struct metrics_scrape *scrape;
};

static void on_sent(void *page)
{
	metrics_page_unref(page);
}

static void on_page(void *arg, struct metrics_page *page)
{
	struct answer *answer = arg;

	if (page)
		answer->server->stats.scrapes++;
	metrics_http_reply(
		answer->scrape, page ? page->data : NULL, page ? page->size : 0, on_sent, page);
	free(answer);
}

static void on_scrape(void *arg, struct metrics_scrape *scrape, enum metrics_format format)
{
	struct server *server = arg;
	struct answer *answer = malloc(sizeof(*answer));

	if (!answer) {
		metrics_http_reply(scrape, NULL, 0, on_sent, NULL);
		return;
	}
	*answer = (struct answer){server, scrape};
	metrics_maker_ask(server->metrics_makers[format], on_page, answer);
}

/* On a unix socket the kernel says who asks; loopback is for whoever is on the host. */
static bool is_allowed(void *arg, int fd)
{
	struct server *server = arg;
	struct grpc_peer peer = {0};
	uint8_t address[16];
	struct err err;

	return grpc_peer_read(fd, &peer, address, &err) == 0 &&
	       (!peer.local || grpc_server_is_operator(server->grpc, &peer));
}

int metrics_create(struct server *server, struct listener *listener, struct err *err)
{
	struct metrics_http_config config = {
		.base = server->base, .scrape = on_scrape, .allowed = is_allowed, .arg = server};
	int r = 0;

	if (listener->fd < 0)
		return 0;
	for (int i = 0; r == 0 && i < METRICS_FORMATS; i++)
		r = metrics_maker_create(
			server, (enum metrics_format)i, &server->metrics_makers[i], err);
	if (r < 0)
		return r;
	return metrics_http_create(&config, take_fd(&listener->fd), &server->metrics_http, err);
}

void metrics_destroy(struct server *server)
{
	for (int i = 0; i < METRICS_FORMATS; i++)
		metrics_maker_destroy(take_ptr(server->metrics_makers[i]));
	metrics_http_destroy(take_ptr(server->metrics_http));
}

/*
 * Making the page of /metrics; see metrics_page.h. First all figures are copied into rows, then
 * they are written, family by family as the format wants it: what changes in between is in the next
 * page. Never does more than a slice of either in one turn.
 */
#include "server/metrics_page.h"

#include "server/link.h"
#include "server/metrics_host.h"
#include "server/metrics_rows.h"
#include "server/sampler.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_A_TURN    128  /* copied: a few microseconds each */
#define SAMPLES_A_TURN 2048 /* written: a fifth of a microsecond each */

struct asker {
	STAILQ_ENTRY(asker) entry;
	void (*done)(void *arg, struct metrics_page *page);
	void *arg;
};

enum phase { IDLE, COPYING, WRITING };

struct metrics_maker {
	struct server *server;
	enum metrics_format format;
	struct event *turn;
	STAILQ_HEAD(, asker) askers;
	enum phase phase;
	struct metrics_page *page; /* the last one; NULL: none */
	uint64_t page_boot_usec;   /* when it was begun */
	/* While one is being made. */
	uint64_t began_boot_usec;
	char tenant[NAME_SIZE];
	char container[NAME_SIZE]; /* where the copying has come to */
	struct metrics_row *rows;
	size_t n_rows;
	size_t room;
	uint64_t left_out; /* beyond METRICS_ROWS_MAX */
	struct metrics_text text;
	bool of_containers;
	bool family_begun;
	size_t family;
	size_t row; /* where the writing has come to */
};

void metrics_page_unref(struct metrics_page *page)
{
	if (!page || --page->refs)
		return;
	free(page->data);
	free(page);
}

static void answer(struct metrics_maker *maker)
{
	STAILQ_HEAD(, asker) askers = STAILQ_HEAD_INITIALIZER(askers);
	struct asker *asker;

	STAILQ_CONCAT(&askers, &maker->askers);
	while ((asker = STAILQ_FIRST(&askers))) {
		STAILQ_REMOVE_HEAD(&askers, entry);
		if (maker->page)
			maker->page->refs++;
		asker->done(asker->arg, maker->page);
		free(asker);
	}
}

static void forget_work(struct metrics_maker *maker)
{
	free(maker->rows);
	maker->rows = NULL;
	maker->n_rows = 0;
	maker->room = 0;
	metrics_text_finish(&maker->text);
	maker->phase = IDLE;
}

/* --- Copying ---------------------------------------------------------------------------------- */

/* Room for one more; NULL: it is left out. */
static struct metrics_row *add_row(struct metrics_maker *maker)
{
	struct metrics_row *rows;
	size_t room = maker->room ? maker->room * 2 : ROWS_A_TURN;

	if (maker->n_rows == METRICS_ROWS_MAX) {
		maker->left_out++;
		return NULL;
	}
	if (maker->n_rows == maker->room) {
		rows = realloc(maker->rows, room * sizeof(*rows));
		if (!rows) {
			maker->text.failed = true;
			return NULL;
		}
		maker->rows = rows;
		maker->room = room;
	}
	return &maker->rows[maker->n_rows++];
}

static void copy_tenant(struct metrics_maker *maker, const struct tenant *t)
{
	struct metrics_row *row = t->visible ? add_row(maker) : NULL;

	memcpy(maker->tenant, t->name, sizeof(maker->tenant));
	maker->container[0] = '\0';
	if (row)
		metrics_row_of_tenant(t, maker->server->swept, row);
}

static void copy_container(struct metrics_maker *maker, const struct container *c)
{
	struct metrics_row *row = c->visible ? add_row(maker) : NULL;

	memcpy(maker->container, c->name, sizeof(maker->container));
	if (row)
		metrics_row_of_container(c, maker->server->swept, row);
}

/* Moves on by a tenant or a container of it, in order of names. False at the end. */
static bool copy_next(struct metrics_maker *maker)
{
	const struct model *model = &maker->server->model;
	struct tenant *t = model_any_tenant(model, maker->tenant);
	struct map_node *node = t ? map_after(&t->containers, maker->container) : NULL;

	if (node) {
		copy_container(maker, map_object(node, struct container, by_name));
		return true;
	}
	node = map_after(&model->tenants, maker->tenant);
	if (node)
		copy_tenant(maker, map_object(node, struct tenant, by_name));
	return node != NULL;
}

static void begin_writing(struct metrics_maker *maker)
{
	struct metrics_text *text = &maker->text;

	maker->phase = WRITING;
	text->open = maker->format == METRICS_OPENMETRICS;
	maker->of_containers = false;
	maker->family = 0;
	maker->row = 0;
	maker->family_begun = false;
	metrics_add_host(text, maker->server);
	metrics_add_work(text, maker->server);
	metrics_text_single(text, "croft_metrics_left_out", "gauge",
		"Tenants and containers that are too many for one page.", maker->left_out,
		METRICS_WHOLE);
	metrics_add_rpcs(text, maker->server);
}

static void copy(struct metrics_maker *maker)
{
	for (int i = 0; i < ROWS_A_TURN; i++) {
		if (!copy_next(maker)) {
			begin_writing(maker);
			return;
		}
	}
}

/* --- Writing ---------------------------------------------------------------------------------- */

static void next_family(struct metrics_maker *maker)
{
	maker->row = 0;
	maker->family_begun = false;
	if (++maker->family < metrics_n_families())
		return;
	maker->family = 0;
	if (maker->of_containers)
		maker->phase = IDLE;
	maker->of_containers = true;
}

/* One family's samples, so far as the slice goes. */
static void write_some(struct metrics_maker *maker, size_t *left)
{
	if (!maker->family_begun &&
		!metrics_begin_family(&maker->text, maker->family, maker->of_containers)) {
		next_family(maker);
		return;
	}
	maker->family_begun = true;
	for (; *left && maker->row < maker->n_rows; maker->row++, (*left)--)
		if (maker->rows[maker->row].is_container == maker->of_containers)
			metrics_add_samples(&maker->text, maker->family, &maker->rows[maker->row]);
	if (maker->row == maker->n_rows)
		next_family(maker);
}

static void finish(struct metrics_maker *maker)
{
	struct metrics_page *page;

	metrics_text_end(&maker->text);
	page = maker->text.failed ? NULL : malloc(sizeof(*page));
	metrics_page_unref(maker->page);
	maker->page = page;
	if (page) {
		*page = (struct metrics_page){
			.refs = 1, .size = maker->text.size, .data = maker->text.data};
		maker->text = (struct metrics_text){0};
		maker->page_boot_usec = maker->began_boot_usec;
	}
	forget_work(maker);
	answer(maker);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval at_once;
	struct metrics_maker *maker = arg;
	size_t left = SAMPLES_A_TURN;

	(void)fd;
	(void)what;
	if (maker->phase == COPYING) {
		copy(maker);
	} else {
		while (left && maker->phase == WRITING && !maker->text.failed)
			write_some(maker, &left);
	}
	if (maker->phase == IDLE || maker->text.failed)
		finish(maker);
	else
		evtimer_add(maker->turn, &at_once);
}

/* --- Asking ----------------------------------------------------------------------------------- */

static void on_host(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct server *server = arg;

	link_close_fds(fds, n_fds);
	if (!err)
		memcpy(&server->host, reply, sizeof(server->host));
	server->asking_host = false;
}

/* How full the pool is: not more often than counters are swept, and for the next page. */
static void ask_host(struct server *server, uint64_t now)
{
	static const struct msg_empty empty;
	struct err err;

	if (server->asking_host || !link_is_ready(server->link) ||
		(server->asked_host_boot_usec && now - server->asked_host_boot_usec <
							 server->config->sample_interval_ms * 1000))
		return;
	server->asked_host_boot_usec = now;
	server->asking_host = link_send(server->link, MSG_HOST_INFO, &empty, NULL, 0, on_host,
				      server, &err) == 0;
}

static void begin(struct metrics_maker *maker)
{
	static const struct timeval at_once;

	maker->began_boot_usec = clock_boot_usec();
	ask_host(maker->server, maker->began_boot_usec);
	maker->phase = COPYING;
	maker->tenant[0] = '\0';
	maker->container[0] = '\0';
	maker->left_out = 0;
	evtimer_add(maker->turn, &at_once);
}

void metrics_maker_ask(
	struct metrics_maker *maker, void (*done)(void *arg, struct metrics_page *page), void *arg)
{
	struct asker *asker;

	if (maker->page && clock_boot_usec() - maker->page_boot_usec < METRICS_AGE_MS * 1000) {
		maker->page->refs++;
		done(arg, maker->page);
		return;
	}
	asker = malloc(sizeof(*asker));
	if (!asker) {
		done(arg, NULL);
		return;
	}
	*asker = (struct asker){.done = done, .arg = arg};
	STAILQ_INSERT_TAIL(&maker->askers, asker, entry);
	if (maker->phase == IDLE)
		begin(maker);
}

int metrics_maker_create(struct server *server, enum metrics_format format,
	struct metrics_maker **ret, struct err *err)
{
	struct metrics_maker *maker = calloc(1, sizeof(*maker));

	if (!maker)
		return err_oom(err);
	maker->server = server;
	maker->format = format;
	STAILQ_INIT(&maker->askers);
	maker->turn = evtimer_new(server->base, on_turn, maker);
	if (!maker->turn) {
		free(maker);
		return err_oom(err);
	}
	*ret = maker;
	return 0;
}

void metrics_maker_destroy(struct metrics_maker *maker)
{
	if (!maker)
		return;
	forget_work(maker);
	metrics_page_unref(maker->page);
	maker->page = NULL;
	answer(maker);
	event_free(maker->turn);
	free(maker);
}

/*
 * The queue of each webhook; see webhook_queue.h. One message at a time, in order:
 *
 *   IDLE --something new--> READING --nothing--> IDLE
 *                              | a message
 *                              v
 *                MARKING (new: where it ends goes on record, so that it is the same
 *                   |     when it is sent again, whoever died meanwhile)
 *                   v
 *                SENDING --> SETTLING (what became of it goes on record)
 *                   ^            |-- taken ------> READING
 *                   |            '-- not taken --> WAITING --time--> READING
 *
 * Must never move a cursor past what was not taken. A cursor that could not be put on record stays:
 * the message is sent again, with its id.
 */
#include "server/webhook_queue.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/details.h"
#include "server/events.h"
#include "server/grpc_utf8.h"
#include "server/http_post.h"
#include "server/ledger_entries.h"
#include "server/store.h"
#include "server/webhook_backoff.h"
#include "server/webhook_batch.h"

#include <event2/event.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define LOOK_PAUSE_MS	  50   /* what comes together goes together */
#define STATE_PAUSE_MS	  5000 /* after the database has refused something */
#define CURSOR_KEPT_EVERY 256  /* events that are not wanted are passed before it is on record */
#define DAY_USEC	  (86400 * INT64_C(1000000))
#define STATUS_GONE	  410

struct webhook_queue {
	struct http_poster *poster;
	struct event *look_timer;
	bool looking;
	bool wanted;
	/* By enum webhook_source: the last number there is, and as it is being read. */
	uint64_t last[WEBHOOK_EVENTS + 1];
	uint64_t looked[WEBHOOK_EVENTS + 1];
	char host[LEDGER_HOST_SIZE];
};

static void go_on(struct webhook *w);

const char *webhook_host(const struct server *server)
{
	return server->webhook_queue->host;
}

static void set_timer(struct event *timer, uint64_t ms)
{
	struct timeval pause = {
		.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	evtimer_add(timer, &pause);
}

static void wait_ms(struct webhook *w, uint64_t ms)
{
	webhook_batch_destroy(take_ptr(w->batch));
	w->step = WEBHOOK_WAITING;
	set_timer(w->timer, ms);
}

static void on_wait_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	go_on(arg);
}

/* True when there is nothing to be done any more, and nothing was. */
static bool is_over(struct webhook *w)
{
	if (w->gone) {
		webhook_free(w);
		return true;
	}
	if (!*w->state.disabled && !w->server->shutting_down)
		return false;
	webhook_batch_destroy(take_ptr(w->batch));
	w->step = WEBHOOK_IDLE;
	return true;
}

/* --- SETTLING --- */

/* What went wrong with the state is not the receiver's fault: it counts as no attempt. */
static void on_refused(struct webhook *w, const char *what, const struct err *err)
{
	log_error("webhook-%s webhook=%s error=\"%s\"", what, w->name, err->msg);
	if (!is_over(w))
		wait_ms(w, STATE_PAUSE_MS);
}

static uint64_t until(int64_t wall_usec, uint64_t cap_ms)
{
	int64_t ms = (wall_usec - clock_wall_usec()) / 1000;

	if (ms < 0)
		return 0;
	/* A clock that was set must not stop it for ever. */
	return (uint64_t)ms < cap_ms ? (uint64_t)ms : cap_ms;
}

static uint64_t pause_max_ms(const struct server *server)
{
	uint64_t asked = WEBHOOK_RETRY_AFTER_MAX_S * UINT64_C(1000);
	uint64_t own = server->config->webhook_retry_s * UINT64_C(1000);

	return own > asked ? own : asked;
}

static void on_settled(void *arg, const struct err *err)
{
	struct webhook *w = arg;
	const char *reason = w->disabling;

	w->disabling = NULL;
	if (err) {
		on_refused(w, "not-settled", err);
		return;
	}
	/* Meanwhile somebody may have disabled or enabled it. */
	snprintf(w->settled.disabled, sizeof(w->settled.disabled), "%s",
		reason ? reason : w->state.disabled);
	w->state = w->settled;
	w->kept_cursor = w->state.place.cursor;
	if (is_over(w))
		return;
	if (w->state.next_wall_usec)
		wait_ms(w, until(w->state.next_wall_usec, pause_max_ms(w->server)));
	else
		go_on(w);
}

static void disable(struct db_tx *tx, struct webhook *w, const char *reason)
{
	struct details d;

	w->disabling = reason;
	w->settled.next_wall_usec = 0;
	store_disable_webhook(tx, w, reason);
	details_init(&d);
	details_text(&d, "webhook", w->name);
	details_text(&d, "reason", reason);
	details_number(&d, "attempts", w->settled.attempts);
	details_text(&d, "error", w->settled.error);
	events_add_host(tx, "webhook.disabled", details_end(&d), "webhook %s was disabled: %s",
		w->name,
		strcmp(reason, "gone") ? "nothing was taken for days" : "its receiver is gone");
	log_warning("webhook-disabled webhook=%s reason=%s", w->name, reason);
}

static void settle_taken(struct webhook *w)
{
	struct webhook_state *s = &w->settled;

	if (w->batch->kind == WEBHOOK_BATCH_GAP)
		s->place.gap_told = w->batch->gap;
	s->place.cursor = w->batch->through;
	s->place.pending = 0;
	s->place.gap_pending = 0;
	s->attempts = 0;
	s->failing_wall_usec = 0;
	s->next_wall_usec = 0;
	s->success_wall_usec = clock_wall_usec();
}

static void settle_not_taken(
	struct webhook *w, struct db_tx *tx, const struct http_post_result *result)
{
	struct webhook_state *s = &w->settled;
	int64_t now = clock_wall_usec();
	int64_t limit = w->server->config->webhook_days * DAY_USEC;
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (uint32_t)now;
	s->attempts++;
	if (!s->failing_wall_usec)
		s->failing_wall_usec = now;
	s->error_wall_usec = now;
	webhook_verdict(result, s->error);
	s->next_wall_usec = now + (int64_t)webhook_backoff_ms(s->attempts,
					  w->server->config->webhook_retry_s * UINT64_C(1000),
					  result->retry_after_s, random) *
					  1000;
	log_info("webhook-not-taken webhook=%s attempts=%u error=\"%s\"", w->name, s->attempts,
		s->error);
	if (result->status == STATUS_GONE)
		disable(tx, w, "gone");
	else if (now - s->failing_wall_usec >= limit && s->attempts >= WEBHOOK_ATTEMPTS_LEAST)
		disable(tx, w, "failing");
}

static void on_answer(void *arg, const struct http_post_result *result)
{
	struct webhook *w = arg;
	/* It has happened already. */
	struct db_tx *tx = db_tx_new_essential();

	w->post = NULL;
	w->step = WEBHOOK_SETTLING;
	w->settled = w->state;
	w->settled.status = result->status;
	if (webhook_is_taken(result))
		settle_taken(w);
	else
		settle_not_taken(w, tx, result);
	store_put_webhook_state(tx, w, &w->settled);
	webhook_batch_destroy(take_ptr(w->batch));
	db_commit(w->server->db, tx, on_settled, w);
}

/* --- SENDING --- */

bool webhook_is_taken(const struct http_post_result *result)
{
	return result->status >= 200 && result->status < 300;
}

const char *webhook_verdict(
	const struct http_post_result *result, char out[static WEBHOOK_ERROR_SIZE])
{
	out[0] = '\0';
	if (!result->status)
		snprintf(out, WEBHOOK_ERROR_SIZE, "%s", result->error);
	else if (result->status >= 300 && result->status < 400)
		snprintf(out, WEBHOOK_ERROR_SIZE,
			"the receiver answered %ld, and redirects are not followed",
			result->status);
	else if (!webhook_is_taken(result))
		snprintf(out, WEBHOOK_ERROR_SIZE, "the receiver answered %ld", result->status);
	grpc_utf8_repair(out);
	return out;
}

int webhook_headers_fill(const struct webhook *w, const char *id, const void *body, size_t size,
	struct webhook_headers *ret, struct err *err)
{
	const struct webhook_target *target = &w->target;
	int64_t now = clock_wall_usec();
	char signature[WEBHOOK_SIGNATURE_SIZE];
	char old[WEBHOOK_SIGNATURE_SIZE] = "";
	int r = webhook_sign(target->secret, id, now / 1000000, body, size, signature, err);

	if (r == 0 && *target->old_secret && now < target->old_secret_until_wall_usec)
		r = webhook_sign(target->old_secret, id, now / 1000000, body, size, old, err);
	if (r < 0)
		return r;
	snprintf(ret->id, sizeof(ret->id), "webhook-id: %s", id);
	snprintf(ret->timestamp, sizeof(ret->timestamp), "webhook-timestamp: %" PRId64,
		now / 1000000);
	snprintf(ret->signature, sizeof(ret->signature), "webhook-signature: %s%s%s", signature,
		*old ? " " : "", old);
	ret->list[0] = ret->id;
	ret->list[1] = ret->timestamp;
	ret->list[2] = ret->signature;
	ret->list[3] = "Content-Type: application/cloudevents-batch+json; charset=utf-8";
	ret->list[4] = NULL;
	return 0;
}

int webhook_post(struct webhook *w, const char *id, const char *body, size_t size,
	void (*done)(void *arg, const struct http_post_result *result), void *arg,
	struct http_post **ret, struct err *err)
{
	struct webhook_headers headers;
	struct http_post_request request = {.url = w->target.url,
		.ca_pem = w->target.ca_pem ? w->target.ca_pem : "",
		.headers = headers.list,
		.body = body,
		.size = size,
		.timeout_ms = w->server->config->webhook_timeout_s * 1000};
	int r = webhook_url_check(
		w->target.url, w->target.insecure_http, &request.loopback_only, err);

	if (r == 0)
		r = webhook_headers_fill(w, id, body, size, &headers, err);
	return r < 0 ? r
		     : http_post_start(
			       w->server->webhook_queue->poster, &request, done, arg, ret, err);
}

static void send_it(struct webhook *w)
{
	struct err err;

	w->step = WEBHOOK_SENDING;
	if (webhook_post(w, w->batch->id, w->batch->body, w->batch->size, on_answer, w, &w->post,
		    &err) < 0)
		on_refused(w, "not-sent", &err);
}

/* --- MARKING --- */

static void on_marked(void *arg, const struct err *err)
{
	struct webhook *w = arg;

	if (err) {
		on_refused(w, "not-marked", err);
		return;
	}
	w->state.place = w->settled.place;
	w->kept_cursor = w->state.place.cursor;
	if (!is_over(w))
		send_it(w);
}

static void add_gap_event(struct db_tx *tx, const struct webhook *w)
{
	struct details d;

	details_init(&d);
	details_text(&d, "webhook", w->name);
	details_number(&d, "after", w->batch->place.cursor);
	details_number(&d, "through", w->batch->gap);
	events_add_host(tx, "webhook.gap", details_end(&d),
		"events for webhook %s were dropped before it could send them", w->name);
}

static void mark(struct webhook *w)
{
	struct webhook_place *place = &w->settled.place;
	struct db_tx *tx = db_tx_new();

	w->step = WEBHOOK_MARKING;
	w->settled = w->state;
	if (w->batch->kind == WEBHOOK_BATCH_GAP) {
		place->gap_pending = w->batch->gap;
		/* Of what was under way some may be lost: it is another message now. */
		place->pending = 0;
		add_gap_event(tx, w);
	} else {
		place->pending = w->batch->through;
	}
	store_put_webhook_state(tx, w, &w->settled);
	db_commit(w->server->db, tx, on_marked, w);
}

/* --- READING --- */

static bool is_marked(const struct webhook *w)
{
	const struct webhook_place *place = &w->state.place;

	return w->batch->kind == WEBHOOK_BATCH_GAP ? place->gap_pending == w->batch->gap
						   : place->pending == w->batch->through;
}

static void keep_cursor(struct webhook *w)
{
	struct db_tx *tx = db_tx_new();

	w->kept_cursor = w->state.place.cursor;
	store_put_webhook_state(tx, w, &w->state);
	db_commit(w->server->db, tx, NULL, NULL);
}

/* Up to there is nothing that it is to be sent. */
static void pass(struct webhook *w)
{
	struct webhook_place *place = &w->state.place;
	bool more = w->batch->more;

	place->cursor = w->batch->through;
	place->pending = 0;
	if (place->cursor >= w->kept_cursor + CURSOR_KEPT_EVERY)
		keep_cursor(w);
	webhook_batch_destroy(take_ptr(w->batch));
	w->step = WEBHOOK_IDLE;
	if (more || w->server->webhook_queue->last[w->feed.source] > place->cursor)
		go_on(w);
}

static void on_read(void *arg, const struct err *err)
{
	const struct webhook_batch *batch = arg;
	struct webhook *w = batch->webhook;

	if (err) {
		on_refused(w, "not-read", err);
		return;
	}
	if (is_over(w))
		return;
	if (w->batch->kind == WEBHOOK_BATCH_NOTHING)
		pass(w);
	else if (is_marked(w))
		send_it(w);
	else
		mark(w);
}

static void go_on(struct webhook *w)
{
	if (is_over(w))
		return;
	w->batch = webhook_batch_new(w, webhook_host(w->server));
	if (!w->batch) {
		log_error("no-memory for=webhooks");
		wait_ms(w, STATE_PAUSE_MS);
		return;
	}
	w->step = WEBHOOK_READING;
	db_read(w->server->db, webhook_batch_read, on_read, w->batch);
}

/* --- looks --- */

static int take_number(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(uint64_t *)arg = db_column_u64(row, 0);
	return 0;
}

static int look(struct db *db, void *arg, struct err *err)
{
	struct webhook_queue *q = ((struct server *)arg)->webhook_queue;
	int r = ledger_entries_last(db, &q->looked[WEBHOOK_USAGE], err);

	return r < 0 ? r
		     : db_query(db, "SELECT coalesce(max(number), 0) FROM events", take_number,
			       &q->looked[WEBHOOK_EVENTS], err, "");
}

static void on_looked(void *arg, const struct err *err)
{
	struct server *server = arg;
	struct webhook_queue *q = server->webhook_queue;
	struct map_node *node;

	q->looking = false;
	if (err || server->shutting_down)
		return;
	memcpy(q->last, q->looked, sizeof(q->last));
	MAP_FOREACH(node, &server->webhooks)
	{
		struct webhook *w = map_object(node, struct webhook, by_name);

		if (w->step == WEBHOOK_IDLE && w->visible &&
			q->last[w->feed.source] > w->state.place.cursor)
			go_on(w);
	}
	if (q->wanted)
		webhook_queue_wake(server);
}

static void on_look_timer(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;
	struct webhook_queue *q = server->webhook_queue;

	(void)fd;
	(void)what;
	q->looking = true;
	q->wanted = false;
	db_read(server->db, look, on_looked, server);
}

void webhook_queue_wake(struct server *server)
{
	struct webhook_queue *q = server->webhook_queue;

	if (!q || !server->webhooks.n || server->shutting_down)
		return;
	if (q->looking)
		q->wanted = true;
	else if (!evtimer_pending(q->look_timer, NULL))
		set_timer(q->look_timer, LOOK_PAUSE_MS);
}

void webhook_queue_kick(struct webhook *w)
{
	if (w->step != WEBHOOK_IDLE && w->step != WEBHOOK_WAITING)
		return;
	evtimer_del(w->timer);
	go_on(w);
}

void webhook_queue_forget(struct webhook *w)
{
	webhook_test_cancel(w);
	http_post_cancel(take_ptr(w->post));
	w->gone = true;
	if (w->step == WEBHOOK_IDLE || w->step == WEBHOOK_WAITING || w->step == WEBHOOK_SENDING)
		webhook_free(w);
}

/* --- making and taking apart --- */

int webhook_queue_admit(struct webhook *w, struct err *err)
{
	w->timer = evtimer_new(w->server->base, on_wait_over, w);
	return w->timer ? 0 : err_oom(err);
}

static int admit_loaded(struct server *server, struct err *err)
{
	struct map_node *node;

	MAP_FOREACH(node, &server->webhooks)
	{
		struct webhook *w = map_object(node, struct webhook, by_name);
		int r = webhook_queue_admit(w, err);

		if (r < 0)
			return r;
		w->kept_cursor = w->state.place.cursor;
		if (w->state.next_wall_usec && !*w->state.disabled)
			wait_ms(w, until(w->state.next_wall_usec, pause_max_ms(server)));
	}
	return 0;
}

int webhook_queue_create(struct server *server, struct err *err)
{
	struct webhook_queue *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return err_oom(err);
	server->webhook_queue = q;
	if (gethostname(q->host, sizeof(q->host) - 1) < 0)
		q->host[0] = '\0';
	q->look_timer = evtimer_new(server->base, on_look_timer, server);
	if (!q->look_timer)
		return err_oom(err);
	r = http_poster_create(server->base, &q->poster, err);
	if (r == 0)
		r = admit_loaded(server, err);
	if (r == 0)
		webhook_queue_wake(server);
	return r;
}

void webhook_queue_destroy(struct server *server)
{
	struct webhook_queue *q = server->webhook_queue;
	struct map_node *node;

	MAP_FOREACH(node, &server->webhooks)
	{
		struct webhook *w = map_object(node, struct webhook, by_name);

		webhook_test_cancel(w);
		http_post_cancel(take_ptr(w->post));
	}
	while ((node = map_after(&server->webhooks, ""))) {
		struct webhook *w = map_object(node, struct webhook, by_name);

		webhook_remove(w);
		webhook_free(w);
	}
	if (!q)
		return;
	http_poster_destroy(q->poster);
	if (q->look_timer)
		event_free(q->look_timer);
	free(take_ptr(server->webhook_queue));
}

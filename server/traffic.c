/* The last look at the containers' traffic; see traffic.h. Must never wait for the supervisor. */
#include "server/traffic.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/link.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ANSWER_TIMEOUT_S 5
#define SEALS		 (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

struct traffic {
	struct event *timer;
	struct waiter_list waiters; /* of the look that is under way */
	struct waiter_list later;   /* of the one after it */
	bool looking;
	uint64_t began_boot_usec;
	uint64_t looked_boot_usec;  /* when the look began that `rows` are of; 0: there is none */
	struct msg_net_usage *rows; /* owned; sorted by run */
	size_t n;
};

static int compare(const void *a, const void *b)
{
	const struct msg_net_usage *x = a;
	const struct msg_net_usage *y = b;

	return memcmp(x->run_id, y->run_id, sizeof(x->run_id));
}

bool traffic_of(const struct traffic *traffic, const char *run_id, struct net_usage *ret)
{
	struct msg_net_usage key = {0};
	const struct msg_net_usage *found = NULL;

	memcpy(key.run_id, run_id, sizeof(key.run_id));
	if (traffic->n)
		found = bsearch(&key, traffic->rows, traffic->n, sizeof(key), compare);
	if (found)
		*ret = found->usage;
	return found != NULL;
}

static void forget(struct traffic *traffic)
{
	free(traffic->rows);
	traffic->rows = NULL;
	traffic->n = 0;
	traffic->looked_boot_usec = 0;
}

static int take_rows(struct traffic *traffic, uint64_t n, int fd)
{
	_cleanup_free_ struct msg_net_usage *rows = NULL;
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	size_t size;

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0 ||
		__builtin_mul_overflow(n, sizeof(*rows), &size) || st.st_size != (off_t)size)
		return -EBADMSG;
	rows = malloc(size + 1);
	if (!rows)
		return -ENOMEM;
	if (pread(fd, rows, size, 0) != (ssize_t)size)
		return -EIO;
	/* Those that have ended have no id, and nobody asks for that. */
	qsort(rows, n, sizeof(*rows), compare);
	traffic->rows = take_ptr(rows);
	traffic->n = n;
	return 0;
}

static void look(struct server *server);

static void on_looked(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	const struct msg_net_usages *usages = reply;
	struct server *server = arg;
	struct traffic *traffic = server->traffic;
	int r = 0;

	traffic->looking = false;
	event_del(traffic->timer);
	forget(traffic);
	if (!err)
		r = n_fds == 1 ? take_rows(traffic, usages->n, fds[0]) : -EBADMSG;
	if (!err && r == 0)
		traffic->looked_boot_usec = traffic->began_boot_usec;
	else
		log_warning("traffic-not-read error=\"%s\"", err ? err->msg : strerror(-r));
	link_close_fds(fds, n_fds);
	waiters_call(&traffic->waiters, NULL);
	if (!traffic->looking && !TAILQ_EMPTY(&traffic->later))
		look(server);
}

static void wait_for_answer(struct traffic *traffic)
{
	static const struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};

	if (!evtimer_pending(traffic->timer, NULL))
		evtimer_add(traffic->timer, &timeout);
}

/* Nobody waits any longer; a late answer is taken all the same. */
static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;
	struct traffic *traffic = server->traffic;

	(void)fd;
	(void)what;
	log_warning("traffic-not-read error=\"the supervisor does not answer\"");
	forget(traffic);
	TAILQ_CONCAT(&traffic->waiters, &traffic->later, entry);
	waiters_call(&traffic->waiters, NULL);
}

static void look(struct server *server)
{
	static const struct msg_empty empty;
	struct traffic *traffic = server->traffic;
	struct err err;

	TAILQ_CONCAT(&traffic->waiters, &traffic->later, entry);
	if (link_send(server->link, MSG_NET_USAGE, &empty, NULL, 0, on_looked, server, &err) < 0) {
		forget(traffic);
		waiters_call(&traffic->waiters, NULL);
		return;
	}
	traffic->looking = true;
	traffic->began_boot_usec = clock_boot_usec();
	wait_for_answer(traffic);
}

static bool is_fresh(const struct traffic *traffic, uint64_t max_age_usec)
{
	return traffic->looked_boot_usec &&
	       clock_boot_usec() - traffic->looked_boot_usec < max_age_usec;
}

void traffic_look(struct server *server, uint64_t max_age_usec,
	void (*done)(void *arg, const struct err *err), void *arg)
{
	struct traffic *traffic = server->traffic;
	struct err err;

	if (!net_plan_is_on(&server->config->net) || is_fresh(traffic, max_age_usec) ||
		waiters_add(&traffic->later, done, arg, &err) < 0) {
		done(arg, NULL);
		return;
	}
	if (traffic->looking)
		wait_for_answer(traffic);
	else
		look(server);
}

int traffic_create(struct server *server, struct err *err)
{
	struct traffic *traffic = calloc(1, sizeof(*traffic));

	server->traffic = traffic;
	if (!traffic)
		return err_oom(err);
	TAILQ_INIT(&traffic->waiters);
	TAILQ_INIT(&traffic->later);
	traffic->timer = evtimer_new(server->base, on_timeout, server);
	return traffic->timer ? 0 : err_oom(err);
}

void traffic_destroy(struct server *server)
{
	struct traffic *traffic = server->traffic;

	if (!traffic)
		return;
	waiters_call(&traffic->waiters, NULL);
	waiters_call(&traffic->later, NULL);
	if (traffic->timer)
		event_free(traffic->timer);
	forget(traffic);
	free(traffic);
	server->traffic = NULL;
}

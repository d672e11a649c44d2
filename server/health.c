/*
 * Checking containers' health; see health.h. One command at a time for each container, of which no
 * more is read than a pipe holds. Must never be held up by a command: one that is late is killed.
 */
#include "server/health.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "server/details.h"
#include "server/events.h"
#include "server/exec.h"
#include "server/exec_args.h"
#include "server/lifecycle.h"
#include "server/link.h"
#include "server/store.h"
#include "server/upkeep.h"

#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a pipe holds; a command that writes more waits, and is late. */
#define OUTPUT_READ_MAX (64u << 10)
#define SECOND		UINT64_C(1000000)

/* One command. It lives until it has ended, whatever became of the run meanwhile. */
struct probe {
	LIST_ENTRY(probe) entry;
	struct health *health; /* NULL: nobody wants the answer */
	struct server *server;
	char tenant_uid[UID_SIZE];
	uint64_t id;
	bool started;
	bool late; /* its answer was given up */
	int output;
};

/* What is known of one run. */
struct health {
	struct server *server;
	struct container *container; /* owns it */
	struct event *timer;
	struct probe *probe;	 /* NULL: none is under way */
	uint64_t next_boot_usec; /* of the next command */
	uint64_t good_boot_usec; /* since when it has been healthy */
	unsigned failures;	 /* one after another */
	char output[HEALTH_OUTPUT_MAX + 1];
};

static LIST_HEAD(, probe) probes = LIST_HEAD_INITIALIZER(probes);

/* --- what an answer means --- */

static void add_event(struct db_tx *tx, const struct health *h)
{
	const struct container *c = h->container;
	bool good = c->run.health == HEALTH_HEALTHY;
	struct details d;

	details_init(&d);
	details_number(&d, "failures", h->failures);
	details_text(&d, "output", h->output);
	events_add_container(tx, c, c->run.id, good ? "container.healthy" : "container.unhealthy",
		details_end(&d), "%s/%s is %s", c->tenant->name, c->name,
		good ? "healthy" : "unhealthy");
}

static void on_stopped(void *arg, const struct err *err)
{
	(void)arg;
	(void)err;
}

/*
 * That another run is to follow is on record before this one is ended: it follows also when croftd
 * is killed in between.
 */
static void restart(struct health *h)
{
	struct container *c = h->container;
	struct err err;

	if (stop_container(h->server, c, STOP_TIMEOUT_DEFAULT_MS, on_stopped, NULL, &err) < 0)
		log_warning("unhealthy-not-restarted tenant=%s container=%s error=\"%s\"",
			c->tenant->name, c->name, err.msg);
}

/* What is told, what is on record, and a restart that follows: one transaction. */
static void become(struct health *h, enum health_state state)
{
	struct container *c = h->container;
	bool again = state == HEALTH_UNHEALTHY && c->health_check.restart;
	uint64_t worked = c->run.health == HEALTH_HEALTHY ? clock_boot_usec() - h->good_boot_usec
							  : 0;
	struct db_tx *tx;

	if (c->run.health == state)
		return;
	c->run.health = state;
	h->good_boot_usec = clock_boot_usec();
	tx = db_tx_new();
	store_run_health(tx, &c->run);
	if (again) {
		upkeep_demand(c, worked);
		store_put_container(tx, c);
	}
	add_event(tx, h);
	db_commit(h->server->db, tx, NULL, NULL);
	if (again)
		restart(h);
}

static bool is_starting(const struct container *c)
{
	uint64_t period = c->health_check.start_period_s * UINT64_C(1000000);

	return c->run.health == HEALTH_STARTING &&
	       clock_boot_usec() - c->run.start_boot_usec < period;
}

static void answer(struct health *h, bool good)
{
	if (good) {
		h->failures = 0;
		become(h, HEALTH_HEALTHY);
	} else if (!is_starting(h->container) &&
		   ++h->failures >= h->container->health_check.retries) {
		become(h, HEALTH_UNHEALTHY);
	}
}

/* --- commands --- */

static void arm(struct health *h, uint64_t usec)
{
	struct timeval pause = {
		.tv_sec = (time_t)(usec / SECOND), .tv_usec = (suseconds_t)(usec % SECOND)};

	evtimer_add(h->timer, &pause);
}

/* An answer is there, or none comes: the timer stood at the command's deadline. */
static void rearm(struct health *h)
{
	uint64_t now = clock_boot_usec();

	arm(h, h->next_boot_usec > now ? h->next_boot_usec - now : 0);
}

static void probe_free(struct probe *p)
{
	LIST_REMOVE(p, entry);
	if (p->health) {
		p->health->probe = NULL;
		rearm(p->health);
	}
	close_fd(&p->output);
	free(p);
}

static void kill_command(const struct probe *p)
{
	struct msg_exec_signal msg = {.exec_id = p->id, .signal = SIGKILL};
	struct err err;

	/* One that has not started is killed by on_started(). */
	if (p->started)
		link_send(p->server->link, MSG_EXEC_SIGNAL, &msg, NULL, 0, NULL, NULL, &err);
}

static void read_output(struct probe *p)
{
	static char text[OUTPUT_READ_MAX + 1];
	size_t size = 0;
	ssize_t n;

	do {
		n = read(p->output, text + size, OUTPUT_READ_MAX - size);
		if (n > 0)
			size += (size_t)n;
	} while (n > 0 && size < OUTPUT_READ_MAX);
	for (size_t i = 0; i < size; i++)
		if (!text[i])
			text[i] = '?';
	text[size] = '\0';
	health_last_line(text, p->health->output);
}

static void refused(struct probe *p, const struct err *why)
{
	struct err err = *why;

	err_sanitize(&err);
	if (!p->health || p->late)
		return;
	snprintf(p->health->output, sizeof(p->health->output), "%.*s", HEALTH_OUTPUT_MAX, err.msg);
	answer(p->health, false);
}

bool health_command_ended(const struct msg_exec_ended *msg)
{
	struct probe *p;

	LIST_FOREACH (p, &probes, entry)
		if (p->started && p->id == msg->exec_id)
			break;
	if (!p)
		return false;
	if (msg->exit.kind == EXIT_KIND_REFUSED) {
		refused(p, &msg->err);
	} else if (p->health && !p->late) {
		read_output(p);
		answer(p->health, msg->exit.kind == EXIT_KIND_EXITED && !msg->exit.status);
	}
	probe_free(p);
	return true;
}

void health_lost(void)
{
	struct probe *p;
	struct probe *next;

	for (p = LIST_FIRST(&probes); p; p = next) {
		next = LIST_NEXT(p, entry);
		/* One that has not started is ended by its own reply. */
		if (p->started)
			probe_free(p);
	}
}

static void on_started(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	const struct msg_exec_started *started = reply;
	struct probe *p = arg;

	link_close_fds(fds, n_fds);
	if (err) {
		/* Of a supervisor that is gone, or a run that is, nothing is known. */
		if (p->health && strcmp(err->reason, "SUPERVISOR_GONE") != 0 &&
			exec_check_container(p->health->container, NULL) == 0)
			refused(p, err);
		probe_free(p);
		return;
	}
	p->started = true;
	p->id = started->exec_id;
	if (!p->health || p->late)
		kill_command(p);
}

static int ask(struct probe *p, struct container *c, struct err *err)
{
	char *args[] = {(char *)"/bin/sh", (char *)"-c", c->health_check.command};
	const struct image *image = container_base(&p->server->model, c, c->image);
	Croft__V1__ExecStart start = CROFT__V1__EXEC_START__INIT;
	_cleanup_close_ int packed = -1;
	_cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int theirs = -1;
	struct msg_exec msg = {.program = EXEC_COMMAND};
	int ends[2];
	int r;

	if (null < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, errno, "make a pipe");
	p->output = ends[0];
	theirs = ends[1];
	start.args = args;
	start.n_args = ARRAY_SIZE(args);
	r = fd_set_nonblock(p->output, true);
	if (r == 0)
		r = exec_args_pack(&start, image ? image->app : NULL, &packed, err);
	if (r < 0)
		return r;
	memcpy(msg.tenant, c->tenant->name, sizeof(msg.tenant));
	memcpy(msg.container, c->name, sizeof(msg.container));
	return link_send(p->server->link, MSG_EXEC, &msg, (int[]){packed, null, theirs, theirs}, 4,
		on_started, p, err);
}

static void begin_probe(struct health *h)
{
	struct probe *p = calloc(1, sizeof(*p));
	struct err err;

	if (!p)
		return;
	p->server = h->server;
	p->health = h;
	p->output = -1;
	h->probe = p;
	memcpy(p->tenant_uid, h->container->tenant->uid, sizeof(p->tenant_uid));
	LIST_INSERT_HEAD(&probes, p, entry);
	if (ask(p, h->container, &err) < 0)
		probe_free(p);
}

/* The command has had its time: what it says later is not waited for. */
static void give_up(struct health *h)
{
	struct probe *p = h->probe;

	if (p->late)
		return;
	p->late = true;
	kill_command(p);
	snprintf(h->output, sizeof(h->output), "it did not end within %u s",
		h->container->health_check.timeout_s);
	answer(h, false);
}

static void forget_probe(struct health *h)
{
	if (!h->probe)
		return;
	kill_command(h->probe);
	h->probe->health = NULL;
	h->probe = NULL;
}

/* A tenant has some at a time, and some a second: what would be more waits. */
static bool may_begin(const struct health *h)
{
	struct tenant *t = h->container->tenant;
	uint64_t now = clock_boot_usec();
	const struct probe *p;
	unsigned n = 0;

	LIST_FOREACH (p, &probes, entry)
		n += !strcmp(p->tenant_uid, t->uid);
	if (n >= HEALTH_AT_ONCE || t->health_paid_usec > now + SECOND)
		return false;
	if (t->health_paid_usec < now)
		t->health_paid_usec = now;
	t->health_paid_usec += SECOND / HEALTH_RATE;
	return true;
}

/* Begins a command where it is time for one, and sees to one that takes too long. */
static void act(struct health *h)
{
	const struct health_check *check = &h->container->health_check;
	uint64_t now = clock_boot_usec();

	if (h->probe) {
		give_up(h);
		arm(h, SECOND);
	} else if (h->next_boot_usec > now) {
		arm(h, h->next_boot_usec - now);
	} else if (!may_begin(h)) {
		arm(h, SECOND);
	} else {
		h->next_boot_usec = now + check->interval_s * SECOND;
		arm(h, check->timeout_s * SECOND);
		begin_probe(h);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct health *h = arg;
	struct container *c = h->container;

	(void)fd;
	(void)what;
	if (!link_is_ready(h->server->link)) {
		arm(h, SECOND);
	} else if (exec_check_container(c, NULL) < 0) {
		/* Whoever is frozen, or ends, answers nothing, and that says nothing. */
		forget_probe(h);
		arm(h, c->state == CONTAINER_STARTING ? SECOND
						      : c->health_check.interval_s * SECOND);
	} else if (c->run.health == HEALTH_UNHEALTHY && c->restart_due) {
		/* croftd was killed before it could be asked to end, or could not ask. */
		arm(h, SECOND);
		restart(h);
	} else {
		act(h);
	}
}

/* --- runs --- */

void health_begin(struct server *server, struct container *c)
{
	/* The first answer soon: by then an init has begun. */
	static const struct timeval soon = {.tv_sec = 1};
	struct health *h;

	if (c->health || !c->health_check.command[0])
		return;
	h = calloc(1, sizeof(*h));
	if (h) {
		h->server = server;
		h->container = c;
		h->timer = evtimer_new(server->base, on_timer, h);
	}
	if (!h || !h->timer || evtimer_add(h->timer, &soon) < 0) {
		log_error("health-unwatched tenant=%s container=%s", c->tenant->name, c->name);
		if (h && h->timer)
			event_free(h->timer);
		free(h);
		return;
	}
	h->good_boot_usec = clock_boot_usec();
	if (!c->run.health)
		c->run.health = HEALTH_STARTING;
	c->health = h;
}

void health_end(struct container *c)
{
	struct health *h = c->health;

	if (!h)
		return;
	c->health = NULL;
	forget_probe(h);
	event_free(h->timer);
	free(h);
}

void health_changed(struct server *server, struct container *c)
{
	struct db_tx *tx = db_tx_new();

	health_end(c);
	/* What the other check said is no more. */
	c->run.health = HEALTH_NONE;
	store_run_health(tx, &c->run);
	if (c->restart_due && container_state_is_live(c->state) && !c->stop_asked && !c->killed) {
		upkeep_cancel(c);
		store_put_container(tx, c);
	}
	db_commit(server->db, tx, NULL, NULL);
	if (container_state_is_live(c->state) && c->state != CONTAINER_STARTING)
		health_begin(server, c);
}

bool health_is_asking(const struct container *c)
{
	return c->health && c->health->probe;
}

enum health_state health_state(
	const struct container *c, unsigned *ret_failures, const char **ret_output)
{
	const struct health *h = c->health;

	*ret_failures = h ? h->failures : 0;
	*ret_output = h ? h->output : "";
	return h ? c->run.health : HEALTH_NONE;
}

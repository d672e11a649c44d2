/*
 * One move to other cores; see container_move.h. A move is first made by the supervisor, then put
 * on record: when croftd dies in between, placer_resume() puts the container where the record has
 * it.
 */
#include "server/container_move.h"

#include "base/log.h"
#include "server/container_state.h"
#include "server/container_update.h"
#include "server/convert.h"
#include "server/link.h"
#include "server/store.h"

#include <stdlib.h>
#include <string.h>

struct move {
	struct server *server;
	struct container *container; /* a reference */
	char run_id[RUN_ID_SIZE];
	uint64_t cpus[LIMITS_CPU_WORDS];
	void (*done)(void *arg, const struct err *err);
	void *arg;
};

bool container_move_is_possible(const struct container *container)
{
	return !container->changing && !container->moving && !container->end_pending &&
	       (container->state == CONTAINER_RUNNING || container->state == CONTAINER_FROZEN);
}

static void take_place(const struct move *m)
{
	struct container *c = m->container;
	char cores[CORES_TEXT_SIZE];
	struct db_tx *tx;

	if (!memcmp(c->cpus, m->cpus, sizeof(c->cpus)))
		return;
	memcpy(c->cpus, m->cpus, sizeof(c->cpus));
	tx = db_tx_new_essential();
	store_put_cores(tx, c);
	db_commit(m->server->db, tx, NULL, NULL);
	log_info("container-moved tenant=%s container=%s cores=%s", c->tenant->name, c->name,
		limits_format_cores(c->cpus, cores, sizeof(cores)));
}

/* Where the supervisor is lost, its next connection brings all to where they belong. */
static void note_failure(struct container *c, const struct err *err)
{
	if (!strcmp(err->reason, "SUPERVISOR_GONE"))
		return;
	c->unmovable = true;
	log_warning("container-not-moved tenant=%s container=%s error=\"%s\"", c->tenant->name,
		c->name, err->msg);
}

static void on_moved(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct move *m = arg;
	struct container *c = m->container;
	bool live = container_state_is_live(c->state);
	bool same = live && !strcmp(c->run.id, m->run_id);

	(void)reply;
	link_close_fds(fds, n_fds);
	c->moving = false;
	if (!err && same)
		take_place(m);
	else if (same)
		note_failure(c, err);
	/* The run that was meant has ended, and its next one may have been moved in its stead. */
	if (!err)
		c->cores_unsure = live && !same;
	m->done(m->arg, same ? err : NULL);
	waiters_call(&c->move_waiters, NULL);
	container_unref(c);
	free(m);
}

int container_move(struct server *server, struct container *container,
	const uint64_t cpus[static LIMITS_CPU_WORDS],
	void (*done)(void *arg, const struct err *err), void *arg, struct err *err)
{
	struct move *m = calloc(1, sizeof(*m));
	struct msg_limits msg;
	int r;

	if (!m)
		return err_oom(err);
	m->server = server;
	m->container = container_ref(container);
	memcpy(m->run_id, container->run.id, sizeof(m->run_id));
	memcpy(m->cpus, cpus, sizeof(m->cpus));
	m->done = done;
	m->arg = arg;
	container_update_fill(container, NULL, &msg);
	memcpy(msg.limits.core_mask, cpus, sizeof(msg.limits.core_mask));
	r = link_send(server->link, MSG_CONTAINER_LIMITS, &msg, NULL, 0, on_moved, m, err);
	if (r < 0) {
		container_unref(container);
		free(m);
		return r;
	}
	container->moving = true;
	return 0;
}

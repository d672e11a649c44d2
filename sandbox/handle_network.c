/*
 * The network, as far as it is the host's: which address pools there are, whom containers ask for
 * names, the names of those that run, and what the packet filter lets through. What earlier
 * supervisors left is put right here.
 */
#include "base/cleanup.h"
#include "sandbox/container.h"
#include "sandbox/handlers.h"
#include "sandbox/net_drops.h"
#include "sandbox/net_filter.h"
#include "sandbox/net_names.h"
#include "sandbox/net_refusals.h"
#include "sandbox/net_usage.h"

#include <fcntl.h>
#include <string.h>

/* True for a container whose name is due: it has a network, and its run has not ended. */
static bool has_name(const char *tenant, const char *container, void *arg)
{
	const struct container *c = container_find(arg, tenant, container);

	return c && c->file.net_number && c->state != CONTAINER_STOPPING &&
	       c->state != CONTAINER_ENDED;
}

static int open_names(void)
{
	return open(NET_NAMES_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int configure(struct task *task, struct job_output *out, struct err *err)
{
	const struct supervisor *s = task->s;
	_cleanup_close_ int names = -1;
	int r;

	(void)out;
	if (!net_plan_is_on(&task->u.net_config.plan))
		return 0;
	r = net_names_mount(s->host_mounts_fd, s->config.run_path, err);
	if (r < 0)
		return r;
	names = open_names();
	if (names < 0)
		return err_sys(err, errno, "open the names");
	r = net_names_set_resolvers(names, &task->u.net_config.resolvers, err);
	if (r == 0)
		r = net_names_keep_only(names, has_name, task->s, err);
	if (r == 0)
		r = net_shape_sweep(&task->u.net_config.plan, err);
	return r < 0 ? r : net_filter_forwarding_on(&task->u.net_config.plan, err);
}

/* Only now may something start that has a network. */
static void configured(struct task *task, struct job_result *result)
{
	struct supervisor *s = task->s;

	if (result->r == 0 && net_plan_is_on(&task->u.net_config.plan) && s->names_fd < 0) {
		s->names_fd = open_names();
		if (s->names_fd < 0)
			result->r = err_sys(&result->err, errno, "open the names");
	}
	if (result->r == 0)
		s->net_plan = task->u.net_config.plan;
	handler_answer(s, &task->request, result->r, &result->err);
}

HANDLER(handle_net_config)
{
	const struct msg_net_config *in = msg;
	struct task *task;
	bool refused;
	struct err err;

	(void)fds;
	(void)n_fds;
	refused = net_plan_check(&in->plan, &err) < 0 ||
		  net_resolvers_check(&in->resolvers, &err) < 0;
	task = handler_task(s, request, refused ? &err : NULL);
	if (!task)
		return;
	task->u.net_config = *in;
	task->fn = configure;
	task->done = configured;
	task_start(task);
}

/*
 * What runs or is ending, croftd's own or not: a start whose commit croftd did not live to see is
 * killed, but what it sent is on the bill. In the worker, whose list is of the moment it began.
 */
static int list_counted(
	const struct supervisor *s, struct net_row **ret, uint32_t *ret_n, struct err *err)
{
	struct net_row *rows;
	uint32_t n = 0;

	for (const struct container *c = s->containers; c; c = c->next)
		n++;
	rows = calloc(n + 1u, sizeof(*rows));
	if (!rows)
		return err_oom(err);
	n = 0;
	for (const struct container *c = s->containers; c; c = c->next) {
		struct net_place place;

		/* One of other pools has no place in these. */
		if ((c->state != CONTAINER_RUNNING && c->state != CONTAINER_STOPPING) ||
			!c->file.net_account.base.valid ||
			net_plan_place(&s->net_plan, c->file.net_number, c->file.net_slot, &place) <
				0)
			continue;
		rows[n++] = (struct net_row){.kind = NET_COUNTED,
			.tenant = c->file.net_number,
			.slot = c->file.net_slot};
	}
	*ret = rows;
	*ret_n = n;
	return 0;
}

static int filter(struct task *task, struct job_output *out, struct err *err)
{
	const struct supervisor *s = task->s;
	_cleanup_free_ struct net_row *counted = NULL;
	uint32_t n = 0;
	int r = list_counted(s, &counted, &n, err);

	(void)out;
	return r < 0 ? r
		     : net_filter_apply(
			       s->config.libexec_path, &s->net_plan, task->fds[0], counted, n, err);
}

static void filtered(struct task *task, struct job_result *result)
{
	struct supervisor *s = task->s;

	s->net_rules = task->next;
	handler_answer(s, &task->request, result->r, &result->err);
	if (s->net_rules)
		task_start(s->net_rules);
}

/*
 * One after the other, as they came: what takes rules away must not overtake what adds them, and
 * what a croftd that was killed had asked for must be done before the next one replaces all.
 */
static void wait_for_turn(struct task *task)
{
	struct task **at = &task->s->net_rules;

	while (*at)
		at = &(*at)->next;
	*at = task;
	task->next = NULL;
	if (task->s->net_rules == task)
		task_start(task);
}

/* NULL: refused, and answered. */
static struct task *network_task(struct supervisor *s, const struct request *request)
{
	bool refused = !net_plan_is_on(&s->net_plan);
	struct err err;

	if (refused)
		err_set(&err, ERR_FAILED_PRECONDITION, "NO_NETWORK",
			"this host has no network for containers");
	return handler_task(s, request, refused ? &err : NULL);
}

/* The rows are looked at in the worker: there may be many. */
HANDLER(handle_net_rules)
{
	struct task *task = network_task(s, request);

	(void)msg;
	(void)n_fds;
	if (!task)
		return;
	task->fds[0] = take_fd(&fds[0]);
	task->fn = filter;
	task->done = filtered;
	wait_for_turn(task);
}

struct packet_rows {
	struct net_packets *list; /* owned */
	size_t n;
	bool failed;
};

static void add_row(const char *port, uint64_t packets, void *arg)
{
	struct packet_rows *rows = arg;
	struct net_packets *grown =
		rows->failed ? NULL : reallocarray(rows->list, rows->n + 1, sizeof(*rows->list));

	if (!grown) {
		rows->failed = true;
		return;
	}
	rows->list = grown;
	grown[rows->n] = (struct net_packets){.packets = packets};
	snprintf(grown[rows->n++].port, sizeof(grown->port), "%s", port);
}

/* To croftd, which maps it: a list of any length, sealed. */
static int hand_over(struct job_output *out, const void *rows, size_t size, struct err *err)
{
	int fd = fd_sealed_memfd("rows", rows, size);

	if (fd < 0)
		return err_sys(err, fd, "make a list of what the packet filter counts");
	out->fds[out->n_fds++] = fd;
	return 0;
}

static int read_packets(struct task *task, struct job_output *out, struct err *err)
{
	struct packet_rows rows = {0};
	int r = net_usage_own_packets(&task->s->net_plan, add_row, &rows, err);

	if (r == 0 && rows.failed)
		r = err_oom(err);
	if (r == 0)
		r = hand_over(out, rows.list, rows.n * sizeof(*rows.list), err);
	free(rows.list);
	return r;
}

static void list_read(struct task *task, struct job_result *result)
{
	static const struct msg_empty empty;

	if (result->r < 0)
		task_fail(task, &result->err);
	else
		task_reply(task, &empty, result->fds, result->n_fds);
}

static void read_list(struct supervisor *s, const struct request *request,
	int (*read)(struct task *task, struct job_output *out, struct err *err))
{
	struct task *task = network_task(s, request);

	if (!task)
		return;
	task->fn = read;
	task->done = list_read;
	task_start(task);
}

HANDLER(handle_net_packets)
{
	(void)msg;
	(void)fds;
	(void)n_fds;
	read_list(s, request, read_packets);
}

static int read_refusals(struct task *task, struct job_output *out, struct err *err)
{
	_cleanup_free_ struct net_refusal *rows = NULL;
	size_t n = 0;
	int r = net_refusals_read(&task->s->net_plan, &rows, &n, err);

	if (r == 0)
		r = net_drops_add(&task->s->net_plan, &rows, &n, err);
	return r < 0 ? r : hand_over(out, rows, n * sizeof(*rows), err);
}

HANDLER(handle_net_refusals)
{
	(void)msg;
	(void)fds;
	(void)n_fds;
	read_list(s, request, read_refusals);
}

/* Evidence that takes longer than this is worth less than what is done without it. */
#define PEERS_TIMEOUT_MS 5000

_Static_assert(sizeof(struct net_peers) <= JOB_PAYLOAD_MAX, "it fits into an answer");

static int read_peers(struct task *task, struct job_output *out, struct err *err)
{
	const struct msg_net_peers *asked = &task->u.net_peers;
	struct net_peers found;
	int r = net_peers_read(&task->s->net_plan, asked->number, asked->slot, &found, err);

	if (r < 0)
		return r;
	memcpy(out->payload, &found, sizeof(found));
	out->size = sizeof(found);
	return 0;
}

HANDLER(handle_net_peers)
{
	struct task *task = network_task(s, request);

	(void)fds;
	(void)n_fds;
	if (!task)
		return;
	memcpy(&task->u.net_peers, msg, sizeof(task->u.net_peers));
	task->timeout_ms = PEERS_TIMEOUT_MS;
	task->fn = read_peers;
	task_start(task);
}

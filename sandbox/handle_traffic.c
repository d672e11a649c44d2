/*
 * The traffic of all that runs, for croftd's sweep: one look at the kernel's tables, however many
 * containers there are. croftd has no capability, and these tables are not for everybody to read.
 *
 * The rows lie in a memfd. A worker fills it; the loop then takes back the rows of runs whose end
 * it has noticed meanwhile: their final figures may be older than what the worker saw, and a
 * counter must never seem to have fallen.
 */
#include "base/cleanup.h"
#include "sandbox/container.h"
#include "sandbox/handlers.h"
#include "sandbox/net_usage.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void cleanup_table(struct net_usage_table **table)
{
	net_usage_destroy(*table);
}

static bool is_counted(const struct container *c)
{
	return c->state == CONTAINER_RUNNING && c->file.net_account.base.valid;
}

static uint64_t fill(
	const struct supervisor *s, const struct net_usage_table *table, struct msg_net_usage *rows)
{
	uint64_t n = 0;

	for (const struct container *c = s->containers; c; c = c->next) {
		if (!is_counted(c))
			continue;
		memcpy(rows[n].run_id, c->file.run_id, sizeof(rows[n].run_id));
		net_usage_of(table, &c->file.net_account.source.place, &rows[n].usage);
		n++;
	}
	return n;
}

/* In the worker, whose list of containers is of the moment it began. */
static int look(struct task *task, struct job_output *out, struct err *err)
{
	const struct supervisor *s = task->s;
	_cleanup_(cleanup_table) struct net_usage_table *table = NULL;
	_cleanup_free_ struct msg_net_usage *rows = NULL;
	_cleanup_close_ int fd = memfd_create("croft-traffic", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct msg_net_usages reply;
	size_t n = 0;
	int r = fd < 0 ? err_sys(err, errno, "make room for the counters") : 0;

	for (const struct container *c = s->containers; c; c = c->next)
		n += is_counted(c);
	if (r == 0 && n)
		r = net_usage_read(&s->net_plan, &table, err);
	if (r < 0)
		return r;
	rows = calloc(n + 1, sizeof(*rows));
	if (!rows)
		return err_oom(err);
	reply.n = n ? fill(s, table, rows) : 0;
	r = fd_write_full(fd, rows, reply.n * sizeof(*rows));
	if (r < 0)
		return err_sys(err, r, "hand over the counters");
	memcpy(out->payload, &reply, sizeof(reply));
	out->size = sizeof(reply);
	out->fds[out->n_fds++] = take_fd(&fd);
	return 0;
}

/* Both are in the order of the list, which grows at its head. */
static void drop_ended(const struct supervisor *s, struct msg_net_usage *rows, uint64_t n)
{
	const struct container *next = s->containers;

	for (uint64_t i = 0; i < n; i++) {
		const struct container *c = next;

		while (c && (c->state != CONTAINER_RUNNING ||
				    strcmp(c->file.run_id, rows[i].run_id) != 0))
			c = c->next;
		if (c)
			next = c->next;
		else
			memset(&rows[i], 0, sizeof(rows[i]));
	}
}

static int finish_rows(const struct supervisor *s, int fd, uint64_t n, struct err *err)
{
	size_t size = n * sizeof(struct msg_net_usage);
	struct msg_net_usage *rows;
	int r;

	if (n) {
		rows = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (rows == MAP_FAILED)
			return err_sys(err, errno, "look at the counters");
		drop_ended(s, rows, n);
		munmap(rows, size);
	}
	r = fd_seal(fd);
	return r < 0 ? err_sys(err, r, "seal the counters") : 0;
}

static void looked(struct task *task, struct job_result *result)
{
	struct msg_net_usages reply;

	if (result->r == 0) {
		memcpy(&reply, result->payload, sizeof(reply));
		result->r = finish_rows(task->s, result->fds[0], reply.n, &result->err);
	}
	if (result->r < 0)
		task_fail(task, &result->err);
	else
		task_reply(task, &reply, result->fds, 1);
}

HANDLER(handle_net_usage)
{
	struct task *task = handler_task(s, request, NULL);

	(void)msg;
	(void)fds;
	(void)n_fds;
	if (!task)
		return;
	task->fn = look;
	task->done = looked;
	task_start(task);
}

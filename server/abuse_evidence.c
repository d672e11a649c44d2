/*
 * What there was to see when a rule was met (ADR 95): processes, counters, last lines of output.
 * All of it is a tenant's to choose, so each part is bounded, and text is made harmless where it is
 * shown.
 */
#include "server/abuse_internal.h"

#include "base/cleanup.h"
#include "server/abuse_procs.h"
#include "server/convert.h"
#include "server/grpc_utf8.h"
#include "server/logs.h"

#include "croft/v1/abuse.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIGURES_MAX 32u
#define LINES_MAX   200u
#define LOG_BYTES   (16u << 10)
#define BYTES_MAX   (ABUSE_EVIDENCE_BYTES - (4u << 10)) /* the rest is for peers */

/* What the message points into. */
struct bundle {
	Croft__V1__AbuseEvidence msg;
	Google__Protobuf__Timestamp time;
	struct abuse_process found[ABUSE_PROCS_MAX];
	Croft__V1__AbuseProcess processes[ABUSE_PROCS_MAX];
	Croft__V1__AbuseProcess *process_list[ABUSE_PROCS_MAX];
	char states[ABUSE_PROCS_MAX][2];
	const struct container *containers[FIGURES_MAX];
	Croft__V1__AbuseFigures figures[FIGURES_MAX];
	Croft__V1__AbuseFigures *figure_list[FIGURES_MAX];
	char resources[FIGURES_MAX][RESOURCE_SIZE];
	char log[LOG_BYTES + 1];
	char *lines[LINES_MAX];
};

static void add_processes(struct bundle *b, const struct container *c)
{
	uint32_t left_out = 0;
	size_t n = b->msg.n_processes;
	size_t more = abuse_procs_read(c->run.procs, &b->found[n], ABUSE_PROCS_MAX - n, &left_out);

	b->msg.processes_left_out += left_out;
	for (size_t i = n; i < n + more; i++) {
		const struct abuse_process *p = &b->found[i];
		Croft__V1__AbuseProcess *msg = &b->processes[i];

		croft__v1__abuse_process__init(msg);
		grpc_utf8_repair(b->found[i].command);
		b->states[i][0] = p->state;
		grpc_utf8_repair(b->states[i]);
		msg->pid = (uint32_t)p->pid;
		msg->parent_pid = (uint32_t)p->parent;
		msg->state = b->states[i];
		msg->command = (char *)p->command;
		msg->cpu_usec = p->cpu_usec;
		msg->rss_bytes = p->rss_bytes;
		msg->container = (char *)c->name;
		b->process_list[i] = msg;
	}
	b->msg.n_processes = n + more;
}

static uint64_t known(uint64_t usec)
{
	return usec == STALLS_UNKNOWN ? 0 : usec;
}

static void fill_figures(const struct container *c, Croft__V1__AbuseFigures *msg, char *resource)
{
	const struct counters *n = &c->run.last.counters;
	const struct stalls *stalled = &c->run.stalled;

	croft__v1__abuse_figures__init(msg);
	snprintf(resource, RESOURCE_SIZE, "tenants/%s/containers/%s", c->tenant->name, c->name);
	msg->resource = resource;
	msg->cpu_usec = n->cpu_usec;
	msg->cpu_throttled_usec = n->cpu_throttled_usec;
	msg->memory_bytes = n->memory_bytes;
	msg->memory_working_set_bytes = n->memory_working_set_bytes;
	msg->memory_at_limit = n->memory_at_limit;
	msg->oom_kills = n->oom_kills;
	msg->pids = n->pids;
	msg->pids_denied = n->pids_denied;
	msg->io_read_bytes = n->io.read_bytes;
	msg->io_write_bytes = n->io.write_bytes;
	msg->out_bytes = n->net.outside_out.bytes;
	msg->out_packets = n->net.outside_out.packets;
	msg->in_bytes = n->net.outside_in.bytes;
	msg->in_packets = n->net.outside_in.packets;
	if (c->run.stalled_known) {
		msg->cpu_stalled_usec = known(stalled->full_usec[STALL_CPU]);
		msg->memory_stalled_usec = known(stalled->full_usec[STALL_MEMORY]);
		msg->io_stalled_usec = known(stalled->full_usec[STALL_IO]);
	}
}

static uint64_t sent(const struct container *c)
{
	return c->run.last.counters.net.outside_out.bytes;
}

/* Those that sent most, in that order: a tenant may have more containers than there is room for. */
static size_t find_talkers(const struct tenant *t, const struct container **ret)
{
	struct map_node *node;
	size_t n = 0;

	MAP_FOREACH(node, &t->containers)
	{
		const struct container *c = map_object(node, struct container, by_name);
		size_t at = n;

		if (!c->run.key || c->run.end_wall_usec)
			continue;
		while (at && sent(ret[at - 1]) < sent(c))
			at--;
		if (at == FIGURES_MAX)
			continue;
		if (n < FIGURES_MAX)
			n++;
		memmove(&ret[at + 1], &ret[at], (n - 1 - at) * sizeof(*ret));
		ret[at] = c;
	}
	return n;
}

static void add_lines(struct bundle *b, struct server *server, const struct container *c)
{
	struct log_reader reader;
	size_t size = 0;
	ssize_t n;
	char *line = b->log;

	log_reader_open(&reader, server, c->uid, LOG_BYTES);
	while (size < LOG_BYTES &&
		(n = log_reader_read(&reader, b->log + size, LOG_BYTES - size)) > 0)
		size += (size_t)n;
	log_reader_close(&reader);
	for (size_t i = 0; i < size; i++)
		if (!b->log[i])
			b->log[i] = '?';
	grpc_utf8_repair(b->log);
	while (line && *line && b->msg.n_log_lines < LINES_MAX) {
		char *end = strchr(line, '\n');

		if (end)
			*end = '\0';
		b->lines[b->msg.n_log_lines++] = line;
		line = end ? end + 1 : NULL;
	}
}

static void fill(struct bundle *b, const struct abuse_case *one)
{
	size_t n = 1;

	croft__v1__abuse_evidence__init(&b->msg);
	b->msg.number = one->record.number;
	convert_time(clock_wall_usec(), &b->time);
	b->msg.time = &b->time;
	if (one->container)
		b->containers[0] = one->container;
	else
		n = find_talkers(one->tenant, b->containers);
	for (size_t i = 0; i < n; i++) {
		fill_figures(b->containers[i], &b->figures[i], b->resources[i]);
		b->figure_list[i] = &b->figures[i];
		add_processes(b, b->containers[i]);
	}
	b->msg.n_figures = n;
	b->msg.figures = b->figure_list;
	b->msg.processes = b->process_list;
	b->msg.log_lines = b->lines;
	/* Of a tenant's case that of the container which has sent most. */
	if (n)
		add_lines(b, one->server, b->containers[0]);
}

void abuse_evidence_collect(struct abuse_case *one)
{
	_cleanup_free_ struct bundle *b = calloc(1, sizeof(*b));
	size_t size;

	if (!b)
		return;
	fill(b, one);
	size = croft__v1__abuse_evidence__get_packed_size(&b->msg);
	/* By the bounds of its parts it fits; what does not is kept without its output. */
	if (size > BYTES_MAX) {
		b->msg.n_log_lines = 0;
		size = croft__v1__abuse_evidence__get_packed_size(&b->msg);
	}
	if (size > BYTES_MAX)
		return;
	one->evidence = malloc(size + 1);
	if (one->evidence)
		one->evidence_size = croft__v1__abuse_evidence__pack(&b->msg, one->evidence);
}

void abuse_evidence_add(struct db_tx *tx, struct abuse_case *one)
{
	if (one->evidence)
		store_abuse_evidence(tx, &one->record, one->evidence, one->evidence_size);
	free(one->evidence);
	one->evidence = NULL;
	one->evidence_size = 0;
}

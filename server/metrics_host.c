/* The host's and croftd's own figures; see metrics_host.h. Asks nobody. */
#include "server/metrics_host.h"

#include "base/cleanup.h"
#include "server/abuse.h"
#include "server/container_state.h"
#include "server/link.h"
#include "server/net_refusals.h"
#include "server/network.h"
#include "server/webhook.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>

#define LABELS_MAX 160

static void add_build_info(struct metrics_text *text, const struct server *server)
{
	const char *driver = "";

	if (server->host.cgroup_kind)
		driver = server->host.cgroup_kind == CGROUP_UNIFIED ? "unified" : "hybrid";
	metrics_text_family(text, "croft_build_info", "gauge",
		"The version of croftd, and the host's kind of cgroups. Always 1.");
	metrics_text_add(text, "croft_build_info{");
	metrics_text_label(text, true, "version", CROFT_VERSION);
	metrics_text_label(text, false, "cgroups", driver);
	metrics_text_add(text, "} 1\n");
}

static void add_pool(struct metrics_text *text, const struct msg_host_info *host)
{
	char driver[sizeof(host->pool_driver) + 1];
	char labels[sizeof(driver) + 16];

	if (!host->pool_driver[0])
		return;
	snprintf(driver, sizeof(driver), "%.*s", (int)sizeof(host->pool_driver), host->pool_driver);
	driver[strspn(driver, "abcdefghijklmnopqrstuvwxyz")] = '\0';
	snprintf(labels, sizeof(labels), "driver=\"%s\"", driver);
	metrics_text_family(text, "croft_pool_size_bytes", "gauge",
		"Size of the pool that holds containers' files.");
	metrics_text_sample(
		text, "croft_pool_size_bytes", labels, host->pool_size_bytes, METRICS_WHOLE);
	metrics_text_family(
		text, "croft_pool_used_bytes", "gauge", "How much of the pool is in use.");
	metrics_text_sample(
		text, "croft_pool_used_bytes", labels, host->pool_used_bytes, METRICS_WHOLE);
	metrics_text_single(text, "croft_pool_enforces_limits", "gauge",
		"1 where the pool holds containers to their disk limits.",
		host->pool_has_limits != 0, METRICS_WHOLE);
}

static void add_states(struct metrics_text *text, const struct server *server)
{
	uint64_t counts[CONTAINER_DELETING + 1] = {0};
	struct container *c = NULL;

	while ((c = model_next_container(&server->model, c)))
		if (c->visible && (unsigned)c->state < ARRAY_SIZE(counts))
			counts[c->state]++;
	metrics_text_family(text, "croft_containers", "gauge", "Containers, by their state.");
	for (size_t i = CONTAINER_STOPPED; i < ARRAY_SIZE(counts); i++) {
		char labels[LABELS_MAX];

		snprintf(labels, sizeof(labels), "state=\"%s\"",
			container_state_name((enum container_state)i));
		metrics_text_sample(text, "croft_containers", labels, counts[i], METRICS_WHOLE);
	}
}

/* What no honest container sends. The filter does not count it by tenant. */
static void add_refusals(struct metrics_text *text, const struct server *server)
{
	static const char name[] = "croft_network_refused_packets_total";

	metrics_text_family(text, name, "counter",
		"Packets of containers that no honest one sends, by why they were refused, since "
		"the packet filter was made.");
	for (uint32_t i = NET_REFUSED_OF_TENANTS; i < NET_REFUSED_N; i++) {
		char labels[LABELS_MAX];
		uint64_t packets;

		if (!refusal_watch_seen(server, i, &packets))
			continue;
		snprintf(labels, sizeof(labels), "reason=\"%s\"", net_refusal_name(i));
		metrics_text_sample(text, name, labels, packets, METRICS_WHOLE);
	}
}

void metrics_add_host(struct metrics_text *text, const struct server *server)
{
	struct sysinfo info = {0};

	sysinfo(&info);
	add_build_info(text, server);
	metrics_text_single(text, "croft_start_time_seconds", "gauge",
		"When croftd started, in seconds since 1970.", (uint64_t)server->started_wall_usec,
		METRICS_USEC);
	metrics_text_single(text, "croft_host_cpus", "gauge", "CPUs of the host.",
		server->host.cpus, METRICS_WHOLE);
	metrics_text_single(text, "croft_host_memory_bytes", "gauge", "Memory of the host.",
		(uint64_t)info.totalram * info.mem_unit, METRICS_WHOLE);
	add_pool(text, &server->host);
	metrics_text_single(
		text, "croft_tenants", "gauge", "Tenants.", server->model.tenants.n, METRICS_WHOLE);
	add_states(text, server);
	metrics_text_single(
		text, "croft_images", "gauge", "Images.", server->model.images.n, METRICS_WHOLE);
	metrics_text_single(text, "croft_networks", "gauge", "Tenants that have a network.",
		network_count(server), METRICS_WHOLE);
	metrics_text_single(text, "croft_networks_limit", "gauge",
		"Tenants that may have a network; 0 without a pool of addresses.",
		net_plan_networks(&server->config->net), METRICS_WHOLE);
	add_refusals(text, server);
}

static void add_histogram(struct metrics_text *text, const char *name, const char *help,
	const struct histogram *histogram)
{
	metrics_text_family(text, name, "histogram", help);
	metrics_text_histogram(text, name, "", histogram);
}

static void add_sweeps(struct metrics_text *text, const struct server *server)
{
	const struct stats *stats = &server->stats;

	add_histogram(text, "croft_sweep_seconds",
		"Sweeps over all counters, from the first read until they are durable.",
		&stats->sweeps);
	metrics_text_single(text, "croft_sweeps_failed_total", "counter",
		"Sweeps that could not be recorded; the next one has what they had.",
		stats->sweeps_failed, METRICS_WHOLE);
	metrics_text_single(text, "croft_last_sweep_timestamp_seconds", "gauge",
		"When the last sweep that is recorded ended, in seconds since 1970; 0: none yet.",
		(uint64_t)stats->swept_wall_usec, METRICS_USEC);
	metrics_text_single(text, "croft_sweep_interval_seconds", "gauge",
		"From one sweep to the next.", server->config->sample_interval_ms * 1000,
		METRICS_USEC);
}

static void add_ledger(struct metrics_text *text, const struct server *server)
{
	const struct stats *stats = &server->stats;

	metrics_text_single(text, "croft_ledger_closed_timestamp_seconds", "gauge",
		"When the last round of closing hours that ended well did, in seconds since 1970; "
		"0: none yet.",
		(uint64_t)stats->closed_wall_usec, METRICS_USEC);
	metrics_text_single(text, "croft_ledger_damaged_runs", "gauge",
		"Runs that the last round of closing hours left open: their records are damaged.",
		stats->damaged_runs, METRICS_WHOLE);
}

/* What croftd has disabled is somebody's loss, what an operator has is not. */
enum webhook_standing { DELIVERING, FAILING, DISABLED, DISABLED_BY_OPERATOR, STANDINGS };

static enum webhook_standing standing_of(const struct webhook *w)
{
	if (!strcmp(w->state.disabled, "operator"))
		return DISABLED_BY_OPERATOR;
	if (*w->state.disabled)
		return DISABLED;
	return w->state.failing_wall_usec ? FAILING : DELIVERING;
}

static void add_webhooks(struct metrics_text *text, const struct server *server)
{
	static const char *const labels[STANDINGS] = {
		[DELIVERING] = "state=\"delivering\"",
		[FAILING] = "state=\"failing\"",
		[DISABLED] = "state=\"disabled\"",
		[DISABLED_BY_OPERATOR] = "state=\"disabled_by_operator\"",
	};
	uint64_t counts[STANDINGS] = {0};
	struct map_node *node;

	MAP_FOREACH(node, &server->webhooks)
	{
		const struct webhook *w = map_object(node, struct webhook, by_name);

		if (w->visible)
			counts[standing_of(w)]++;
	}
	metrics_text_family(text, "croft_webhooks", "gauge",
		"Webhooks, by how they stand; failing: the last attempt was in vain.");
	for (size_t i = 0; i < STANDINGS; i++)
		metrics_text_sample(text, "croft_webhooks", labels[i], counts[i], METRICS_WHOLE);
}

void metrics_add_work(struct metrics_text *text, const struct server *server)
{
	const struct stats *stats = &server->stats;

	metrics_text_single(text, "croft_supervisor_up", "gauge",
		"1 while the supervisor answers and both know the same.",
		link_is_ready(server->link), METRICS_WHOLE);
	metrics_text_single(text, "croft_supervisor_connections_total", "counter",
		"How often croftd has connected to the supervisor.", stats->supervisor_connects,
		METRICS_WHOLE);
	add_sweeps(text, server);
	add_ledger(text, server);
	add_webhooks(text, server);
	metrics_text_single(text, "croft_abuse_cases", "gauge",
		"Cases of the rules about abuse that last.", abuse_n_cases(server), METRICS_WHOLE);
	add_histogram(text, "croft_container_start_seconds",
		"Starts of containers, until they are executed and recorded.", &stats->starts);
	metrics_text_single(text, "croft_container_starts_failed_total", "counter",
		"Starts of containers that failed.", stats->starts_failed, METRICS_WHOLE);
	add_histogram(text, "croft_db_commit_seconds",
		"Commits, from when they are asked for until they are durable.",
		&stats->db_commits);
	add_histogram(text, "croft_db_read_seconds",
		"Reads of the database, from when they are asked for until they are answered.",
		&stats->db_reads);
	metrics_text_single(text, "croft_db_full", "gauge",
		"1 while the disk under the database is full: nothing new is begun.",
		db_is_full(server->db), METRICS_WHOLE);
	metrics_text_single(text, "croft_grpc_connections", "gauge",
		"Connections of clients to the API.", grpc_server_connections(server->grpc),
		METRICS_WHOLE);
	metrics_text_single(text, "croft_scrapes_total", "counter", "Answers of /metrics.",
		stats->scrapes, METRICS_WHOLE);
}

/* "/croft.v1.Tenants/CreateTenant" without its first slash. */
static void rpc_labels(const struct grpc_method *method, char out[static LABELS_MAX])
{
	snprintf(out, LABELS_MAX, "method=\"%.100s\"", method->path + 1);
}

static uint64_t rpc_calls(const struct rpc_stats *rpc)
{
	uint64_t n = 0;

	for (size_t i = 0; i < STATS_CODES; i++)
		n += rpc->ended[i];
	return n;
}

void metrics_add_rpcs(struct metrics_text *text, const struct server *server)
{
	const struct rpc_stats *rpcs = server->stats.rpcs;
	char labels[LABELS_MAX];
	char coded[LABELS_MAX + 32];

	metrics_text_family(text, "croft_rpc_ended_total", "counter",
		"Calls of the API that have ended, by the status that the client was given.");
	for (size_t i = 0; i < grpc_n_methods; i++) {
		rpc_labels(&grpc_methods[i], labels);
		for (size_t code = 0; code < STATS_CODES; code++) {
			if (!rpcs[i].ended[code])
				continue;
			snprintf(coded, sizeof(coded), "%s,code=\"%s\"", labels,
				err_code_name((enum err_code)code));
			metrics_text_sample(text, "croft_rpc_ended_total", coded,
				rpcs[i].ended[code], METRICS_WHOLE);
		}
	}
	metrics_text_family(text, "croft_rpc_seconds", "histogram",
		"Calls of the API, until they were answered; streams are left out.");
	for (size_t i = 0; i < grpc_n_methods; i++) {
		if (!rpc_calls(&rpcs[i]) || grpc_methods[i].client_streaming ||
			grpc_methods[i].server_streaming)
			continue;
		rpc_labels(&grpc_methods[i], labels);
		metrics_text_histogram(text, "croft_rpc_seconds", labels, &rpcs[i].took);
	}
}

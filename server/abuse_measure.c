/*
 * Adds up what rules are about; see abuse.h. Nothing is read for it: the sweep has read it all.
 */
#include "server/abuse_internal.h"

#include "base/cleanup.h"
#include "server/cores.h"
#include "server/forks.h"
#include "server/placer.h"

#include <stdlib.h>

/* How much of each signal there was between two points. */
struct amounts {
	uint64_t of[ABUSE_SIGNAL_N];
};

static void add_to(const struct abuse_rule *rule, struct abuse_track *track, uint64_t from,
	uint64_t to, uint64_t amount)
{
	if (!amount)
		return;
	if (!track->window) {
		track->window = malloc(sizeof(*track->window));
		if (!track->window)
			return;
		abuse_window_init(track->window, rule->window_usec);
	}
	abuse_window_add(track->window, from, to, amount);
	track->changed = true;
}

/*
 * To what is measured of a container, and of its tenant for the sum; c NULL: of the tenant itself.
 * Shares of time do not add up: a tenant's are its own directory's.
 */
static void add(struct server *server, struct tenant *t, struct container *c, uint64_t from,
	uint64_t to, const struct amounts *amounts)
{
	const struct abuse_rules *rules = server->abuse->rules;
	struct abuse_subject *of_tenant = abuse_subject_of(server, t, NULL);
	struct abuse_subject *own = c ? abuse_subject_of(server, t, c) : of_tenant;

	for (size_t i = 0; of_tenant && own && i < rules->n; i++) {
		const struct abuse_rule *rule = &rules->list[i];
		bool is_share = abuse_signal_row(rule->signal)->unit == ABUSE_PERCENT;

		if (rule->per_tenant ? !(c && is_share) : c != NULL)
			add_to(rule, rule->per_tenant ? &of_tenant->tracks[i] : &own->tracks[i],
				from, to, amounts->of[rule->signal]);
	}
}

static uint64_t rise(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

/* Time for which the whole CPU limit would have been used. */
static uint64_t full_usec(struct server *server, const struct tenant *t,
	const struct limits *limits, uint64_t cpu_usec)
{
	uint64_t milli = cores_quota(t, limits);

	if (milli == LIMIT_UNSET || !milli)
		milli = limits_count_cores(placer_cpus(server)->usable) * UINT64_C(1000);
	return milli ? (uint64_t)((unsigned __int128)cpu_usec * 1000 / milli) : 0;
}

/*
 * Where counters go on from: a sweep that could not be committed is taken back in the ledger, and
 * its interval comes again with the next one. Here it has been added up already.
 */
static bool go_on(struct server *server, struct tenant *t, struct container *c,
	const struct usage_point *to, struct usage_point *from)
{
	struct abuse_subject *s = server->abuse ? abuse_subject_of(server, t, c) : NULL;
	uint64_t key = c ? c->run.key : t->own.key;

	if (!s)
		return false;
	if (s->taken_run == key && s->taken.boot_usec > from->boot_usec)
		*from = s->taken;
	if (to->boot_usec <= from->boot_usec)
		return false;
	s->taken = *to;
	s->taken_run = key;
	return true;
}

void abuse_take(struct server *server, struct container *c, const struct usage_point *before,
	const struct usage_point *to)
{
	struct usage_point from = *before;
	const struct counters *a = &from.counters;
	const struct counters *b = &to->counters;
	struct amounts amounts = {{0}};
	struct tenant *t = c->tenant;

	if (!go_on(server, t, c, to, &from))
		return;
	amounts.of[ABUSE_FORKS_DENIED] = rise(a->pids_denied, b->pids_denied);
	amounts.of[ABUSE_OOM_KILLS] = rise(a->oom_kills, b->oom_kills);
	amounts.of[ABUSE_SECCOMP] = rise(a->refused_calls, b->refused_calls);
	if (b->has_io) {
		amounts.of[ABUSE_DISK_WRITE] = rise(a->io.write_bytes, b->io.write_bytes);
		amounts.of[ABUSE_DISK_WRITE_OPS] = rise(a->io.write_ops, b->io.write_ops);
	}
	if (b->has_net && a->has_net) {
		amounts.of[ABUSE_NET_OUT] = rise(
			a->net.outside_out.bytes, b->net.outside_out.bytes);
		amounts.of[ABUSE_PACKETS_OUT] = rise(
			a->net.outside_out.packets, b->net.outside_out.packets);
	}
	amounts.of[ABUSE_CPU_FULL] = full_usec(
		server, t, &c->limits, rise(a->cpu_usec, b->cpu_usec));
	add(server, t, c, from.boot_usec, to->boot_usec, &amounts);
}

void abuse_take_own(struct server *server, struct tenant *t, const struct usage_point *before,
	const struct usage_point *to)
{
	struct usage_point from = *before;
	struct amounts amounts = {{0}};

	if (!go_on(server, t, NULL, to, &from))
		return;
	/* Its containers' are in its sum already, and these are in none of them (counters.h). */
	amounts.of[ABUSE_FORKS_DENIED] = rise(from.counters.pids_denied, to->counters.pids_denied);
	amounts.of[ABUSE_CPU_FULL] = full_usec(
		server, t, &t->limits, rise(from.counters.cpu_usec, to->counters.cpu_usec));
	add(server, t, NULL, from.boot_usec, to->boot_usec, &amounts);
}

void abuse_take_stalls(struct server *server, struct tenant *t, struct container *c)
{
	struct abuse_subject *s = server->abuse ? abuse_subject_of(server, t, c) : NULL;
	const struct run *run = c ? &c->run : &t->own;
	struct amounts amounts = {{0}};
	uint64_t now = clock_boot_usec();
	uint64_t total = run->stalled.full_usec[STALL_MEMORY];

	if (!s || !run->stalled_known || total == STALLS_UNKNOWN)
		return;
	/* What one had waited before it was first looked at is not known to be of now. */
	if (s->stall_run == run->key && now > s->stall_boot_usec) {
		amounts.of[ABUSE_MEMORY_STALL] = rise(s->stall_usec, total);
		add(server, t, c, s->stall_boot_usec, now, &amounts);
	}
	s->stall_run = run->key;
	s->stall_usec = total;
	s->stall_boot_usec = now;
}

void abuse_take_forks(struct server *server, struct container *c, const struct forks_look *from,
	const struct forks_look *to)
{
	struct amounts amounts = {{0}};
	uint64_t since;

	if (!server->abuse || !forks_between(&c->run, from, to, &amounts.of[ABUSE_FORKS], &since) ||
		since >= to->boot_usec)
		return;
	add(server, c->tenant, c, since, to->boot_usec, &amounts);
}

void abuse_take_counted(
	struct server *server, struct tenant *t, uint32_t reason, uint64_t packets, uint64_t before)
{
	static const enum abuse_signal signals[NET_COUNTED_N] = {
		[NET_REFUSED_CONNECTIONS] = ABUSE_CONNECTIONS_REFUSED,
		[NET_REFUSED_FLOWS] = ABUSE_FLOWS_REFUSED,
		[NET_REFUSED_PACKETS] = ABUSE_PACKETS_REFUSED,
		[NET_REFUSED_SMTP] = ABUSE_SMTP_REFUSED,
		[NET_OPENED_CONNECTIONS] = ABUSE_CONNECTIONS_OUT,
		[NET_OPENED_SMTP] = ABUSE_SMTP_OUT,
	};
	struct abuse_subject *s = server->abuse ? abuse_subject_of(server, t, NULL) : NULL;
	struct amounts amounts = {{0}};
	uint64_t now = clock_boot_usec();
	uint64_t since;

	if (!s || reason >= NET_COUNTED_N || !net_refusal_is_of_tenant(reason))
		return;
	since = s->counted_boot_usec[reason];
	if (!since) {
		/* This croftd's first look: what comes after `before` is of the last minutes. */
		s->counted[reason] = before;
		since = now - server->config->sample_interval_ms * 1000;
	}
	/* A counter that fell was made anew. */
	if (packets < s->counted[reason])
		s->counted[reason] = 0;
	amounts.of[signals[reason]] = packets - s->counted[reason];
	add(server, t, NULL, since, now, &amounts);
	s->counted[reason] = packets;
	s->counted_boot_usec[reason] = now;
}

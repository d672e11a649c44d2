/*
 * Holds what was measured against the rules, after each sweep; see abuse.h. In memory alone: for a
 * thousand containers it takes about a millisecond (tests/bench).
 */
#include "server/abuse_internal.h"

#include "server/link.h"

#include <string.h>

static uint64_t value_of(const struct abuse_rule *rule, struct abuse_window *window, uint64_t now)
{
	uint64_t sum = window ? abuse_window_sum(window, now) : 0;
	unsigned __int128 scale = 1;

	switch (abuse_signal_row(rule->signal)->unit) {
	case ABUSE_PERCENT:
		scale = 100;
		break;
	case ABUSE_RATE:
	case ABUSE_BYTES:
		scale = 1000000;
		break;
	default:
		return sum;
	}
	return (uint64_t)(sum * scale / rule->window_usec);
}

/* True when it has been below `until` for long enough. */
static bool is_over(
	const struct abuse_rule *rule, struct abuse_track *track, uint64_t value, uint64_t now)
{
	if (value >= rule->until) {
		track->quiet_since_usec = 0;
		return false;
	}
	if (!track->quiet_since_usec)
		track->quiet_since_usec = now;
	return now - track->quiet_since_usec >= rule->quiet_usec;
}

static bool is_a_hold(const struct abuse_record *r)
{
	return !r->dry_run && (r->action == ABUSE_FREEZE || r->action == ABUSE_HOLD);
}

/* One that lasts: goes on with what is not done yet, or sees that it is over. */
static void judge_case(struct server *server, const struct abuse_rule *rule,
	struct abuse_track *track, bool exempt, uint64_t value, uint64_t now)
{
	struct abuse_case *one = track->one;
	bool over = is_over(rule, track, value, now);

	if (one->acting || !one->recorded)
		return;
	if (!one->record.acted) {
		if (link_is_ready(server->link))
			abuse_case_go_on(one);
	} else if (is_a_hold(&one->record) && !one->found_held) {
		/* Somebody has to look at it: it does not lift itself. */
		if (!abuse_is_holding(one))
			abuse_case_end(one, "hold_lifted", NULL);
	} else if (exempt || over) {
		abuse_case_end(one, over ? "over" : "exempt", NULL);
	}
}

/* What is told and nothing else is told at a pace, so that nobody floods the record by it. */
static bool may_begin(const struct abuse_rules *rules, const struct abuse_rule *rule,
	struct tenant *t, uint64_t now)
{
	if (rule->action != ABUSE_NOTIFY && !rule->dry_run && !rules->dry_run)
		return true;
	if (t->abuse_told >= ABUSE_TOLD_MAX || !event_pace_is_due(&t->abuse_pace, now))
		return false;
	event_pace_take(&t->abuse_pace, now);
	return true;
}

static void judge(
	struct server *server, struct tenant *t, struct container *c, size_t i, uint64_t now)
{
	const struct abuse_rules *rules = server->abuse->rules;
	const struct abuse_rule *rule = &rules->list[i];
	struct abuse_track *track = c ? &c->abuse->tracks[i] : &t->abuse->tracks[i];
	uint64_t value;
	bool exempt;

	if (!track->window && !track->one)
		return;
	value = value_of(rule, track->window, now);
	exempt = abuse_rule_exempts(rules, rule, t->name, c ? c->name : NULL, t->plan);
	if (track->one)
		judge_case(server, rule, track, exempt, value, now);
	else if (track->lifted)
		track->lifted = !is_over(rule, track, value, now);
	else if (!exempt && value >= rule->threshold && may_begin(rules, rule, t, now))
		abuse_case_begin(server, rule, t, c, track, value);
}

static void judge_one(struct server *server, struct tenant *t, struct container *c, uint64_t now)
{
	struct abuse_subject *s = c ? c->abuse : t->abuse;

	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		if (server->abuse->rules->list[i].per_tenant == !c)
			judge(server, t, c, i, now);
	abuse_throttle_retry(server, t, c);
}

/* Of what is gone, and of rules that are no more. */
static void end_orphans(struct server *server)
{
	struct abuse_case *one;
	struct abuse_case *next;

	for (one = LIST_FIRST(&server->abuse->cases); one; one = next) {
		next = LIST_NEXT(one, entry);
		if (one->acting)
			continue;
		if (one->tenant->gone || (one->container && one->container->gone))
			abuse_case_end(one, "gone", NULL);
		else if (!abuse_track_of(one) &&
			 !(is_a_hold(&one->record) && abuse_is_holding(one)))
			abuse_case_end(one, "rule_removed", NULL);
	}
}

void abuse_judge_all(struct server *server, uint64_t now)
{
	struct map_node *node;
	struct map_node *inner;

	MAP_FOREACH(node, &server->model.tenants)
	{
		struct tenant *t = map_object(node, struct tenant, by_name);

		if (!t->visible || t->deleting)
			continue;
		judge_one(server, t, NULL, now);
		MAP_FOREACH(inner, &t->containers)
		judge_one(server, t, map_object(inner, struct container, by_name), now);
	}
}

void abuse_look_all(struct server *server)
{
	/* What cannot be put on record is not begun. */
	if (!server->abuse || server->shutting_down || db_is_full(server->db))
		return;
	end_orphans(server);
	abuse_judge_all(server, clock_boot_usec());
	abuse_keep_when_due(server);
}

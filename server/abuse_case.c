/*
 * The life of a case: on record, then carried out, then over; see abuse_internal.h. What dies in
 * between is found on record by the next croftd, which goes on there.
 */
#include "server/abuse_internal.h"

#include "base/log.h"
#include "server/details.h"
#include "server/events.h"
#include "server/mutation.h"
#include "server/svc_abuse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_only_told(const struct abuse_record *r)
{
	return r->dry_run || r->action == ABUSE_NOTIFY;
}

static struct abuse_case *case_new(struct server *server, const struct abuse_record *record,
	struct tenant *t, struct container *c)
{
	struct abuse_case *one = calloc(1, sizeof(*one));

	if (!one)
		return NULL;
	one->server = server;
	one->record = *record;
	one->tenant = tenant_ref(t);
	one->container = c ? container_ref(c) : NULL;
	if (is_only_told(record))
		t->abuse_told++;
	LIST_INSERT_HEAD(&server->abuse->cases, one, entry);
	return one;
}

void abuse_case_free(struct abuse_case *one)
{
	struct abuse_track *track = abuse_track_of(one);

	if (track)
		track->one = NULL;
	if (is_only_told(&one->record))
		one->tenant->abuse_told--;
	LIST_REMOVE(one, entry);
	free(one->evidence);
	container_unref(one->container);
	tenant_unref(one->tenant);
	free(one);
}

struct abuse_case *abuse_case_find(struct server *server, uint64_t number)
{
	struct abuse_case *one;

	LIST_FOREACH (one, &server->abuse->cases, entry)
		if (one->record.number == number)
			return one;
	return NULL;
}

size_t abuse_n_cases(const struct server *server)
{
	const struct abuse_case *one;
	size_t n = 0;

	LIST_FOREACH (one, &server->abuse->cases, entry)
		n++;
	return n;
}

struct abuse_case *abuse_case_resume(struct server *server, const struct abuse_record *record,
	struct tenant *t, struct container *c)
{
	struct abuse_case *one = case_new(server, record, t, c);

	if (one) {
		one->recorded = true;
		one->found_held = abuse_found_held(record);
	}
	return one;
}

/* --- telling --- */

/* The tenant itself is told no figures: they say how to stay below them. */
static void describe(const struct abuse_record *r, bool own, struct details *d)
{
	details_init(d);
	if (!own)
		details_number(d, "number", r->number);
	details_text(d, "rule", r->rule);
	details_text(d, "action", abuse_action_name(r->action));
	details_bool(d, "dry_run", r->dry_run);
	if (own)
		return;
	details_text(d, "signal", abuse_signal_row(r->signal)->name);
	details_number(d, "value", r->value);
	details_number(d, "threshold", r->threshold);
	details_number(d, "window_seconds", r->window_s);
}

static const char *effect(const struct abuse_record *r)
{
	static const char *const texts[ABUSE_ACTION_N] = {
		[ABUSE_NOTIFY] = "",
		[ABUSE_THROTTLE] = ": it is slowed down",
		[ABUSE_STOP] = ": it is stopped",
		[ABUSE_FREEZE] = ": its tenant is suspended",
		[ABUSE_HOLD] = ": its tenant is suspended",
	};

	return r->dry_run ? "" : texts[r->action];
}

/* what: of whom ..., behind the name of the container or tenant. reason: why it is over; NULL. */
static void add_event(struct db_tx *tx, const struct abuse_case *one, const char *type,
	const char *reason, const char *what, const char *then)
{
	const struct abuse_record *r = &one->record;
	struct details all;
	struct details own;

	describe(r, false, &all);
	describe(r, true, &own);
	if (reason) {
		details_text(&all, "reason", reason);
		details_text(&own, "reason", reason);
	}
	if (one->container)
		events_add_container_own(tx, one->container, type, details_end(&all),
			details_end(&own), "%s/%s %s the abuse rule %s%s", one->tenant->name,
			one->container->name, what, r->rule, then);
	else
		events_add_tenant_own(tx, one->tenant, type, details_end(&all), details_end(&own),
			"tenant %s %s the abuse rule %s%s", one->tenant->name, what, r->rule, then);
}

static void add_detected(struct db_tx *tx, const struct abuse_case *one)
{
	add_event(tx, one, "abuse.detected", NULL, "meets", effect(&one->record));
}

static void add_ended(struct db_tx *tx, const struct abuse_case *one)
{
	add_event(tx, one, "abuse.ended", one->record.end_reason, "no longer meets", "");
}

/* --- the beginning --- */

/* Evidence that cannot be kept is no reason to let it go on. */
static void on_saved(void *arg, const struct err *err)
{
	struct abuse_case *one = arg;

	one->acting = false;
	one->saved = true;
	if (err)
		log_warning("abuse-evidence-not-kept number=%" PRIu64 " error=\"%s\"",
			one->record.number, err->msg);
	if (!one->server->shutting_down)
		abuse_act(one);
}

static void commit_evidence(struct abuse_case *one)
{
	struct db_tx *tx = db_tx_new();

	abuse_evidence_add(tx, one);
	db_commit(one->server->db, tx, on_saved, one);
}

/* Before anything is done, which changes what there is to see. */
static void save_evidence(struct abuse_case *one)
{
	one->acting = true;
	abuse_evidence_collect(one);
	abuse_peers_ask(one, commit_evidence);
}

void abuse_case_go_on(struct abuse_case *one)
{
	if (one->saved)
		abuse_act(one);
	else
		save_evidence(one);
}

static void on_recorded(void *arg, const struct err *err)
{
	struct abuse_case *one = arg;

	one->acting = false;
	if (err) {
		log_error("abuse-not-recorded tenant=%s rule=%s error=\"%s\"", one->tenant->name,
			one->record.rule, err->msg);
		abuse_case_free(one);
		return;
	}
	one->recorded = true;
	if (!one->server->shutting_down)
		save_evidence(one);
}

void abuse_case_begin(struct server *server, const struct abuse_rule *rule, struct tenant *t,
	struct container *c, struct abuse_track *track, uint64_t value)
{
	struct abuse *abuse = server->abuse;
	struct abuse_record r = {.number = abuse->next_number,
		.signal = rule->signal,
		.action = rule->action,
		.dry_run = rule->dry_run || abuse->rules->dry_run,
		.value = value,
		.threshold = rule->threshold,
		.window_s = rule->window_usec / 1000000,
		.throttle = rule->throttle,
		.grace_s = rule->grace_s,
		.begin_wall_usec = clock_wall_usec()};
	struct abuse_case *one;
	struct db_tx *tx;

	memcpy(r.rule, rule->name, sizeof(r.rule));
	memcpy(r.tenant, t->name, sizeof(r.tenant));
	memcpy(r.tenant_uid, t->uid, sizeof(r.tenant_uid));
	if (c) {
		memcpy(r.container, c->name, sizeof(r.container));
		memcpy(r.container_uid, c->uid, sizeof(r.container_uid));
	}
	one = case_new(server, &r, t, c);
	if (!one)
		return;
	abuse->next_number++;
	track->one = one;
	track->quiet_since_usec = 0;
	one->acting = true;
	log_warning("abuse-detected number=%" PRIu64 " tenant=%s container=%s rule=%s action=%s "
		    "dry_run=%d value=%" PRIu64,
		r.number, r.tenant, r.container, r.rule, abuse_action_name(r.action), r.dry_run,
		value);
	tx = db_tx_new();
	store_add_abuse(tx, &r);
	add_detected(tx, one);
	db_commit(server->db, tx, on_recorded, one);
}

/* --- the end --- */

struct ending {
	struct abuse_case *one;
	struct mutation *mutation; /* NULL: nobody asked for it */
};

static void give_up(struct ending *ending, const struct err *err)
{
	struct abuse_case *one = ending->one;

	one->acting = false;
	one->record.end_wall_usec = 0;
	one->record.end_reason[0] = '\0';
	if (ending->mutation)
		mutation_fail(ending->mutation, err);
	else
		log_warning("abuse-not-ended tenant=%s rule=%s error=\"%s\"", one->tenant->name,
			one->record.rule, err->msg);
	free(ending);
}

static void on_ended(void *arg, const struct err *err)
{
	struct ending *ending = arg;
	struct abuse_case *one = ending->one;
	struct server *server = one->server;
	struct abuse_track *track = abuse_track_of(one);
	struct tenant *t = tenant_ref(one->tenant);
	struct container *c = one->container ? container_ref(one->container) : NULL;
	struct abuse_case_message message;

	if (err) {
		give_up(ending, err);
	} else {
		log_info("abuse-ended number=%" PRIu64 " tenant=%s rule=%s reason=%s",
			one->record.number, t->name, one->record.rule, one->record.end_reason);
		if (track)
			track->lifted = !strcmp(one->record.end_reason, "lifted") ||
					!strcmp(one->record.end_reason, "hold_lifted");
		if (ending->mutation)
			mutation_reply(ending->mutation, abuse_convert(&one->record, &message));
		abuse_case_free(one);
		free(ending);
		abuse_throttle_refresh(server, t, c);
	}
	container_unref(c);
	tenant_unref(t);
}

static void commit_end(struct ending *ending)
{
	struct abuse_case *one = ending->one;
	struct db_tx *tx = db_tx_new_essential();
	struct abuse_case_message message;

	one->record.end_wall_usec = clock_wall_usec();
	store_end_abuse(tx, &one->record);
	add_ended(tx, one);
	if (ending->mutation)
		mutation_store(ending->mutation, tx, abuse_convert(&one->record, &message));
	db_commit(one->server->db, tx, on_ended, ending);
}

/* Without its hold a case has ended anyway, whatever dies here. */
static void on_hold_lifted(void *arg, const struct err *err)
{
	struct ending *ending = arg;

	if (err)
		give_up(ending, err);
	else
		commit_end(ending);
}

void abuse_case_end(struct abuse_case *one, const char *reason, struct mutation *m)
{
	struct ending *ending = malloc(sizeof(*ending));
	struct err err;

	if (!ending) {
		err_oom(&err);
		if (m)
			mutation_fail(m, &err);
		return;
	}
	*ending = (struct ending){one, m};
	one->acting = true;
	snprintf(one->record.end_reason, sizeof(one->record.end_reason), "%s", reason);
	if (abuse_is_holding(one) && !strcmp(reason, "lifted"))
		abuse_lift_hold(one, on_hold_lifted, ending);
	else
		commit_end(ending);
}

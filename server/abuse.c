/*
 * The rules that are in force, and what there is of them at the start; see abuse.h. A file that is
 * wrong changes nothing; at the start it leaves the built-in rules, since nobody's containers are
 * to stay down for it.
 */
#include "server/abuse.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "server/abuse_internal.h"
#include "server/details.h"
#include "server/events.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* --- subjects --- */

static struct abuse_subject **slot_of(struct tenant *t, struct container *c)
{
	return c ? &c->abuse : &t->abuse;
}

struct abuse_subject *abuse_subject_of(struct server *server, struct tenant *t, struct container *c)
{
	struct abuse_subject **slot = slot_of(t, c);
	struct abuse_subject *s = *slot;
	size_t n = server->abuse->rules->n;

	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->n = n;
	s->tracks = calloc(n + 1, sizeof(*s->tracks));
	if (!s->tracks) {
		free(s);
		return NULL;
	}
	*slot = s;
	return s;
}

static void tracks_free(struct abuse_track *tracks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(tracks[i].window);
	free(tracks);
}

void abuse_subject_free(struct abuse_subject *s)
{
	if (!s)
		return;
	tracks_free(s->tracks, s->n);
	free(s);
}

const struct abuse_throttle *abuse_throttle_of(const struct abuse_subject *s)
{
	return s && (s->throttle.cpu_percent || s->throttle.rate_in || s->throttle.rate_out)
		       ? &s->throttle
		       : NULL;
}

struct abuse_track *abuse_track_of(const struct abuse_case *one)
{
	struct abuse_subject *s = *slot_of(one->tenant, one->container);

	for (size_t i = 0; s && i < s->n; i++)
		if (s->tracks[i].one == one)
			return &s->tracks[i];
	return NULL;
}

/* --- rules --- */

static int read_file(const char *path, struct abuse_rules **ret, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r;

	if (fd < 0)
		return err_sys(err, errno, "open the file of abuse-rules");
	r = abuse_rules_read(fd, &text, &size, err);
	return r < 0 ? r : abuse_rules_parse(text, size, "abuse-rules", ret, err);
}

static int read_builtin(struct abuse_rules **ret, struct err *err)
{
	return abuse_rules_parse(
		abuse_rules_builtin, strlen(abuse_rules_builtin), "built-in", ret, err);
}

/* What was measured for a rule goes on where it is measured in the same way. */
static bool is_same_measure(const struct abuse_rule *a, const struct abuse_rule *b)
{
	return a->signal == b->signal && a->per_tenant == b->per_tenant &&
	       a->window_usec == b->window_usec;
}

static void remap(struct abuse_subject *s, const struct abuse_rules *old,
	const struct abuse_rules *new, struct abuse_track *tracks)
{
	for (size_t i = 0; i < new->n; i++) {
		for (size_t j = 0; j < s->n; j++) {
			if (strcmp(old->list[j].name, new->list[i].name) != 0)
				continue;
			tracks[i] = s->tracks[j];
			if (!is_same_measure(&old->list[j], &new->list[i]))
				tracks[i].window = NULL;
			else
				s->tracks[j].window = NULL;
		}
	}
	tracks_free(s->tracks, s->n);
	s->tracks = tracks;
	s->n = new->n;
}

/* Every subject that there is, in order. */
static struct abuse_subject *next_subject(
	const struct model *model, struct tenant **t, struct container **c)
{
	for (;;) {
		struct map_node *node = *t ? map_after(&(*t)->containers, *c ? (*c)->name : "")
					   : NULL;

		if (node) {
			*c = map_object(node, struct container, by_name);
		} else {
			node = map_after(&model->tenants, *t ? (*t)->name : "");
			if (!node)
				return NULL;
			*t = map_object(node, struct tenant, by_name);
			*c = NULL;
		}
		if (*slot_of(*t, *c))
			return *slot_of(*t, *c);
	}
}

/* All at once or not at all: memory is taken before anything is changed. */
static int replace(struct server *server, struct abuse_rules *rules, struct err *err)
{
	struct abuse *abuse = server->abuse;
	struct container *c = NULL;
	struct tenant *t = NULL;
	struct abuse_subject *s;
	struct abuse_track **tracks;
	size_t n = 0;
	size_t at = 0;

	while (next_subject(&server->model, &t, &c))
		n++;
	tracks = calloc(n + 1, sizeof(*tracks));
	for (; tracks && at < n; at++)
		if (!(tracks[at] = calloc(rules->n + 1, sizeof(**tracks))))
			break;
	if (!tracks || at < n) {
		while (tracks && at)
			free(tracks[--at]);
		free(tracks);
		return err_oom(err);
	}
	t = NULL;
	c = NULL;
	/* Those that have changed are put on record soon. Rows of rules that are no more stay until
	 * the next boot: they are read for a rule of that name and measure only. */
	abuse->kept_boot_usec = 0;
	for (at = 0; (s = next_subject(&server->model, &t, &c)); at++)
		remap(s, abuse->rules, rules, tracks[at]);
	free(tracks);
	free(abuse->rules);
	abuse->rules = rules;
	return 0;
}

static void tell(struct server *server, const struct err *refused)
{
	struct db_tx *tx = db_tx_new();
	struct details d;

	details_init(&d);
	if (refused) {
		details_text(&d, "message", refused->msg);
		events_add_host(tx, "abuse.rules_refused", details_end(&d),
			"the rules about abuse were refused, and those of before hold: %s",
			refused->msg);
		log_warning("abuse-rules-refused error=\"%s\"", refused->msg);
	} else {
		details_number(&d, "rules", server->abuse->rules->n);
		events_add_host(tx, "abuse.rules_loaded", details_end(&d),
			"%zu rules about abuse were loaded", server->abuse->rules->n);
		log_info("abuse-rules-loaded rules=%zu", server->abuse->rules->n);
	}
	db_commit(server->db, tx, NULL, NULL);
}

int abuse_reload(struct server *server, struct err *err)
{
	const char *path = server->config->abuse_rules;
	struct abuse *abuse = server->abuse;
	struct abuse_rules *rules = NULL;
	int r = *path ? read_file(path, &rules, err) : read_builtin(&rules, err);

	if (r == 0) {
		r = replace(server, rules, err);
		if (r < 0)
			free(rules);
	}
	if (r == 0) {
		abuse->builtin = !*path;
		abuse->load_wall_usec = clock_wall_usec();
	}
	snprintf(abuse->error, sizeof(abuse->error), "%s", r < 0 ? err->msg : "");
	tell(server, r < 0 ? err : NULL);
	return r;
}

/* --- the start --- */

static struct tenant *tenant_by_uid(const struct model *model, const char *name, const char *uid)
{
	struct tenant *t = model_any_tenant(model, name);

	return t && !strcmp(t->uid, uid) ? t : NULL;
}

/* It may have been renamed. */
static struct container *container_by_uid(const struct tenant *t, const char *uid)
{
	struct map_node *node;

	MAP_FOREACH(node, &t->containers)
	{
		struct container *c = map_object(node, struct container, by_name);

		if (!strcmp(c->uid, uid))
			return c;
	}
	return NULL;
}

static void attach(struct server *server, struct abuse_subject *s, struct abuse_case *one)
{
	const struct abuse_rules *rules = server->abuse->rules;

	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(rules->list[i].name, one->record.rule) && !s->tracks[i].one)
			s->tracks[i].one = one;
}

static int load_case(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct server *server = arg;
	struct abuse_record record;
	struct abuse_subject *s;
	struct container *c = NULL;
	struct abuse_case *one;
	struct tenant *t;

	if (store_read_abuse(row, &record) < 0)
		return 0;
	t = tenant_by_uid(&server->model, record.tenant, record.tenant_uid);
	if (t && record.container_uid[0])
		c = container_by_uid(t, record.container_uid);
	if (!t || (record.container_uid[0] && !c))
		return 0;
	s = abuse_subject_of(server, t, c);
	if (!s)
		return err_oom(err);
	s->dirty |= record.action == ABUSE_THROTTLE && !record.dry_run;
	if (record.end_wall_usec)
		return 0;
	one = abuse_case_resume(server, &record, t, c);
	if (!one)
		return err_oom(err);
	attach(server, s, one);
	if (record.action == ABUSE_THROTTLE && !record.dry_run && record.acted)
		abuse_throttle_refresh(server, t, c);
	return 0;
}

static int load_number(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(uint64_t *)arg = db_column_u64(row, 0) + 1;
	return 0;
}

int abuse_load(struct server *server, struct err *err)
{
	struct abuse *abuse = calloc(1, sizeof(*abuse));
	const char *path = server->config->abuse_rules;
	struct err refused;
	int r = -1;

	server->abuse = abuse;
	if (!abuse)
		return err_oom(err);
	abuse->next_number = 1;
	abuse->load_wall_usec = clock_wall_usec();
	if (*path) {
		r = read_file(path, &abuse->rules, &refused);
		if (r < 0) {
			snprintf(abuse->error, sizeof(abuse->error), "%s", refused.msg);
			log_error(
				"abuse-rules-refused error=\"%s\" in_force=built-in", refused.msg);
		}
	}
	abuse->builtin = r < 0;
	r = r < 0 ? read_builtin(&abuse->rules, err) : 0;
	/* Numbers of cases that were dropped are not given again. */
	if (r == 0)
		r = db_query(server->db, "SELECT seq FROM sqlite_sequence WHERE name='abuse_cases'",
			load_number, &abuse->next_number, err, "");
	if (r == 0)
		r = db_query(server->db,
			"SELECT " ABUSE_COLUMNS " FROM abuse_cases WHERE end_wall IS NULL OR"
			" throttling ORDER BY number",
			load_case, server, err, "");
	if (r == 0)
		r = abuse_keep_load(server, err);
	return r;
}

void abuse_destroy(struct server *server)
{
	struct abuse *abuse = server->abuse;

	if (!abuse)
		return;
	while (!LIST_EMPTY(&abuse->cases))
		abuse_case_free(LIST_FIRST(&abuse->cases));
	abuse_keeper_finish(&abuse->keeper);
	free(abuse->rules);
	free(abuse);
	server->abuse = NULL;
}

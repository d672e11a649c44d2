/* Statements on webhooks; see store.h. */
#include "server/store.h"
#include "server/webhook.h"

#include <string.h>

void store_put_webhook(struct db_tx *tx, const struct webhook *w)
{
	const struct webhook_target *t = &w->target;
	char types[WEBHOOK_TYPES_TEXT_SIZE];

	db_tx_write(tx,
		"INSERT INTO webhooks (uid, name, created_wall, source, tenant, tenant_uid, types,"
		" url, insecure_http, ca, secret, old_secret, old_secret_until, cursor)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
		" ON CONFLICT (uid) DO UPDATE SET url=?8, insecure_http=?9, ca=?10, secret=?11,"
		" old_secret=?12, old_secret_until=?13",
		"ssidssssdsssiu", w->uid, w->name, w->created_wall_usec, (int)w->feed.source,
		w->feed.tenant, w->feed.tenant_uid, webhook_types_write(&w->feed, types), t->url,
		(int)t->insecure_http, t->ca_pem ? t->ca_pem : "", t->secret, t->old_secret,
		t->old_secret_until_wall_usec, w->state.place.cursor);
}

void store_put_webhook_state(
	struct db_tx *tx, const struct webhook *w, const struct webhook_state *s)
{
	db_tx_write(tx,
		"UPDATE webhooks SET cursor=?2, pending=?3, gap_told=?4, gap_pending=?5,"
		" attempts=?6, failing_wall=?7, next_wall=?8, success_wall=?9, error_wall=?10,"
		" status=?11, error=?12 WHERE uid=?1",
		"suuuudiiiids", w->uid, s->place.cursor, s->place.pending, s->place.gap_told,
		s->place.gap_pending, (int)s->attempts, s->failing_wall_usec, s->next_wall_usec,
		s->success_wall_usec, s->error_wall_usec, (int)s->status, s->error);
}

void store_disable_webhook(struct db_tx *tx, const struct webhook *w, const char *reason)
{
	db_tx_write(tx, "UPDATE webhooks SET disabled=?2 WHERE uid=?1", "ss", w->uid, reason);
}

void store_enable_webhook(struct db_tx *tx, const struct webhook *w)
{
	db_tx_write(tx,
		"UPDATE webhooks SET disabled='', attempts=0, failing_wall=0, next_wall=0"
		" WHERE uid=?1",
		"s", w->uid);
}

void store_delete_webhook(struct db_tx *tx, const struct webhook *w)
{
	db_tx_write(tx, "DELETE FROM webhooks WHERE uid=?1", "s", w->uid);
}

static void load_state(sqlite3_stmt *row, struct webhook_state *s)
{
	s->place.cursor = db_column_u64(row, 13);
	s->place.pending = db_column_u64(row, 14);
	s->place.gap_told = db_column_u64(row, 15);
	s->place.gap_pending = db_column_u64(row, 16);
	db_column_text(row, 17, s->disabled, sizeof(s->disabled));
	s->attempts = (unsigned)sqlite3_column_int(row, 18);
	s->failing_wall_usec = sqlite3_column_int64(row, 19);
	s->next_wall_usec = sqlite3_column_int64(row, 20);
	s->success_wall_usec = sqlite3_column_int64(row, 21);
	s->error_wall_usec = sqlite3_column_int64(row, 22);
	s->status = sqlite3_column_int(row, 23);
	db_column_text(row, 24, s->error, sizeof(s->error));
}

static int load_target(sqlite3_stmt *row, struct webhook_target *t, struct err *err)
{
	const char *ca = (const char *)sqlite3_column_text(row, 9);

	db_column_text(row, 7, t->url, sizeof(t->url));
	t->insecure_http = sqlite3_column_int(row, 8);
	db_column_text(row, 10, t->secret, sizeof(t->secret));
	db_column_text(row, 11, t->old_secret, sizeof(t->old_secret));
	t->old_secret_until_wall_usec = sqlite3_column_int64(row, 12);
	if (!ca || !*ca)
		return 0;
	t->ca_pem = strdup(ca);
	return t->ca_pem ? 0 : err_oom(err);
}

static int load_webhook(sqlite3_stmt *row, void *arg, struct err *err)
{
	char types[WEBHOOK_TYPES_TEXT_SIZE];
	struct server *server = arg;
	char name[NAME_SIZE];
	int source = sqlite3_column_int(row, 3);
	struct webhook *w;
	int r;

	db_column_text(row, 1, name, sizeof(name));
	if (!name_is_valid(name) || (source != WEBHOOK_USAGE && source != WEBHOOK_EVENTS))
		return err_set(err, ERR_DATA_LOSS, "STATE_DAMAGED",
			"the state database has a row that makes no sense: webhook");
	w = webhook_add(server, name);
	if (!w)
		return err_oom(err);
	w->visible = true;
	db_column_text(row, 0, w->uid, sizeof(w->uid));
	w->created_wall_usec = sqlite3_column_int64(row, 2);
	w->feed.source = (enum webhook_source)source;
	db_column_text(row, 4, w->feed.tenant, sizeof(w->feed.tenant));
	db_column_text(row, 5, w->feed.tenant_uid, sizeof(w->feed.tenant_uid));
	db_column_text(row, 6, types, sizeof(types));
	r = webhook_types_read(&w->feed, types, err);
	if (r == 0)
		r = load_target(row, &w->target, err);
	load_state(row, &w->state);
	return r;
}

int store_load_webhooks(struct db *db, struct server *server, struct err *err)
{
	return db_query(db,
		"SELECT uid, name, created_wall, source, tenant, tenant_uid, types, url,"
		" insecure_http, ca, secret, old_secret, old_secret_until, cursor, pending,"
		" gap_told, gap_pending, disabled, attempts, failing_wall, next_wall,"
		" success_wall, error_wall, status, error FROM webhooks",
		load_webhook, server, err, "");
}

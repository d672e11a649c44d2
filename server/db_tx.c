/*
 * Transactions as data: statements with copied values, built on the loop and run on the database's
 * thread. Must never point into memory of the loop's objects.
 */
#include "server/db_internal.h"

#include "base/cleanup.h"

#include <string.h>

struct db_tx *db_tx_new(void)
{
	struct db_tx *tx = calloc(1, sizeof(*tx));

	if (tx)
		STAILQ_INIT(&tx->writes);
	return tx;
}

struct db_tx *db_tx_new_essential(void)
{
	struct db_tx *tx = db_tx_new();

	if (tx)
		tx->essential = true;
	return tx;
}

void db_tx_set_actor(struct db_tx *tx, const struct actor *actor)
{
	if (tx)
		tx->actor = *actor;
}

void db_tx_free(struct db_tx *tx)
{
	struct db_write *w;

	if (!tx)
		return;
	while ((w = STAILQ_FIRST(&tx->writes))) {
		STAILQ_REMOVE_HEAD(&tx->writes, entry);
		free(w);
	}
	free(tx);
}

/* Reads one value from the arguments; texts and blobs still point to the caller's memory. */
static void take_value(struct db_value *v, char type, va_list *ap)
{
	v->type = type;
	v->data = NULL;
	v->size = 0;
	switch (type) {
	case 'i':
		v->number = va_arg(*ap, int64_t);
		break;
	case 'u':
		v->number = (int64_t)va_arg(*ap, uint64_t);
		break;
	case 'd':
		v->number = va_arg(*ap, int);
		break;
	case 'a':
	case 'o':
		v->number = 0;
		break;
	case 'b':
		v->data = va_arg(*ap, const void *);
		v->size = va_arg(*ap, size_t);
		break;
	default:
		v->data = va_arg(*ap, const char *);
		v->size = v->data ? strlen(v->data) : 0;
		break;
	}
}

static struct db_write *make_write(const char *sql, const char *types, va_list ap)
{
	struct db_value values[64];
	size_t n = strlen(types);
	size_t size = sizeof(struct db_write) + n * sizeof(struct db_value);
	struct db_write *w;
	uint8_t *tail;
	va_list copy;

	if (n > ARRAY_SIZE(values))
		return NULL;
	va_copy(copy, ap);
	for (size_t i = 0; i < n; i++) {
		take_value(&values[i], types[i], &copy);
		size += values[i].size;
	}
	va_end(copy);
	w = malloc(size);
	if (!w)
		return NULL;
	w->sql = sql;
	w->n_values = n;
	tail = (uint8_t *)&w->values[n];
	for (size_t i = 0; i < n; i++) {
		w->values[i] = values[i];
		if (!values[i].data)
			continue;
		memcpy(tail, values[i].data, values[i].size);
		w->values[i].data = tail;
		tail += values[i].size;
	}
	return w;
}

static void add_write(
	struct db_tx *tx, const char *sql, bool one_row, const char *types, va_list ap)
{
	struct db_write *w;

	if (!tx || tx->out_of_memory)
		return;
	w = make_write(sql, types, ap);
	if (!w) {
		tx->out_of_memory = true;
		return;
	}
	w->one_row = one_row;
	STAILQ_INSERT_TAIL(&tx->writes, w, entry);
}

void db_tx_write(struct db_tx *tx, const char *sql, const char *types, ...)
{
	va_list ap;

	va_start(ap, types);
	add_write(tx, sql, false, types, ap);
	va_end(ap);
}

void db_tx_write_one(struct db_tx *tx, const char *sql, const char *types, ...)
{
	va_list ap;

	va_start(ap, types);
	add_write(tx, sql, true, types, ap);
	va_end(ap);
}

static void bind_value(sqlite3_stmt *stmt, int i, const struct db_value *v)
{
	if (v->type == 's' && v->data)
		sqlite3_bind_text(stmt, i, v->data, (int)v->size, SQLITE_STATIC);
	else if (v->type == 'b')
		sqlite3_bind_blob(stmt, i, v->data ? v->data : "", (int)v->size, SQLITE_STATIC);
	else if (v->type != 's')
		sqlite3_bind_int64(stmt, i, v->number);
}

/* The values that were not known when the statement was added. */
static struct db_value resolve(const struct db_tx *tx, const struct db_value *v)
{
	if (v->type == 'a')
		return (struct db_value){
			.type = 's', .data = tx->actor.name, .size = strlen(tx->actor.name)};
	if (v->type == 'o')
		return (struct db_value){.type = 'd', .number = tx->actor.is_operator};
	return *v;
}

static int run_write(
	struct db *db, const struct db_tx *tx, const struct db_write *w, struct err *err)
{
	sqlite3_stmt *stmt;
	int r = db_statement(db, w->sql, &stmt, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < w->n_values; i++) {
		struct db_value v = resolve(tx, &w->values[i]);

		bind_value(stmt, (int)i + 1, &v);
	}
	r = sqlite3_step(stmt);
	sqlite3_reset(stmt);
	if (r != SQLITE_DONE && r != SQLITE_ROW)
		return db_error(db, r, "write the state", err);
	if (w->one_row && sqlite3_changes(sqlite3_db_handle(stmt)) != 1)
		return err_set(err, ERR_ABORTED, "STATE_CHANGED",
			"it was changed or deleted meanwhile; look at it again");
	return 0;
}

int db_tx_run(struct db *db, const struct db_tx *tx, struct err *err)
{
	const struct db_write *w;

	if (!tx || tx->out_of_memory)
		return err_oom(err);
	STAILQ_FOREACH(w, &tx->writes, entry)
	{
		int r = run_write(db, tx, w, err);

		if (r < 0)
			return r;
	}
	return 0;
}

int db_query(struct db *db, const char *sql, db_row_fn fn, void *arg, struct err *err,
	const char *types, ...)
{
	sqlite3_stmt *stmt;
	va_list ap;
	int r = db_statement(db, sql, &stmt, err);

	if (r < 0)
		return r;
	va_start(ap, types);
	for (int i = 0; types[i]; i++) {
		struct db_value v;

		take_value(&v, types[i], &ap);
		bind_value(stmt, i + 1, &v);
	}
	va_end(ap);
	while (r == 0) {
		int code = sqlite3_step(stmt);

		if (code == SQLITE_DONE)
			break;
		r = code == SQLITE_ROW ? fn(stmt, arg, err)
				       : db_error(db, code, "read the state", err);
	}
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return r;
}

void db_column_text(sqlite3_stmt *row, int column, char *out, size_t size)
{
	const char *text = (const char *)sqlite3_column_text(row, column);

	snprintf(out, size, "%s", text ? text : "");
}

/* See db_lab.h. */
#include "tests/unit/db_lab.h"

#include "tests/unit/unit.h"
#include "tests/unit/unit_db.h"

#include <event2/event.h>
#include <string.h>
#include <unistd.h>

static void on_failed(void *arg, const struct err *err)
{
	struct fixture *f = arg;

	(void)err;
	f->failed = true;
	event_base_loopbreak(f->base);
}

static void on_committed(void *arg)
{
	struct fixture *f = arg;

	f->committed++;
}

int db_lab_make(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/croft-test-db-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/croft.db", f->dir);
	f->base = event_base_new();
	*state = f;
	return 0;
}

int db_lab_drop(void **state)
{
	struct fixture *f = *state;

	db_close(f->db);
	event_base_free(f->base);
	unit_remove_db(f->dir, f->path);
	free(f);
	return 0;
}

void db_lab_start(struct fixture *f)
{
	struct db_config config = {.failed = on_failed, .committed = on_committed, .arg = f};
	struct err err;

	if (db_open(f->path, &f->db, &err) < 0 || db_start(f->db, f->base, &config, &err) < 0)
		fail_msg("%s", err.msg);
}

struct db_tx *db_lab_put(const char *key, int64_t value)
{
	struct db_tx *tx = db_tx_new();

	db_tx_write(tx,
		"INSERT INTO totals (uid, cpu, throttled, memory_high, memory_low, memory_peak,"
		" pids_peak, pids_denied, oom_kills, at_limit, running, runs)"
		" VALUES (?1, ?2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)",
		"si", key, value);
	return tx;
}

int db_lab_called;

void db_lab_note(void *arg, const struct err *err)
{
	struct result *r = arg;

	r->order = ++db_lab_called;
	r->failed = err;
	if (err)
		r->err = *err;
}

void db_lab_note_and_leave(void *arg, const struct err *err)
{
	struct result *r = arg;

	db_lab_note(arg, err);
	event_base_loopbreak(r->f->base);
}

int db_lab_take_number(sqlite3_stmt *row, void *arg, struct err *err)
{
	(void)err;
	*(int64_t *)arg = sqlite3_column_int64(row, 0);
	return 0;
}

int64_t db_lab_count(struct fixture *f)
{
	int64_t n = -1;
	struct err err;

	assert_int_equal(
		db_query(f->db, "SELECT count(*) FROM totals", db_lab_take_number, &n, &err, ""),
		0);
	return n;
}

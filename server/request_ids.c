/*
 * The table of requests seen; see request_ids.h. Holds hashes, never a request's content, and is
 * bounded for each caller, so that one cannot push out what another relies on.
 */
#include "server/request_ids.h"

#include "base/cleanup.h"
#include "server/hash.h"

#include <errno.h>
#include <string.h>

#define CALLER_SIZE 64

struct request_caller {
	struct map_node by_name;
	char name[CALLER_SIZE];
	size_t n;
	TAILQ_HEAD(, request_entry) entries; /* oldest first */
};

struct request_entry {
	struct map_node by_key;
	TAILQ_ENTRY(request_entry) entry;
	struct request_caller *caller;
	char key[HASH_SIZE];
	char fingerprint[HASH_SIZE];
	int64_t wall_usec;
	bool done;
	bool leaving;		  /* one that is under way takes its place */
	char replaces[HASH_SIZE]; /* the key of whose place this one takes; "": there is room */
	struct waiter_list waiters;
	const uint8_t *reply; /* while the waiters are called */
	size_t reply_size;
};

struct request_table {
	struct map entries;
	struct map callers;
};

struct request_table *request_table_create(void)
{
	return calloc(1, sizeof(struct request_table));
}

static void drop_entry(struct request_table *table, struct request_entry *e)
{
	struct request_caller *caller = e->caller;

	map_remove(&table->entries, &e->by_key);
	TAILQ_REMOVE(&caller->entries, e, entry);
	free(e);
	if (--caller->n)
		return;
	map_remove(&table->callers, &caller->by_name);
	free(caller);
}

void request_table_destroy(struct request_table *table)
{
	struct map_node *node;

	if (!table)
		return;
	while ((node = map_after(&table->entries, ""))) {
		struct request_entry *e = map_object(node, struct request_entry, by_key);
		struct err err;

		err_set(&err, ERR_UNAVAILABLE, "SHUTTING_DOWN", "croftd is shutting down");
		waiters_call(&e->waiters, &err);
		drop_entry(table, e);
	}
	free(table);
}

static struct request_caller *get_caller(struct request_table *table, const char *name)
{
	struct map_node *node = map_find(&table->callers, name);
	struct request_caller *caller;

	if (node)
		return map_object(node, struct request_caller, by_name);
	caller = calloc(1, sizeof(*caller));
	if (!caller)
		return NULL;
	snprintf(caller->name, sizeof(caller->name), "%s", name);
	TAILQ_INIT(&caller->entries);
	map_insert(&table->callers, &caller->by_name, caller->name);
	return caller;
}

static struct request_entry *add_entry(struct request_table *table, const char *caller,
	const char *key, const char *fingerprint, int64_t wall_usec)
{
	struct request_entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->caller = get_caller(table, caller);
	if (!e->caller) {
		free(e);
		return NULL;
	}
	snprintf(e->key, sizeof(e->key), "%s", key);
	snprintf(e->fingerprint, sizeof(e->fingerprint), "%s", fingerprint);
	e->wall_usec = wall_usec;
	TAILQ_INIT(&e->waiters);
	TAILQ_INSERT_TAIL(&e->caller->entries, e, entry);
	e->caller->n++;
	map_insert(&table->entries, &e->by_key, e->key);
	return e;
}

/*
 * Whose place a new one takes: the caller's oldest that is done. It stays until the new one is
 * stored, so that rows and entries are the same ones, and failures push out nothing. NULL: there is
 * room.
 */
static struct request_entry *find_surplus(const struct request_caller *caller)
{
	struct request_entry *e;

	if (caller->n <= REQUESTS_PER_CALLER)
		return NULL;
	TAILQ_FOREACH (e, &caller->entries, entry)
		if (e->done && !e->leaving)
			break;
	return e;
}

static void take_place(struct request_entry *entry)
{
	struct request_entry *oldest = find_surplus(entry->caller);

	if (!oldest)
		return;
	oldest->leaving = true;
	memcpy(entry->replaces, oldest->key, sizeof(entry->replaces));
}

/* The row went with the transaction that stored the new one, or stays with it. */
static void leave_place(struct request_table *table, const struct request_entry *entry, bool stored)
{
	struct map_node *node = map_find(&table->entries, entry->replaces);
	struct request_entry *oldest = node ? map_object(node, struct request_entry, by_key) : NULL;

	/* It may have expired, and been sent again. */
	if (!oldest || !oldest->leaving)
		return;
	oldest->leaving = false;
	if (stored)
		drop_entry(table, oldest);
}

static bool id_is_valid(const char *id)
{
	size_t len = strnlen(id, REQUEST_ID_MAX + 1);

	for (size_t i = 0; i < len; i++)
		if (id[i] <= ' ' || id[i] > '~')
			return false;
	return len > 0 && len <= REQUEST_ID_MAX;
}

int request_begin(struct request_table *table, const char *caller, const char *method,
	const char *request_id, const void *request, size_t size, int64_t now_wall_usec,
	struct request_entry **ret, enum request_state *ret_state, struct err *err)
{
	const char *const parts[] = {caller, method, request_id};
	char fingerprint[HASH_SIZE];
	char key[HASH_SIZE];
	struct request_entry *e;
	struct map_node *node;

	if (!id_is_valid(request_id))
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "REQUEST_ID_INVALID",
			"request_id", "a request_id has 1 to %d printable characters, no spaces",
			REQUEST_ID_MAX);
	if (hash_strings(parts, ARRAY_SIZE(parts), key, err) < 0 ||
		hash_bytes(request, size, fingerprint, err) < 0)
		return -EIO;
	node = map_find(&table->entries, key);
	if (node) {
		e = map_object(node, struct request_entry, by_key);
		if (strcmp(e->fingerprint, fingerprint) != 0)
			return err_set_subject(err, ERR_INVALID_ARGUMENT, "REQUEST_ID_REUSED",
				"request_id",
				"this request_id was used for another request; take a new one");
		*ret = e;
		*ret_state = e->done ? REQUEST_DONE : REQUEST_RUNNING;
		return 0;
	}
	e = add_entry(table, caller, key, fingerprint, now_wall_usec);
	if (!e)
		return err_oom(err);
	take_place(e);
	*ret = e;
	*ret_state = REQUEST_NEW;
	return 0;
}

int request_wait(struct request_entry *entry, void (*fn)(void *arg, const struct err *err),
	void *arg, struct err *err)
{
	return waiters_add(&entry->waiters, fn, arg, err);
}

void request_store(
	struct db_tx *tx, const struct request_entry *entry, const uint8_t *reply, size_t size)
{
	if (*entry->replaces)
		db_tx_write(tx, "DELETE FROM requests WHERE key = ?1", "s", entry->replaces);
	db_tx_write(tx,
		"INSERT OR REPLACE INTO requests (key, fingerprint, caller, reply, wall)"
		" VALUES (?1, ?2, ?3, ?4, ?5)",
		"sssbi", entry->key, entry->fingerprint, entry->caller->name, (const void *)reply,
		size, entry->wall_usec);
}

void request_take_back(struct db_tx *tx, const struct request_entry *entry)
{
	db_tx_write(tx, "DELETE FROM requests WHERE key IN (?1, ?2)", "ss", entry->key,
		entry->replaces);
}

void request_store_again(struct db_tx *tx, const char *key, const uint8_t *reply, size_t size)
{
	db_tx_write(tx, "UPDATE requests SET reply=?2 WHERE key=?1", "sb", key, (const void *)reply,
		size);
}

void request_finish(struct request_table *table, struct request_entry *entry, const uint8_t *reply,
	size_t size, bool stored, const struct err *err)
{
	/* Not found by what the waiters do: they may send the same again. */
	entry->done = true;
	entry->reply = reply;
	entry->reply_size = size;
	waiters_call(&entry->waiters, err);
	entry->reply = NULL;
	leave_place(table, entry, stored);
	if (err || !stored)
		drop_entry(table, entry);
}

const uint8_t *request_reply(const struct request_entry *entry, size_t *ret_size)
{
	*ret_size = entry->reply_size;
	return entry->reply;
}

const char *request_key(const struct request_entry *entry)
{
	return entry->key;
}

void request_expire(struct request_table *table, struct db_tx *tx, int64_t now_wall_usec)
{
	int64_t oldest = now_wall_usec - REQUEST_KEPT_USEC;
	char at[HASH_SIZE] = "";
	struct map_node *node;

	while ((node = map_after(&table->entries, at))) {
		struct request_entry *e = map_object(node, struct request_entry, by_key);

		memcpy(at, e->key, sizeof(at));
		if (e->done && e->wall_usec < oldest)
			drop_entry(table, e);
	}
	db_tx_write(tx, "DELETE FROM requests WHERE wall < ?1", "i", oldest);
}

static int load_row(sqlite3_stmt *row, void *arg, struct err *err)
{
	char key[HASH_SIZE];
	char fingerprint[HASH_SIZE];
	char caller[CALLER_SIZE];
	struct request_table *table = arg;
	struct request_entry *surplus;
	struct request_entry *e;

	db_column_text(row, 0, key, sizeof(key));
	db_column_text(row, 1, fingerprint, sizeof(fingerprint));
	db_column_text(row, 2, caller, sizeof(caller));
	e = add_entry(table, caller, key, fingerprint, sqlite3_column_int64(row, 3));
	if (!e)
		return err_oom(err);
	e->done = true;
	surplus = find_surplus(e->caller);
	if (surplus)
		drop_entry(table, surplus);
	return 0;
}

int request_table_load(struct request_table *table, struct db *db, struct err *err)
{
	return db_query(db, "SELECT key, fingerprint, caller, wall FROM requests ORDER BY wall",
		load_row, table, err, "");
}

struct loaded_reply {
	uint8_t *data;
	size_t size;
	bool found;
};

static int take_reply(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct loaded_reply *reply = arg;

	reply->size = (size_t)sqlite3_column_bytes(row, 0);
	reply->data = malloc(reply->size + 1);
	if (!reply->data)
		return err_oom(err);
	if (reply->size)
		memcpy(reply->data, sqlite3_column_blob(row, 0), reply->size);
	reply->found = true;
	return 0;
}

int request_load_reply(
	struct db *db, const char *key, uint8_t **ret_reply, size_t *ret_size, struct err *err)
{
	struct loaded_reply reply = {0};
	int r = db_query(
		db, "SELECT reply FROM requests WHERE key=?1", take_reply, &reply, err, "s", key);

	if (r < 0)
		return r;
	if (!reply.found)
		return err_set(err, ERR_ABORTED, "REQUEST_FORGOTTEN",
			"this request was carried out, but its reply is not kept any more");
	*ret_reply = reply.data;
	*ret_size = reply.size;
	return 0;
}

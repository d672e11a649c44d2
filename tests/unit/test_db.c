/*
 * server/db.h on a real SQLite in a temporary directory: values, a refused transaction beside good
 * ones, a kill in the middle of work, a damaged file, a full disk.
 */
#include "tests/unit/db_lab.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void a_refused_one_leaves_the_others_alone(void **state)
{
	struct result results[4] = {0};
	struct fixture *f = *state;
	struct db_tx *tx;

	db_lab_start(f);
	results[3].f = f;
	db_commit(f->db, db_lab_put("a", 1), db_lab_note, &results[0]);
	/* Its first statement succeeds and must be taken back; its second is refused. */
	tx = db_lab_put("b", 2);
	db_tx_write(tx, "INSERT INTO totals (uid) VALUES (?1)", "s", "a");
	db_commit(f->db, tx, db_lab_note, &results[1]);
	tx = db_lab_put("c", 3);
	db_tx_write_one(tx, "UPDATE totals SET cpu=9 WHERE uid=?1", "s", "nothere");
	db_commit(f->db, tx, db_lab_note, &results[2]);
	db_commit(f->db, db_lab_put("d", 4), db_lab_note_and_leave, &results[3]);
	event_base_dispatch(f->base);
	assert_false(results[0].failed);
	assert_true(results[1].failed);
	assert_int_equal(results[1].err.code, ERR_ABORTED);
	assert_true(results[2].failed);
	assert_string_equal(results[2].err.reason, "STATE_CHANGED");
	assert_false(results[3].failed);
	assert_false(f->failed);
	db_stop(f->db);
	assert_int_equal(db_lab_count(f), 2);
}

static void values_come_back_as_given(void **state)
{
	struct fixture *f = *state;
	struct db_tx *tx = db_tx_new();
	int64_t n = 0;
	struct err err;

	db_lab_start(f);
	db_tx_write(tx,
		"INSERT INTO requests (key, fingerprint, caller, reply, wall)"
		" VALUES (?1, ?2, ?3, ?4, ?5)",
		"sssbu", "k", "", "c", (const void *)"a\0b", (size_t)3, UINT64_MAX);
	db_commit(f->db, tx, NULL, NULL);
	db_stop(f->db);
	assert_int_equal(db_query(f->db,
				 "SELECT count(*) FROM requests WHERE fingerprint = '' AND"
				 " length(reply) = 3 AND wall = -1",
				 db_lab_take_number, &n, &err, ""),
		0);
	assert_int_equal(n, 1);
}

/* Commits one after the other for ever, and says each time how far it is safe. */
static void __attribute__((noreturn)) work_until_killed(struct fixture *f, int out)
{
	struct event_base *base = event_base_new();
	struct db_config config = {0};
	struct err err;

	if (db_open(f->path, &f->db, &err) < 0 || db_start(f->db, base, &config, &err) < 0)
		_exit(1);
	for (int64_t i = 1;; i++) {
		struct result result = {.f = &(struct fixture){.base = base}};
		char key[24];

		snprintf(key, sizeof(key), "%08" PRId64, i);
		db_commit(f->db, db_lab_put(key, i), db_lab_note_and_leave, &result);
		event_base_dispatch(base);
		if (result.failed || write(out, &i, sizeof(i)) != sizeof(i))
			_exit(1);
	}
}

static void what_was_promised_survives_a_kill(void **state)
{
	struct fixture *f = *state;
	int pipes[2];
	int64_t promised = 0;
	int64_t n = 0;
	int status;
	pid_t pid;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		work_until_killed(f, pipes[1]);
	close(pipes[1]);
	while (promised < 50)
		assert_int_equal(read(pipes[0], &promised, sizeof(promised)), sizeof(promised));
	kill(pid, SIGKILL);
	while (read(pipes[0], &n, sizeof(n)) == sizeof(n))
		promised = n;
	close(pipes[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	db_lab_start(f);
	db_stop(f->db);
	/* One more may be durable than was told. */
	assert_in_range(db_lab_count(f), promised, promised + 1);
	assert_false(f->failed);
}

/* SQLite's own files, of whatever kind, whose sync can be made to fail as a disk's does. */
static struct {
	sqlite3_vfs *real;
	sqlite3_vfs vfs;
	struct file_kind {
		sqlite3_io_methods methods; /* first: a file points to it */
		const sqlite3_io_methods *real;
		bool held;
	} kinds[8];
	bool sync_fails;
	bool holds; /* whoever reads the file without writing to it; atomic */
	bool read;  /* somebody did; atomic */
} disk;

static int sync_file(sqlite3_file *file, int flags)
{
	const struct file_kind *kind = (const void *)file->pMethods;

	return disk.sync_fails ? SQLITE_IOERR_FSYNC : kind->real->xSync(file, flags);
}

static int read_when_let(sqlite3_file *file, void *into, int n, sqlite3_int64 at)
{
	const struct file_kind *kind = (const void *)file->pMethods;
	const struct timespec pause = {.tv_nsec = 1000000};

	/* To open it takes its header, of 100 bytes. */
	if (n > 100)
		__atomic_store_n(&disk.read, true, __ATOMIC_SEQ_CST);
	while (n > 100 && __atomic_load_n(&disk.holds, __ATOMIC_SEQ_CST))
		nanosleep(&pause, NULL);
	return kind->real->xRead(file, into, n, at);
}

static struct file_kind *kind_of(const sqlite3_io_methods *real, bool held)
{
	struct file_kind *kind = disk.kinds;

	while (kind->real && (kind->real != real || kind->held != held))
		kind++;
	assert_true(kind < disk.kinds + ARRAY_SIZE(disk.kinds));
	kind->real = real;
	kind->held = held;
	kind->methods = *real;
	kind->methods.xSync = sync_file;
	if (held)
		kind->methods.xRead = read_when_let;
	return kind;
}

static int open_file(
	sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	int r = disk.real->xOpen(disk.real, name, file, flags, ret_flags);

	(void)vfs;
	if (r == SQLITE_OK)
		file->pMethods = &kind_of(
			file->pMethods, flags & SQLITE_OPEN_MAIN_DB && flags & SQLITE_OPEN_READONLY)
					  ->methods;
	return r;
}

static void use_disk(void)
{
	disk.real = sqlite3_vfs_find(NULL);
	disk.vfs = *disk.real;
	disk.vfs.zName = "failing";
	disk.vfs.xOpen = open_file;
	assert_int_equal(sqlite3_vfs_register(&disk.vfs, 1), SQLITE_OK);
}

static void leave_disk(void)
{
	assert_int_equal(sqlite3_vfs_unregister(&disk.vfs), SQLITE_OK);
	sqlite3_vfs_register(disk.real, 1);
}

/* What the page cache holds after it is no promise: nothing is called committed, and it ends. */
static void a_sync_that_fails_stops_the_service(void **state)
{
	struct fixture *f = *state;
	struct result good = {.f = f};
	struct result lost = {.f = f};
	struct result later = {.f = f};

	use_disk();
	db_lab_start(f);
	db_commit(f->db, db_lab_put("good", 1), db_lab_note_and_leave, &good);
	event_base_dispatch(f->base);
	assert_false(good.failed);
	assert_false(f->failed);
	disk.sync_fails = true;
	db_commit(f->db, db_lab_put("lost", 1), db_lab_note, &lost);
	event_base_dispatch(f->base);
	assert_true(f->failed);
	assert_true(lost.failed);
	assert_string_equal(lost.err.reason, "STATE_FAILED");
	/* Also when the disk is well again. */
	disk.sync_fails = false;
	db_commit(f->db, db_lab_put("later", 1), db_lab_note, &later);
	db_stop(f->db);
	assert_true(later.failed);
	leave_disk();
}

/* A large file takes minutes to be looked at; nobody waits for it, and a stop does not either. */
static void commits_go_on_while_the_file_is_checked(void **state)
{
	struct fixture *f = *state;
	struct result result = {.f = f};

	db_lab_start(f);
	db_close(f->db);
	use_disk();
	disk.holds = true;
	db_lab_start(f);
	db_commit(f->db, db_lab_put("a", 1), db_lab_note_and_leave, &result);
	event_base_dispatch(f->base);
	assert_false(result.failed);
	while (!__atomic_load_n(&disk.read, __ATOMIC_SEQ_CST))
		sched_yield();
	__atomic_store_n(&disk.holds, false, __ATOMIC_SEQ_CST);
	db_stop(f->db);
	assert_false(f->failed);
	assert_int_equal(db_lab_count(f), 1);
	db_close(f->db);
	f->db = NULL;
	leave_disk();
}

static void a_damaged_file_stops_the_service(void **state)
{
	struct fixture *f = *state;
	char garbage[4096];
	struct stat empty;
	struct db_tx *tx;
	int fd;

	db_lab_start(f);
	db_close(f->db);
	assert_int_equal(stat(f->path, &empty), 0);
	db_lab_start(f);
	for (int i = 0; i < 400; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%d", i);
		tx = db_lab_put(key, i);
		db_commit(f->db, tx, NULL, NULL);
	}
	db_close(f->db);
	f->db = NULL;
	/* What has come since is pages of rows; the schema before it stays readable. */
	memset(garbage, 0x5a, sizeof(garbage));
	fd = open(f->path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (off_t at = lseek(fd, 0, SEEK_END) - (off_t)sizeof(garbage); at >= empty.st_size;
		at -= 4096)
		assert_int_equal(pwrite(fd, garbage, sizeof(garbage), at), sizeof(garbage));
	close(fd);
	db_lab_start(f);
	event_base_dispatch(f->base);
	assert_true(f->failed);
}

/* SQLite's own bound stands for the disk's: both are SQLITE_FULL. */
static int allow_no_page(struct db *db, void *arg, struct err *err)
{
	int64_t ignored;

	(void)arg;
	return db_query(db, "PRAGMA max_page_count=1", db_lab_take_number, &ignored, err, "");
}

static int allow_pages(struct db *db, void *arg, struct err *err)
{
	int64_t ignored;

	(void)arg;
	return db_query(db, "PRAGMA max_page_count=1000000", db_lab_take_number, &ignored, err, "");
}

static struct db_tx *put_large(struct db_tx *tx, const char *key)
{
	static const char large[1 << 18];

	db_tx_write(tx,
		"INSERT INTO requests (key, fingerprint, caller, reply, wall)"
		" VALUES (?1, '', '', ?2, 0)",
		"sb", key, (const void *)large, sizeof(large));
	return tx;
}

static struct db_tx *raise_essential(const char *key)
{
	struct db_tx *tx = db_tx_new_essential();

	db_tx_write(tx, "UPDATE totals SET cpu=cpu+1 WHERE uid=?1", "s", key);
	return tx;
}

static void a_full_disk_refuses_all_but_the_essential(void **state)
{
	struct result results[6] = {0};
	struct fixture *f = *state;
	int64_t cpu = 0;
	struct err err;

	db_lab_start(f);
	db_commit(f->db, db_lab_put("a", 1), NULL, NULL);
	db_read(f->db, allow_no_page, db_lab_note_and_leave, &results[0]);
	results[0].f = f;
	event_base_dispatch(f->base);
	results[3].f = results[4].f = f;
	/* In one batch: one is taken back, and the others are carried out without it. */
	db_commit(f->db, raise_essential("a"), db_lab_note, &results[1]);
	db_commit(f->db, put_large(db_tx_new(), "large"), db_lab_note, &results[2]);
	db_commit(f->db, raise_essential("a"), db_lab_note_and_leave, &results[3]);
	event_base_dispatch(f->base);
	assert_false(results[1].failed);
	assert_true(results[2].failed);
	assert_string_equal(results[2].err.reason, "STATE_DISK_FULL");
	assert_int_equal(results[2].err.code, ERR_RESOURCE_EXHAUSTED);
	assert_false(results[3].failed);
	assert_true(db_is_full(f->db));
	db_commit(f->db, put_large(db_tx_new(), "more"), db_lab_note, &results[4]);
	/* What is essential fails as well where nothing is left at all. */
	db_commit(f->db, put_large(db_tx_new_essential(), "larger"), db_lab_note_and_leave,
		&results[5]);
	results[5].f = f;
	event_base_dispatch(f->base);
	assert_true(results[4].failed);
	assert_true(results[5].failed);
	assert_string_equal(results[5].err.reason, "STATE_DISK_FULL");
	assert_false(f->failed);
	db_stop(f->db);
	assert_int_equal(db_lab_count(f), 1);
	assert_int_equal(
		db_query(f->db, "SELECT cpu FROM totals", db_lab_take_number, &cpu, &err, ""), 0);
	assert_int_equal(cpu, 3);
}

static void room_is_noticed(void **state)
{
	static const struct timespec pause = {.tv_nsec = 10000000};
	struct fixture *f = *state;
	struct result full = {.f = f};
	struct result after = {.f = f};

	db_lab_start(f);
	db_read(f->db, allow_no_page, db_lab_note_and_leave, &after);
	event_base_dispatch(f->base);
	db_commit(f->db, put_large(db_tx_new(), "large"), db_lab_note_and_leave, &full);
	event_base_dispatch(f->base);
	assert_true(full.failed);
	db_read(f->db, allow_pages, db_lab_note, &after);
	for (int i = 0; i < 1000 && db_is_full(f->db); i++)
		nanosleep(&pause, NULL);
	assert_false(db_is_full(f->db));
	db_commit(f->db, put_large(db_tx_new(), "large"), db_lab_note_and_leave, &after);
	event_base_dispatch(f->base);
	assert_false(after.failed);
}

static void a_later_version_is_refused(void **state)
{
	struct fixture *f = *state;
	sqlite3 *handle;
	struct err err;

	assert_int_equal(sqlite3_open(f->path, &handle), SQLITE_OK);
	sqlite3_exec(handle, "PRAGMA user_version=999", NULL, NULL, NULL);
	sqlite3_close(handle);
	assert_true(db_open(f->path, &f->db, &err) < 0);
	assert_string_equal(err.reason, "STATE_TOO_NEW");
}

/* --- stopping --- */

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_refused_one_leaves_the_others_alone, db_lab_make, db_lab_drop),
		cmocka_unit_test_setup_teardown(
			values_come_back_as_given, db_lab_make, db_lab_drop),
		cmocka_unit_test_setup_teardown(
			what_was_promised_survives_a_kill, db_lab_make, db_lab_drop),
		cmocka_unit_test_setup_teardown(
			a_sync_that_fails_stops_the_service, db_lab_make, db_lab_drop),
		cmocka_unit_test_setup_teardown(
			commits_go_on_while_the_file_is_checked, db_lab_make, db_lab_drop),
		cmocka_unit_test_setup_teardown(
			a_damaged_file_stops_the_service, db_lab_make, db_lab_drop),
		cmocka_unit_test_setup_teardown(
			a_full_disk_refuses_all_but_the_essential, db_lab_make, db_lab_drop),
		cmocka_unit_test_setup_teardown(room_is_noticed, db_lab_make, db_lab_drop),
		cmocka_unit_test_setup_teardown(
			a_later_version_is_refused, db_lab_make, db_lab_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

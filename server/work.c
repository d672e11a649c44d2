/* Samples of a tenant's leaf; see work.h. Must never count the same work in two rows. */
#include "server/work.h"

#include "base/log.h"
#include "server/ledger.h"
#include "server/ledger_meters.h"
#include "server/link.h"
#include "server/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Returns false when there is none (yet). */
static bool open_leaf(const int *dirs, size_t n, int *ret_fds)
{
	for (size_t i = 0; i < n; i++) {
		ret_fds[i] = openat(
			dirs[i], COUNTERS_LEAF, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (ret_fds[i] < 0) {
			link_close_fds(ret_fds, i);
			return false;
		}
	}
	return true;
}

/* Another leaf than the one that is known: it is new, and has all of its work before it. */
static void renew(struct server *server, struct tenant *t, uint64_t inode)
{
	struct run *run = &t->work;
	struct db_tx *tx;

	if (run->key) {
		tx = db_tx_new_essential();
		work_end(tx, t);
		db_commit(server->db, tx, NULL, NULL);
	}
	run_close(run);
	*run = (struct run){.cgroup_inode = inode, .confirmed = true};
	memcpy(run->boot_id, server->boot_id, sizeof(run->boot_id));
	run->last.boot_usec = clock_boot_usec();
	run->last.wall_usec = clock_wall_usec();
}

void work_adopt(struct server *server, struct tenant *t, const int *dirs, size_t n_dirs)
{
	enum cgroup_kind kind = link_cgroup_kind(server->link);
	struct run *run = &t->work;
	int leaf[COUNTER_DIR_N];
	struct stat st = {0};
	struct err err;
	int r = 0;

	if (n_dirs != counters_n_dirs(kind) || !open_leaf(dirs, n_dirs, leaf))
		return;
	fstat(leaf[0], &st);
	if (run->cgroup_inode != (uint64_t)st.st_ino || strcmp(run->boot_id, server->boot_id) != 0)
		renew(server, t, (uint64_t)st.st_ino);
	if (!run->files)
		r = counter_files_open(kind, COUNTERS_OF_CONTAINER, leaf, NULL, &run->files, &err);
	if (r < 0 && r != -ENOENT && r != -ENODEV)
		log_error("counters-unreadable of=%s/" COUNTERS_LEAF " error=\"%s\"", t->name,
			err.msg);
	link_close_fds(leaf, n_dirs);
}

/* Its counters began at nothing with the leaf, or when it was last seen not to have worked. */
static void begin(struct server *server, struct run *run)
{
	run->key = server->next_run_key++;
	model_make_uid(run->id);
	run->start_boot_usec = run->last.boot_usec;
	run->start_wall_usec = run->last.wall_usec;
}

/* As what is held: it is taken to be looked at as seldom. There are sweeps on demand, too. */
static uint64_t idle_usec(const struct server *server)
{
	return (LEDGER_HELD_LOOKS - 1) * server->config->sample_interval_ms * 1000;
}

bool work_sample(struct server *server, struct db_tx *tx, struct tenant *t, uint64_t sweep)
{
	struct run *run = &t->work;
	struct usage_point point = {.sequence = run->last.sequence + 1};
	struct err err;

	if (!run->files || counters_read(run->files, &point.counters, &err) < 0)
		return false;
	point.boot_usec = clock_boot_usec();
	point.wall_usec = clock_wall_usec();
	if (!run->key && !point.counters.cpu_usec) {
		run->last.boot_usec = point.boot_usec;
		run->last.wall_usec = point.wall_usec;
		return false;
	}
	if (sweep && run->key && point.counters.cpu_usec == run->last.counters.cpu_usec &&
		point.boot_usec - run->last.boot_usec < idle_usec(server))
		return false;
	if (!run->key)
		begin(server, run);
	/* With each sample: whether an earlier transaction came through is not known. */
	store_add_work(tx, run, t);
	ledger_add_work_sample(tx, t, &point, sweep);
	return true;
}

void work_end(struct db_tx *tx, struct tenant *t)
{
	struct run *run = &t->work;

	if (!run->key)
		return;
	run->end_boot_usec = run->last.boot_usec;
	run->end_wall_usec = run->last.wall_usec;
	run->exit = RUN_EXIT_UNKNOWN;
	store_end_run(tx, run);
	run_close(run);
	run->key = 0;
}

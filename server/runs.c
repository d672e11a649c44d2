/* Making runs and taking over their descriptors; see lifecycle.h. */
#include "server/lifecycle.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/abuse_procs.h"
#include "server/console.h"
#include "server/health.h"
#include "server/link.h"
#include "server/logs.h"
#include "server/store.h"
#include "server/work.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static void make_run(struct server *server, struct run *run)
{
	run_close(run);
	memset(run, 0, sizeof(*run));
	run->key = server->next_run_key++;
	model_make_uid(run->id);
	memcpy(run->boot_id, server->boot_id, sizeof(run->boot_id));
}

void run_init(struct server *server, struct container *c)
{
	make_run(server, &c->run);
	c->run.partial_writes = server->host.cgroup_kind == CGROUP_HYBRID;
	c->killed = false;
	c->stop_asked = false;
	c->stopper = (struct actor){0};
}

void run_set_base(struct run *run, const struct net_base *base)
{
	run->net_base = *base;
	run->last.counters.has_net = base->valid;
	run->last.counters.net = base->usage;
}

/* Opens the counters behind the directories, which are closed, and takes that of refused calls.
 * Returns the cgroup's inode. */
static uint64_t adopt_counters(struct server *server, struct run *run, enum counters_of of,
	const int *dirs, const struct io_disk *disk, int refused, const char *whose)
{
	enum cgroup_kind kind = link_cgroup_kind(server->link);
	struct counter_files *files;
	struct stat st = {0};
	struct err err;
	int r;

	fstat(dirs[0], &st);
	r = counter_files_open(kind, of, dirs, disk, &files, &err);
	if (r == 0) {
		run_close(run);
		counter_files_take_refused(files, take_fd(&refused));
		run->files = files;
		run->stalls = stalls_open(dirs[COUNTER_DIR_UNIFIED]);
		run->procs = abuse_procs_open(dirs[COUNTER_DIR_UNIFIED]);
	} else if (r != -ENOENT && r != -ENODEV) {
		/* Those two: it has ended already, and its final read is on its way. */
		log_error("counters-unreadable of=%s error=\"%s\"", whose, err.msg);
	}
	link_close_fds(dirs, counters_n_dirs(kind));
	close_fd(&refused);
	return (uint64_t)st.st_ino;
}

/*
 * A supervisor that was started anew has no console of this run: it is given the one that is here,
 * so that this croftd may end before it does.
 */
static int keep_console(struct server *server, struct container *c)
{
	int fd = log_source_take_console(c->logs);
	struct msg_console_keep msg = {0};
	struct err err;

	if (fd < 0)
		return -1;
	memcpy(msg.tenant, c->tenant->name, sizeof(msg.tenant));
	memcpy(msg.container, c->name, sizeof(msg.container));
	memcpy(msg.run_id, c->run.id, sizeof(msg.run_id));
	if (link_send_early(server->link, MSG_CONSOLE_KEEP, &msg, &fd, 1, NULL, NULL, &err) < 0)
		log_warning("console-not-kept container=%s error=\"%s\"", c->name, err.msg);
	return fd;
}

static void adopt_output(struct server *server, struct container *c, int output, int console)
{
	if (console < 0)
		console = keep_console(server, c);
	log_source_close(c->logs);
	c->logs = log_source_open(server, c, output, console, console_output);
	console_plugged(c);
}

void run_adopt(struct server *server, struct container *c, const struct msg_started *started,
	const int *fds, size_t n_fds)
{
	size_t n_dirs = counters_n_dirs(link_cgroup_kind(server->link));
	size_t at = n_dirs + (started->tells != 0);
	struct run *run = &c->run;
	int output;
	int console;

	run->pid = started->pid;
	run->id_base = started->id_base;
	if (!run->confirmed) {
		run->start_boot_usec = started->start_boot_usec;
		run->start_wall_usec = started->start_wall_usec;
		run->last.boot_usec = started->start_boot_usec;
		run->last.wall_usec = started->start_wall_usec;
		run_set_base(run, &started->net_base);
		run->confirmed = true;
	}
	if (n_fds < at) {
		link_close_fds(fds, n_fds);
		return;
	}
	run->cgroup_inode = adopt_counters(server, run, COUNTERS_OF_CONTAINER, fds, &started->disk,
		started->tells ? fds[n_dirs] : -1, c->name);
	output = n_fds > at ? fds[at] : -1;
	console = n_fds > at + 1 ? fds[at + 1] : -1;
	if (n_fds > at + 2)
		link_close_fds(fds + at + 2, n_fds - at - 2);
	adopt_output(server, c, output, console);
	health_begin(server, c);
}

void run_end_tenant(struct db_tx *tx, struct tenant *t)
{
	struct run *run = &t->own;

	if (!run->key)
		return;
	run->end_boot_usec = run->last.boot_usec;
	run->end_wall_usec = run->last.wall_usec ? run->last.wall_usec : clock_wall_usec();
	run->exit = RUN_EXIT_UNKNOWN;
	store_end_run(tx, run);
	run_close(run);
	run->key = 0;
}

/*
 * What a directory had counted before it has a row is on no bill, and told by nobody. One that is
 * new begins at 0. False: it cannot be read now, and has no row until it can.
 */
static bool take_base(struct run *run)
{
	struct err err;

	if (!run->files || counters_read(run->files, &run->last.counters, &err) < 0)
		return false;
	run->reported.told[FAULT_PIDS] = run->last.counters.pids_denied;
	return true;
}

void run_adopt_tenant(struct server *server, struct tenant *t, const int *fds, size_t n_fds)
{
	size_t n_dirs = counters_n_dirs(link_cgroup_kind(server->link));
	struct run *run = &t->own;
	/* Not behind the beginning of any work in it. */
	uint64_t boot = clock_boot_usec();
	int64_t wall = clock_wall_usec();
	struct stat st = {0};
	struct db_tx *tx;

	if (n_fds != n_dirs) {
		link_close_fds(fds, n_fds);
		return;
	}
	work_adopt(server, t, fds, n_fds);
	fstat(fds[0], &st);
	if (run->key && run->cgroup_inode == (uint64_t)st.st_ino &&
		!strcmp(run->boot_id, server->boot_id)) {
		if (run->files)
			link_close_fds(fds, n_fds);
		else
			adopt_counters(server, run, COUNTERS_OF_TENANT, fds, NULL, -1, t->name);
		return;
	}
	tx = db_tx_new_essential();
	run_end_tenant(tx, t);
	make_run(server, run);
	run->confirmed = true;
	run->start_boot_usec = run->last.boot_usec = boot;
	run->start_wall_usec = run->last.wall_usec = wall;
	run->cgroup_inode = adopt_counters(server, run, COUNTERS_OF_TENANT, fds, NULL, -1, t->name);
	if (take_base(run)) {
		store_add_run(tx, run, t, NULL);
		store_confirm_run(tx, run);
		store_sample(tx, run, &run->last);
		store_reported(tx, run);
	} else {
		run_close(run);
		run->key = 0;
	}
	db_commit(server->db, tx, NULL, NULL);
}

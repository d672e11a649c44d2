/*
 * The end of a run; see teardown.h. The order is the point: everything dead, counters read,
 * counters on file, and only then is the cgroup removed that they were read from.
 */
#include "sandbox/teardown.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/net_names.h"
#include "sandbox/net_shape.h"
#include "sandbox/refuser.h"
#include "sandbox/spawn.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define EMPTY_TIMEOUT_MS 30000

static int read_counters(struct teardown_request *rq, const struct cgroup_id *id,
	struct msg_run_ended *final, struct err *err)
{
	enum cgroup_kind kind = cgroup_root_kind(rq->cgroups);
	struct counter_files *files = NULL;
	int dirs[COUNTER_DIR_N];
	struct stat st;
	int r = cgroup_open_dirs(rq->cgroups, id, dirs, err);

	if (r < 0)
		return r;
	r = counter_files_open(kind, COUNTERS_OF_CONTAINER, dirs, &rq->file.disk, &files, err);
	if (r == 0) {
		counter_files_take_refused(
			files, refuser_open_count(rq->refused_fd, id->tenant, id->container));
		r = counters_read(files, &final->counters, err);
	}
	if (r == 0 && fstat(dirs[0], &st) == 0)
		final->cgroup_inode = st.st_ino;
	counter_files_close(files);
	for (size_t i = 0; i < counters_n_dirs(kind); i++)
		close(dirs[i]);
	return r;
}

/* Tables of another boot have counted nothing of it. */
static int read_traffic(const struct run_file *file, struct msg_run_ended *final, struct err *err)
{
	char boot_id[BOOT_ID_LEN];
	int r;

	final->net_base = file->net_account.base;
	if (!final->net_base.valid || clock_boot_id(boot_id) < 0 ||
		strcmp(boot_id, file->boot_id) != 0)
		return 0;
	r = net_usage_read_one(&file->net_account.source, &final->counters.net, err);
	final->counters.has_net = r == 0;
	return r;
}

static bool is_gone(int r)
{
	return r == -ENOENT || r == -ENODEV;
}

/*
 * What cannot be read just now (no descriptor, no memory) would never be billed: then the cgroup
 * stays, and this is tried again. What is gone, as after another boot, is nobody's to read.
 */
static int finalize(struct teardown_request *rq, const struct cgroup_id *id, struct err *err)
{
	struct run_file *file = &rq->file;
	struct msg_run_ended *final = &file->final;
	int r;

	memset(final, 0, sizeof(*final));
	memcpy(final->tenant, file->tenant, sizeof(final->tenant));
	memcpy(final->container, file->container, sizeof(final->container));
	memcpy(final->run_id, file->run_id, sizeof(final->run_id));
	memcpy(final->boot_id, file->boot_id, sizeof(final->boot_id));
	final->start_boot_usec = file->start_boot_usec;
	final->end_boot_usec = rq->end_boot_usec;
	final->end_wall_usec = rq->end_wall_usec;
	final->exit = rq->exit;
	r = read_counters(rq, id, final, err);
	if (r == 0)
		r = read_traffic(file, final, err);
	if (r < 0 && !is_gone(r))
		return err_wrap(err, r, "read the final counters");
	final->counters_valid = r == 0;
	file->ended = 1;
	return run_file_save(rq->runs_fd, file, err);
}

int teardown_run(struct teardown_request *rq, struct job_output *out, struct err *err)
{
	/* Ended on file: its range was given back, here or at the start, and may be another's. */
	bool has_range = !rq->file.ended;
	char fifo[SPAWN_FIFO_NAME_MAX];
	struct cgroup_id id;
	int r = 0;

	memcpy(id.tenant, rq->file.tenant, sizeof(id.tenant));
	memcpy(id.container, rq->file.container, sizeof(id.container));
	if (cgroup_exists(rq->cgroups, &id)) {
		r = cgroup_kill(rq->cgroups, &id, err);
		if (r == 0)
			r = cgroup_wait_empty(rq->cgroups, &id, EMPTY_TIMEOUT_MS, err);
	}
	if (r == 0 && !rq->file.ended)
		r = finalize(rq, &id, err);
	if (r == 0)
		r = cgroup_remove(rq->cgroups, &id, err);
	if (r < 0)
		return r;
	spawn_fifo_name(id.tenant, id.container, fifo);
	unlinkat(rq->fifos_fd, fifo, 0);
	refuser_remove_count(rq->refused_fd, id.tenant, id.container);
	if (rq->file.net_number && rq->names_fd >= 0)
		r = net_names_remove(rq->names_fd, id.tenant, id.container, err);
	if (r == 0 && rq->file.net_number)
		r = net_shape_forget(rq->net_plan, rq->file.net_number, rq->file.net_slot, err);
	if (r == 0 && has_range)
		r = idrange_put(rq->ids, rq->file.id_base, err);
	if (r < 0)
		return r;
	memcpy(out->payload, &rq->file, sizeof(rq->file));
	out->size = sizeof(rq->file);
	return 0;
}

static int remove_cgroup(struct cgroup_root *root, const struct cgroup_id *id, struct err *err)
{
	int r;

	if (!cgroup_exists(root, id))
		return 0;
	r = cgroup_kill(root, id, err);
	if (r == 0)
		r = cgroup_wait_empty(root, id, EMPTY_TIMEOUT_MS, err);
	return r < 0 ? r : cgroup_remove(root, id, err);
}

int teardown_stray_run(struct teardown_stray *stray, struct job_output *out, struct err *err)
{
	const struct cgroup_id *id = &stray->id;
	char fifo[SPAWN_FIFO_NAME_MAX];
	int r = remove_cgroup(stray->cgroups, id, err);

	(void)out;
	if (r < 0)
		return r;
	r = run_file_remove(stray->runs_fd, id->tenant, id->container, err);
	spawn_fifo_name(id->tenant, id->container, fifo);
	unlinkat(stray->fifos_fd, fifo, 0);
	refuser_remove_count(stray->refused_fd, id->tenant, id->container);
	if (r == 0 && stray->names_fd >= 0)
		r = net_names_remove(stray->names_fd, id->tenant, id->container, err);
	if (r == 0 && stray->net_number)
		r = net_shape_forget(stray->net_plan, stray->net_number, stray->net_slot, err);
	if (r == 0 && stray->pool)
		r = pool_upper_remove(stray->pool, id->tenant, id->container, err);
	if (r == 0 && stray->id_base)
		r = idrange_put(stray->ids, stray->id_base, err);
	return r;
}

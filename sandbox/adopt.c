/*
 * Adoption; see adopt.h. A run is alive when its boot is this boot and its pid still has the start
 * time on file: a pid alone may be somebody else by now.
 */
#include "sandbox/adopt.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "sandbox/container.h"
#include "sandbox/refuser.h"
#include "sandbox/spawn.h"
#include "sandbox/teardown.h"
#include "sandbox/view.h"

#include <fcntl.h>
#include <string.h>
#include <sys/pidfd.h>

struct adoption {
	struct supervisor *s;
	void (*done)(struct supervisor *s);
	unsigned strays; /* still being removed */
	char boot_id[BOOT_ID_LEN];
	uid_t bases[IDRANGE_COUNT]; /* one left out would be given to another run */
	size_t n_bases;
};

/* A descriptor for exactly the process on file, or -1. */
static int open_init(const struct adoption *a, const struct run_file *file)
{
	_cleanup_close_ int pidfd = -1;
	uint64_t ticks;

	if (strcmp(file->boot_id, a->boot_id) != 0)
		return -1;
	pidfd = pidfd_open(file->pid, 0);
	if (pidfd < 0 || run_file_pid_start(file->pid, &ticks) < 0 ||
		ticks != file->pid_start_ticks)
		return -1;
	return take_fd(&pidfd);
}

static int open_stdout(struct supervisor *s, const struct run_file *file)
{
	char name[SPAWN_FIFO_NAME_MAX];

	spawn_fifo_name(file->tenant, file->container, name);
	return openat(s->fifos_fd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
}

/* Init is no child of ours, and its console's master went with its last holder. */
static void adopt_alive(
	struct adoption *a, struct container *c, const struct run_file *file, int pidfd)
{
	struct err err;

	if (container_run(c, file, pidfd, false, open_stdout(a->s, file), -1, &err) < 0) {
		log_error("run not watched tenant=%s container=%s error=\"%s\"", file->tenant,
			file->container, err.msg);
		return;
	}
	log_info("run adopted tenant=%s container=%s run=%s pid=%d", file->tenant, file->container,
		file->run_id, file->pid);
}

static void adopt(const struct run_file *file, void *arg)
{
	struct adoption *a = arg;
	struct container *c = container_new(a->s, file->tenant, file->container);
	int pidfd;

	if (!c) {
		log_error("run not adopted: out of memory");
		return;
	}
	/* One that has ended needs its range no more, which may be another run's by now. */
	if (!file->ended && a->n_bases < ARRAY_SIZE(a->bases))
		a->bases[a->n_bases++] = file->id_base;
	pidfd = file->ended ? -1 : open_init(a, file);
	if (pidfd >= 0)
		adopt_alive(a, c, file, pidfd);
	else
		container_resume_end(c, file);
}

static void report_bad(const char *name, void *arg)
{
	(void)arg;
	log_error("run state damaged file=%s: set aside; what it held is killed and removed", name);
}

/* Ranges are given back when no process can be left that runs under one. */
static void finish(struct adoption *a)
{
	struct supervisor *s = a->s;
	struct err err;

	if (idrange_keep_only(s->ids, a->bases, a->n_bases, &err) < 0)
		log_error("id ranges not given back error=\"%s\"", err.msg);
	a->done(s);
	free(a);
}

struct stray {
	struct adoption *adoption;
	struct teardown_stray request;
};

static int remove_stray(void *arg, struct job_output *out, struct err *err)
{
	struct stray *stray = arg;

	return teardown_stray_run(&stray->request, out, err);
}

static void stray_gone(void *arg, struct job_result *result)
{
	struct stray *stray = arg;
	struct adoption *a = stray->adoption;
	const struct cgroup_id *id = &stray->request.id;

	if (result->r < 0)
		log_error("stray not removed tenant=%s container=%s error=\"%s\"", id->tenant,
			id->container, result->err.msg);
	else
		log_warning("stray removed tenant=%s container=%s", id->tenant, id->container);
	free(stray);
	if (--a->strays == 0)
		finish(a);
}

static int start_removal(struct adoption *a, const struct cgroup_id *id, struct err *err)
{
	struct supervisor *s = a->s;
	struct job_options options = {
		.fn = remove_stray,
		.done = stray_gone,
		.into_cgroup_fd = -1,
	};
	struct stray *stray;
	int r;

	stray = calloc(1, sizeof(*stray));
	if (!stray)
		return err_oom(err);
	stray->adoption = a;
	stray->request = (struct teardown_stray){
		.id = *id,
		.cgroups = s->cgroups,
		.runs_fd = s->runs_fd,
		.fifos_fd = s->fifos_fd,
		.refused_fd = s->refused_fd,
		.names_fd = s->names_fd,
		.ids = s->ids,
	};
	options.arg = stray;
	r = job_start(s->jobs, &options, err);
	if (r < 0)
		free(stray);
	else
		a->strays++;
	return r;
}

/* A start that was cut off before the run was on file. */
static int look_at_container(const struct cgroup_id *id, void *arg, struct err *err)
{
	struct adoption *a = arg;

	if (!id->container[0] || container_find(a->s, id->tenant, id->container))
		return 0;
	return start_removal(a, id, err);
}

/* The same of an lxcfs, and of croft-refuser. */
static int look_at_view(const struct cgroup_id *id, void *arg, struct err *err)
{
	struct adoption *a = arg;

	if (!id->container[0] || view_is_adopted(a->s, id->container))
		return 0;
	if (!strcmp(id->container, CGROUP_REFUSER) && refuser_is_adopted(a->s))
		return 0;
	return start_removal(a, id, err);
}

/* Fifos and counts have one name for a container. */
static void remove_stray_files(struct supervisor *s, int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char tenant[SPAWN_FIFO_NAME_MAX];
		char *dot;

		if ((size_t)snprintf(tenant, sizeof(tenant), "%s", entry->d_name) >= sizeof(tenant))
			continue;
		dot = strchr(tenant, '.');
		if (!dot || dot == tenant)
			continue;
		*dot = '\0';
		if (!container_find(s, tenant, dot + 1))
			unlinkat(dir_fd, entry->d_name, 0);
	}
}

int adopt_runs(struct supervisor *s, void (*done)(struct supervisor *s), struct err *err)
{
	struct adoption *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return err_oom(err);
	a->s = s;
	a->done = done;
	/* Ours, until all strays have been started on: one may be gone before the next is found. */
	a->strays = 1;
	r = clock_boot_id(a->boot_id);
	if (r < 0)
		r = err_sys(err, r, "read the boot id");
	if (r == 0)
		r = run_file_for_each(s->runs_fd, adopt, report_bad, a, err);
	if (r == 0)
		r = cgroup_for_each(s->cgroups, look_at_container, a, err);
	if (r == 0)
		r = cgroup_for_each_view(s->cgroups, look_at_view, a, err);
	if (r < 0)
		return r; /* the supervisor ends: what was begun is left to the next */
	remove_stray_files(s, s->fifos_fd);
	remove_stray_files(s, s->refused_fd);
	if (--a->strays == 0)
		finish(a);
	return 0;
}

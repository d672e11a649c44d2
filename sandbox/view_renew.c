/*
 * See view_renew.h. Names no process by its pid alone: both may have ended, and the pids be
 * others'.
 */
#include "sandbox/view_renew.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "sandbox/container.h"
#include "sandbox/view.h"
#include "sandbox/view_mount.h"
#include "sandbox/view_program.h"

#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>

#define RENEW_TIMEOUT_MS 20000u

struct renewal {
	struct supervisor *s;
	char tenant[NAME_SIZE];
	char container[NAME_SIZE];
	pid_t pid;
	uint64_t pid_start_ticks;
};

static int open_init(const struct renewal *renewal)
{
	_cleanup_close_ int pidfd = pidfd_open(renewal->pid, 0);
	uint64_t ticks;

	if (pidfd < 0 || run_file_pid_start(renewal->pid, &ticks) < 0 ||
		ticks != renewal->pid_start_ticks)
		return -ESRCH;
	return take_fd(&pidfd);
}

static int renew(void *arg, struct job_output *out, struct err *err)
{
	const struct renewal *renewal = arg;
	_cleanup_close_ int init = open_init(renewal);
	_cleanup_close_ int lxcfs = -1;
	struct view_file file;
	int fds[VIEW_FILES_N];
	int r;

	(void)out;
	if (init < 0)
		return err_sys(err, init, "find init");
	lxcfs = view_program_find(renewal->s->views_fd, renewal->tenant, &file);
	if (lxcfs < 0)
		return err_sys(err, ESRCH, "find lxcfs");
	r = view_mount_clone(lxcfs, fds, err);
	return r < 0 ? r : view_mount_renew(fds, init, err);
}

static void renewed(void *arg, struct job_result *result)
{
	struct renewal *renewal = arg;
	struct supervisor *s = renewal->s;
	const struct container *c = container_find(s, renewal->tenant, renewal->container);

	s->view_jobs--;
	if (result->r < 0 && c && c->state == CONTAINER_RUNNING)
		log_warning("view not renewed tenant=%s container=%s error=\"%s\"", renewal->tenant,
			renewal->container, result->err.msg);
	free(renewal);
	view_job_ended(s);
}

void view_renew(struct supervisor *s, const struct container *c)
{
	struct job_options options = {
		.fn = renew,
		.done = renewed,
		.into_cgroup_fd = -1,
		.timeout_ms = RENEW_TIMEOUT_MS,
	};
	struct renewal *renewal = calloc(1, sizeof(*renewal));
	struct err err;

	if (!renewal) {
		log_error("view not renewed: out of memory");
		return;
	}
	renewal->s = s;
	memcpy(renewal->tenant, c->cgroup.tenant, sizeof(renewal->tenant));
	memcpy(renewal->container, c->cgroup.container, sizeof(renewal->container));
	renewal->pid = c->file.pid;
	renewal->pid_start_ticks = c->file.pid_start_ticks;
	options.arg = renewal;
	options.tenant = renewal->tenant;
	s->view_jobs++;
	if (job_start(s->jobs, &options, &err) < 0) {
		struct job_result result = {.r = -EIO, .err = err};

		renewed(renewal, &result);
	}
}

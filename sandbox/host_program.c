/* See host_program.h. The child must not be the worker's once it has executed. */
#include "sandbox/host_program.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/syscalls.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define END_TIMEOUT_MS 10000

int host_program_make_cgroup(struct cgroup_root *cgroups, const struct cgroup_id *id,
	const struct limits *limits, bool oom_group, struct cgroup_join *join, struct err *err)
{
	const struct cgroup_id all = {.tenant = CGROUP_VIEWS};
	int r = cgroup_make(cgroups, &all, err);

	if (r == 0)
		r = cgroup_make(cgroups, id, err);
	if (r == 0)
		r = cgroup_set_limits(cgroups, id, limits, oom_group, false, err);
	return r < 0 ? r : cgroup_join_open(cgroups, id, join, err);
}

int host_program_end(struct cgroup_root *cgroups, const struct cgroup_id *id, struct err *err)
{
	int r;

	if (!cgroup_exists(cgroups, id))
		return 0;
	r = cgroup_kill(cgroups, id, err);
	if (r == 0)
		r = cgroup_wait_empty(cgroups, id, END_TIMEOUT_MS, err);
	return r < 0 ? r : cgroup_remove(cgroups, id, err);
}

int host_program_clone(const struct cgroup_join *join, host_program_fn become, void *arg,
	const char *name, struct host_program_child *ret, struct err *err)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	_cleanup_close_ int status = -1;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, errno, "make a socket");
	status = pair[0];
	if (join->into_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)join->into_fd;
	}
	pid = sys_clone3(&args);
	if (pid == 0) {
		struct err child_err;

		close(pair[0]);
		become(arg, &pair[1], &child_err);
		_exit(fd_send(pair[1], &child_err, sizeof(child_err), NULL, 0) < 0);
	}
	close(pair[1]);
	if (pid < 0)
		return err_sys(err, pid, "clone %s", name);
	*ret = (struct host_program_child){pid, pidfd, take_fd(&status)};
	return 0;
}

int host_program_take_end(ssize_t n, const struct err *received, const char *name, struct err *err)
{
	struct err copy = *received;

	if (n == 0)
		return 0;
	if (n != (ssize_t)sizeof(*received))
		return err_sys(err, n < 0 ? (int)n : EIO, "start %s", name);
	if (err)
		*err = copy;
	return err_sanitize(&copy);
}

int host_program_await_exec(int status_fd, const char *name, struct err *err)
{
	struct err received = {0};
	ssize_t n = recv(status_fd, &received, sizeof(received), 0);

	return host_program_take_end(n < 0 ? -errno : n, &received, name, err);
}

static bool is_kept(cap_value_t value, const cap_value_t *kept, size_t n_kept)
{
	for (size_t i = 0; i < n_kept; i++)
		if (kept[i] == value)
			return true;
	return false;
}

int host_program_keep_capabilities(const cap_value_t *kept, size_t n_kept, struct err *err)
{
	cap_t caps = cap_init();
	int r = 0;

	if (!caps)
		return err_oom(err);
	for (cap_value_t value = 0; r == 0 && cap_get_bound(value) >= 0; value++)
		if (!is_kept(value, kept, n_kept) && cap_get_bound(value) == 1 &&
			cap_drop_bound(value) < 0)
			r = err_sys(err, errno, "drop capabilities");
	for (size_t i = 0; r == 0 && i < n_kept; i++)
		if (cap_set_flag(caps, CAP_PERMITTED, 1, &kept[i], CAP_SET) < 0 ||
			cap_set_flag(caps, CAP_EFFECTIVE, 1, &kept[i], CAP_SET) < 0)
			r = err_sys(err, errno, "choose capabilities");
	if (r == 0 && cap_set_proc(caps) < 0)
		r = err_sys(err, errno, "set capabilities");
	cap_free(caps);
	return r;
}

/*
 * The supervisor as a whole: start, loop, end. What each part does is in the file of its name. Its
 * end leaves every container running; only a shutdown request takes them down.
 */
#include "sandbox/supervisor.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "sandbox/adopt.h"
#include "sandbox/container.h"
#include "sandbox/disk_use.h"
#include "sandbox/exec_session.h"
#include "sandbox/fork_count.h"
#include "sandbox/host_dirs.h"
#include "sandbox/inherited.h"
#include "sandbox/pause.h"
#include "sandbox/peer.h"
#include "sandbox/policies.h"
#include "sandbox/refuser.h"
#include "sandbox/seal.h"
#include "sandbox/task.h"
#include "sandbox/tenant_rates.h"
#include "sandbox/view.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#define OPEN_FILES_MAX	1048576
#define CONTAINER_DEPTH 2 /* below the parent cgroup: <tenant>/<container> */

struct pool_config supervisor_pool_config(const struct supervisor *s)
{
	struct pool_config config = {
		.state_fd = s->state_fd,
		.size_bytes = s->config.pool_size_bytes,
	};

	memcpy(config.driver, s->config.pool_driver, sizeof(config.driver));
	return config;
}

struct net_owner supervisor_net_owner(const struct supervisor *s)
{
	return (struct net_owner){
		.instance = idrange_instance(s->ids), .private_fd = s->private_fd};
}

static int make_dir(int dirfd, const char *name, mode_t mode, int *ret_fd, struct err *err)
{
	if (mkdirat(dirfd, name, mode) < 0 && errno != EEXIST)
		return err_sys(err, errno, "make the directory %s", name);
	*ret_fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*ret_fd < 0)
		return err_sys(err, errno, "open the directory %s", name);
	return 0;
}

static int open_dir(const char *path, int *ret_fd, struct err *err)
{
	*ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? err_sys(err, errno, "open %s", path) : 0;
}

/*
 * The working directory is an empty directory of ours, open to all: a container's root is attached
 * on it (in the container's mount namespace) before it is entered.
 */
static int enter_scratch(struct supervisor *s, struct err *err)
{
	_cleanup_close_ int scratch = -1;
	int r = make_dir(s->private_fd, "mnt", 0755, &scratch, err);

	if (r < 0)
		return r;
	if ((mkdirat(scratch, "lower", 0755) < 0 && errno != EEXIST) ||
		(mkdirat(scratch, "upper", 0755) < 0 && errno != EEXIST))
		return err_sys(err, errno, "make the scratch directories");
	return fchdir(scratch) < 0 ? err_sys(err, errno, "enter the scratch directory") : 0;
}

static int open_directories(struct supervisor *s, struct err *err)
{
	int r = open_dir(s->config.state_path, &s->state_fd, err);

	if (r == 0)
		r = open_dir(s->config.run_path, &s->run_fd, err);
	if (r == 0)
		r = make_dir(s->state_fd, "supervisor", 0700, &s->private_fd, err);
	if (r == 0)
		r = make_dir(s->private_fd, "runs", 0700, &s->runs_fd, err);
	if (r == 0)
		r = make_dir(s->private_fd, "pauses", 0700, &s->pauses_fd, err);
	if (r == 0)
		r = make_dir(s->private_fd, HOST_DIRS_DIR, 0700, &s->host_dirs_fd, err);
	if (r == 0)
		r = make_dir(s->run_fd, "fifos", 0700, &s->fifos_fd, err);
	if (r == 0)
		r = make_dir(s->run_fd, "views", 0700, &s->views_fd, err);
	if (r == 0)
		r = make_dir(s->run_fd, "refused", 0700, &s->refused_fd, err);
	return r < 0 ? r : enter_scratch(s, err);
}

static int open_program(const struct supervisor *s, const char *name, int *ret_fd, struct err *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", s->config.libexec_path, name);
	*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? err_sys(err, errno, "open %s", path) : 0;
}

/* What is executed in containers is no file of the host. */
static int copy_program(const struct supervisor *s, const char *name, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r = open_program(s, name, &fd, err);

	return r < 0 ? r : seal_copy(fd, name, ret_fd, err);
}

/* Mounts made for containers and the pool are not the host's to see, nor to hold. */
static int leave_host_mounts(struct supervisor *s, struct err *err)
{
	s->host_mounts_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (s->host_mounts_fd < 0)
		return err_sys(err, errno, "look at the mount namespace");
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sys(err, errno, "take a mount namespace");
	return 0;
}

static int prepare_process(struct supervisor *s, struct err *err)
{
	struct rlimit files = {OPEN_FILES_MAX, OPEN_FILES_MAX};

	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(err, errno, "prctl");
	/* As many as the host allows. */
	if (setrlimit(RLIMIT_NOFILE, &files) < 0 && getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	umask(022);
	/* A SIGCHLD that our starter ignored would have our children reaped by nobody's leave. */
	inherited_reset_signals();
	signal(SIGPIPE, SIG_IGN);
	return leave_host_mounts(s, err);
}

static void on_signal(struct watch *watch, uint32_t events)
{
	struct supervisor *s = watch->arg;
	struct signalfd_siginfo info;

	(void)events;
	if (read(s->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD) {
		orphans_notice(&s->orphans);
		return;
	}
	log_info("ending signal=%u: containers run on", info.ssi_signo);
	reactor_stop(s->reactor);
}

static int watch_signals(struct supervisor *s, struct err *err)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	s->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		return err_sys(err, errno, "signalfd");
	return watch_start(s->reactor, &s->signal_watch, s->signal_fd, EPOLLIN, on_signal, s, err);
}

static void on_adopted(struct supervisor *s)
{
	s->adopting = false;
	view_adopted(s);
	task_adopted(s);
}

/* Requests are taken once there are policies to start a container under. */
static void on_policies_ready(struct supervisor *s)
{
	struct err err;

	s->adopting = true;
	pause_end_all(s);
	view_adopt(s);
	refuser_adopt(s);
	if (adopt_runs(s, on_adopted, &err) < 0 || peer_start(s->peer, &err) < 0) {
		log_error("not able to start error=\"%s\"", err.msg);
		reactor_stop(s->reactor);
		return;
	}
	log_info("ready cgroups=%s",
		cgroup_root_kind(s->cgroups) == CGROUP_UNIFIED ? "unified" : "hybrid");
}

/* Not the peer's sockets, nor what containers, commands and other requests hold. */
static void list_fds(void *arg, struct fd_list *list)
{
	const struct supervisor *s = arg;
	const int fds[] = {s->state_fd, s->run_fd, s->private_fd, s->runs_fd, s->pauses_fd,
		s->host_dirs_fd, s->fifos_fd, s->views_fd, s->refused_fd, s->importer_fd,
		s->packer_fd, s->files_fd, s->init_fd};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fd_list_add(list, fds[i]);
	fd_list_add(list, s->names_fd);
	fd_list_add(list, s->host_mounts_fd);
	cgroup_root_list_fds(s->cgroups, list);
	idrange_list_fds(s->ids, list);
	if (s->pool)
		pool_list_fds(s->pool, list);
}

/* What we were started with, or need for ourselves, is no worker's, and so no container's. */
static int on_worker_begun(void *arg, struct err *err)
{
	(void)arg;
	return inherited_reset(err);
}

static void on_worker_lost(void *arg)
{
	struct supervisor *s = arg;

	orphans_look(&s->orphans);
}

/* Containers are held by their limits all the same: this is for who wants to know. */
static void count_forks(struct supervisor *s)
{
	int depth = cgroup_root_depth(s->cgroups);
	struct err err;

	if (depth < 0)
		log_warning("forks-not-counted error=\"not at the top of the cgroup tree\"");
	else if (fork_count_open((unsigned)depth + CONTAINER_DEPTH, &s->forks, &err) < 0)
		log_warning("forks-not-counted error=\"%s\"", err.msg);
}

int supervisor_init(struct supervisor *s, const struct supervisor_config *config, struct err *err)
{
	static const struct job_hooks hooks = {
		.list_fds = list_fds,
		.begin = on_worker_begun,
		.lost = on_worker_lost,
	};
	int r;

	memset(s, 0, sizeof(*s));
	s->config = *config;
	net_plan_init(&s->net_plan);
	orphans_init(&s->orphans, s);
	s->state_fd = s->run_fd = s->private_fd = s->runs_fd = s->pauses_fd = s->fifos_fd = -1;
	s->views_fd = s->refused_fd = s->refuser_fd = -1;
	s->importer_fd = s->packer_fd = s->files_fd = s->init_fd = s->signal_fd = -1;
	s->names_fd = s->host_mounts_fd = s->host_dirs_fd = -1;
	r = prepare_process(s, err);
	if (r == 0)
		r = open_directories(s, err);
	if (r == 0)
		r = open_program(s, "croft-importer", &s->importer_fd, err);
	if (r == 0)
		r = open_program(s, "croft-packer", &s->packer_fd, err);
	if (r == 0)
		r = open_program(s, "croft-refuser", &s->refuser_fd, err);
	if (r == 0)
		r = copy_program(s, "croft-init", &s->init_fd, err);
	if (r == 0)
		r = copy_program(s, "croft-files", &s->files_fd, err);
	if (r == 0)
		r = reactor_create(&s->reactor, err);
	if (r == 0)
		r = watch_signals(s, err);
	if (r == 0)
		r = jobs_create(s->reactor, &hooks, s, &s->jobs, err);
	if (r == 0)
		r = cgroup_root_open("/sys/fs/cgroup", config->cgroup_parent, &s->cgroups, err);
	if (r == 0)
		count_forks(s);
	if (r == 0)
		r = refuser_create(s, err);
	if (r == 0)
		r = idrange_open(IDRANGE_DIR, config->state_path, s->private_fd, &s->ids, err);
	if (r == 0)
		r = peer_listen(s, exec_session_hang_up_all, &s->peer, err);
	if (r == 0)
		r = policies_load(s, on_policies_ready, &s->policies, err);
	return r;
}

int supervisor_run(struct supervisor *s, struct err *err)
{
	return reactor_run(s->reactor, err);
}

void supervisor_finish(struct supervisor *s)
{
	peer_close(s->peer);
	exec_session_forget_all(s);
	orphans_finish(&s->orphans);
	jobs_destroy(s->jobs);
	while (s->containers)
		container_forget(s->containers);
	fork_count_close(s->forks);
	policies_destroy(s->policies);
	disk_use_forget_all(s);
	tenant_rates_forget_all(s);
	view_forget_all(s);
	refuser_destroy(s);
	pool_close(s->pool);
	idrange_close(s->ids);
	cgroup_root_close(s->cgroups);
	watch_stop(&s->signal_watch);
	reactor_destroy(s->reactor);
	close_fd(&s->host_mounts_fd);
	close_fd(&s->names_fd);
	close_fd(&s->signal_fd);
	close_fd(&s->files_fd);
	close_fd(&s->init_fd);
	close_fd(&s->importer_fd);
	close_fd(&s->packer_fd);
	close_fd(&s->views_fd);
	close_fd(&s->refused_fd);
	close_fd(&s->refuser_fd);
	close_fd(&s->fifos_fd);
	close_fd(&s->host_dirs_fd);
	close_fd(&s->pauses_fd);
	close_fd(&s->runs_fd);
	close_fd(&s->private_fd);
	close_fd(&s->run_fd);
	close_fd(&s->state_fd);
}

/*
 * The builder of a container; see spawn.h. Runs as root in a worker: makes cgroup, overlay and id
 * maps, puts the run on file, releases init, and on any failure takes everything back.
 */
#include "sandbox/spawn_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "sandbox/namespaces.h"
#include "sandbox/net_filter.h"
#include "sandbox/net_names.h"
#include "sandbox/syscalls.h"
#include "sandbox/view_program.h"
#include "sandbox/volume_mount.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define EMPTY_TIMEOUT_MS 5000

/* How far the builder came: what a failure has to take back. */
struct build {
	struct spawn shared;
	struct spawn_request *request;
	struct job_output *out;
	struct cgroup_id cgroup;
	struct net_seat seat;
	struct net_filter filter; /* beside us, until the cable is made */
	bool has_range;
	bool has_fifo;
	bool has_cgroup;
	bool has_upper; /* made by this request */
	bool has_join;
	bool has_file;
	bool has_name;
	bool has_cable;
	pid_t outer_pid;
	int userns_fd;
	int root_fd;
	int hosts_fd; /* with a network, as the next */
	int resolv_fd;
	int volume_fds[CONTAINER_MOUNTS_MAX];
	size_t n_volumes; /* of them that are open */
	int view_fds[VIEW_FILES_N];
	bool has_view;
	int stdout_read_fd;
	int init_pidfd;
	int console_fd;
	struct run_file file;
};

static int make_fifo(struct build *b, struct err *err)
{
	const struct msg_container_start *msg = &b->request->msg;
	int r = spawn_fifo_make(b->request->fifos_fd, msg->tenant, msg->container,
		b->shared.id_base, &b->stdout_read_fd, &b->shared.stdout_fd, err);

	b->has_fifo = r == 0;
	return r;
}

/* Should we be killed, the supervisor takes it back. */
static void report_progress(const struct build *b, bool makes_upper)
{
	struct spawn_progress progress = {b->shared.id_base, makes_upper};

	job_progress(b->out, &progress, sizeof(progress));
}

static int make_upper(struct build *b, struct err *err)
{
	const struct msg_container_start *msg = &b->request->msg;
	struct disk_limits disk = limits_disk(&msg->limits);
	_cleanup_close_ int existing = -1;
	int r;

	if (!msg->create)
		return 0;
	/* What is there already must not be taken back by a failing start. */
	if (pool_upper_open(b->request->pool, msg->tenant, msg->container, &existing, NULL) == 0)
		return err_set(err, ERR_ALREADY_EXISTS, "CONTAINER_EXISTS",
			"container %s has a disk already: start it, or delete it first",
			msg->container);
	report_progress(b, true);
	r = pool_upper_make(b->request->pool, msg->tenant, msg->container, &disk, err);
	b->has_upper = r == 0;
	return r;
}

static int make_cgroup(struct build *b, struct err *err)
{
	struct cgroup_root *root = b->request->cgroups;
	const struct msg_container_start *msg = &b->request->msg;
	uid_t base = b->shared.id_base;
	int r;

	b->has_cgroup = true;
	b->file.disk = cgroup_io_disk(root);
	r = cgroup_make(root, &b->cgroup, err);
	if (r == 0)
		r = cgroup_set_limits(root, &b->cgroup, &msg->limits, msg->oom_group, false, err);
	if (r == 0)
		r = cgroup_set_devices(root, &b->cgroup, err);
	if (r == 0)
		r = cgroup_delegate(root, &b->cgroup, base, base, msg->nesting, err);
	if (r == 0)
		r = cgroup_join_open(root, &b->cgroup, &b->shared.join, err);
	b->has_join = r == 0;
	return r;
}

static int make_channels(struct build *b, struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, b->shared.control) < 0 ||
		pipe2(b->shared.go, O_CLOEXEC) < 0 || pipe2(b->shared.exec_status, O_CLOEXEC) < 0)
		return err_sys(err, errno, "make the builder's pipes");
	/* Without it the container starts as under a policy that does not tell. */
	if (b->request->tells && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
					 0, b->shared.tell) < 0)
		b->shared.tell[0] = b->shared.tell[1] = -1;
	return 0;
}

/* A change of user ids forgets that we end with the supervisor, which may have ended meanwhile. */
static void end_with_parent(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
}

/*
 * What is held in a user namespace (inotify, fanotify, more namespaces) is counted to its maker
 * too, at every level up (kernel/ucount.c). Made by root, all containers would share root's own
 * bounds: one could use up what the others have, and the host's daemons. So the range's root makes
 * it, who is nobody else.
 */
static pid_t clone_as(uid_t maker, struct clone_args *args)
{
	pid_t parent = getppid();
	cap_t caps = cap_get_proc();
	pid_t pid = 0;

	if (!caps)
		return -errno;
	/* Leaving user id 0 takes the effective capabilities; coming back gives them. */
	if (setresuid((uid_t)-1, maker, (uid_t)-1) < 0 || cap_set_proc(caps) < 0)
		pid = -errno;
	if (pid == 0) {
		pid = sys_clone3(args);
		if (pid == 0)
			return 0;
	}
	if (setresuid((uid_t)-1, 0, (uid_t)-1) < 0)
		_exit(1);
	end_with_parent(parent);
	cap_free(caps);
	return pid;
}

static int clone_outer(struct build *b, struct err *err)
{
	struct clone_args args = {
		.flags = namespaces_flags(NS_OUTER_CLONE),
		.exit_signal = SIGCHLD,
	};
	pid_t pid;

	if (b->shared.join.into_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)b->shared.join.into_fd;
	}
	pid = clone_as(b->shared.id_base, &args);
	if (pid == 0) {
		/* Only the builder holds the ends whose closing tells the others of its death. */
		close(b->shared.control[0]);
		close(b->shared.exec_status[0]);
		spawn_outer(&b->shared);
	}
	close_fd(&b->shared.control[1]);
	close_fd(&b->shared.exec_status[1]);
	if (pid == -EAGAIN)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "PIDS_LIMIT", "pids",
			"the pids limit is reached: there is no room to start");
	if (pid < 0)
		return err_sys(err, pid, "make the outer namespaces");
	b->outer_pid = pid;
	return 0;
}

static int map_ids(struct build *b, struct err *err)
{
	char path[32];
	int r = namespaces_write_maps(b->outer_pid, 0, b->shared.id_base, err);

	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)b->outer_pid);
	b->userns_fd = open(path, O_RDONLY | O_CLOEXEC);
	return b->userns_fd < 0 ? err_sys(err, errno, "open the outer user namespace") : 0;
}

static int make_root(struct build *b, struct err *err)
{
	pid_t parent = getppid();
	int r = spawn_mount_root(b->request, b->userns_fd, b->shared.id_base, &b->root_fd, err);

	end_with_parent(parent);
	return r;
}

static int make_volumes(struct build *b, struct err *err)
{
	const struct spawn_request *rq = b->request;
	int r = 0;

	for (size_t i = 0; r == 0 && i < rq->msg.n_mounts; i++) {
		r = volume_mount_make(rq->pool, rq->host_dirs_fd, rq->msg.tenant,
			&rq->msg.mounts[i], b->userns_fd, &b->volume_fds[i], err);
		b->n_volumes += r == 0;
	}
	return r;
}

/* Its name is known to the others, and theirs to it, from its first instruction on. */
static int make_name(struct build *b, struct err *err)
{
	const struct spawn_request *rq = b->request;
	struct net_place place;
	int r;

	if (!rq->msg.net_number)
		return 0;
	r = net_plan_place(rq->net_plan, rq->msg.net_number, rq->msg.net_slot, &place);
	if (r < 0)
		return err_sys(err, r, "find the container's addresses");
	b->has_name = true;
	r = net_names_put(rq->names_fd, rq->msg.tenant, rq->msg.container, &place, err);
	return r < 0 ? r
		     : net_names_open(
			       rq->names_fd, rq->msg.tenant, &b->hosts_fd, &b->resolv_fd, err);
}

/* Without them the container starts as on a host without lxcfs. */
static void make_view(struct build *b)
{
	const struct spawn_request *rq = b->request;
	_cleanup_close_ int lxcfs = -1;
	struct view_file file;
	struct err err;

	if (!rq->view_pid)
		return;
	lxcfs = view_program_find(rq->views_fd, rq->msg.tenant, &file);
	if (lxcfs < 0 || file.pid != rq->view_pid)
		return;
	b->has_view = view_mount_clone(lxcfs, b->view_fds, &err) == 0;
	if (!b->has_view)
		log_warning("view not made tenant=%s container=%s error=\"%s\"", rq->msg.tenant,
			rq->msg.container, err.msg);
}

static int send_go(struct build *b, struct err *err)
{
	struct outer_message message = {
		.step = OUTER_GO, .names = b->hosts_fd >= 0, .view = b->has_view};
	int fds[FD_PASS_MAX];
	size_t n = 0;
	int r;

	fds[n++] = b->root_fd;
	if (message.names) {
		fds[n++] = b->hosts_fd;
		fds[n++] = b->resolv_fd;
	}
	for (size_t i = 0; message.view && i < VIEW_FILES_N; i++)
		fds[n++] = b->view_fds[i];
	for (size_t i = 0; i < b->n_volumes; i++)
		fds[n++] = b->volume_fds[i];
	r = fd_send(b->shared.control[0], &message, sizeof(message), fds, n);

	return r < 0 ? err_sys(err, r, "hand over the root") : 0;
}

/* What the outer process says before it ends; a silent end means it was killed. */
static int await_ready(struct build *b, struct err *err)
{
	struct outer_message message;
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	ssize_t n = fd_recv(b->shared.control[0], &message, sizeof(message), fds, &n_fds);

	waitpid(b->outer_pid, NULL, 0);
	b->outer_pid = 0;
	if (n != (ssize_t)sizeof(message))
		return err_set(err, ERR_ABORTED, "START_KILLED",
			"the container was killed while it was being built; if its memory limit "
			"is very low, raise it");
	if (message.step == OUTER_FAILED) {
		if (err)
			*err = message.err;
		return err_code_to_errno((enum err_code)message.err.code);
	}
	if (n_fds != 2)
		return err_sys(err, EBADMSG, "build the container");
	b->init_pidfd = fds[0];
	b->console_fd = fds[1];
	b->file.pid = message.pid;
	return 0;
}

/* The slowest part of a first start, and nothing waits for it but the cable. */
static int start_filter(struct build *b, struct err *err)
{
	const struct msg_container_start *msg = &b->request->msg;
	const struct net_caps caps = net_caps_default(msg->net_smtp);
	bool tenant_too = msg->net_add == NET_ADD_TENANT;
	_cleanup_close_ int rows_fd = -1;
	struct net_row rows[2];

	if (!msg->net_number || !msg->net_add)
		return 0;
	rows[0] = net_row_container(msg->net_number, msg->net_slot);
	rows[1] = net_row_tenant(msg->net_number, &caps);
	rows_fd = net_rows_pack(b->request->net_plan, NET_ADD, rows, tenant_too ? 2 : 1, err);
	return rows_fd < 0 ? rows_fd
			   : net_filter_start(b->request->libexec_path, rows_fd, &b->filter, err);
}

/* Init is held at its barrier: it finds its network as it is to be. */
static int connect_network(struct build *b, struct err *err)
{
	struct spawn_request *rq = b->request;
	int r;

	if (!rq->msg.net_number)
		return 0;
	r = net_filter_wait(&b->filter, err);
	if (r < 0)
		return r;
	r = net_links_attach(
		&rq->net_owner, &b->seat, b->file.pid, b->init_pidfd, &b->file.net_account, err);
	b->has_cable = r == 0;
	return r < 0 ? err_wrap(err, r, "connect the container's network") : 0;
}

/* From here on a restarted supervisor finds the run. */
static int save_run(struct build *b, struct err *err)
{
	const struct msg_container_start *msg = &b->request->msg;
	struct run_file *file = &b->file;
	int r;

	memcpy(file->tenant, msg->tenant, sizeof(file->tenant));
	memcpy(file->container, msg->container, sizeof(file->container));
	memcpy(file->policy, msg->policy, sizeof(file->policy));
	memcpy(file->run_id, msg->run_id, sizeof(file->run_id));
	file->id_base = b->shared.id_base;
	file->oom_group = msg->oom_group;
	file->nesting = msg->nesting;
	file->net_number = msg->net_number;
	file->net_slot = msg->net_slot;
	file->start_boot_usec = clock_boot_usec();
	file->start_wall_usec = clock_wall_usec();
	r = clock_boot_id(file->boot_id);
	if (r == 0)
		r = run_file_pid_start(file->pid, &file->pid_start_ticks);
	if (r < 0)
		return err_sys(err, r, "look at the container's init");
	r = run_file_save(b->request->runs_fd, file, err);
	b->has_file = r == 0;
	return r;
}

/* Releases init and waits until it has executed, or says why not. */
static int release_init(struct build *b, struct err *err)
{
	struct err init_err;
	ssize_t n;

	close_fd(&b->shared.go[0]);
	if (write(b->shared.go[1], "", 1) != 1)
		return err_sys(err, errno, "release init");
	n = fd_read_full(b->shared.exec_status[0], &init_err, sizeof(init_err));
	if (n == 0)
		return 0;
	if (n != (ssize_t)sizeof(init_err))
		return err_sys(err, n < 0 ? (int)n : EIO, "start init");
	if (err)
		*err = init_err;
	return err_sanitize(&init_err);
}

/* Init runs, so it has sent its listener, or never will: nobody waits for it. */
static int take_listener(const struct build *b)
{
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	char byte;

	if (b->shared.tell[0] < 0 ||
		fd_recv(b->shared.tell[0], &byte, sizeof(byte), fds, &n_fds) != 1)
		return -1;
	for (size_t i = 1; i < n_fds; i++)
		close(fds[i]);
	return n_fds ? fds[0] : -1;
}

static int build(struct build *b, struct err *err)
{
	int r = idrange_take(b->request->ids, &b->shared.id_base, err);

	if (r < 0)
		return r;
	b->has_range = true;
	report_progress(b, false);
	r = start_filter(b, err);
	if (r == 0)
		r = make_fifo(b, err);
	if (r == 0)
		r = make_upper(b, err);
	if (r == 0)
		r = make_cgroup(b, err);
	if (r == 0)
		r = make_channels(b, err);
	if (r == 0)
		r = clone_outer(b, err);
	if (r == 0)
		r = map_ids(b, err);
	/* Before the root, which may cost this process its view of the mounts (rootfs.c). */
	if (r == 0)
		r = make_name(b, err);
	if (r == 0)
		r = make_volumes(b, err);
	if (r == 0)
		make_view(b);
	if (r == 0)
		r = make_root(b, err);
	if (r == 0)
		r = send_go(b, err);
	if (r == 0)
		r = await_ready(b, err);
	if (r == 0)
		r = connect_network(b, err);
	if (r == 0)
		r = save_run(b, err);
	return r < 0 ? r : release_init(b, err);
}

/*
 * Reaps every child: init is ours, and with its parent gone whatever the outer process had made
 * (we are its subreaper), which init waits for. Returns false when some would not die in time.
 */
static bool reap_all(void)
{
	uint64_t deadline = clock_boot_usec() + EMPTY_TIMEOUT_MS * UINT64_C(1000);
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);
		uint64_t now = clock_boot_usec();
		struct timespec left;

		if (pid < 0)
			return errno == ECHILD;
		if (pid > 0)
			continue;
		if (now >= deadline)
			return false;
		left.tv_sec = (time_t)((deadline - now) / 1000000);
		left.tv_nsec = (long)((deadline - now) % 1000000 * 1000);
		sigtimedwait(&child, NULL, &left);
	}
}

/* Nothing is given back before the last process that uses it is gone. */
static bool end_processes(struct build *b)
{
	struct cgroup_root *root = b->request->cgroups;

	close_fd(&b->shared.go[1]);
	if (b->outer_pid > 0)
		kill(b->outer_pid, SIGKILL);
	if (b->has_cgroup)
		cgroup_kill(root, &b->cgroup, NULL);
	if (!reap_all())
		return false;
	return !b->has_cgroup ||
	       (cgroup_wait_empty(root, &b->cgroup, EMPTY_TIMEOUT_MS, NULL) == 0 &&
		       cgroup_remove(root, &b->cgroup, NULL) == 0);
}

/* Errors here would only hide the one that brought us here. */
static void take_back(struct build *b)
{
	const struct msg_container_start *msg = &b->request->msg;
	struct spawn_request *rq = b->request;

	if (!end_processes(b)) {
		b->out->lost = true;
		return;
	}
	net_filter_wait(&b->filter, NULL);
	if (b->has_cable)
		net_links_detach(&b->seat, NULL);
	if (b->has_name)
		net_names_remove(rq->names_fd, msg->tenant, msg->container, NULL);
	if (b->has_file)
		run_file_remove(rq->runs_fd, msg->tenant, msg->container, NULL);
	if (b->has_fifo) {
		char name[SPAWN_FIFO_NAME_MAX];

		spawn_fifo_name(msg->tenant, msg->container, name);
		unlinkat(rq->fifos_fd, name, 0);
	}
	close_fd(&b->resolv_fd);
	close_fd(&b->hosts_fd);
	close_fd(&b->root_fd);
	while (b->n_volumes > 0)
		close_fd(&b->volume_fds[--b->n_volumes]);
	if (b->has_upper)
		pool_upper_remove(rq->pool, msg->tenant, msg->container, NULL);
	if (b->has_range)
		idrange_put(rq->ids, b->shared.id_base, NULL);
}

int spawn_run(void *arg, struct job_output *out, struct err *err)
{
	struct spawn_request *rq = arg;
	struct build b = {
		.request = rq,
		.out = out,
		.shared = {.request = rq,
			.cgroup_kind = cgroup_root_kind(rq->cgroups),
			.stdout_fd = -1,
			.control = {-1, -1},
			.go = {-1, -1},
			.exec_status = {-1, -1},
			.tell = {-1, -1}},
		.userns_fd = -1,
		.root_fd = -1,
		.hosts_fd = -1,
		.resolv_fd = -1,
		.stdout_read_fd = -1,
		.init_pidfd = -1,
		.console_fd = -1,
	};
	int r;

	b.shared.join.into_fd = -1;
	b.seat = (struct net_seat){.plan = rq->net_plan,
		.tenant = rq->msg.tenant,
		.number = rq->msg.net_number,
		.slot = rq->msg.net_slot,
		.rates = net_rates_of(&rq->msg.limits),
		.tenant_rates = rq->tenant_rates};
	memcpy(b.cgroup.tenant, rq->msg.tenant, sizeof(b.cgroup.tenant));
	memcpy(b.cgroup.container, rq->msg.container, sizeof(b.cgroup.container));
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	r = build(&b, err);
	if (r < 0) {
		take_back(&b);
		return r;
	}
	/* Descriptors still open here go with the worker. */
	memcpy(out->payload, &b.file, sizeof(b.file));
	out->size = sizeof(b.file);
	out->fds[SPAWN_FD_PIDFD] = b.init_pidfd;
	out->fds[SPAWN_FD_STDOUT] = b.stdout_read_fd;
	out->fds[SPAWN_FD_CONSOLE] = b.console_fd;
	out->n_fds = SPAWN_FD_N;
	out->fds[SPAWN_FD_LISTENER] = take_listener(&b);
	out->n_fds += out->fds[SPAWN_FD_LISTENER] >= 0;
	return 0;
}

_Static_assert(sizeof(struct run_file) <= JOB_PAYLOAD_MAX, "the run fits a job's result");

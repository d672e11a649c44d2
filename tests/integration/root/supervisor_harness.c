/*
 * A supervisor under test; see supervisor_harness.h. Touches no cgroup, process, mount or id range
 * but those of the instance it started.
 */
#include "tests/integration/root/supervisor_harness.h"

#include "base/clock.h"
#include "base/fd.h"
#include "sandbox/cgroup.h"
#include "sandbox/idrange.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

int64_t sup_now_ms(void)
{
	return (int64_t)(clock_boot_usec() / 1000);
}

/* Containers of a killed supervisor become ours: somebody must reap them, as init would. */
static void reap_orphans(const struct sup *s)
{
	siginfo_t info = {0};

	if (s->keep_zombies)
		return;
	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid &&
		info.si_pid != s->pid) {
		waitpid(info.si_pid, NULL, 0);
		info.si_pid = 0;
	}
}

static void shell(const char *command)
{
	int r = system(command);

	if (r != 0)
		fail_msg("%s: %d", command, r);
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static const char *program(const char *variable)
{
	const char *path = getenv(variable);

	if (!path)
		fail_msg("%s is not set: run this through meson test", variable);
	return path;
}

/* Its commands, by its own list. Not with the shell's `ln`: some hundred processes take seconds in
 * the emulated machine. */
static void link_applets(const char *root)
{
	FILE *list = popen("busybox --list", "re");
	char name[64];
	char path[256];

	assert_non_null(list);
	while (fgets(name, sizeof(name), list)) {
		name[strcspn(name, "\n")] = '\0';
		snprintf(path, sizeof(path), "%s/bin/%s", root, name);
		if (symlink("busybox", path) < 0)
			assert_int_equal(errno, EEXIST);
	}
	assert_int_equal(pclose(list), 0);
}

/* Straight into the pool: importing is tested elsewhere. */
static void make_image(const struct sup *s)
{
	char command[1024];
	char root[128];

	snprintf(root, sizeof(root), "%s/state/pool/images/busybox", s->dir);
	snprintf(command, sizeof(command),
		"set -e; mkdir -p %s; cd %s; mkdir -p bin dev proc sys etc root tmp home/user; "
		"chmod 1777 tmp; chmod 700 %s/state/pool; chown 1000:1000 home/user; "
		"cp /bin/busybox %s bin/; echo data > bin/not-executable",
		root, root, s->dir, program("CROFT_PROBE"));
	shell(command);
	link_applets(root);
	write_file(root, "etc/passwd",
		"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n");
	write_file(root, "etc/group", "root:x:0:\nuser:x:1000:\nextra:x:2000:user\n");
}

int supervisor_setup(void **state)
{
	struct sup *s = calloc(1, sizeof(*s));
	char path[128];

	*state = s;
	s->run_fd = -1;
	if (geteuid() != 0)
		return -1;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGPIPE, SIG_IGN);
	strcpy(s->dir, "/tmp/croft-test-sup-XXXXXX");
	if (!mkdtemp(s->dir))
		return -1;
	snprintf(s->parent, sizeof(s->parent), "croft-test-sup-%d", (int)getpid());
	snprintf(path, sizeof(path), "%s/state", s->dir);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/run", s->dir);
	mkdir(path, 0755);
	s->run_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return s->run_fd < 0 ? -1 : 0;
}

/* Not part of the setup: what fails there is not taken back. */
struct sup *sup_begin(void **state)
{
	struct sup *s = *state;

	make_image(s);
	sup_start(s);
	return s;
}

static void on_event(void *arg, enum msg_op op, const void *msg, const int *fds, size_t n_fds)
{
	struct sup *s = arg;
	struct event *event;

	if (s->n_events == EVENTS_MAX || protocol_size(op) > sizeof(event->u))
		fail_msg("too many events, or too large: %d", op);
	event = &s->events[s->n_events++];
	event->op = op;
	memcpy(&event->u, msg, protocol_size(op));
	event->n_fds = n_fds;
	if (n_fds)
		memcpy(event->fds, fds, n_fds * sizeof(*fds));
}

static void print_log(const struct sup *s)
{
	_cleanup_fclose_ FILE *f = NULL;
	char line[1024];

	snprintf(line, sizeof(line), "%s/log", s->dir);
	f = fopen(line, "re");
	while (f && fgets(line, sizeof(line), f))
		print_error("# %s", line);
}

void sup_connect(struct sup *s)
{
	static const struct supervisor_client_ops ops = {.event = on_event};
	int64_t deadline = sup_now_ms() + WAIT_MS;

	while (supervisor_client_connect(s->run_fd, &ops, s, &s->client, &s->err) < 0) {
		if (s->pid && waitpid(s->pid, NULL, WNOHANG) == s->pid) {
			s->pid = 0;
			print_log(s);
			fail_msg("the supervisor ended at its start");
		}
		if (sup_now_ms() > deadline)
			fail_msg("no supervisor answers: %s", s->err.msg);
		poll(NULL, 0, 2);
	}
}

void sup_disconnect(struct sup *s)
{
	supervisor_client_close(s->client);
	s->client = NULL;
	s->gone = false;
	sup_drop_events(s);
}

void sup_start(struct sup *s)
{
	char state[128];
	char run[128];
	char log[128];

	snprintf(state, sizeof(state), "%s/state", s->dir);
	snprintf(run, sizeof(run), "%s/run", s->dir);
	snprintf(log, sizeof(log), "%s/log", s->dir);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

		dup2(fd, STDERR_FILENO);
		/* The supervisor goes with the test, so that a crash of it leaves none behind. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (s->before_exec)
			s->before_exec();
		execl(program("CROFT_SUPERVISOR"), "croft-supervisor", "--state", state, "--run",
			run, "--cgroup-parent", s->parent, "--pool-driver", "plain", "--peer-uid",
			"0", "--lxcfs", "off", "--refused-calls", "off", NULL);
		_exit(127);
	}
	sup_connect(s);
}

void sup_kill(struct sup *s)
{
	if (s->client)
		sup_disconnect(s);
	if (s->pid > 0) {
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
	}
	s->pid = 0;
}

void sup_poll(struct sup *s, int timeout_ms)
{
	struct pollfd pfd = {.fd = supervisor_client_fd(s->client), .events = POLLIN};

	reap_orphans(s);
	if (supervisor_client_wants_write(s->client))
		pfd.events |= POLLOUT;
	if (poll(&pfd, 1, timeout_ms) > 0 &&
		(supervisor_client_flush(s->client, &s->err) < 0 ||
			supervisor_client_dispatch(s->client, &s->err) < 0))
		s->gone = true;
	reap_orphans(s);
}

void sup_close_fds(struct sup *s)
{
	for (size_t i = 0; i < s->n_fds; i++)
		close_fd(&s->fds[i]);
	s->n_fds = 0;
}

static void on_reply(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct sup *s = arg;

	s->answered = true;
	s->refused = err != NULL;
	if (err)
		s->err = *err;
	else
		memcpy(s->reply, reply, sizeof(struct msg_empty));
	s->n_fds = n_fds;
	if (n_fds)
		memcpy(s->fds, fds, n_fds * sizeof(*fds));
}

/* The reply's size depends on its opcode, which the callback is not told. */
#define REPLY_OF(name, type)                                                                       \
	static void on_##name(                                                                     \
		void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds) \
	{                                                                                          \
		struct sup *s = arg;                                                               \
                                                                                                   \
		on_reply(arg, err, reply, fds, n_fds);                                             \
		if (!err)                                                                          \
			memcpy(s->reply, reply, sizeof(type));                                     \
	}
REPLY_OF(started, struct msg_started)
REPLY_OF(exec_started, struct msg_exec_started)
REPLY_OF(disk, struct msg_disk)
REPLY_OF(host_info, struct msg_host_info)

static supervisor_reply_fn reply_fn(enum msg_op op)
{
	switch ((int)op) {
	case MSG_CONTAINER_START:
		return on_started;
	case MSG_EXEC:
		return on_exec_started;
	case MSG_CONTAINER_DISK:
		return on_disk;
	case MSG_HOST_INFO:
		return on_host_info;
	default:
		return on_reply;
	}
}

int sup_call(struct sup *s, enum msg_op op, const void *msg, const int *fds, size_t n_fds)
{
	int64_t deadline = sup_now_ms() + WAIT_MS;

	sup_close_fds(s);
	s->answered = false;
	memset(&s->err, 0, sizeof(s->err));
	if (supervisor_client_send(s->client, op, msg, fds, n_fds, reply_fn(op), s, &s->err) < 0)
		fail_msg("send: %s", s->err.msg);
	while (!s->answered) {
		if (s->gone || sup_now_ms() > deadline)
			fail_msg("no answer to request %d", op);
		sup_poll(s, 100);
	}
	return s->refused ? -1 : 0;
}

bool sup_has_event(const struct sup *s, enum msg_op op)
{
	for (size_t i = 0; i < s->n_events; i++)
		if (s->events[i].op == op)
			return true;
	return false;
}

void sup_drop_events(struct sup *s)
{
	for (size_t i = 0; i < s->n_events; i++)
		for (size_t k = 0; k < s->events[i].n_fds; k++)
			close(s->events[i].fds[k]);
	s->n_events = 0;
}

static struct event take_event(struct sup *s, size_t i)
{
	struct event event = s->events[i];

	s->n_events--;
	memmove(&s->events[i], &s->events[i + 1], (s->n_events - i) * sizeof(event));
	return event;
}

/* container NULL: any. */
static struct event wait_event(struct sup *s, enum msg_op op, const char *container)
{
	int64_t deadline = sup_now_ms() + WAIT_MS;

	for (;;) {
		for (size_t i = 0; i < s->n_events; i++)
			if (s->events[i].op == op &&
				(!container || !strcmp(s->events[i].u.ended.container, container)))
				return take_event(s, i);
		if (s->gone || sup_now_ms() > deadline)
			fail_msg("event %d did not come", op);
		sup_poll(s, 100);
	}
}

struct event sup_event(struct sup *s, enum msg_op op)
{
	return wait_event(s, op, NULL);
}

struct msg_run_ended sup_ended(struct sup *s, const char *container)
{
	return wait_event(s, MSG_EVENT_RUN_ENDED, container).u.ended;
}

/* What is held of the kernel by an instance whose supervisor is gone. */
static int destroy_one(const struct cgroup_id *id, void *arg, struct err *err)
{
	int r;

	cgroup_thaw(arg, id, NULL);
	cgroup_kill(arg, id, NULL);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	r = cgroup_wait_empty(arg, id, WAIT_MS, err);
	return r < 0 ? r : cgroup_remove(arg, id, err);
}

static bool cgroup_is_left(const struct sup *s)
{
	static const char *const hierarchies[] = {"", "/unified", "/memory", "/pids", "/cpu",
		"/cpuacct", "/cpuset", "/devices", "/systemd", "/freezer", "/blkio"};
	char path[160];

	for (size_t i = 0; i < ARRAY_SIZE(hierarchies); i++) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup%s/%s", hierarchies[i], s->parent);
		if (access(path, F_OK) == 0)
			return true;
	}
	return false;
}

static void destroy_cgroups(struct sup *s)
{
	struct cgroup_root *root;

	if (!cgroup_is_left(s))
		return;
	if (cgroup_root_open("/sys/fs/cgroup", s->parent, &root, &s->err) < 0)
		return;
	cgroup_for_each(root, destroy_one, root, NULL);
	cgroup_root_remove(root, NULL);
	cgroup_root_close(root);
}

static struct idrange_registry *open_ranges(struct sup *s)
{
	struct idrange_registry *reg = NULL;
	char state[128];
	char dir[160];
	int fd;

	snprintf(state, sizeof(state), "%s/state", s->dir);
	snprintf(dir, sizeof(dir), "%s/supervisor", state);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && idrange_open(IDRANGE_DIR, state, fd, &reg, &s->err) < 0)
		reg = NULL;
	cleanup_close(&fd);
	return reg;
}

int sup_ranges_held(struct sup *s)
{
	struct idrange_registry *reg = open_ranges(s);
	int n = reg ? idrange_held(reg) : 0;

	idrange_close(reg);
	return n;
}

static void give_ranges_back(struct sup *s)
{
	struct idrange_registry *reg = open_ranges(s);
	char path[128];

	if (!reg)
		return;
	idrange_keep_only(reg, NULL, 0, NULL);
	snprintf(path, sizeof(path), "%s/instances/%s", IDRANGE_DIR, idrange_instance(reg));
	idrange_close(reg);
	unlink(path);
}

int sup_count_files(struct sup *s, const char *subdir)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	char path[160];
	int n = 0;

	snprintf(path, sizeof(path), "%s/%s", s->dir, subdir);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	return n;
}

pid_t sup_youngest_child(struct sup *s)
{
	_cleanup_fclose_ FILE *children = NULL;
	char path[64];
	int pid = 0;
	int last = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)s->pid, (int)s->pid);
	children = fopen(path, "re");
	while (children && fscanf(children, "%d", &pid) == 1)
		last = pid;
	return last;
}

void sup_wait_for_children(struct sup *s, int n)
{
	int64_t deadline = sup_now_ms() + WAIT_MS;

	for (;;) {
		_cleanup_fclose_ FILE *children = NULL;
		char path[64];
		int count = 0;
		int pid;

		snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)s->pid, (int)s->pid);
		children = fopen(path, "re");
		while (children && fscanf(children, "%d", &pid) == 1)
			count++;
		if (count == n)
			return;
		assert_true(sup_now_ms() < deadline);
		sup_poll(s, 10);
	}
}

/* Processes that live in an id range, or whose cgroup is one of ours. */
static bool process_is_left(const struct sup *s)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc");
	struct dirent *entry;
	char text[4096];
	char path[300];

	while ((entry = readdir(dir))) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/cgroup", entry->d_name);
		if (fd_read_text_at(AT_FDCWD, path, text, sizeof(text)) > 0 &&
			strstr(text, s->parent))
			return true;
	}
	return false;
}

static bool mount_is_left(const struct sup *s)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096];

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, s->dir))
			return true;
	return false;
}

const char *sup_leftovers(struct sup *s)
{
	static char text[256];

	snprintf(text, sizeof(text), "%s%s%s%s%s", cgroup_is_left(s) ? "cgroup " : "",
		process_is_left(s) ? "process " : "", mount_is_left(s) ? "mount " : "",
		sup_ranges_held(s) > 0 ? "id range " : "",
		sup_count_files(s, "run/fifos") > 0 ? "fifo " : "");
	return text;
}

int supervisor_teardown(void **state)
{
	struct sup *s = *state;
	bool ended = s->pid == 0;
	char command[128];
	const char *left;
	int r = 0;

	if (!s->dir[0])
		return -1;
	sup_close_fds(s);
	sup_drop_events(s);
	if (s->client)
		print_log(s);
	sup_kill(s);
	left = sup_leftovers(s);
	if (ended && *left) {
		print_error("left on the host: %s\n", left);
		r = -1;
	}
	destroy_cgroups(s);
	reap_orphans(s);
	give_ranges_back(s);
	close_fd(&s->run_fd);
	snprintf(command, sizeof(command), "rm -rf %s", s->dir);
	if (system(command) != 0)
		r = -1;
	free(s);
	return r;
}

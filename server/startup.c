/*
 * The part of croftd that runs as root; see startup.h. Straight-line and short: everything here is
 * done before the first byte of a client is read.
 */
#include "server/startup.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/pid_file.h"
#include "sandbox/supervisor_client.h"
#include "server/start_supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define PID_FILE "croftd.pid"
/* Descriptors for ten thousand containers: counters, a pipe and a pty each, and their clients. */
#define NOFILE_WANTED 524288

struct identity {
	bool as_root;
	uid_t uid;
	gid_t gid;
};

static int find_user(const struct config *config, struct identity *ret, struct err *err)
{
	const char *const names[] = {config->user, "croft", "nobody"};
	struct passwd *pw = NULL;

	if (geteuid() != 0) {
		*ret = (struct identity){.uid = geteuid(), .gid = getegid()};
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names) && !pw; i++) {
		if (!*names[i])
			continue;
		pw = getpwnam(names[i]);
		if (!pw && i == 0)
			return err_set(err, ERR_FAILED_PRECONDITION, "NO_USER",
				"there is no user %s", names[0]);
	}
	if (!pw || pw->pw_uid == 0)
		return err_set(err, ERR_FAILED_PRECONDITION, "NO_USER",
			"croftd needs a user of its own: make the user croft, or give --user");
	*ret = (struct identity){.as_root = true, .uid = pw->pw_uid, .gid = pw->pw_gid};
	return 0;
}

/* Makes a directory and those above it. What exists stays as it is. */
static int make_dirs(const char *path, mode_t mode, struct err *err)
{
	char part[CONFIG_PATH_MAX];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return err_sys(err, errno, "make the directory %s", part);
	}
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return err_sys(err, errno, "make the directory %s", path);
	return 0;
}

static int open_dir(int at, const char *path, int *ret_fd, struct err *err)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "open the directory %s", path);
	*ret_fd = fd;
	return 0;
}

/* A directory that is croftd's alone. */
static int own_dir(
	int at, const char *name, const struct identity *who, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "make the directory %s", name);
	r = open_dir(at, name, &fd, err);
	if (r < 0)
		return r;
	if (who->as_root && (fchown(fd, who->uid, who->gid) < 0 || fchmod(fd, 0700) < 0))
		return err_sys(err, errno, "give the directory %s to croftd's user", name);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int make_directories(
	const struct config *config, const struct identity *who, struct startup *s, struct err *err)
{
	_cleanup_close_ int state = -1;
	/* Others may pass through the state directory to what is theirs, not look around in it. */
	int r = make_dirs(config->state, 0711, err);

	if (r == 0)
		r = make_dirs(config->run, 0755, err);
	if (r == 0)
		r = open_dir(AT_FDCWD, config->state, &state, err);
	if (r == 0)
		r = own_dir(state, "server", who, &s->state_fd, err);
	if (r == 0)
		r = own_dir(s->state_fd, "logs", who, &s->logs_fd, err);
	if (r == 0)
		r = open_dir(AT_FDCWD, config->run, &s->run_fd, err);
	snprintf(s->db_path, sizeof(s->db_path), "%s/server/croft.db", config->state);
	return r;
}

/* Two croftds over one state directory would bill twice. */
static int lock_run(struct startup *s, struct err *err)
{
	return pid_file_take(s->run_fd, PID_FILE, "a croftd", &s->pid_fd, err);
}

/* As high as this host lets it; less than wanted only means fewer containers. */
static void raise_nofile(void)
{
	struct rlimit limit = {.rlim_cur = NOFILE_WANTED, .rlim_max = NOFILE_WANTED};

	if (geteuid() == 0 && setrlimit(RLIMIT_NOFILE, &limit) == 0)
		return;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warning("nofile-not-raised limit=%llu", (unsigned long long)limit.rlim_max);
}

static int drop_root(const struct identity *who, struct err *err)
{
	if (who->as_root) {
		/* After the change of ids the kernel has emptied every capability set, since
		   nothing asked to keep them (capabilities(7)). */
		if (setgroups(0, NULL) < 0 || setresgid(who->gid, who->gid, who->gid) < 0 ||
			setresuid(who->uid, who->uid, who->uid) < 0)
			return err_sys(err, errno, "drop to croftd's user");
		if (setuid(0) == 0)
			return err_set(err, ERR_INTERNAL, "ROOT_NOT_DROPPED",
				"croftd could become root again; it does not start");
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, errno, "set no_new_privs");
	/* A change of ids made it undumpable, and /proc/self root's; see prctl(2). */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return 0;
}

int startup_prepare(const struct config *config, struct startup *ret, struct err *err)
{
	struct startup s = {
		.state_fd = -1, .logs_fd = -1, .run_fd = -1, .pid_fd = -1, .metrics = {.fd = -1}};
	struct identity who;
	int r = find_user(config, &who, err);

	umask(0022);
	if (r == 0)
		r = make_directories(config, &who, &s, err);
	if (r == 0)
		r = lock_run(&s, err);
	if (r == 0 && who.as_root)
		r = start_supervisor(config, s.run_fd, who.uid, &s.supervisor, err);
	for (size_t i = 0; r == 0 && i < config->n_listen; i++) {
		r = listen_open(config->listen[i], who.uid, &s.listeners[i], err);
		if (r == 0)
			s.n_listen++;
	}
	if (r == 0 && config->metrics[0])
		r = listen_open(config->metrics, who.uid, &s.metrics, err);
	if (r == 0) {
		raise_nofile();
		r = drop_root(&who, err);
	}
	if (r < 0) {
		pid_file_remove(s.run_fd, PID_FILE, &s.pid_fd);
		startup_finish(&s);
		return r;
	}
	*ret = s;
	return 0;
}

void startup_finish(struct startup *s)
{
	supervisor_client_close(s->supervisor);
	for (size_t i = 0; i < s->n_listen; i++)
		listen_close(&s->listeners[i]);
	listen_close(&s->metrics);
	close_fd(&s->logs_fd);
	close_fd(&s->state_fd);
	close_fd(&s->run_fd);
	close_fd(&s->pid_fd);
}

void startup_notify(const char *state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	_cleanup_close_ int fd = -1;
	size_t len = path ? strlen(path) : 0;

	if (!len || len >= sizeof(addr.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(addr.sun_path, path, len);
	/* "@" stands for the abstract namespace, see sd_notify(3). */
	if (path[0] == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&addr,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}

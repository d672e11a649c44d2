/*
 * Commands in containers, from their start to their end; see exec_session.h. They are children of
 * the supervisor but belong to the server's stream: they do not outlive its interest unasked.
 */
#include "sandbox/exec_session.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "sandbox/container.h"
#include "sandbox/policies.h"

#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

struct exec_session {
	struct supervisor *s;
	struct exec_session *next;
	uint64_t id;
	pid_t pid;
	int pidfd;
	bool refused; /* never executed: there is nobody to tell of its end */
	struct watch watch;
};

static void session_free(struct exec_session *session)
{
	for (struct exec_session **at = &session->s->execs; *at; at = &(*at)->next)
		if (*at == session) {
			*at = session->next;
			break;
		}
	watch_stop(&session->watch);
	close_fd(&session->pidfd);
	free(session);
}

static void on_exit_of_command(struct watch *watch, uint32_t events)
{
	struct exec_session *session = watch->arg;
	struct msg_exec_ended msg = {.exec_id = session->id};
	siginfo_t info = {0};

	(void)events;
	if (waitid(P_PIDFD, (id_t)session->pidfd, &info, WEXITED | WNOHANG) == 0) {
		if (!info.si_pid)
			return;
		msg.exit = container_exit_info(info.si_code, info.si_status);
	}
	if (!session->refused)
		peer_event(session->s->peer, MSG_EVENT_EXEC_ENDED, &msg, NULL, 0);
	session_free(session);
}

bool exec_session_has_pid(const struct supervisor *s, pid_t pid)
{
	for (const struct exec_session *session = s->execs; session; session = session->next)
		if (session->pid == pid)
			return true;
	return false;
}

static struct exec_session *session_new(struct supervisor *s, pid_t pid, int pidfd, struct err *err)
{
	struct exec_session *session = calloc(1, sizeof(*session));

	if (!session) {
		err_oom(err);
		return NULL;
	}
	session->s = s;
	session->id = ++s->next_exec_id;
	session->pid = pid;
	session->pidfd = pidfd;
	session->next = s->execs;
	s->execs = session;
	return session;
}

static int watch_end(struct exec_session *session, struct err *err)
{
	return watch_start(session->s->reactor, &session->watch, session->pidfd, EPOLLIN,
		on_exit_of_command, session, err);
}

/*
 * A process that could not execute its command still has to be reaped: a zombie in its pid
 * namespace would keep the container's init from ending.
 */
static void reap_refused(struct supervisor *s, struct job_result *result)
{
	const struct exec_report *report = result->payload;
	struct exec_session *session;
	struct err err;

	if (result->n_fds <= EXEC_FD_PIDFD || result->size != sizeof(*report))
		return;
	session = session_new(s, report->pid, result->fds[EXEC_FD_PIDFD], &err);
	if (!session)
		return;
	result->fds[EXEC_FD_PIDFD] = -1;
	session->refused = true;
	if (watch_end(session, &err) < 0)
		session_free(session);
}

/* The command has executed. Its end is watched for only after it has been told of. */
static void started(struct task *task, struct job_result *result)
{
	const struct exec_report *report = result->payload;
	struct msg_exec_started reply = {0};
	struct exec_session *session;
	struct err err;

	if (result->r < 0) {
		task_fail(task, &result->err);
		reap_refused(task->s, result);
		return;
	}
	session = session_new(task->s, report->pid, result->fds[EXEC_FD_PIDFD], &err);
	if (!session) {
		pidfd_send_signal(result->fds[EXEC_FD_PIDFD], SIGKILL, NULL, 0);
		task_fail(task, &err);
		return;
	}
	result->fds[EXEC_FD_PIDFD] = -1;
	reply.exec_id = session->id;
	reply.pid = report->pid;
	task_reply(task, &reply, &result->fds[EXEC_FD_CONSOLE], result->n_fds - EXEC_FD_CONSOLE);
	if (watch_end(session, &err) < 0) {
		log_error("command not watched error=\"%s\"", err.msg);
		pidfd_send_signal(session->pidfd, SIGKILL, NULL, 0);
		session_free(session);
		return;
	}
	if (task->request.generation != peer_generation(task->s->peer))
		pidfd_send_signal(session->pidfd, SIGHUP, NULL, 0);
}

static int work(struct task *task, struct job_output *out, struct err *err)
{
	return exec_run(&task->u.exec, out, err);
}

static void list_fds(const struct task *task, struct fd_list *list)
{
	fd_list_add(list, task->u.exec.init_pidfd);
	cgroup_join_list_fds(&task->u.exec.join, list);
}

static void done(struct task *task, struct job_result *result)
{
	started(task, result);
	cgroup_join_close(&task->u.exec.join);
}

/*
 * What a command gets from outside. Anything else could lead out of the container: a directory has
 * a parent, a device may be one that its cgroup forbids to open.
 */
static bool is_stdio(int fd)
{
	struct stat st;
	bool is_null;

	if (fstat(fd, &st) < 0)
		return false;
	is_null = S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
	return S_ISFIFO(st.st_mode) || is_null;
}

static int check_fds(const struct msg_exec *msg, const int *fds, size_t n_fds, struct err *err)
{
	bool ok = n_fds == (msg->tty ? 1u : 4u);

	for (size_t i = 1; i < n_fds && ok; i++)
		ok = is_stdio(fds[i]);
	if (ok)
		return 0;
	return err_set(err, ERR_INVALID_ARGUMENT, "EXEC_DESCRIPTORS",
		"a command takes its arguments and, without a terminal, three pipes");
}

static int prepare(
	struct task *task, const struct msg_exec *msg, int *fds, size_t n_fds, struct err *err)
{
	struct exec_request *rq = &task->u.exec;
	struct container *c;
	int r;

	rq->msg = *msg;
	task->tenant = rq->msg.tenant;
	c = container_find_running(task->s, msg->tenant, msg->container, err);
	if (!c)
		return -EBUSY;
	if (check_fds(msg, fds, n_fds, err) < 0)
		return -EINVAL;
	/* One that stands still for a moment will go on, and the command with it. */
	if ((!c->paused && cgroup_is_frozen(task->s->cgroups, &c->cgroup) != 0) || c->freezing)
		return err_set(err, ERR_FAILED_PRECONDITION, "CONTAINER_FROZEN",
			"container %s is frozen: thaw it first", msg->container);
	r = policies_get(task->s->policies, c->file.policy, &rq->confinement, err);
	if (r == 0)
		r = c->file.nesting
			    ? cgroup_join_open_beside(
				      task->s->cgroups, &c->cgroup, c->file.pid, &rq->join, err)
			    : cgroup_join_open(task->s->cgroups, &c->cgroup, &rq->join, err);
	if (r < 0)
		return r;
	task->into_cgroup_fd = rq->join.into_fd;
	task_makes_in(task, &c->cgroup);
	rq->init_pidfd = c->pidfd;
	rq->files_fd = task->s->files_fd;
	rq->nesting = c->file.nesting;
	for (size_t i = 0; i < n_fds; i++)
		task->fds[i] = take_fd(&fds[i]);
	rq->args_fd = task->fds[0];
	for (size_t i = 0; i < 3; i++)
		rq->stdio[i] = msg->tty ? -1 : task->fds[i + 1];
	return 0;
}

void exec_session_start(struct supervisor *s, const struct request *request,
	const struct msg_exec *msg, int *fds, size_t n_fds)
{
	struct err err;
	struct task *task = task_new(s, request, &err);

	if (!task) {
		peer_fail(s->peer, request, &err);
		return;
	}
	if (prepare(task, msg, fds, n_fds, &err) < 0) {
		task_fail(task, &err);
		task_free(task);
		return;
	}
	task->fn = work;
	task->list_fds = list_fds;
	task->done = done;
	task_start(task);
}

int exec_session_signal(struct supervisor *s, uint64_t exec_id, int sig, struct err *err)
{
	for (struct exec_session *session = s->execs; session; session = session->next) {
		if (session->id != exec_id)
			continue;
		if (pidfd_send_signal(session->pidfd, sig, NULL, 0) < 0)
			return err_sys(err, errno, "signal the command");
		return 0;
	}
	return err_set(err, ERR_NOT_FOUND, "EXEC_ENDED", "the command has ended");
}

void exec_session_hang_up_all(struct supervisor *s)
{
	for (struct exec_session *session = s->execs; session; session = session->next)
		pidfd_send_signal(session->pidfd, SIGHUP, NULL, 0);
}

void exec_session_forget_all(struct supervisor *s)
{
	while (s->execs)
		session_free(s->execs);
}

/*
 * croft-refuser: answers the tell-tale calls of containers with EPERM, and counts them. One for all
 * containers of a host, started by the supervisor and not its child for long: it outlives it, as
 * containers do. It holds nothing but listeners and counts, has no capability, and makes no call
 * but those below. It ends when nothing has been left to do for a while, and wherever it cannot go
 * on: another is started, and given what it had.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sanitizer.h"
#include "base/syscall_filter.h"
#include "sandbox/refuser/answer.h"
#include "sandbox/refuser/refuser_wire.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define EVENTS_MAX 64
#define TICK_MS	   20	 /* how often those that are held back are looked at */
#define IDLE_MS	   10000 /* with neither listeners nor a supervisor */

/* Which bits of a request may be anything: its size, and what tells NOTIF_SEND from NOTIF_RECV. */
#define SIZE_OR_SEND ((uint32_t)_IOC_SIZEMASK << _IOC_SIZESHIFT | 1u)

enum kind { KIND_SOCKET, KIND_SUPERVISOR, KIND_LISTENER };

struct source {
	enum kind kind;
	struct answer answer;	  /* its fd is the source's; the rest a listener's */
	struct source *next_held; /* of those that are held back */
	bool held;
};

struct refuser {
	int epoll_fd;
	size_t n_sources; /* but for the socket */
	struct source *held;
	uint64_t look_usec; /* when those are looked at next */
};

static uint64_t now_usec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int add(struct refuser *r, enum kind kind, int fd, struct refused_count *count)
{
	struct source *s = calloc(1, sizeof(*s));
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};

	if (!s)
		return -ENOMEM;
	s->kind = kind;
	s->answer = (struct answer){.fd = fd, .count = count};
	if (epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		free(s);
		return -errno;
	}
	r->n_sources += kind != KIND_SOCKET;
	return 0;
}

/* The kernel tells of the last process that was under a policy: there will be no more. */
static void drop(struct refuser *r, struct source *s)
{
	struct source **at = &r->held;

	while (*at && *at != s)
		at = &(*at)->next_held;
	if (*at)
		*at = s->next_held;
	/* The supervisor has it open as well: closing ours does not make epoll forget it. */
	epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, s->answer.fd, NULL);
	close(s->answer.fd);
	if (s->answer.count)
		munmap(s->answer.count, sizeof(*s->answer.count));
	r->n_sources--;
	free(s);
}

static int listen_for(struct refuser *r, struct source *s, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = s};

	return epoll_ctl(r->epoll_fd, EPOLL_CTL_MOD, s->answer.fd, &event) < 0 ? -errno : 0;
}

/* Who asks too often waits, interruptibly, and is not looked at before its time. */
static int hold_back(struct refuser *r, struct source *s)
{
	if (!r->held)
		r->look_usec = now_usec() + TICK_MS * 1000;
	s->held = true;
	s->next_held = r->held;
	r->held = s;
	return listen_for(r, s, 0);
}

static int look_at_held(struct refuser *r)
{
	uint64_t now = now_usec();
	struct source **at = &r->held;

	if (!r->held || now < r->look_usec)
		return 0;
	r->look_usec = now + TICK_MS * 1000;
	while (*at) {
		struct source *s = *at;

		if (!answer_is_due(&s->answer, now)) {
			at = &s->next_held;
			continue;
		}
		*at = s->next_held;
		s->held = false;
		if (listen_for(r, s, EPOLLIN) < 0)
			return -EIO;
	}
	return 0;
}

static int on_listener(struct refuser *r, struct source *s, uint32_t events)
{
	uint64_t now = now_usec();
	int result;

	/* EPOLLERR alone: the kernel was interrupted while it looked, and is asked again. */
	if (!(events & (EPOLLIN | EPOLLHUP)))
		return 0;
	if (!(events & EPOLLIN)) {
		drop(r, s);
		return 0;
	}
	if (!answer_is_due(&s->answer, now))
		return s->held ? 0 : hold_back(r, s);
	result = answer_give(&s->answer, now);
	return result == -EAGAIN ? 0 : result;
}

/* Only root may: the socket is in a directory of root's, and this is asked all the same. */
static int on_socket(struct refuser *r, int fd)
{
	_cleanup_close_ int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred who;
	socklen_t size = sizeof(who);
	int result;

	if (peer < 0)
		return errno == EAGAIN || errno == ECONNABORTED || errno == EINTR ? 0 : -errno;
	if (getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 || who.uid != 0)
		return 0;
	result = add(r, KIND_SUPERVISOR, peer, NULL);
	if (result == 0)
		take_fd(&peer);
	return result;
}

static int take(struct refuser *r, int listener, int count_fd)
{
	struct refused_count *count;
	struct stat st;

	if (fstat(count_fd, &st) < 0 || st.st_size < (off_t)sizeof(*count))
		return -EBADMSG;
	count = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED, count_fd, 0);
	if (count == MAP_FAILED)
		return -errno;
	close(count_fd);
	return add(r, KIND_LISTENER, listener, count);
}

static int on_supervisor(struct refuser *r, struct source *s)
{
	struct refuser_message message;
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	ssize_t n = fd_recv(s->answer.fd, &message, sizeof(message), fds, &n_fds);

	if (n == -EAGAIN)
		return 0;
	if (n == 0 || n == -ECONNRESET) {
		drop(r, s);
		return 0;
	}
	if (n != (ssize_t)sizeof(message) || message.version != REFUSER_VERSION ||
		n_fds != REFUSER_FD_N)
		return -EBADMSG;
	return take(r, fds[REFUSER_FD_LISTENER], fds[REFUSER_FD_COUNT]);
}

static int on_event(struct refuser *r, struct source *s, uint32_t events)
{
	switch (s->kind) {
	case KIND_SOCKET:
		return on_socket(r, s->answer.fd);
	case KIND_SUPERVISOR:
		return on_supervisor(r, s);
	default:
		return on_listener(r, s, events);
	}
}

/* Returns 0 when there is nothing left to do, or -errno. */
static int run(struct refuser *r)
{
	struct epoll_event events[EVENTS_MAX];

	for (;;) {
		int timeout = r->held ? TICK_MS : r->n_sources ? -1 : IDLE_MS;
		int n = epoll_wait(r->epoll_fd, events, EVENTS_MAX, timeout);
		int result = n < 0 && errno != EINTR ? -errno : look_at_held(r);

		if (n == 0 && !r->n_sources)
			return 0;
		for (int i = 0; result == 0 && i < n; i++)
			result = on_event(r, events[i].data.ptr, events[i].events);
		if (result < 0)
			return result;
	}
}

static int fence_in(struct err *err)
{
	static const int calls[] = {
#ifdef SYS_epoll_wait
		SYS_epoll_wait,
#endif
		SYS_epoll_pwait, SYS_epoll_ctl, SYS_clock_gettime, SYS_accept4, SYS_recvmsg,
		SYS_getsockopt, SYS_fstat, SYS_newfstatat, SYS_close, SYS_munmap, SYS_brk,
		SYS_mremap, SYS_madvise, SYS_futex, SYS_rt_sigreturn, SYS_exit_group};
	/* prot: no PROT_EXEC. Of what a listener can be asked, NOTIF_RECV and NOTIF_SEND alone. */
	static const struct syscall_rule rules[] = {{SYS_mmap, 2, 4, 0},
		{SYS_ioctl, 1, ~SIZE_OR_SEND, _IOC(_IOC_READ | _IOC_WRITE, '!', 0, 0)}};
	static const struct syscall_filter filter = {
		calls, ARRAY_SIZE(calls), rules, ARRAY_SIZE(rules), EPERM};

	/* A sanitizer makes calls of its own. */
	return SANITIZED ? 0 : syscall_filter_load(&filter, err);
}

int main(void)
{
	struct refuser r = {.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
	struct err err;

	if (r.epoll_fd < 0 || !answer_fits_kernel() || prctl(PR_SET_DUMPABLE, 0) < 0 ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		add(&r, KIND_SOCKET, REFUSER_SOCKET_FD, NULL) < 0 || fence_in(&err) < 0)
		return 1;
	return run(&r) < 0;
}

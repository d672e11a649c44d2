/*
 * croftd's connection; see peer.h. A peer that breaks the protocol is dropped, never answered and
 * never a reason to end: containers do not depend on it.
 */
#include "sandbox/peer.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "sandbox/supervisor.h"
#include "sandbox/supervisor_client.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

struct queued {
	struct queued *next;
	size_t size;
	size_t n_fds;
	int fds[FD_PASS_MAX];
	uint8_t data[];
};

struct peer {
	struct supervisor *s;
	void (*dropped)(struct supervisor *s);
	int listen_fd;
	struct watch listen_watch;
	struct timer accept_timer;
	int fd; /* -1: nobody is connected */
	struct watch watch;
	uint64_t generation;
	bool greeted;
	struct queued *first;
	struct queued **last;
	size_t n_queued;
};

uint64_t peer_generation(const struct peer *peer)
{
	return peer->generation;
}

bool peer_is_flushed(const struct peer *peer)
{
	return peer->first == NULL;
}

static void drop_queue(struct peer *peer)
{
	while (peer->first) {
		struct queued *q = peer->first;

		peer->first = q->next;
		for (size_t i = 0; i < q->n_fds; i++)
			close(q->fds[i]);
		free(q);
	}
	peer->last = &peer->first;
	peer->n_queued = 0;
}

static void drop(struct peer *peer, const char *why)
{
	if (peer->fd < 0)
		return;
	log_info("server disconnected reason=\"%s\"", why);
	watch_stop(&peer->watch);
	close_fd(&peer->fd);
	drop_queue(peer);
	peer->generation++;
	peer->greeted = false;
	peer->dropped(peer->s);
}

static void enqueue(struct peer *peer, const void *data, size_t size, const int *fds, size_t n_fds)
{
	struct queued *q;

	if (peer->n_queued >= PEER_QUEUE_MAX) {
		drop(peer, "it does not read");
		return;
	}
	q = calloc(1, sizeof(*q) + size);
	if (!q) {
		drop(peer, "out of memory");
		return;
	}
	q->size = size;
	memcpy(q->data, data, size);
	for (size_t i = 0; i < n_fds; i++) {
		q->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		q->n_fds++;
		if (q->fds[i] >= 0)
			continue;
		q->n_fds--;
		for (size_t k = 0; k < q->n_fds; k++)
			close(q->fds[k]);
		free(q);
		drop(peer, "out of descriptors");
		return;
	}
	*peer->last = q;
	peer->last = &q->next;
	if (peer->n_queued++ == 0)
		watch_change(&peer->watch, EPOLLIN | EPOLLOUT);
}

static void flush(struct peer *peer)
{
	while (peer->first) {
		struct queued *q = peer->first;
		int r = fd_send(peer->fd, q->data, q->size, q->fds, q->n_fds);

		if (r == -EAGAIN)
			return;
		if (r < 0) {
			drop(peer, strerror(-r));
			return;
		}
		peer->first = q->next;
		if (!peer->first)
			peer->last = &peer->first;
		peer->n_queued--;
		for (size_t i = 0; i < q->n_fds; i++)
			close(q->fds[i]);
		free(q);
	}
	watch_change(&peer->watch, EPOLLIN);
}

static void send_message(struct peer *peer, const struct msg_header *header, const void *body,
	const int *fds, size_t n_fds)
{
	uint8_t data[MSG_SIZE_MAX];
	size_t size = sizeof(*header) + header->size;
	int r = -EAGAIN;

	if (peer->fd < 0)
		return;
	memcpy(data, header, sizeof(*header));
	memcpy(data + sizeof(*header), body, header->size);
	if (!peer->first)
		r = fd_send(peer->fd, data, size, fds, n_fds);
	if (r == -EAGAIN)
		enqueue(peer, data, size, fds, n_fds);
	else if (r < 0)
		drop(peer, strerror(-r));
}

void peer_reply(struct peer *peer, const struct request *request, const void *reply, const int *fds,
	size_t n_fds)
{
	struct msg_header header = {
		.magic = PROTOCOL_MAGIC,
		.op = (uint16_t)(request->op | MSG_REPLY),
		.size = (uint32_t)protocol_size(request->op | MSG_REPLY),
		.id = request->id,
	};

	if (request->generation == peer->generation)
		send_message(peer, &header, reply, fds, n_fds);
}

void peer_fail(struct peer *peer, const struct request *request, const struct err *err)
{
	struct msg_header header = {
		.magic = PROTOCOL_MAGIC,
		.op = (uint16_t)(request->op | MSG_REPLY),
		.size = sizeof(*err),
		.failed = 1,
		.id = request->id,
	};

	if (request->generation == peer->generation)
		send_message(peer, &header, err, NULL, 0);
}

void peer_event(struct peer *peer, enum msg_op op, const void *msg, const int *fds, size_t n_fds)
{
	struct msg_header header = {
		.magic = PROTOCOL_MAGIC,
		.op = (uint16_t)op,
		.size = (uint32_t)protocol_size(op),
	};

	if (peer->greeted)
		send_message(peer, &header, msg, fds, n_fds);
}

static void hello(struct peer *peer, const struct request *request, const struct msg_hello *msg)
{
	struct msg_hello_reply reply = {
		.version = PROTOCOL_VERSION,
		.cgroup_kind = cgroup_root_kind(peer->s->cgroups),
	};
	struct err err;

	if (msg->version != PROTOCOL_VERSION) {
		err_set(&err, ERR_FAILED_PRECONDITION, "SUPERVISOR_VERSION",
			"the supervisor speaks version %u of its protocol, this server %u: "
			"restart both from one installation",
			PROTOCOL_VERSION, msg->version);
		peer_fail(peer, request, &err);
		return;
	}
	snprintf(reply.instance, sizeof(reply.instance), "%s", idrange_instance(peer->s->ids));
	peer->greeted = true;
	log_info("server connected");
	peer_reply(peer, request, &reply, NULL, 0);
}

/* Returns why the message must not be believed, or NULL. */
static const char *check(const struct peer *peer, const struct msg_header *header, size_t n,
	const struct handler *handler, size_t n_fds)
{
	if (n < sizeof(*header) || header->magic != PROTOCOL_MAGIC || header->reserved ||
		header->failed || header->size != n - sizeof(*header))
		return "malformed message";
	if (header->op == MSG_HELLO)
		return peer->greeted || n_fds || header->size != protocol_size(MSG_HELLO)
			       ? "malformed greeting"
			       : NULL;
	if (!peer->greeted)
		return "no greeting";
	if (!handler)
		return "unknown request";
	if (header->size != protocol_size(header->op))
		return "request of a wrong size";
	if (n_fds < handler->min_fds || n_fds > handler->max_fds)
		return "wrong number of descriptors";
	return NULL;
}

/* Returns false when there is nothing more to read now. */
static bool receive(struct peer *peer)
{
	union {
		struct msg_header header;
		uint8_t data[MSG_SIZE_MAX];
	} in;
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	ssize_t n = fd_recv(peer->fd, &in, sizeof(in), fds, &n_fds);
	const struct handler *handler;
	struct request request;
	const char *fault;

	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		drop(peer, n == 0 ? "it hung up" : strerror((int)-n));
		return false;
	}
	handler = (size_t)n >= sizeof(in.header) ? handler_for(in.header.op) : NULL;
	fault = check(peer, &in.header, (size_t)n, handler, n_fds);
	if (fault) {
		log_warning("server dropped reason=\"%s\"", fault);
		drop(peer, fault);
	} else {
		const void *body = in.data + sizeof(in.header);

		request = (struct request){peer->generation, in.header.id, in.header.op};
		if (request.op == MSG_HELLO)
			hello(peer, &request, body);
		else
			handler->handle(peer->s, &request, body, fds, n_fds);
	}
	for (size_t i = 0; i < n_fds; i++)
		close_fd(&fds[i]);
	return peer->fd >= 0;
}

/* One peer cannot keep the loop: signals and other descriptors get their turn. */
#define MESSAGES_A_TURN 64

static void on_message(struct watch *watch, uint32_t events)
{
	struct peer *peer = watch->arg;

	if (events & EPOLLOUT)
		flush(peer);
	for (int i = 0; i < MESSAGES_A_TURN && peer->fd >= 0; i++)
		if (!receive(peer))
			break;
}

#define ACCEPT_PAUSE_MS 100

static void accept_again(struct timer *timer)
{
	struct peer *peer = timer->arg;
	struct err err;

	if (peer_start(peer, &err) < 0)
		log_error("connections not accepted error=\"%s\"", err.msg);
}

static bool may_connect(struct supervisor *s, int fd)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return false;
	return cred.uid == 0 || cred.uid == s->config.peer_uid;
}

static void on_connection(struct watch *watch, uint32_t events)
{
	struct peer *peer = watch->arg;
	_cleanup_close_ int fd = accept4(peer->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct err err;

	(void)events;
	if (fd < 0) {
		/* Out of descriptors, most likely: who waits goes on waiting, but not in a loop. */
		watch_stop(watch);
		timer_start(
			peer->s->reactor, &peer->accept_timer, ACCEPT_PAUSE_MS, accept_again, peer);
		return;
	}
	if (!may_connect(peer->s, fd)) {
		log_warning("connection refused: not the server's user");
		return;
	}
	drop(peer, "another server took its place");
	peer->last = &peer->first;
	if (watch_start(peer->s->reactor, &peer->watch, fd, EPOLLIN, on_message, peer, &err) < 0) {
		log_error("connection lost error=\"%s\"", err.msg);
		return;
	}
	peer->fd = take_fd(&fd);
}

/* The address must be short and name nothing outside the run directory: bind through its fd. */
static void socket_address(int run_fd, struct sockaddr_un *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", run_fd,
		SUPERVISOR_SOCKET);
}

static int bind_socket(struct supervisor *s, int fd, struct err *err)
{
	struct sockaddr_un address;
	mode_t old = umask(0177);
	int r = 0;

	socket_address(s->run_fd, &address);
	unlinkat(s->run_fd, SUPERVISOR_SOCKET, 0);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		r = err_sys(err, errno, "bind the supervisor's socket");
	umask(old);
	if (r == 0 && fchownat(s->run_fd, SUPERVISOR_SOCKET, s->config.peer_uid, (gid_t)-1,
			      AT_SYMLINK_NOFOLLOW) < 0)
		r = err_sys(err, errno, "own the supervisor's socket");
	if (r == 0 && listen(fd, 4) < 0)
		r = err_sys(err, errno, "listen");
	return r;
}

int peer_listen(struct supervisor *s, void (*dropped)(struct supervisor *s), struct peer **ret,
	struct err *err)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	int r;

	if (!peer)
		return err_oom(err);
	peer->s = s;
	peer->dropped = dropped;
	peer->fd = -1;
	peer->generation = 1;
	peer->last = &peer->first;
	peer->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = peer->listen_fd < 0 ? err_sys(err, errno, "socket")
				: bind_socket(s, peer->listen_fd, err);
	if (r < 0) {
		close_fd(&peer->listen_fd);
		free(peer);
		return r;
	}
	*ret = peer;
	return 0;
}

int peer_start(struct peer *peer, struct err *err)
{
	return watch_start(peer->s->reactor, &peer->listen_watch, peer->listen_fd, EPOLLIN,
		on_connection, peer, err);
}

void peer_close(struct peer *peer)
{
	if (!peer)
		return;
	watch_stop(&peer->watch);
	close_fd(&peer->fd);
	drop_queue(peer);
	timer_stop(&peer->accept_timer);
	watch_stop(&peer->listen_watch);
	close_fd(&peer->listen_fd);
	unlinkat(peer->s->run_fd, SUPERVISOR_SOCKET, 0);
	free(peer);
}

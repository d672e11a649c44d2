/*
 * croftd's end of the supervisor's socket; see supervisor_client.h.
 *
 * Frames, checks and matches messages. Must never block after the connection is made, and must
 * never hand on a message whose size or opcode is not exactly what the protocol's table says.
 */
#include "sandbox/supervisor_client.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>

#define HELLO_TIMEOUT_MS  1000
#define DISPATCH_MAX	  64 /* messages a call, so that other events get their turn */
#define OUTGOING_MAX	  65536
#define PENDING_GROW	  64
#define MESSAGE_SIZE	  (sizeof(struct msg_header) + MSG_SIZE_MAX)
#define PENDING_SLOT_BITS 32

/* A message that the socket did not take yet; its descriptors are duplicates of the caller's. */
struct outgoing {
	STAILQ_ENTRY(outgoing) entry;
	int fds[FD_PASS_MAX];
	size_t n_fds;
	size_t size;
	uint8_t data[];
};

/* A request that waits for its reply. Its id is the slot's number below the slot's serial. */
struct pending {
	uint32_t serial;
	uint16_t op;   /* 0: free */
	uint32_t next; /* the number of the next one that is free, while it is; 0: none */
	supervisor_reply_fn reply;
	void *arg;
};

struct supervisor_client {
	int sock;
	enum cgroup_kind cgroup_kind;
	const struct supervisor_client_ops *ops;
	void *arg;
	STAILQ_HEAD(, outgoing) outgoing;
	size_t n_outgoing;
	struct pending *pending;
	size_t n_pending;
	uint32_t free; /* the number of the first slot that is free; 0: none. They count from 1 */
};

static int set_gone(struct err *err)
{
	err_set(err, ERR_UNAVAILABLE, "SUPERVISOR_GONE",
		"croft-supervisor ended before it answered, so this may have been done or not; "
		"look, "
		"and try again");
	return -ECONNRESET;
}

static void close_fds(const int *fds, size_t n_fds)
{
	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
}

static int connect_socket(int run_fd, int *ret_sock, struct err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int sock = -1;

	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		return err_sys(err, errno, "make a socket");
	/* Through /proc, because a run directory's path may be longer than sun_path. */
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", run_fd,
		SUPERVISOR_SOCKET);
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		if (errno == EACCES || errno == EPERM)
			return err_set(err, ERR_PERMISSION_DENIED, "SUPERVISOR_REFUSED",
				"the supervisor's socket may not be used by this user");
		return set_gone(err);
	}
	*ret_sock = take_fd(&sock);
	return 0;
}

static size_t frame(
	uint8_t out[static MESSAGE_SIZE], uint16_t op, uint64_t id, const void *msg, size_t size)
{
	struct msg_header header = {
		.magic = PROTOCOL_MAGIC, .op = op, .size = (uint32_t)size, .id = id};

	memcpy(out, &header, sizeof(header));
	memcpy(out + sizeof(header), msg, size);
	return sizeof(header) + size;
}

/*
 * Checks a received message against the protocol's table. Returns its payload's size, or -EBADMSG.
 */
static ssize_t check_message(const uint8_t *data, size_t size, struct msg_header *ret_header)
{
	struct msg_header h;
	size_t want;

	if (size < sizeof(h))
		return -EBADMSG;
	memcpy(&h, data, sizeof(h));
	if (h.magic != PROTOCOL_MAGIC || h.reserved || h.size != size - sizeof(h) || h.failed > 1)
		return -EBADMSG;
	if (h.failed && !(h.op & MSG_REPLY))
		return -EBADMSG;
	want = h.failed ? sizeof(struct err) : protocol_size(h.op);
	if (!want || want != h.size)
		return -EBADMSG;
	*ret_header = h;
	return (ssize_t)want;
}

static int say_hello(struct supervisor_client *client, struct err *err)
{
	struct msg_hello hello = {.version = PROTOCOL_VERSION};
	struct pollfd pfd = {.fd = client->sock, .events = POLLIN};
	struct msg_hello_reply reply;
	struct msg_header header;
	uint8_t data[MESSAGE_SIZE];
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	ssize_t size;
	int r;

	size = (ssize_t)frame(data, MSG_HELLO, 1, &hello, sizeof(hello));
	if (fd_send(client->sock, data, (size_t)size, NULL, 0) < 0)
		return set_gone(err);
	do
		r = poll(&pfd, 1, HELLO_TIMEOUT_MS);
	while (r < 0 && errno == EINTR);
	if (r <= 0)
		return set_gone(err);
	size = fd_recv(client->sock, data, sizeof(data), fds, &n_fds);
	if (size <= 0)
		return set_gone(err);
	close_fds(fds, n_fds);
	if (check_message(data, (size_t)size, &header) < 0 || header.op != (MSG_HELLO | MSG_REPLY))
		return err_set(err, ERR_FAILED_PRECONDITION, "SUPERVISOR_VERSION",
			"the running supervisor speaks another protocol; restart it");
	if (header.failed) {
		struct err failure;

		memcpy(&failure, data + sizeof(header), sizeof(failure));
		r = err_sanitize(&failure);
		if (err)
			*err = failure;
		return r;
	}
	memcpy(&reply, data + sizeof(header), sizeof(reply));
	if (reply.version != PROTOCOL_VERSION ||
		(reply.cgroup_kind != CGROUP_UNIFIED && reply.cgroup_kind != CGROUP_HYBRID))
		return err_set(err, ERR_FAILED_PRECONDITION, "SUPERVISOR_VERSION",
			"the running supervisor speaks version %u of the protocol, not %u; restart "
			"it",
			reply.version, PROTOCOL_VERSION);
	client->cgroup_kind = (enum cgroup_kind)reply.cgroup_kind;
	return 0;
}

int supervisor_client_connect(int run_fd, const struct supervisor_client_ops *ops, void *arg,
	struct supervisor_client **ret, struct err *err)
{
	struct supervisor_client *client = calloc(1, sizeof(*client));
	int r;

	if (!client)
		return err_oom(err);
	client->sock = -1;
	client->ops = ops;
	client->arg = arg;
	STAILQ_INIT(&client->outgoing);
	r = connect_socket(run_fd, &client->sock, err);
	if (r == 0)
		r = say_hello(client, err);
	if (r < 0) {
		supervisor_client_close(client);
		return r;
	}
	*ret = client;
	return 0;
}

void supervisor_client_set_ops(
	struct supervisor_client *client, const struct supervisor_client_ops *ops, void *arg)
{
	client->ops = ops;
	client->arg = arg;
}

static void drop_outgoing(struct supervisor_client *client)
{
	struct outgoing *out;

	while ((out = STAILQ_FIRST(&client->outgoing))) {
		STAILQ_REMOVE_HEAD(&client->outgoing, entry);
		close_fds(out->fds, out->n_fds);
		free(out);
	}
	client->n_outgoing = 0;
}

void supervisor_client_close(struct supervisor_client *client)
{
	struct err gone;

	if (!client)
		return;
	set_gone(&gone);
	close_fd(&client->sock);
	for (size_t i = 0; i < client->n_pending; i++) {
		struct pending *p = &client->pending[i];

		if (!p->op)
			continue;
		p->op = 0;
		if (p->reply)
			p->reply(p->arg, &gone, NULL, NULL, 0);
	}
	drop_outgoing(client);
	free(client->pending);
	free(client);
}

int supervisor_client_fd(const struct supervisor_client *client)
{
	return client->sock;
}

enum cgroup_kind supervisor_client_cgroup_kind(const struct supervisor_client *client)
{
	return client->cgroup_kind;
}

static void free_slot(struct supervisor_client *client, size_t slot)
{
	client->pending[slot].op = 0;
	client->pending[slot].next = client->free;
	client->free = (uint32_t)slot + 1;
}

/* Returns false when there is none, and no memory for more. */
static bool have_free_slot(struct supervisor_client *client)
{
	struct pending *grown;
	size_t n = client->n_pending;

	if (client->free)
		return true;
	grown = reallocarray(client->pending, n + PENDING_GROW, sizeof(*grown));
	if (!grown)
		return false;
	memset(grown + n, 0, PENDING_GROW * sizeof(*grown));
	client->pending = grown;
	client->n_pending = n + PENDING_GROW;
	for (size_t slot = client->n_pending; slot > n; slot--)
		free_slot(client, slot - 1);
	return true;
}

static int queue_outgoing(struct supervisor_client *client, const uint8_t *data, size_t size,
	const int *fds, size_t n_fds, struct err *err)
{
	struct outgoing *out;

	if (client->n_outgoing >= OUTGOING_MAX)
		return err_set(err, ERR_UNAVAILABLE, "SUPERVISOR_BUSY",
			"the supervisor does not keep up; try again");
	out = malloc(sizeof(*out) + size);
	if (!out)
		return err_oom(err);
	out->n_fds = 0;
	out->size = size;
	memcpy(out->data, data, size);
	for (size_t i = 0; i < n_fds; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);

		if (fd < 0) {
			int r = err_sys(err, errno, "duplicate a descriptor");

			close_fds(out->fds, out->n_fds);
			free(out);
			return r;
		}
		out->fds[out->n_fds++] = fd;
	}
	STAILQ_INSERT_TAIL(&client->outgoing, out, entry);
	client->n_outgoing++;
	return 0;
}

/* Sends at once where the socket takes it and nothing waits before it; else queues. */
static int transmit(struct supervisor_client *client, const uint8_t *data, size_t size,
	const int *fds, size_t n_fds, struct err *err)
{
	int r;

	if (STAILQ_EMPTY(&client->outgoing)) {
		r = fd_send(client->sock, data, size, fds, n_fds);
		if (r == 0)
			return 0;
		if (r != -EAGAIN && r != -ENOBUFS)
			return set_gone(err);
	}
	return queue_outgoing(client, data, size, fds, n_fds, err);
}

int supervisor_client_send(struct supervisor_client *client, enum msg_op op, const void *msg,
	const int *fds, size_t n_fds, supervisor_reply_fn reply, void *arg, struct err *err)
{
	uint8_t data[MESSAGE_SIZE];
	struct pending *p;
	size_t size = protocol_size(op);
	uint64_t id;
	int r;

	if (!size || size > MSG_SIZE_MAX || n_fds > FD_PASS_MAX)
		return err_set(err, ERR_INTERNAL, "SUPERVISOR_PROTOCOL", "no such request: %d", op);
	if (!have_free_slot(client))
		return err_oom(err);
	p = &client->pending[client->free - 1];
	id = (uint64_t)++p->serial << PENDING_SLOT_BITS | client->free;
	size = frame(data, (uint16_t)op, id, msg, size);
	r = transmit(client, data, size, fds, n_fds, err);
	if (r < 0)
		return r;
	client->free = p->next;
	p->op = (uint16_t)op;
	p->reply = reply;
	p->arg = arg;
	return 0;
}

/* Hands a reply to whoever sent the request. -EBADMSG when nobody did. */
static int take_reply(struct supervisor_client *client, const struct msg_header *h,
	const uint8_t *payload, const int *fds, size_t n_fds)
{
	size_t slot = (size_t)(h->id & UINT32_MAX) - 1;
	struct pending p;
	struct err failure;

	if (slot >= client->n_pending)
		return -EBADMSG;
	p = client->pending[slot];
	if (!p.op || p.op != (h->op & ~MSG_REPLY) || p.serial != h->id >> PENDING_SLOT_BITS)
		return -EBADMSG;
	free_slot(client, slot);
	if (h->failed) {
		memcpy(&failure, payload, sizeof(failure));
		err_sanitize(&failure);
		close_fds(fds, n_fds);
		if (p.reply)
			p.reply(p.arg, &failure, NULL, NULL, 0);
		return 0;
	}
	if (p.reply)
		p.reply(p.arg, NULL, payload, fds, n_fds);
	else
		close_fds(fds, n_fds);
	return 0;
}

static int take_message(struct supervisor_client *client, const uint8_t *data, size_t size,
	const int *fds, size_t n_fds)
{
	_Alignas(max_align_t) uint8_t payload[MSG_SIZE_MAX];
	struct msg_header header;
	ssize_t n = check_message(data, size, &header);
	int r = -EBADMSG;

	if (n >= 0) {
		memcpy(payload, data + sizeof(header), (size_t)n);
		if (header.op & MSG_REPLY) {
			r = take_reply(client, &header, payload, fds, n_fds);
		} else if (header.op >= MSG_EVENT_CONTAINER && header.id == 0) {
			client->ops->event(
				client->arg, (enum msg_op)header.op, payload, fds, n_fds);
			return 0;
		}
	}
	if (r < 0)
		close_fds(fds, n_fds);
	return r;
}

int supervisor_client_dispatch(struct supervisor_client *client, struct err *err)
{
	uint8_t data[MESSAGE_SIZE];

	for (int i = 0; i < DISPATCH_MAX; i++) {
		int fds[FD_PASS_MAX];
		size_t n_fds = 0;
		ssize_t size = fd_recv(client->sock, data, sizeof(data), fds, &n_fds);

		if (size == -EAGAIN || size == -EINTR)
			return 0;
		if (size <= 0)
			return set_gone(err);
		if (take_message(client, data, (size_t)size, fds, n_fds) < 0) {
			err_set(err, ERR_UNAVAILABLE, "SUPERVISOR_PROTOCOL",
				"the supervisor sent a malformed message; the connection is made "
				"anew");
			return -ECONNRESET;
		}
	}
	return 0;
}

bool supervisor_client_wants_write(const struct supervisor_client *client)
{
	return !STAILQ_EMPTY(&client->outgoing);
}

int supervisor_client_flush(struct supervisor_client *client, struct err *err)
{
	struct outgoing *out;

	while ((out = STAILQ_FIRST(&client->outgoing))) {
		int r = fd_send(client->sock, out->data, out->size, out->fds, out->n_fds);

		if (r == -EAGAIN || r == -ENOBUFS)
			return 0;
		if (r < 0)
			return set_gone(err);
		STAILQ_REMOVE_HEAD(&client->outgoing, entry);
		client->n_outgoing--;
		close_fds(out->fds, out->n_fds);
		free(out);
	}
	return 0;
}

/* A peer that breaks the protocol, or may not speak it at all: dropped or refused, and no more. */
#include "tests/integration/root/supervisor_harness.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define FOREVER "exec sleep 100000"
#define NOBODY	65534

static int connect_raw(const struct sup *s)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" SUPERVISOR_SOCKET,
		s->run_fd);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

struct raw {
	struct msg_header header;
	uint8_t body[MSG_SIZE_MAX];
};

static struct raw raw_of(uint16_t op, size_t size)
{
	struct raw raw = {.header = {.magic = PROTOCOL_MAGIC, .op = op, .id = 1}};

	raw.header.size = (uint32_t)size;
	return raw;
}

static void send_raw(int fd, const struct raw *raw, const int *fds, size_t n_fds)
{
	assert_int_equal(fd_send(fd, raw, sizeof(raw->header) + raw->header.size, fds, n_fds), 0);
}

/* True when the connection ended; false when an answer came instead. */
static bool is_dropped(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	uint8_t data[2 * MSG_SIZE_MAX];

	assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
	return recv(fd, data, sizeof(data), 0) <= 0;
}

static int greet(const struct sup *s)
{
	struct raw raw = raw_of(MSG_HELLO, sizeof(struct msg_hello));
	struct msg_hello hello = {.version = PROTOCOL_VERSION};
	int fd = connect_raw(s);

	assert_true(fd >= 0);
	memcpy(raw.body, &hello, sizeof(hello));
	send_raw(fd, &raw, NULL, 0);
	assert_false(is_dropped(fd));
	return fd;
}

static void assert_serves(struct sup *s)
{
	struct msg_empty empty = {0};

	sup_connect(s);
	assert_done(s, sup_call(s, MSG_HOST_INFO, &empty, NULL, 0));
	sup_disconnect(s);
}

static void bad_magic(struct raw *raw)
{
	raw->header.magic++;
}

static void bad_reserved(struct raw *raw)
{
	raw->header.reserved = 1;
}

static void bad_failed(struct raw *raw)
{
	raw->header.failed = 1;
}

static void too_short(struct raw *raw)
{
	raw->header.size--;
}

static void too_long(struct raw *raw)
{
	raw->header.size++;
}

static void huge(struct raw *raw)
{
	raw->header.size = MSG_SIZE_MAX;
}

static void op_zero(struct raw *raw)
{
	raw->header.op = 0;
}

static void op_unknown(struct raw *raw)
{
	raw->header.op = MSG_SHUTDOWN + 1;
}

static void op_event(struct raw *raw)
{
	raw->header.op = MSG_EVENT_TENANT;
}

static void op_reply(struct raw *raw)
{
	raw->header.op |= MSG_REPLY;
}

static void op_largest(struct raw *raw)
{
	raw->header.op = UINT16_MAX;
}

static void op_hello_again(struct raw *raw)
{
	raw->header.op = MSG_HELLO;
}

static void unchanged(struct raw *raw)
{
	(void)raw;
}

static const struct {
	const char *name;
	void (*spoil)(struct raw *raw);
	bool greeted;
	size_t n_fds;
} faults[] = {
	{"wrong magic", bad_magic, true, 0},
	{"reserved bits", bad_reserved, true, 0},
	{"a failed request", bad_failed, true, 0},
	{"too short", too_short, true, 0},
	{"too long", too_long, true, 0},
	{"larger than any message", huge, true, 0},
	{"opcode 0", op_zero, true, 0},
	{"unknown opcode", op_unknown, true, 0},
	{"an event's opcode", op_event, true, 0},
	{"a reply's opcode", op_reply, true, 0},
	{"the largest opcode", op_largest, true, 0},
	{"greeting twice", op_hello_again, true, 0},
	{"no greeting", unchanged, false, 0},
	{"descriptors nobody asked for", unchanged, true, 1},
	{"as many descriptors as pass", unchanged, true, FD_PASS_MAX},
};

static void what_breaks_the_protocol_is_dropped(void **state)
{
	struct sup *s = sup_begin(state);
	struct raw good = raw_of(MSG_HOST_INFO, sizeof(struct msg_empty));
	int fds[FD_PASS_MAX];
	int fd;

	assert_done(s, sup_tenant_set(s));
	sup_disconnect(s);
	for (size_t i = 0; i < FD_PASS_MAX; i++)
		fds[i] = STDERR_FILENO;
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		struct raw raw = good;

		fd = faults[i].greeted ? greet(s) : connect_raw(s);
		faults[i].spoil(&raw);
		send_raw(fd, &raw, fds, faults[i].n_fds);
		if (!is_dropped(fd))
			fail_msg("%s: answered", faults[i].name);
		close(fd);
		assert_serves(s);
	}
	/* The control: unspoilt, it is answered. */
	fd = greet(s);
	send_raw(fd, &good, NULL, 0);
	assert_false(is_dropped(fd));
	close(fd);
	sup_connect(s);
	sup_shutdown(s);
}

static void cut_and_empty_messages_are_dropped(void **state)
{
	struct sup *s = sup_begin(state);
	struct raw raw = raw_of(MSG_HOST_INFO, sizeof(struct msg_empty));

	assert_done(s, sup_tenant_set(s));
	sup_disconnect(s);
	for (size_t size = 0; size < sizeof(raw.header) + raw.header.size; size++) {
		int fd = greet(s);

		assert_int_equal(send(fd, &raw, size, MSG_NOSIGNAL), (ssize_t)size);
		assert_true(is_dropped(fd));
		close(fd);
	}
	assert_serves(s);
	sup_connect(s);
	sup_shutdown(s);
}

static void another_version_is_told_so(void **state)
{
	struct sup *s = sup_begin(state);
	struct raw raw = raw_of(MSG_HELLO, sizeof(struct msg_hello));
	struct msg_hello hello = {.version = PROTOCOL_VERSION + 1};
	struct raw answer;
	struct err err;
	int fd;

	assert_done(s, sup_tenant_set(s));
	sup_disconnect(s);
	fd = connect_raw(s);
	memcpy(raw.body, &hello, sizeof(hello));
	send_raw(fd, &raw, NULL, 0);
	assert_int_equal(recv(fd, &answer, sizeof(answer), 0), sizeof(answer.header) + sizeof(err));
	memcpy(&err, answer.body, sizeof(err));
	assert_string_equal(err.reason, "SUPERVISOR_VERSION");
	/* And is not served. */
	raw = raw_of(MSG_HOST_INFO, sizeof(struct msg_empty));
	send_raw(fd, &raw, NULL, 0);
	assert_true(is_dropped(fd));
	close(fd);
	sup_connect(s);
	sup_shutdown(s);
}

/* Each is as large as the field: the last one has no terminator. */
static const char names[][NAME_SIZE] = {"..", ".", "", "tasks", "a/b", "/etc", "A", "-a", "0a",
	"a b", "a.b", "_croft", "a\nb", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

static void no_request_takes_an_invalid_name(void **state)
{
	static const enum msg_op container_ops[] = {MSG_CONTAINER_CREATE, MSG_CONTAINER_SIGNAL,
		MSG_CONTAINER_KILL, MSG_CONTAINER_FREEZE, MSG_CONTAINER_LIMITS,
		MSG_CONTAINER_REMOVE, MSG_RUN_ACK, MSG_VOLUME_MAKE, MSG_VOLUME_REMOVE,
		MSG_VOLUME_LIMIT, MSG_VOLUME_USAGE};
	static const enum msg_op one_name_ops[] = {MSG_TENANT_SET, MSG_TENANT_REMOVE,
		MSG_IMAGE_REMOVE, MSG_POLICY_OPEN, MSG_HOST_DIRECTORY};
	struct sup *s = sup_begin(state);
	uint8_t msg[MSG_SIZE_MAX];

	assert_done(s, sup_tenant_set(s));
	for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
		for (size_t i = 0; i < ARRAY_SIZE(one_name_ops); i++) {
			memset(msg, 0, sizeof(msg));
			memcpy(msg, names[n], NAME_SIZE);
			assert_true(sup_call(s, one_name_ops[i], msg, NULL, 0) < 0);
			assert_int_equal(s->err.code, ERR_INVALID_ARGUMENT);
		}
		for (size_t i = 0; i < ARRAY_SIZE(container_ops); i++) {
			memset(msg, 0, sizeof(msg));
			strcpy((char *)msg, TENANT);
			memcpy(msg + NAME_SIZE, names[n], NAME_SIZE);
			assert_true(sup_call(s, container_ops[i], msg, NULL, 0) < 0);
			assert_int_equal(s->err.code, ERR_INVALID_ARGUMENT);
			memcpy(msg, names[n], NAME_SIZE);
			strcpy((char *)msg + NAME_SIZE, "web");
			assert_true(sup_call(s, container_ops[i], msg, NULL, 0) < 0);
			assert_int_equal(s->err.code, ERR_INVALID_ARGUMENT);
		}
	}
	sup_shutdown(s);
}

static int start_spoilt(struct sup *s, size_t offset, const void *bytes, size_t size)
{
	struct msg_container_start msg = sup_start_msg(s, "web");
	char *argv[] = {(char *)"/bin/sleep", (char *)"1", NULL};

	memcpy((uint8_t *)&msg + offset, bytes, size);
	return sup_start_container_as(s, &msg, argv, NULL);
}

static void a_start_is_checked_in_every_field(void **state)
{
	static const uint64_t absurd[] = {0, 1ull << 63, UINT64_MAX - 1};
	static const char run_ids[][RUN_ID_SIZE] = {"", "..", "../../../../../../../../../../x",
		"0123456789ABCDEF0123456789abcdef", "0123456789abcdef0123456789abcdeg"};
	struct sup *s = sup_begin(state);
	const uint8_t two = 2;

	assert_done(s, sup_tenant_set(s));
#define SPOIL(field, value)                                                                        \
	do {                                                                                       \
		assert_true(start_spoilt(s, offsetof(struct msg_container_start, field), value,    \
				    sizeof(*(value))) < 0);                                        \
		assert_int_equal(s->err.code, ERR_INVALID_ARGUMENT);                               \
	} while (0)
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		SPOIL(tenant, &names[i]);
		SPOIL(container, &names[i]);
		/* It may stand on none. */
		if (names[i][0])
			SPOIL(image, &names[i]);
		SPOIL(policy, &names[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(run_ids); i++)
		SPOIL(run_id, &run_ids[i]);
	SPOIL(oom_group, &two);
	SPOIL(with_init, &two);
	SPOIL(create, &two);
	for (size_t i = 0; i < ARRAY_SIZE(absurd); i++) {
		SPOIL(limits.value[LIMIT_MEMORY], &absurd[i]);
		SPOIL(limits.value[LIMIT_PIDS], &absurd[i]);
		SPOIL(limits.value[LIMIT_CPU], &absurd[i]);
		SPOIL(limits.value[LIMIT_CPU_WEIGHT], &absurd[i]);
	}
#undef SPOIL
	assert_int_equal(sup_ranges_held(s), 0);
	assert_int_equal(sup_count_files(s, "state/pool/tenants/" TENANT), 0);
	sup_shutdown(s);
}

static void refuses_mounts(struct sup *s, const struct msg_mount *mounts, uint8_t n)
{
	struct msg_container_start msg = sup_start_msg(s, "web");
	char *argv[] = {(char *)"/bin/sleep", (char *)"1", NULL};

	for (size_t i = 0; i < n && i < CONTAINER_MOUNTS_MAX; i++)
		msg.mounts[i] = mounts[i];
	msg.n_mounts = n;
	assert_true(sup_start_container_as(s, &msg, argv, NULL) < 0);
	assert_int_equal(s->err.code, ERR_INVALID_ARGUMENT);
}

static void mounts_of_a_start_are_checked(void **state)
{
	static const char *const paths[] = {"", "/", "srv", "/srv/", "/srv/../etc", "/srv//x",
		"/proc", "/proc/sys", "/dev/shm", "/sys", "/a\nb"};
	struct msg_mount some[CONTAINER_MOUNTS_MAX] = {{.name = "data", .path = "/srv"}};
	struct sup *s = sup_begin(state);

	assert_done(s, sup_tenant_set(s));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		memcpy(some[0].name, names[i], NAME_SIZE);
		refuses_mounts(s, some, 1);
	}
	strcpy(some[0].name, "data");
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		strcpy(some[0].path, paths[i]);
		refuses_mounts(s, some, 1);
	}
	memset(some[0].path, 'a', sizeof(some[0].path)); /* without an end */
	some[0].path[0] = '/';
	refuses_mounts(s, some, 1);
	some[0] = (struct msg_mount){.name = "data", .path = "/srv", .host = 2};
	refuses_mounts(s, some, 1);
	some[0] = (struct msg_mount){.name = "data", .path = "/srv", .read_only = 2};
	refuses_mounts(s, some, 1);
	some[0] = (struct msg_mount){.name = "data", .path = "/srv"};
	some[1] = (struct msg_mount){.name = "two", .path = "/srv/data"};
	refuses_mounts(s, some, 2);
	refuses_mounts(s, some, CONTAINER_MOUNTS_MAX + 1);
	assert_int_equal(sup_ranges_held(s), 0);
	sup_shutdown(s);
}

/* In place of a sealed memfd; and a number of them that the request does not have. */
static void wrong_descriptors_are_refused(void **state)
{
	struct sup *s = sup_begin(state);
	struct msg_container_start start;
	struct msg_exec exec = {.tenant = TENANT, .container = "web"};
	int fds[4];

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
	start = sup_start_msg(s, "db");
	assert_true(sup_call(s, MSG_CONTAINER_START, &start, fds, 1) < 0);
	assert_true(sup_call(s, MSG_EXEC, &exec, fds, 4) < 0);
	assert_refused(s, sup_call(s, MSG_EXEC, &exec, fds, 2), "EXEC_DESCRIPTORS");
	exec.tty = 1;
	assert_refused(s, sup_call(s, MSG_EXEC, &exec, fds, 4), "EXEC_DESCRIPTORS");
	assert_true(sup_call(s, MSG_EXEC, &exec, fds, 1) < 0);
	exec.tty = 2;
	assert_true(sup_call(s, MSG_EXEC, &exec, fds, 1) < 0);
	assert_int_equal(s->err.code, ERR_INVALID_ARGUMENT);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	assert_int_equal(exec_sh(s, "web", "true"), 0);
	assert_int_equal(sup_ranges_held(s), 1);
	sup_discard(s, "web");
	sup_shutdown(s);
}

/* Only a pty's master, of a run that goes on and has none. */
static void a_console_is_kept_only_where_it_belongs(void **state)
{
	struct sup *s = sup_begin(state);
	struct msg_console_keep keep = {.tenant = TENANT, .container = "web"};
	struct msg_started started;
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, &started));
	memcpy(keep.run_id, started.run_id, sizeof(keep.run_id));
	assert_refused(s, sup_call(s, MSG_CONSOLE_KEEP, &keep, &null_fd, 1), "CONSOLE_DESCRIPTOR");
	assert_refused(s, sup_call(s, MSG_CONSOLE_KEEP, &keep, &master, 1), "CONSOLE_NOT_WANTED");
	sup_disconnect(s);
	sup_kill(s);
	sup_start(s);
	keep.run_id[0] ^= 1;
	assert_refused(s, sup_call(s, MSG_CONSOLE_KEEP, &keep, &master, 1), "CONSOLE_NOT_WANTED");
	keep.run_id[0] ^= 1;
	assert_done(s, sup_call(s, MSG_CONSOLE_KEEP, &keep, &master, 1));
	assert_refused(s, sup_call(s, MSG_CONSOLE_KEEP, &keep, &master, 1), "CONSOLE_NOT_WANTED");
	sup_discard(s, "web");
	assert_refused(
		s, sup_call(s, MSG_CONSOLE_KEEP, &keep, &master, 1), "CONTAINER_NOT_RUNNING");
	close(null_fd);
	close(master);
	sup_shutdown(s);
}

/* Returns 0 when the process, as nobody, was served. */
static int try_as_nobody(struct sup *s)
{
	struct raw raw = raw_of(MSG_HELLO, sizeof(struct msg_hello));
	struct msg_hello hello = {.version = PROTOCOL_VERSION};
	int status = -1;
	pid_t pid;

	memcpy(raw.body, &hello, sizeof(hello));
	pid = fork();
	if (pid == 0) {
		struct pollfd pfd = {.events = POLLIN};
		struct raw answer;

		if (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
			_exit(9);
		pfd.fd = connect_raw(s);
		if (pfd.fd < 0)
			_exit(1);
		if (fd_send(pfd.fd, &raw, sizeof(raw.header) + raw.header.size, NULL, 0) < 0)
			_exit(2);
		if (poll(&pfd, 1, WAIT_MS) != 1)
			_exit(3);
		_exit(recv(pfd.fd, &answer, sizeof(answer), 0) > 0 ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void another_user_is_not_served(void **state)
{
	struct sup *s = sup_begin(state);
	struct msg_empty empty = {0};
	struct stat st;

	assert_done(s, sup_tenant_set(s));
	assert_int_equal(fstatat(s->run_fd, SUPERVISOR_SOCKET, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* By the socket's mode. */
	assert_int_equal(try_as_nobody(s), 1);
	/* And, were that open, by who it is. */
	assert_int_equal(fchmodat(s->run_fd, SUPERVISOR_SOCKET, 0666, 0), 0);
	assert_int_equal(try_as_nobody(s), 2);
	/* The good peer is still the peer. */
	assert_done(s, sup_call(s, MSG_HOST_INFO, &empty, NULL, 0));
	sup_shutdown(s);
}

static void a_new_connection_takes_the_place_of_the_old(void **state)
{
	struct sup *s = sup_begin(state);
	int old;

	assert_done(s, sup_tenant_set(s));
	sup_disconnect(s);
	old = greet(s);
	sup_connect(s);
	assert_true(is_dropped(old));
	close(old);
	sup_shutdown(s);
}

/* It asks and asks and never reads: the supervisor keeps serving containers and the next peer. */
static void a_peer_that_does_not_read_is_borne(void **state)
{
	struct sup *s = sup_begin(state);
	struct raw raw = raw_of(MSG_POLICY_LIST, sizeof(struct msg_empty));
	int64_t deadline;
	int sent = 0;
	int fd;

	assert_done(s, sup_tenant_set(s));
	sup_disconnect(s);
	fd = greet(s);
	assert_int_equal(fd_set_nonblock(fd, true), 0);
	deadline = sup_now_ms() + WAIT_MS;
	/* More than the queue's limit: each request makes two messages. */
	while (sent < 40000 && sup_now_ms() < deadline) {
		struct pollfd pfd = {.fd = fd, .events = POLLOUT};

		if (fd_send(fd, &raw, sizeof(raw.header) + raw.header.size, NULL, 0) == 0) {
			sent++;
			continue;
		}
		if (poll(&pfd, 1, 100) == 1 && pfd.revents & POLLHUP)
			break;
	}
	/* Dropped once its queue was full. */
	assert_true(sent > 10000 && sent < 40000);
	assert_serves(s);
	close(fd);
	sup_connect(s);
	sup_shutdown(s);
}

/* A command belongs to the connection that asked for it; the container does not. */
static void commands_hang_up_with_their_peer(void **state)
{
	struct sup *s = sup_begin(state);
	struct msg_exec msg = {.tenant = TENANT, .container = "web"};
	char *argv[] = {(char *)"/bin/sleep", (char *)"100000", NULL};
	struct spawn_args args = {.argv = argv, .envp = argv + 2, .user = "", .working_dir = ""};
	struct msg_exec_started started;
	struct msg_started run;
	int64_t deadline = sup_now_ms() + WAIT_MS;
	int fds[4];
	int ends[2];

	assert_done(s, sup_tenant_set(s));
	assert_done(s, sup_run(s, "web", FOREVER, &run));
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fds[1] = fds[2] = fds[3] = ends[1];
	assert_int_equal(spawn_args_pack(&args, &fds[0], &s->err), 0);
	assert_done(s, sup_call(s, MSG_EXEC, &msg, fds, 4));
	close(fds[0]);
	close(ends[0]);
	close(ends[1]);
	memcpy(&started, s->reply, sizeof(started));
	assert_int_equal(kill(started.pid, 0), 0);
	sup_disconnect(s);
	while (kill(started.pid, 0) == 0) {
		assert_true(sup_now_ms() < deadline);
		poll(NULL, 0, 5);
	}
	assert_int_equal(kill(run.pid, 0), 0);
	sup_connect(s);
	sup_discard(s, "web");
	sup_shutdown(s);
}

#define with_supervisor(t) cmocka_unit_test_setup_teardown(t, supervisor_setup, supervisor_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_supervisor(what_breaks_the_protocol_is_dropped),
		with_supervisor(cut_and_empty_messages_are_dropped),
		with_supervisor(another_version_is_told_so),
		with_supervisor(no_request_takes_an_invalid_name),
		with_supervisor(a_start_is_checked_in_every_field),
		with_supervisor(mounts_of_a_start_are_checked),
		with_supervisor(wrong_descriptors_are_refused),
		with_supervisor(a_console_is_kept_only_where_it_belongs),
		with_supervisor(another_user_is_not_served),
		with_supervisor(a_new_connection_takes_the_place_of_the_old),
		with_supervisor(a_peer_that_does_not_read_is_borne),
		with_supervisor(commands_hang_up_with_their_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

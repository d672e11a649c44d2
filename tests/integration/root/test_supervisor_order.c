/*
 * Requests in any order, twice, and with descriptors of any kind: each is answered once, by what it
 * asked for or by one clear refusal, and leaves nothing that it should not.
 */
#include "tests/integration/root/supervisor_harness.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#define MIB	    (UINT64_C(1) << 20)
#define ANSWERS_MAX 8

struct answer {
	bool done;
	struct err err; /* code ERR_OK: done as asked */
};

/* Requests that the supervisor finds all at once, and their answers. */
struct batch {
	struct sup *s;
	struct answer answers[ANSWERS_MAX];
	size_t n;
};

static void on_answer(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct answer *answer = arg;

	(void)reply;
	assert_false(answer->done);
	answer->done = true;
	if (err)
		answer->err = *err;
	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
}

static void batch_begin(struct sup *s, struct batch *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->s = s;
	assert_int_equal(kill(s->pid, SIGSTOP), 0);
}

static void batch_add(
	struct batch *b, enum msg_op op, const void *msg, const int *fds, size_t n_fds)
{
	assert_true(b->n < ANSWERS_MAX);
	assert_int_equal(supervisor_client_send(b->s->client, op, msg, fds, n_fds, on_answer,
				 &b->answers[b->n++], &b->s->err),
		0);
}

static void batch_end(struct batch *b)
{
	int64_t deadline = sup_now_ms() + WAIT_MS;

	assert_int_equal(kill(b->s->pid, SIGCONT), 0);
	for (size_t i = 0; i < b->n; i++)
		while (!b->answers[i].done) {
			assert_false(b->s->gone);
			assert_true(sup_now_ms() < deadline);
			sup_poll(b->s, 100);
		}
}

static void add_container(struct batch *b, enum msg_op op)
{
	struct msg_container msg = {.tenant = TENANT, .container = "web"};

	batch_add(b, op, &msg, NULL, 0);
}

static void add_create(struct batch *b)
{
	struct msg_container_create msg = {
		.tenant = TENANT, .container = "web", .disk = DISK_LIMITS_NONE};

	batch_add(b, MSG_CONTAINER_CREATE, &msg, NULL, 0);
}

static int pack_sleep(struct sup *s)
{
	char *argv[] = {(char *)"/bin/sleep", (char *)"100000", NULL};
	struct spawn_args args = {.argv = argv, .envp = argv + 2, .user = "", .working_dir = ""};
	int fd = -1;

	assert_int_equal(spawn_args_pack(&args, &fd, &s->err), 0);
	return fd;
}

static void add_start(struct batch *b, bool create)
{
	struct msg_container_start msg = sup_start_msg(b->s, "web");
	int fd = pack_sleep(b->s);

	msg.create = create;
	batch_add(b, MSG_CONTAINER_START, &msg, &fd, 1);
	close(fd);
}

static void add_limits(struct batch *b, bool running, bool force)
{
	struct msg_limits msg = {
		.tenant = TENANT, .container = "web", .running = running, .force = force};

	limits_init(&msg.limits);
	msg.limits.value[LIMIT_MEMORY] = 64 * MIB;
	msg.limits.value[LIMIT_PIDS] = 50;
	batch_add(b, MSG_CONTAINER_LIMITS, &msg, NULL, 0);
}

/* Each answer in order: "" for done, a reason, or "*" for either. */
static void assert_answers(const struct batch *b, const char *const *expected)
{
	for (size_t i = 0; i < b->n; i++)
		if (strcmp(expected[i], "*") != 0 &&
			strcmp(b->answers[i].err.reason, expected[i]) != 0)
			fail_msg("answer %zu: \"%s\" instead of \"%s\": %s", i,
				b->answers[i].err.reason, expected[i], b->answers[i].err.msg);
}

#define assert_answers_are(b, ...) assert_answers(b, (const char *const[]){__VA_ARGS__})

static struct sup *begin(void **state)
{
	struct sup *s = sup_begin(state);

	assert_done(s, sup_tenant_set(s));
	/* The pool is there, and the first request does not wait for it. */
	assert_done(s, sup_run(s, "web", "exec sleep 100000", NULL));
	sup_discard(s, "web");
	return s;
}

static int uppers(struct sup *s)
{
	return sup_count_files(s, "state/pool/tenants/" TENANT);
}

static void nothing_starts_on_what_is_being_removed(void **state)
{
	struct sup *s = begin(state);
	struct batch b;

	batch_begin(s, &b);
	add_create(&b);
	batch_end(&b);
	assert_answers_are(&b, "");
	batch_begin(s, &b);
	add_container(&b, MSG_CONTAINER_REMOVE);
	add_start(&b, false);
	add_start(&b, true);
	add_create(&b);
	add_limits(&b, false, false);
	add_container(&b, MSG_CONTAINER_KILL);
	add_container(&b, MSG_CONTAINER_REMOVE);
	batch_end(&b);
	assert_answers_are(&b, "", "CONTAINER_BUSY", "CONTAINER_BUSY", "CONTAINER_BUSY",
		"CONTAINER_BUSY", "CONTAINER_NOT_RUNNING", "");
	assert_int_equal(uppers(s), 0);
	assert_int_equal(sup_ranges_held(s), 0);
	sup_shutdown(s);
}

static void nothing_is_removed_that_is_being_started(void **state)
{
	struct sup *s = begin(state);
	struct batch b;

	batch_begin(s, &b);
	add_container(&b, MSG_CONTAINER_KILL);
	add_start(&b, true);
	add_start(&b, true);
	add_container(&b, MSG_CONTAINER_REMOVE);
	add_create(&b);
	add_container(&b, MSG_CONTAINER_KILL);
	add_limits(&b, true, false);
	batch_end(&b);
	assert_answers_are(&b, "CONTAINER_NOT_RUNNING", "", "CONTAINER_RUNNING",
		"CONTAINER_RUNNING", "CONTAINER_RUNNING", "CONTAINER_NOT_RUNNING",
		"CONTAINER_NOT_RUNNING");
	assert_int_equal(sup_ranges_held(s), 1);
	assert_int_equal(exec_sh(s, "web", "true"), 0);
	sup_discard(s, "web");
	sup_shutdown(s);
}

static void what_is_being_made_is_made_once(void **state)
{
	struct sup *s = begin(state);
	struct batch b;

	batch_begin(s, &b);
	add_create(&b);
	add_create(&b);
	add_start(&b, false);
	add_container(&b, MSG_CONTAINER_REMOVE);
	batch_end(&b);
	assert_answers_are(&b, "", "CONTAINER_BUSY", "CONTAINER_BUSY", "CONTAINER_BUSY");
	assert_int_equal(uppers(s), 1);
	/* It is no run, and not listed as one. */
	batch_begin(s, &b);
	add_container(&b, MSG_CONTAINER_REMOVE);
	batch_add(&b, MSG_LIST, &(struct msg_empty){0}, NULL, 0);
	batch_end(&b);
	assert_answers_are(&b, "", "");
	assert_false(sup_has_event(s, MSG_EVENT_CONTAINER));
	assert_int_equal(uppers(s), 0);
	sup_shutdown(s);
}

static void add_tenant_set(struct batch *b)
{
	struct msg_tenant_set msg = {.tenant = TENANT};

	limits_init(&msg.limits);
	batch_add(b, MSG_TENANT_SET, &msg, NULL, 0);
}

static void add_tenant_remove(struct batch *b)
{
	struct msg_tenant msg = {.tenant = TENANT};

	batch_add(b, MSG_TENANT_REMOVE, &msg, NULL, 0);
}

static void a_tenant_goes_when_nothing_of_it_is_at_work(void **state)
{
	struct sup *s = begin(state);
	struct batch b;

	batch_begin(s, &b);
	add_start(&b, true);
	add_tenant_remove(&b);
	batch_end(&b);
	assert_answers_are(&b, "", "TENANT_BUSY");
	assert_int_equal(exec_sh(s, "web", "true"), 0);
	sup_discard(s, "web");
	batch_begin(s, &b);
	add_create(&b);
	add_tenant_remove(&b);
	batch_end(&b);
	assert_answers_are(&b, "", "TENANT_BUSY");
	assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, "web"));
	batch_begin(s, &b);
	add_tenant_remove(&b);
	add_start(&b, true);
	add_create(&b);
	add_tenant_set(&b);
	add_tenant_remove(&b);
	batch_end(&b);
	assert_answers_are(&b, "", "TENANT_BUSY", "TENANT_BUSY", "TENANT_BUSY", "TENANT_BUSY");
	assert_int_equal(sup_count_files(s, "state/pool/tenants"), 0);
	assert_done(s, sup_tenant_set(s));
	sup_shutdown(s);
}

static void add_import(struct batch *b, int archive)
{
	struct msg_image msg = {
		.image = "odd", .limits = {.bytes = MIB, .entries = 10, .seconds = 30}};

	batch_add(b, MSG_IMAGE_IMPORT, &msg, &archive, 1);
}

/* Both would unpack into one directory, and the first that ends would publish it. */
static void an_image_is_imported_once_at_a_time(void **state)
{
	struct msg_image msg = {.image = "odd"};
	struct sup *s = begin(state);
	struct batch b;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	batch_begin(s, &b);
	add_import(&b, ends[0]);
	add_import(&b, ends[0]);
	batch_add(&b, MSG_IMAGE_REMOVE, &msg, NULL, 0);
	close(ends[0]);
	close(ends[1]);
	batch_end(&b);
	assert_answers_are(&b, "IMAGE_INVALID", "IMAGE_BUSY", "IMAGE_BUSY");
	batch_begin(s, &b);
	batch_add(&b, MSG_IMAGE_REMOVE, &msg, NULL, 0);
	batch_end(&b);
	assert_answers_are(&b, "");
	sup_shutdown(s);
}

static void add_tenant_freeze(struct batch *b, bool frozen)
{
	struct msg_freeze msg = {.tenant = TENANT, .frozen = frozen};

	batch_add(b, MSG_TENANT_FREEZE, &msg, NULL, 0);
}

/* A freeze that is still waited for overtakes no thaw, nor gives up what starts after that. */
static void the_last_word_on_a_tenant_holds(void **state)
{
	struct sup *s = begin(state);

	assert_done(s, sup_run(s, "web", "exec sleep 100000", NULL));
	for (int i = 0; i < 20; i++) {
		struct batch b;

		batch_begin(s, &b);
		add_tenant_freeze(&b, true);
		add_tenant_freeze(&b, false);
		batch_end(&b);
		assert_answers_are(&b, "*", "");
		assert_int_equal(exec_sh(s, "web", "true"), 0);
	}
	sup_discard(s, "web");
	sup_shutdown(s);
}

/* Either it came in time or it is told that it did not; by force it is no error. */
static void limits_meet_the_end(void **state)
{
	struct sup *s = begin(state);

	for (int i = 0; i < 12; i++) {
		struct msg_run_ended ended;
		bool force = i % 2;
		struct batch b;

		assert_done(s, sup_run(s, "web", "exec sleep 100000", NULL));
		batch_begin(s, &b);
		add_limits(&b, true, force);
		add_container(&b, MSG_CONTAINER_KILL);
		add_container(&b, MSG_CONTAINER_KILL);
		add_limits(&b, true, force);
		batch_end(&b);
		assert_answers_are(&b, "*", "", "*", "*");
		for (size_t k = 0; k < b.n; k++)
			if (b.answers[k].err.code != ERR_OK)
				assert_string_equal(
					b.answers[k].err.reason, "CONTAINER_NOT_RUNNING");
		ended = sup_ended(s, "web");
		assert_int_equal(ended.counters_valid, 1);
		assert_done(s, sup_ack(s, &ended));
		assert_done(s, sup_ack(s, &ended));
		assert_done(s, sup_container(s, MSG_CONTAINER_REMOVE, "web"));
	}
	sup_shutdown(s);
}

enum kind {
	KIND_SOCKET,
	KIND_DIRECTORY,
	KIND_PATH,
	KIND_MEMFD,
	KIND_EPOLL,
	KIND_EVENTFD,
	KIND_PIDFD,
	KIND_DEVICE,
	KIND_N
};

static int open_kind(enum kind kind)
{
	int pair[2];

	switch (kind) {
	case KIND_SOCKET:
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
			return -1;
		close(pair[1]);
		return pair[0];
	case KIND_DIRECTORY:
		return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case KIND_PATH:
		return open("/etc/passwd", O_PATH | O_CLOEXEC);
	case KIND_MEMFD:
		return memfd_create("croft-test", MFD_CLOEXEC);
	case KIND_EPOLL:
		return epoll_create1(EPOLL_CLOEXEC);
	case KIND_EVENTFD:
		return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	case KIND_PIDFD:
		return pidfd_open(getpid(), 0);
	default:
		return open("/dev/full", O_RDWR | O_CLOEXEC);
	}
}

static void assert_one_refusal(struct sup *s, int r, const char *what, int kind)
{
	if (r >= 0 || !s->err.msg[0])
		fail_msg("%s with a descriptor of kind %d: not refused", what, kind);
}

static void send_odd(struct sup *s, enum kind kind)
{
	struct msg_exec exec = {.tenant = TENANT, .container = "web"};
	struct msg_container_start start = sup_start_msg(s, "db");
	struct msg_image image = {
		.image = "odd", .limits = {.bytes = MIB, .entries = 10, .seconds = 30}};
	int odd = open_kind(kind);
	int fds[4];

	assert_true(odd >= 0);
	assert_one_refusal(s, sup_call(s, MSG_CONTAINER_START, &start, &odd, 1), "start", kind);
	/* /dev/full reads as zeros without end: refused when it is no archive or too large. */
	assert_one_refusal(s, sup_call(s, MSG_IMAGE_IMPORT, &image, &odd, 1), "import", kind);
	fds[0] = odd;
	fds[1] = fds[2] = fds[3] = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_one_refusal(s, sup_call(s, MSG_EXEC, &exec, fds, 4), "exec", kind);
	fds[0] = pack_sleep(s);
	for (size_t i = 1; i < 4; i++) {
		int saved = fds[i];

		fds[i] = odd;
		assert_refused(s, sup_call(s, MSG_EXEC, &exec, fds, 4), "EXEC_DESCRIPTORS");
		fds[i] = saved;
	}
	close(fds[0]);
	close(fds[1]);
	close(odd);
}

static int count_fds(pid_t pid)
{
	_cleanup_closedir_ DIR *dir = NULL;
	char path[64];
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	while (dir && readdir(dir))
		n++;
	return n;
}

static void a_descriptor_of_any_kind_is_refused(void **state)
{
	struct sup *s = begin(state);
	int64_t deadline;
	int before;

	assert_done(s, sup_run(s, "web", "exec sleep 100000", NULL));
	assert_int_equal(exec_sh(s, "web", "true"), 0);
	sup_wait_for_children(s, 1);
	before = count_fds(s->pid);
	for (int kind = 0; kind < KIND_N; kind++)
		send_odd(s, (enum kind)kind);
	assert_int_equal(exec_sh(s, "web", "true"), 0);
	sup_wait_for_children(s, 1);
	deadline = sup_now_ms() + WAIT_MS;
	/* What was reaped is closed a moment later; a leak would be one for each kind. */
	while (count_fds(s->pid) > before) {
		assert_true(sup_now_ms() < deadline);
		sup_poll(s, 10);
	}
	assert_int_equal(sup_ranges_held(s), 1);
	assert_int_equal(uppers(s), 1);
	assert_int_equal(sup_count_files(s, "state/pool/images"), 1);
	sup_discard(s, "web");
	sup_shutdown(s);
}

#define with_supervisor(t) cmocka_unit_test_setup_teardown(t, supervisor_setup, supervisor_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_supervisor(nothing_starts_on_what_is_being_removed),
		with_supervisor(nothing_is_removed_that_is_being_started),
		with_supervisor(what_is_being_made_is_made_once),
		with_supervisor(a_tenant_goes_when_nothing_of_it_is_at_work),
		with_supervisor(an_image_is_imported_once_at_a_time),
		with_supervisor(the_last_word_on_a_tenant_holds),
		with_supervisor(limits_meet_the_end),
		with_supervisor(a_descriptor_of_any_kind_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

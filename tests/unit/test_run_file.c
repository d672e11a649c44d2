/* Run state files: what is believed after a crash, and what is set aside. */
#include "tests/unit/unit.h"

#include "base/fd.h"
#include "sandbox/run_file.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SEEN_MAX 8

struct fixture {
	char path[64];
	int dir;
	struct err err;
	struct run_file seen[SEEN_MAX];
	size_t n_seen;
	char bad[SEEN_MAX][NAME_MAX];
	size_t n_bad;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->path, "/tmp/croft-test-runs-XXXXXX");
	if (!mkdtemp(f->path))
		return -1;
	f->dir = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return f->dir < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];
	int r;

	close(f->dir);
	snprintf(command, sizeof(command), "rm -rf %s", f->path);
	r = system(command);
	free(f);
	return r;
}

static void see(const struct run_file *file, void *arg)
{
	struct fixture *f = arg;

	assert_true(f->n_seen < SEEN_MAX);
	f->seen[f->n_seen++] = *file;
}

static void see_bad(const char *name, void *arg)
{
	struct fixture *f = arg;

	assert_true(f->n_bad < SEEN_MAX);
	snprintf(f->bad[f->n_bad++], NAME_MAX, "%s", name);
}

static void read_all(struct fixture *f)
{
	f->n_seen = f->n_bad = 0;
	assert_int_equal(run_file_for_each(f->dir, see, see_bad, f, &f->err), 0);
}

static struct run_file make(const char *tenant, const char *container)
{
	struct run_file file = {.pid = 4711, .pid_start_ticks = 99, .id_base = 0x70010000};

	snprintf(file.tenant, sizeof(file.tenant), "%s", tenant);
	snprintf(file.container, sizeof(file.container), "%s", container);
	snprintf(file.policy, sizeof(file.policy), "default");
	memset(file.run_id, 'a', RUN_ID_SIZE - 1);
	file.start_wall_usec = -5;
	return file;
}

static void save(struct fixture *f, const struct run_file *file)
{
	assert_int_equal(run_file_save(f->dir, file, &f->err), 0);
}

/* The bytes of the file of acme/web. */
static size_t read_file(struct fixture *f, uint8_t *out, size_t size)
{
	int fd;
	ssize_t n;

	fd = openat(f->dir, "acme.web", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	n = fd_read_full(fd, out, size);
	close(fd);
	assert_true(n > (ssize_t)sizeof(struct run_file) && n < (ssize_t)size);
	return (size_t)n;
}

static size_t read_saved(struct fixture *f, uint8_t *out, size_t size)
{
	struct run_file file = make("acme", "web");

	save(f, &file);
	return read_file(f, out, size);
}

static void put(struct fixture *f, const char *name, const void *data, size_t size)
{
	assert_int_equal(fd_replace_file_at(f->dir, name, data, size, false), 0);
}

static bool exists(struct fixture *f, const char *name)
{
	return faccessat(f->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Whatever is at `name` is not believed, and set aside. */
static void assert_bad(struct fixture *f, const char *name)
{
	char aside[NAME_MAX];

	read_all(f);
	assert_int_equal(f->n_seen, 0);
	assert_int_equal(f->n_bad, 1);
	assert_string_equal(f->bad[0], name);
	assert_false(exists(f, name));
	snprintf(aside, sizeof(aside), "%s.bad", name);
	assert_true(exists(f, aside));
	/* Told of once. */
	read_all(f);
	assert_int_equal(f->n_seen + f->n_bad, 0);
	assert_int_equal(unlinkat(f->dir, aside, 0), 0);
}

static void what_is_saved_is_loaded(void **state)
{
	struct fixture *f = *state;
	struct run_file web = make("acme", "web");
	struct run_file db = make("acme", "db");

	read_all(f);
	assert_int_equal(f->n_seen, 0);
	db.ended = 1;
	db.final.counters.cpu_usec = 123456;
	save(f, &web);
	save(f, &db);
	read_all(f);
	assert_int_equal(f->n_seen, 2);
	assert_int_equal(f->n_bad, 0);
	if (strcmp(f->seen[0].container, "web") != 0) {
		struct run_file other = f->seen[0];

		f->seen[0] = f->seen[1];
		f->seen[1] = other;
	}
	assert_memory_equal(&f->seen[0], &web, sizeof(web));
	assert_memory_equal(&f->seen[1], &db, sizeof(db));
}

static void a_save_replaces(void **state)
{
	struct fixture *f = *state;
	struct run_file file = make("acme", "web");

	save(f, &file);
	file.ended = 1;
	file.final.exit.status = 7;
	save(f, &file);
	read_all(f);
	assert_int_equal(f->n_seen, 1);
	assert_int_equal(f->seen[0].final.exit.status, 7);
	assert_false(exists(f, "acme.web.new"));
}

static void removing_is_idempotent(void **state)
{
	struct fixture *f = *state;
	struct run_file file = make("acme", "web");

	save(f, &file);
	assert_int_equal(run_file_remove(f->dir, "acme", "web", &f->err), 0);
	assert_int_equal(run_file_remove(f->dir, "acme", "web", &f->err), 0);
	read_all(f);
	assert_int_equal(f->n_seen + f->n_bad, 0);
}

/* The header's fields, as in run_file.c: magic, version, size, checksum. */
static void put_version(struct fixture *f, uint8_t *data, size_t size, uint32_t version)
{
	uint32_t header[4];
	uint32_t hash = 2166136261u;

	for (size_t i = sizeof(header); i < size; i++)
		hash = (hash ^ data[i]) * 16777619u;
	memcpy(header, data, sizeof(header));
	header[1] = version;
	header[2] = (uint32_t)size;
	header[3] = hash;
	memcpy(data, header, sizeof(header));
	put(f, "acme.web", data, size);
}

/* 4 is what a supervisor wrote that counted no I/O: its runs live through the upgrade. */
static void the_version_before_is_read(void **state)
{
	struct fixture *f = *state;
	const size_t header = 4 * sizeof(uint32_t);
	/* As it was then: the counters ended earlier, and the disk did not follow. */
	const size_t cut = offsetof(struct run_file, final) +
			   offsetof(struct msg_run_ended, counters) +
			   offsetof(struct counters, has_io);
	const size_t rest = offsetof(struct run_file, final) +
			    offsetof(struct msg_run_ended, net_base);
	const size_t rest_size = offsetof(struct run_file, disk) - rest;
	struct run_file web = make("acme", "web");
	uint8_t data[8192];
	size_t size;
	size_t before = header + cut + rest_size;

	web.nesting = 1;
	web.final.counters.pids_denied = 7;
	web.final.counters.net.outside_out.packets = 8;
	web.final.net_base.valid = 1;
	web.net_account.base.usage.outside_out.packets = 9;
	/* Nobody asked for it then. */
	web.final.counters.cpu_user_usec = COUNTER_UNKNOWN;
	save(f, &web);
	size = read_file(f, data, sizeof(data));
	memcpy(data + header + cut, (const char *)&web + rest, rest_size);
	put_version(f, data, before, 4);
	read_all(f);
	assert_int_equal(f->n_seen, 1);
	assert_memory_equal(&f->seen[0], &web, sizeof(web));
	/* Neither version in the other's length. */
	put_version(f, data, before, 6);
	assert_bad(f, "acme.web");
	put_version(f, data, size, 4);
	assert_bad(f, "acme.web");
	put_version(f, data, before, 3);
	assert_bad(f, "acme.web");
}

/* As it was when the counters ended at `counters`, and what follows them was the same. */
static void shorter_is_read(struct fixture *f, uint32_t version, size_t counters)
{
	const size_t header = 4 * sizeof(uint32_t);
	const size_t cut = header + offsetof(struct run_file, final) +
			   offsetof(struct msg_run_ended, counters) + counters;
	const size_t less = sizeof(struct counters) - counters;
	struct run_file web = make("acme", "web");
	uint8_t data[8192];
	size_t size;

	web.final.counters.io.write_ops = 7;
	web.final.counters.cpu_user_usec = version == 5 ? COUNTER_UNKNOWN : 9;
	web.final.net_base.valid = 1;
	web.disk.minor = 8;
	save(f, &web);
	size = read_file(f, data, sizeof(data));
	memmove(data + cut, data + cut + less, size - cut - less);
	put_version(f, data, size - less, version);
	read_all(f);
	assert_int_equal(f->n_seen, 1);
	assert_memory_equal(&f->seen[0], &web, sizeof(web));
	put_version(f, data, size, version);
	assert_bad(f, "acme.web");
}

/* 5 had counters that did not say in which mode the CPU was. */
static void version_five_is_read(void **state)
{
	shorter_is_read(*state, 5, offsetof(struct counters, cpu_user_usec));
}

/* 6 had none of refused calls. */
static void version_six_is_read(void **state)
{
	shorter_is_read(*state, 6, offsetof(struct counters, refused_calls));
}

static void every_truncation_is_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t data[8192];
	size_t size = read_saved(f, data, sizeof(data));

	for (size_t n = 0; n < size; n += n < 256 ? 1 : 37) {
		put(f, "acme.web", data, n);
		assert_bad(f, "acme.web");
	}
	/* The control. */
	put(f, "acme.web", data, size);
	read_all(f);
	assert_int_equal(f->n_seen, 1);
}

static void every_flipped_bit_is_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t data[8192];
	size_t size = read_saved(f, data, sizeof(data));

	for (size_t n = 0; n < size; n += n < 256 ? 1 : 11) {
		data[n] ^= (uint8_t)(1u << (n % 8));
		put(f, "acme.web", data, size);
		assert_bad(f, "acme.web");
		data[n] ^= (uint8_t)(1u << (n % 8));
	}
}

static void a_file_under_another_name_is_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t data[8192];
	size_t size = read_saved(f, data, sizeof(data));

	assert_int_equal(run_file_remove(f->dir, "acme", "web", &f->err), 0);
	put(f, "acme.db", data, size);
	assert_bad(f, "acme.db");
	put(f, "umbrella.web", data, size);
	assert_bad(f, "umbrella.web");
	put(f, "acme.db.x", "hello\n", 6);
	assert_bad(f, "acme.db.x");
}

static void invalid_names_inside_are_refused(void **state)
{
	static const char *const names[] = {"..", "tasks", "", "a/b", "Web", "-x"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct run_file file = make("acme", names[i]);
		uint8_t data[8192];
		ssize_t n;
		int fd;

		if (strchr(names[i], '/'))
			continue;
		/* A well-formed file, checksum and all. */
		save(f, &file);
		read_all(f);
		assert_int_equal(f->n_seen, 0);
		assert_int_equal(f->n_bad, 1);
		snprintf((char *)data, sizeof(data), "acme.%s.bad", names[i]);
		fd = openat(f->dir, (char *)data, O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		n = fd_read_full(fd, data, sizeof(data));
		assert_true(n > 0);
		close(fd);
		snprintf((char *)data, sizeof(data), "acme.%s.bad", names[i]);
		unlinkat(f->dir, (char *)data, 0);
	}
}

static void an_unterminated_name_is_refused(void **state)
{
	struct fixture *f = *state;
	struct run_file file = make("acme", "web");

	/* The name that goes into the path stays short: the field after it is empty. */
	memset(file.container, 'w', sizeof(file.container));
	file.policy[0] = '\0';
	save(f, &file);
	read_all(f);
	assert_int_equal(f->n_seen, 0);
	assert_int_equal(f->n_bad, 1);
}

static void a_cut_off_save_is_cleared_away(void **state)
{
	struct fixture *f = *state;
	struct run_file file = make("acme", "web");

	save(f, &file);
	put(f, "x", "half", 4);
	assert_int_equal(renameat(f->dir, "x", f->dir, "acme.web.new"), 0);
	read_all(f);
	assert_int_equal(f->n_seen, 1);
	assert_int_equal(f->n_bad, 0);
	assert_false(exists(f, "acme.web.new"));
}

static void set_aside_files_and_dot_files_are_left_alone(void **state)
{
	struct fixture *f = *state;

	put(f, "acme.web.bad", "old", 3);
	put(f, ".hidden", "x", 1);
	read_all(f);
	assert_int_equal(f->n_seen + f->n_bad, 0);
	assert_true(exists(f, "acme.web.bad"));
	assert_true(exists(f, ".hidden"));
}

static void a_container_may_be_called_like_a_suffix(void **state)
{
	static const char *const names[] = {"new", "bad"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct run_file file = make("acme", names[i]);

		save(f, &file);
		read_all(f);
		assert_int_equal(f->n_seen, 1);
		assert_int_equal(f->n_bad, 0);
		assert_string_equal(f->seen[0].container, names[i]);
		assert_int_equal(run_file_remove(f->dir, "acme", names[i], &f->err), 0);
	}
	/* Damaged, it is set aside like any other. */
	put(f, "acme.bad", "x", 1);
	assert_bad(f, "acme.bad");
}

static void a_symbolic_link_is_not_followed(void **state)
{
	struct fixture *f = *state;
	struct run_file file = make("acme", "web");

	save(f, &file);
	assert_int_equal(renameat(f->dir, "acme.web", f->dir, ".target"), 0);
	assert_int_equal(symlinkat(".target", f->dir, "acme.web"), 0);
	assert_bad(f, "acme.web");
}

static void a_fifo_does_not_hold_the_reader(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkfifoat(f->dir, "acme.web", 0600), 0);
	alarm(10);
	assert_bad(f, "acme.web");
	alarm(0);
}

static void a_missing_directory_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct run_file file = make("acme", "web");
	int file_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(run_file_save(file_fd, &file, &f->err) < 0);
	assert_true(run_file_for_each(file_fd, see, see_bad, f, &f->err) < 0);
	close(file_fd);
}

static void pid_start_tells_processes_apart(void **state)
{
	uint64_t ticks = 0;
	uint64_t again = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(run_file_pid_start(getpid(), &ticks), 0);
	assert_int_equal(run_file_pid_start(getpid(), &again), 0);
	assert_true(ticks > 0);
	assert_int_equal(ticks, again);
	pid = fork();
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	assert_int_equal(run_file_pid_start(pid, &again), -ENOENT);
}

/* It is dead and stays unreaped for as long as the test wants. */
static pid_t make_zombie(int status, int sig)
{
	siginfo_t info;
	pid_t pid = fork();

	if (pid == 0) {
		if (sig)
			raise(sig);
		_exit(status);
	}
	assert_true(pid > 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	return pid;
}

static void the_dead_tell_how_they_ended(void **state)
{
	uint64_t ticks;
	int status = -1;
	pid_t pid;

	(void)state;
	assert_int_equal(run_file_pid_start(getpid(), &ticks), 0);
	assert_int_equal(run_file_pid_exit(getpid(), ticks, &status), -EBUSY);
	pid = make_zombie(7, 0);
	assert_int_equal(run_file_pid_start(pid, &ticks), 0);
	assert_int_equal(run_file_pid_exit(pid, ticks + 1, &status), -ESRCH);
	assert_int_equal(status, -1);
	assert_int_equal(run_file_pid_exit(pid, ticks, &status), 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(run_file_pid_exit(pid, ticks, &status), -ENOENT);
	pid = make_zombie(0, SIGKILL);
	assert_int_equal(run_file_pid_start(pid, &ticks), 0);
	assert_int_equal(run_file_pid_exit(pid, ticks, &status), 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

#define with_fixture(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_fixture(what_is_saved_is_loaded),
		with_fixture(a_save_replaces),
		with_fixture(removing_is_idempotent),
		with_fixture(the_version_before_is_read),
		with_fixture(version_five_is_read),
		with_fixture(version_six_is_read),
		with_fixture(every_truncation_is_refused),
		with_fixture(every_flipped_bit_is_refused),
		with_fixture(a_file_under_another_name_is_refused),
		with_fixture(invalid_names_inside_are_refused),
		with_fixture(an_unterminated_name_is_refused),
		with_fixture(a_cut_off_save_is_cleared_away),
		with_fixture(set_aside_files_and_dot_files_are_left_alone),
		with_fixture(a_container_may_be_called_like_a_suffix),
		with_fixture(a_symbolic_link_is_not_followed),
		with_fixture(a_fifo_does_not_hold_the_reader),
		with_fixture(a_missing_directory_is_an_error),
		with_fixture(pid_start_tells_processes_apart),
		cmocka_unit_test(the_dead_tell_how_they_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

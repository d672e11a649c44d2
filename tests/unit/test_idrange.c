/* The registry of id ranges: in a directory of its own, so it needs no root. */
#include "tests/unit/unit.h"

#include "base/fd.h"
#include "sandbox/idrange.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct instance {
	char state[96];
	int fd;
	struct idrange_registry *reg;
};

struct fixture {
	char dir[64];
	char ids[80];
	struct instance a;
	struct instance b;
	struct err err;
};

static void open_instance(struct fixture *f, struct instance *i, const char *name)
{
	snprintf(i->state, sizeof(i->state), "%s/%s", f->dir, name);
	mkdir(i->state, 0700);
	i->fd = open(i->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(i->fd >= 0);
	assert_int_equal(idrange_open(f->ids, i->state, i->fd, &i->reg, &f->err), 0);
}

static void close_instance(struct instance *i)
{
	idrange_close(i->reg);
	if (i->fd >= 0)
		close(i->fd);
	i->reg = NULL;
	i->fd = -1;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/croft-test-idrange-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->ids, sizeof(f->ids), "%s/ids", f->dir);
	open_instance(f, &f->a, "a");
	open_instance(f, &f->b, "b");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];
	int r;

	close_instance(&f->a);
	close_instance(&f->b);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	r = system(command);
	free(f);
	return r;
}

static uid_t take(struct fixture *f, struct instance *i)
{
	uid_t base = 0;

	assert_int_equal(idrange_take(i->reg, &base, &f->err), 0);
	return base;
}

static void ranges_are_disjoint_and_aligned(void **state)
{
	struct fixture *f = *state;
	uid_t bases[64];

	for (size_t n = 0; n < ARRAY_SIZE(bases); n++) {
		bases[n] = take(f, n % 2 ? &f->a : &f->b);
		assert_true(bases[n] >= IDRANGE_FIRST);
		assert_int_equal((bases[n] - IDRANGE_FIRST) % IDRANGE_SIZE, 0);
		assert_true((bases[n] - IDRANGE_FIRST) / IDRANGE_SIZE < IDRANGE_COUNT);
		for (size_t i = 0; i < n; i++)
			assert_int_not_equal(bases[i], bases[n]);
	}
	assert_int_equal(idrange_held(f->a.reg), 32);
	assert_int_equal(idrange_held(f->b.reg), 32);
}

static void put_is_idempotent_and_only_for_the_owner(void **state)
{
	struct fixture *f = *state;
	uid_t base = take(f, &f->a);

	assert_int_equal(idrange_put(f->b.reg, base, &f->err), -EPERM);
	assert_int_equal(idrange_held(f->a.reg), 1);
	assert_int_equal(idrange_put(f->a.reg, base, &f->err), 0);
	assert_int_equal(idrange_put(f->a.reg, base, &f->err), 0);
	assert_int_equal(idrange_held(f->a.reg), 0);
	assert_int_equal(idrange_put(f->a.reg, base + 1, &f->err), -EINVAL);
	assert_int_equal(idrange_put(f->a.reg, 0, &f->err), -EINVAL);
	assert_int_equal(idrange_put(f->a.reg, UINT32_MAX, &f->err), -EINVAL);
	/* Not the range just given back: something of it may still linger. */
	assert_int_not_equal(take(f, &f->a), base);
}

static void an_instance_keeps_its_id_and_ranges(void **state)
{
	struct fixture *f = *state;
	char id[INSTANCE_ID_SIZE];
	uid_t kept[2];
	uid_t base;

	strcpy(id, idrange_instance(f->a.reg));
	assert_int_equal(strlen(id), 32);
	assert_string_not_equal(id, idrange_instance(f->b.reg));
	kept[0] = take(f, &f->a);
	take(f, &f->a);
	kept[1] = take(f, &f->a);
	base = take(f, &f->b);
	close_instance(&f->a);
	open_instance(f, &f->a, "a");
	assert_string_equal(idrange_instance(f->a.reg), id);
	assert_int_equal(idrange_held(f->a.reg), 3);
	assert_int_equal(idrange_keep_only(f->a.reg, kept, 2, &f->err), 0);
	assert_int_equal(idrange_held(f->a.reg), 2);
	assert_int_equal(idrange_held(f->b.reg), 1);
	assert_int_equal(idrange_put(f->a.reg, kept[0], &f->err), 0);
	assert_int_equal(idrange_put(f->a.reg, kept[1], &f->err), 0);
	assert_int_equal(idrange_held(f->a.reg), 0);
	assert_int_equal(idrange_keep_only(f->b.reg, NULL, 0, &f->err), 0);
	assert_int_equal(idrange_put(f->b.reg, base, &f->err), 0);
}

static void all_can_be_taken_and_no_more(void **state)
{
	struct fixture *f = *state;
	uid_t middle = 0;
	uid_t base;

	for (unsigned n = 0; n < IDRANGE_COUNT; n++) {
		base = take(f, &f->a);
		if (n == 20000)
			middle = base;
	}
	assert_int_equal(idrange_take(f->b.reg, &base, &f->err), -EDQUOT);
	assert_string_equal(f->err.reason, "ID_RANGES_EXHAUSTED");
	assert_int_equal(idrange_held(f->a.reg), (int)IDRANGE_COUNT);
	assert_int_equal(idrange_put(f->a.reg, middle, &f->err), 0);
	assert_int_equal(take(f, &f->b), middle);
	assert_int_equal(idrange_take(f->b.reg, &base, &f->err), -EDQUOT);
}

static void remove_state(struct instance *i)
{
	char command[160];

	close_instance(i);
	snprintf(command, sizeof(command), "rm -rf %s", i->state);
	assert_int_equal(system(command), 0);
}

static void ranges_of_a_vanished_instance_come_back(void **state)
{
	struct fixture *f = *state;

	for (unsigned n = 0; n < IDRANGE_COUNT; n++)
		take(f, &f->a);
	remove_state(&f->a);
	/* Taken back when they run out, or when somebody opens the registry. */
	take(f, &f->b);
	open_instance(f, &f->a, "a");
	assert_int_equal(idrange_held(f->a.reg), 0);
}

static void a_new_instance_in_the_same_place_is_another(void **state)
{
	struct fixture *f = *state;
	char id[INSTANCE_ID_SIZE];

	strcpy(id, idrange_instance(f->a.reg));
	take(f, &f->a);
	remove_state(&f->a);
	open_instance(f, &f->a, "a");
	assert_string_not_equal(idrange_instance(f->a.reg), id);
	assert_int_equal(idrange_held(f->a.reg), 0);
	for (unsigned n = 0; n < IDRANGE_COUNT; n++)
		take(f, &f->b);
}

static void a_copied_state_directory_is_another_instance(void **state)
{
	struct fixture *f = *state;
	struct instance copy = {.fd = -1};
	char command[256];

	take(f, &f->a);
	snprintf(command, sizeof(command), "cp -a %s %s/copy", f->a.state, f->dir);
	assert_int_equal(system(command), 0);
	open_instance(f, &copy, "copy");
	assert_string_not_equal(idrange_instance(copy.reg), idrange_instance(f->a.reg));
	assert_int_equal(idrange_held(copy.reg), 0);
	assert_int_equal(idrange_held(f->a.reg), 1);
	close_instance(&copy);
}

static void a_moved_state_directory_is_the_same_instance(void **state)
{
	struct fixture *f = *state;
	char id[INSTANCE_ID_SIZE];
	char command[256];

	strcpy(id, idrange_instance(f->a.reg));
	take(f, &f->a);
	close_instance(&f->a);
	snprintf(command, sizeof(command), "mv %s %s/moved", f->a.state, f->dir);
	assert_int_equal(system(command), 0);
	open_instance(f, &f->a, "moved");
	assert_string_equal(idrange_instance(f->a.reg), id);
	assert_int_equal(idrange_held(f->a.reg), 1);
}

/* A child in a user namespace whose map is the range; it ends when the pipe is closed. */
static pid_t run_in_range(uid_t base, int *ret_hold)
{
	char path[64];
	char map[64];
	int ready[2];
	int hold[2];
	char c = 0;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		if (unshare(CLONE_NEWUSER) < 0 || write(ready[1], &c, 1) != 1)
			_exit(1);
		_exit(read(hold[0], &c, 1) == 0 ? 0 : 2);
	}
	close(ready[1]);
	close(hold[0]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	snprintf(map, sizeof(map), "0 %u %u", base, IDRANGE_SIZE);
	assert_int_equal(fd_write_text_at(AT_FDCWD, path, map), 0);
	*ret_hold = hold[1];
	return pid;
}

/* Takes what there is, which is less than all where the host runs containers of its own. */
static bool take_all(struct fixture *f, uid_t wanted)
{
	bool found = false;
	uid_t base;

	while (idrange_take(f->b.reg, &base, &f->err) == 0)
		found |= base == wanted;
	assert_string_equal(f->err.reason, "ID_RANGES_EXHAUSTED");
	return found;
}

static void a_range_with_a_process_is_not_taken_back(void **state)
{
	struct fixture *f = *state;
	uid_t base = 0;
	int status;
	int hold;
	pid_t pid;

	if (geteuid() != 0)
		skip_because("mapping a range needs root");
	for (unsigned n = 0; n < IDRANGE_COUNT; n++)
		base = take(f, &f->a);
	pid = run_in_range(base, &hold);
	remove_state(&f->a);
	assert_false(take_all(f, base));
	close(hold);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* The control: once the process is gone, so is the reason. */
	assert_true(take_all(f, base));
}

static void many_processes_share_without_overlap(void **state)
{
	struct fixture *f = *state;
	pid_t pids[4];

	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct instance own = {.fd = -1};
			char name[16];
			uid_t base;

			snprintf(name, sizeof(name), "own-%zu", i);
			open_instance(f, &own, name);
			for (int n = 0; n < 200; n++)
				if (idrange_take(own.reg, &base, &f->err) < 0)
					_exit(1);
			_exit(idrange_held(own.reg) == 200 ? 0 : 2);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
}

/* The supervisor's workers: each has the same open file, and so would have the same lock. */
static void forked_workers_share_one_registry(void **state)
{
	struct fixture *f = *state;
	pid_t pids[8];
	int status;

	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			uid_t base;

			for (int n = 0; n < 200; n++)
				if (idrange_take(f->a.reg, &base, &f->err) < 0)
					_exit(1);
			_exit(0);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	/* Had two been given the same, there would be fewer. */
	assert_int_equal(idrange_held(f->a.reg), ARRAY_SIZE(pids) * 200);
}

/* What one worker gave back is not what the next one is given. */
static void a_range_given_back_rests_across_workers(void **state)
{
	struct fixture *f = *state;
	uid_t *bases = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	assert_ptr_not_equal(bases, MAP_FAILED);
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(idrange_take(f->a.reg, &bases[i], NULL) < 0 ||
				idrange_put(f->a.reg, bases[i], NULL) < 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	assert_int_not_equal(bases[0], bases[1]);
	munmap(bases, 4096);
}

static void a_damaged_table_is_refused(void **state)
{
	struct fixture *f = *state;
	struct idrange_registry *reg;
	char path[128];

	snprintf(path, sizeof(path), "%s/ranges", f->ids);
	assert_int_equal(truncate(path, 1000), 0);
	assert_int_equal(idrange_open(f->ids, f->a.state, f->a.fd, &reg, &f->err), -EBADMSG);
	assert_string_equal(f->err.reason, "ID_RANGES_DAMAGED");
	assert_int_equal(idrange_take(f->a.reg, &(uid_t){0}, &f->err), -EBADMSG);
}

static void a_damaged_id_file_is_refused(void **state)
{
	static const char *const bad[] = {"", "x\n", "00000000000000000000000000000000\n",
		"0123456789abcdef0123456789abcdeg\n", "0123456789abcdef0123456789abcdef0\n"};
	struct fixture *f = *state;
	struct idrange_registry *reg;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(
			fd_replace_file_at(f->a.fd, "instance-id", bad[i], strlen(bad[i]), false),
			0);
		assert_int_equal(
			idrange_open(f->ids, f->a.state, f->a.fd, &reg, &f->err), -EBADMSG);
	}
}

#define with_fixture(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_fixture(ranges_are_disjoint_and_aligned),
		with_fixture(put_is_idempotent_and_only_for_the_owner),
		with_fixture(an_instance_keeps_its_id_and_ranges),
		with_fixture(all_can_be_taken_and_no_more),
		with_fixture(ranges_of_a_vanished_instance_come_back),
		with_fixture(a_new_instance_in_the_same_place_is_another),
		with_fixture(a_copied_state_directory_is_another_instance),
		with_fixture(a_moved_state_directory_is_the_same_instance),
		with_fixture(a_range_with_a_process_is_not_taken_back),
		with_fixture(many_processes_share_without_overlap),
		with_fixture(forked_workers_share_one_registry),
		with_fixture(a_range_given_back_rests_across_workers),
		with_fixture(a_damaged_table_is_refused),
		with_fixture(a_damaged_id_file_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

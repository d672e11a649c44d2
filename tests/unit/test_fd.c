/*
 * base/fd.h: whole reads and writes, small files, files replaced in one step, descriptors over a
 * socket. Each test works in a temporary directory of its own.
 */
#include "base/fd.h"

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

static int make_dir(void **state)
{
	char path[] = "/tmp/croft-test-fd-XXXXXX";
	int *dir = malloc(sizeof(*dir));

	if (!dir || !mkdtemp(path))
		return -1;
	*dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = dir;
	return *dir < 0 ? -1 : 0;
}

static int drop_dir(void **state)
{
	int *dir = *state;
	char link[64];
	char path[256];
	DIR *entries = fdopendir(dup(*dir));
	ssize_t n;

	for (struct dirent *e = readdir(entries); e; e = readdir(entries))
		if (unlinkat(*dir, e->d_name, 0) < 0)
			unlinkat(*dir, e->d_name, AT_REMOVEDIR);
	closedir(entries);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", *dir);
	n = readlink(link, path, sizeof(path) - 1);
	close(*dir);
	free(dir);
	if (n < 0)
		return -1;
	path[n] = '\0';
	return rmdir(path);
}

static void put_file(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
	close(fd);
}

static bool is_cloexec(int fd)
{
	return fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

static int count_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void reads_text_without_its_newline(void **state)
{
	int dir = *(int *)*state;
	char buf[16];

	put_file(dir, "f", "hello\n");
	assert_int_equal(fd_read_text_at(dir, "f", buf, sizeof(buf)), 5);
	assert_string_equal(buf, "hello");
	put_file(dir, "f", "two\n\n");
	assert_int_equal(fd_read_text_at(dir, "f", buf, sizeof(buf)), 4);
	put_file(dir, "f", "");
	assert_int_equal(fd_read_text_at(dir, "f", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "");
	assert_int_equal(fd_read_text_at(dir, "absent", buf, sizeof(buf)), -ENOENT);
}

static void refuses_text_that_does_not_fit(void **state)
{
	int dir = *(int *)*state;
	char buf[4];

	put_file(dir, "f", "123");
	assert_int_equal(fd_read_text_at(dir, "f", buf, sizeof(buf)), 3);
	put_file(dir, "f", "1234");
	assert_int_equal(fd_read_text_at(dir, "f", buf, sizeof(buf)), -EFBIG);
}

static void writes_only_existing_files(void **state)
{
	int dir = *(int *)*state;
	char buf[16];

	assert_int_equal(fd_write_text_at(dir, "f", "x"), -ENOENT);
	put_file(dir, "f", "abc");
	assert_int_equal(fd_write_text_at(dir, "f", "x"), 0);
	fd_read_text_at(dir, "f", buf, sizeof(buf));
	assert_string_equal(buf, "xbc"); /* not truncated */
}

static void reads_and_writes_numbers(void **state)
{
	int dir = *(int *)*state;
	uint64_t value = 7;

	put_file(dir, "f", "max\n");
	assert_int_equal(fd_read_u64_at(dir, "f", &value), 0);
	assert_true(value == UINT64_MAX);
	put_file(dir, "f", "");
	assert_int_equal(fd_write_u64_at(dir, "f", UINT64_MAX - 1), 0);
	assert_int_equal(fd_read_u64_at(dir, "f", &value), 0);
	assert_true(value == UINT64_MAX - 1);
}

static void refuses_what_is_no_number(void **state)
{
	static const char *const rows[] = {
		"", "\n", "x", "1 2", "1x", "-1", "+1", " 1", "18446744073709551616", "0x10"};
	int dir = *(int *)*state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t value = 7;

		put_file(dir, "f", rows[i]);
		if (fd_read_u64_at(dir, "f", &value) == 0)
			fail_msg("\"%s\" was accepted", rows[i]);
		assert_int_equal(value, 7);
	}
}

static void opens_directories_only(void **state)
{
	int dir = *(int *)*state;
	int fd;

	assert_int_equal(mkdirat(dir, "d", 0700), 0);
	put_file(dir, "f", "");
	assert_int_equal(symlinkat("d", dir, "l"), 0);
	fd = fd_open_dir_at(dir, "d");
	assert_true(fd >= 0);
	assert_true(is_cloexec(fd));
	close(fd);
	assert_int_equal(fd_open_dir_at(dir, "f"), -ENOTDIR);
	assert_true(fd_open_dir_at(dir, "l") < 0);
	assert_int_equal(fd_open_dir_at(dir, "absent"), -ENOENT);
}

static void replaces_files_whole(void **state)
{
	int dir = *(int *)*state;
	char buf[16];
	struct stat st;

	assert_int_equal(fd_replace_file_at(dir, "f", "one", 3, true), 0);
	assert_int_equal(fd_replace_file_at(dir, "f", "2", 1, false), 0);
	assert_int_equal(fd_read_text_at(dir, "f", buf, sizeof(buf)), 1);
	assert_string_equal(buf, "2");
	assert_int_equal(fstatat(dir, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(fstatat(dir, "f.new", &st, 0), -1);
}

static void replacing_does_not_follow_a_planted_link(void **state)
{
	int dir = *(int *)*state;
	char buf[16];

	put_file(dir, "victim", "kept");
	assert_int_equal(symlinkat("victim", dir, "f"), 0);
	assert_int_equal(fd_replace_file_at(dir, "f", "new", 3, false), 0);
	fd_read_text_at(dir, "victim", buf, sizeof(buf));
	assert_string_equal(buf, "kept");
	assert_int_equal(symlinkat("victim", dir, "g.new"), 0);
	assert_int_equal(fd_replace_file_at(dir, "g", "new", 3, false), -ELOOP);
	fd_read_text_at(dir, "victim", buf, sizeof(buf));
	assert_string_equal(buf, "kept");
}

static void full_reads_stop_at_the_end(void **state)
{
	int pipe_fds[2];
	char buf[8];

	(void)state;
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_int_equal(fd_write_full(pipe_fds[1], "abcde", 5), 0);
	assert_int_equal(fd_read_full(pipe_fds[0], buf, 2), 2);
	close(pipe_fds[1]);
	assert_int_equal(fd_read_full(pipe_fds[0], buf, sizeof(buf)), 3);
	assert_int_equal(fd_read_full(pipe_fds[0], buf, sizeof(buf)), 0);
	close(pipe_fds[0]);
	assert_int_equal(fd_read_full(-1, buf, sizeof(buf)), -EBADF);
}

static void passes_descriptors(void **state)
{
	int socks[2];
	int sent[2];
	int got[FD_PASS_MAX];
	size_t n = 99;
	char buf[8];
	struct stat a;
	struct stat b;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks), 0);
	assert_int_equal(pipe2(sent, O_CLOEXEC), 0);
	assert_int_equal(fd_send(socks[0], "hi", 2, sent, 2), 0);
	assert_int_equal(fd_recv(socks[1], buf, sizeof(buf), got, &n), 2);
	assert_memory_equal(buf, "hi", 2);
	assert_int_equal(n, 2);
	for (int i = 0; i < 2; i++) {
		assert_true(is_cloexec(got[i]));
		assert_int_equal(fstat(sent[i], &a), 0);
		assert_int_equal(fstat(got[i], &b), 0);
		assert_int_equal(a.st_ino, b.st_ino);
		close(sent[i]);
		close(got[i]);
	}
	assert_int_equal(fd_send(socks[0], "x", 1, NULL, 0), 0);
	assert_int_equal(fd_recv(socks[1], buf, sizeof(buf), got, &n), 1);
	assert_int_equal(n, 0);
	close(socks[0]);
	assert_int_equal(fd_recv(socks[1], buf, sizeof(buf), got, &n), 0);
	assert_int_equal(fd_send(socks[1], "x", 1, NULL, 0), -EPIPE);
	close(socks[1]);
}

static void a_cut_message_leaks_no_descriptor(void **state)
{
	int socks[2];
	int sent[2];
	int got[FD_PASS_MAX];
	size_t n;
	char buf[2];
	int before;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks), 0);
	assert_int_equal(pipe2(sent, O_CLOEXEC), 0);
	before = count_open_fds();
	assert_int_equal(fd_send(socks[0], "too long", 8, sent, 2), 0);
	assert_int_equal(fd_recv(socks[1], buf, sizeof(buf), got, &n), -EMSGSIZE);
	assert_int_equal(count_open_fds(), before);
	for (int i = 0; i < 2; i++) {
		close(sent[i]);
		close(socks[i]);
	}
}

static void too_many_descriptors_are_refused(void **state)
{
	int fds[FD_PASS_MAX + 1] = {0};

	(void)state;
	assert_int_equal(fd_send(-1, "x", 1, fds, FD_PASS_MAX + 1), -E2BIG);
}

static void a_full_socket_says_so(void **state)
{
	char block[4096] = {0};
	int socks[2];
	int r = 0;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks), 0);
	assert_int_equal(fd_set_nonblock(socks[0], true), 0);
	for (int i = 0; i < 10000 && r == 0; i++)
		r = fd_send(socks[0], block, sizeof(block), NULL, 0);
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(fd_set_nonblock(socks[0], false), 0);
	assert_false(fcntl(socks[0], F_GETFL) & O_NONBLOCK);
	close(socks[0]);
	close(socks[1]);
}

static void memfds_are_sealed(void **state)
{
	char buf[8];
	int fd = fd_sealed_memfd("test", "hello", 5);

	(void)state;
	assert_true(fd >= 0);
	assert_true(is_cloexec(fd));
	assert_int_equal(fd_read_full(fd, buf, sizeof(buf)), 5);
	assert_int_equal(fcntl(fd, F_GET_SEALS), FD_SEALS);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	close(fd);
}

/* The first page of a file, held by a pipe as the kernel holds those that it moves. */
static void pin_a_page(int fd, int pipe_fd)
{
	struct iovec page = {.iov_len = (size_t)sysconf(_SC_PAGESIZE)};

	page.iov_base = mmap(NULL, page.iov_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(page.iov_base != MAP_FAILED);
	assert_int_equal(vmsplice(pipe_fd, &page, 1, 0), page.iov_len);
	assert_int_equal(munmap(page.iov_base, page.iov_len), 0);
}

/* The kernel gives up after 150 ms by itself; the page is let go of after 400. */
static void sealing_is_patient(void **state)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int pipes[2];
	int status;
	pid_t pid;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "hello", 5, 0), 5);
	assert_int_equal(ftruncate(fd, sysconf(_SC_PAGESIZE)), 0);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	pin_a_page(fd, pipes[1]);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, FD_SEALS), -1);
	assert_int_equal(errno, EBUSY);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char page[65536];

		poll(NULL, 0, 400);
		_exit(read(pipes[0], page, sizeof(page)) <= 0);
	}
	assert_int_equal(fd_seal(fd), 0);
	assert_int_equal(fcntl(fd, F_GET_SEALS), FD_SEALS);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
}

static void what_is_mapped_to_be_written_is_not_sealed(void **state)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *page;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4096), 0);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(page != MAP_FAILED);
	assert_int_equal(fd_seal(fd), -EBUSY);
	assert_int_equal(munmap(page, 4096), 0);
	assert_int_equal(fd_seal(fd), 0);
	close(fd);
}

static int open_count(int first, int last)
{
	int n = 0;

	for (int fd = first; fd <= last; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* In a child: the test's own descriptors stay. Returns its exit status. */
static int close_in_child(const int *keep, size_t n, int last)
{
	struct fd_list list = {0};
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		for (size_t i = 0; i < n; i++)
			fd_list_add(&list, keep[i]);
		if (fd_close_all_but(&list) != 0)
			_exit(100);
		for (size_t i = 0; i < n; i++)
			if (keep[i] >= 0 && fcntl(keep[i], F_GETFD) < 0)
				_exit(101);
		_exit(open_count(0, last));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void closes_all_but_a_list(void **state)
{
	int standard = open_count(0, STDERR_FILENO);
	int fds[8];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 20);
		assert_true(fds[i] >= 20);
	}
	assert_int_equal(close_in_child(NULL, 0, 40), standard);
	assert_int_equal(close_in_child((int[]){fds[7], fds[0]}, 2, 40), standard + 2);
	assert_int_equal(
		close_in_child((int[]){fds[3], fds[2], -1, fds[3], 1}, 5, 40), standard + 2);
	assert_int_equal(close_in_child(fds, 8, 40), standard + 8);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

static void a_list_that_is_too_short_closes_nothing(void **state)
{
	struct fd_list list = {0};

	(void)state;
	for (int i = 0; i < FD_LIST_MAX; i++)
		fd_list_add(&list, 1000 + i);
	assert_int_equal(list.n, FD_LIST_MAX);
	for (int i = 0; i < 3; i++)
		fd_list_add(&list, i);
	assert_int_equal(fd_close_all_but(&list), -EOVERFLOW);
	assert_true(fcntl(STDERR_FILENO, F_GETFD) >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_text_without_its_newline, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(refuses_text_that_does_not_fit, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(writes_only_existing_files, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(reads_and_writes_numbers, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(refuses_what_is_no_number, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(opens_directories_only, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(replaces_files_whole, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(
			replacing_does_not_follow_a_planted_link, make_dir, drop_dir),
		cmocka_unit_test(full_reads_stop_at_the_end),
		cmocka_unit_test(passes_descriptors),
		cmocka_unit_test(closes_all_but_a_list),
		cmocka_unit_test(a_list_that_is_too_short_closes_nothing),
		cmocka_unit_test(a_cut_message_leaks_no_descriptor),
		cmocka_unit_test(too_many_descriptors_are_refused),
		cmocka_unit_test(a_full_socket_says_so),
		cmocka_unit_test(memfds_are_sealed),
		cmocka_unit_test(sealing_is_patient),
		cmocka_unit_test(what_is_mapped_to_be_written_is_not_sealed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * croft-policy as the supervisor runs it, and its program in this kernel: what comes out of its
 * standard output, how it ends, and what the calls of a process under the default profile return.
 */
#include "base/fd.h"
#include "policy/format.h"

#include "tests/unit/policy_util.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct result {
	int status; /* of waitpid(2) */
	char *output;
	size_t size;
};

/* Runs croft-policy on a text, NULL-terminated arguments after its name. */
static struct result run(const char *text, size_t size, char *const argv[])
{
	_cleanup_close_ int in = memfd_create("profile", MFD_CLOEXEC);
	_cleanup_close_ int out = memfd_create("program", MFD_CLOEXEC);
	struct result r = {0};
	ssize_t n;
	pid_t pid;

	assert_true(in >= 0 && out >= 0);
	assert_int_equal(fd_write_full(in, text, size), 0);
	assert_int_equal(lseek(in, 0, SEEK_SET), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char *envp[] = {NULL};
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(null, 2) < 0)
			_exit(99);
		execve(CROFT_POLICY, argv, envp);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &r.status, 0), pid);
	r.output = malloc(POLICY_OUTPUT_MAX + 1);
	assert_non_null(r.output);
	n = pread(out, r.output, POLICY_OUTPUT_MAX + 1, 0);
	assert_true(n >= 0);
	r.size = (size_t)n;
	return r;
}

static struct result run_text(const char *text)
{
	char *argv[] = {(char *)"croft-policy", NULL};

	return run(text, strlen(text), argv);
}

static struct result run_default(void)
{
	_cleanup_free_ char *text = policy_util_read(POLICY_DIR "/default.json");

	assert_non_null(text);
	return run_text(text);
}

static void writes_what_the_library_compiles(void **state)
{
	_cleanup_free_ char *text = policy_util_read(POLICY_DIR "/default.json");
	const struct sock_filter *program = NULL;
	struct policy_context context;
	struct policy_header h;
	struct compiled *c;
	struct result r = run_default();
	struct err err = {0};

	(void)state;
	assert_true(WIFEXITED(r.status));
	assert_int_equal(WEXITSTATUS(r.status), POLICY_EXIT_OK);
	if (policy_output_check(r.output, r.size, &h, &program, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(policy_context_init(&context, &err), 0);
	c = policy_util_compile(text, &context);
	assert_int_equal(h.n_instructions, c->n);
	assert_int_equal(h.n_warnings, 0);
	assert_memory_equal(program, c->program, c->n * sizeof(*program));
	compiled_destroy(c);
	free(r.output);
}

static void reports_what_is_wrong(void **state)
{
	struct result r = run_text("{\"defaultAction\": \"SCMP_ACT_NOTIFY\"}");
	const struct sock_filter *program = NULL;
	struct policy_header h;
	struct err err = {0};

	(void)state;
	assert_true(WIFEXITED(r.status));
	assert_int_equal(WEXITSTATUS(r.status), POLICY_EXIT_REFUSED);
	assert_int_equal(r.size, sizeof(struct policy_header));
	assert_int_equal(policy_output_check(r.output, r.size, &h, &program, &err), -EINVAL);
	assert_string_equal(err.reason, "POLICY_UNSUPPORTED");
	assert_string_equal(err.subject, "defaultAction");
	free(r.output);
}

static void refuses_a_profile_that_is_too_large(void **state)
{
	size_t size = PROFILE_BYTES_MAX + 1;
	_cleanup_free_ char *text = malloc(size);
	char *argv[] = {(char *)"croft-policy", NULL};
	const struct sock_filter *program = NULL;
	struct policy_header h;
	struct err err = {0};
	struct result r;

	(void)state;
	assert_non_null(text);
	memset(text, ' ', size);
	r = run(text, size, argv);
	assert_int_equal(WEXITSTATUS(r.status), POLICY_EXIT_REFUSED);
	assert_true(policy_output_check(r.output, r.size, &h, &program, &err) < 0);
	assert_string_equal(err.reason, "POLICY_TOO_LARGE");
	free(r.output);
}

static void takes_capabilities(void **state)
{
	static const char text[] =
		"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [{\"names\": [\"acct\"], "
		"\"action\": \"SCMP_ACT_ALLOW\", \"includes\": {\"caps\": [\"CAP_SYS_PACCT\"]}}]}";
	char *argv[] = {(char *)"croft-policy", (char *)"--caps", (char *)"CAP_SYS_PACCT", NULL};
	char *wrong[] = {(char *)"croft-policy", (char *)"--caps", (char *)"CAP_FLY", NULL};
	char *usage[] = {(char *)"croft-policy", (char *)"--cap", NULL};
	struct result without = run_text(text);
	struct result with = run(text, strlen(text), argv);
	struct result bad = run(text, strlen(text), wrong);
	struct result none = run(text, strlen(text), usage);

	(void)state;
	assert_int_equal(WEXITSTATUS(without.status), POLICY_EXIT_OK);
	assert_int_equal(WEXITSTATUS(with.status), POLICY_EXIT_OK);
	assert_true(with.size > without.size);
	assert_int_equal(WEXITSTATUS(bad.status), POLICY_EXIT_REFUSED);
	assert_int_equal(WEXITSTATUS(none.status), POLICY_EXIT_USAGE);
	assert_int_equal(none.size, 0);
	free(without.output);
	free(with.output);
	free(bad.output);
	free(none.output);
}

/* In a child under the default profile: the line of the first surprise, or 0. */
#define EXPECT(call, result, error)                                                                \
	do {                                                                                       \
		errno = 0;                                                                         \
		if ((call) != (result) || errno != (error))                                        \
			return __LINE__;                                                           \
	} while (0)

static int probe(void)
{
	EXPECT(syscall(SYS_keyctl, 0, 0, 0), -1, EPERM);
	EXPECT(syscall(SYS_bpf, 0, NULL, 0), -1, EPERM);
	EXPECT(syscall(9999), -1, ENOSYS);
	EXPECT(syscall(SYS_io_uring_setup, 1, NULL), -1, ENOSYS);
	EXPECT(syscall(SYS_clone3, NULL, 0), -1, ENOSYS);
	EXPECT(syscall(SYS_ioctl, 0, 0x5412UL, ""), -1, EPERM);
	EXPECT(syscall(SYS_ioctl, 0, 0x5412UL | 1UL << 40, ""), -1, EPERM);
	EXPECT(syscall(SYS_personality, 0x40000UL), -1, EPERM);
	EXPECT(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
		       NULL),
		-1, EINVAL);
	EXPECT(socket(AF_NETLINK, SOCK_RAW, 9), -1, EAFNOSUPPORT);
	EXPECT(socket(AF_INET, SOCK_STREAM, 132), -1, EPROTONOSUPPORT);
	for (int family = 0; family < 47; family++)
		if (family != AF_UNIX && family != AF_INET && family != AF_INET6 &&
			family != AF_NETLINK)
			EXPECT(socket(family, SOCK_RAW, 0), -1, EAFNOSUPPORT);
	EXPECT(close(socket(AF_UNIX, SOCK_STREAM, 0)), 0, 0);
	EXPECT(syscall(SYS_getppid) > 0, 1, 0);
	EXPECT(poll(NULL, 0, 0), 0, 0);
	EXPECT(sched_yield(), 0, 0);
	return 0;
}

static void holds_in_the_kernel(void **state)
{
	const struct sock_filter *program = NULL;
	struct result r = run_default();
	struct policy_header h;
	_cleanup_close_ int pipe_read = -1;
	int ends[2], line = -1;
	pid_t pid;

	(void)state;
	assert_int_equal(policy_output_check(r.output, r.size, &h, &program, NULL), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct sock_fprog prog = {
			(unsigned short)h.n_instructions, (struct sock_filter *)program};

		line = __LINE__;
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
			syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, h.flags, &prog) == 0)
			line = probe();
		_exit(write(ends[1], &line, sizeof(line)) == sizeof(line) ? 0 : 99);
	}
	close(ends[1]);
	pipe_read = ends[0];
	assert_int_equal(read(pipe_read, &line, sizeof(line)), sizeof(line));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	if (line != 0)
		fail_msg("line %d did not return what it should", line);
	free(r.output);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_what_the_library_compiles),
		cmocka_unit_test(reports_what_is_wrong),
		cmocka_unit_test(refuses_a_profile_that_is_too_large),
		cmocka_unit_test(takes_capabilities),
		cmocka_unit_test(holds_in_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

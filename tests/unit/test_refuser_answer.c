/*
 * What croft-refuser gives to whoever asks, and how often: a process under a real listener asks,
 * time is ours.
 */
#include "base/fd.h"
#include "base/telltale.h"
#include "sandbox/refuser/answer.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOUR_USEC UINT64_C(3600000000)
#define START	  UINT64_C(7000000)

struct caller {
	pid_t pid;
	int sock; /* a number goes in: that call is made; its errno comes out */
	struct refused_count count;
	struct answer answer;
};

static int listen_on_modules(void)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_delete_module, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kexec_load, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {ARRAY_SIZE(rules), rules};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return (int)syscall(
		SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

/* Arguments that are refused with something else, were the call to come through. */
static void call_when_told(int sock)
{
	int listener = listen_on_modules();
	int number;

	if (listener < 0 || fd_send(sock, "", 1, &listener, 1) < 0)
		_exit(1);
	close(listener);
	while (recv(sock, &number, sizeof(number), 0) == (ssize_t)sizeof(number)) {
		int error = syscall(number, -1, -1, -1, -1) < 0 ? errno : 0;

		send(sock, &error, sizeof(error), 0);
	}
	_exit(0);
}

static int setup(void **state)
{
	static struct caller caller;
	int pair[2], fds[FD_PASS_MAX];
	size_t n = 0;
	char byte;

	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), errno);
	caller = (struct caller){.pid = fork(), .sock = pair[0]};
	assert_return_code(caller.pid, errno);
	if (caller.pid == 0) {
		close(pair[0]);
		call_when_told(pair[1]);
	}
	close(pair[1]);
	assert_int_equal(fd_recv(pair[0], &byte, 1, fds, &n), 1);
	assert_int_equal(n, 1);
	caller.answer = (struct answer){.fd = fds[0], .count = &caller.count};
	*state = &caller;
	return 0;
}

static int teardown(void **state)
{
	struct caller *c = *state;
	int status;

	close(c->answer.fd);
	close(c->sock);
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	assert_true(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
	return 0;
}

static void ask(struct caller *c, int number)
{
	assert_int_equal(send(c->sock, &number, sizeof(number), 0), sizeof(number));
}

static int told(struct caller *c)
{
	int error = -1;

	assert_int_equal(recv(c->sock, &error, sizeof(error), 0), sizeof(error));
	return error;
}

/* How many are answered at that moment to who goes on asking; one is left that waits. */
static unsigned answered_at(struct caller *c, uint64_t now_usec)
{
	unsigned n = 0;

	for (; answer_is_due(&c->answer, now_usec); n++) {
		assert_int_equal(answer_give(&c->answer, now_usec), 0);
		assert_int_equal(told(c), EPERM);
		ask(c, SYS_delete_module);
	}
	return n;
}

static void answer_last(struct caller *c)
{
	assert_int_equal(answer_give(&c->answer, START), 0);
	assert_int_equal(told(c), EPERM);
}

static void refused_and_counted(void **state)
{
	struct caller *c = *state;

	assert_true(answer_fits_kernel());
	ask(c, SYS_delete_module);
	assert_int_equal(answer_give(&c->answer, START), 0);
	assert_int_equal(told(c), EPERM);
	assert_int_equal(c->count.calls, 1);
	assert_int_equal(c->count.set, UINT64_C(1) << TELLTALE_DELETE_MODULE);
	ask(c, SYS_kexec_load);
	assert_int_equal(answer_give(&c->answer, START), 0);
	assert_int_equal(told(c), EPERM);
	assert_int_equal(c->count.calls, 2);
	assert_int_equal(c->count.set,
		UINT64_C(1) << TELLTALE_DELETE_MODULE | UINT64_C(1) << TELLTALE_KEXEC_LOAD);
}

static void a_burst_and_then_a_pace(void **state)
{
	struct caller *c = *state;

	ask(c, SYS_delete_module);
	assert_int_equal(answered_at(c, START), ANSWER_BURST);
	assert_int_equal(answered_at(c, START + ANSWER_GAP_USEC - 1), 0);
	assert_int_equal(answered_at(c, START + ANSWER_GAP_USEC), 1);
	assert_int_equal(answered_at(c, START + 1000000), 1000000 / ANSWER_GAP_USEC - 1);
	assert_int_equal(c->count.calls, ANSWER_BURST + 1000000 / ANSWER_GAP_USEC);
	answer_last(c);
}

static void silence_saves_up_one_burst(void **state)
{
	struct caller *c = *state;

	ask(c, SYS_delete_module);
	assert_int_equal(answered_at(c, START), ANSWER_BURST);
	assert_int_equal(answered_at(c, START + HOUR_USEC), ANSWER_BURST);
	assert_int_equal(answered_at(c, START + HOUR_USEC), 0);
	answer_last(c);
}

/* Who is gone before it is looked at is no failure of the listener's, and not counted. */
static void gone_before_it_is_answered(void **state)
{
	struct caller *c = *state;
	struct pollfd asked = {.fd = c->answer.fd, .events = POLLIN};

	ask(c, SYS_delete_module);
	assert_int_equal(poll(&asked, 1, -1), 1);
	assert_return_code(kill(c->pid, SIGKILL), errno);
	assert_int_equal(waitid(P_PID, (id_t)c->pid, NULL, WEXITED | WNOWAIT), 0);
	assert_int_equal(answer_give(&c->answer, START), -EAGAIN);
	assert_int_equal(c->count.calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(refused_and_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(a_burst_and_then_a_pace, setup, teardown),
		cmocka_unit_test_setup_teardown(silence_saves_up_one_burst, setup, teardown),
		cmocka_unit_test_setup_teardown(gone_before_it_is_answered, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Running croft-packer; see pack_run.h. Must never take what it says for more than numbers and
 * words: a tree may have taken over the one that reads it.
 */
#include "sandbox/pack_run.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "sandbox/jailed.h"

#include <poll.h>
#include <string.h>
#include <sys/wait.h>

static void cleanup_jailed(struct jailed *jailed)
{
	jailed_end(jailed, NULL);
}

static int died(struct jailed *jailed, struct err *err)
{
	siginfo_t info = {0};

	jailed_end(jailed, &info);
	return err_set(err, ERR_INTERNAL, "PACKER_DIED",
		"the packer ended before it was done (%s %d); if the tenant or the host is short "
		"of "
		"memory, try again later",
		info.si_code == CLD_EXITED ? "status" : "signal", info.si_status);
}

/* A failure that came over the socket. */
static int take_error(const struct err *from, struct err *err)
{
	struct err copy = *from;

	err_sanitize(&copy);
	if (copy.code == ERR_OK)
		return err_set(err, ERR_INTERNAL, "PACKER_DIED", "the packer failed silently");
	if (err)
		*err = copy;
	return err_code_to_errno((enum err_code)copy.code);
}

/* Returns 1 when it asks for a tree instead. */
static int receive(struct jailed *jailed, struct pack_report *ret, struct err *err)
{
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	ssize_t n = fd_recv(jailed->report_fd, ret, sizeof(*ret), fds, &n_fds);

	_Static_assert(sizeof(struct pack_ask) != sizeof(struct err) &&
			       sizeof(struct pack_ask) != sizeof(*ret) &&
			       sizeof(struct err) != sizeof(*ret),
		"messages differ by their size");

	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	if (n == 0 || n == -ECONNRESET)
		return died(jailed, err);
	/* It was not even started. */
	if (n == (ssize_t)sizeof(struct err)) {
		struct err failure;

		memcpy(&failure, ret, sizeof(failure));
		return take_error(&failure, err);
	}
	if (n == (ssize_t)sizeof(struct pack_ask))
		return 1;
	return n == (ssize_t)sizeof(*ret) ? 0
					  : err_sys(err, n < 0 ? (int)n : EBADMSG, "read a report");
}

/* Returns 0 when there is something to read. */
static int wait_for(
	const struct jailed *jailed, uint64_t moved_usec, unsigned seconds, struct err *err)
{
	uint64_t timeout_usec = seconds * UINT64_C(1000000);

	for (;;) {
		struct pollfd p = {.fd = jailed->report_fd, .events = POLLIN};
		uint64_t idle = clock_boot_usec() - moved_usec;
		int n;

		if (idle >= timeout_usec)
			return err_set(err, ERR_DEADLINE_EXCEEDED, "EXPORT_STALLED",
				"nothing of the export was taken for %u seconds", seconds);
		n = poll(&p, 1, (int)((timeout_usec - idle) / 1000 + 1));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return err_sys(err, errno, "wait for the packer");
	}
}

/* Hands over the n-th tree, or nothing. */
static int hand_tree(struct jailed *jailed, const struct pack_run *run, unsigned n, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r = run->next(run->arg, n, &fd, err);

	return r < 0 ? r : jailed_hand(jailed, r > 0 ? fd : -1, true, err);
}

static int watch(
	struct jailed *jailed, const struct pack_run *run, struct pack_total *ret, struct err *err)
{
	uint64_t moved_usec = clock_boot_usec();
	struct pack_total last = {0};
	unsigned trees = 0;

	for (;;) {
		struct pack_report report;
		int r = wait_for(jailed, moved_usec, run->seconds, err);

		if (r == 0)
			r = receive(jailed, &report, err);
		if (r > 0) {
			r = hand_tree(jailed, run, trees++, err);
			moved_usec = clock_boot_usec();
			if (r == 0)
				continue;
		}
		if (r < 0)
			return r;
		if (report.final && report.err.code != ERR_OK)
			return take_error(&report.err, err);
		if (report.final) {
			*ret = report.total;
			return 0;
		}
		if (memcmp(&report.total, &last, sizeof(last)) != 0)
			moved_usec = clock_boot_usec();
		last = report.total;
	}
}

int pack_run(const struct pack_run *run, struct pack_total *ret, struct err *err)
{
	const char *const argv[] = {"croft-packer", run->list_fd >= 0 ? "list" : NULL, NULL};
	const struct jailed_options options = {
		.program_fd = run->packer_fd,
		.stream_fd = run->stream_fd,
		.extra_fd = run->list_fd,
		.tree_fd = run->root_fd,
		.read_only = true,
		.id_base = run->id_base,
		.argv = argv,
	};
	_cleanup_(cleanup_jailed) struct jailed jailed = JAILED_INIT;
	int r = jailed_start(&options, &jailed, err);

	return r < 0 ? r : watch(&jailed, run, ret, err);
}

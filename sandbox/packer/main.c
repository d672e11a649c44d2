/*
 * croft-packer: packs a tree into one file. Started by a worker of the supervisor
 * (sandbox/pack_run.c) with the stream to write, a socket by which it reports and is given one tree
 * after the other, and an empty directory, which becomes its root. Shuts itself in first: what it
 * reads, tenants have written.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/importer/jail.h"
#include "sandbox/jailed.h"
#include "sandbox/packer/pack.h"
#include "sandbox/snapshot_list.h"

#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static int send_progress(void *arg, const struct pack_total *total)
{
	const struct pack_report report = {.total = *total};

	(void)arg;
	return fd_send(JAILED_REPORT_FD, &report, sizeof(report), NULL, 0);
}

/* Asks for the next tree. Returns 1 with it, 0 when there is none. */
static int receive_tree(uint32_t done, int *ret_fd, struct err *err)
{
	const struct pack_ask ask = {.done = done};
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	char c;
	ssize_t n = fd_send(JAILED_REPORT_FD, &ask, sizeof(ask), NULL, 0);

	if (n == 0)
		n = fd_recv(JAILED_REPORT_FD, &c, 1, fds, &n_fds);
	if (n != 1 || n_fds > 1)
		return err_sys(err, n < 0 ? (int)n : EPIPE, "ask for a tree to pack");
	if (n_fds)
		*ret_fd = fds[0];
	return (int)n_fds;
}

static int begin(struct pack *pack, bool with_list, struct err *err)
{
	char list[SNAPSHOT_LIST_TEXT_MAX];
	ssize_t n = with_list ? fd_read_full(JAILED_EXTRA_FD, list, sizeof(list)) : 0;

	if (n < 0)
		return err_sys(err, (int)n, "read the list of snapshots");
	return pack_init(pack, JAILED_STREAM_FD, with_list ? list : NULL, (size_t)n, err);
}

static int pack_all(struct pack *pack, bool with_list, struct err *err)
{
	int r = jail_enter(JAILED_TREE_FD, JAIL_PACKER, err);

	if (r == 0)
		r = begin(pack, with_list, err);
	pack->progress = send_progress;
	for (uint32_t n = 0; r == 0; n++) {
		_cleanup_close_ int root = -1;

		r = receive_tree(n, &root, err);
		if (r == 0)
			return pack_end(pack, err);
		if (r > 0)
			r = pack_tree(pack, root, err);
	}
	return r;
}

int main(int argc, char **argv)
{
	struct pack_report report = {.final = 1};
	struct pack pack = {0};
	struct err err = {0};

	/* Names are bytes; libarchive wants a locale to carry UTF-8 through unchanged. */
	setlocale(LC_CTYPE, "C.UTF-8");
	signal(SIGPIPE, SIG_IGN);
	(void)argv;
	if (pack_all(&pack, argc > 1, &err) < 0)
		report.err = err;
	report.total = pack.total;
	/* Not exit(): what libraries do at the end needs files that are out of reach. */
	_exit(fd_send(JAILED_REPORT_FD, &report, sizeof(report), NULL, 0) < 0);
}

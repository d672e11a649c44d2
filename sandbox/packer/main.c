/*
 * croft-packer: packs a tree into one file. Started by a worker of the supervisor
 * (sandbox/pack_run.c) with the stream to write, a socket to report by, and the tree, which becomes
 * its root. Shuts itself in first: what it reads, tenants have written.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/importer/jail.h"
#include "sandbox/jailed.h"
#include "sandbox/packer/pack.h"

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

static int pack_all(struct pack *pack, struct err *err)
{
	_cleanup_close_ int root = -1;
	int r = jail_enter(JAILED_TREE_FD, JAIL_PACKER, 0, err);

	if (r == 0)
		r = pack_init(pack, JAILED_STREAM_FD, err);
	pack->progress = send_progress;
	if (r < 0)
		return r;
	root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(err, errno, "open the tree that is to be packed");
	r = pack_tree(pack, root, err);
	return r < 0 ? r : pack_end(pack, err);
}

int main(void)
{
	struct pack_report report = {.final = 1};
	struct pack pack = {0};
	struct err err = {0};

	/* Names are bytes; libarchive wants a locale to carry UTF-8 through unchanged. */
	setlocale(LC_CTYPE, "C.UTF-8");
	signal(SIGPIPE, SIG_IGN);
	if (pack_all(&pack, &err) < 0)
		report.err = err;
	report.total = pack.total;
	/* Not exit(): what libraries do at the end needs files that are out of reach. */
	_exit(fd_send(JAILED_REPORT_FD, &report, sizeof(report), NULL, 0) < 0);
}

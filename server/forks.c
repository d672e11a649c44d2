/* Reading the kernel's table of forks; see forks.h. Must never need a capability for it. */
#include "server/forks.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "server/link.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Returns 0, -ENOENT, or what bpf(2) says. */
static int look_up(int table_fd, uint64_t cgroup, uint64_t *ret)
{
	union bpf_attr attr = {
		.map_fd = (uint32_t)table_fd, .key = (uintptr_t)&cgroup, .value = (uintptr_t)ret};

	return syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

/* Linux before 5.19 has kernel.unprivileged_bpf_disabled say no to this, too. */
static bool is_readable(int table_fd)
{
	uint64_t count;

	return look_up(table_fd, 0, &count) == -ENOENT;
}

static void on_table(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct server *server = arg;

	(void)reply;
	if (!err && n_fds == 1 && is_readable(fds[0])) {
		forks_finish(server);
		server->forks_fd = fds[0];
		server->forks_table++;
		return;
	}
	if (!err && n_fds)
		log_warning("forks-not-known error=\"the kernel's table cannot be read\"");
	link_close_fds(fds, n_fds);
	if (err)
		log_warning("forks-not-known error=\"%s\"", err->msg);
	else
		forks_finish(server);
}

void forks_connect(struct server *server)
{
	static const struct msg_empty empty;
	struct err err;

	if (link_send(server->link, MSG_FORKS, &empty, NULL, 0, on_table, server, &err) < 0)
		log_warning("forks-not-known error=\"%s\"", err.msg);
}

void forks_finish(struct server *server)
{
	close_fd(&server->forks_fd);
}

bool forks_look(const struct server *server, const struct run *run, struct forks_look *ret)
{
	uint64_t count;

	*ret = (struct forks_look){0};
	if (server->forks_fd < 0 || look_up(server->forks_fd, run->cgroup_inode, &count) < 0)
		return false;
	*ret = (struct forks_look){clock_boot_usec(), count, server->forks_table};
	return true;
}

bool forks_between(const struct run *run, const struct forks_look *from,
	const struct forks_look *to, uint64_t *ret, uint64_t *ret_from_usec)
{
	bool same = from->table == to->table && from->count <= to->count;

	if (!to->table)
		return false;
	*ret = same ? to->count - from->count : to->count;
	*ret_from_usec = from->table ? from->boot_usec : run->start_boot_usec;
	return true;
}

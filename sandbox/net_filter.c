/*
 * croft-net as a child: its input is what we were given, checked; its answer is believed only when
 * it is whole. See net_filter.h.
 */
#include "sandbox/net_filter.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/net_conntrack.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ROWS_SIZE_MAX (sizeof(struct net_header) + (size_t)NET_ROWS_MAX * sizeof(struct net_row))

__attribute__((noreturn)) static void become(const char *path, int rows_fd, int out_fd)
{
	char *argv[] = {(char *)"croft-net", NULL};
	char *envp[] = {NULL};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(rows_fd, STDIN_FILENO) >= 0 && dup2(out_fd, STDOUT_FILENO) >= 0)
		execve(path, argv, envp);
	_exit(127);
}

int net_filter_start(const char *libexec_path, int rows_fd, struct net_filter *ret, struct err *err)
{
	char path[PATH_MAX];
	int pipe_fds[2];
	pid_t pid;

	if (lseek(rows_fd, 0, SEEK_SET) < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "start croft-net");
	snprintf(path, sizeof(path), "%s/croft-net", libexec_path);
	pid = fork();
	if (pid == 0)
		become(path, rows_fd, pipe_fds[1]);
	close(pipe_fds[1]);
	if (pid < 0) {
		close(pipe_fds[0]);
		return err_sys(err, errno, "start croft-net");
	}
	*ret = (struct net_filter){.pid = pid, .out_fd = pipe_fds[0]};
	return 0;
}

int net_filter_wait(struct net_filter *run, struct err *err)
{
	struct net_result result;
	ssize_t n;

	if (!run->pid)
		return 0;
	n = fd_read_full(run->out_fd, &result, sizeof(result));
	close(run->out_fd);
	waitpid(run->pid, NULL, 0);
	run->pid = 0;
	if (n != (ssize_t)sizeof(result) || result.magic != NET_RULES_MAGIC ||
		result.version != NET_RULES_VERSION)
		return err_set(err, ERR_INTERNAL, "NET_RULES_FAILED",
			"the network's rules were not made: croft-net did not end well");
	if (result.err.code == ERR_OK)
		return 0;
	err_sanitize(&result.err);
	if (err)
		*err = result.err;
	return err_code_to_errno((enum err_code)result.err.code);
}

static int run(const char *libexec_path, int rows_fd, struct err *err)
{
	struct net_filter filter = {0};
	int r = net_filter_start(libexec_path, rows_fd, &filter, err);

	return r < 0 ? r : net_filter_wait(&filter, err);
}

/* The pools are the operator's, and the tables' names follow from the letters. */
static bool is_in_force(const struct net_plan *plan, const struct net_plan *theirs)
{
	return !memcmp(plan, theirs, sizeof(*plan));
}

static int check(const struct net_plan *plan, const void *data, size_t size, struct net_rules *ret,
	struct err *err)
{
	int r = net_rules_parse(data, size, ret, err);

	if (r == 0 && (!is_in_force(plan, &ret->header.plan) || ret->header.op == NET_DROP))
		r = err_set(err, ERR_INVALID_ARGUMENT, "NET_RULES_INVALID",
			"the rules are not of the network that is configured");
	return r;
}

static int replace(const char *libexec_path, const struct net_rules *rules,
	const struct net_row *counted, uint32_t n_counted, struct err *err)
{
	uint32_t n = rules->header.n_rows;
	_cleanup_free_ struct net_row *rows = calloc((size_t)n + n_counted + 1, sizeof(*rows));

	if (!rows)
		return err_oom(err);
	if (n)
		memcpy(rows, rules->rows, n * sizeof(*rows));
	if (n_counted)
		memcpy(rows + n, counted, n_counted * sizeof(*rows));
	return net_filter_change(
		libexec_path, &rules->header.plan, NET_REPLACE, rows, n + n_counted, err);
}

int net_filter_apply(const char *libexec_path, const struct net_plan *plan, int rows_fd,
	const struct net_row *counted, uint32_t n_counted, struct err *err)
{
	_cleanup_free_ void *data = NULL;
	struct net_rules rules;
	struct stat st;
	int seals = fcntl(rows_fd, F_GET_SEALS);
	int r;

	if (seals < 0 || !(seals & F_SEAL_WRITE) || !(seals & F_SEAL_SHRINK) ||
		fstat(rows_fd, &st) < 0 || st.st_size > (off_t)ROWS_SIZE_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "NET_RULES_INVALID",
			"the rules came in something else than a sealed memory file");
	data = malloc((size_t)st.st_size + 1);
	if (!data)
		return err_oom(err);
	if (pread(rows_fd, data, (size_t)st.st_size, 0) != st.st_size)
		return err_sys(err, EIO, "read the rules");
	r = check(plan, data, (size_t)st.st_size, &rules, err);
	if (r < 0)
		return r;
	if (rules.header.op == NET_REPLACE)
		return replace(libexec_path, &rules, counted, n_counted, err);
	r = run(libexec_path, rows_fd, err);
	if (r == 0 && rules.header.op == NET_REMOVE)
		r = net_conntrack_cut(&rules, err);
	return r;
}

int net_filter_change(const char *libexec_path, const struct net_plan *plan, enum net_op op,
	const struct net_row *rows, uint32_t n, struct err *err)
{
	_cleanup_close_ int fd = net_rows_pack(plan, op, rows, n, err);

	return fd < 0 ? fd : run(libexec_path, fd, err);
}

static int write_number(const char *path, const char *number, struct err *err)
{
	int r = fd_write_text_at(AT_FDCWD, path, number);

	return r < 0 ? err_sys(err, r, "let the host forward") : 0;
}

/* A host that routes takes no more advertisements, unless it is told to go on (2). */
static int keep_advertisements(struct err *err)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc/sys/net/ipv6/conf");
	struct dirent *entry;

	if (!dir)
		return err_sys(err, errno, "look at the host's interfaces");
	while ((entry = readdir(dir))) {
		char path[NAME_MAX + 16];
		uint64_t value;

		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, "all"))
			continue;
		snprintf(path, sizeof(path), "%s/accept_ra", entry->d_name);
		if (fd_read_u64_at(dirfd(dir), path, &value) == 0 && value == 1)
			fd_write_text_at(dirfd(dir), path, "2");
	}
	return 0;
}

int net_filter_forwarding_on(const struct net_plan *plan, struct err *err)
{
	static const char ipv4[] = "/proc/sys/net/ipv4/ip_forward";
	static const char ipv6[] = "/proc/sys/net/ipv6/conf/all/forwarding";
	uint64_t value;
	int r = 0;

	if (plan->ipv4.base.size && (fd_read_u64_at(AT_FDCWD, ipv4, &value) < 0 || value != 1))
		r = write_number(ipv4, "1", err);
	if (r < 0 || !plan->ipv6.base.size ||
		(fd_read_u64_at(AT_FDCWD, ipv6, &value) == 0 && value == 1))
		return r;
	r = keep_advertisements(err);
	return r < 0 ? r : write_number(ipv6, "1", err);
}

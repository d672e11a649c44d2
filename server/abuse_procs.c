/* Reading the processes of a cgroup; see abuse_procs.h. Must never follow what a tenant chose. */
#include "server/abuse_procs.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST_BYTES (64u << 10)
#define STAT_BYTES 1024u
#define DEPTH_MAX  8u

struct abuse_procs {
	int dir;
};

struct abuse_procs *abuse_procs_open(int dir)
{
	struct abuse_procs *procs = malloc(sizeof(*procs));

	if (!procs)
		return NULL;
	procs->dir = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	if (procs->dir >= 0)
		return procs;
	free(procs);
	return NULL;
}

void abuse_procs_close(struct abuse_procs *procs)
{
	if (!procs)
		return;
	close_fd(&procs->dir);
	free(procs);
}

int abuse_procs_parse(const char *text, struct abuse_process *ret)
{
	struct abuse_process p = {0};
	const char *begin = strchr(text, '(');
	const char *end = strrchr(text, ')'); /* the name may have some, too */
	uint64_t user;
	uint64_t system;
	int64_t pages;
	size_t len;
	int parent;
	int pid;

	if (!begin || !end || end < begin)
		return -EBADMSG;
	/* proc(5): state ppid, 9 others, utime stime, 8 others, rss. */
	if (sscanf(text, "%d", &pid) != 1 ||
		sscanf(end + 1,
			" %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
			" %*d %*d %*d %*d %*d %*d %*u %*u %" SCNd64,
			&p.state, &parent, &user, &system, &pages) != 5)
		return -EBADMSG;
	p.pid = pid;
	p.parent = parent;
	len = (size_t)(end - begin - 1);
	if (len >= sizeof(p.command))
		len = sizeof(p.command) - 1;
	memcpy(p.command, begin + 1, len);
	p.cpu_usec = (user + system) * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
	p.rss_bytes = pages > 0 ? (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
	*ret = p;
	return 0;
}

struct walk {
	struct abuse_process *list;
	size_t n;
	size_t max;
	uint32_t left_out;
	unsigned cgroups;
	char *text; /* LIST_BYTES */
};

static void read_process(struct walk *walk, const char *pid)
{
	char path[40];
	char text[STAT_BYTES];
	struct abuse_process p;

	snprintf(path, sizeof(path), "/proc/%.12s/stat", pid);
	if (walk->n < walk->max && fd_read_text_at(AT_FDCWD, path, text, sizeof(text)) > 0 &&
		abuse_procs_parse(text, &p) == 0)
		walk->list[walk->n++] = p;
	else
		walk->left_out++;
}

static void read_list(struct walk *walk, int dir)
{
	_cleanup_close_ int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd >= 0 ? fd_read_full(fd, walk->text, LIST_BYTES - 1) : -1;
	char *save = NULL;

	if (n <= 0)
		return;
	walk->text[n] = '\0';
	for (char *pid = strtok_r(walk->text, "\n", &save); pid; pid = strtok_r(NULL, "\n", &save))
		if (strspn(pid, "0123456789") == strlen(pid))
			read_process(walk, pid);
}

static void read_cgroup(struct walk *walk, int dir, unsigned depth)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (!stream) {
		close_fd(&fd);
		return;
	}
	read_list(walk, dir);
	while (depth < DEPTH_MAX && (entry = readdir(stream))) {
		_cleanup_close_ int below = -1;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
			walk->cgroups >= ABUSE_CGROUPS_MAX)
			continue;
		walk->cgroups++;
		below = openat(dirfd(stream), entry->d_name,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (below >= 0)
			read_cgroup(walk, below, depth + 1);
	}
	closedir(stream);
}

size_t abuse_procs_read(const struct abuse_procs *procs, struct abuse_process *ret, size_t max,
	uint32_t *ret_left_out)
{
	_cleanup_free_ char *text = malloc(LIST_BYTES);
	struct walk walk = {.list = ret, .max = max, .text = text};

	if (procs && text)
		read_cgroup(&walk, procs->dir, 0);
	*ret_left_out = walk.left_out;
	return walk.n;
}

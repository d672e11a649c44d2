/*
 * The processes of a container, as the host sees them: from the cgroup's own lists and
 * /proc/PID/stat. Of that nothing waits for a tenant: stat takes no lock of a process' memory, as
 * its command line would, which a page that never comes could hold for ever.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ABUSE_PROCS_MAX	  256u /* that are read */
#define ABUSE_CGROUPS_MAX 64u  /* directories below a container's */
#define ABUSE_COMMAND_MAX 64u  /* as the kernel shows it; kernel threads have more than 15 */

struct abuse_process {
	pid_t pid;
	pid_t parent;
	char state;
	char command[ABUSE_COMMAND_MAX]; /* any bytes but zero */
	uint64_t cpu_usec;
	uint64_t rss_bytes;
};

struct abuse_procs;

/* Of a cgroup2 directory, which stays the caller's; NULL when there is nothing to look at. */
struct abuse_procs *abuse_procs_open(int dir);
void abuse_procs_close(struct abuse_procs *procs);

/*
 * Reads at most max. Returns how many; *ret_left_out is how many more were listed, or had gone.
 * procs may be NULL.
 */
size_t abuse_procs_read(const struct abuse_procs *procs, struct abuse_process *ret, size_t max,
	uint32_t *ret_left_out);

/* What /proc/PID/stat says. Returns 0 or -EBADMSG. */
int abuse_procs_parse(const char *text, struct abuse_process *ret);

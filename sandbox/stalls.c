/* Reading a cgroup's pressure; see stalls.h. Never makes a trigger: those cost a kernel thread.
 */
#include "sandbox/stalls.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 256 /* two lines of some 60 bytes */

struct stall_files {
	int fds[STALL_N]; /* -1: there is none */
};

struct stall_files *stalls_open(int dir)
{
	static const char *const names[] = {[STALL_CPU] = "cpu.pressure",
		[STALL_MEMORY] = "memory.pressure",
		[STALL_IO] = "io.pressure"};
	struct stall_files *files = malloc(sizeof(*files));

	for (size_t i = 0; files && i < STALL_N; i++)
		files->fds[i] = openat(dir, names[i], O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return files;
}

void stalls_close(struct stall_files *files)
{
	if (!files)
		return;
	for (size_t i = 0; i < STALL_N; i++)
		close_fd(&files->fds[i]);
	free(files);
}

/* "5.14": two decimals, as the kernel writes it, up to "100.00". */
static int32_t parse_percent(const char *text)
{
	char *end;
	unsigned long whole = strtoul(text, &end, 10);

	if (end == text || *end != '.' || whole > 100 || end[1] < '0' || end[1] > '9' ||
		end[2] < '0' || end[2] > '9')
		return -1;
	return (int32_t)whole * 100 + (end[1] - '0') * 10 + (end[2] - '0');
}

/* What follows the kind in its line, " avg10=..."; NULL: there is none. */
static const char *find_line(const char *text, const char *kind)
{
	size_t len = strlen(kind);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, kind, len) && !strncmp(line + len, " avg10=", 7))
			return line + len;
	}
	return NULL;
}

int32_t stalls_parse(const char *text, const char *kind)
{
	const char *line = find_line(text, kind);

	return line ? parse_percent(line + strlen(" avg10=")) : -1;
}

uint64_t stalls_parse_total(const char *text, const char *kind)
{
	const char *line = find_line(text, kind);
	const char *total = line ? strstr(line, " total=") : NULL;

	if (!total || total > strchrnul(line, '\n'))
		return STALLS_UNKNOWN;
	total += strlen(" total=");
	return *total >= '0' && *total <= '9' ? strtoull(total, NULL, 10) : STALLS_UNKNOWN;
}

void stalls_read(const struct stall_files *files, struct stalls *ret)
{
	for (size_t i = 0; i < STALL_N; i++) {
		char text[TEXT_MAX];
		bool known = files && files->fds[i] >= 0 &&
			     fd_pread_text(files->fds[i], text, sizeof(text)) >= 0;

		ret->some[i] = known ? stalls_parse(text, "some") : -1;
		ret->full[i] = known ? stalls_parse(text, "full") : -1;
		ret->some_usec[i] = known ? stalls_parse_total(text, "some") : STALLS_UNKNOWN;
		ret->full_usec[i] = known ? stalls_parse_total(text, "full") : STALLS_UNKNOWN;
	}
}

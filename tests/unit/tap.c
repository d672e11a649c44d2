/*
 * Mends cmocka's TAP: a skipped test is "not ok 3 # SKIP name" there, which by the protocol is one
 * that failed. Here its line becomes "ok 3 - name # SKIP reason", the reason being what the
 * "# skip: ..." line before it said, so that meson and tests/tally.py read the same.
 *
 * Standard output is replaced by a stream that hands on to the same descriptor what it is given,
 * at once. cmocka flushes each line, so a line comes whole; what comes in pieces is left as it is.
 * It must never change any other line. Linked whole into every test that has cmocka.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define REASON_MARK "# skip: "

static struct {
	bool within_line;
	char reason[256];
} tap;

static int put(const char *text, size_t n)
{
	while (n > 0) {
		ssize_t done = write(STDOUT_FILENO, text, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		text += done;
		n -= (size_t)done;
	}
	return 0;
}

/* A whole line, with its end. */
static int put_line(const char *text, size_t n)
{
	char line[1024], mended[2048];
	unsigned number;
	int name_at = 0;

	if (n > sizeof(line))
		return put(text, n);
	memcpy(line, text, n - 1);
	line[n - 1] = '\0';
	if (strncmp(line, REASON_MARK, strlen(REASON_MARK)) == 0)
		snprintf(tap.reason, sizeof(tap.reason), "%.255s", line + strlen(REASON_MARK));
	if (sscanf(line, "not ok %u # SKIP %n", &number, &name_at) != 1 || name_at == 0)
		return put(text, n);
	n = (size_t)snprintf(mended, sizeof(mended), "ok %u - %s # SKIP %s\n", number,
		line + name_at, tap.reason[0] ? tap.reason : "no reason given");
	tap.reason[0] = '\0';
	return put(mended, n);
}

static ssize_t take(void *cookie, const char *text, size_t size)
{
	(void)cookie;
	for (size_t at = 0; at < size;) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t n = end ? (size_t)(end + 1 - text) - at : size - at;
		bool whole = end && !tap.within_line;

		if ((whole ? put_line(text + at, n) : put(text + at, n)) < 0)
			return 0;
		tap.within_line = !end;
		at += n;
	}
	return (ssize_t)size;
}

__attribute__((constructor)) static void replace_stdout(void)
{
	const char *format = getenv("CMOCKA_MESSAGE_OUTPUT");
	FILE *stream;

	if (!format || strcasecmp(format, "TAP") != 0)
		return;
	stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = take});
	if (!stream)
		abort();
	setvbuf(stream, NULL, _IOLBF, 0);
	stdout = stream;
}

/* Reports of croft doctor, and what a host has of space and time; see doctor.h. Changes nothing. */
#include "cli/doctor.h"

#include "base/limits.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#define SPACE_FAIL (UINT64_C(1) << 30)
#define SPACE_WARN (UINT64_C(10) << 30)

void doctor_report(const struct doctor *d, enum doctor_level level, const char *check,
	const char *advice, const char *found, ...)
{
	struct finding f = {.level = level};
	va_list ap;

	snprintf(f.check, sizeof(f.check), "%s", check);
	snprintf(f.advice, sizeof(f.advice), "%s", level != DOCTOR_OK && advice ? advice : "");
	va_start(ap, found);
	vsnprintf(f.found, sizeof(f.found), found, ap);
	va_end(ap);
	d->report(d->data, &f);
}

/* The file system that a directory is on, or will be: that of its nearest parent that is there. */
static int space_at(int root_fd, const char *path, struct statvfs *ret)
{
	char below[512];
	size_t len = (size_t)snprintf(below, sizeof(below), "%s", path + strspn(path, "/"));

	if (len >= sizeof(below))
		return -1;
	for (;;) {
		int fd = openat(root_fd, len ? below : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		int r = fd < 0 ? -1 : fstatvfs(fd, ret);

		if (fd >= 0)
			close(fd);
		if (r == 0 || !len)
			return r;
		while (len && below[len - 1] != '/')
			len--;
		while (len && below[len - 1] == '/')
			len--;
		below[len] = '\0';
	}
}

static void check_space(const struct doctor *d, const char *state)
{
	char text[LIMIT_TEXT_MAX];
	struct statvfs fs;
	uint64_t bytes;

	if (space_at(d->root_fd, state, &fs) < 0) {
		doctor_report(d, DOCTOR_FAIL, "space", "look whether its file system is mounted",
			"cannot tell how much is free for %s", state);
		return;
	}
	bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	doctor_report(d,
		bytes < SPACE_FAIL   ? DOCTOR_FAIL
		: bytes < SPACE_WARN ? DOCTOR_WARN
				     : DOCTOR_OK,
		"space",
		"make room, or give croftd another --state: images and containers are there",
		"%s free for %s", size_format(bytes, text), state);
	if (fs.f_files && fs.f_favail < fs.f_files / 20)
		doctor_report(d, DOCTOR_WARN, "inodes", "remove files, or make a new file system",
			"fewer than 5 %% of the inodes are free for %s", state);
}

/* Bills and events carry times. */
static void check_clock(const struct doctor *d)
{
	struct timex t = {0};
	int state = adjtimex(&t);

	if (state < 0 || state == TIME_ERROR || (t.status & STA_UNSYNC))
		doctor_report(d, DOCTOR_WARN, "clock",
			"run an NTP client such as chrony: records carry times",
			"nothing keeps the clock right");
	else
		doctor_report(d, DOCTOR_OK, "clock", NULL, "kept right");
}

void doctor_resources(const struct doctor *d, const char *state)
{
	check_space(d, state);
	check_clock(d);
}

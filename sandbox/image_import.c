/*
 * Running croft-importer; see image_import.h. Hands it the target, and watches it. Must never parse
 * the archive, nor believe a report without checking it: what unpacks it may have been taken over
 * by it.
 */
#include "sandbox/image_import.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "sandbox/image_config.h"
#include "sandbox/jailed.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define SECONDS_DEFAULT 60u
#define SECONDS_MAX	86400u
#define CONFIG_WAIT_MS	10000

static void cleanup_child(struct jailed *child)
{
	jailed_end(child, NULL);
}

static int start(const struct image_import *import, const struct image_limits *limits,
	struct jailed *ret, struct err *err)
{
	char bytes[24];
	char entries[24];
	char snapshots[24];
	char all_bytes[24];
	char all_entries[24];
	const char *argv[] = {"croft-importer", bytes, entries, import->init, import->reference,
		snapshots, all_bytes, all_entries, NULL};
	const struct jailed_options options = {
		.program_fd = import->importer_fd,
		.stream_fd = import->archive_fd,
		.extra_fd = -1,
		.tree_fd = import->target_fd,
		.id_base = import->id_base,
		.argv = argv,
	};

	snprintf(bytes, sizeof(bytes), "%" PRIu64, limits->bytes);
	snprintf(entries, sizeof(entries), "%" PRIu64, limits->entries);
	snprintf(snapshots, sizeof(snapshots), "%" PRIu32, limits->snapshots);
	snprintf(all_bytes, sizeof(all_bytes), "%" PRIu64, limits->all_bytes);
	snprintf(all_entries, sizeof(all_entries), "%" PRIu64, limits->all_entries);
	return jailed_start(&options, ret, err);
}

/* Makes a peer's report safe to use. Returns 0 or -EBADMSG. */
static int check_report(struct image_report *report)
{
	size_t length = strnlen(report->init_path, sizeof(report->init_path));

	if (report->final > 1 || report->init > IMAGE_INIT_SYSV ||
		report->config_size > IMAGE_CONFIG_BYTES_MAX ||
		length == sizeof(report->init_path) || (length && report->init_path[0] != '/'))
		return -EBADMSG;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)report->init_path[i] < ' ' || report->init_path[i] == 0x7f)
			return -EBADMSG;
	memset(report->init_path + length, 0, sizeof(report->init_path) - length);
	if (report->err.code != ERR_OK)
		err_sanitize(&report->err);
	return 0;
}

/* Returns 1 for the row of a snapshot that comes. */
static int receive_report(
	const struct jailed *child, struct image_report *ret, struct snapshot_row *ret_row)
{
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	ssize_t n = fd_recv(child->report_fd, ret, sizeof(*ret), fds, &n_fds);

	_Static_assert(sizeof(*ret_row) != sizeof(struct err) && sizeof(*ret_row) < sizeof(*ret),
		"messages differ by their size");

	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	if (n < 0)
		return (int)n;
	if (n == 0)
		return -EPIPE;
	if ((size_t)n == sizeof(struct err)) {
		/* It was not even started. */
		struct err why;

		memcpy(&why, ret, sizeof(why));
		*ret = (struct image_report){.final = 1, .err = why};
		return check_report(ret);
	}
	if ((size_t)n == sizeof(*ret_row)) {
		memcpy(ret_row, ret, sizeof(*ret_row));
		return 1;
	}
	return (size_t)n == sizeof(*ret) ? check_report(ret) : -EBADMSG;
}

static int explain_death(struct jailed *child, struct err *err)
{
	siginfo_t info = {0};

	/* Its end of the socket is closed: it has ended, or is about to. */
	jailed_end(child, &info);
	return err_set(err, ERR_INTERNAL, "IMPORTER_DIED",
		"the importer ended before the image was complete (%s %d); if the host was short "
		"of memory, try again later",
		info.si_code == CLD_EXITED ? "status" : "signal", info.si_status);
}

static int stalled(const struct image_limits *limits, struct err *err)
{
	return err_set(err, ERR_DEADLINE_EXCEEDED, "IMPORT_STALLED",
		"nothing of the archive was unpacked for %u seconds; send it without pauses, or "
		"check that it is a proper archive",
		limits->seconds);
}

/* Hands over the directory of a snapshot. */
static int hand_tree(struct jailed *child, const struct image_import *import,
	const struct snapshot_row *row, const struct image_report *report, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (!import->limits.snapshots)
		return err_sys(err, EBADMSG, "read the importer's report");
	r = import->snapshot(row, report, &fd, import->arg, err);
	return r < 0 ? r : jailed_hand(child, fd, false, err);
}

/* Reads reports until the final one. */
static int watch(struct jailed *child, const struct image_import *import,
	const struct image_limits *limits, struct image_report *ret, struct err *err)
{
	uint64_t timeout_usec = limits->seconds * 1000000ull;
	uint64_t last = clock_boot_usec();
	struct image_report report = {0};
	struct image_report last_report = {0};
	struct snapshot_row row;
	uint64_t done = 0;

	for (;;) {
		struct pollfd p = {.fd = child->report_fd, .events = POLLIN};
		uint64_t idle = clock_boot_usec() - last;
		int n;
		int r;

		if (idle >= timeout_usec)
			return stalled(limits, err);
		n = poll(&p, 1, (int)((timeout_usec - idle) / 1000 + 1));
		if (n < 0 && errno != EINTR)
			return err_sys(err, errno, "wait for the importer");
		if (n <= 0)
			continue;
		r = receive_report(child, &report, &row);
		if (r == -EPIPE || r == -ECONNRESET)
			return explain_death(child, err);
		if (r < 0)
			return err_sys(err, r, "read the importer's report");
		if (r > 0) {
			r = hand_tree(child, import, &row, &last_report, err);
			if (r < 0)
				return r;
			last = clock_boot_usec();
			continue;
		}
		last_report = report;
		if (report.final) {
			*ret = report;
			return 0;
		}
		if (report.bytes + report.entries != done)
			last = clock_boot_usec();
		done = report.bytes + report.entries;
		if (import->progress)
			import->progress(&report, import->progress_arg);
	}
}

/*
 * The config that follows the final report, checked: an importer that was taken over may send
 * anything, or nothing.
 */
static int receive_config(struct jailed *child, size_t size, int *ret_fd, struct err *err)
{
	_cleanup_free_ uint8_t *data = malloc(IMAGE_CONFIG_BYTES_MAX);
	struct pollfd p = {.fd = child->report_fd, .events = POLLIN};
	struct image_config *config = NULL;
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	ssize_t n;
	int r;

	if (!data)
		return err_oom(err);
	n = poll(&p, 1, CONFIG_WAIT_MS) == 1
		    ? fd_recv(child->report_fd, data, IMAGE_CONFIG_BYTES_MAX, fds, &n_fds)
		    : -ETIMEDOUT;
	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	if (n != (ssize_t)size)
		return err_sys(err, n < 0 ? (int)n : EBADMSG, "read the image's config");
	r = image_config_parse(data, size, &config, err);
	if (r < 0)
		return r;
	image_config_free(config);
	r = fd_sealed_memfd("croft-image-config", data, size);
	if (r < 0)
		return err_sys(err, r, "keep the image's config");
	*ret_fd = r;
	return 0;
}

int image_import_run(const struct image_import *import, struct image_report *ret, int *ret_config,
	struct err *err)
{
	_cleanup_(cleanup_child) struct jailed child = JAILED_INIT;
	struct image_limits bounded = import->limits;
	struct image_report report = {0};
	_cleanup_close_ int config = -1;
	int r;

	if (bounded.seconds == 0)
		bounded.seconds = SECONDS_DEFAULT;
	if (bounded.seconds > SECONDS_MAX)
		bounded.seconds = SECONDS_MAX;
	r = start(import, &bounded, &child, err);
	if (r == 0)
		r = watch(&child, import, &bounded, &report, err);
	if (r < 0)
		return r;
	if (report.err.code != ERR_OK) {
		if (err)
			*err = report.err;
		return err_code_to_errno((enum err_code)report.err.code);
	}
	r = report.config_size ? receive_config(&child, report.config_size, &config, err) : 0;
	if (r < 0)
		return r;
	*ret = report;
	*ret_config = take_fd(&config);
	return 0;
}

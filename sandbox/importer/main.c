/*
 * croft-importer: unpacks one untrusted archive; see importer.h for how it is started. Shuts
 * itself in first (jail.c), then reads. Must never read a byte of the archive before that.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/image_import.h"
#include "sandbox/importer/import.h"
#include "sandbox/importer/importer.h"
#include "sandbox/importer/init_detect.h"
#include "sandbox/importer/jail.h"

#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

static ssize_t read_archive(void *arg, void *buf, size_t size)
{
	ssize_t n;

	(void)arg;
	do
		n = read(IMPORTER_ARCHIVE_FD, buf, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int send_report(void *arg, const struct image_report *report)
{
	(void)arg;
	return fd_send(IMPORTER_REPORT_FD, report, sizeof(*report), NULL, 0);
}

/* The directory for a snapshot. */
static int receive_tree(
	void *arg, const struct image_report *report, const struct snapshot_row *row)
{
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	char c;
	ssize_t n = send_report(arg, report);

	if (n == 0)
		n = fd_send(IMPORTER_REPORT_FD, row, sizeof(*row), NULL, 0);
	if (n == 0)
		n = fd_recv(IMPORTER_REPORT_FD, &c, 1, fds, &n_fds);
	if (n == 1 && n_fds == 1)
		return fds[0];
	return n < 0 ? (int)n : -EPIPE;
}

static int parse_number(const char *text, uint64_t *ret, struct err *err)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (errno || end == text || *end)
		return err_set(err, ERR_INVALID_ARGUMENT, "BAD_ARGUMENT",
			"croft-importer is started by the supervisor only");
	return 0;
}

static int parse_arguments(int argc, char **argv, struct unpack_config *config, struct err *err)
{
	struct image_limits *limits = &config->limits;
	uint64_t snapshots = 0;
	int r = parse_number(argc == 8 ? argv[1] : "", &limits->bytes, err);

	if (r == 0)
		r = parse_number(argv[2], &limits->entries, err);
	if (r == 0)
		r = parse_number(argv[5], &snapshots, err);
	if (r == 0)
		r = parse_number(argv[6], &limits->all_bytes, err);
	if (r == 0)
		r = parse_number(argv[7], &limits->all_entries, err);
	limits->snapshots = (uint32_t)snapshots;
	if (r == 0)
		config->reference = argv[4];
	return r;
}

static int import(int argc, char **argv, struct image_report *report,
	struct wire_writer *ret_config, struct err *err)
{
	struct unpack_config config = {
		.read = read_archive, .progress = send_report, .next_tree = receive_tree};
	_cleanup_close_ int root = -1;
	int r = parse_arguments(argc, argv, &config, err);

	if (r == 0)
		r = jail_enter(IMPORTER_TREE_FD, JAIL_IMPORTER, err);
	if (r < 0)
		return r;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(err, errno, "open the image's root");
	r = import_run(root, &config, report, ret_config, err);
	/* An init that the importing names is run instead of what the image says. */
	if (r == 0 && argv[3][0]) {
		report->config_size = 0;
		r = init_check(root, argv[3], err);
	}
	return r;
}

int main(int argc, char **argv)
{
	struct image_report report = {0};
	struct wire_writer app = {0};
	struct err err = {0};

	/* Names are bytes; libarchive wants a locale to carry UTF-8 through unchanged. */
	setlocale(LC_CTYPE, "C.UTF-8");
	/* Beyond the file size limit a write then fails, instead of ending the process. */
	signal(SIGXFSZ, SIG_IGN);
	umask(0);
	if (import(argc, argv, &report, &app, &err) < 0)
		report.err = err;
	report.final = 1;
	if (send_report(NULL, &report) < 0)
		_exit(1);
	if (report.config_size && fd_send(IMPORTER_REPORT_FD, app.data, app.size, NULL, 0) < 0)
		_exit(1);
	/* Not exit(): what libraries do at the end needs files that are out of reach. */
	_exit(0);
}

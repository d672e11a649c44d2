/* croft doctor: what of this host is in Croft's way, and what to do. Changes nothing. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/doctor.h"
#include "cli/options.h"
#include "cli/usage.h"
#include "croft/v1/host.pb-c.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define DEFAULT_STATE "/var/lib/croft"

const struct column finding_columns[] = {
	{"level", "level", "level", COLUMN_PLAIN, NULL},
	{"check", "check", "check", COLUMN_PLAIN, NULL},
	{"found", "found", "found", COLUMN_PLAIN, NULL},
	{"advice", "what to do", "advice", COLUMN_PLAIN, NULL},
	{0},
};

struct report {
	struct output *output;
	struct err *err;
	int error;
	bool failed;
};

/* For people: what to do stands below what was found, and nothing where all is well. */
static void print_line(const struct finding *f)
{
	static const char *const words[] = {
		[DOCTOR_OK] = "ok", [DOCTOR_WARN] = "warn", [DOCTOR_FAIL] = "FAIL"};

	printf("%-5s %s: %s\n", words[f->level], f->check, f->found);
	if (*f->advice)
		printf("      %s\n", f->advice);
}

static void add(void *data, const struct finding *f)
{
	static const Croft__V1__Finding__Level levels[] = {
		[DOCTOR_OK] = CROFT__V1__FINDING__LEVEL__OK,
		[DOCTOR_WARN] = CROFT__V1__FINDING__LEVEL__WARN,
		[DOCTOR_FAIL] = CROFT__V1__FINDING__LEVEL__FAIL,
	};
	Croft__V1__Finding message = CROFT__V1__FINDING__INIT;
	struct report *report = data;

	message.check = (char *)f->check;
	message.level = levels[f->level];
	message.found = (char *)f->found;
	message.advice = (char *)f->advice;
	if (f->level == DOCTOR_FAIL)
		report->failed = true;
	if (!report->output)
		print_line(f);
	else if (report->error == 0)
		report->error = output_add(report->output, &message.base, report->err);
}

static void check_io_limits(const struct doctor *d, const char *limits)
{
	if (!strcmp(limits, "all"))
		doctor_report(d, DOCTOR_OK, "I/O limits", NULL, "hold");
	else if (!strcmp(limits, "reading"))
		doctor_report(d, DOCTOR_WARN, "I/O limits",
			"boot the host with cgroup v2: here tenants are not held in what they "
			"read and write",
			"of what each container reads, alone");
	else
		doctor_report(d, DOCTOR_WARN, "I/O limits",
			"have the kernel's controller of I/O delegated to Croft, and the pool on "
			"one disk",
			"none");
}

/* What only the daemons know. That none runs here yet is no fault of the host. */
static void ask_croftd(struct cli *cli, const struct doctor *d)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Google__Protobuf__Empty request = GOOGLE__PROTOBUF__EMPTY__INIT;
	const Croft__V1__HostInfo *info;
	struct err err;

	if (cli_call(cli, &croft__v1__host__descriptor, "GetHostInfo", &request.base, &reply,
		    &err) < 0) {
		doctor_report(d, DOCTOR_WARN, "croftd",
			"start croftd, or ask as root: the rest is known to it alone", "%s",
			err.msg);
		return;
	}
	info = (const void *)reply;
	doctor_report(d, DOCTOR_OK, "croftd", NULL, "answers, version %s", info->version);
	if (!info->supervisor_connected) {
		doctor_report(d, DOCTOR_FAIL, "supervisor",
			"start croft-supervisor, or croftd as root again", "does not answer");
		return;
	}
	doctor_report(d, DOCTOR_OK, "supervisor", NULL, "answers");
	if (!*info->pool_driver)
		doctor_report(d, DOCTOR_OK, "pool", NULL, "made on first use");
	else if (info->pool_size_bytes && info->pool_used_bytes > info->pool_size_bytes / 10 * 9)
		doctor_report(d, DOCTOR_WARN, "pool", "delete snapshots, images or containers",
			"more than 90 %% full");
	else
		doctor_report(d, info->disk_limits_enforced ? DOCTOR_OK : DOCTOR_WARN, "pool",
			"disk limits hold with --pool-driver btrfs or project", "%s%s",
			info->pool_driver,
			info->disk_limits_enforced ? "" : ": it enforces no disk limit");
	if (*info->io_limits)
		check_io_limits(d, info->io_limits);
}

static int doctor(struct cli *cli, struct err *err)
{
	const char *state = options_get(&cli->options, "state");
	_cleanup_output_ struct output *output = NULL;
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct report report = {.err = err};
	struct doctor d = {.root_fd = root, .report = add, .data = &report};
	int r;

	if (root < 0)
		return err_sys(err, errno, "open /");
	if (state && *state != '/')
		return usage_error(err, "--state wants an absolute path");
	if (cli->format != OUTPUT_TABLE) {
		r = output_create(cli->format, finding_columns, stdout, &output, err);
		if (r < 0)
			return r;
		report.output = output;
	}
	doctor_kernel(&d);
	doctor_settings(&d);
	doctor_resources(&d, state ? state : DEFAULT_STATE);
	ask_croftd(cli, &d);
	r = report.error;
	if (r == 0)
		r = output ? output_end(output, err) : output_flush(stdout, err);
	if (r == 0 && report.failed)
		cli->status = CLI_REFUSED;
	return r;
}

const struct command cmd_doctor = {
	.name = "doctor",
	.summary = "Look over this host: what Croft lacks here, and what to do.",
	.options =
		(const struct option_rule[]){
			{.name = "state",
				.value = "DIR",
				.kind = WORD_FILE,
				.help = "where croftd keeps its state (default: " DEFAULT_STATE
					")"},
			{0},
		},
	.run = doctor,
};

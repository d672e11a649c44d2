/*
 * croft-supervisor: options, the lock against a second one, and the loop. Must be started as root;
 * croftd does that, or systemd.
 */
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/pid_file.h"
#include "sandbox/privileges.h"
#include "sandbox/seal.h"
#include "sandbox/supervisor.h"

#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define PID_FILE "supervisor.pid"

static const char usage[] =
	"usage: croft-supervisor --state DIR --run DIR [--cgroup-parent NAME] [--peer-uid UID]\n"
	"                        [--policy-dir DIR] [--pool-driver btrfs|project|plain]\n"
	"                        [--pool-size SIZE] [--lxcfs PATH|off]\n"
	"                        [--refused-calls tell|off]\n";

enum option_id {
	O_STATE = 1,
	O_RUN,
	O_PARENT,
	O_UID,
	O_POLICIES,
	O_DRIVER,
	O_SIZE,
	O_LXCFS,
	O_REFUSED
};

static const struct option options[] = {
	{"state", required_argument, NULL, O_STATE},
	{"run", required_argument, NULL, O_RUN},
	{"cgroup-parent", required_argument, NULL, O_PARENT},
	{"peer-uid", required_argument, NULL, O_UID},
	{"policy-dir", required_argument, NULL, O_POLICIES},
	{"pool-driver", required_argument, NULL, O_DRIVER},
	{"pool-size", required_argument, NULL, O_SIZE},
	{"lxcfs", required_argument, NULL, O_LXCFS},
	{"refused-calls", required_argument, NULL, O_REFUSED},
	{NULL, 0, NULL, 0},
};

static int parse_uid(const char *text, uid_t *ret)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || value >= UINT32_MAX)
		return -EINVAL;
	*ret = (uid_t)value;
	return 0;
}

static int parse_option(struct supervisor_config *config, int id, const char *value)
{
	switch (id) {
	case O_STATE:
		config->state_path = value;
		return 0;
	case O_RUN:
		config->run_path = value;
		return 0;
	case O_PARENT:
		config->cgroup_parent = value;
		return 0;
	case O_UID:
		return parse_uid(value, &config->peer_uid);
	case O_POLICIES:
		config->policy_dirs[0] = value;
		return 0;
	case O_DRIVER:
		if (strcmp(value, "btrfs") != 0 && strcmp(value, "project") != 0 &&
			strcmp(value, "plain") != 0)
			return -EINVAL;
		snprintf(config->pool_driver, sizeof(config->pool_driver), "%s", value);
		return 0;
	case O_SIZE:
		return size_parse(value, &config->pool_size_bytes) < 0 ||
				       config->pool_size_bytes < POOL_SIZE_MIN
			       ? -EINVAL
			       : 0;
	case O_LXCFS:
		config->lxcfs = value;
		return *value == '/' || !strcmp(value, "off") ? 0 : -EINVAL;
	case O_REFUSED:
		config->tells_refused = !strcmp(value, "tell");
		return config->tells_refused || !strcmp(value, "off") ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

static int parse_options(int argc, char **argv, struct supervisor_config *config)
{
	int id;

	while ((id = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (parse_option(config, id, optarg) < 0)
			return -EINVAL;
	return optind == argc && config->state_path && config->run_path ? 0 : -EINVAL;
}

/* Beside the program in a build tree; where it was installed to otherwise. */
static void find_programs(const char *dir, struct supervisor_config *config,
	char libexec[static PATH_MAX], char policies[static PATH_MAX + 32])
{
	char importer[PATH_MAX + 32];
	char profiles[PATH_MAX + 32];
	bool built;

	snprintf(importer, sizeof(importer), "%s/croft-importer", dir);
	snprintf(profiles, sizeof(profiles), "%s/policy/profiles", dir);
	built = access(importer, X_OK) == 0 && access(profiles, R_OK) == 0;
	snprintf(libexec, PATH_MAX, "%s", built ? dir : CROFT_LIBEXEC_DIR);
	snprintf(policies, PATH_MAX + 32, "%s", built ? profiles : CROFT_POLICY_DIR);
	config->libexec_path = libexec;
	config->policy_dirs[1] = policies;
	if (!config->policy_dirs[0])
		config->policy_dirs[0] = CROFT_LOCAL_POLICY_DIR;
}

/* Holds the directory open, to remove the file at the end. */
struct run_lock {
	int dir_fd;
	int fd;
};

/* Two supervisors over one run directory would each believe to own its containers. */
static int lock_run_directory(const char *path, struct run_lock *ret, struct err *err)
{
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dir < 0)
		return err_sys(err, errno, "open %s", path);
	r = pid_file_take(dir, PID_FILE, "a supervisor", &ret->fd, err);
	if (r == 0)
		ret->dir_fd = take_fd(&dir);
	return r;
}

/* Started with one of them closed, a socket of ours would be somebody's standard output. */
static void open_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	cleanup_close(&fd);
}

static int run(const struct supervisor_config *config, struct err *err)
{
	struct supervisor s;
	int r = supervisor_init(&s, config, err);

	if (r == 0)
		r = supervisor_run(&s, err);
	supervisor_finish(&s);
	return r;
}

int main(int argc, char **argv)
{
	struct supervisor_config config = {.cgroup_parent = "croft", .tells_refused = true};
	char policies[PATH_MAX + 32];
	char libexec[PATH_MAX];
	char dir[PATH_MAX];
	struct err err;
	struct run_lock lock = {-1, -1};

	open_standard_fds();
	seal_note_arguments(argc, argv);
	log_init("croft-supervisor");
	if (parse_options(argc, argv, &config) < 0) {
		fputs(usage, stderr);
		return 2;
	}
	if (geteuid() != 0) {
		log_error("must be started as root");
		return 1;
	}
	if (seal_self(argv, &err) < 0 || seal_program_dir(dir, sizeof(dir), &err) < 0)
		goto fail;
	find_programs(dir, &config, libexec, policies);
	if (lock_run_directory(config.run_path, &lock, &err) < 0)
		goto fail;
	if (privileges_cut(&err) < 0 || run(&config, &err) < 0)
		goto fail;
	pid_file_remove(lock.dir_fd, PID_FILE, &lock.fd);
	return 0;
fail:
	log_error("%s", err.msg);
	pid_file_remove(lock.dir_fd, PID_FILE, &lock.fd);
	return 1;
}

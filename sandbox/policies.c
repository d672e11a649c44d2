/*
 * Compiled policies; see policies.h. A profile reaches croft-policy as its standard input, the
 * program comes back in a memfd, and is checked before it is believed.
 */
#include "sandbox/policies.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "policy/format.h"
#include "sandbox/telling.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define POLICIES_MAX 64
#define SUFFIX	     ".json"

struct policy {
	struct policies *set;
	char name[NAME_SIZE];
	int source_fd;
	struct sock_filter *program; /* NULL when it could not be compiled */
	unsigned short n_program;
	struct sock_filter *telling; /* the same, made to tell (telling.h); NULL: it cannot */
	unsigned short n_telling;
	unsigned flags;
	uint32_t warnings;
	struct err err;
};

struct policies {
	struct supervisor *s;
	void (*ready)(struct supervisor *s);
	struct policy list[POLICIES_MAX]; /* by name */
	size_t n;
	size_t pending;
	char compiler[PATH_MAX];
};

static struct policy *find(const struct policies *policies, const char *name)
{
	for (size_t i = 0; i < policies->n; i++)
		if (!strcmp(policies->list[i].name, name))
			return (struct policy *)&policies->list[i];
	return NULL;
}

/* In the worker: becomes croft-policy, between the profile and the memfd. */
__attribute__((noreturn)) static void execute_compiler(const struct policy *policy, int out_fd)
{
	const char *path = policy->set->compiler;
	char *argv[] = {(char *)"croft-policy", NULL};
	char *envp[] = {NULL};

	if (lseek(policy->source_fd, 0, SEEK_SET) < 0 || dup2(policy->source_fd, 0) < 0 ||
		dup2(out_fd, 1) < 0)
		_exit(POLICY_EXIT_USAGE);
	execve(path, argv, envp);
	_exit(POLICY_EXIT_USAGE);
}

static int compile(void *arg, struct job_output *out, struct err *err)
{
	struct policy *policy = arg;
	int out_fd = memfd_create("croft-policy", MFD_CLOEXEC);
	int status = 0;
	pid_t pid;

	if (out_fd < 0)
		return err_sys(err, errno, "compile a policy");
	pid = fork();
	if (pid == 0)
		execute_compiler(policy, out_fd);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return err_sys(err, errno, "compile a policy");
	if (!WIFEXITED(status) || WEXITSTATUS(status) > POLICY_EXIT_REFUSED)
		return err_set(err, ERR_INTERNAL, "POLICY_COMPILER_FAILED",
			"the policy compiler did not end well; see the host's log");
	out->fds[out->n_fds++] = out_fd;
	return 0;
}

static void list_fds(void *arg, struct fd_list *list)
{
	const struct policy *policy = arg;

	fd_list_add(list, policy->source_fd);
}

/* Without it nothing is told of this policy's refusals, and all of them hold. */
static void make_telling(struct policy *policy)
{
	uint64_t set = telling_set(policy->program, policy->n_program);
	int r = set ? telling_make(policy->program, policy->n_program, set, &policy->telling,
			      &policy->n_telling)
		    : 0;

	if (r < 0)
		log_warning("policy does not tell policy=%s errno=%d", policy->name, -r);
}

static int take_program(struct policy *policy, int fd, struct err *err)
{
	_cleanup_free_ uint8_t *data = malloc(POLICY_OUTPUT_MAX + 1);
	const struct sock_filter *program;
	struct policy_header header;
	ssize_t n;
	int r;

	if (!data)
		return err_oom(err);
	n = pread(fd, data, POLICY_OUTPUT_MAX + 1, 0);
	if (n < 0)
		return err_sys(err, errno, "read a compiled policy");
	r = policy_output_check(data, (size_t)n, &header, &program, err);
	if (r < 0)
		return r;
	policy->program = calloc(header.n_instructions, sizeof(*program));
	if (!policy->program)
		return err_oom(err);
	memcpy(policy->program, program, header.n_instructions * sizeof(*program));
	policy->n_program = (unsigned short)header.n_instructions;
	policy->flags = header.flags;
	policy->warnings = header.n_warnings;
	make_telling(policy);
	return 0;
}

static void compiled(void *arg, struct job_result *result)
{
	struct policy *policy = arg;
	struct policies *set = policy->set;
	int r = result->r;

	policy->err = result->err;
	if (r == 0)
		r = take_program(policy, result->fds[0], &policy->err);
	if (r < 0)
		log_warning(
			"policy not usable policy=%s error=\"%s\"", policy->name, policy->err.msg);
	else
		log_info("policy compiled policy=%s instructions=%u warnings=%u", policy->name,
			policy->n_program, policy->warnings);
	if (--set->pending == 0)
		set->ready(set->s);
}

/* Profiles are root's: one that others may write would let them choose what a tenant may do. */
static int open_profile(int dir_fd, const char *file, struct err *err)
{
	_cleanup_close_ int fd = openat(dir_fd, file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "open the profile");
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, ERR_FAILED_PRECONDITION, "POLICY_NOT_TRUSTED",
			"the profile must be a file that belongs to root and that nobody else may "
			"write");
	return take_fd(&fd);
}

static void add(struct policies *policies, int dir_fd, const char *file)
{
	struct policy *policy = &policies->list[policies->n];
	size_t len = strlen(file);
	char name[NAME_SIZE];

	if (len <= strlen(SUFFIX) || len - strlen(SUFFIX) > NAME_LEN_MAX ||
		strcmp(file + len - strlen(SUFFIX), SUFFIX) != 0)
		return;
	memcpy(name, file, len - strlen(SUFFIX));
	name[len - strlen(SUFFIX)] = '\0';
	if (!name_is_valid(name) || find(policies, name) || policies->n == POLICIES_MAX)
		return;
	policies->n++;
	policy->set = policies;
	memcpy(policy->name, name, sizeof(name));
	policy->source_fd = open_profile(dir_fd, file, &policy->err);
	if (policy->source_fd < 0)
		log_warning("policy not usable policy=%s error=\"%s\"", name, policy->err.msg);
}

static int scan(struct policies *policies, const char *path, struct err *err)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return errno == ENOENT ? 0 : err_sys(err, errno, "read the policies");
	while ((entry = readdir(dir)))
		add(policies, dirfd(dir), entry->d_name);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct policy *)a)->name, ((const struct policy *)b)->name);
}

static int start_compilers(struct policies *policies, struct err *err)
{
	for (size_t i = 0; i < policies->n; i++) {
		struct job_options options = {
			.fn = compile,
			.done = compiled,
			.list_fds = list_fds,
			.arg = &policies->list[i],
			.into_cgroup_fd = -1,
			.timeout_ms = JOB_TIMEOUT_MS,
		};
		int r;

		if (policies->list[i].source_fd < 0)
			continue;
		policies->pending++;
		r = job_start(policies->s->jobs, &options, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int policies_load(struct supervisor *s, void (*ready)(struct supervisor *s), struct policies **ret,
	struct err *err)
{
	struct policies *policies = calloc(1, sizeof(*policies));
	int r = 0;

	if (!policies)
		return err_oom(err);
	policies->s = s;
	policies->ready = ready;
	snprintf(policies->compiler, sizeof(policies->compiler), "%s/croft-policy",
		s->config.libexec_path);
	for (size_t i = 0; i < ARRAY_SIZE(s->config.policy_dirs) && r == 0; i++)
		if (s->config.policy_dirs[i])
			r = scan(policies, s->config.policy_dirs[i], err);
	if (r < 0) {
		policies_destroy(policies);
		return r;
	}
	qsort(policies->list, policies->n, sizeof(policies->list[0]), by_name);
	*ret = policies;
	r = start_compilers(policies, err);
	if (r == 0 && policies->pending == 0)
		ready(s);
	return r;
}

void policies_destroy(struct policies *policies)
{
	if (!policies)
		return;
	for (size_t i = 0; i < policies->n; i++) {
		free(policies->list[i].program);
		free(policies->list[i].telling);
		close_fd(&policies->list[i].source_fd);
	}
	free(policies);
}

static int not_found(const char *name, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "POLICY_NOT_FOUND",
		"there is no policy \"%.40s\": see croft policy list", name);
}

int policies_get(
	const struct policies *policies, const char *name, struct confinement *ret, struct err *err)
{
	const struct policy *policy = find(policies, name);

	if (!policy)
		return not_found(name, err);
	if (!policy->program) {
		err_set(err, ERR_FAILED_PRECONDITION, "POLICY_UNUSABLE",
			"policy %s cannot be used: %.300s", name, policy->err.msg);
		return -EINVAL;
	}
	ret->filter = policy->program;
	ret->n_filter = policy->n_program;
	ret->telling = policy->telling;
	ret->n_telling = policy->n_telling;
	ret->flags = policy->flags;
	return 0;
}

int policies_open(const struct policies *policies, const char *name, int *ret_fd, struct err *err)
{
	const struct policy *policy = find(policies, name);
	char path[32];
	int fd;

	if (!policy || policy->source_fd < 0)
		return not_found(name, err);
	/* A description of its own: the receiver's offset must not be ours. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", policy->source_fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "open the profile");
	*ret_fd = fd;
	return 0;
}

void policies_for_each(const struct policies *policies,
	void (*fn)(const struct msg_policy_info *info, void *arg), void *arg)
{
	for (size_t i = 0; i < policies->n; i++) {
		const struct policy *policy = &policies->list[i];
		struct msg_policy_info info = {
			.instructions = policy->n_program,
			.warnings = policy->warnings,
		};

		memcpy(info.policy, policy->name, sizeof(info.policy));
		if (!policy->program)
			info.err = policy->err;
		fn(&info, arg);
	}
}

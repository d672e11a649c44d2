/*
 * The profiles that Docker and Podman ship, as they are (tests/images/profiles takes them from
 * Debian's packages): each is read a second time here, with none of policy/'s parsing, given to
 * libseccomp rule by rule as the engines do, and the two programs are asked about every call of
 * every ABI, with arguments at the borders of every condition.
 *
 * libseccomp 2.5.4 merges some comparisons of one argument wrongly (docs/adr/0020), but none that
 * these profiles have: here the two must agree.
 */
#include "policy/format.h"

#include "tests/unit/policy_util.h"

#include <fcntl.h>
#include <jansson.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define X32_BIT	    0x40000000u
#define NUMBERS	    600u /* above the newest call of every ABI */
#define RULES_MAX   2048
#define BORDERS_MAX 256

static const char *const files[] = {"docker.json", "docker-old.json", "podman.json"};

/* One name of one entry that applies. */
struct rule {
	const char *name;
	uint32_t action; /* libseccomp's */
	unsigned n_conds;
	struct scmp_arg_cmp conds[6];
};

/* A profile for one set of capabilities. */
struct reading {
	const char *file;
	uint64_t caps;
	uint32_t rest; /* the default action */
	size_t n;
	struct rule rules[RULES_MAX];
};

static void cleanup_compiled(struct compiled **c)
{
	compiled_destroy(*c);
}

static void cleanup_json(json_t **v)
{
	json_decref(*v);
}

static void cleanup_filter(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

/* The text of a profile, or a skip: `make test` has them, a build without network may not. */
static char *engine_profile(const char *file)
{
	char path[256];
	char *text;

	snprintf(path, sizeof(path), "%s/%s", ENGINE_PROFILES, file);
	text = policy_util_read(path);
	if (!text)
		skip_because("tests/images/profiles was not run");
	return text;
}

static const char *string_at(const json_t *list, size_t i)
{
	return json_string_value(json_array_get(list, i));
}

static bool lists_amd64(const json_t *filter)
{
	const json_t *list = json_object_get(filter, "arches");
	bool found = false;

	for (size_t i = 0; i < json_array_size(list); i++)
		found = found || strcmp(string_at(list, i), "amd64") == 0;
	return found;
}

static uint64_t caps_of(const json_t *filter)
{
	const json_t *list = json_object_get(filter, "caps");
	uint64_t caps = 0;

	for (size_t i = 0; i < json_array_size(list); i++)
		caps |= UINT64_C(1) << policy_cap_number(string_at(list, i));
	return caps;
}

/* As the engines resolve an entry on amd64. */
static bool applies(const json_t *entry, uint64_t caps)
{
	const json_t *in = json_object_get(entry, "includes");
	const json_t *out = json_object_get(entry, "excludes");
	const json_t *kernel = json_object_get(in, "minKernel");

	/* No host here is older than what the profiles ask for. */
	if (kernel)
		assert_string_equal(json_string_value(kernel), "4.8");
	assert_null(json_object_get(out, "minKernel"));
	if (json_array_size(json_object_get(in, "arches")) > 0 && !lists_amd64(in))
		return false;
	return !lists_amd64(out) && (caps & caps_of(in)) == caps_of(in) && !(caps & caps_of(out));
}

static uint32_t action_of(const json_t *o, const char *action, const char *number)
{
	const char *name = json_string_value(json_object_get(o, action));
	const json_t *error = json_object_get(o, number);

	if (strcmp(name, "SCMP_ACT_ALLOW") == 0)
		return SCMP_ACT_ALLOW;
	assert_string_equal(name, "SCMP_ACT_ERRNO");
	return SCMP_ACT_ERRNO((uint16_t)(error ? json_integer_value(error) : EPERM));
}

static struct scmp_arg_cmp condition(const json_t *v)
{
	const char *op = json_string_value(json_object_get(v, "op"));
	struct scmp_arg_cmp c = {
		.arg = (unsigned)json_integer_value(json_object_get(v, "index")),
		.datum_a = (scmp_datum_t)json_integer_value(json_object_get(v, "value")),
		.datum_b = (scmp_datum_t)json_integer_value(json_object_get(v, "valueTwo")),
	};

	if (strcmp(op, "SCMP_CMP_EQ") == 0)
		c.op = SCMP_CMP_EQ;
	else if (strcmp(op, "SCMP_CMP_NE") == 0)
		c.op = SCMP_CMP_NE;
	else if (strcmp(op, "SCMP_CMP_MASKED_EQ") == 0)
		c.op = SCMP_CMP_MASKED_EQ;
	else
		fail_msg("a profile has %s now: read it here too", op);
	return c;
}

static void read_entry(const json_t *entry, struct reading *r)
{
	const json_t *one = json_object_get(entry, "name");
	const json_t *names = json_object_get(entry, "names");
	const json_t *args = json_object_get(entry, "args");

	for (size_t i = 0; i < (one ? 1 : json_array_size(names)); i++) {
		struct rule *rule = &r->rules[r->n++];

		assert_true(r->n < RULES_MAX);
		rule->name = one ? json_string_value(one) : string_at(names, i);
		rule->action = action_of(entry, "action", "errnoRet");
		rule->n_conds = (unsigned)json_array_size(args);
		assert_true(rule->n_conds <= ARRAY_SIZE(rule->conds));
		for (size_t k = 0; k < rule->n_conds; k++)
			rule->conds[k] = condition(json_array_get(args, k));
	}
}

static void read_profile(const json_t *doc, struct reading *r)
{
	const json_t *entries = json_object_get(doc, "syscalls");

	r->rest = action_of(doc, "defaultAction", "defaultErrnoRet");
	r->n = 0;
	for (size_t i = 0; i < json_array_size(entries); i++)
		if (applies(json_array_get(entries, i), r->caps))
			read_entry(json_array_get(entries, i), r);
}

/*
 * Podman's file both allows and refuses setns when CAP_SYS_ADMIN is not held. libseccomp takes
 * what comes first; Croft the stricter, with a warning (docs/adr/0020).
 */
static bool is_contradicted(const struct reading *r, const struct rule *rule)
{
	for (size_t i = 0; i < r->n; i++)
		if (rule->action == SCMP_ACT_ALLOW && r->rules[i].action != SCMP_ACT_ALLOW &&
			r->rules[i].n_conds == 0 && strcmp(r->rules[i].name, rule->name) == 0)
			return true;
	return false;
}

static void add_rule(scmp_filter_ctx ctx, const struct rule *rule)
{
	int number = seccomp_syscall_resolve_name(rule->name);
	int r;

	if (number == __NR_SCMP_ERROR)
		return; /* the engines skip what their library does not know */
	r = seccomp_rule_add_array(ctx, rule->action, number, rule->n_conds, rule->conds);
	if (r < 0)
		fail_msg("libseccomp refuses %s: %d", rule->name, r);
}

static struct compiled *export(scmp_filter_ctx ctx)
{
	_cleanup_close_ int fd = memfd_create("reference", MFD_CLOEXEC);
	struct compiled *c = calloc(1, sizeof(*c));
	off_t size;

	assert_true(fd >= 0 && c);
	assert_int_equal(seccomp_export_bpf(ctx, fd), 0);
	size = lseek(fd, 0, SEEK_END);
	assert_true(size > 0);
	c->n = (size_t)size / sizeof(c->program[0]);
	c->program = malloc((size_t)size);
	assert_non_null(c->program);
	assert_int_equal(pread(fd, c->program, (size_t)size, 0), size);
	return c;
}

/* libseccomp's program, as runc makes it: rules equal to the default are left out. */
static struct compiled *reference(const struct reading *r, size_t *ret_contradictions)
{
	_cleanup_(cleanup_filter) scmp_filter_ctx ctx = seccomp_init(r->rest);
	size_t contradictions = 0;

	assert_non_null(ctx);
	assert_int_equal(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), 0);
	assert_int_equal(seccomp_arch_add(ctx, SCMP_ARCH_X86), 0);
	assert_int_equal(seccomp_arch_add(ctx, SCMP_ARCH_X32), 0);
	for (size_t i = 0; i < r->n; i++)
		if (is_contradicted(r, &r->rules[i]))
			contradictions++;
		else if (r->rules[i].action != r->rest)
			add_rule(ctx, &r->rules[i]);
	*ret_contradictions = contradictions;
	return export(ctx);
}

struct comparison {
	const struct reading *reading;
	const struct compiled *ours, *theirs;
	uint64_t borders[BORDERS_MAX];
	size_t n_borders;
	size_t asked, allowed;
};

static void add_border(struct comparison *t, uint64_t value)
{
	for (size_t i = 0; i < t->n_borders; i++)
		if (t->borders[i] == value)
			return;
	assert_true(t->n_borders < BORDERS_MAX);
	t->borders[t->n_borders++] = value;
}

/* Every value that a condition names, its neighbours, and those with something above 32 bits. */
static void add_borders(struct comparison *t, const struct scmp_arg_cmp *cond)
{
	for (uint64_t d = 0; d < 3; d++) {
		add_border(t, cond->datum_a + d - 1);
		add_border(t, (cond->datum_a + d - 1) | UINT64_C(1) << 32);
	}
	for (uint64_t bit = 1; bit && cond->op == SCMP_CMP_MASKED_EQ; bit <<= 1)
		if (cond->datum_a & bit)
			add_border(t, bit | 0x11);
}

/* The kernel hands 32 bits of each argument of i386 on, and libseccomp reads no more of x32's. */
static bool is_32_bit(uint32_t arch, uint32_t nr)
{
	return arch == AUDIT_ARCH_I386 || (arch == AUDIT_ARCH_X86_64 && nr & X32_BIT);
}

static void compare(struct comparison *t, uint32_t arch, uint32_t nr, const uint64_t args[6])
{
	uint64_t a[6];
	uint32_t ours, theirs;

	for (size_t i = 0; i < ARRAY_SIZE(a); i++)
		a[i] = is_32_bit(arch, nr) ? (uint32_t)args[i] : args[i];
	ours = policy_util_ask(t->ours, arch, nr, a);
	theirs = policy_util_ask(t->theirs, arch, nr, a);
	t->asked++;
	t->allowed += ours == ALLOW;
	if (ours != theirs)
		fail_msg("%s with capabilities %#llx: call %#x of %#x (%#llx, %#llx, %#llx): %#x, "
			 "libseccomp says %#x",
			t->reading->file, (unsigned long long)t->reading->caps, nr, arch,
			(unsigned long long)a[0], (unsigned long long)a[1],
			(unsigned long long)a[2], ours, theirs);
}

/* All pairs of borders: no profile looks at more than two arguments, and none but 0 and 2. */
static void compare_borders(struct comparison *t, uint32_t arch, uint32_t nr)
{
	for (size_t i = 0; i < t->n_borders; i++)
		for (size_t k = 0; k < t->n_borders; k++) {
			const uint64_t args[6] = {t->borders[i], t->borders[t->n_borders - 1 - i],
				t->borders[k], 1, 2, 3};

			compare(t, arch, nr, args);
		}
}

static void compare_conditional(struct comparison *t)
{
	const struct reading *r = t->reading;

	for (size_t i = 0; i < r->n; i++)
		for (size_t k = 0; k < r->rules[i].n_conds; k++)
			add_borders(t, &r->rules[i].conds[k]);
	for (size_t i = 0; i < r->n; i++) {
		const char *name = r->rules[i].name;
		int nr = seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86_64, name);
		int nr32 = seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86, name);

		if (r->rules[i].n_conds == 0)
			continue;
		compare_borders(t, AUDIT_ARCH_X86_64, (uint32_t)nr);
		compare_borders(t, AUDIT_ARCH_X86_64, (uint32_t)nr | X32_BIT);
		if (nr32 >= 0)
			compare_borders(t, AUDIT_ARCH_I386, (uint32_t)nr32);
	}
}

static void compare_all(struct comparison *t)
{
	static const uint64_t args[][6] = {
		{0}, {1, 2, 3, 4, 5, 6}, {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}};
	static const uint32_t beyond[] = {0x3fffffff, 0x7fffffff, 0xffffffff};

	for (size_t a = 0; a < ARRAY_SIZE(args); a++) {
		for (uint32_t nr = 0; nr < NUMBERS; nr++) {
			compare(t, AUDIT_ARCH_X86_64, nr, args[a]);
			compare(t, AUDIT_ARCH_X86_64, nr | X32_BIT, args[a]);
			compare(t, AUDIT_ARCH_I386, nr, args[a]);
			compare(t, AUDIT_ARCH_AARCH64, nr, args[a]);
		}
		for (size_t i = 0; i < ARRAY_SIZE(beyond); i++) {
			compare(t, AUDIT_ARCH_X86_64, beyond[i], args[a]);
			compare(t, AUDIT_ARCH_I386, beyond[i], args[a]);
		}
	}
	compare_conditional(t);
}

/* Every capability that an entry depends on. */
static uint64_t relevant_caps(const json_t *doc)
{
	const json_t *entries = json_object_get(doc, "syscalls");
	uint64_t caps = 0;

	for (size_t i = 0; i < json_array_size(entries); i++) {
		const json_t *entry = json_array_get(entries, i);

		caps |= caps_of(json_object_get(entry, "includes"));
		caps |= caps_of(json_object_get(entry, "excludes"));
	}
	return caps;
}

static void compare_with(const char *file, const char *text, const json_t *doc, uint64_t caps)
{
	struct policy_context context = policy_util_context();
	_cleanup_(cleanup_compiled) struct compiled *ours = NULL;
	_cleanup_(cleanup_compiled) struct compiled *theirs = NULL;
	struct reading reading = {.file = file, .caps = caps};
	struct comparison t = {.reading = &reading};
	size_t contradictions;

	context.caps = caps;
	read_profile(doc, &reading);
	t.ours = ours = policy_util_compile(text, &context);
	t.theirs = theirs = reference(&reading, &contradictions);
	compare_all(&t);
	assert_true(contradictions <= 1 && ours->n_warnings >= contradictions);
	/* They did not agree on refusing, or allowing, all. */
	assert_true(t.allowed > t.asked / 10 && t.allowed < t.asked);
}

static void agrees_with_libseccomp(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *text = engine_profile(files[i]);
		_cleanup_(cleanup_json) json_t *doc = json_loads(text, 0, NULL);
		uint64_t caps;

		assert_non_null(doc);
		caps = relevant_caps(doc);
		compare_with(files[i], text, doc, 0);
		compare_with(files[i], text, doc, caps);
		for (uint64_t cap = 1; cap; cap <<= 1) {
			if (!(caps & cap))
				continue;
			compare_with(files[i], text, doc, cap);
			compare_with(files[i], text, doc, caps & ~cap);
		}
	}
}

static const struct {
	const char *cap;
	uint32_t number; /* a call of x86-64 that Docker's profile ties to the capability */
} docker_calls[] = {
	{"CAP_SYS_ADMIN", 165},	      /* mount */
	{"CAP_DAC_READ_SEARCH", 304}, /* open_by_handle_at */
	{"CAP_SYS_BOOT", 169},	      /* reboot */
	{"CAP_SYS_CHROOT", 161},      /* chroot */
	{"CAP_SYS_MODULE", 175},      /* init_module */
	{"CAP_SYS_PACCT", 163},	      /* acct */
	{"CAP_SYS_PTRACE", 312},      /* kcmp */
	{"CAP_SYS_RAWIO", 172},	      /* iopl */
	{"CAP_SYS_TIME", 227},	      /* clock_settime */
	{"CAP_SYS_TTY_CONFIG", 153},  /* vhangup */
	{"CAP_SYS_NICE", 237},	      /* mbind */
	{"CAP_SYSLOG", 103},	      /* syslog */
};

/* So that the comparison is not of two that leave capabilities out alike. */
static void capabilities_open_their_calls(void **state)
{
	_cleanup_free_ char *text = engine_profile("docker.json");
	struct policy_context context = policy_util_context();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(docker_calls); i++) {
		uint64_t cap = UINT64_C(1) << policy_cap_number(docker_calls[i].cap);

		for (int with = 0; with <= 1; with++) {
			_cleanup_(cleanup_compiled) struct compiled *c = NULL;

			context.caps = with ? cap : 0;
			c = policy_util_compile(text, &context);
			assert_int_equal(policy_util_ask_plain(c, docker_calls[i].number),
				with ? ALLOW : ERRNO(1));
		}
	}
}

/* What `croft policy check FILE` does, on this host. */
static void load_as_they_are(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *text = engine_profile(files[i]);
		struct policy_summary sum;
		struct err err = {0};

		if (policy_check(text, strlen(text), NULL, &sum, &err) < 0)
			fail_msg("%s: %s", files[i], err.msg);
		assert_true(sum.counts.allow > 200);
		assert_true(sum.n_instructions < POLICY_INSTRUCTIONS_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(load_as_they_are),
		cmocka_unit_test(capabilities_open_their_calls),
		cmocka_unit_test(agrees_with_libseccomp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

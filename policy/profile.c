/*
 * Reads OCI seccomp profiles; see profile.h. Never drops a rule it does not understand, and never
 * bends one into another: what it cannot hold exactly, it refuses.
 */
#include "policy/profile.h"

#include "base/cleanup.h"
#include "policy/action.h"
#include "policy/json.h"

#include <linux/seccomp.h>
#include <string.h>

struct reader {
	const struct policy_context *context;
	struct profile p;
	size_t names_capacity;
	struct err *err;
};

static void cleanup_json(json_t **v)
{
	json_decref(*v);
}

static void cleanup_profile(struct reader *rd)
{
	profile_finish(&rd->p);
}

void profile_finish(struct profile *p)
{
	free(p->rules);
	free(p->names);
	*p = (struct profile){0};
}

/* An action with its errno, given as a number, as a name, or not at all (then EPERM, as OCI). */
static int read_action(struct reader *rd, const json_t *o, const char *path,
	const char *const keys[3], uint32_t *ret)
{
	const char *name = NULL, *error = NULL;
	char at[PROFILE_PATH_MAX], quoted[JSON_QUOTE_MAX];
	enum action_kind kind;
	uint64_t number = 0;
	uint32_t action = 0;
	bool has_number = false;
	int r;

	r = json_get_string(o, path, keys[0], &name, rd->err);
	if (r == 0)
		r = json_get_u64(o, path, keys[1], ACTION_ERRNO_MAX, &number, &has_number, rd->err);
	if (r == 0)
		r = json_get_string(o, path, keys[2], &error, rd->err);
	if (r < 0)
		return r;
	json_path_key(at, sizeof(at), path, keys[0]);
	if (!name)
		return json_bad(rd->err, "POLICY_INVALID", at, "is missing");
	kind = action_parse(name, &action);
	if (kind == ACTION_UNKNOWN)
		return json_bad(rd->err, "POLICY_INVALID", at, "\"%s\" is no action",
			json_quote(name, quoted));
	if (kind == ACTION_UNSUPPORTED)
		return json_bad(rd->err, "POLICY_UNSUPPORTED", at,
			"%s needs a process outside the container to answer each call, and Croft "
			"has none; use SCMP_ACT_ERRNO or SCMP_ACT_ALLOW",
			name);
	if (kind == ACTION_PLAIN) {
		if (has_number || error)
			return json_bad(rd->err, "POLICY_INVALID",
				json_path_key(at, sizeof(at), path, keys[has_number ? 1 : 2]),
				"%s returns no errno; remove it", name);
		*ret = action;
		return 0;
	}
	if (error) {
		uint32_t named = action_errno_number(error);

		json_path_key(at, sizeof(at), path, keys[2]);
		if (named == 0)
			return json_bad(rd->err, "POLICY_INVALID", at, "\"%s\" is no errno",
				json_quote(error, quoted));
		if (has_number && number != named)
			return json_bad(rd->err, "POLICY_INVALID", at,
				"%s is %u, but %s says %u; remove one of them", error, named,
				keys[1], (unsigned)number);
		number = named;
	} else if (!has_number) {
		number = EPERM;
	}
	*ret = action | (uint32_t)number;
	return 0;
}

static int read_op(struct reader *rd, const json_t *o, const char *path, enum profile_op *ret)
{
	static const char *const ops[] = {
		[PROFILE_OP_NE] = "SCMP_CMP_NE",
		[PROFILE_OP_LT] = "SCMP_CMP_LT",
		[PROFILE_OP_LE] = "SCMP_CMP_LE",
		[PROFILE_OP_EQ] = "SCMP_CMP_EQ",
		[PROFILE_OP_GE] = "SCMP_CMP_GE",
		[PROFILE_OP_GT] = "SCMP_CMP_GT",
		[PROFILE_OP_MASKED_EQ] = "SCMP_CMP_MASKED_EQ",
	};
	char at[PROFILE_PATH_MAX], quoted[JSON_QUOTE_MAX];
	const char *name = NULL;
	int r = json_get_string(o, path, "op", &name, rd->err);

	if (r < 0)
		return r;
	json_path_key(at, sizeof(at), path, "op");
	if (!name)
		return json_bad(rd->err, "POLICY_INVALID", at, "is missing");
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (strcmp(ops[i], name) != 0)
			continue;
		*ret = (enum profile_op)i;
		return 0;
	}
	return json_bad(rd->err, "POLICY_INVALID", at,
		"\"%s\" is no comparison; use SCMP_CMP_NE, LT, LE, EQ, GE, GT or MASKED_EQ",
		json_quote(name, quoted));
}

static int read_cond(struct reader *rd, const json_t *o, const char *path, struct profile_cond *ret)
{
	static const char *const keys[] = {"index", "value", "valueTwo", "op", NULL};
	bool has_index = false, has_value = false, has_two = false;
	struct profile_cond c = {0};
	uint64_t arg = 0, two = 0;
	int r;

	r = json_check_keys(o, path, keys, rd->err);
	if (r == 0)
		r = json_get_u64(o, path, "index", 5, &arg, &has_index, rd->err);
	if (r == 0)
		r = json_get_u64(o, path, "value", INT64_MAX, &c.value, &has_value, rd->err);
	if (r == 0)
		r = json_get_u64(o, path, "valueTwo", INT64_MAX, &two, &has_two, rd->err);
	if (r == 0)
		r = read_op(rd, o, path, &c.op);
	if (r < 0)
		return r;
	if (!has_index || !has_value)
		return json_bad(rd->err, "POLICY_INVALID", path, "needs \"index\" and \"value\"");
	if (c.op != PROFILE_OP_MASKED_EQ && two != 0)
		return json_bad(rd->err, "POLICY_INVALID", path,
			"valueTwo is for SCMP_CMP_MASKED_EQ only; remove it");
	c.arg = (uint32_t)arg;
	/* seccomp_rule_add(3): the datum is masked too. */
	c.want = two & c.value;
	*ret = c;
	return 0;
}

static int read_conds(
	struct reader *rd, const json_t *o, const char *path, struct profile_rule *rule)
{
	char list[PROFILE_PATH_MAX], at[PROFILE_PATH_MAX];
	const json_t *args = NULL;
	int r = json_get_array(o, path, "args", &args, rd->err);

	if (r < 0)
		return r;
	json_path_key(list, sizeof(list), path, "args");
	if (json_array_size(args) > PROFILE_CONDS_MAX)
		return json_bad(rd->err, "POLICY_TOO_LARGE", list, "more than %d conditions",
			PROFILE_CONDS_MAX);
	for (size_t i = 0; i < json_array_size(args); i++) {
		r = read_cond(rd, json_array_get(args, i), json_path_index(at, sizeof(at), list, i),
			&rule->conds[i]);
		if (r < 0)
			return r;
	}
	rule->n_conds = json_array_size(args);
	return 0;
}

static int add_name(struct reader *rd, const json_t *v, const char *path)
{
	struct profile *p = &rd->p;
	char quoted[JSON_QUOTE_MAX];
	const char *name = json_string_value(v);
	size_t len = name ? strlen(name) : 0;

	if (!name)
		return json_bad(rd->err, "POLICY_INVALID", path, "must be a string");
	if (len == 0 || len >= PROFILE_NAME_MAX ||
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") !=
			len)
		return json_bad(rd->err, "POLICY_INVALID", path,
			"\"%s\" cannot be the name of a system call", json_quote(name, quoted));
	if (p->n_names == PROFILE_NAMES_MAX)
		return json_bad(rd->err, "POLICY_TOO_LARGE", path,
			"more than %d names of system calls in all", PROFILE_NAMES_MAX);
	if (p->n_names == rd->names_capacity) {
		size_t capacity = rd->names_capacity ? rd->names_capacity * 2 : 256;
		void *grown = realloc(p->names, capacity * sizeof(p->names[0]));

		if (!grown)
			return err_oom(rd->err);
		p->names = grown;
		rd->names_capacity = capacity;
	}
	memcpy(p->names[p->n_names++], name, len + 1);
	return 0;
}

static int read_names(
	struct reader *rd, const json_t *o, const char *path, struct profile_rule *rule)
{
	const json_t *one = json_object_get(o, "name");
	char list[PROFILE_PATH_MAX], at[PROFILE_PATH_MAX];
	const json_t *names = NULL;
	int r = json_get_array(o, path, "names", &names, rd->err);

	if (r < 0)
		return r;
	rule->first_name = rd->p.n_names;
	if (one && names)
		return json_bad(rd->err, "POLICY_INVALID", path,
			"has both \"name\" and \"names\"; keep one");
	if (one)
		r = add_name(rd, one, json_path_key(at, sizeof(at), path, "name"));
	json_path_key(list, sizeof(list), path, "names");
	for (size_t i = 0; r == 0 && i < json_array_size(names); i++)
		r = add_name(
			rd, json_array_get(names, i), json_path_index(at, sizeof(at), list, i));
	if (r < 0)
		return r;
	rule->n_names = rd->p.n_names - rule->first_name;
	if (rule->n_names == 0)
		return json_bad(rd->err, "POLICY_INVALID", list, "names no system call");
	return 0;
}

/* Whether the container holds each capability, and any, of a list. */
static int read_caps(
	struct reader *rd, const json_t *o, const char *path, bool *ret_all, bool *ret_any)
{
	char list[PROFILE_PATH_MAX], at[PROFILE_PATH_MAX], quoted[JSON_QUOTE_MAX];
	const json_t *caps = NULL;
	int r = json_get_array(o, path, "caps", &caps, rd->err);

	if (r < 0)
		return r;
	*ret_all = true;
	*ret_any = false;
	json_path_key(list, sizeof(list), path, "caps");
	for (size_t i = 0; i < json_array_size(caps); i++) {
		const char *name = json_string_value(json_array_get(caps, i));
		int number = name ? policy_cap_number(name) : -1;

		if (number < 0)
			return json_bad(rd->err, "POLICY_INVALID",
				json_path_index(at, sizeof(at), list, i), "\"%s\" is no capability",
				json_quote(name ? name : "", quoted));
		if (rd->context->caps >> number & 1)
			*ret_any = true;
		else
			*ret_all = false;
	}
	return 0;
}

/* Whether the native architecture is in a list; true for *ret_given when there is one. */
static int read_arches(
	struct reader *rd, const json_t *o, const char *path, bool *ret_given, bool *ret_listed)
{
	const char *native = policy_abi_info(rd->context->native)->go_name;
	char list[PROFILE_PATH_MAX], at[PROFILE_PATH_MAX];
	const json_t *arches = NULL;
	int r = json_get_array(o, path, "arches", &arches, rd->err);

	if (r < 0)
		return r;
	*ret_given = json_array_size(arches) > 0;
	*ret_listed = false;
	json_path_key(list, sizeof(list), path, "arches");
	for (size_t i = 0; i < json_array_size(arches); i++) {
		const char *name = json_string_value(json_array_get(arches, i));

		if (!name)
			return json_bad(rd->err, "POLICY_INVALID",
				json_path_index(at, sizeof(at), list, i), "must be a string");
		if (strcmp(name, native) == 0)
			*ret_listed = true;
	}
	return 0;
}

/* Whether the kernel is at least minKernel; *ret_given when one is named. */
static int read_kernel(
	struct reader *rd, const json_t *o, const char *path, bool *ret_given, bool *ret_reached)
{
	const struct policy_context *c = rd->context;
	char at[PROFILE_PATH_MAX], quoted[JSON_QUOTE_MAX];
	const char *text = NULL;
	uint32_t major = 0, minor = 0;
	int r = json_get_string(o, path, "minKernel", &text, rd->err);

	if (r < 0)
		return r;
	*ret_given = text && text[0];
	if (*ret_given && !policy_kernel_parse(text, false, &major, &minor))
		return json_bad(rd->err, "POLICY_INVALID",
			json_path_key(at, sizeof(at), path, "minKernel"),
			"\"%s\" is no kernel version; write it as \"5.10\"",
			json_quote(text, quoted));
	*ret_reached = c->kernel_major > major ||
		       (c->kernel_major == major && c->kernel_minor >= minor);
	return 0;
}

struct filter {
	bool caps_all, caps_any;
	bool arches_given, arches_listed;
	bool kernel_given, kernel_reached;
};

static int read_filter(
	struct reader *rd, const json_t *o, const char *path, const char *key, struct filter *ret)
{
	static const char *const keys[] = {"caps", "arches", "minKernel", NULL};
	char at[PROFILE_PATH_MAX];
	const json_t *f = NULL;
	int r = json_get_object(o, path, key, &f, rd->err);

	*ret = (struct filter){.caps_all = true};
	if (r < 0 || !f)
		return r;
	json_path_key(at, sizeof(at), path, key);
	r = json_check_keys(f, at, keys, rd->err);
	if (r == 0)
		r = read_caps(rd, f, at, &ret->caps_all, &ret->caps_any);
	if (r == 0)
		r = read_arches(rd, f, at, &ret->arches_given, &ret->arches_listed);
	if (r == 0)
		r = read_kernel(rd, f, at, &ret->kernel_given, &ret->kernel_reached);
	return r;
}

/* Whether an entry is for this context: all of "includes" holds and nothing of "excludes". */
static int entry_applies(struct reader *rd, const json_t *o, const char *path, bool *ret)
{
	struct filter in, out;
	int r = read_filter(rd, o, path, "includes", &in);

	if (r == 0)
		r = read_filter(rd, o, path, "excludes", &out);
	if (r < 0)
		return r;
	*ret = in.caps_all && (!in.arches_given || in.arches_listed) &&
	       (!in.kernel_given || in.kernel_reached) && !out.caps_any && !out.arches_listed &&
	       !(out.kernel_given && out.kernel_reached);
	return 0;
}

/* An entry that is not for this context is checked like any other, then left out. */
static int read_entry(struct reader *rd, const json_t *o, size_t index)
{
	static const char *const keys[] = {"names", "name", "action", "errnoRet", "errno", "args",
		"comment", "includes", "excludes", NULL};
	static const char *const action_keys[] = {"action", "errnoRet", "errno"};
	struct profile_rule rule = {.entry = (uint32_t)index};
	const char *comment = NULL;
	char path[PROFILE_PATH_MAX];
	bool applies = false;
	int r;

	json_path_index(path, sizeof(path), "syscalls", index);
	r = json_check_keys(o, path, keys, rd->err);
	if (r == 0)
		r = entry_applies(rd, o, path, &applies);
	if (r == 0)
		r = json_get_string(o, path, "comment", &comment, rd->err);
	if (r == 0)
		r = read_action(rd, o, path, action_keys, &rule.action);
	if (r == 0)
		r = read_names(rd, o, path, &rule);
	if (r == 0)
		r = read_conds(rd, o, path, &rule);
	if (r < 0)
		return r;
	if (applies)
		rd->p.rules[rd->p.n_rules++] = rule;
	else
		rd->p.n_names = rule.first_name;
	return 0;
}

static int read_entries(struct reader *rd, const json_t *doc)
{
	const json_t *entries = NULL;
	size_t n;
	int r = json_get_array(doc, "", "syscalls", &entries, rd->err);

	if (r < 0)
		return r;
	n = json_array_size(entries);
	if (n > PROFILE_RULES_MAX)
		return json_bad(rd->err, "POLICY_TOO_LARGE", "syscalls", "more than %d entries",
			PROFILE_RULES_MAX);
	rd->p.rules = calloc(n ? n : 1, sizeof(rd->p.rules[0]));
	if (!rd->p.rules)
		return err_oom(rd->err);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = read_entry(rd, json_array_get(entries, i), i);
	return r;
}

/*
 * Adds an architecture to the ABIs. One that this host cannot run adds nothing: the kernel never
 * reports it, so there is nothing to filter.
 */
static int add_arch(struct reader *rd, const json_t *v, const char *path)
{
	static const char *const elsewhere[] = {"SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64",
		"SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64",
		"SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE",
		"SCMP_ARCH_S390", "SCMP_ARCH_S390X", "SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64",
		"SCMP_ARCH_RISCV64", "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K", "SCMP_ARCH_SH",
		"SCMP_ARCH_SHEB"};
	const char *name = json_string_value(v);
	char quoted[JSON_QUOTE_MAX];

	for (unsigned i = 0; name && i < POLICY_ABI_N; i++) {
		const struct policy_abi_info *abi = policy_abi_info((enum policy_abi)i);

		if (strcmp(abi->name, name) != 0)
			continue;
		if (abi->native == rd->context->native)
			rd->p.abis |= 1u << i;
		return 0;
	}
	for (size_t i = 0; name && i < ARRAY_SIZE(elsewhere); i++)
		if (strcmp(elsewhere[i], name) == 0)
			return 0;
	return json_bad(rd->err, "POLICY_INVALID", path, "\"%s\" is no architecture",
		json_quote(name ? name : "", quoted));
}

static int add_arches(struct reader *rd, const json_t *list, const char *path)
{
	char at[PROFILE_PATH_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i < json_array_size(list); i++)
		r = add_arch(rd, json_array_get(list, i), json_path_index(at, sizeof(at), path, i));
	return r;
}

/* One row of archMap: it counts when its architecture is the native one. */
static int read_arch_row(struct reader *rd, const json_t *row, const char *path)
{
	static const char *const keys[] = {"architecture", "subArchitectures", NULL};
	char at[PROFILE_PATH_MAX];
	uint32_t before = rd->p.abis;
	const char *arch = NULL;
	const json_t *sub = NULL;
	int r = json_check_keys(row, path, keys, rd->err);

	if (r == 0)
		r = json_get_string(row, path, "architecture", &arch, rd->err);
	if (r == 0)
		r = json_get_array(row, path, "subArchitectures", &sub, rd->err);
	if (r == 0)
		r = add_arch(rd, json_object_get(row, "architecture"),
			json_path_key(at, sizeof(at), path, "architecture"));
	if (r == 0)
		r = add_arches(rd, sub, json_path_key(at, sizeof(at), path, "subArchitectures"));
	if (r == 0 && strcmp(arch, policy_abi_info(rd->context->native)->name) != 0)
		rd->p.abis = before;
	return r;
}

static int read_arches_of_profile(struct reader *rd, const json_t *doc)
{
	const json_t *list = NULL, *map = NULL;
	char at[PROFILE_PATH_MAX];
	int r = json_get_array(doc, "", "architectures", &list, rd->err);

	if (r == 0)
		r = json_get_array(doc, "", "archMap", &map, rd->err);
	if (r < 0)
		return r;
	if (json_array_size(list) > 0 && json_array_size(map) > 0)
		return json_bad(rd->err, "POLICY_INVALID", "archMap",
			"there is \"architectures\" too; keep one of them");
	rd->p.abis = 1u << rd->context->native;
	r = add_arches(rd, list, "architectures");
	for (size_t i = 0; r == 0 && i < json_array_size(map); i++)
		r = read_arch_row(
			rd, json_array_get(map, i), json_path_index(at, sizeof(at), "archMap", i));
	return r;
}

static int read_flags(struct reader *rd, const json_t *doc)
{
	char at[PROFILE_PATH_MAX], quoted[JSON_QUOTE_MAX];
	const json_t *flags = NULL;
	int r = json_get_array(doc, "", "flags", &flags, rd->err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < json_array_size(flags); i++) {
		const char *name = json_string_value(json_array_get(flags, i));

		json_path_index(at, sizeof(at), "flags", i);
		if (name && strcmp(name, "SECCOMP_FILTER_FLAG_LOG") == 0)
			rd->p.flags |= SECCOMP_FILTER_FLAG_LOG;
		else if (name && strcmp(name, "SECCOMP_FILTER_FLAG_SPEC_ALLOW") == 0)
			rd->p.flags |= SECCOMP_FILTER_FLAG_SPEC_ALLOW;
		else if (name && strcmp(name, "SECCOMP_FILTER_FLAG_TSYNC") == 0)
			continue; /* for threads; what loads the filter has just one */
		else if (name && strcmp(name, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV") == 0)
			return json_bad(rd->err, "POLICY_UNSUPPORTED", at,
				"%s is for a listener, and Croft has none; remove it", name);
		else
			return json_bad(rd->err, "POLICY_INVALID", at, "\"%s\" is no filter flag",
				json_quote(name ? name : "", quoted));
	}
	return 0;
}

static int read_profile(struct reader *rd, const json_t *doc)
{
	static const char *const keys[] = {"defaultAction", "defaultErrnoRet", "defaultErrno",
		"architectures", "archMap", "flags", "listenerPath", "listenerMetadata", "syscalls",
		NULL};
	static const char *const action_keys[] = {
		"defaultAction", "defaultErrnoRet", "defaultErrno"};
	static const char *const listener[] = {"listenerPath", "listenerMetadata"};
	int r = json_check_keys(doc, "", keys, rd->err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(listener); i++) {
		const char *text = NULL;

		r = json_get_string(doc, "", listener[i], &text, rd->err);
		if (r < 0)
			return r;
		if (text && text[0])
			return json_bad(rd->err, "POLICY_UNSUPPORTED", listener[i],
				"a container must not depend on a listener: when it dies, every "
				"call it answers fails for good; remove it");
	}
	r = read_action(rd, doc, "", action_keys, &rd->p.default_action);
	if (r == 0)
		r = read_arches_of_profile(rd, doc);
	if (r == 0)
		r = read_flags(rd, doc);
	if (r == 0)
		r = read_entries(rd, doc);
	return r;
}

int profile_parse(const char *text, size_t size, const struct policy_context *context,
	struct profile *ret, struct err *err)
{
	_cleanup_(cleanup_profile) struct reader rd = {.context = context, .err = err};
	_cleanup_(cleanup_json) json_t *doc = NULL;
	int r;

	if (size > PROFILE_BYTES_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "POLICY_TOO_LARGE",
			"a profile may have at most %u KiB", PROFILE_BYTES_MAX >> 10);
	r = json_read(text, size, PROFILE_DEPTH_MAX, &doc, err);
	if (r == 0)
		r = read_profile(&rd, doc);
	if (r < 0)
		return r;
	*ret = rd.p;
	rd.p = (struct profile){0};
	return 0;
}

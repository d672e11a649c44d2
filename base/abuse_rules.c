/*
 * Reads rules about abuse; see abuse_rules.h. Must never take half of a file, nor guess: what it
 * does not understand is refused with its line, as a rule that is skipped protects nobody.
 */
#include "base/abuse_rules.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/span.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINE_MAX_BYTES 1024u
#define NUMBER_MAX     UINT64_C(1000000000000)
#define USEC	       UINT64_C(1000000)
#define GRACE_MAX_S    (366u * 86400)

enum key {
	KEY_SIGNAL,
	KEY_PER,
	KEY_THRESHOLD,
	KEY_UNTIL,
	KEY_WINDOW,
	KEY_QUIET,
	KEY_ACTION,
	KEY_CPU,
	KEY_RATE_IN,
	KEY_RATE_OUT,
	KEY_GRACE,
	KEY_DRY_RUN,
	KEY_EXEMPT, /* the only one that may be repeated */
	KEY_N,
};

static const char *const keys[KEY_N] = {"signal", "per", "threshold", "until", "window", "quiet",
	"action", "cpu", "rate-in", "rate-out", "grace", "dry-run", "exempt"};

enum section { SECTION_NONE, SECTION_ALL, SECTION_RULE };

struct parser {
	const char *file;
	unsigned line;
	struct abuse_rules *rules;
	struct err *err;
	enum section section;
	bool seen_all;
	unsigned section_line;
	unsigned seen[KEY_N]; /* in which line of the section; 0: not */
	bool per_container;   /* it says so itself */
	char threshold[64];   /* whose unit is known when the section is over */
	char until[64];
};

static int bad_at(struct parser *p, unsigned line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int bad_at(struct parser *p, unsigned line, const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(p->err, ERR_INVALID_ARGUMENT, "ABUSE_RULES_INVALID", "%s:%u: %s", p->file,
		line, text);
}

#define bad(p, ...) bad_at(p, (p)->line, __VA_ARGS__)

/* --- values --- */

static int parse_number(const char *text, uint64_t *ret)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t value;

	if (digits < 1 || digits > 13 || text[digits])
		return -EINVAL;
	value = strtoull(text, NULL, 10);
	if (value > NUMBER_MAX)
		return -EINVAL;
	*ret = value;
	return 0;
}

static int parse_switch(struct parser *p, const char *text, bool *ret)
{
	if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
		return bad(p, "dry-run is on or off");
	*ret = text[1] == 'n';
	return 0;
}

static int parse_window(struct parser *p, const char *key, const char *text, uint64_t *ret_usec)
{
	int64_t seconds;

	if (span_parse(text, ABUSE_WINDOW_MAX_S, &seconds) < 0 || !seconds)
		return bad(p, "%s is a time of 1s to 7d, such as 30s, 10m or 12h", key);
	*ret_usec = (uint64_t)seconds * USEC;
	return 0;
}

static int parse_rate(struct parser *p, const char *key, const char *text, uint64_t *ret)
{
	if (size_parse(text, ret) < 0 || *ret < NET_RATE_MIN || *ret > NET_RATE_MAX)
		return bad(p, "%s is bytes a second, at least 8K, such as 1MB", key);
	return 0;
}

static int parse_grace(struct parser *p, const char *text, int64_t *ret)
{
	int64_t seconds = 0;

	if (!strcmp(text, "never")) {
		*ret = ABUSE_GRACE_NEVER;
		return 0;
	}
	if (strcmp(text, "0") != 0 && span_parse(text, GRACE_MAX_S, &seconds) < 0)
		return bad(p, "grace is never, 0, or a time such as 30m, 12h or 7d");
	*ret = seconds;
	return 0;
}

static int parse_signal(struct parser *p, const char *text, struct abuse_rule *rule)
{
	if (abuse_signal_find(text, &rule->signal) < 0)
		return bad(p, "there is no signal \"%.40s\"; docs/ABUSE.md lists them", text);
	rule->per_tenant |= abuse_signal_row(rule->signal)->of_tenant;
	return 0;
}

static int parse_per(struct parser *p, const char *text, struct abuse_rule *rule)
{
	if (strcmp(text, "container") != 0 && strcmp(text, "tenant") != 0)
		return bad(p, "per is container or tenant");
	p->per_container = *text == 'c';
	rule->per_tenant |= !p->per_container;
	return 0;
}

static int parse_action(struct parser *p, const char *text, struct abuse_rule *rule)
{
	if (abuse_action_find(text, &rule->action) < 0)
		return bad(p, "action is notify, throttle, stop, freeze or hold");
	return 0;
}

static int parse_cpu(struct parser *p, const char *text, struct abuse_rule *rule)
{
	size_t len = strlen(text);
	char digits[8] = "";
	uint64_t percent = 0;

	if (len > 1 && len < sizeof(digits) && text[len - 1] == '%')
		memcpy(digits, text, len - 1);
	if (parse_number(digits, &percent) < 0 || percent < 1 || percent > 99)
		return bad(p, "cpu is a part of the limit, 1%% to 99%%");
	rule->throttle.cpu_percent = (uint32_t)percent;
	return 0;
}

static bool copy_name(char out[static NAME_SIZE], const char *text, size_t len)
{
	if (len >= NAME_SIZE)
		return false;
	memcpy(out, text, len);
	out[len] = '\0';
	return name_is_valid(out);
}

static int parse_exempt_word(struct parser *p, const char *word, struct abuse_exempt_list *list)
{
	static const char *const kinds[] = {
		[ABUSE_EXEMPT_TENANT] = "tenant:",
		[ABUSE_EXEMPT_CONTAINER] = "container:",
		[ABUSE_EXEMPT_PLAN] = "plan:",
	};
	struct abuse_exempt e = {0};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t len = strlen(kinds[i]);
		const char *name = word + len;
		const char *slash;

		if (strncmp(word, kinds[i], len) != 0)
			continue;
		e.kind = (enum abuse_exempt_kind)i;
		slash = i == ABUSE_EXEMPT_CONTAINER ? strchr(name, '/') : name + strlen(name);
		if (!slash || !copy_name(e.name, name, (size_t)(slash - name)) ||
			(*slash && !copy_name(e.container, slash + 1, strlen(slash + 1))))
			break;
		if (list->n == ABUSE_EXEMPT_MAX)
			return bad(p, "there are more than %u exemptions", ABUSE_EXEMPT_MAX);
		list->list[list->n++] = e;
		return 0;
	}
	return bad(p, "exempt is tenant:NAME, container:TENANT/NAME or plan:NAME, with commas "
		      "between several");
}

/* text is the parser's own, and is cut up. */
static int parse_exempt(struct parser *p, char *text, struct abuse_exempt_list *list)
{
	int r = 0;

	for (char *word = text; word && r == 0;) {
		char *comma = strchr(word, ',');
		char *end = comma ? comma : word + strlen(word);

		while (end > word && isspace((unsigned char)end[-1]))
			end--;
		if (comma || *end)
			*end = '\0';
		while (isspace((unsigned char)*word))
			word++;
		r = parse_exempt_word(p, word, list);
		word = comma ? comma + 1 : NULL;
	}
	return r;
}

/* --- sections --- */

static struct abuse_rule *present_rule(struct parser *p)
{
	return &p->rules->list[p->rules->n - 1];
}

/* A level in the signal's own unit. */
static int parse_level(struct parser *p, enum key key, const char *text,
	const struct abuse_rule *rule, uint64_t *ret)
{
	enum abuse_unit unit = abuse_signal_row(rule->signal)->unit;
	int r = unit == ABUSE_BYTES ? size_parse(text, ret) : parse_number(text, ret);

	if (r < 0 || !*ret || *ret > NUMBER_MAX || (unit == ABUSE_PERCENT && *ret > 100))
		return bad_at(p, p->seen[key], "%s of %s is %s", keys[key],
			abuse_signal_row(rule->signal)->name,
			unit == ABUSE_BYTES	? "bytes a second, such as 50MB"
			: unit == ABUSE_PERCENT ? "a percentage, 1 to 100"
						: "a number from 1 on");
	return 0;
}

static int check_levels(struct parser *p, struct abuse_rule *rule)
{
	int r = parse_level(p, KEY_THRESHOLD, p->threshold, rule, &rule->threshold);

	rule->until = rule->threshold / 2 ? rule->threshold / 2 : 1;
	if (r == 0 && p->seen[KEY_UNTIL]) {
		r = parse_level(p, KEY_UNTIL, p->until, rule, &rule->until);
		if (r == 0 && rule->until > rule->threshold)
			return bad_at(p, p->seen[KEY_UNTIL], "until is above the threshold");
	}
	return r;
}

static int check_throttle(struct parser *p, const struct abuse_rule *rule)
{
	static const enum key own[] = {KEY_CPU, KEY_RATE_IN, KEY_RATE_OUT};
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		if (p->seen[own[i]] && rule->action != ABUSE_THROTTLE)
			return bad_at(p, p->seen[own[i]], "%s is for action = throttle alone",
				keys[own[i]]);
		any |= p->seen[own[i]] != 0;
	}
	if (rule->action != ABUSE_THROTTLE)
		return 0;
	if (!any)
		return bad_at(p, p->section_line,
			"rule %s throttles nothing: give cpu, rate-in or rate-out", rule->name);
	if (rule->throttle.cpu_percent && rule->per_tenant)
		return bad_at(p, p->seen[KEY_CPU],
			"cpu throttles containers: with per = "
			"container");
	if (rule->signal == ABUSE_CPU_FULL && rule->throttle.cpu_percent >= rule->until)
		return bad_at(p, p->seen[KEY_CPU],
			"cpu must be below until (%" PRIu64 " %%), or the throttle would hold "
			"itself up for ever",
			rule->until);
	return 0;
}

static int end_section(struct parser *p)
{
	static const enum key needed[] = {KEY_SIGNAL, KEY_THRESHOLD, KEY_WINDOW, KEY_ACTION};
	struct abuse_rule *rule;
	int r;

	if (p->section != SECTION_RULE)
		return 0;
	rule = present_rule(p);
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!p->seen[needed[i]])
			return bad_at(p, p->section_line, "rule %s has no %s", rule->name,
				keys[needed[i]]);
	if (p->seen[KEY_GRACE] && rule->action != ABUSE_HOLD)
		return bad_at(p, p->seen[KEY_GRACE], "grace is for action = hold alone");
	if (!p->seen[KEY_QUIET])
		rule->quiet_usec = rule->window_usec;
	if (abuse_signal_row(rule->signal)->of_tenant && p->seen[KEY_PER] && p->per_container)
		return bad_at(p, p->seen[KEY_PER], "%s is counted of tenants alone",
			abuse_signal_row(rule->signal)->name);
	r = check_levels(p, rule);
	return r < 0 ? r : check_throttle(p, rule);
}

static int begin_rule(struct parser *p, const char *name)
{
	struct abuse_rules *rules = p->rules;
	struct abuse_rule *rule;

	if (!name_is_valid(name))
		return bad(p, "a rule's name has letters a to z, digits and dashes, 32 at most, "
			      "and begins with a letter");
	for (size_t i = 0; i < rules->n; i++)
		if (!strcmp(rules->list[i].name, name))
			return bad(p, "there is a rule %s already", name);
	if (rules->n == ABUSE_RULES_MAX)
		return bad(p, "there are more than %u rules", ABUSE_RULES_MAX);
	rule = &rules->list[rules->n++];
	snprintf(rule->name, sizeof(rule->name), "%s", name);
	rule->grace_s = ABUSE_GRACE_DEFAULT;
	p->section = SECTION_RULE;
	return 0;
}

/* "[all]" or "[rule NAME]". */
static int begin_section(struct parser *p, char *text)
{
	size_t len = strlen(text);
	int r = end_section(p);

	if (r < 0)
		return r;
	memset(p->seen, 0, sizeof(p->seen));
	p->section_line = p->line;
	if (text[len - 1] != ']')
		return bad(p, "the section's \"]\" is missing");
	text[len - 1] = '\0';
	if (!strcmp(text, "[all")) {
		if (p->seen_all)
			return bad(p, "there is a section [all] already");
		p->seen_all = true;
		p->section = SECTION_ALL;
		return 0;
	}
	if (strncmp(text, "[rule ", 6) != 0)
		return bad(p, "a section is [all] or [rule NAME]");
	return begin_rule(p, text + 6 + strspn(text + 6, " "));
}

/* --- lines --- */

static int set_of_rule(struct parser *p, enum key key, char *value)
{
	struct abuse_rule *rule = present_rule(p);

	switch (key) {
	case KEY_SIGNAL:
		return parse_signal(p, value, rule);
	case KEY_PER:
		return parse_per(p, value, rule);
	case KEY_THRESHOLD:
	case KEY_UNTIL:
		if (strlen(value) >= sizeof(p->until))
			return bad(p, "%s is too long", keys[key]);
		memcpy(key == KEY_UNTIL ? p->until : p->threshold, value, strlen(value) + 1);
		return 0;
	case KEY_WINDOW:
		return parse_window(p, "window", value, &rule->window_usec);
	case KEY_QUIET:
		return parse_window(p, "quiet", value, &rule->quiet_usec);
	case KEY_ACTION:
		return parse_action(p, value, rule);
	case KEY_CPU:
		return parse_cpu(p, value, rule);
	case KEY_RATE_IN:
		return parse_rate(p, "rate-in", value, &rule->throttle.rate_in);
	case KEY_RATE_OUT:
		return parse_rate(p, "rate-out", value, &rule->throttle.rate_out);
	case KEY_GRACE:
		return parse_grace(p, value, &rule->grace_s);
	case KEY_DRY_RUN:
		return parse_switch(p, value, &rule->dry_run);
	default:
		return parse_exempt(p, value, &rule->exempt);
	}
}

static int set(struct parser *p, const char *name, char *value)
{
	enum key key = 0;

	while (key < KEY_N && strcmp(keys[key], name) != 0)
		key++;
	if (key == KEY_N)
		return bad(p, "there is no key \"%.40s\"", name);
	if (p->section == SECTION_NONE)
		return bad(p, "%s stands before the first section", name);
	if (p->section == SECTION_ALL && key != KEY_DRY_RUN && key != KEY_EXEMPT)
		return bad(p, "%s is for a rule, not for [all]", name);
	if (p->seen[key] && key != KEY_EXEMPT)
		return bad(p, "%s is given twice", name);
	if (!*value)
		return bad(p, "%s has no value", name);
	p->seen[key] = p->line;
	if (p->section == SECTION_RULE)
		return set_of_rule(p, key, value);
	return key == KEY_DRY_RUN ? parse_switch(p, value, &p->rules->dry_run)
				  : parse_exempt(p, value, &p->rules->exempt);
}

static char *trim(char *text)
{
	size_t len;

	text += strspn(text, " \t");
	len = strlen(text);
	while (len && (text[len - 1] == ' ' || text[len - 1] == '\t' || text[len - 1] == '\r'))
		text[--len] = '\0';
	return text;
}

static int parse_line(struct parser *p, char *line)
{
	char *text = trim(line);
	char *equals;

	if (!*text || *text == '#')
		return 0;
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c >= 0x7f || ((unsigned char)*c < ' ' && *c != '\t'))
			return bad(p, "only comments may have other than printable ASCII");
	if (*text == '[')
		return begin_section(p, text);
	equals = strchr(text, '=');
	if (!equals)
		return bad(p, "a line is \"key = value\", a section, or a comment with #");
	*equals = '\0';
	return set(p, trim(text), trim(equals + 1));
}

static int parse_text(struct parser *p, const char *text, size_t size)
{
	const char *end = text + size;
	char line[LINE_MAX_BYTES];
	int r = 0;

	while (text < end && r == 0) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((newline ? newline : end) - text);

		p->line++;
		if (len >= sizeof(line))
			return bad(p, "the line is too long");
		if (memchr(text, '\0', len))
			return bad(p, "there is a zero byte");
		memcpy(line, text, len);
		line[len] = '\0';
		r = parse_line(p, line);
		text += len + 1;
	}
	return r < 0 ? r : end_section(p);
}

int abuse_rules_parse(
	const char *text, size_t size, const char *file, struct abuse_rules **ret, struct err *err)
{
	_cleanup_free_ struct abuse_rules *rules = calloc(1, sizeof(*rules));
	struct parser p = {.file = file, .rules = rules, .err = err};
	int r;

	if (!rules)
		return err_oom(err);
	if (size > ABUSE_FILE_BYTES_MAX)
		return bad(&p, "rules have %u bytes at most", ABUSE_FILE_BYTES_MAX);
	r = parse_text(&p, text, size);
	if (r < 0)
		return r;
	*ret = take_ptr(rules);
	return 0;
}

int abuse_rules_read(int fd, char **ret_text, size_t *ret_size, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "look at the rules about abuse");
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)ABUSE_FILE_BYTES_MAX)
		return err_set(err, ERR_INVALID_ARGUMENT, "ABUSE_RULES_INVALID",
			"the rules about abuse must be a file of at most %u bytes",
			ABUSE_FILE_BYTES_MAX);
	text = malloc(ABUSE_FILE_BYTES_MAX + 1);
	if (!text)
		return err_oom(err);
	n = fd_read_full(fd, text, ABUSE_FILE_BYTES_MAX + 1);
	if (n < 0)
		return err_sys(err, (int)n, "read the rules about abuse");
	*ret_text = take_ptr(text);
	*ret_size = (size_t)n;
	return 0;
}

static bool list_has(const struct abuse_exempt_list *list, const char *tenant,
	const char *container, const char *plan)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct abuse_exempt *e = &list->list[i];

		if (e->kind == ABUSE_EXEMPT_PLAN
				? !strcmp(e->name, plan)
				: !strcmp(e->name, tenant) &&
					  (e->kind == ABUSE_EXEMPT_TENANT ||
						  (container && !strcmp(e->container, container))))
			return true;
	}
	return false;
}

bool abuse_rule_exempts(const struct abuse_rules *rules, const struct abuse_rule *rule,
	const char *tenant, const char *container, const char *plan)
{
	return list_has(&rules->exempt, tenant, container, plan) ||
	       list_has(&rule->exempt, tenant, container, plan);
}

/*
 * Option parsing by tables; see options.h. Keeps pointers into argv and interprets no value: what
 * a size or name means is base's and the server's.
 */
#include "cli/options.h"

#include "base/cleanup.h"
#include "cli/suggest.h"
#include "cli/usage.h"

#include <string.h>

const struct option_rule options_global[] = {
	{.name = "host",
		.value = "ADDR",
		.help = "where croftd is: unix:PATH or tcp:ADDR:PORT (default: CROFT_HOST, else "
			"unix:/run/croft/croft.sock)"},
	{.letter = 'o',
		.name = "output",
		.value = "table|json|csv",
		.kind = WORD_CHOICE,
		.help = "for people (the default), as protobuf JSON, or as CSV"},
	{.letter = 'h', .name = "help", .help = "show this help"},
	{0},
};

static const char *const limit_values[] = {
	[LIMIT_KIND_COUNT] = "N",
	[LIMIT_KIND_SIZE] = "SIZE",
	[LIMIT_KIND_CORES] = "N|LIST|auto",
	[LIMIT_KIND_MILLI] = "N",
	[LIMIT_KIND_RATE] = "RATE",
	[LIMIT_KIND_IO] = "RATE",
	[LIMIT_KIND_OPS] = "N",
};

static const char *const limit_help[LIMIT_N] = {
	[LIMIT_CPU] = "CPU quota in cores, such as 0.5",
	[LIMIT_CPU_WEIGHT] = "share of a busy CPU, 1 to 10000 (default 100)",
	[LIMIT_CORES] =
		"N: so many, of Croft's choice; a list, such as 1-1: those; auto: as --cpu needs",
	[LIMIT_MEMORY] = "memory without swap, such as 256M",
	[LIMIT_SWAP] = "swap beside the memory (default 0)",
	[LIMIT_PIDS] = "processes and threads",
	[LIMIT_DISK] = "disk space, such as 5G",
	[LIMIT_INODES] = "files, directories and links on disk",
	[LIMIT_CONTAINERS] = "how many containers the tenant may have",
	[LIMIT_RATE_IN] = "network traffic towards it in bytes a second, such as 10MiB",
	[LIMIT_RATE_OUT] = "network traffic from it in bytes a second, such as 10MiB",
	[LIMIT_IO_READ] =
		"reading from the disk: 10MiB a second, 500iops, or both, as 10MiB,500iops",
	[LIMIT_IO_WRITE] = "writing to the disk, likewise (on cgroup v2); both are for operators",
	[LIMIT_TRAFFIC] = "traffic with outside in a month, both ways together, such as 2TiB",
	[LIMIT_TRAFFIC_OUT] = "traffic to outside in a month",
	[LIMIT_TRAFFIC_RATE] = "what its network is slowed to, each way, when that is used up "
			       "(default: not at all)",
	[LIMIT_LOG] = "how much is kept of the output, such as 4M",
};

bool options_takes_limit(const struct command *command, enum limit_id id)
{
	if (!command || command->limits == COMMAND_LIMITS_NONE)
		return false;
	if (limit_rule(id)->kind == LIMIT_KIND_OPS)
		return false; /* part of its LIMIT_KIND_IO's value */
	return command->limits == COMMAND_LIMITS_TENANT || !limit_rule(id)->tenant_only;
}

static struct option_rule rule_of_limit(enum limit_id id)
{
	const struct limit_rule *limit = limit_rule(id);

	return (struct option_rule){.name = limit->name,
		.value = limit_values[limit->kind],
		.kind = limit->kind == LIMIT_KIND_CORES ? WORD_CHOICE : WORD_TEXT,
		.help = limit_help[id]};
}

bool options_rule_at(const struct command *command, size_t i, struct option_rule *ret)
{
	if (command && command->options) {
		const struct option_rule *o = command->options;

		for (; o->name && i; o++)
			i--;
		if (o->name) {
			*ret = *o;
			return true;
		}
	}
	for (int id = 0; id < LIMIT_N; id++) {
		if (!options_takes_limit(command, (enum limit_id)id))
			continue;
		if (!i--) {
			*ret = rule_of_limit((enum limit_id)id);
			return true;
		}
	}
	if (i >= ARRAY_SIZE(options_global) - 1)
		return false;
	*ret = options_global[i];
	return true;
}

struct parser {
	const struct command *command; /* NULL: global options */
	const char *const *argv;
	size_t n;
	size_t i; /* the next word */
	struct options *options;
};

static bool find_by_name(
	const struct command *command, const char *name, size_t len, struct option_rule *ret)
{
	for (size_t i = 0; options_rule_at(command, i, ret); i++)
		if (strlen(ret->name) == len && !memcmp(ret->name, name, len))
			return true;
	return false;
}

static bool find_by_letter(const struct command *command, char letter, struct option_rule *ret)
{
	for (size_t i = 0; options_rule_at(command, i, ret); i++)
		if (ret->letter && ret->letter == letter)
			return true;
	return false;
}

static int unknown_option(const struct parser *p, const char *word, size_t len, struct err *err)
{
	struct suggest suggest;
	struct option_rule rule;

	suggest_init(&suggest, word + 2, len - 2);
	for (size_t i = 0; options_rule_at(p->command, i, &rule); i++)
		suggest_add(&suggest, rule.name);
	if (suggest.best)
		return usage_error(err, "there is no option %.*s; did you mean --%s?", (int)len,
			word, suggest.best);
	return usage_error(err, "there is no option %.*s", (int)len, word);
}

static int add_option(
	struct parser *p, const struct option_rule *rule, const char *value, struct err *err)
{
	if (!rule->repeated && rule->value && options_has(p->options, rule->name))
		return usage_error(err, "--%s was given twice", rule->name);
	p->options->given[p->options->n_given++] = (struct option_value){
		.name = rule->name, .text = value};
	if (!strcmp(rule->name, "help"))
		p->options->help = true;
	return 0;
}

static int next_value(
	struct parser *p, const struct option_rule *rule, const char **ret_value, struct err *err)
{
	if (p->i >= p->n || !strcmp(p->argv[p->i], "--"))
		return usage_error(err, "--%s needs a value: %s", rule->name, rule->value);
	*ret_value = p->argv[p->i++];
	return 0;
}

/* "--name", "--name=value" or "--name value". */
static int parse_long(struct parser *p, const char *word, struct err *err)
{
	size_t len = strcspn(word, "=");
	const char *value = word[len] ? word + len + 1 : NULL;
	struct option_rule rule;

	if (!find_by_name(p->command, word + 2, len - 2, &rule))
		return unknown_option(p, word, len, err);
	if (value && !rule.value)
		return usage_error(err, "--%s takes no value", rule.name);
	if (rule.value && !value && next_value(p, &rule, &value, err) < 0)
		return -EINVAL;
	return add_option(p, &rule, value, err);
}

/* "-f", "-fg", "-ovalue" or "-o value". */
static int parse_letters(struct parser *p, const char *word, struct err *err)
{
	for (const char *letter = word + 1; *letter; letter++) {
		const char *value = NULL;
		struct option_rule rule;
		bool last = false;

		if (!find_by_letter(p->command, *letter, &rule))
			return usage_error(err, "there is no option -%c", *letter);
		if (rule.value) {
			last = true;
			value = letter[1] ? letter + 1 : NULL;
			if (!value && next_value(p, &rule, &value, err) < 0)
				return -EINVAL;
		}
		if (add_option(p, &rule, value, err) < 0)
			return -EINVAL;
		if (last)
			break;
	}
	return 0;
}

static int parse_option(struct parser *p, struct err *err)
{
	const char *word = p->argv[p->i++];

	return word[1] == '-' ? parse_long(p, word, err) : parse_letters(p, word, err);
}

static bool is_option(const char *word)
{
	return word[0] == '-' && word[1];
}

static int check_counts(const struct command *command, const struct options *o, struct err *err)
{
	size_t i = 0;

	for (; command->args[i].name; i++)
		if (i >= o->n_args && !command->args[i].optional)
			return usage_error(err, "%s is missing", command->args[i].name);
	if (o->n_args > i && command->rest)
		return usage_error(err,
			"\"%s\" is one word too many; the words of %s stand behind --", o->args[i],
			command->rest);
	if (o->n_args > i)
		return usage_error(err, "\"%s\" is one word too many", o->args[i]);
	if (command->rest && !command->rest_optional && !o->n_rest)
		return usage_error(err, "%s is missing; it stands behind --", command->rest);
	if (!command->rest && o->n_rest)
		return usage_error(err, "\"%s\" is one word too many", o->rest[0]);
	return 0;
}

/* A letter can be an option, so a word of N letters may give N values. */
static size_t count_letters(const char *const *argv, size_t n)
{
	size_t total = 1;

	for (size_t i = 0; i < n; i++)
		total += is_option(argv[i]) ? strlen(argv[i]) : 1;
	return total;
}

static int alloc_options(struct options *o, const char *const *argv, size_t n, struct err *err)
{
	memset(o, 0, sizeof(*o));
	o->given = calloc(count_letters(argv, n), sizeof(*o->given));
	o->args = calloc(n + 1, sizeof(*o->args));
	if (o->given && o->args)
		return 0;
	options_finish(o);
	return err_oom(err);
}

static int parse_words(struct parser *p, struct err *err)
{
	while (p->i < p->n) {
		const char *word = p->argv[p->i];

		if (!strcmp(word, "--")) {
			p->options->rest = p->argv + p->i + 1;
			p->options->n_rest = p->n - p->i - 1;
			break;
		}
		if (!is_option(word))
			p->options->args[p->options->n_args++] = p->argv[p->i++];
		else if (parse_option(p, err) < 0)
			return -EINVAL;
		if (p->options->help)
			return 0;
	}
	return check_counts(p->command, p->options, err);
}

int options_parse(const struct command *command, const char *const *argv, size_t n,
	struct options *ret, struct err *err)
{
	struct options o;
	struct parser p = {.command = command, .argv = argv, .n = n, .options = &o};
	int r = alloc_options(&o, argv, n, err);

	if (r < 0)
		return r;
	r = parse_words(&p, err);
	if (r < 0) {
		options_finish(&o);
		return r;
	}
	*ret = o;
	return 0;
}

int options_parse_global(
	const char *const *argv, size_t n, struct options *ret, size_t *ret_words, struct err *err)
{
	struct options o;
	struct parser p = {.argv = argv, .n = n, .options = &o};
	int r = alloc_options(&o, argv, n, err);

	while (r == 0 && p.i < n && is_option(argv[p.i]) && strcmp(argv[p.i], "--") != 0 && !o.help)
		r = parse_option(&p, err);
	if (r < 0) {
		options_finish(&o);
		return r;
	}
	*ret = o;
	*ret_words = p.i;
	return 0;
}

void options_finish(struct options *options)
{
	free(options->given);
	free(options->args);
	memset(options, 0, sizeof(*options));
}

const char *options_get(const struct options *options, const char *name)
{
	const char *text = NULL;

	for (size_t i = 0; i < options->n_given; i++)
		if (!strcmp(options->given[i].name, name))
			text = options->given[i].text;
	return text;
}

bool options_has(const struct options *options, const char *name)
{
	for (size_t i = 0; i < options->n_given; i++)
		if (!strcmp(options->given[i].name, name))
			return true;
	return false;
}

const char *options_next(const struct options *options, const char *name, size_t *pos)
{
	for (; *pos < options->n_given; (*pos)++)
		if (!strcmp(options->given[*pos].name, name))
			return options->given[(*pos)++].text;
	return NULL;
}

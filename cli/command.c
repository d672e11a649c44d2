/*
 * Finds commands and describes them from their rows; see command.h. Nothing here knows any single
 * command.
 */
#include "cli/command.h"

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/suggest.h"
#include "cli/usage.h"

#include <string.h>

#define COMMAND_NAME_MAX 64
#define HELP_WIDTH	 79 /* of a line, on a terminal of 80 */
#define OPTION_WIDTH	 26
#define SUMMARY_COLUMN	 25

bool command_is_group(const char *word)
{
	size_t len = strlen(word);

	for (const struct command *const *c = commands; *c; c++)
		if (!strncmp((*c)->name, word, len) && (*c)->name[len] == ' ')
			return true;
	return false;
}

static const struct command *find_exact(const char *name)
{
	for (const struct command *const *c = commands; *c; c++)
		if (!strcmp((*c)->name, name))
			return *c;
	return NULL;
}

/* Compares with first words ("tenant", "launch") or with whole names ("tenant create"). */
static int unknown_command(const char *text, const char *group, struct err *err)
{
	char firsts[64][COMMAND_NAME_MAX];
	struct suggest suggest;
	size_t n = 0;

	suggest_init(&suggest, text, strlen(text));
	for (const struct command *const *c = commands; *c && n < 64; c++) {
		size_t len = group ? strlen((*c)->name) : strcspn((*c)->name, " ");

		snprintf(firsts[n], COMMAND_NAME_MAX, "%.*s", (int)len, (*c)->name);
		suggest_add(&suggest, firsts[n++]);
	}
	if (suggest.best)
		return usage_error(err, "there is no command \"%s\"; did you mean \"%s\"?", text,
			suggest.best);
	if (group)
		return usage_error(err,
			"there is no command \"%s\"; \"croft %s --help\" lists what there is", text,
			group);
	return usage_error(
		err, "there is no command \"%s\"; \"croft --help\" lists what there is", text);
}

int command_find(const char *const *argv, size_t n, const struct command **ret, size_t *ret_words,
	struct err *err)
{
	const struct command *command;
	char name[COMMAND_NAME_MAX];

	if (!n)
		return usage_error(err, "a command is missing; \"croft --help\" lists them");
	if (!command_is_group(argv[0])) {
		command = find_exact(argv[0]);
		if (!command)
			return unknown_command(argv[0], NULL, err);
		*ret = command;
		*ret_words = 1;
		return 0;
	}
	if (n < 2 || argv[1][0] == '-')
		return usage_error(err,
			"\"%s\" needs a command of its own; \"croft %s --help\" lists them",
			argv[0], argv[0]);
	snprintf(name, sizeof(name), "%s %s", argv[0], argv[1]);
	command = find_exact(name);
	if (!command)
		return unknown_command(name, argv[0], err);
	*ret = command;
	*ret_words = 2;
	return 0;
}

void command_print_usage(const struct command *command, FILE *out)
{
	fprintf(out, "croft %s [OPTIONS]", command->name);
	for (const struct argument *a = command->args; a->name; a++)
		fprintf(out, a->optional ? " [%s]" : " %s", a->name);
	if (command->rest)
		fprintf(out, command->rest_optional ? " [-- %s]" : " -- %s", command->rest);
	fputc('\n', out);
}

/* Breaks text at spaces; every line but the first begins with `indent` spaces, as the first has. */
static void print_wrapped(const char *text, size_t indent, FILE *out)
{
	size_t room = HELP_WIDTH - indent;

	while (strlen(text) > room) {
		size_t len = room;

		while (len && text[len] != ' ')
			len--;
		if (!len)
			break;
		fprintf(out, "%.*s\n%*s", (int)len, text, (int)indent, "");
		text += len + 1;
	}
	fprintf(out, "%s\n", text);
}

static void print_options(const struct command *command, FILE *out)
{
	struct option_rule rule;

	for (size_t i = 0; options_rule_at(command, i, &rule); i++) {
		char left[COMMAND_NAME_MAX];
		char letter[5] = "    ";

		if (rule.letter)
			snprintf(letter, sizeof(letter), "-%c, ", rule.letter);
		snprintf(left, sizeof(left), "%s--%s%s%s", letter, rule.name, rule.value ? " " : "",
			rule.value ? rule.value : "");
		if (strlen(left) > OPTION_WIDTH)
			fprintf(out, "  %s\n  %-*s  ", left, OPTION_WIDTH, "");
		else
			fprintf(out, "  %-*s  ", OPTION_WIDTH, left);
		print_wrapped(rule.help, OPTION_WIDTH + 4, out);
	}
}

void command_print_help(const struct command *command, FILE *out)
{
	fputs("usage: ", out);
	command_print_usage(command, out);
	fprintf(out, "\n%s\n\noptions:\n", command->summary);
	print_options(command, out);
}

void command_print_list(const char *group, FILE *out)
{
	size_t len = group ? strlen(group) : 0;

	fprintf(out, "usage: croft [--host ADDR] [-o table|json|csv] %s%s [OPTIONS]\n\ncommands:\n",
		group ? group : "COMMAND", group ? " COMMAND" : "");
	for (const struct command *const *c = commands; *c; c++) {
		if (group && (strncmp((*c)->name, group, len) != 0 || (*c)->name[len] != ' '))
			continue;
		fprintf(out, "  %-*s", SUMMARY_COLUMN - 2, (*c)->name);
		print_wrapped((*c)->summary, SUMMARY_COLUMN, out);
	}
	fputs("\nglobal options:\n", out);
	print_options(NULL, out);
	fputs("\n\"croft COMMAND --help\" describes one command.\n", out);
}

/*
 * Writes the generated part of croft(1); see manual.h. It is what --help says, since both read the
 * same tables. Nothing here knows any single command.
 */
#include "cli/manual.h"

#include "base/roff.h"
#include "cli/commands.h"
#include "cli/options.h"

#include <string.h>

static void print_option(const struct option_rule *rule, FILE *out)
{
	fputs(".It", out);
	if (rule->letter)
		fprintf(out, " Fl %c ,", rule->letter);
	fprintf(out, " Fl -%s", rule->name);
	if (rule->value) {
		fputs(" Ar", out);
		roff_argument(rule->value, out);
	}
	fputc('\n', out);
	roff_text(rule->help, out);
}

/* A command's own options and limits (NULL: the global ones), as an indented list. */
static void print_options(const struct command *command, FILE *out)
{
	struct option_rule rule;
	bool any = false;

	for (size_t i = 0; options_rule_at(command, i, &rule); i++) {
		/* The global ones come last, and have a section of their own. */
		if (command && rule.name == options_global[0].name)
			break;
		if (!any)
			fputs(".Bl -tag -width 4n\n", out);
		any = true;
		print_option(&rule, out);
	}
	if (any)
		fputs(".El\n", out);
}

static void print_command(const struct command *command, FILE *out)
{
	fputs(".It Xo\n.Ic", out);
	roff_argument(command->name, out);
	fputs("\n.Op Ar OPTIONS\n", out);
	for (const struct argument *a = command->args; a->name; a++) {
		fputs(a->optional ? ".Op Ar" : ".Ar", out);
		roff_argument(a->name, out);
		fputc('\n', out);
	}
	if (command->rest) {
		fputs(command->rest_optional ? ".Op Fl \\&- Ar" : ".Fl \\&- Ar", out);
		roff_argument(command->rest, out);
		fputc('\n', out);
	}
	fputs(".Xc\n", out);
	roff_text(command->summary, out);
	print_options(command, out);
}

void manual_print(FILE *out)
{
	fputs(".Sh GLOBAL OPTIONS\nThey may stand before or after the command.\n", out);
	print_options(NULL, out);
	fputs(".Sh COMMANDS\n.Bl -tag -width 4n\n", out);
	for (const struct command *const *c = commands; *c; c++)
		print_command(*c, out);
	fputs(".El\n", out);
}

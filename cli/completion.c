/*
 * Writes completion scripts; see completion.h. bash and zsh share functions in their common
 * language, made of the same tables that parse the command line; fish gets a line an option. Names
 * of tenants, containers, images and policies are asked of the server when they are needed.
 */
#include "cli/completion.h"

#include "base/cleanup.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/usage.h"

#include <ctype.h>
#include <string.h>

#define LISTS_MAX 2

/* What is offered for a kind of word: the first CSV columns of these list commands. */
static const struct {
	const char *name;
	const char *lists[LISTS_MAX]; /* NULL: no (more) is asked */
} kinds[] = {
	[WORD_TEXT] = {"text", {NULL}},
	[WORD_FILE] = {"file", {NULL}},
	[WORD_TENANT] = {"tenant", {"tenant list"}},
	[WORD_CONTAINER] = {"container", {"list"}},
	[WORD_HOLDER] = {"holder", {"tenant list", "list"}},
	[WORD_IMAGE] = {"image", {"image list"}},
	[WORD_POLICY] = {"policy", {"policy list"}},
	[WORD_PLAN] = {"plan", {"plan list"}},
	[WORD_WEBHOOK] = {"webhook", {"webhook list"}},
	[WORD_CHOICE] = {"choice", {NULL}},
};

/* "a|N|b" as " a b". */
static void print_choices(const char *placeholder, FILE *out)
{
	while (*placeholder) {
		size_t len = strcspn(placeholder, "|");

		if (!isupper((unsigned char)*placeholder))
			fprintf(out, " %.*s", (int)len, placeholder);
		placeholder += len + (placeholder[len] == '|');
	}
}

/* "a|b" as "choice a b", else the kind's name. */
static void print_kind(enum word_kind kind, const char *placeholder, FILE *out)
{
	fputs(kinds[kind].name, out);
	if (kind == WORD_CHOICE)
		print_choices(placeholder, out);
}

/* In single quotes, in which every shell here takes all but a quote as it is. */
static void print_quoted(const char *text, const char *escaped_quote, FILE *out)
{
	fputc('\'', out);
	for (; *text; text++) {
		if (*text == '\'')
			fputs(escaped_quote, out);
		else
			fputc(*text, out);
	}
	fputc('\'', out);
}

static void print_option_words(const struct command *command, FILE *out)
{
	struct option_rule rule;

	fprintf(out, "\t'%s') printf '%%s\\n'", command ? command->name : "");
	for (size_t i = 0; options_rule_at(command, i, &rule); i++)
		fprintf(out, " --%s", rule.name);
	fputs(" ;;\n", out);
}

static void print_option_values(const struct command *command, FILE *out)
{
	struct option_rule rule;

	for (size_t i = 0; options_rule_at(command, i, &rule); i++) {
		if (!rule.value)
			continue;
		fprintf(out, "\t'%s --%s'", command ? command->name : "", rule.name);
		if (rule.letter)
			fprintf(out, "|'%s -%c'", command ? command->name : "", rule.letter);
		fputs(") echo '", out);
		print_kind(rule.kind, rule.value, out);
		fputs("' ;;\n", out);
	}
}

static void print_arguments(const struct command *command, FILE *out)
{
	for (size_t i = 0; command->args[i].name; i++) {
		fprintf(out, "\t'%s %zu') echo '", command->name, i);
		print_kind(command->args[i].kind, command->args[i].name, out);
		fputs("' ;;\n", out);
	}
}

/* The i-th of the words that can come first, each once; NULL behind the last. */
static const char *first_word(size_t i, char *buf, size_t size)
{
	const char *before = "";
	size_t before_len = 0;

	for (const struct command *const *c = commands; *c; c++) {
		size_t len = strcspn((*c)->name, " ");
		bool same = len == before_len && !memcmp((*c)->name, before, len);

		before = (*c)->name;
		before_len = len;
		if (same || i--)
			continue;
		snprintf(buf, size, "%.*s", (int)len, (*c)->name);
		return buf;
	}
	return NULL;
}

static void print_first_words(FILE *out)
{
	char word[64];

	fputs("_croft_commands() {\n\tcase $1 in\n\t'') printf '%s\\n'", out);
	for (size_t i = 0; first_word(i, word, sizeof(word)); i++)
		fprintf(out, " %s", word);
	fputs(" ;;\n", out);
	for (size_t i = 0; first_word(i, word, sizeof(word)); i++) {
		size_t len = strlen(word);

		if (!command_is_group(word))
			continue;
		fprintf(out, "\t%s) printf '%%s\\n'", word);
		for (const struct command *const *c = commands; *c; c++)
			if (!strncmp((*c)->name, word, len) && (*c)->name[len] == ' ')
				fprintf(out, " %s", (*c)->name + len + 1);
		fputs(" ;;\n", out);
	}
	fputs("\tesac\n}\n\n", out);
}

/* $host is of the walk below: what the line says of --host. */
static void print_lists(size_t kind, FILE *out)
{
	if (!kinds[kind].lists[0])
		return;
	fprintf(out, "\t%s)\n", kinds[kind].name);
	for (size_t i = 0; i < LISTS_MAX && kinds[kind].lists[i]; i++)
		fprintf(out,
			"\t\tCROFT_HOST=${host:-$CROFT_HOST} croft -o csv %s 2>/dev/null |\n"
			"\t\t\ttail -n +2 | cut -d , -f 1\n",
			kinds[kind].lists[i]);
	fputs("\t\t;;\n", out);
}

static void print_tables(FILE *out)
{
	print_first_words(out);
	fputs("_croft_options() {\n\tcase $1 in\n", out);
	print_option_words(NULL, out);
	for (const struct command *const *c = commands; *c; c++)
		print_option_words(*c, out);
	fputs("\tesac\n}\n\n_croft_value() {\n\tcase \"$1 $2\" in\n", out);
	print_option_values(NULL, out);
	for (const struct command *const *c = commands; *c; c++)
		print_option_values(*c, out);
	fputs("\tesac\n}\n\n_croft_argument() {\n\tcase \"$1 $2\" in\n", out);
	for (const struct command *const *c = commands; *c; c++)
		print_arguments(*c, out);
	fputs("\tesac\n}\n\n_croft_list() {\n\tcase $1 in\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		print_lists(i, out);
	fputs("\tchoice) shift; printf '%s\\n' \"$@\" ;;\n"
	      "\tfile) echo _croft_files ;;\n"
	      "\tesac\n}\n\n",
		out);
}

/*
 * Prints what can follow the words it is given. "_croft_files" as the only line stands for file
 * names. `eval` splits the kind in both shells alike; its text is from the tables above.
 */
static const char walk[] = "_croft_candidates() {\n"
			   "\tlocal group='' name='' found='' count=0 kind='' host=''\n"
			   "\twhile [ $# -gt 0 ]; do\n"
			   "\t\tif [ -n \"$kind\" ]; then\n"
			   "\t\t\t[ \"$kind\" != address ] || host=$1\n"
			   "\t\t\tkind=''\n"
			   "\t\telse\n"
			   "\t\t\tcase $1 in\n"
			   "\t\t\t--) return ;;\n"
			   "\t\t\t--host=*) host=${1#--host=} ;;\n"
			   "\t\t\t--host) kind=address ;;\n"
			   "\t\t\t--*=*) ;;\n"
			   "\t\t\t-*) kind=$(_croft_value \"$name\" \"$1\") ;;\n"
			   "\t\t\t*)\n"
			   "\t\t\t\tif [ -n \"$found\" ]; then\n"
			   "\t\t\t\t\tcount=$((count + 1))\n"
			   "\t\t\t\telif [ -n \"$group\" ]; then\n"
			   "\t\t\t\t\tname=\"$group $1\" found=1\n"
			   "\t\t\t\telif [ -n \"$(_croft_commands \"$1\")\" ]; then\n"
			   "\t\t\t\t\tgroup=$1\n"
			   "\t\t\t\telse\n"
			   "\t\t\t\t\tname=$1 found=1\n"
			   "\t\t\t\tfi\n"
			   "\t\t\t\t;;\n"
			   "\t\t\tesac\n"
			   "\t\tfi\n"
			   "\t\tshift\n"
			   "\tdone\n"
			   "\tif [ -n \"$kind\" ]; then\n"
			   "\t\teval \"_croft_list $kind\"\n"
			   "\telif [ -z \"$found\" ]; then\n"
			   "\t\t_croft_commands \"$group\"\n"
			   "\t\t_croft_options ''\n"
			   "\telse\n"
			   "\t\teval \"_croft_list $(_croft_argument \"$name\" \"$count\")\"\n"
			   "\t\t_croft_options \"$name\"\n"
			   "\tfi\n"
			   "}\n\n";

/* COMP_WORDS would be broken at ":" and "=" too, as in --host unix:PATH. */
static const char bash_adapter[] =
	"_croft() {\n"
	"\tlocal line=${COMP_LINE:0:COMP_POINT} cur='' words\n"
	"\tlocal -a before\n"
	"\tread -ra before <<<\"$line\"\n"
	"\tif [[ $line != *[[:space:]] ]]; then\n"
	"\t\tcur=${before[-1]}\n"
	"\t\tunset 'before[-1]'\n"
	"\tfi\n"
	"\tif [[ $cur == --*=* ]]; then\n"
	"\t\tbefore+=(\"${cur%%=*}\")\n"
	"\t\tcur=${cur#*=}\n"
	"\tfi\n"
	"\twords=$(_croft_candidates \"${before[@]:1}\")\n"
	"\tCOMPREPLY=()\n"
	"\tif [[ $words == _croft_files* && $cur != -* ]]; then\n"
	"\t\tcompopt -o default 2>/dev/null\n"
	"\t\treturn\n"
	"\tfi\n"
	"\t[[ $cur == -* ]] || words=$(printf '%s\\n' \"$words\" | grep -v '^-')\n"
	"\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	"}\n"
	"complete -F _croft croft\n";

static const char zsh_adapter[] =
	"_croft() {\n"
	"\tlocal -a found\n"
	"\tfound=(${(f)\"$(_croft_candidates \"${(@)words[2,CURRENT-1]}\")\"})\n"
	"\tif [[ $found[1] == _croft_files && $PREFIX != -* ]]; then\n"
	"\t\t_files\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tif [[ $PREFIX == -* ]]; then\n"
	"\t\tfound=(${(M)found:#-*})\n"
	"\telse\n"
	"\t\tfound=(${found:#-*})\n"
	"\tfi\n"
	"\tcompadd -a found\n"
	"}\n"
	"if [ \"$funcstack[1]\" = _croft ]; then\n"
	"\t_croft \"$@\"\n"
	"else\n"
	"\tcompdef _croft croft\n"
	"fi\n";

/* __croft_words: those that are neither options nor the values of options. */
static const char fish_functions[] =
	"function __croft_words\n"
	"\tset -l skip 0\n"
	"\tset -l words\n"
	"\tfor word in (commandline -opc)[2..-1]\n"
	"\t\tif test $skip = 1\n"
	"\t\t\tset skip 0\n"
	"\t\telse if not string match -q -- '-*' $word\n"
	"\t\t\tset -a words $word\n"
	"\t\telse if __croft_takes_value \"$words[1]\" $word\n"
	"\t\t\tset skip 1\n"
	"\t\telse if __croft_takes_value \"$words[1..2]\" $word\n"
	"\t\t\tset skip 1\n"
	"\t\tend\n"
	"\tend\n"
	"\ttest -n \"$words\"\n"
	"\tand printf '%s\\n' $words\n"
	"end\n\n"
	"function __croft_in\n"
	"\tset -l words (__croft_words)\n"
	"\ttest (count $argv) = 0\n"
	"\tand return 0\n"
	"\ttest (count $words) -ge (count $argv)\n"
	"\tand test \"$words[1..\"(count $argv)\"]\" = \"$argv\"\n"
	"end\n\n"
	"function __croft_at\n"
	"\ttest (count (__croft_words)) = $argv[1]\n"
	"\tand __croft_in $argv[2..-1]\n"
	"end\n\n"
	"function __croft_list\n"
	"\tset -l words (commandline -opc)\n"
	"\tset -l at (contains -i -- --host $words)\n"
	"\tand set -lx CROFT_HOST $words[(math $at + 1)]\n"
	"\tcroft -o csv $argv 2>/dev/null | tail -n +2 | cut -d , -f 1\n"
	"end\n\n"
	"complete -c croft -f\n";

static void print_fish_offer(enum word_kind kind, const char *placeholder, FILE *out)
{
	if (kind == WORD_FILE) {
		fputs(" -F", out);
	} else if (kind == WORD_CHOICE) {
		fputs(" -xa '", out);
		print_choices(placeholder, out);
		fputc('\'', out);
	} else if (kinds[kind].lists[0]) {
		fputs(" -xa '", out);
		for (size_t i = 0; i < LISTS_MAX && kinds[kind].lists[i]; i++)
			fprintf(out, "%s(__croft_list %s)", i ? " " : "", kinds[kind].lists[i]);
		fputc('\'', out);
	}
}

static bool is_global(const struct option_rule *rule)
{
	for (const struct option_rule *o = options_global; o->name; o++)
		if (!strcmp(o->name, rule->name))
			return true;
	return false;
}

static void print_fish_options(const struct command *command, FILE *out)
{
	struct option_rule rule;

	for (size_t i = 0; options_rule_at(command, i, &rule); i++) {
		if (command && is_global(&rule))
			continue; /* offered for all commands at once */
		fputs("complete -c croft", out);
		if (command)
			fprintf(out, " -n '__croft_in %s'", command->name);
		if (rule.letter)
			fprintf(out, " -s %c", rule.letter);
		fprintf(out, " -l %s", rule.name);
		if (rule.value) {
			fputs(" -r", out);
			print_fish_offer(rule.kind, rule.value, out);
		}
		fputs(" -d ", out);
		print_quoted(rule.help, "\\'", out);
		fputc('\n', out);
	}
}

static void print_fish_command(const struct command *command, FILE *out)
{
	const char *space = strchr(command->name, ' ');
	size_t words = space ? 2 : 1;

	fprintf(out, "complete -c croft -n '__croft_at %zu%s%.*s' -a '%s' -d ", words - 1,
		space ? " " : "", space ? (int)(space - command->name) : 0, command->name,
		space ? space + 1 : command->name);
	print_quoted(command->summary, "\\'", out);
	fputc('\n', out);
	for (size_t i = 0; command->args[i].name; i++) {
		if (command->args[i].kind == WORD_TEXT)
			continue;
		fprintf(out, "complete -c croft -n '__croft_at %zu %s'", words + i, command->name);
		print_fish_offer(command->args[i].kind, command->args[i].name, out);
		fputc('\n', out);
	}
	print_fish_options(command, out);
}

static void print_fish_values(const struct command *command, FILE *out)
{
	struct option_rule rule;

	for (size_t i = 0; options_rule_at(command, i, &rule); i++) {
		if (!rule.value || (command && is_global(&rule)))
			continue;
		fprintf(out, " '%s --%s'", command ? command->name : "*", rule.name);
		if (rule.letter)
			fprintf(out, " '%s -%c'", command ? command->name : "*", rule.letter);
	}
}

/* __croft_takes_value COMMAND OPTION */
static void print_fish_all_values(FILE *out)
{
	fputs("function __croft_takes_value\n\tswitch \"$argv\"\n\t\tcase", out);
	print_fish_values(NULL, out);
	for (const struct command *const *c = commands; *c; c++)
		print_fish_values(*c, out);
	fputs("\n\t\t\treturn 0\n\tend\n\treturn 1\nend\n\n", out);
}

static void print_fish(FILE *out)
{
	char word[64];

	fputs("# fish completion of croft, written by \"croft completion fish\"\n", out);
	print_fish_all_values(out);
	fputs(fish_functions, out);
	for (size_t i = 0; first_word(i, word, sizeof(word)); i++)
		if (command_is_group(word))
			fprintf(out, "complete -c croft -n '__croft_at 0' -a '%s'\n", word);
	print_fish_options(NULL, out);
	for (const struct command *const *c = commands; *c; c++)
		print_fish_command(*c, out);
}

int completion_print(const char *shell, FILE *out, struct err *err)
{
	bool zsh = !strcmp(shell, "zsh");

	if (!strcmp(shell, "fish")) {
		print_fish(out);
		return 0;
	}
	if (!zsh && strcmp(shell, "bash") != 0)
		return usage_error(
			err, "\"%.40s\" is no shell that croft knows: bash, zsh or fish", shell);
	if (zsh)
		fputs("#compdef croft\n", out);
	fprintf(out, "# %s completion of croft, written by \"croft completion %s\"\n\n", shell,
		shell);
	print_tables(out);
	fputs(walk, out);
	fputs(zsh ? zsh_adapter : bash_adapter, out);
	return 0;
}

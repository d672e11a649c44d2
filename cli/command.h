/*
 * A command of croft: one const row, from which parsing, usage, help and completion follow.
 *
 * To add a command, define a row in a cmd_*.c, declare it in commands.h and list it in
 * commands.c, in the order that help shows.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct cli;

/* What a word on the command line stands for: what completion offers for it. */
enum word_kind {
	WORD_TEXT, /* nothing to offer */
	WORD_FILE,
	WORD_TENANT,
	WORD_CONTAINER, /* TENANT/NAME */
	WORD_HOLDER,	/* either of the two */
	WORD_IMAGE,
	WORD_POLICY,
	WORD_PLAN,
	WORD_WEBHOOK,
	/* One of option_rule.value or argument.name, which lists them: "a|b|c"; a word in capitals
	   stands for something else that it may be. */
	WORD_CHOICE,
};

struct option_rule {
	char letter;	   /* 0: none */
	const char *name;  /* without dashes; NULL ends a table */
	const char *value; /* the value's placeholder; NULL: a flag */
	const char *help;
	enum word_kind kind;
	bool repeated; /* may be given several times */
};

struct argument {
	const char *name; /* "TENANT/NAME"; NULL ends the list */
	enum word_kind kind;
	bool optional;
};

#define COMMAND_ARGS_MAX 3

/* Which limits of base/limits.h are options of the command. */
enum command_limits { COMMAND_LIMITS_NONE, COMMAND_LIMITS_CONTAINER, COMMAND_LIMITS_TENANT };

struct command {
	const char *name; /* one or two words: "launch", "tenant create" */
	const char *summary;
	struct argument args[COMMAND_ARGS_MAX + 1];
	const char *rest; /* placeholder of the words behind "--"; NULL: none allowed */
	bool rest_optional;
	const struct option_rule *options; /* NULL: none of its own */
	enum command_limits limits;
	int failure_status; /* the exit status of errors; 0: 1, or 2 for usage */
	/*
	 * Does the work. Returns 0, then croft exits with cli->status, or -errno with err filled,
	 * which main() prints.
	 */
	int (*run)(struct cli *cli, struct err *err);
};

/*
 * The command that argv's first words name; *ret_words is how many words that were (1 or 2).
 * Returns 0 or a usage error, with a guess at what was meant.
 */
int command_find(const char *const *argv, size_t n, const struct command **ret, size_t *ret_words,
	struct err *err);

/* True when word is the first word of two-word commands ("tenant"). */
bool command_is_group(const char *word);

/* "croft launch [OPTIONS] IMAGE TENANT/NAME [-- INIT...]" and a newline. */
void command_print_usage(const struct command *command, FILE *out);

/* Usage, summary, arguments and every option. */
void command_print_help(const struct command *command, FILE *out);

/* All commands with their summaries; of one group only when group is not NULL. */
void command_print_list(const char *group, FILE *out);

/*
 * The one option parser. It knows a command's own options, the limits of base/limits.h where the
 * command takes them, and the global ones; options may stand anywhere before "--".
 */
#pragma once

#include "base/limits.h"
#include "cli/command.h"

struct option_value {
	const char *name; /* the rule's */
	const char *text; /* NULL: a flag */
};

/* Points into argv; only the arrays are owned. */
struct options {
	struct option_value *given; /* in the order of the command line */
	size_t n_given;
	const char **args; /* the command's arguments, without its name */
	size_t n_args;
	const char *const *rest; /* what follows "--" */
	size_t n_rest;
	bool help; /* --help: nothing was checked beyond this */
};

/* Global options: --host, --output, --help. Ends with a NULL name. */
extern const struct option_rule options_global[];

/*
 * The i-th option of a command (its own, then limits, then global ones; command NULL: global ones
 * only). Returns false behind the last.
 */
bool options_rule_at(const struct command *command, size_t i, struct option_rule *ret);

/*
 * Parses the words behind the command's name, and checks the number of arguments. Returns 0 with
 * *ret to be finished, or a usage error.
 */
int options_parse(const struct command *command, const char *const *argv, size_t n,
	struct options *ret, struct err *err);
void options_finish(struct options *options);

/*
 * Parses the global options that stand before the command. *ret_words is how many words they were.
 * Returns as options_parse().
 */
int options_parse_global(
	const char *const *argv, size_t n, struct options *ret, size_t *ret_words, struct err *err);

/* The last value given for an option, or NULL when it was not given. */
const char *options_get(const struct options *options, const char *name);
/* True when a flag or option was given. */
bool options_has(const struct options *options, const char *name);
/* The next value of a repeated option from *pos on (start with 0), or NULL. */
const char *options_next(const struct options *options, const char *name, size_t *pos);

/* The name of the option that a limit is set by, and whether a command takes it. */
bool options_takes_limit(const struct command *command, enum limit_id id);

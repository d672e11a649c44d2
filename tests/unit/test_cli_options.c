/* cli/options.h, command.h, limits_message.h: from the words of a command line to a request. */
#include "cli/options.h"

#include "tests/unit/unit.h"

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/limits_message.h"
#include "cli/list.h"
#include "cli/usage.h"
#include "croft/v1/containers.pb-c.h"
#include "croft/v1/images.pb-c.h"
#include "croft/v1/policies.pb-c.h"
#include "croft/v1/tenants.pb-c.h"
#include "proto/message.h"

#include <errno.h>
#include <string.h>

#define WORDS_MAX 48

/* Splits at single spaces; "''" is an empty word. */
static size_t split(char *line, const char *words[static WORDS_MAX])
{
	size_t n = 0;

	for (char *w = line; w && *w; n++) {
		char *space = strchr(w, ' ');

		assert_true(n < WORDS_MAX);
		if (space)
			*space = '\0';
		words[n] = strcmp(w, "''") ? w : "";
		w = space ? space + 1 : NULL;
	}
	return n;
}

struct parsed {
	char line[512];
	const char *words[WORDS_MAX];
	const struct command *command;
	struct options options;
	struct err err;
};

static int parse(struct parsed *p, const char *line)
{
	size_t used;
	size_t n;
	int r;

	memset(p, 0, sizeof(*p));
	snprintf(p->line, sizeof(p->line), "%s", line);
	n = split(p->line, p->words);
	r = command_find(p->words, n, &p->command, &used, &p->err);
	if (r == 0)
		r = options_parse(p->command, p->words + used, n - used, &p->options, &p->err);
	return r;
}

static void options_anywhere(void **state)
{
	struct parsed p;

	(void)state;
	assert_int_equal(parse(&p, "launch --memory 64M busybox --cpu=0.5 acme/web --ephemeral "
				   "-ojson -- /bin/sh -c --pids"),
		0);
	assert_ptr_equal(p.command, &cmd_launch);
	assert_int_equal(p.options.n_args, 2);
	assert_string_equal(p.options.args[0], "busybox");
	assert_string_equal(p.options.args[1], "acme/web");
	assert_int_equal(p.options.n_rest, 3);
	assert_string_equal(p.options.rest[2], "--pids");
	assert_string_equal(options_get(&p.options, "memory"), "64M");
	assert_string_equal(options_get(&p.options, "cpu"), "0.5");
	assert_string_equal(options_get(&p.options, "output"), "json");
	assert_true(options_has(&p.options, "ephemeral"));
	assert_false(options_has(&p.options, "pids"));
	options_finish(&p.options);
}

static void letters_and_repeats(void **state)
{
	struct parsed p;
	size_t pos = 0;

	(void)state;
	assert_int_equal(parse(&p, "exec -te A=1 -e B= -u 0 acme/web -- true"), 0);
	assert_true(options_has(&p.options, "tty"));
	assert_string_equal(options_next(&p.options, "env", &pos), "A=1");
	assert_string_equal(options_next(&p.options, "env", &pos), "B=");
	assert_null(options_next(&p.options, "env", &pos));
	assert_string_equal(options_get(&p.options, "user"), "0");
	options_finish(&p.options);
}

static void many_letters_fit(void **state)
{
	struct parsed p;

	(void)state;
	assert_int_equal(parse(&p, "exec -tttttttttttttttttttttttt -TTTT a/b -- x"), 0);
	assert_int_equal(p.options.n_given, 28);
	options_finish(&p.options);
}

static void bad_lines_are_usage_errors(void **state)
{
	static const struct {
		const char *line;
		const char *says;
	} rows[] = {
		{"", "a command is missing"},
		{"frobnicate x", "no command \"frobnicate\""},
		{"topp", "did you mean \"top\""},
		{"tenant create a --io-read-ops 500", "no option --io-read-ops"},
		{"lanch x y", "did you mean \"launch\""},
		{"tenant", "\"tenant\" needs a command"},
		{"tenant creat x", "did you mean \"tenant create\""},
		{"tenant frobnicate x", "no command \"tenant frobnicate\""},
		{"list a b", "\"b\" is one word too many"},
		{"list -- b", "one word too many"},
		{"info", "TENANT/NAME is missing"},
		{"exec a/b", "COMMAND... is missing"},
		{"exec a/b ls", "stand behind --"},
		{"info a/b --memroy 3", "no option --memroy"},
		{"launch i a/b --memroy 3", "did you mean --memory?"},
		{"launch i a/b --memory", "--memory needs a value"},
		{"launch i a/b --memory -- x", "--memory needs a value"},
		{"launch i a/b --memory 1M --memory 2M", "given twice"},
		{"launch i a/b --ephemeral=yes", "takes no value"},
		{"launch i a/b --containers 3", "no option --containers"},
		{"exec -Z a/b -- x", "no option -Z"},
		{"launch i a/b --", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct parsed p;
		int r = parse(&p, rows[i].line);

		if (!rows[i].says) {
			assert_int_equal(r, 0);
			options_finish(&p.options);
			continue;
		}
		assert_int_equal(r, -EINVAL);
		assert_true(usage_is(&p.err));
		if (!strstr(p.err.msg, rows[i].says))
			fail_msg("\"%s\": \"%s\"", rows[i].line, p.err.msg);
	}
}

static void limits_become_messages(void **state)
{
	static struct limits_message m;
	struct parsed p;

	(void)state;
	assert_int_equal(parse(&p, "tenant set acme --cpu 0.5 --memory 64M --pids none --cores "
				   "3,0-1 --containers 7"),
		0);
	assert_int_equal(limits_message_read(&p.options, true, &m, &p.err), 0);
	assert_int_equal(m.message.cpu_milli, 500);
	assert_int_equal(m.message.memory_bytes, 64 << 20);
	assert_int_equal(m.message.pids, 0);
	assert_int_equal(m.message.containers, 7);
	assert_int_equal(m.message.core_count, 0);
	assert_string_equal(m.message.core_list, "0-1,3");
	assert_int_equal(m.n_paths, 6);
	assert_string_equal(m.paths[0], "limits.cpu_milli");
	assert_string_equal(m.paths[1], "limits.core_count");
	assert_string_equal(m.paths[2], "limits.core_list");
	assert_string_equal(m.paths[4], "limits.pids");
	options_finish(&p.options);
}

static void auto_is_a_field_of_its_own(void **state)
{
	static struct limits_message m;
	struct parsed p;

	(void)state;
	assert_int_equal(parse(&p, "set acme/web --cores auto"), 0);
	assert_int_equal(limits_message_read(&p.options, true, &m, &p.err), 0);
	assert_true(m.message.core_auto);
	assert_int_equal(m.message.core_count, 0);
	assert_string_equal(m.message.core_list, "");
	assert_int_equal(m.n_paths, 3);
	for (size_t i = 0; i < m.n_paths; i++)
		assert_non_null(protobuf_c_message_descriptor_get_field_by_name(
			&croft__v1__limits__descriptor, m.paths[i] + strlen("limits.")));
	options_finish(&p.options);
	/* A server that does not know the field is not bothered with it for a number. */
	assert_int_equal(parse(&p, "set acme/web --cores 2"), 0);
	assert_int_equal(limits_message_read(&p.options, true, &m, &p.err), 0);
	assert_false(m.message.core_auto);
	assert_int_equal(m.n_paths, 2);
	options_finish(&p.options);
}

static void mask_paths_are_fields(void **state)
{
	static struct limits_message m;
	struct parsed p;

	(void)state;
	assert_int_equal(parse(&p, "tenant set a --cpu 1 --cpu-weight 1 --cores 1 --memory 4M "
				   "--swap 0 --pids 9 --disk 1G --containers 1 "
				   "--rate-in 1M --rate-out 1M --log-size 1M --inodes 900 "
				   "--io-read 2M,100iops --io-write 500iops "
				   "--traffic 1G --traffic-out 1G --traffic-rate 1M"),
		0);
	assert_int_equal(limits_message_read(&p.options, true, &m, &p.err), 0);
	assert_int_equal(m.n_paths, LIMIT_N + 1);
	for (size_t i = 0; i < m.n_paths; i++)
		assert_non_null(protobuf_c_message_descriptor_get_field_by_name(
			&croft__v1__limits__descriptor, m.paths[i] + strlen("limits.")));
	options_finish(&p.options);
}

/* On the wire 0 is "no limit": asking for 0 must never be taken as that. */
static void zero_is_never_no_limit(void **state)
{
	static const char *const lines[] = {
		"tenant set a --memory 0",
		"tenant set a --pids 0",
		"tenant set a --cpu 0.0",
		"tenant set a --cores 0",
		"tenant set a --disk 0",
		"tenant set a --containers 0",
		"tenant set a --log-size 0",
		"tenant set a --io-read 0",
		"set a/b --io-read 0iops",
		"set a/b --io-write 4MiB,0iops",
		"set a/b --log-size 0",
		"tenant set a --memory 64X",
		"tenant set a --memory -1",
	};
	static struct limits_message m;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct parsed p;

		assert_int_equal(parse(&p, lines[i]), 0);
		if (limits_message_read(&p.options, true, &m, &p.err) != -EINVAL)
			fail_msg("\"%s\" was taken", lines[i]);
		assert_true(usage_is(&p.err));
		options_finish(&p.options);
	}
}

static void none_needs_a_meaning(void **state)
{
	static struct limits_message m;
	struct parsed p;

	(void)state;
	assert_int_equal(parse(&p, "tenant create a --memory none"), 0);
	assert_int_equal(limits_message_read(&p.options, false, &m, &p.err), -EINVAL);
	options_finish(&p.options);
}

static void names_and_numbers(void **state)
{
	static const char *const bad[] = {"acme", "acme/", "/web", "acme/web/x", "Acme/web",
		"acme/We", "../x", "acme/..", "", "tasks/x", "acme/tasks"};
	char name[RESOURCE_SIZE];
	struct err err;
	uint64_t n;

	(void)state;
	assert_int_equal(cli_container_name("acme/web", name, &err), 0);
	assert_string_equal(name, "tenants/acme/containers/web");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (cli_container_name(bad[i], name, &err) == 0)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_true(usage_is(&err));
	}
	assert_int_equal(cli_number("N", "4294967294", UINT32_MAX - 1, &n, &err), 0);
	assert_int_equal(n, 4294967294);
	assert_int_equal(cli_number("N", "4294967295", UINT32_MAX - 1, &n, &err), -EINVAL);
	assert_int_equal(cli_number("N", "18446744073709551615", UINT64_MAX, &n, &err), 0);
	assert_int_equal(cli_number("N", "18446744073709551616", UINT64_MAX, &n, &err), -EINVAL);
	assert_int_equal(cli_number("N", "-1", 9, &n, &err), -EINVAL);
	assert_int_equal(cli_number("N", "", 9, &n, &err), -EINVAL);
	assert_int_equal(cli_number("N", "1x", 9, &n, &err), -EINVAL);
}

static void endless_lists_are_errors(void **state)
{
	char token[LIST_TOKEN_MAX] = "";
	char longest[LIST_TOKEN_MAX + 1];
	struct err err;

	(void)state;
	assert_int_equal(list_next_page("a", token, &err), 0);
	assert_string_equal(token, "a");
	assert_true(list_next_page("a", token, &err) < 0);
	assert_int_equal(list_next_page("", token, &err), 0);
	memset(longest, 'x', sizeof(longest));
	longest[LIST_TOKEN_MAX] = '\0';
	assert_true(list_next_page(longest, token, &err) < 0);
}

/* What list_add() relies on. */
static void list_methods_have_pages(void **state)
{
	static const ProtobufCServiceDescriptor *const services[] = {
		&croft__v1__containers__descriptor,
		&croft__v1__images__descriptor,
		&croft__v1__policies__descriptor,
		&croft__v1__tenants__descriptor,
	};
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(services); i++) {
		for (unsigned j = 0; j < services[i]->n_methods; j++) {
			const ProtobufCMethodDescriptor *m = &services[i]->methods[j];
			const ProtobufCFieldDescriptor *items;

			if (strncmp(m->name, "List", 4) != 0)
				continue;
			items = protobuf_c_message_descriptor_get_field(m->output, 1);
			assert_int_equal(items->label, PROTOBUF_C_LABEL_REPEATED);
			assert_int_equal(items->type, PROTOBUF_C_TYPE_MESSAGE);
			assert_true(message_path_exists(m->output, "next_page_token"));
			assert_true(message_path_exists(m->input, "page_size"));
			assert_true(message_path_exists(m->input, "page_token"));
			n++;
		}
	}
	assert_int_equal(n, ARRAY_SIZE(services));
}

/* What every row of the table must be, so that help and completion can rely on it. */
static void the_table_of_commands_is_sound(void **state)
{
	(void)state;
	for (const struct command *const *c = commands; *c; c++) {
		struct option_rule a;
		struct option_rule b;

		assert_non_null((*c)->summary);
		assert_non_null((*c)->run);
		assert_true((*c)->summary[strlen((*c)->summary) - 1] == '.');
		for (size_t i = 0; options_rule_at(*c, i, &a); i++) {
			assert_non_null(a.help);
			for (size_t j = i + 1; options_rule_at(*c, j, &b); j++) {
				if (!strcmp(a.name, b.name) || (a.letter && a.letter == b.letter))
					fail_msg("%s: --%s and --%s", (*c)->name, a.name, b.name);
			}
		}
		for (const struct command *const *d = c + 1; *d; d++)
			assert_string_not_equal((*c)->name, (*d)->name);
	}
}

static int status_of(const char *line)
{
	char copy[256];
	const char *words[WORDS_MAX];
	size_t n;

	snprintf(copy, sizeof(copy), "croft --host unix:/nonexistent/croft.sock%s%s",
		*line ? " " : "", line);
	n = split(copy, words);
	return cli_run((int)n, (char **)words);
}

/* The sentences go to standard error; TAP has standard output. */
static void exit_statuses_tell_what_went_wrong(void **state)
{
	static const struct {
		const char *line;
		int status;
	} rows[] = {
		{"", CLI_USAGE},
		{"nonsense", CLI_USAGE},
		{"tenant", CLI_USAGE},
		{"-o xml list", CLI_USAGE},
		{"list -o xml", CLI_USAGE},
		{"--nonsense list", CLI_USAGE},
		{"--host", CLI_USAGE},
		{"info acme", CLI_USAGE},
		{"info Acme/web", CLI_USAGE},
		{"set acme/web", CLI_USAGE},
		{"tenant suspend acme", CLI_USAGE},
		{"tenant bind acme 4294967295", CLI_USAGE},
		{"stop acme/web --timeout 3601", CLI_USAGE},
		{"usage export --from yesterday", CLI_USAGE},
		{"usage export --format focus", CLI_USAGE},
		{"usage export --format xml", CLI_USAGE},
		{"usage export --month 2026-01", CLI_USAGE},
		{"usage export --format focus --rate-card /x --month 2026-13", CLI_USAGE},
		{"usage export --format focus --rate-card /x --month 2026-1", CLI_USAGE},
		{"usage export --format focus --rate-card /x --month 2026-01 --to "
		 "2026-01-01T00:00:00Z",
			CLI_USAGE},
		{"usage export --format focus --rate-card /nonexistent --month 2026-12",
			CLI_REFUSED},
		{"usage export --new-since /nowhere --tenant acme", CLI_USAGE},
		{"usage export --new-since /nowhere --to 2026-01-01T00:00:00Z", CLI_USAGE},
		{"events --after x", CLI_USAGE},
		{"logs acme/web --tail x", CLI_USAGE},
		{"list --host nowhere", CLI_USAGE},
		{"list", CLI_REFUSED},
		{"tenant create acme --memory 64M", CLI_REFUSED},
		{"image import x /nonexistent/file", CLI_REFUSED},
		/* exec's own statuses are the command's: 125 stands apart from them. */
		{"exec acme/web -- true", 125},
		{"exec acme/web", 125},
		{"exec -tT acme/web -- true", 125},
		{"shell acme/web", 125},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int status = status_of(rows[i].line);

		if (status != rows[i].status)
			fail_msg("croft %s: %d", rows[i].line, status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_anywhere),
		cmocka_unit_test(letters_and_repeats),
		cmocka_unit_test(many_letters_fit),
		cmocka_unit_test(bad_lines_are_usage_errors),
		cmocka_unit_test(limits_become_messages),
		cmocka_unit_test(auto_is_a_field_of_its_own),
		cmocka_unit_test(mask_paths_are_fields),
		cmocka_unit_test(zero_is_never_no_limit),
		cmocka_unit_test(none_needs_a_meaning),
		cmocka_unit_test(names_and_numbers),
		cmocka_unit_test(endless_lists_are_errors),
		cmocka_unit_test(list_methods_have_pages),
		cmocka_unit_test(the_table_of_commands_is_sound),
		cmocka_unit_test(exit_statuses_tell_what_went_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

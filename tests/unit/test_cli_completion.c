/* cli/completion.h, suggest.h: what the shells offer follows the table of commands. */
#include "cli/completion.h"

#include "tests/unit/unit.h"

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/suggest.h"
#include "cli/usage.h"

#include <string.h>
#include <sys/wait.h>

static char *script(const char *shell)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(completion_print(shell, out, NULL), 0);
	fclose(out);
	return text;
}

static const char *last_word(const char *name)
{
	const char *space = strchr(name, ' ');

	return space ? space + 1 : name;
}

static void every_command_and_option_is_offered(void **state)
{
	static const char *const shells[] = {"bash", "zsh", "fish"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(shells); i++) {
		_cleanup_free_ char *text = script(shells[i]);

		for (const struct command *const *c = commands; *c; c++) {
			struct option_rule rule;

			if (!strstr(text, last_word((*c)->name)))
				fail_msg("%s: %s is missing", shells[i], (*c)->name);
			for (size_t j = 0; options_rule_at(*c, j, &rule); j++)
				if (!strstr(text, rule.name))
					fail_msg("%s: --%s is missing", shells[i], rule.name);
		}
	}
}

/* A list or a number is the reader's to type. */
static void what_stands_for_something_else_is_not_offered(void **state)
{
	static const char *const shells[] = {"bash", "zsh"};
	_cleanup_free_ char *fish = script("fish");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(shells); i++) {
		_cleanup_free_ char *text = script(shells[i]);

		assert_non_null(strstr(text, "'launch --cores') echo 'choice auto' ;;"));
		assert_non_null(strstr(text, "choice table json csv"));
	}
	assert_non_null(strstr(fish, "-l cores"));
	assert_non_null(strstr(fish, " -xa ' auto'"));
	assert_null(strstr(fish, "LIST"));
}

static void other_shells_are_usage_errors(void **state)
{
	struct err err;

	(void)state;
	assert_true(completion_print("tcsh", stdout, &err) < 0);
	assert_true(usage_is(&err));
}

/*
 * Asks bash what it would offer at the end of a line; a "croft" that says where it would have
 * asked stands in for the server.
 */
static void ask_bash(const char *line, char *answer, size_t size)
{
	_cleanup_free_ char *text = script("bash");
	char path[] = "/tmp/croft-completion-XXXXXX";
	_cleanup_close_ int fd = mkstemp(path);
	_cleanup_fclose_ FILE *file = fdopen(dup(fd), "w");
	int out[2];
	ssize_t n;
	pid_t pid;

	assert_non_null(file);
	fprintf(file,
		"%s\ncroft() { echo name; echo \"acme/web$CROFT_HOST\"; }\n"
		"COMP_LINE='croft %s'\nCOMP_POINT=${#COMP_LINE}\nCROFT_HOST=\n_croft\n"
		"echo \"${COMPREPLY[*]}\"\n",
		text, line);
	assert_int_equal(fflush(file), 0);
	assert_int_equal(pipe2(out, 0), 0);
	pid = fork();
	if (pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		execl("/bin/bash", "bash", "--norc", path, (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	n = read(out[0], answer, size - 1);
	answer[n > 0 ? n : 0] = '\0';
	answer[strcspn(answer, "\n")] = '\0';
	close(out[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	unlink(path);
}

static void bash_completes(void **state)
{
	static const struct {
		const char *line;
		const char *answer;
	} rows[] = {
		{"te", "tenant"},
		{"tenant sus", "suspend"},
		{"-o ", "table json csv"},
		{"-o json inf", "info"},
		{"exec ", "acme/web"},
		{"exec acme/web --t", "--tty"},
		{"launch i a/b --memory 3 --p", "--policy --pids"},
		{"set a/b --oom-group ", "on off"},
		{"completion z", "zsh"},
		{"exec a/b -- --t", ""},
		{"set a/b --oom-group=o", "on off"},
		{"launch --policy=ac", "acme/web"},
		{"exec -u root ac", "acme/web"},
		{"usage show ", "acme/web acme/web"}, /* tenants, then containers */
		{"--host unix:/x exe", "exec"},
		{"--host unix:/x exec ", "acme/webunix:/x"},
		{"exec --host=unix:/x ", "acme/webunix:/x"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char answer[512];

		ask_bash(rows[i].line, answer, sizeof(answer));
		if (strcmp(answer, rows[i].answer) != 0)
			fail_msg("croft %s: \"%s\"", rows[i].line, answer);
	}
}

static void bash_completes_every_option(void **state)
{
	(void)state;
	for (const struct command *const *c = commands; *c; c++) {
		struct option_rule rule;
		char line[64];
		char answer[1024] = " ";
		char want[64];
		size_t i = 0;

		snprintf(line, sizeof(line), "%s --", (*c)->name);
		ask_bash(line, answer + 1, sizeof(answer) - 2);
		strcat(answer, " ");
		for (; options_rule_at(*c, i, &rule); i++) {
			snprintf(want, sizeof(want), " --%s ", rule.name);
			if (!strstr(answer, want))
				fail_msg("croft %s: \"%s\" lacks%s", line, answer, want);
		}
		for (const char *p = answer; (p = strstr(p, " --")); p++)
			i--;
		assert_int_equal(i, 0); /* and no other */
	}
}

static const char *nearest(const char *word)
{
	static const char *const words[] = {"launch", "list", "info", "set"};
	struct suggest s;

	suggest_init(&s, word, strlen(word));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		suggest_add(&s, words[i]);
	return s.best ? s.best : "";
}

static void suggestions_are_near(void **state)
{
	char longest[200];

	(void)state;
	assert_string_equal(nearest("lanuch"), "launch");
	assert_string_equal(nearest("lauch"), "launch");
	assert_string_equal(nearest("lsit"), "list");
	assert_string_equal(nearest("ifno"), "info");
	assert_string_equal(nearest("sets"), "set");
	assert_string_equal(nearest("zzz"), "");
	assert_string_equal(nearest("inxx"), "");
	memset(longest, 'l', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_string_equal(nearest(longest), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_and_option_is_offered),
		cmocka_unit_test(what_stands_for_something_else_is_not_offered),
		cmocka_unit_test(other_shells_are_usage_errors),
		cmocka_unit_test(bash_completes),
		cmocka_unit_test(bash_completes_every_option),
		cmocka_unit_test(suggestions_are_near),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

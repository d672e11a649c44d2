/* base/abuse_rules.h: what a file of rules says, and how one that is wrong is refused. */
#include "base/abuse_rules.h"

#include "base/cleanup.h"

#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#define RULE "[rule a]\nsignal = forks-denied\nthreshold = 5\nwindow = 10s\naction = notify\n"

static struct abuse_rules *parse(const char *text)
{
	struct abuse_rules *rules = NULL;
	struct err err = {0};

	if (abuse_rules_parse(text, strlen(text), "f", &rules, &err) < 0)
		fail_msg("%s", err.msg);
	return rules;
}

static void assert_bad(const char *text, size_t size, const char *words)
{
	struct abuse_rules *rules = NULL;
	struct err err = {0};

	if (abuse_rules_parse(text, size, "f", &rules, &err) != -EINVAL)
		fail_msg("taken: %s", words);
	assert_null(rules);
	assert_string_equal(err.reason, "ABUSE_RULES_INVALID");
	if (strncmp(err.msg, words, strlen(words)) != 0)
		fail_msg("\"%s\" is not \"%s...\"", err.msg, words);
}

static void builtin_rules_take_nothing_from_anybody(void **state)
{
	_cleanup_free_ struct abuse_rules *rules = parse(abuse_rules_builtin);

	(void)state;
	assert_int_equal(rules->n, 14);
	assert_false(rules->dry_run);
	for (size_t i = 0; i < rules->n; i++) {
		assert_int_equal(rules->list[i].action, ABUSE_NOTIFY);
		assert_true(rules->list[i].until < rules->list[i].threshold);
	}
}

static void a_rule_is_read(void **state)
{
	_cleanup_free_ struct abuse_rules *rules = parse(
		"# Everything.\r\n"
		"[all]\n  exempt = plan:trusted , tenant:me\n"
		"[rule  cpu]\n"
		"signal=cpu-full\nthreshold = 95\nuntil = 60\nwindow = 12h\nquiet = 30m\n"
		"action = throttle\ncpu = 25%\nrate-out = 1MB\ndry-run = on\n"
		"exempt = container:acme/web\nexempt = tenant:other\n"
		"[rule mail]\nsignal = smtp-refused\nthreshold = 3\nwindow = 1m\n"
		"action = hold\ngrace = never");
	const struct abuse_rule *rule = &rules->list[0];

	(void)state;
	assert_int_equal(rules->n, 2);
	assert_int_equal(rule->signal, ABUSE_CPU_FULL);
	assert_int_equal(rule->threshold, 95);
	assert_int_equal(rule->until, 60);
	assert_int_equal(rule->window_usec, UINT64_C(43200000000));
	assert_int_equal(rule->quiet_usec, UINT64_C(1800000000));
	assert_int_equal(rule->throttle.cpu_percent, 25);
	assert_int_equal(rule->throttle.rate_out, 1000000);
	assert_int_equal(rule->throttle.rate_in, 0);
	assert_true(rule->dry_run);
	assert_false(rule->per_tenant);
	assert_true(abuse_rule_exempts(rules, rule, "me", NULL, "default"));
	assert_true(abuse_rule_exempts(rules, rule, "x", "web", "trusted"));
	assert_true(abuse_rule_exempts(rules, rule, "acme", "web", "default"));
	assert_true(abuse_rule_exempts(rules, rule, "other", "db", "default"));
	assert_false(abuse_rule_exempts(rules, rule, "acme", "db", "default"));
	assert_false(abuse_rule_exempts(rules, rule, "acme", NULL, "default"));
	assert_false(abuse_rule_exempts(rules, rule, "trusted", NULL, "me"));
	rule = &rules->list[1];
	/* What is counted of tenants alone is of the tenant; the rest by default. */
	assert_true(rule->per_tenant);
	assert_int_equal(rule->until, 1);
	assert_int_equal(rule->quiet_usec, rule->window_usec);
	assert_int_equal(rule->grace_s, ABUSE_GRACE_NEVER);
	assert_false(abuse_rule_exempts(rules, rule, "other", NULL, "default"));
}

static void what_is_not_understood_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text;
		const char *words;
	} cases[] = {
		{"signal = cpu-full\n", "f:1: signal stands before the first section"},
		{"\n[rules x]\n", "f:2: a section is"},
		{"[rule x\n", "f:1: the section's"},
		{"[", "f:1: the section's"},
		{"[rule X]\n", "f:1: a rule's name"},
		{"[rule ]\n", "f:1: a rule's name"},
		{RULE RULE, "f:6: there is a rule a already"},
		{"[all]\n[all]\n", "f:2: there is a section [all] already"},
		{"[all]\nthreshold = 5\n", "f:2: threshold is for a rule"},
		{"[rule a]\n", "f:1: rule a has no signal"},
		{"[rule a]\nsignal = forks-denied\nthreshold = 1\n" RULE,
			"f:1: rule a has no window"},
		{RULE "colour = red\n", "f:6: there is no key \"colour\""},
		{RULE "window = 10s\n", "f:6: window is given twice"},
		{RULE "exempt =\n", "f:6: exempt has no value"},
		{RULE "exempt = acme\n", "f:6: exempt is tenant:NAME"},
		{RULE "exempt = tenant:a,,\n", "f:6: exempt is tenant:NAME"},
		{RULE "exempt = container:acme\n", "f:6: exempt is tenant:NAME"},
		{RULE "exempt = tenant:a/b\n", "f:6: exempt is tenant:NAME"},
		{RULE "words\n", "f:6: a line is"},
		{RULE "cpu = 10%\n", "f:6: cpu is for action = throttle"},
		{RULE "grace = 1h\n", "f:6: grace is for action = hold"},
		{RULE "grace = 99999d\n", "f:6: grace is never"},
		{RULE "dry-run = yes\n", "f:6: dry-run is on or off"},
		{RULE "until = 6\n", "f:6: until is above the threshold"},
		{RULE "until = -1\n", "f:6: until of forks-denied is a number"},
		{RULE "quiet = 8d\n", "f:6: quiet is a time"},
		{RULE "quiet = 0s\n", "f:6: quiet is a time"},
		{RULE "per = host\n", "f:6: per is container or tenant"},
		{RULE "dry-run = on\xc3\xa9\n", "f:6: only comments may have"},
		{RULE "dry-run = \x1b[0m\n", "f:6: only comments may have"},
		{"[rule a]\nsignal = fork-rate\n", "f:2: there is no signal \"fork-rate\""},
		{"[rule a]\nsignal = smtp-refused\nper = container\nthreshold = 1\nwindow = 1s\n"
		 "action = notify\n",
			"f:3: smtp-refused is counted of tenants alone"},
		{"[rule a]\nsignal = cpu-full\nthreshold = 101\nwindow = 1s\naction = notify\n",
			"f:3: threshold of cpu-full is a percentage"},
		{"[rule a]\nsignal = oom-kills\nthreshold = 99999999999999\nwindow = 1s\n"
		 "action = notify\n",
			"f:3: threshold of oom-kills is a number"},
		{"[rule a]\nsignal = cpu-full\nthreshold = 90\nwindow = 1s\naction = throttle\n",
			"f:1: rule a throttles nothing"},
		/* It would keep itself up: what is throttled to 50 % uses 50 %. */
		{"[rule a]\nsignal = cpu-full\nthreshold = 90\nwindow = 1s\naction = throttle\n"
		 "cpu = 50%\n",
			"f:6: cpu must be below until (45 %)"},
		{"[rule a]\nsignal = cpu-full\nper = tenant\nthreshold = 90\nwindow = 1s\n"
		 "action = throttle\ncpu = 5%\n",
			"f:7: cpu throttles containers"},
		{"[rule a]\nsignal = net-out\nthreshold = 1MB\nwindow = 1s\naction = throttle\n"
		 "rate-out = 1\n",
			"f:6: rate-out is bytes a second"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_bad(cases[i].text, strlen(cases[i].text), cases[i].words);
}

static void hostile_sizes_are_refused(void **state)
{
	static char text[ABUSE_FILE_BYTES_MAX + 2];
	struct abuse_rules *rules = NULL;
	struct err err;
	size_t at;

	(void)state;
	assert_bad("[all]\n\0", 7, "f:2: there is a zero byte");
	memset(text, 'a', sizeof(text));
	assert_bad(text, 1024, "f:1: the line is too long");
	memset(text, '\n', sizeof(text));
	assert_bad(text, sizeof(text) - 1, "f:0: rules have");
	/* One rule and one exemption more than there may be. */
	for (size_t n = ABUSE_RULES_MAX; n <= ABUSE_RULES_MAX + 1; n++) {
		at = 0;
		for (size_t i = 0; i < n; i++)
			at += (size_t)snprintf(text + at, sizeof(text) - at,
				"[rule r%zu]\nsignal = oom-kills\nthreshold = 1\nwindow = 1s\n"
				"action = notify\n",
				i);
		if (n > ABUSE_RULES_MAX) {
			assert_bad(text, at, "f:161: there are more than 32 rules");
			break;
		}
		assert_int_equal(abuse_rules_parse(text, at, "f", &rules, &err), 0);
		free(rules);
	}
	at = (size_t)snprintf(text, sizeof(text), "[all]\n");
	for (size_t i = 0; i <= ABUSE_EXEMPT_MAX; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "exempt = tenant:t%zu\n", i);
	assert_bad(text, at, "f:66: there are more than 64 exemptions");
}

/* Cut anywhere, and with any byte changed, it is read or refused, and nothing else. */
static void damage_is_read_or_refused(void **state)
{
	static const char whole[] = "[all]\nexempt = container:a/b, plan:c\n" RULE
				    "until = 2\nexempt = tenant:x\n";
	char text[sizeof(whole)];

	(void)state;
	for (size_t i = 0; i < sizeof(whole) - 1; i++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			struct abuse_rules *rules = NULL;
			struct err err = {0};
			int r;

			memcpy(text, whole, sizeof(whole));
			text[i] = (char)byte;
			r = abuse_rules_parse(
				text, sizeof(whole) - 1 - byte % 2 * i, "f", &rules, &err);
			assert_true(r == 0 || r == -EINVAL);
			assert_int_equal(r == 0, rules != NULL);
			free(rules);
		}
	}
}

static void values_have_their_unit(void **state)
{
	char text[ABUSE_VALUE_TEXT_MAX];

	(void)state;
	assert_string_equal(abuse_value_format(ABUSE_CPU_FULL, 95, text), "95 %");
	assert_string_equal(abuse_value_format(ABUSE_OOM_KILLS, 12, text), "12");
	assert_string_equal(abuse_value_format(ABUSE_PACKETS_OUT, 7, text), "7/s");
	assert_string_equal(abuse_value_format(ABUSE_NET_OUT, 5 << 20, text), "5 MiB/s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(builtin_rules_take_nothing_from_anybody),
		cmocka_unit_test(a_rule_is_read),
		cmocka_unit_test(what_is_not_understood_is_refused_with_its_line),
		cmocka_unit_test(hostile_sizes_are_refused),
		cmocka_unit_test(damage_is_read_or_refused),
		cmocka_unit_test(values_have_their_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

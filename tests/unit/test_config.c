/* server/config.h: flags, the file, their order, and what is refused. */
#include "server/config.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int parse(struct config *c, enum config_action *action, struct err *err, const char *a,
	const char *b, const char *d, const char *e)
{
	const char *argv[] = {"croftd", a, b, d, e, NULL};
	int argc = 1;

	while (argv[argc])
		argc++;
	return config_parse(c, argc, (char **)argv, action, err);
}

static void defaults_are_the_documented_ones(void **state)
{
	enum config_action action;
	struct config c;
	struct err err;

	(void)state;
	assert_int_equal(parse(&c, &action, &err, NULL, NULL, NULL, NULL), 0);
	assert_int_equal(action, CONFIG_RUN);
	assert_string_equal(c.state, "/var/lib/croft");
	assert_string_equal(c.run, "/run/croft");
	assert_int_equal(c.n_listen, 1);
	assert_string_equal(c.listen[0], "unix:/run/croft/croft.sock");
	assert_int_equal(c.sample_interval_ms, 10000);
	assert_int_equal(c.transfer_seconds, 120);
	assert_int_equal(c.hold_grace_s, 86400);
	assert_string_equal(c.cgroup_parent, "croft");
}

static void help_names_every_flag_with_its_default(void **state)
{
	static const char *const words[] = {"--config FILE", "--state DIR", "/var/lib/croft",
		"--run DIR", "/run/croft", "--listen ADDRESS", "--metrics ADDRESS", "croft.sock",
		"--user NAME", "nobody", "--cgroup-parent NAME", "default: croft)",
		"--sample-interval SECONDS", "default: 10)", "--keep-samples DAYS", "default: 35)",
		"--pool-driver DRIVER", "--pool-size SIZE", "256M", "--transfer-timeout SECONDS",
		"--log-size SIZE", "default: 2M)", "--hold-grace TIME", "default: 24h)",
		"--event-count N", "default: 500000)", "--event-days DAYS", "default: 400)",
		"--abuse-rules FILE", "--webhook-timeout SECONDS", "--webhook-retry SECONDS",
		"--webhook-days DAYS", "--supervisor FILE", "--policy-dir DIR", "--log-level LEVEL",
		"or info)", "--ipv4-pool CIDR", "--ipv6-pool CIDR", "--lxcfs FILE|off",
		"--refused-calls tell|off", "--dns ADDRESS,...", "show the version\n"};
	const char *usage = config_usage();
	int defaults = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strstr(usage, words[i]))
			fail_msg("no \"%s\" in:\n%s", words[i], usage);
	for (const char *p = usage; (p = strstr(p, "(default: ")); p++)
		defaults++;
	assert_int_equal(defaults, 32);
}

static void the_socket_follows_the_run_directory(void **state)
{
	enum config_action action;
	struct config c;
	struct err err;

	(void)state;
	assert_int_equal(parse(&c, &action, &err, "--run", "/x/run", NULL, NULL), 0);
	assert_string_equal(c.listen[0], "unix:/x/run/croft.sock");
	assert_int_equal(
		parse(&c, &action, &err, "--listen=unix:/a", "--listen", "tcp:[::1]:7", NULL), 0);
	assert_int_equal(c.n_listen, 2);
	assert_string_equal(c.listen[1], "tcp:[::1]:7");
}

static void a_network_takes_a_pool(void **state)
{
	enum config_action action;
	struct config c;
	struct err err;

	(void)state;
	assert_int_equal(parse(&c, &action, &err, NULL, NULL, NULL, NULL), 0);
	assert_false(net_plan_is_on(&c.net));
	assert_int_equal(parse(&c, &action, &err, "--ipv4-pool=10.0.0.0/8", "--bridge-prefix=ab",
				 "--ipv4-tenant-prefix=20", "--ipv6-pool=fd00::/48"),
		0);
	assert_true(net_plan_is_on(&c.net));
	assert_int_equal(net_plan_networks(&c.net), 4096);
	assert_string_equal(c.net.prefix_name, "ab");
	/* Each is well-formed by itself; together they make no sense. */
	assert_int_equal(parse(&c, &action, &err, "--ipv4-pool=10.1.0.0/16",
				 "--ipv4-tenant-prefix=12", NULL, NULL),
		-EINVAL);
	assert_non_null(strstr(err.msg, "12"));
}

static void bad_flags_are_refused_with_their_name(void **state)
{
	static const struct {
		const char *flag;
		const char *value;
		const char *says;
	} rows[] = {
		{"--state", "relative", "state"},
		{"--ipv4-pool", "fd00::/48", "ipv4-pool"},
		{"--ipv4-pool", "10.0.0.1/8", "ipv4-pool"},
		{"--ipv6-pool", "10.0.0.0/8", "ipv6-pool"},
		{"--ipv4-tenant-prefix", "129", "ipv4-tenant-prefix"},
		{"--bridge-prefix", "eth0", "bridge-prefix"},
		{"--bridge-ports", "-1", "bridge-ports"},
		{"--state", "", "state"},
		{"--nonsense", "1", "nonsense"},
		{"--listen", "http://x", "listen"},
		{"--listen", "unix:relative", "listen"},
		{"--sample-interval", "0", "sample-interval"},
		{"--sample-interval", "-1", "sample-interval"},
		{"--sample-interval", "1e9", "sample-interval"},
		{"--sample-interval", "nan", "sample-interval"},
		{"--sample-interval", "10s", "sample-interval"},
		{"--cgroup-parent", "../x", "cgroup-parent"},
		{"--pool-driver", "zfs", "pool-driver"},
		{"--pool-size", "many", "pool-size"},
		{"--pool-size", "5", "at least 256M"},
		{"--pool-size", "255MiB", "at least 256M"},
		{"--log-level", "loud", "log-level"},
		{"--state", NULL, "--state"},
		{"words", NULL, "words"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		enum config_action action;
		struct config c;
		struct err err;

		if (parse(&c, &action, &err, rows[i].flag, rows[i].value, NULL, NULL) != -EINVAL)
			fail_msg("%s \"%s\" was taken", rows[i].flag, rows[i].value);
		if (!strstr(err.msg, rows[i].says))
			fail_msg("%s: \"%s\"", rows[i].flag, err.msg);
	}
}

static void metrics_are_for_this_host_alone(void **state)
{
	static const char *const good[][2] = {{"127.0.0.1:9751", "tcp:127.0.0.1:9751"},
		{"tcp:127.3.2.1:1", "tcp:127.3.2.1:1"}, {"[::1]:9751", "tcp:[::1]:9751"},
		{"unix:/run/m.sock", "unix:/run/m.sock"}};
	static const char *const bad[] = {"", "9751", ":9751", "0.0.0.0:1", "[::]:1",
		"10.127.0.1:1", "localhost:1", "unix:m"};
	enum config_action action;
	struct config c;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(parse(&c, &action, &err, "--metrics", good[i][0], NULL, NULL), 0);
		assert_string_equal(c.metrics, good[i][1]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(
			parse(&c, &action, &err, "--metrics", bad[i], NULL, NULL), -EINVAL);
	assert_int_equal(parse(&c, &action, &err, NULL, NULL, NULL, NULL), 0);
	assert_string_equal(c.metrics, "");
}

static void intervals_have_fractions(void **state)
{
	enum config_action action;
	struct config c;
	struct err err;

	(void)state;
	assert_int_equal(parse(&c, &action, &err, "--sample-interval", "0.25", NULL, NULL), 0);
	assert_int_equal(c.sample_interval_ms, 250);
}

static void seconds_of_a_transfer_are_bounded(void **state)
{
	static const char *const wrong[] = {"0", "3601", "1.5", "-1", "", "99999"};
	enum config_action action;
	struct config c;
	struct err err;

	(void)state;
	assert_int_equal(parse(&c, &action, &err, "--transfer-timeout", "3600", NULL, NULL), 0);
	assert_int_equal(c.transfer_seconds, 3600);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(
			parse(&c, &action, &err, "--transfer-timeout", wrong[i], NULL, NULL),
			-EINVAL);
}

static void the_grace_of_a_hold_has_units(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} right[] = {{"0", 0}, {"never", -1}, {"90s", 90}, {"30m", 1800}, {"12h", 43200},
		{"7d", 604800}, {"366d", INT64_C(366) * 86400}};
	static const char *const wrong[] = {"", "1", "-1", "h", "1.5h", "367d", "1h30m",
		"99999999d", "999999999s", "ever", "1 h"};
	enum config_action action;
	struct config c;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(right); i++) {
		assert_int_equal(
			parse(&c, &action, &err, "--hold-grace", right[i].text, NULL, NULL), 0);
		assert_int_equal(c.hold_grace_s, right[i].seconds);
	}
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(
			parse(&c, &action, &err, "--hold-grace", wrong[i], NULL, NULL), -EINVAL);
}

static void help_and_version_win(void **state)
{
	enum config_action action;
	struct config c;
	struct err err;

	(void)state;
	assert_int_equal(parse(&c, &action, &err, "--nonsense", "--help", NULL, NULL), 0);
	assert_int_equal(action, CONFIG_HELP);
	assert_int_equal(parse(&c, &action, &err, "--version", NULL, NULL, NULL), 0);
	assert_int_equal(action, CONFIG_VERSION);
}

struct file {
	char path[64];
};

static int make_file(void **state)
{
	struct file *f = calloc(1, sizeof(*f));
	int fd;

	strcpy(f->path, "/tmp/croft-test-config-XXXXXX");
	fd = mkstemp(f->path);
	close(fd);
	*state = f;
	return fd < 0;
}

static int drop_file(void **state)
{
	struct file *f = *state;

	unlink(f->path);
	free(f);
	return 0;
}

static void write_text(const struct file *f, const char *text)
{
	FILE *out = fopen(f->path, "w");

	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static void the_file_is_read_and_flags_win(void **state)
{
	struct file *f = *state;
	enum config_action action;
	struct config c;
	struct err err;

	write_text(f, "# comment\n\n state = /s \nrun=/r\nlisten = unix:/one\n"
		      "listen = unix:/two\npool-driver = plain\n");
	assert_int_equal(parse(&c, &action, &err, "--config", f->path, "--run", "/flag"), 0);
	assert_string_equal(c.state, "/s");
	assert_string_equal(c.run, "/flag");
	assert_string_equal(c.pool_driver, "plain");
	assert_int_equal(c.n_listen, 2);
	assert_int_equal(
		parse(&c, &action, &err, "--listen=unix:/flag", "--config", f->path, NULL), 0);
	assert_int_equal(c.n_listen, 1);
	assert_string_equal(c.listen[0], "unix:/flag");
}

static void a_bad_line_is_named(void **state)
{
	struct file *f = *state;
	enum config_action action;
	struct config c;
	struct err err;

	write_text(f, "state = /s\nnonsense\n");
	assert_int_equal(parse(&c, &action, &err, "--config", f->path, NULL, NULL), -EINVAL);
	assert_non_null(strstr(err.msg, "line 2"));
	write_text(f, "color = red\n");
	assert_int_equal(parse(&c, &action, &err, "--config", f->path, NULL, NULL), -EINVAL);
	assert_non_null(strstr(err.msg, "color"));
	assert_true(parse(&c, &action, &err, "--config", "/nonexistent/x", NULL, NULL) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_the_documented_ones),
		cmocka_unit_test(help_names_every_flag_with_its_default),
		cmocka_unit_test(the_socket_follows_the_run_directory),
		cmocka_unit_test(a_network_takes_a_pool),
		cmocka_unit_test(bad_flags_are_refused_with_their_name),
		cmocka_unit_test(metrics_are_for_this_host_alone),
		cmocka_unit_test(intervals_have_fractions),
		cmocka_unit_test(seconds_of_a_transfer_are_bounded),
		cmocka_unit_test(the_grace_of_a_hold_has_units),
		cmocka_unit_test(help_and_version_win),
		cmocka_unit_test_setup_teardown(
			the_file_is_read_and_flags_win, make_file, drop_file),
		cmocka_unit_test_setup_teardown(a_bad_line_is_named, make_file, drop_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * One table of settings for the command line and the file; see config.h. Only checks the form:
 * whether a path can be used is found out where it is used.
 */
#include "server/config.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/name.h"
#include "server/hold.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES	     4096
#define TRANSFER_SECONDS_MAX 3600
#define EVENT_COUNT_MIN	     100
#define EVENT_DAYS_MAX	     9999
#define KEEP_DAYS_MAX	     3650

#define DEFAULT_STATE  "/var/lib/croft"
#define DEFAULT_RUN    "/run/croft"
#define DEFAULT_PARENT "croft"

typedef int (*set_fn)(struct config *c, void *field, size_t size, const char *value);

static int set_text(struct config *c, void *field, size_t size, const char *value)
{
	(void)c;
	if (!*value || strlen(value) >= size)
		return -EINVAL;
	memcpy(field, value, strlen(value) + 1);
	return 0;
}

/* A directory or program: absolute, so that it means the same after chdir and in the supervisor. */
static int set_path(struct config *c, void *field, size_t size, const char *value)
{
	return value[0] == '/' ? set_text(c, field, size, value) : -EINVAL;
}

static int set_name(struct config *c, void *field, size_t size, const char *value)
{
	return name_is_valid(value) ? set_text(c, field, size, value) : -EINVAL;
}

/* One of the words, each of which has a zero behind it. */
static int set_word(
	struct config *c, void *field, size_t size, const char *value, const char *words)
{
	while (*words && strcmp(value, words) != 0)
		words += strlen(words) + 1;
	return *words ? set_text(c, field, size, value) : -EINVAL;
}

static int set_driver(struct config *c, void *field, size_t size, const char *value)
{
	return set_word(c, field, size, value, "btrfs\0project\0plain\0");
}

static int set_lxcfs(struct config *c, void *field, size_t size, const char *value)
{
	return strcmp(value, "off") != 0 ? set_path(c, field, size, value)
					 : set_text(c, field, size, value);
}

static int set_refused_calls(struct config *c, void *field, size_t size, const char *value)
{
	return set_word(c, field, size, value, "tell\0off\0");
}

static int set_level(struct config *c, void *field, size_t size, const char *value)
{
	return set_word(c, field, size, value, "error\0warning\0info\0debug\0");
}

static int set_pool_size(struct config *c, void *field, size_t size, const char *value)
{
	uint64_t bytes;

	(void)c;
	(void)size;
	if (size_parse(value, &bytes) < 0 || bytes < POOL_SIZE_MIN)
		return -EINVAL;
	*(uint64_t *)field = bytes;
	return 0;
}

static int set_log_size(struct config *c, void *field, size_t size, const char *value)
{
	const struct limit_rule *rule = limit_rule(LIMIT_LOG);
	uint64_t bytes;

	(void)c;
	(void)size;
	if (size_parse(value, &bytes) < 0 || bytes < rule->min || bytes > rule->max)
		return -EINVAL;
	*(uint64_t *)field = bytes;
	return 0;
}

static int set_keep_days(struct config *c, void *field, size_t size, const char *value)
{
	unsigned long days;
	char *end;

	(void)c;
	(void)size;
	if (!isdigit((unsigned char)*value))
		return -EINVAL;
	days = strtoul(value, &end, 10);
	if (*end || days > KEEP_DAYS_MAX)
		return -EINVAL;
	*(uint64_t *)field = days;
	return 0;
}

/* Seconds with at most three decimals, from 0.1 to a day. */
static int set_interval(struct config *c, void *field, size_t size, const char *value)
{
	uint64_t *ms = field;
	char *end;
	double seconds;

	(void)c;
	(void)size;
	if (!isdigit((unsigned char)*value))
		return -EINVAL;
	seconds = strtod(value, &end);
	if (*end || !(seconds >= 0.1) || seconds > 86400)
		return -EINVAL;
	*ms = (uint64_t)(seconds * 1000 + 0.5);
	return 0;
}

static int set_pool(struct config *c, void *field, size_t size, const char *value)
{
	struct net_pool *pool = field;
	struct net_address base;

	(void)size;
	if (net_parse_pool(value, &base) < 0 || base.size != (pool == &c->net.ipv4 ? 4 : 16))
		return -EINVAL;
	pool->base = base;
	return 0;
}

/* A whole number below 10000; -EINVAL otherwise. */
static int read_number(const char *value, uint32_t max)
{
	size_t digits = strspn(value, "0123456789");
	uint32_t number = 0;

	if (digits < 1 || digits > 4 || value[digits])
		return -EINVAL;
	for (size_t i = 0; i < digits; i++)
		number = number * 10 + (uint32_t)(value[i] - '0');
	return number <= max ? (int)number : -EINVAL;
}

static int set_prefix_length(struct config *c, void *field, size_t size, const char *value)
{
	int number = read_number(value, 128);

	(void)c;
	(void)size;
	if (number < 0)
		return number;
	*(uint8_t *)field = (uint8_t)number;
	return 0;
}

static int set_bridge_prefix(struct config *c, void *field, size_t size, const char *value)
{
	return net_prefix_name_is_valid(value) ? set_text(c, field, size, value) : -EINVAL;
}

static int set_bridge_ports(struct config *c, void *field, size_t size, const char *value)
{
	int number = read_number(value, NET_BRIDGE_PORTS_MAX);

	(void)c;
	(void)size;
	if (number < 0)
		return number;
	*(uint32_t *)field = (uint32_t)number;
	return 0;
}

static int set_days(struct config *c, void *field, size_t size, const char *value)
{
	int number = read_number(value, EVENT_DAYS_MAX);

	(void)c;
	(void)size;
	if (number < 1)
		return -EINVAL;
	*(uint32_t *)field = (uint32_t)number;
	return 0;
}

static int set_event_count(struct config *c, void *field, size_t size, const char *value)
{
	size_t digits = strspn(value, "0123456789");
	uint64_t count;

	(void)c;
	(void)size;
	if (digits < 1 || digits > 9 || value[digits])
		return -EINVAL;
	count = strtoull(value, NULL, 10);
	if (count < EVENT_COUNT_MIN)
		return -EINVAL;
	*(uint64_t *)field = count;
	return 0;
}

static int set_seconds(struct config *c, void *field, size_t size, const char *value)
{
	int number = read_number(value, TRANSFER_SECONDS_MAX);

	(void)c;
	(void)size;
	if (number < 1)
		return -EINVAL;
	*(uint32_t *)field = (uint32_t)number;
	return 0;
}

static int set_grace(struct config *c, void *field, size_t size, const char *value)
{
	(void)c;
	(void)size;
	return hold_parse_grace(value, field);
}

/* Addresses between commas. */
static int set_dns(struct config *c, void *field, size_t size, const char *value)
{
	struct net_resolvers *resolvers = field;
	struct net_resolvers list = {0};

	(void)c;
	(void)size;
	while (*value) {
		size_t len = strcspn(value, ",");
		char text[NET_TEXT_MAX];

		if (len >= sizeof(text) || list.n == NET_RESOLVERS_MAX)
			return -EINVAL;
		memcpy(text, value, len);
		text[len] = '\0';
		if (net_parse_address(text, &list.list[list.n++]) < 0)
			return -EINVAL;
		value += len;
		if (*value == ',' && !*++value)
			return -EINVAL;
	}
	*resolvers = list;
	return list.n ? 0 : -EINVAL;
}

static int add_listen(struct config *c, void *field, size_t size, const char *value)
{
	bool is_unix = !strncmp(value, "unix:/", 6);

	(void)field;
	(void)size;
	if (!is_unix && strncmp(value, "tcp:", 4) != 0)
		return -EINVAL;
	if (c->n_listen == CONFIG_LISTEN_MAX ||
		set_text(c, c->listen[c->n_listen], CONFIG_LISTEN_LEN, value) < 0)
		return -EINVAL;
	c->n_listen++;
	return 0;
}

/*
 * Figures name every tenant and are not encrypted, so that TCP is for this host alone: what serves
 * them elsewhere stands before it, and asks who comes.
 */
static int set_metrics(struct config *c, void *field, size_t size, const char *value)
{
	const char *colon = strrchr(value, ':');
	char spec[CONFIG_LISTEN_LEN];
	char host[NET_TEXT_MAX] = "";

	if (!strncmp(value, "unix:/", 6))
		return set_text(c, field, size, value);
	if (!strncmp(value, "tcp:", 4))
		value += 4;
	if (!colon || (size_t)(colon - value) >= sizeof(host))
		return -EINVAL;
	memcpy(host, value, (size_t)(colon - value));
	if (strncmp(host, "127.", 4) != 0 && strcmp(host, "[::1]") != 0)
		return -EINVAL;
	snprintf(spec, sizeof(spec), "tcp:%s", value);
	return set_text(c, field, size, spec);
}

#define FIELD(name) offsetof(struct config, name), sizeof(((struct config *)0)->name)

static const struct setting {
	const char *name;
	set_fn set;
	size_t offset;
	size_t size;
	const char *form;
	const char *value; /* as --help names it */
	const char *help;  /* with the default */
} settings[] = {
	{"state", set_path, FIELD(state), "an absolute path", "DIR",
		"what must outlive a boot (default: " DEFAULT_STATE ")"},
	{"run", set_path, FIELD(run), "an absolute path", "DIR",
		"sockets and pid files (default: " DEFAULT_RUN ")"},
	{"listen", add_listen, FIELD(listen), "unix:/PATH or tcp:ADDRESS:PORT, at most 8 times",
		"ADDRESS",
		"unix:/PATH or tcp:ADDRESS:PORT, up to 8 (default: croft.sock in --run)"},
	{"metrics", set_metrics, FIELD(metrics),
		"unix:/PATH or a loopback address and a port, such as 127.0.0.1:9751", "ADDRESS",
		"unix:/PATH or a loopback ADDRESS:PORT for Prometheus (default: none)"},
	{"user", set_text, FIELD(user), "a user's name", "NAME",
		"who croftd becomes (default: croft, or nobody where there is none)"},
	{"cgroup-parent", set_name, FIELD(cgroup_parent), "a plain name such as croft", "NAME",
		"the cgroup of all tenants (default: " DEFAULT_PARENT ")"},
	{"sample-interval", set_interval, FIELD(sample_interval_ms), "seconds, 0.1 to 86400",
		"SECONDS", "between two sweeps over all counters (default: 10)"},
	{"keep-samples", set_keep_days, FIELD(keep_samples_days), "days, 0 to 3650", "DAYS",
		"of hours that are closed, to verify those by (default: 35)"},
	{"pool-driver", set_driver, FIELD(pool_driver), "btrfs, project or plain", "DRIVER",
		"of containers' files: btrfs, project or plain (default: what works)"},
	{"pool-size", set_pool_size, FIELD(pool_size_bytes), "a size of at least 256M, such as 20G",
		"SIZE", "of a new btrfs pool, at least 256M (default: half of what is free)"},
	{"transfer-timeout", set_seconds, FIELD(transfer_seconds), "seconds, 1 to 3600", "SECONDS",
		"without a byte after which an export or import ends (default: 120)"},
	{"hold-grace", set_grace, FIELD(hold_grace_s), "never or a time such as 0, 30m, 12h or 7d",
		"TIME", "what a hold froze is stopped after so long, or never (default: 24h)"},
	{"log-size", set_log_size, FIELD(log_size_bytes), "a size of 256K to 1G, such as 4M",
		"SIZE", "kept of a container's output, 256K to 1G (default: 2M)"},
	{"event-count", set_event_count, FIELD(event_count), "a number of 100 to 999999999", "N",
		"events kept; who has most of them loses its oldest (default: 500000)"},
	{"event-days", set_days, FIELD(event_days), "days, 1 to 9999", "DAYS",
		"for which events are kept (default: 400)"},
	{"webhook-timeout", set_seconds, FIELD(webhook_timeout_s), "seconds, 1 to 3600", "SECONDS",
		"for a receiver of a webhook to take a message (default: 30)"},
	{"webhook-retry", set_seconds, FIELD(webhook_retry_s), "seconds, 1 to 3600", "SECONDS",
		"the longest pause before a message is tried again (default: 1800)"},
	{"webhook-days", set_days, FIELD(webhook_days), "days, 1 to 9999", "DAYS",
		"after which a webhook that only fails is disabled (default: 5)"},
	{"abuse-rules", set_path, FIELD(abuse_rules), "an absolute path", "FILE",
		"what is done about abuse, see ABUSE.md (default: rules that notify)"},
	{"supervisor", set_path, FIELD(supervisor), "an absolute path", "FILE",
		"the program (default: the one installed with croftd)"},
	{"policy-dir", set_path, FIELD(policy_dir), "an absolute path", "DIR",
		"seccomp profiles of your own (default: /etc/croft/policies)"},
	{"lxcfs", set_lxcfs, FIELD(lxcfs), "an absolute path or off", "FILE|off",
		"shows containers their limits in /proc (default: /usr/bin/lxcfs)"},
	{"refused-calls", set_refused_calls, FIELD(refused_calls), "tell or off", "tell|off",
		"counts calls of containers that look for a way out (default: tell)"},
	{"ipv4-pool", set_pool, FIELD(net.ipv4), "an IPv4 network such as 10.80.0.0/12", "CIDR",
		"where containers' networks are cut from (default: loopback only)"},
	{"ipv4-tenant-prefix", set_prefix_length, FIELD(net.ipv4.tenant_prefix), "a prefix length",
		"LENGTH", "of a tenant's network (default: 24)"},
	{"ipv6-pool", set_pool, FIELD(net.ipv6), "an IPv6 network such as fd00:1234::/48", "CIDR",
		"the same for IPv6 (default: none)"},
	{"ipv6-tenant-prefix", set_prefix_length, FIELD(net.ipv6.tenant_prefix), "a prefix length",
		"LENGTH", "of a tenant's network (default: 64)"},
	{"bridge-prefix", set_bridge_prefix, FIELD(net.prefix_name), "1 to 4 letters, a to z",
		"LETTERS", "what names of interfaces begin with (default: cft)"},
	{"bridge-ports", set_bridge_ports, FIELD(net.bridge_ports), "a number of ports", "N",
		"containers on one bridge (default: 1000)"},
	{"dns", set_dns, FIELD(dns), "1 to 4 addresses with commas between them", "ADDRESS,...",
		"whom containers ask for names (default: whom the host asks)"},
	{"log-level", set_level, FIELD(log_level), "error, warning, info or debug", "LEVEL",
		"error, warning, info or debug (default: $CROFT_LOG, or info)"},
};

/* Flags that are no settings, before and behind them. */
static const struct config_setting first_flag = {
	"config", "FILE", "lines of the form `setting = value` (default: none)"};
static const struct config_setting last_flags[] = {
	{"help", NULL, "show this help"},
	{"version", NULL, "show the version"},
};

bool config_setting_at(size_t i, struct config_setting *ret)
{
	if (!i) {
		*ret = first_flag;
		return true;
	}
	if (i <= ARRAY_SIZE(settings)) {
		const struct setting *s = &settings[i - 1];

		*ret = (struct config_setting){s->name, s->value, s->help};
		return true;
	}
	i -= ARRAY_SIZE(settings) + 1;
	if (i >= ARRAY_SIZE(last_flags))
		return false;
	*ret = last_flags[i];
	return true;
}

#define HELP_SIZE 6144

const char *config_usage(void)
{
	static char text[HELP_SIZE];
	size_t len = (size_t)snprintf(text, sizeof(text), "usage: croftd [--SETTING VALUE]...\n\n");
	struct config_setting s;

	for (size_t i = 0; config_setting_at(i, &s) && len < sizeof(text); i++) {
		char flag[48];

		snprintf(flag, sizeof(flag), "--%s%s%s", s.name, s.value ? " " : "",
			s.value ? s.value : "");
		/* A flag that reaches into its text stands on a line of its own. */
		len += (size_t)snprintf(text + len, sizeof(text) - len, "  %-28s%s%*s%s\n", flag,
			strlen(flag) > 28 ? "\n" : "", strlen(flag) > 28 ? 31 : 1, "", s.help);
	}
	return text;
}

static int set_one(struct config *c, const char *name, size_t name_len, const char *value,
	const char *where, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		const struct setting *s = &settings[i];

		if (strlen(s->name) != name_len || strncmp(s->name, name, name_len) != 0)
			continue;
		if (s->set(c, (char *)c + s->offset, s->size, value) == 0)
			return 0;
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "CONFIG_INVALID", s->name,
			"%s: %s \"%.100s\" is not %s", where, s->name, value, s->form);
	}
	return err_set(err, ERR_INVALID_ARGUMENT, "CONFIG_INVALID",
		"%s: there is no setting \"%.*s\"", where, (int)(name_len > 60 ? 60 : name_len),
		name);
}

static char *trim(char *s)
{
	size_t len;

	while (isspace((unsigned char)*s))
		s++;
	len = strlen(s);
	while (len && isspace((unsigned char)s[len - 1]))
		s[--len] = '\0';
	return s;
}

static int read_line(struct config *c, char *line, unsigned number, struct err *err)
{
	char where[32];
	char *text = trim(line);
	char *equals = strchr(text, '=');
	char *name;

	if (!*text || *text == '#')
		return 0;
	snprintf(where, sizeof(where), "line %u", number);
	if (!equals)
		return err_set(err, ERR_INVALID_ARGUMENT, "CONFIG_INVALID",
			"%s: \"%.60s\" is not of the form key = value", where, text);
	*equals = '\0';
	name = trim(text);
	return set_one(c, name, strlen(name), trim(equals + 1), where, err);
}

static int read_file(struct config *c, const char *path, struct err *err)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char line[LINE_MAX_BYTES];
	int r = 0;

	if (!f)
		return err_sys(err, errno, "read the configuration %s", path);
	for (unsigned number = 1; r == 0 && fgets(line, sizeof(line), f); number++)
		r = read_line(c, line, number, err);
	return r < 0 ? err_wrap(err, r, "%s", path) : 0;
}

/* "--name=value" or "--name" "value"; *i is left at the last argument used. */
static int split_flag(int argc, char **argv, int *i, const char **ret_name, size_t *ret_len,
	const char **ret_value, struct err *err)
{
	const char *arg = argv[*i];
	const char *equals = strchr(arg, '=');

	if (strncmp(arg, "--", 2) != 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "CONFIG_INVALID",
			"\"%.60s\" is not a flag", arg);
	*ret_name = arg + 2;
	*ret_len = equals ? (size_t)(equals - arg - 2) : strlen(arg + 2);
	if (equals) {
		*ret_value = equals + 1;
	} else {
		if (*i + 1 >= argc)
			return err_set(err, ERR_INVALID_ARGUMENT, "CONFIG_INVALID",
				"%.60s wants a value", arg);
		*ret_value = argv[++*i];
	}
	return 0;
}

static void set_defaults(struct config *c)
{
	memset(c, 0, sizeof(*c));
	c->log_size_bytes = LOG_SIZE_DEFAULT;
	snprintf(c->state, sizeof(c->state), "%s", DEFAULT_STATE);
	snprintf(c->run, sizeof(c->run), "%s", DEFAULT_RUN);
	snprintf(c->cgroup_parent, sizeof(c->cgroup_parent), "%s", DEFAULT_PARENT);
	c->sample_interval_ms = 10000;
	c->transfer_seconds = 120;
	c->event_count = 500000;
	c->event_days = 400;
	c->webhook_timeout_s = 30;
	c->webhook_retry_s = 1800;
	c->webhook_days = 5;
	c->keep_samples_days = 35;
	c->hold_grace_s = 24 * 3600;
	net_plan_init(&c->net);
}

static bool is_config_flag(const char *name, size_t len)
{
	return len == strlen("config") && !strncmp(name, "config", len);
}

/* Goes over the flags: first for the file's name only, then for the settings. */
static int read_flags(
	struct config *c, int argc, char **argv, const char **ret_file, struct err *err)
{
	size_t file_listens = c->n_listen;
	bool listens = false;

	for (int i = 1; i < argc; i++) {
		const char *name = NULL;
		const char *value = NULL;
		size_t len = 0;
		int r = split_flag(argc, argv, &i, &name, &len, &value, err);

		if (r < 0)
			return r;
		if (is_config_flag(name, len)) {
			if (ret_file)
				*ret_file = value;
			continue;
		}
		if (ret_file)
			continue;
		/* Flags replace the file's list instead of growing it. */
		if (!listens && len == 6 && !strncmp(name, "listen", 6)) {
			listens = true;
			c->n_listen -= file_listens;
		}
		r = set_one(c, name, len, value, "command line", err);
		if (r < 0)
			return r;
	}
	return 0;
}

int config_parse(
	struct config *ret, int argc, char **argv, enum config_action *ret_action, struct err *err)
{
	struct config c;
	const char *file = NULL;
	int r;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "--version")) {
			*ret_action = argv[i][2] == 'h' ? CONFIG_HELP : CONFIG_VERSION;
			return 0;
		}
	}
	set_defaults(&c);
	r = read_flags(&c, argc, argv, &file, err);
	if (r == 0 && file)
		r = read_file(&c, file, err);
	if (r == 0)
		r = read_flags(&c, argc, argv, NULL, err);
	if (r == 0)
		r = net_plan_check(&c.net, err);
	if (r < 0)
		return r;
	if (!c.n_listen) {
		snprintf(c.listen[0], sizeof(c.listen[0]), "unix:%s/croft.sock", c.run);
		c.n_listen = 1;
	}
	*ret = c;
	*ret_action = CONFIG_RUN;
	return 0;
}

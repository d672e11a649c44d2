/* croftd's settings: a file of `key = value` lines, and flags of the same names that win over it.
 */
#pragma once

#include "base/err.h"
#include "base/net_plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_PATH_MAX	  1024
#define CONFIG_LISTEN_MAX 8
#define CONFIG_LISTEN_LEN (CONFIG_PATH_MAX + 24)

struct config {
	char state[CONFIG_PATH_MAX];
	char run[CONFIG_PATH_MAX];
	char listen[CONFIG_LISTEN_MAX][CONFIG_LISTEN_LEN]; /* "unix:PATH" or "tcp:ADDR:PORT" */
	size_t n_listen;
	char metrics[CONFIG_LISTEN_LEN]; /* as listen; "": none */
	char user[64];			 /* "": croft, else nobody */
	char cgroup_parent[64];
	uint64_t sample_interval_ms;
	uint64_t keep_samples_days; /* of closed hours */
	char pool_driver[16];	    /* "": the supervisor's choice */
	uint64_t pool_size_bytes;
	int64_t hold_grace_s;		   /* HOLD_GRACE_NEVER: what is frozen stays so */
	uint32_t transfer_seconds;	   /* an export or import is ended after so long a pause */
	uint64_t log_size_bytes;	   /* of a container, where nobody says another */
	uint64_t event_count;		   /* events kept of all tenants together */
	uint32_t event_days;		   /* and for how long */
	uint32_t webhook_timeout_s;	   /* for one message of a webhook */
	uint32_t webhook_retry_s;	   /* the longest pause before it is tried again */
	uint32_t webhook_days;		   /* of failing only, after which it is disabled */
	char abuse_rules[CONFIG_PATH_MAX]; /* a file; "": the built-in ones */
	char supervisor[CONFIG_PATH_MAX];  /* "": the one installed with croftd */
	char policy_dir[CONFIG_PATH_MAX];  /* "": the supervisor's own */
	char lxcfs[CONFIG_PATH_MAX];	   /* its path or "off"; "": where Debian has it */
	char refused_calls[16];		   /* "tell" or "off"; "": the supervisor's own */
	char log_level[16];		   /* "": as $CROFT_LOG says */
	struct net_plan net;		   /* without a pool: loopback only */
	struct net_resolvers dns;	   /* none: the host's own */
};

enum config_action { CONFIG_RUN, CONFIG_HELP, CONFIG_VERSION };

/*
 * Reads the command line and the file it names. Returns 0 with what to do, or -EINVAL with a
 * sentence that names the flag or line. listen defaults to a socket in the run directory.
 */
int config_parse(
	struct config *ret, int argc, char **argv, enum config_action *ret_action, struct err *err);

/* The text of --help. */
const char *config_usage(void);

/* A flag of the command line, as --help and the manual page describe it. */
struct config_setting {
	const char *name;  /* without dashes */
	const char *value; /* its placeholder; NULL: it takes none */
	const char *help;
};

/* The i-th flag. Returns false behind the last. */
bool config_setting_at(size_t i, struct config_setting *ret);

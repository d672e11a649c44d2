/*
 * The policies: compiled when the supervisor starts or is told to reload, kept as raw BPF. Each
 * profile is compiled by croft-policy, an unprivileged program of its own: no JSON is parsed here.
 */
#pragma once

#include "base/err.h"
#include "sandbox/confine.h"
#include "sandbox/protocol.h"
#include "sandbox/supervisor.h"

struct policies;

/*
 * Starts to compile every NAME.json in the configured directories (a name in the first hides the
 * same name in the second). ready is called in the loop when all are done. A profile that cannot
 * be compiled is kept with its error. Returns 0 or -errno.
 */
int policies_load(struct supervisor *s, void (*ready)(struct supervisor *s), struct policies **ret,
	struct err *err);
void policies_destroy(struct policies *policies);

/*
 * The program of a policy. It stays valid while the policies are not reloaded: workers use their
 * copy. NOT_FOUND / POLICY_NOT_FOUND, or the error of its compilation.
 */
int policies_get(const struct policies *policies, const char *name, struct confinement *ret,
	struct err *err);
/* Opens the profile's text, read-only. */
int policies_open(const struct policies *policies, const char *name, int *ret_fd, struct err *err);
/* Calls fn for each, by name. */
void policies_for_each(const struct policies *policies,
	void (*fn)(const struct msg_policy_info *info, void *arg), void *arg);

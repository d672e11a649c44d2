/*
 * What of a host matters to Croft, found out without any daemon. Each check only reads or probes;
 * paths are looked up below a directory that stands for /, so that tests can have hosts of any
 * kind.
 */
#pragma once

#include <stdint.h>

enum doctor_level { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

#define DOCTOR_TEXT_MAX 200

struct finding {
	enum doctor_level level;
	char check[48];
	char found[DOCTOR_TEXT_MAX];
	char advice[DOCTOR_TEXT_MAX]; /* empty when all is well */
};

/* Where findings go, and what stands for /. */
struct doctor {
	int root_fd;
	void (*report)(void *data, const struct finding *finding);
	void *data;
};

/* Reports one finding; advice may be NULL where there is nothing to do. */
void doctor_report(const struct doctor *d, enum doctor_level level, const char *check,
	const char *advice, const char *found, ...) __attribute__((format(printf, 5, 6)));

/* cgroups, system calls, file systems, user namespaces, loop devices, netfilter, lxcfs. */
void doctor_kernel(const struct doctor *d);

/* sysctls that keep tenants out of the kernel, and those that bound how many fit on a host. */
void doctor_settings(const struct doctor *d);

/* Free space below state (or where it would be), and the clock. */
void doctor_resources(const struct doctor *d, const char *state);

/*
 * What the rules about abuse add to a sweep: 1,000 running containers of 100 tenants, each with
 * something of everything, under the built-in rules and as many again. Figures, not a test.
 */
#include "base/clock.h"
#include "sandbox/stalls.h"
#include "server/abuse.h"
#include "server/abuse_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TENANTS	   100
#define CONTAINERS 10
#define ROUNDS	   200

static const char more[] = "[rule m%u]\nsignal = %s\nthreshold = 999999\nwindow = 10m\n"
			   "action = notify\nper = %s\n";

static struct abuse_rules *make_rules(void)
{
	static const char *const signals[] = {"forks-denied", "oom-kills", "disk-write-ops",
		"packets-out", "net-out", "disk-write", "forks-denied", "oom-kills", "net-out"};
	struct abuse_rules *rules = NULL;
	char text[8192];
	size_t n = (size_t)snprintf(text, sizeof(text), "%s", abuse_rules_builtin);
	struct err err;

	for (unsigned i = 0; i < 9; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, more, i, signals[i],
			i < 6 ? "container" : "tenant");
	if (abuse_rules_parse(text, n, "bench", &rules, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		exit(1);
	}
	return rules;
}

static void make_model(struct model *model)
{
	char name[NAME_SIZE];

	for (int i = 0; i < TENANTS; i++) {
		struct tenant *t;

		snprintf(name, sizeof(name), "t%d", i);
		t = model_add_tenant(model, name);
		t->visible = true;
		limits_init_tenant_default(&t->limits);
		for (int j = 0; j < CONTAINERS; j++) {
			snprintf(name, sizeof(name), "c%d", j);
			model_add_container(t, name)->visible = true;
		}
	}
}

/* A sweep's points: one second of everything. */
static void take_all(struct server *server, uint64_t round)
{
	struct usage_point from = {.boot_usec = (1000 + round) * UINT64_C(10000000)};
	struct usage_point to;
	struct container *c = NULL;

	from.counters.has_io = from.counters.has_net = 1;
	to = from;
	to.boot_usec += 10000000;
	to.counters.cpu_usec = 50000;
	to.counters.io.write_bytes = 4096;
	to.counters.io.write_ops = 1;
	to.counters.net.outside_out.bytes = 1500;
	to.counters.net.outside_out.packets = 1;
	to.counters.pids_denied = to.counters.oom_kills = round % 10 == 0;
	while ((c = model_next_container(&server->model, c)))
		abuse_take(server, c, &from, &to);
}

static double ms(uint64_t usec, unsigned rounds)
{
	return (double)usec / 1000 / rounds;
}

static void read_stalls(void)
{
	int dir = open("/sys/fs/cgroup/unified", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stall_files *files;
	uint64_t began;
	struct stalls stalls;

	if (dir < 0)
		dir = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	files = stalls_open(dir);
	began = clock_boot_usec();
	for (int i = 0; i < 20000; i++)
		stalls_read(files, &stalls);
	printf("the pressure of 1,000 containers: %.2f ms\n", ms(clock_boot_usec() - began, 20));
}

int main(void)
{
	static struct config config = {.sample_interval_ms = 10000};
	static struct abuse abuse;
	struct server server = {.config = &config, .abuse = &abuse};
	uint64_t take = 0;
	uint64_t look = 0;

	abuse.rules = make_rules();
	server.cpus.usable[0] = 3;
	make_model(&server.model);
	for (uint64_t round = 0; round < ROUNDS; round++) {
		uint64_t began = clock_boot_usec();

		take_all(&server, round);
		take += clock_boot_usec() - began;
		began = clock_boot_usec();
		abuse_judge_all(&server, (1001 + round) * UINT64_C(10000000));
		look += clock_boot_usec() - began;
	}
	printf("adding a sweep's samples to %zu rules' windows: %.2f ms\n", abuse.rules->n,
		ms(take, ROUNDS));
	printf("judging all of them: %.2f ms\n", ms(look, ROUNDS));
	read_stalls();
	return 0;
}

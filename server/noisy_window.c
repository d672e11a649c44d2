/* Filling in what noisy.c judges; see noisy_window.h. Reads two small files of /proc, and no
 * cgroup: looks have done that. */
#include "server/noisy_window.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "server/container_state.h"
#include "server/live.h"
#include "server/placer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

/* A rate is held by its limit from here on: the kernel's own averages are not that exact. */
#define AT_IO_LIMIT_PERCENT 80
/* v2 counts at a tenant what its containers' own limits did, too: so it has to be full itself. */
#define AT_MEMORY_LIMIT_PERCENT 95

/* A run's counters at the first look. */
struct base {
	uint64_t run_key;
	uint64_t boot_usec;
	uint64_t cpu_usec;
	uint64_t throttled_usec;
	uint64_t memory_at_limit;
	struct io_usage io;
	uint64_t some_usec[STALL_N];
};

struct noisy_window {
	uint64_t boot_usec;
	uint64_t busy_usec; /* of all CPUs */
	bool busy_known;
	struct base *bases; /* owned; in order of their keys */
	size_t n;
};

/* --- The host --------------------------------------------------------------------------------- */

/* Of a long file the beginning. */
static bool read_head(const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : fd_read_full(fd, buf, size - 1);

	if (n < 0)
		return false;
	buf[n] = '\0';
	return true;
}

static bool read_busy(uint64_t *ret_usec)
{
	long hertz = sysconf(_SC_CLK_TCK);
	char text[512];
	uint64_t ticks;

	if (hertz <= 0 || !read_head("/proc/stat", text, sizeof(text)) ||
		noisy_parse_busy(text, &ticks) < 0)
		return false;
	*ret_usec = ticks * (1000000 / (uint64_t)hertz);
	return true;
}

static void read_memory(uint64_t *ret_total, uint64_t *ret_used)
{
	char text[2048];
	uint64_t available;

	*ret_total = 0;
	*ret_used = 0;
	if (read_head("/proc/meminfo", text, sizeof(text)) &&
		noisy_parse_memory(text, "MemTotal", ret_total) == 0 &&
		noisy_parse_memory(text, "MemAvailable", &available) == 0 && available < *ret_total)
		*ret_used = *ret_total - available;
}

/* --- The first look --------------------------------------------------------------------------- */

static void add_base(struct noisy_window *window, size_t room, const struct live *live)
{
	const struct counters *now;
	struct base *base;

	if (!live || window->n == room)
		return;
	now = &live->now.counters;
	base = &window->bases[window->n++];
	*base = (struct base){.run_key = live->run_key,
		.boot_usec = live->now.boot_usec,
		.cpu_usec = now->cpu_usec,
		.throttled_usec = now->cpu_throttled_usec,
		.memory_at_limit = now->memory_at_limit,
		.io = now->io};
	memcpy(base->some_usec, live->stalls.some_usec, sizeof(base->some_usec));
}

static int by_key(const void *a, const void *b)
{
	const struct base *x = a;
	const struct base *y = b;

	return (x->run_key > y->run_key) - (x->run_key < y->run_key);
}

static size_t count_runs(const struct model *model)
{
	size_t n = 0;
	struct map_node *node;

	MAP_FOREACH(node, &model->tenants)
	n += 1 + map_object(node, struct tenant, by_name)->containers.n;
	return n;
}

int noisy_window_open(const struct server *server, struct noisy_window **ret, struct err *err)
{
	size_t room = count_runs(&server->model);
	struct noisy_window *window = calloc(1, sizeof(*window));
	struct map_node *node;

	if (window)
		window->bases = calloc(room + 1, sizeof(*window->bases));
	if (!window || !window->bases) {
		free(window);
		return err_oom(err);
	}
	MAP_FOREACH(node, &server->model.tenants)
	{
		const struct tenant *t = map_object(node, struct tenant, by_name);
		struct map_node *inner;

		add_base(window, room, live_of(t->live, &t->own));
		MAP_FOREACH(inner, &t->containers)
		{
			const struct container *c = map_object(inner, struct container, by_name);

			add_base(window, room, live_of(c->live, &c->run));
		}
	}
	qsort(window->bases, window->n, sizeof(*window->bases), by_key);
	window->busy_known = read_busy(&window->busy_usec);
	window->boot_usec = clock_boot_usec();
	*ret = window;
	return 0;
}

void noisy_window_close(struct noisy_window *window)
{
	if (!window)
		return;
	free(window->bases);
	free(window);
}

/* NULL: the run has begun since, or there was no second look at it. */
static const struct base *base_of(const struct noisy_window *window, const struct live *live)
{
	struct base key = {.run_key = live ? live->run_key : 0};
	const struct base *base =
		live ? bsearch(&key, window->bases, window->n, sizeof(key), by_key) : NULL;

	return base && live->now.boot_usec > base->boot_usec ? base : NULL;
}

/* --- The second ------------------------------------------------------------------------------- */

static uint64_t rise(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

static uint64_t rate(uint64_t from, uint64_t to, uint64_t interval_usec, uint64_t scale)
{
	return (uint64_t)((unsigned __int128)rise(from, to) * scale / interval_usec);
}

static struct io_usage io_rates(
	const struct io_usage *a, const struct io_usage *b, uint64_t interval_usec)
{
	return (struct io_usage){
		.read_bytes = rate(a->read_bytes, b->read_bytes, interval_usec, 1000000),
		.read_ops = rate(a->read_ops, b->read_ops, interval_usec, 1000000),
		.write_bytes = rate(a->write_bytes, b->write_bytes, interval_usec, 1000000),
		.write_ops = rate(a->write_ops, b->write_ops, interval_usec, 1000000),
	};
}

static void add_io(struct io_usage *to, const struct io_usage *from)
{
	to->read_bytes += from->read_bytes;
	to->read_ops += from->read_ops;
	to->write_bytes += from->write_bytes;
	to->write_ops += from->write_ops;
}

static bool near(uint64_t value, uint64_t limit, unsigned percent)
{
	return limit != LIMIT_UNSET && value >= limit / 100 * percent;
}

static bool at_io_limit(const struct io_usage *io, const struct limits *limits)
{
	return near(io->read_bytes, limits->value[LIMIT_IO_READ], AT_IO_LIMIT_PERCENT) ||
	       near(io->read_ops, limits->value[LIMIT_IO_READ_OPS], AT_IO_LIMIT_PERCENT) ||
	       near(io->write_bytes, limits->value[LIMIT_IO_WRITE], AT_IO_LIMIT_PERCENT) ||
	       near(io->write_ops, limits->value[LIMIT_IO_WRITE_OPS], AT_IO_LIMIT_PERCENT);
}

static uint64_t cpu_weight(const struct limits *limits)
{
	uint64_t weight = limits->value[LIMIT_CPU_WEIGHT];

	return weight == LIMIT_UNSET ? CPU_WEIGHT_DEFAULT : weight;
}

/* What of memory there is to have: its limit, within what it is limited to from above. */
static uint64_t memory_weight(const struct limits *limits, uint64_t above)
{
	uint64_t limit = limits->value[LIMIT_MEMORY];

	return limit < above ? limit : above;
}

static void fill_most(const struct limits *limits, uint64_t most[static STALL_N])
{
	most[STALL_CPU] = limits->value[LIMIT_CPU];
	most[STALL_MEMORY] = limits->value[LIMIT_MEMORY];
	most[STALL_IO] = LIMIT_UNSET;
}

static void add_tenant(struct noisy_report *report, const struct noisy_window *window,
	const struct tenant *t, const struct io_usage *io)
{
	struct noisy_tenant *out = &report->tenants[report->scene.n_tenants++];
	const struct live *live = live_of(t->live, &t->own);
	const struct base *base = base_of(window, live);
	const struct counters *now;

	out->who = t;
	out->weight[STALL_CPU] = cpu_weight(&t->limits);
	out->weight[STALL_MEMORY] = memory_weight(&t->limits, report->scene.capacity[STALL_MEMORY]);
	out->weight[STALL_IO] = 1;
	fill_most(&t->limits, out->most);
	out->at_limit[STALL_IO] = at_io_limit(io, &t->limits);
	if (!base)
		return;
	now = &live->now.counters;
	out->held_usec = rise(base->throttled_usec, now->cpu_throttled_usec);
	out->at_limit[STALL_MEMORY] = now->memory_at_limit > base->memory_at_limit &&
				      near(now->memory_bytes, t->limits.value[LIMIT_MEMORY],
					      AT_MEMORY_LIMIT_PERCENT);
}

static void fill_waited(struct noisy_report *report, const struct container *c,
	const struct live *live, const struct base *base, struct noisy_container *out)
{
	bool frozen = c->state == CONTAINER_FROZEN || c->tenant->suspended;

	for (int of = 0; of < STALL_N; of++) {
		uint64_t from = base->some_usec[of];
		uint64_t to = live->stalls.some_usec[of];
		bool known = from != STALLS_UNKNOWN && to != STALLS_UNKNOWN;

		report->counted |= known;
		out->waited_usec[of] = known && !frozen ? rise(from, to) : STALLS_UNKNOWN;
	}
}

static void add_container(struct noisy_report *report, const struct noisy_window *window,
	const struct container *c, struct io_usage *io_of_tenant)
{
	const struct live *live = live_of(c->live, &c->run);
	const struct base *base = base_of(window, live);
	struct io_usage *io = &report->io[report->scene.n];
	struct noisy_container *out = &report->list[report->scene.n];
	const struct counters *now;

	if (!base || !c->visible || !container_state_is_live(c->state))
		return;
	now = &live->now.counters;
	report->scene.n++;
	out->who = c;
	out->tenant = report->scene.n_tenants;
	out->interval_usec = live->now.boot_usec - base->boot_usec;
	fill_waited(report, c, live, base, out);
	*io = io_rates(&base->io, &now->io, out->interval_usec);
	add_io(io_of_tenant, io);
	out->used[STALL_CPU] = rate(base->cpu_usec, now->cpu_usec, out->interval_usec, 1000);
	out->used[STALL_MEMORY] = now->memory_working_set_bytes;
	out->used[STALL_IO] = io->read_bytes + io->write_bytes +
			      (io->read_ops + io->write_ops) * NOISY_REQUEST_BYTES;
	out->weight[STALL_CPU] = cpu_weight(&c->limits);
	out->weight[STALL_MEMORY] = memory_weight(&c->limits,
		memory_weight(&c->tenant->limits, report->scene.capacity[STALL_MEMORY]));
	out->weight[STALL_IO] = 1;
	fill_most(&c->limits, out->most);
	out->held_usec = rise(base->throttled_usec, now->cpu_throttled_usec);
	out->at_limit[STALL_MEMORY] = c->limits.value[LIMIT_MEMORY] != LIMIT_UNSET &&
				      now->memory_at_limit > base->memory_at_limit;
	out->at_limit[STALL_IO] = at_io_limit(io, &c->limits);
	if (limits_count_cores(c->cpus))
		out->cpus = c->cpus;
	else if (limits_count_cores(c->tenant->cpus))
		out->cpus = c->tenant->cpus;
}

/* What the host has, and how much of it others than containers use. */
static void fill_host(struct server *server, struct noisy_report *report)
{
	memcpy(report->cpus, placer_cpus(server)->usable, sizeof(report->cpus));
	if (!limits_count_cores(report->cpus))
		for (int i = 0; i < get_nprocs_conf() && i < LIMITS_CPUS_MAX; i++)
			report->cpus[i / 64] |= UINT64_C(1) << i % 64;
	report->scene.cpus = report->cpus;
	report->scene.capacity[STALL_CPU] = limits_count_cores(report->cpus) * UINT64_C(1000);
	read_memory(&report->scene.capacity[STALL_MEMORY], &report->scene.outside[STALL_MEMORY]);
}

static void fill_outside(struct noisy_report *report, const struct noisy_window *window)
{
	struct noisy_scene *scene = &report->scene;
	uint64_t cpu = 0;
	uint64_t memory = 0;
	uint64_t busy;

	for (size_t i = 0; i < scene->n; i++) {
		cpu += scene->containers[i].used[STALL_CPU];
		memory += scene->containers[i].used[STALL_MEMORY];
	}
	if (window->busy_known && report->window_usec && read_busy(&busy))
		scene->outside[STALL_CPU] = rise(
			cpu, rate(window->busy_usec, busy, report->window_usec, 1000));
	scene->outside[STALL_MEMORY] = rise(memory, scene->outside[STALL_MEMORY]);
}

static void fill_scene(
	struct server *server, const struct noisy_window *window, struct noisy_report *report)
{
	struct map_node *node;

	report->scene.containers = report->list;
	report->scene.tenants = report->tenants;
	fill_host(server, report);
	MAP_FOREACH(node, &server->model.tenants)
	{
		const struct tenant *t = map_object(node, struct tenant, by_name);
		struct io_usage io = {0};
		struct map_node *inner;

		MAP_FOREACH(inner, &t->containers)
		add_container(report, window, map_object(inner, struct container, by_name), &io);
		add_tenant(report, window, t, &io);
	}
	fill_outside(report, window);
}

int noisy_window_judge(struct server *server, const struct noisy_window *window,
	struct noisy_report **ret, struct err *err)
{
	size_t room = count_runs(&server->model) + 1;
	struct noisy_report *report = calloc(1, sizeof(*report));

	if (report) {
		report->list = calloc(room, sizeof(*report->list));
		report->tenants = calloc(room, sizeof(*report->tenants));
		report->io = calloc(room, sizeof(*report->io));
	}
	if (!report || !report->list || !report->tenants || !report->io) {
		noisy_report_free(report);
		return err_oom(err);
	}
	report->window_usec = clock_boot_usec() - window->boot_usec;
	fill_scene(server, window, report);
	report->containers = (uint32_t)report->scene.n;
	report->counted |= !report->scene.n;
	report->n = noisy_judge(&report->scene, report->verdicts, &report->left_out);
	*ret = report;
	return 0;
}

void noisy_report_free(struct noisy_report *report)
{
	if (!report)
		return;
	free(report->list);
	free(report->tenants);
	free(report->io);
	free(report);
}

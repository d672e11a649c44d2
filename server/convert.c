/* Messages made from the model; see convert.h. Pure: reads the model, allocates nothing. */
#include "server/convert.h"

#include "server/allowance_period.h"
#include "server/cloud_init.h"
#include "server/health.h"
#include "server/held.h"
#include "server/hold.h"
#include "server/idle.h"
#include "server/upkeep.h"
#include "server/volume.h"

#include <stdio.h>
#include <string.h>

#define USEC 1000000

void convert_time(int64_t wall_usec, Google__Protobuf__Timestamp *out)
{
	google__protobuf__timestamp__init(out);
	out->seconds = wall_usec / USEC;
	out->nanos = (int32_t)(wall_usec % USEC) * 1000;
}

int convert_time_back(
	const Google__Protobuf__Timestamp *time, int64_t *ret_wall_usec, struct err *err)
{
	/* 9999-12-31T23:59:59Z, the last that a Timestamp may hold (timestamp.proto). */
	if (time->seconds < 0 || time->seconds > INT64_C(253402300799) || time->nanos < 0 ||
		time->nanos > 999999999)
		return err_set(err, ERR_INVALID_ARGUMENT, "TIME_INVALID",
			"a time is outside 1970 to 9999");
	*ret_wall_usec = time->seconds * USEC + time->nanos / 1000;
	return 0;
}

int convert_timeout_ms(const Google__Protobuf__Duration *duration, uint32_t unset, uint32_t max,
	uint32_t *ret, struct err *err)
{
	if (!duration) {
		*ret = unset;
		return 0;
	}
	if (duration->seconds < 0 || duration->nanos < 0 || duration->nanos > 999999999 ||
		duration->seconds > max / 1000)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "TIMEOUT_INVALID", "timeout",
			"a timeout is 0 to %u seconds", max / 1000);
	*ret = (uint32_t)duration->seconds * 1000 + (uint32_t)(duration->nanos / 1000000);
	return 0;
}

int convert_upkeep_back(const Croft__V1__Container *msg, unsigned fields, bool ephemeral,
	struct upkeep *upkeep, struct err *err)
{
	struct upkeep u = *upkeep;

	if (fields & 1u << UPKEEP_RESTART) {
		if (msg->restart_policy < 0 ||
			msg->restart_policy > CROFT__V1__CONTAINER__RESTART_POLICY__ALWAYS)
			return err_set_subject(err, ERR_INVALID_ARGUMENT, "UPKEEP_INVALID",
				"restart_policy", "there is no restart policy %d",
				(int)msg->restart_policy);
		u.restart = msg->restart_policy ? (enum restart_policy)(msg->restart_policy - 1)
						: RESTART_NEVER;
	}
	if (fields & 1u << UPKEEP_AUTOSTART)
		u.autostart = msg->autostart;
	if (fields & 1u << UPKEEP_ORDER)
		u.order = msg->autostart_order;
	if (u.order > UPKEEP_ORDER_MAX)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "UPKEEP_INVALID",
			"autostart_order", "an order is 0 to %u", UPKEEP_ORDER_MAX);
	if (ephemeral && (u.restart != RESTART_NEVER || u.autostart))
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "UPKEEP_INVALID", "ephemeral",
			"an ephemeral container goes when its run has ended: nothing can start it "
			"again");
	if (fields & 1u << UPKEEP_IDLE) {
		if (msg->idle_freeze && (msg->idle_freeze->nanos || msg->idle_freeze->seconds < 0 ||
						msg->idle_freeze->seconds > IDLE_FREEZE_MAX_S))
			return err_set_subject(err, ERR_INVALID_ARGUMENT, "UPKEEP_INVALID",
				"idle_freeze",
				"a container may be idle for 1 to %u whole seconds; 0 is as long "
				"as it likes",
				IDLE_FREEZE_MAX_S);
		u.idle_s = msg->idle_freeze ? (uint32_t)msg->idle_freeze->seconds : 0;
	}
	*upkeep = u;
	return 0;
}

/* None before the first look. */
static void fill_traffic(const struct tenant *t, struct tenant_message *out)
{
	const struct allowance_period *now = &t->allowance.now;
	struct allowance_use used = allowance_used(t);

	if (!now->start_wall_usec)
		return;
	croft__v1__tenant_traffic__init(&out->traffic);
	convert_time(now->start_wall_usec, &out->period_start);
	convert_time(now->end_wall_usec, &out->period_end);
	out->traffic.period_start = &out->period_start;
	out->traffic.period_end = &out->period_end;
	out->traffic.in_bytes = used.in;
	out->traffic.out_bytes = used.out;
	out->traffic.percent_used = allowance_percent(t, NULL);
	out->traffic.slowed_to_bytes = now->slowed_rate;
	out->msg.traffic = &out->traffic;
}

static void fill_hold(enum hold_type type, const struct hold *hold, struct hold_message *out)
{
	int64_t stops = hold_stop_wall_usec(hold);

	croft__v1__hold__init(&out->msg);
	out->msg.type = (Croft__V1__Hold__Type)(type + 1);
	out->msg.reason = (char *)hold->reason;
	out->msg.told = hold->told;
	out->msg.set_by = (char *)hold->set_by;
	convert_time(hold->set_wall_usec, &out->created);
	out->msg.create_time = &out->created;
	if (!stops)
		return;
	convert_time(stops, &out->stops);
	out->msg.stop_time = &out->stops;
}

static void fill_holds(const struct tenant *t, struct tenant_message *out)
{
	enum hold_type list[HOLD_TYPE_N];
	size_t n = hold_list(t, list);

	for (size_t i = 0; i < n; i++) {
		fill_hold(list[i], &t->holds[list[i]], &out->holds[i]);
		out->hold_list[i] = &out->holds[i].msg;
	}
	out->msg.suspended = t->suspended;
	out->msg.holds = out->hold_list;
	out->msg.n_holds = n;
	if (n)
		out->msg.suspend_reason = out->holds[0].msg.reason;
}

const ProtobufCMessage *convert_own_tenant(const struct tenant *t, struct tenant_message *out)
{
	static char untold[] = "";

	convert_tenant(t, out);
	for (size_t i = 0; i < out->msg.n_holds; i++) {
		out->hold_list[i]->set_by = untold;
		if (!out->hold_list[i]->told)
			out->hold_list[i]->reason = untold;
	}
	if (out->msg.n_holds)
		out->msg.suspend_reason = out->hold_list[0]->reason;
	return &out->msg.base;
}

const ProtobufCMessage *convert_tenant(const struct tenant *t, struct tenant_message *out)
{
	croft__v1__tenant__init(&out->msg);
	snprintf(out->name, sizeof(out->name), "tenants/%s", t->name);
	convert_limits(&t->limits, &out->limits);
	convert_time(t->created_wall_usec, &out->created);
	out->msg.name = out->name;
	out->msg.uid = (char *)t->uid;
	out->msg.plan = (char *)t->plan;
	out->msg.account_ref = (char *)t->account_ref;
	out->msg.limits = &out->limits.msg;
	out->msg.nesting = t->nesting;
	fill_holds(t, out);
	out->msg.bound_uids = (uint32_t *)t->uids;
	out->msg.n_bound_uids = t->n_uids;
	out->msg.create_time = &out->created;
	out->msg.container_count = (uint32_t)t->containers.n;
	out->msg.running_count = tenant_running_count(t);
	out->msg.disk_limit_enforced = t->limits.value[LIMIT_DISK] != LIMIT_UNSET &&
				       !t->disk_unenforced;
	out->msg.disk_used_bytes = held_disk_of_tenant(t);
	out->msg.log_used_bytes = t->log_bytes;
	limits_format_cores(t->cpus, out->cores, sizeof(out->cores));
	out->msg.cores = out->cores;
	out->msg.traffic_reset_day = t->traffic_reset_day;
	fill_traffic(t, out);
	out->msg.own_limits = out->own_limits;
	for (int i = 0; i < LIMIT_N; i++)
		if (tenant_owns_limit(t, (enum limit_id)i))
			out->own_limits[out->msg.n_own_limits++] =
				(char *)limit_rule((enum limit_id)i)->name;
	return &out->msg.base;
}

void convert_exit(const struct run *run, Croft__V1__Exit *out)
{
	croft__v1__exit__init(out);
	out->kind = (Croft__V1__Exit__Kind)run->exit;
	out->status = run->exit_status;
	out->signal = run->exit_signal;
	out->note = (char *)run->end_note;
}

static void fill_run(const struct run *run, struct container_message *out)
{
	croft__v1__run__init(&out->run);
	out->run.id = (char *)run->id;
	out->run.host_pid = (uint32_t)run->pid;
	out->run.id_base = run->id_base;
	if (run->confirmed) {
		convert_time(run->start_wall_usec, &out->started);
		out->run.start_time = &out->started;
	}
	if (!run->end_wall_usec)
		return;
	convert_time(run->end_wall_usec, &out->ended);
	out->run.end_time = &out->ended;
	convert_exit(run, &out->exit);
	out->run.exit = &out->exit;
}

/* A suspended tenant's containers are frozen, whatever they themselves were told. */
static Croft__V1__Container__State shown_state(const struct container *c)
{
	if (c->state == CONTAINER_RUNNING && c->tenant->suspended)
		return CROFT__V1__CONTAINER__STATE__FROZEN;
	return (Croft__V1__Container__State)c->state;
}

static void fill_schedule(const struct snapshot_schedule *s, struct container_message *out)
{
	croft__v1__snapshot_schedule__init(&out->schedule);
	google__protobuf__duration__init(&out->every);
	google__protobuf__duration__init(&out->expire);
	out->every.seconds = s->every_s;
	out->expire.seconds = s->expire_s;
	out->schedule.every = &out->every;
	out->schedule.keep = s->keep;
	if (s->expire_s)
		out->schedule.expire = &out->expire;
	convert_time(s->next_wall_usec, &out->next_snapshot);
	out->msg.snapshot_schedule = &out->schedule;
	out->msg.next_snapshot_time = &out->next_snapshot;
}

static void fill_health(const struct container *c, struct container_message *out)
{
	const char *output;

	croft__v1__health_check__init(&out->health_check);
	google__protobuf__duration__init(&out->health_interval);
	out->health_interval.seconds = c->health_check.interval_s;
	out->health_check.command = (char *)c->health_check.command;
	out->health_check.interval = &out->health_interval;
	out->health_check.retries = c->health_check.retries;
	if (c->health_check.start_period_s) {
		google__protobuf__duration__init(&out->health_start_period);
		out->health_start_period.seconds = c->health_check.start_period_s;
		out->health_check.start_period = &out->health_start_period;
	}
	google__protobuf__duration__init(&out->health_timeout);
	out->health_timeout.seconds = c->health_check.timeout_s;
	out->health_check.timeout = &out->health_timeout;
	out->health_check.restart = c->health_check.restart;
	out->msg.health_check = &out->health_check;
	out->msg.health = (Croft__V1__Container__Health)health_state(
		c, &out->msg.health_failures, &output);
	out->msg.health_output = (char *)output;
}

static void fill_idle(const struct container *c, struct container_message *out)
{
	if (c->upkeep.idle_s) {
		google__protobuf__duration__init(&out->idle);
		out->idle.seconds = c->upkeep.idle_s;
		out->msg.idle_freeze = &out->idle;
	}
	out->msg.idle_frozen = c->run.idle && c->state == CONTAINER_FROZEN;
}

static void fill_mounts(const struct container *c, struct container_message *out)
{
	for (size_t i = 0; i < c->n_mounts; i++) {
		const struct container_mount *mount = &c->mounts[i];
		struct mount_message *to = &out->mounts[i];

		croft__v1__mount__init(&to->msg);
		if (mount->volume) {
			volume_resource_name(mount->volume, to->volume);
			to->msg.volume = to->volume;
		}
		to->msg.host_directory = (char *)mount->host_dir;
		to->msg.path = (char *)mount->path;
		to->msg.read_only = mount->read_only;
		out->mount_list[i] = &to->msg;
	}
	out->msg.mounts = out->mount_list;
	out->msg.n_mounts = c->n_mounts;
}

const ProtobufCMessage *convert_container(const struct container *c, struct container_message *out)
{
	Croft__V1__Container *msg = &out->msg;

	croft__v1__container__init(msg);
	snprintf(
		out->name, sizeof(out->name), "tenants/%s/containers/%s", c->tenant->name, c->name);
	snprintf(out->image, sizeof(out->image), "%s%s", *c->image ? "images/" : "", c->image);
	snprintf(out->policy, sizeof(out->policy), "policies/%s", c->policy);
	limits_format_cores(c->cpus, out->cores, sizeof(out->cores));
	convert_limits(&c->limits, &out->limits);
	convert_time(c->created_wall_usec, &out->created);
	msg->name = out->name;
	msg->uid = (char *)c->uid;
	msg->image = out->image;
	msg->policy = out->policy;
	msg->limits = &out->limits.msg;
	msg->init_args = c->init_args;
	while (msg->init_args && msg->init_args[msg->n_init_args])
		msg->n_init_args++;
	msg->with_init = c->with_init;
	msg->ephemeral = c->ephemeral;
	msg->oom_group = c->oom_group;
	msg->nesting = c->nesting;
	msg->no_network = c->no_network;
	msg->ipv4_address = (char *)net_format(&c->ipv4, out->ipv4);
	msg->ipv6_address = (char *)net_format(&c->ipv6, out->ipv6);
	msg->state = shown_state(c);
	msg->create_time = &out->created;
	msg->cores = out->cores;
	msg->disk_used_bytes = c->disk_used.bytes;
	msg->inodes_used = c->disk_used.inodes;
	msg->disk_limit_enforced = c->disk_enforced;
	msg->log_used_bytes = c->log_bytes;
	if (c->schedule.every_s)
		fill_schedule(&c->schedule, out);
	if (c->health_check.command[0])
		fill_health(c, out);
	fill_mounts(c, out);
	if (c->cloud_init) {
		cloud_init_info(c, &out->cloud_init);
		msg->cloud_init_info = &out->cloud_init;
	}
	msg->restart_policy = (Croft__V1__Container__RestartPolicy)(c->upkeep.restart + 1);
	msg->autostart = c->upkeep.autostart;
	fill_idle(c, out);
	msg->autostart_order = c->upkeep.order;
	if (c->restart_wall_usec) {
		convert_time(c->restart_wall_usec, &out->restart);
		msg->restart_time = &out->restart;
	}
	if (c->run.id[0]) {
		fill_run(&c->run, out);
		msg->run = &out->run;
	}
	return &msg->base;
}

static size_t count(char *const *list)
{
	size_t n = 0;

	while (list[n])
		n++;
	return n;
}

static void convert_app(const struct image_config *app, Croft__V1__ImageApplication *out)
{
	croft__v1__image_application__init(out);
	out->n_args = count(app->argv);
	out->args = app->argv;
	out->n_env = count(app->envp);
	out->env = app->envp;
	out->user = (char *)app->user;
	out->working_dir = (char *)app->working_dir;
	out->is_init = app->is_init;
}

static void convert_aliases(
	const struct model *model, const struct image *image, struct image_message *out)
{
	struct map_node *node = image->n_aliases ? map_after(&model->aliases, "") : NULL;

	for (; node && out->msg.n_aliases < IMAGE_ALIASES_MAX;
		node = map_after(&model->aliases, node->key)) {
		struct image_alias *alias = map_object(node, struct image_alias, by_name);

		if (alias->image == image)
			out->aliases[out->msg.n_aliases++] = alias->name;
	}
	out->msg.aliases = out->aliases;
}

const ProtobufCMessage *convert_image(
	const struct model *model, const struct image *image, struct image_message *out)
{
	croft__v1__image__init(&out->msg);
	snprintf(out->name, sizeof(out->name), "images/%s", image->name);
	convert_time(image->created_wall_usec, &out->created);
	out->msg.name = out->name;
	out->msg.uid = (char *)image->uid;
	out->msg.init = (char *)image->init;
	out->msg.stop_signal = image->stop_signal;
	out->msg.size_bytes = image->size_bytes;
	out->msg.entries = image->entries;
	out->msg.skipped_devices = image->skipped_devices;
	out->msg.create_time = &out->created;
	out->msg.container_count = model_image_users(model, image->name);
	convert_aliases(model, image, out);
	if (image->app) {
		convert_app(image->app, &out->app);
		out->msg.application = &out->app;
	}
	return &out->msg.base;
}

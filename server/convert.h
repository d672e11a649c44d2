/*
 * Between the model and the API's messages. A message made here points into its holder and into the
 * model, so it is to be sent or packed before either changes.
 */
#pragma once

#include "croft/v1/containers.pb-c.h"
#include "croft/v1/images.pb-c.h"
#include "croft/v1/tenants.pb-c.h"
#include "server/model.h"

#define CORES_TEXT_SIZE 512

struct limits_message {
	Croft__V1__Limits msg;
	char core_list[CORES_TEXT_SIZE];
};

struct hold_message {
	Croft__V1__Hold msg;
	Google__Protobuf__Timestamp created;
	Google__Protobuf__Timestamp stops;
};

struct tenant_message {
	Croft__V1__Tenant msg;
	struct limits_message limits;
	Croft__V1__TenantTraffic traffic;
	Google__Protobuf__Timestamp period_start;
	Google__Protobuf__Timestamp period_end;
	Google__Protobuf__Timestamp created;
	char name[RESOURCE_SIZE];
	char cores[CORES_TEXT_SIZE];
	char *own_limits[LIMIT_N];
	struct hold_message holds[HOLD_TYPE_N];
	Croft__V1__Hold *hold_list[HOLD_TYPE_N];
};

struct container_message {
	Croft__V1__Container msg;
	struct limits_message limits;
	Croft__V1__Run run;
	Croft__V1__Exit exit;
	Google__Protobuf__Timestamp created;
	Google__Protobuf__Timestamp started;
	Google__Protobuf__Timestamp ended;
	Croft__V1__SnapshotSchedule schedule;
	Google__Protobuf__Duration every;
	Google__Protobuf__Duration expire;
	Google__Protobuf__Timestamp next_snapshot;
	Croft__V1__HealthCheck health_check;
	Google__Protobuf__Duration health_interval;
	Google__Protobuf__Duration health_timeout;
	Google__Protobuf__Duration health_start_period;
	Google__Protobuf__Duration idle;
	Google__Protobuf__Timestamp restart;
	Croft__V1__CloudInitInfo cloud_init;
	char name[RESOURCE_SIZE];
	char image[RESOURCE_SIZE];
	char policy[RESOURCE_SIZE];
	char cores[CORES_TEXT_SIZE];
	char ipv4[NET_TEXT_MAX];
	char ipv6[NET_TEXT_MAX];
	struct mount_message {
		Croft__V1__Mount msg;
		char volume[RESOURCE_SIZE];
	} mounts[CONTAINER_MOUNTS_MAX];
	Croft__V1__Mount *mount_list[CONTAINER_MOUNTS_MAX];
};

struct image_message {
	Croft__V1__Image msg;
	Croft__V1__ImageApplication app;
	char *aliases[IMAGE_ALIASES_MAX];
	Google__Protobuf__Timestamp created;
	char name[RESOURCE_SIZE];
};

/* Each returns &out->msg as a ProtobufCMessage, to be sent. */
const ProtobufCMessage *convert_tenant(const struct tenant *tenant, struct tenant_message *out);
/* The same for the tenant itself, which is not told everything about its holds. */
const ProtobufCMessage *convert_own_tenant(const struct tenant *tenant, struct tenant_message *out);
const ProtobufCMessage *convert_container(
	const struct container *container, struct container_message *out);
const ProtobufCMessage *convert_image(
	const struct model *model, const struct image *image, struct image_message *out);

/* How a run has ended. */
void convert_exit(const struct run *run, Croft__V1__Exit *out);

void convert_time(int64_t wall_usec, Google__Protobuf__Timestamp *out);
/* -EINVAL when it is out of the range of microseconds since 1970. */
int convert_time_back(
	const Google__Protobuf__Timestamp *time, int64_t *ret_wall_usec, struct err *err);

void convert_limits(const struct limits *limits, struct limits_message *out);
/* The path of a limit in update masks: "limits.pids". Static storage. */
const char *convert_limit_path(enum limit_id id);
#define CONVERT_CORE_LIST_PATH "limits.core_list"
#define CONVERT_CORE_AUTO_PATH "limits.core_auto"

/*
 * Limits of a request: NULL is none at all. Checked against the table; limits that only a tenant
 * has are refused unless `tenant`.
 */
int convert_limits_back(
	const Croft__V1__Limits *msg, bool tenant, struct limits *ret, struct err *err);

/* What an update of limits names. */
struct limits_update {
	uint32_t limits; /* 1 << limit_id: those it sets or lifts */
	unsigned others; /* 1 << index in `others` */
};

/*
 * Changes `limits` as an update asks: by mask paths `limits` and `limits.<field>` (an unset field
 * lifts the limit), or, without a mask, every limit that is set. Other paths are looked up in
 * `others` (NULL-terminated).
 */
int convert_limits_update(const Croft__V1__Limits *msg, const Google__Protobuf__FieldMask *mask,
	bool tenant, const char *const *others, struct limits *limits,
	struct limits_update *ret_update, struct err *err);

/*
 * Takes over what a request says of a container's upkeep; of `fields`, what is 1 << enum
 * upkeep_field. An ephemeral container is never restarted: INVALID_ARGUMENT / UPKEEP_INVALID.
 */
enum upkeep_field { UPKEEP_RESTART, UPKEEP_AUTOSTART, UPKEEP_ORDER, UPKEEP_IDLE };
#define UPKEEP_ALL 15u
int convert_upkeep_back(const Croft__V1__Container *msg, unsigned fields, bool ephemeral,
	struct upkeep *upkeep, struct err *err);

/* Milliseconds of a duration; NULL gives `unset`. INVALID_ARGUMENT below 0 or above max. */
int convert_timeout_ms(const Google__Protobuf__Duration *duration, uint32_t unset, uint32_t max,
	uint32_t *ret, struct err *err);

/* Snapshots for the API; see convert_snapshot.h. */
#include "server/convert_snapshot.h"

#include <stdio.h>

const ProtobufCMessage *convert_snapshot(const struct snapshot *s, struct snapshot_message *out)
{
	Croft__V1__Snapshot *msg = &out->msg;

	croft__v1__snapshot__init(msg);
	snprintf(out->name, sizeof(out->name), "tenants/%s/containers/%s/snapshots/%s",
		s->container->tenant->name, s->container->name, s->name);
	snprintf(out->image, sizeof(out->image), "%s%s", *s->image ? "images/" : "", s->image);
	snprintf(out->policy, sizeof(out->policy), "policies/%s", s->policy);
	convert_limits(&s->limits, &out->limits);
	convert_time(s->created_wall_usec, &out->created);
	msg->name = out->name;
	msg->uid = (char *)s->uid;
	msg->create_time = &out->created;
	msg->size_bytes = s->size_bytes;
	msg->image = out->image;
	msg->policy = out->policy;
	msg->limits = &out->limits.msg;
	msg->init_args = s->init_args;
	while (msg->init_args && msg->init_args[msg->n_init_args])
		msg->n_init_args++;
	msg->with_init = s->with_init;
	msg->oom_group = s->oom_group;
	msg->automatic = s->automatic;
	if (s->expire_wall_usec) {
		convert_time(s->expire_wall_usec, &out->expires);
		msg->expire_time = &out->expires;
	}
	return &msg->base;
}

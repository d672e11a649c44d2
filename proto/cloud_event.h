/*
 * Usage records, and events, as CloudEvents for other people's meters.
 * Source: CloudEvents 1.0.2, "CloudEvents" and "JSON Event Format" (structured mode).
 */
#pragma once

#include "croft/v1/events.pb-c.h"
#include "croft/v1/usage.pb-c.h"

#include <stdio.h>

/*
 * Writes a record as one event on one line: its id is the record's, its type names the meter
 * ("croft.usage.cpu.used.v1"), its subject is the tenant, its source the host, its time the
 * window's start, and its data the record as protobuf JSON.
 */
void cloud_event_print(const Croft__V1__UsageRecord *record, FILE *out);
/*
 * The same of an event: its type is "croft.event.container.oom.v1" and the like, its subject the
 * resource, and its data the event as protobuf JSON. It has no id of its own that holds for ever.
 */
void cloud_event_print_event(
	const Croft__V1__Event *event, const char *id, const char *host, FILE *out);
/* One that says nothing but that a message has come. */
void cloud_event_print_test(const char *id, const char *host, FILE *out);

/* Writes CloudEvents; see cloud_event.h. A record that is not closed must not become one: its id
 * would stand for figures that still change. */
#include "proto/cloud_event.h"

#include "base/cleanup.h"
#include "proto/json.h"
#include "proto/message.h"

#include <ctype.h>
#include <string.h>

#define TYPE_MAX   128
#define SOURCE_MAX 256

/* A URI reference: whatever the host calls itself, it is one segment of a path (RFC 3986, 3.3). */
static const char *source_of(const char *host, char out[static SOURCE_MAX])
{
	size_t n = (size_t)snprintf(out, SOURCE_MAX, "/croft/hosts/");

	for (; *host && n + 4 <= SOURCE_MAX; host++) {
		unsigned char c = (unsigned char)*host;

		if (c < 0x80 && (isalnum(c) || strchr("-._~", c)))
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, SOURCE_MAX - n, "%%%02X", c);
	}
	out[n] = '\0';
	return out;
}

struct attributes {
	const char *id;
	const char *host;
	const char *type;
	const char *subject;
	const Google__Protobuf__Timestamp *time;
};

/* data NULL: there is none. */
static void print(const struct attributes *a, const ProtobufCMessage *data, FILE *out)
{
	char source[SOURCE_MAX];
	char when[MESSAGE_TIME_MAX] = "";
	const struct {
		const char *name;
		const char *value;
	} attributes[] = {
		{"id", a->id},
		{"source", source_of(a->host, source)},
		{"type", a->type},
		{"subject", a->subject},
		{"time", when},
	};

	if (a->time)
		message_format_time(a->time->seconds, a->time->nanos, when);
	fputs("{\"specversion\":\"1.0\"", out);
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		if (!*attributes[i].value) /* an attribute may be left out, not be empty */
			continue;
		fprintf(out, ",\"%s\":", attributes[i].name);
		json_write_string(attributes[i].value, out);
	}
	if (data) {
		fputs(",\"datacontenttype\":\"application/json\",\"data\":", out);
		json_write(data, out);
	}
	fputs("}\n", out);
}

void cloud_event_print(const Croft__V1__UsageRecord *record, FILE *out)
{
	char type[TYPE_MAX];
	const struct attributes attributes = {
		.id = record->record_id,
		.host = record->host,
		.type = type,
		.subject = record->tenant,
		.time = record->window_start,
	};

	snprintf(type, sizeof(type), "croft.usage.%.100s.v1", record->meter);
	print(&attributes, &record->base, out);
}

void cloud_event_print_event(
	const Croft__V1__Event *event, const char *id, const char *host, FILE *out)
{
	char type[TYPE_MAX];
	const struct attributes attributes = {
		.id = id,
		.host = host,
		.type = type,
		.subject = event->resource,
		.time = event->time,
	};

	snprintf(type, sizeof(type), "croft.event.%.100s.v1", event->type);
	print(&attributes, &event->base, out);
}

void cloud_event_print_test(const char *id, const char *host, FILE *out)
{
	const struct attributes attributes = {
		.id = id, .host = host, .type = "croft.webhook.test.v1", .subject = ""};

	print(&attributes, NULL, out);
}

/*
 * Protobuf from hostile peers. protobuf-c 1.4 recurses and allocates as the bytes say, and merges
 * a repeated singular message by copying all that came before; so a small walker bounds depth,
 * memory and repetition first. It must never accept what it did not look at.
 */
#include "server/grpc_internal.h"
#include "server/grpc_utf8.h"

#include <errno.h>
#include <string.h>

/* Protobuf's wire types; groups (3 and 4) exist in proto2 only. */
enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

/*
 * What protobuf-c 1.4 allocates, rounded up: a record for each field while it scans, an element of
 * an array or an unknown field's entry, and malloc's own part of each piece.
 */
#define COST_FIELD 96u
#define COST_PIECE 32u

struct walker {
	size_t cost;
	struct err *err;
};

struct cursor {
	const uint8_t *p;
	const uint8_t *end;
};

static int malformed(struct walker *w, const ProtobufCMessageDescriptor *d, const char *what)
{
	return err_set(w->err, ERR_INTERNAL, "MALFORMED_MESSAGE",
		"the request is not a valid %s: %s", d->name, what);
}

static bool read_varint(struct cursor *c, uint64_t *ret)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 70 && c->p < c->end; shift += 7) {
		uint8_t byte = *c->p++;

		if (shift == 63 && byte > 1)
			return false; /* the tenth byte has room for one bit */
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = value;
			return true;
		}
	}
	return false;
}

static const ProtobufCFieldDescriptor *find_field(
	const ProtobufCMessageDescriptor *d, uint64_t number, unsigned *ret_index)
{
	const ProtobufCFieldDescriptor *f;

	f = protobuf_c_message_descriptor_get_field(d, (unsigned)number);
	if (f)
		*ret_index = (unsigned)(f - d->fields);
	return f;
}

static int charge(struct walker *w, size_t bytes)
{
	w->cost += bytes;
	if (w->cost <= GRPC_UNPACK_MAX)
		return 0;
	return err_set(w->err, ERR_RESOURCE_EXHAUSTED, "MESSAGE_TOO_COMPLEX",
		"the request has too many fields to be unpacked in %u MiB: send fewer at a time",
		GRPC_UNPACK_MAX >> 20);
}

static int walk(
	struct walker *w, const ProtobufCMessageDescriptor *d, struct cursor c, unsigned depth);

static int walk_string(
	struct walker *w, const ProtobufCFieldDescriptor *f, const uint8_t *data, size_t size)
{
	if (!grpc_utf8_is_valid(data, size))
		return err_set_subject(w->err, ERR_INVALID_ARGUMENT, "INVALID_TEXT", f->name,
			"%s is not valid UTF-8", f->name);
	/* In C it would end there, and what is checked would not be what was sent. */
	if (memchr(data, 0, size))
		return err_set_subject(w->err, ERR_INVALID_ARGUMENT, "INVALID_TEXT", f->name,
			"%s contains a NUL character", f->name);
	return 0;
}

/* The elements of a packed field, which is one of numbers (any other type is refused here). */
static int walk_packed(struct walker *w, const ProtobufCMessageDescriptor *d,
	const ProtobufCFieldDescriptor *f, struct cursor c)
{
	size_t size = (size_t)(c.end - c.p);
	uint64_t value;
	size_t n = 0;

	switch (f->type) {
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return size % 4 ? malformed(w, d, "a packed field is cut") : charge(w, size);
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return size % 8 ? malformed(w, d, "a packed field is cut") : charge(w, size);
	default:
		break;
	}
	for (; c.p < c.end; n++) {
		if (!read_varint(&c, &value))
			return malformed(w, d, "a packed number is cut or too long");
	}
	return charge(w, n * sizeof(uint64_t));
}

static int walk_bytes(struct walker *w, const ProtobufCMessageDescriptor *d,
	const ProtobufCFieldDescriptor *f, struct cursor c, unsigned depth)
{
	size_t size = (size_t)(c.end - c.p);
	int r = charge(w, size + COST_PIECE);

	if (r < 0 || !f)
		return r;
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		return walk_string(w, f, c.p, size);
	case PROTOBUF_C_TYPE_BYTES:
		return 0;
	case PROTOBUF_C_TYPE_MESSAGE:
		return walk(w, f->descriptor, c, depth + 1);
	default:
		if (f->label != PROTOBUF_C_LABEL_REPEATED)
			return malformed(w, d, "a number is written as bytes");
		return walk_packed(w, d, f, c);
	}
}

static bool wire_type_fits(const ProtobufCFieldDescriptor *f, unsigned type)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return type == WIRE_32;
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return type == WIRE_64;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return type == WIRE_BYTES;
	default:
		return type == WIRE_VARINT;
	}
}

/* A field's value, the cursor behind its tag. */
static int walk_value(struct walker *w, const ProtobufCMessageDescriptor *d,
	const ProtobufCFieldDescriptor *f, unsigned type, struct cursor *c, unsigned depth)
{
	size_t left = (size_t)(c->end - c->p);
	uint64_t value;
	int r;

	if (f && type != WIRE_BYTES && !wire_type_fits(f, type))
		return malformed(w, d, "a field has another type");
	switch (type) {
	case WIRE_VARINT:
		return read_varint(c, &value) ? 0 : malformed(w, d, "a number is cut or too long");
	case WIRE_64:
	case WIRE_32:
		if (left < (type == WIRE_64 ? 8u : 4u))
			return malformed(w, d, "a number is cut");
		c->p += type == WIRE_64 ? 8 : 4;
		return 0;
	case WIRE_BYTES:
		if (!read_varint(c, &value) || value > (size_t)(c->end - c->p))
			return malformed(w, d, "a length reaches beyond the end");
		r = walk_bytes(w, d, f, (struct cursor){c->p, c->p + value}, depth);
		c->p += value;
		return r;
	default:
		return malformed(w, d, "it contains a group or an unknown wire type");
	}
}

static int walk(
	struct walker *w, const ProtobufCMessageDescriptor *d, struct cursor c, unsigned depth)
{
	uint64_t seen = 0; /* singular messages, by index */
	int r;

	if (depth >= GRPC_DEPTH_MAX)
		return malformed(w, d, "its messages are nested too deeply");
	r = charge(w, d->sizeof_message + COST_PIECE);
	while (r == 0 && c.p < c.end) {
		const ProtobufCFieldDescriptor *f;
		unsigned index = 0;
		uint64_t tag;

		if (!read_varint(&c, &tag) || tag > UINT32_MAX || tag < 8)
			return malformed(w, d, "a field number is out of range");
		f = find_field(d, tag >> 3, &index);
		if (f && f->type == PROTOBUF_C_TYPE_MESSAGE &&
			f->label != PROTOBUF_C_LABEL_REPEATED) {
			/* Merging them is quadratic, and no client that has one writes two. */
			if (index >= 64 || seen & UINT64_C(1) << index)
				return malformed(w, d, "a message field occurs twice");
			seen |= UINT64_C(1) << index;
		}
		r = charge(w, COST_FIELD);
		if (r == 0)
			r = walk_value(w, d, f, (unsigned)(tag & 7), &c, depth);
	}
	return r;
}

int grpc_unpack_check(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data,
	size_t size, size_t *ret_cost, struct err *err)
{
	struct walker w = {.err = err};
	int r = walk(&w, descriptor, (struct cursor){data, data + size}, 0);

	if (r == 0)
		*ret_cost = w.cost;
	return r;
}

int grpc_unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t size,
	ProtobufCMessage **ret_message, size_t *ret_cost, struct err *err)
{
	ProtobufCMessage *message;
	int r = grpc_unpack_check(descriptor, data, size, ret_cost, err);

	if (r < 0)
		return r;
	message = protobuf_c_message_unpack(descriptor, NULL, size, data);
	if (!message)
		return err_set(err, ERR_INTERNAL, "MALFORMED_MESSAGE",
			"the request is not a valid %s", descriptor->name);
	*ret_message = message;
	return 0;
}

const char *grpc_unpack_field(const ProtobufCMessage *message, const char *path)
{
	while (message) {
		size_t len = strcspn(path, ".");
		const ProtobufCFieldDescriptor *f = NULL;
		const void *member;
		uint32_t chosen;

		for (unsigned i = 0; i < message->descriptor->n_fields && !f; i++) {
			const ProtobufCFieldDescriptor *candidate = &message->descriptor->fields[i];

			if (strlen(candidate->name) == len &&
				memcmp(candidate->name, path, len) == 0)
				f = candidate;
		}
		if (!f || f->label == PROTOBUF_C_LABEL_REPEATED)
			return "";
		if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
			memcpy(&chosen, (const uint8_t *)message + f->quantifier_offset,
				sizeof(chosen));
			if (chosen != f->id)
				return "";
		}
		member = (const uint8_t *)message + f->offset;
		if (f->type == PROTOBUF_C_TYPE_STRING && path[len] == '\0') {
			const char *text = *(char *const *)member;

			return text ? text : "";
		}
		if (f->type != PROTOBUF_C_TYPE_MESSAGE || path[len] == '\0')
			return "";
		message = *(ProtobufCMessage *const *)member;
		path += len + 1;
	}
	return "";
}

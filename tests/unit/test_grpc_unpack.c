/* server/grpc_unpack.c: what protobuf-c would swallow, and what it must not get to see. */
#include "server/grpc_internal.h"
#include "tests/unit/unit.h"

#include <croft/v1/containers.pb-c.h>
#include <croft/v1/tenants.pb-c.h>
#include <errno.h>
#include <google/protobuf/descriptor.pb-c.h>
#include <string.h>

#define TENANT	  (&croft__v1__tenant__descriptor)
#define CREATE	  (&croft__v1__create_tenant_request__descriptor)
#define EXEC	  (&croft__v1__exec_request__descriptor)
#define RECURSIVE (&google__protobuf__descriptor_proto__descriptor)

static int check(
	const ProtobufCMessageDescriptor *d, const void *data, size_t size, struct err *err)
{
	size_t cost;

	*err = (struct err){0};
	return grpc_unpack_check(d, data, size, &cost, err);
}

static void expect(const ProtobufCMessageDescriptor *d, const void *data, size_t size, int code)
{
	struct err err;
	int r = check(d, data, size, &err);

	assert_int_equal(err.code, code);
	assert_int_equal(r == 0, code == ERR_OK);
}

#define EXPECT(descriptor, bytes, code) expect(descriptor, bytes, sizeof(bytes) - 1, code)

static void good_messages_pass(void **state)
{
	Croft__V1__CreateTenantRequest request = CROFT__V1__CREATE_TENANT_REQUEST__INIT;
	Croft__V1__Tenant tenant = CROFT__V1__TENANT__INIT;
	uint32_t uids[] = {1, 1000, UINT32_MAX};
	ProtobufCMessage *message;
	uint8_t packed[256];
	struct err err;
	size_t size, cost;

	(void)state;
	tenant.name = (char *)"tenants/gr\xc3\xbcn";
	tenant.bound_uids = uids;
	tenant.n_bound_uids = 3;
	tenant.suspended = true;
	request.tenant = &tenant;
	request.tenant_id = (char *)"acme";
	size = protobuf_c_message_pack(&request.base, packed);
	assert_int_equal(grpc_unpack(CREATE, packed, size, &message, &cost, &err), 0);
	assert_string_equal(grpc_unpack_field(message, "tenant_id"), "acme");
	assert_string_equal(grpc_unpack_field(message, "tenant.name"), "tenants/gr\xc3\xbcn");
	protobuf_c_message_free_unpacked(message, NULL);
	EXPECT(TENANT, "", ERR_OK);
	EXPECT(TENANT, "\x98\x06\x01", ERR_OK);		/* unknown field 99: a newer client */
	EXPECT(TENANT, "\x9a\x06\x02\xff\x00", ERR_OK); /* and its bytes are not text to us */
}

static void malformed_bytes_are_refused(void **state)
{
	(void)state;
	EXPECT(TENANT, "\x0a", ERR_INTERNAL); /* no length */
	EXPECT(TENANT,
		"\x0a\x05"
		"abc",
		ERR_INTERNAL);							      /* cut */
	EXPECT(TENANT, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", ERR_INTERNAL); /* 2^64-1 */
	EXPECT(TENANT, "\x30", ERR_INTERNAL); /* a bool without value */
	EXPECT(TENANT, "\x30\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", ERR_INTERNAL); /* 11 */
	EXPECT(TENANT, "\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", ERR_INTERNAL); /* > 64 bit */
	EXPECT(TENANT, "\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", ERR_OK);
	EXPECT(TENANT, "\x00\x01", ERR_INTERNAL);		      /* field 0 */
	EXPECT(TENANT, "\x0b\x0c", ERR_INTERNAL);		      /* a group */
	EXPECT(TENANT, "\x9b\x06\x9c\x06", ERR_INTERNAL);	      /* an unknown one */
	EXPECT(TENANT, "\x0e", ERR_INTERNAL);			      /* wire type 6 */
	EXPECT(TENANT, "\x08\x01", ERR_INTERNAL);		      /* a string as number */
	EXPECT(TENANT, "\x32\x01\x01", ERR_INTERNAL);		      /* a bool as bytes */
	EXPECT(TENANT, "\x42\x02\x80\x80", ERR_INTERNAL);	      /* packed numbers, cut */
	EXPECT(TENANT, "\x0d\x01\x02\x03", ERR_INTERNAL);	      /* 32 bits, cut */
	EXPECT(TENANT, "\x99\x06\x01\x02\x03", ERR_INTERNAL);	      /* 64 bits, cut */
	EXPECT(TENANT, "\x80\x80\x80\x80\x80\x01\x01", ERR_INTERNAL); /* a tag above 32 bits */
}

static void text_is_utf8_without_nul(void **state)
{
	struct err err;

	(void)state;
	EXPECT(TENANT, "\x0a\x02\xc3\x28", ERR_INVALID_ARGUMENT);
	EXPECT(TENANT,
		"\x0a\x03"
		"a\0b",
		ERR_INVALID_ARGUMENT);
	assert_true(check(CREATE, "\x12\x04\x0a\x02\xff\xff", 6, &err) < 0);
	assert_string_equal(err.subject, "name");
}

/* DescriptorProto holds DescriptorProto (field 3). */
static size_t nest(uint8_t *out, unsigned depth)
{
	size_t size = 0;

	for (unsigned i = 0; i < depth; i++) {
		uint8_t head[4] = {0x1a, (uint8_t)(size & 0x7f)};
		size_t n = 2;

		if (size > 0x7f) {
			head[1] |= 0x80;
			head[2] = (uint8_t)(size >> 7);
			n = 3;
		}
		memmove(out + n, out, size);
		memcpy(out, head, n);
		size += n;
	}
	return size;
}

static void depth_is_bounded(void **state)
{
	uint8_t bytes[1024];
	struct err err;

	(void)state;
	assert_int_equal(check(RECURSIVE, bytes, nest(bytes, GRPC_DEPTH_MAX - 1), &err), 0);
	assert_true(check(RECURSIVE, bytes, nest(bytes, GRPC_DEPTH_MAX), &err) < 0);
	assert_int_equal(err.code, ERR_INTERNAL);
}

/* Two bytes each, and some hundred bytes of memory. */
static void memory_is_bounded(void **state)
{
	size_t size = 1 << 20;
	_cleanup_free_ uint8_t *bytes = malloc(size);
	struct err err;

	(void)state;
	assert_non_null(bytes);
	for (size_t i = 0; i < size; i += 2) {
		bytes[i] = 0x1a; /* empty nested_type */
		bytes[i + 1] = 0;
	}
	assert_true(check(RECURSIVE, bytes, size, &err) < 0);
	assert_int_equal(err.code, ERR_RESOURCE_EXHAUSTED);
	assert_int_equal(check(RECURSIVE, bytes, 2000, &err), 0);
	for (size_t i = 0; i < size; i += 2) {
		bytes[i] = 0x78; /* unknown field 15 */
		bytes[i + 1] = 0;
	}
	assert_true(check(TENANT, bytes, size, &err) < 0);
	assert_int_equal(err.code, ERR_RESOURCE_EXHAUSTED);
}

/* The largest thing that one message legitimately carries. */
static void large_bytes_pass(void **state)
{
	size_t size = GRPC_MESSAGE_MAX;
	_cleanup_free_ uint8_t *bytes = calloc(1, size);
	size_t body = size - 5;
	struct err err;

	(void)state;
	assert_non_null(bytes);
	bytes[0] = 0x12; /* stdin */
	bytes[1] = (uint8_t)(0x80 | (body & 0x7f));
	bytes[2] = (uint8_t)(0x80 | (body >> 7 & 0x7f));
	bytes[3] = (uint8_t)(0x80 | (body >> 14 & 0x7f));
	bytes[4] = (uint8_t)(body >> 21);
	assert_int_equal(check(EXEC, bytes, size, &err), 0);
}

static void singular_messages_come_once(void **state)
{
	(void)state;
	EXPECT(CREATE, "\x12\x00", ERR_OK);
	EXPECT(CREATE, "\x12\x00\x12\x00", ERR_INTERNAL);
	EXPECT(CREATE,
		"\x0a\x01"
		"a\x0a\x01"
		"b",
		ERR_OK); /* the last text wins, as protobuf says */
}

static void fields_by_path(void **state)
{
	Croft__V1__ExecRequest request = CROFT__V1__EXEC_REQUEST__INIT;
	Croft__V1__ExecStart start = CROFT__V1__EXEC_START__INIT;

	(void)state;
	start.name = (char *)"tenants/a/containers/b";
	assert_string_equal(grpc_unpack_field(&request.base, "start.name"), "");
	request.kind_case = CROFT__V1__EXEC_REQUEST__KIND_START;
	request.start = &start;
	assert_string_equal(
		grpc_unpack_field(&request.base, "start.name"), "tenants/a/containers/b");
	assert_string_equal(grpc_unpack_field(&request.base, "start"), "");
	assert_string_equal(grpc_unpack_field(&request.base, "start.name.x"), "");
	assert_string_equal(grpc_unpack_field(&request.base, "start.args"), "");
	assert_string_equal(grpc_unpack_field(&request.base, "nothing"), "");
	/* Another member of the oneof lies where `start` would. */
	request.kind_case = CROFT__V1__EXEC_REQUEST__KIND_SIGNAL;
	assert_string_equal(grpc_unpack_field(&request.base, "start.name"), "");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_messages_pass),
		cmocka_unit_test(malformed_bytes_are_refused),
		cmocka_unit_test(text_is_utf8_without_nul),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(memory_is_bounded),
		cmocka_unit_test(large_bytes_pass),
		cmocka_unit_test(singular_messages_come_once),
		cmocka_unit_test(fields_by_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Names and resource names.
 *
 * A name is [a-z][a-z0-9-]{0,31} and never "tasks", which is a file in every v1 cgroup. The
 * grammar is the whole defence against `..`, `/`, newlines and leading dashes: every process
 * checks a name with name_check() before using it.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define NAME_LEN_MAX  32
#define NAME_SIZE     (NAME_LEN_MAX + 1)
#define RESOURCE_SIZE 128 /* the longest resource name and its terminator */

bool name_is_valid(const char *name);

/*
 * Checks that name is valid. `what` ("tenant", "container") goes into the message and is the
 * subject of the error. Returns 0 or -EINVAL with INVALID_ARGUMENT / INVALID_NAME.
 */
int name_check(const char *what, const char *name, struct err *err);

/* True for a NUL-terminated valid name within a fixed-size field of a peer's message. */
bool name_field_is_valid(const char field[static NAME_SIZE]);

/*
 * Splits "tenants/{t}" or "tenants/{t}/containers/{c}". ret_container may be NULL when only a
 * tenant is allowed; ret_container[0] is '\0' when the resource is a tenant. Returns 0 or -EINVAL.
 */
int name_parse_resource(const char *resource, char ret_tenant[static NAME_SIZE],
	char ret_container[NAME_SIZE], struct err *err);

/*
 * The tenant of "tenants/{t}" or of anything below it ("tenants/{t}/..."). Returns 0 or -EINVAL.
 */
int name_parse_owner(const char *resource, char ret_tenant[static NAME_SIZE], struct err *err);

/*
 * Splits "{parent}/<collection>/{name}": the parent as text, to be parsed by whoever knows it, and
 * the name, which is checked. Returns 0 or -EINVAL.
 */
int name_split_child(const char *resource, const char *collection,
	char ret_parent[static RESOURCE_SIZE], char ret_name[static NAME_SIZE], struct err *err);

/* Splits "<collection>/{name}", e.g. collection "images". Returns 0 or -EINVAL. */
int name_parse_in(const char *collection, const char *resource, char ret_name[static NAME_SIZE],
	struct err *err);

/* The grammar of names and resource names; see name.h. Must never accept what is not in it. */
#include "base/name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool name_is_valid(const char *name)
{
	size_t len = strnlen(name, NAME_SIZE);

	if (len == 0 || len > NAME_LEN_MAX || name[0] < 'a' || name[0] > 'z')
		return false;
	for (size_t i = 1; i < len; i++) {
		char c = name[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
			return false;
	}
	return strcmp(name, "tasks") != 0;
}

bool name_field_is_valid(const char field[static NAME_SIZE])
{
	return memchr(field, '\0', NAME_SIZE) && name_is_valid(field);
}

/* More than that of what was typed would hide the rest of the sentence. */
#define SHOWN_MAX 40

int name_check(const char *what, const char *name, struct err *err)
{
	if (name_is_valid(name))
		return 0;
	return err_set_subject(err, ERR_INVALID_ARGUMENT, "INVALID_NAME", what,
		"\"%.*s%s\" is not %s %s name: use a to z, 0 to 9 and -, beginning with a letter, "
		"at most 32 characters (and not \"tasks\")",
		SHOWN_MAX, name, strlen(name) > SHOWN_MAX ? "..." : "",
		strchr("aeiou", what[0]) ? "an" : "a", what);
}

/* Copies the path segment at *p into out and moves *p behind its slash, or to the end. */
static bool next_segment(const char **p, char *out, size_t size)
{
	const char *slash = strchrnul(*p, '/');
	size_t len = (size_t)(slash - *p);

	if (len == 0 || len >= size)
		return false;
	memcpy(out, *p, len);
	out[len] = '\0';
	*p = *slash ? slash + 1 : slash;
	return true;
}

int name_parse_in(const char *collection, const char *resource, char ret_name[static NAME_SIZE],
	struct err *err)
{
	size_t len = strlen(collection);

	if (strncmp(resource, collection, len) || resource[len] != '/')
		return err_set(err, ERR_INVALID_ARGUMENT, "INVALID_RESOURCE_NAME",
			"\"%.60s\" is not a resource name of the form %s/NAME", resource,
			collection);
	if (name_check(collection, resource + len + 1, err) < 0)
		return -EINVAL;
	memcpy(ret_name, resource + len + 1, strlen(resource + len + 1) + 1);
	return 0;
}

int name_parse_owner(const char *resource, char ret_tenant[static NAME_SIZE], struct err *err)
{
	char own[RESOURCE_SIZE];
	char ignored[NAME_SIZE];
	const char *p = strncmp(resource, "tenants/", 8) ? NULL : strchr(resource + 8, '/');

	if (!p || (size_t)(p - resource) >= sizeof(own))
		return name_parse_resource(resource, ret_tenant, ignored, err);
	/* What is below is for the one who looks it up to read. */
	snprintf(own, sizeof(own), "%.*s", (int)(p - resource), resource);
	return name_parse_resource(own, ret_tenant, NULL, err);
}

int name_split_child(const char *resource, const char *collection,
	char ret_parent[static RESOURCE_SIZE], char ret_name[static NAME_SIZE], struct err *err)
{
	size_t length = strlen(collection);
	const char *name = strrchr(resource, '/');
	const char *end = name ? name - length - 1 : resource;

	if (end <= resource || *end != '/' || strncmp(end + 1, collection, length) != 0 ||
		(size_t)(end - resource) >= RESOURCE_SIZE)
		return err_set(err, ERR_INVALID_ARGUMENT, "INVALID_RESOURCE_NAME",
			"\"%.100s\" is not a resource name of the form .../%s/NAME", resource,
			collection);
	if (name_check(collection, name + 1, err) < 0)
		return -EINVAL;
	snprintf(ret_parent, RESOURCE_SIZE, "%.*s", (int)(end - resource), resource);
	memcpy(ret_name, name + 1, strlen(name + 1) + 1);
	return 0;
}

static int bad_resource(const char *resource, bool container, struct err *err)
{
	return err_set(err, ERR_INVALID_ARGUMENT, "INVALID_RESOURCE_NAME",
		"\"%.80s\" is not a resource name of the form tenants/TENANT%s", resource,
		container ? "/containers/CONTAINER" : "");
}

int name_parse_resource(const char *resource, char ret_tenant[static NAME_SIZE],
	char ret_container[NAME_SIZE], struct err *err)
{
	char collection[16];
	char tenant[64];
	char container[64] = "";
	const char *p = resource;

	if (!next_segment(&p, collection, sizeof(collection)) || strcmp(collection, "tenants") ||
		!next_segment(&p, tenant, sizeof(tenant)))
		return bad_resource(resource, ret_container != NULL, err);
	if (*p) {
		if (!ret_container || !next_segment(&p, collection, sizeof(collection)) ||
			strcmp(collection, "containers") ||
			!next_segment(&p, container, sizeof(container)) || *p)
			return bad_resource(resource, ret_container != NULL, err);
		if (name_check("container", container, err) < 0)
			return -EINVAL;
	}
	if (resource[strlen(resource) ? strlen(resource) - 1 : 0] == '/')
		return bad_resource(resource, ret_container != NULL, err);
	if (name_check("tenant", tenant, err) < 0)
		return -EINVAL;
	memcpy(ret_tenant, tenant, strlen(tenant) + 1);
	if (ret_container)
		memcpy(ret_container, container, strlen(container) + 1);
	return 0;
}

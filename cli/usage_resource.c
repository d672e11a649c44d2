/* Names of what usage is of; see usage_resource.h. */
#include "cli/usage_resource.h"

#include <stdio.h>
#include <string.h>

#define UID_LEN 32

static bool names_uid(const char *arg)
{
	const char *slash = strchr(arg, '/');

	return slash && strlen(slash + 1) == UID_LEN &&
	       strspn(slash + 1, "0123456789abcdef") == UID_LEN;
}

int usage_resource_read(
	const char *arg, char name[static RESOURCE_SIZE], const char **ret_uid, struct err *err)
{
	const char *slash = strchr(arg, '/');
	char tenant[NAME_SIZE];

	*ret_uid = "";
	if (!names_uid(arg))
		return slash ? cli_container_name(arg, name, err) : cli_tenant_name(arg, name, err);
	snprintf(tenant, sizeof(tenant), "%.*s", (int)(slash - arg), arg);
	*ret_uid = slash + 1;
	return cli_tenant_name(tenant, name, err);
}

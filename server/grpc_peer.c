/*
 * Who is on the other end of an accepted socket: the kernel says which uid (unix(7), SO_PEERCRED).
 * The peer's pid is not read: it may be another process by the time it is looked at. And what the
 * user database says of a user, which operators.c remembers.
 */
#include "base/cleanup.h"
#include "server/grpc_internal.h"

#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <string.h>

#define DB_BUFFER  (64u << 10) /* for one row of passwd or group: a group may list thousands */
#define GROUPS_MAX 65536       /* NGROUPS_MAX of Linux */

/* Finds a group; false when it does not exist or cannot be read, which makes nobody an operator. */
static bool find_group(const char *name, char *buffer, gid_t *ret_gid)
{
	struct group row, *found = NULL;

	if (getgrnam_r(name, &row, buffer, DB_BUFFER, &found) != 0 || !found)
		return false;
	*ret_gid = found->gr_gid;
	return true;
}

bool grpc_peer_is_member(uid_t uid, const char *group)
{
	_cleanup_free_ char *buffer = malloc(DB_BUFFER);
	_cleanup_free_ gid_t *groups = NULL;
	struct passwd row, *user = NULL;
	int n = 0;
	gid_t gid;

	if (!buffer || !group || !find_group(group, buffer, &gid))
		return false;
	if (getpwuid_r(uid, &row, buffer, DB_BUFFER, &user) != 0 || !user)
		return false;
	getgrouplist(user->pw_name, user->pw_gid, NULL, &n); /* says how many */
	if (n <= 0 || n > GROUPS_MAX)
		return false;
	groups = calloc((size_t)n, sizeof(*groups));
	if (!groups || getgrouplist(user->pw_name, user->pw_gid, groups, &n) < 0)
		return false;
	for (int i = 0; i < n; i++) {
		if (groups[i] == gid)
			return true;
	}
	return false;
}

static void copy_address(const struct sockaddr_storage *from, uint8_t ret_address[static 16])
{
	memset(ret_address, 0, 16);
	if (from->ss_family == AF_INET6) {
		memcpy(ret_address, &((const struct sockaddr_in6 *)from)->sin6_addr, 16);
	} else {
		ret_address[10] = 0xff;
		ret_address[11] = 0xff;
		memcpy(ret_address + 12, &((const struct sockaddr_in *)from)->sin_addr, 4);
	}
}

int grpc_peer_read(
	int fd, struct grpc_peer *ret_peer, uint8_t ret_address[static 16], struct err *err)
{
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof(address);
	struct ucred credentials;

	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return err_sys(err, errno, "getsockname");
	if (address.ss_family == AF_UNIX) {
		len = sizeof(credentials);
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) < 0)
			return err_sys(err, errno, "SO_PEERCRED");
		memset(ret_address, 0, 16);
		*ret_peer = (struct grpc_peer){.local = true, .uid = credentials.uid};
		return 0;
	}
	if (address.ss_family != AF_INET && address.ss_family != AF_INET6)
		return err_set(err, ERR_INVALID_ARGUMENT, "BAD_SOCKET",
			"the listening socket is neither unix nor TCP");
	len = sizeof(address);
	if (getpeername(fd, (struct sockaddr *)&address, &len) < 0)
		return err_sys(err, errno, "getpeername");
	copy_address(&address, ret_address);
	/* No identity without a certificate: uid is one that no check grants anything to. */
	*ret_peer = (struct grpc_peer){.local = false, .uid = (uid_t)-1};
	return 0;
}

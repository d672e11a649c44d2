/*
 * Connects to croftd; see dial.h. Knows nothing of HTTP/2. Must never send anything before the
 * caller does, nor leave a descriptor open on failure.
 */
#include "cli/dial.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/usage.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static int unreachable(const char *address, int e, struct err *err)
{
	if (e == EACCES || e == EPERM)
		return err_set(err, ERR_PERMISSION_DENIED, "SOCKET_NOT_PERMITTED",
			"this user may not connect to croftd at %s; ask the operator for access",
			address);
	return err_set(err, ERR_UNAVAILABLE, "SERVER_UNREACHABLE",
		"croftd does not answer at %s (%s); start it by running croftd as root, or name "
		"another address with --host or CROFT_HOST",
		address, strerror(e));
}

static int dial_unix(const char *address, const char *path, int *ret_fd, struct err *err)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;

	if (!*path || strlen(path) >= sizeof(sun.sun_path))
		return usage_error(err, "the socket's path in \"%s\" must have 1 to %zu bytes",
			address, sizeof(sun.sun_path) - 1);
	memcpy(sun.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, errno, "make a socket");
	if (connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) < 0)
		return unreachable(address, errno, err);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* Splits "HOST:PORT" or "[HOST]:PORT" in place. */
static int split_host_port(char *text, char **ret_host, char **ret_port)
{
	char *colon = strrchr(text, ':');
	size_t len;

	if (!colon || colon == text || !colon[1])
		return -EINVAL;
	*colon = '\0';
	len = strlen(text);
	if (text[0] == '[') {
		if (len < 3 || text[len - 1] != ']')
			return -EINVAL;
		text[len - 1] = '\0';
		text++;
	} else if (strchr(text, ':')) {
		return -EINVAL;
	}
	*ret_host = text;
	*ret_port = colon + 1;
	return 0;
}

static int connect_any(const struct addrinfo *list, int *ret_fd)
{
	int e = EADDRNOTAVAIL;

	for (const struct addrinfo *a = list; a; a = a->ai_next) {
		_cleanup_close_ int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int on = 1;

		if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
			e = errno;
			continue;
		}
		/* Requests are small and waited for: do not let Nagle hold one back. */
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		*ret_fd = take_fd(&fd);
		return 0;
	}
	return -e;
}

static int dial_tcp(const char *address, const char *host_port, int *ret_fd, struct err *err)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *list = NULL;
	char text[300];
	char *host;
	char *port;
	int r;

	if (strlen(host_port) >= sizeof(text))
		return usage_error(err, "the address \"%.60s...\" is too long", address);
	snprintf(text, sizeof(text), "%s", host_port);
	if (split_host_port(text, &host, &port) < 0)
		return usage_error(
			err, "\"%s\" is not of the form tcp:HOST:PORT or tcp:[IPV6]:PORT", address);
	r = getaddrinfo(host, port, &hints, &list);
	if (r)
		return err_set(err, ERR_UNAVAILABLE, "SERVER_UNREACHABLE",
			"cannot find %s: %s; check --host or CROFT_HOST", address, gai_strerror(r));
	r = connect_any(list, ret_fd);
	freeaddrinfo(list);
	return r < 0 ? unreachable(address, -r, err) : 0;
}

int dial_connect(const char *address, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (!strncmp(address, "unix:", 5))
		r = dial_unix(address, address + 5, &fd, err);
	else if (!strncmp(address, "tcp:", 4))
		r = dial_tcp(address, address + 4, &fd, err);
	else
		return usage_error(err,
			"\"%.100s\" is not an address; use unix:PATH or tcp:ADDR:PORT", address);
	if (r < 0)
		return r;
	r = fd_set_nonblock(fd, true);
	if (r < 0)
		return err_sys(err, r, "set up the connection");
	*ret_fd = take_fd(&fd);
	return 0;
}

/* Binding what clients connect to; see listen.h. */
#include "server/listen.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define BACKLOG 512

static int remove_stale(const struct sockaddr_un *addr, struct err *err)
{
	_cleanup_close_ int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (lstat(addr->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, ERR_ALREADY_EXISTS, "LISTEN_FAILED",
			"%s exists and is not a socket", addr->sun_path);
	if (probe >= 0 && connect(probe, (const struct sockaddr *)addr, sizeof(*addr)) == 0)
		return err_set(err, ERR_ALREADY_EXISTS, "LISTEN_FAILED",
			"another process listens on %s", addr->sun_path);
	if (unlink(addr->sun_path) < 0 && errno != ENOENT)
		return err_sys(err, errno, "remove the stale socket %s", addr->sun_path);
	return 0;
}

/* Notes which file it is, and gives it to croftd's user: in a directory that all may write to, only
   its owner may remove it. */
static int own_socket(const char *path, uid_t owner, struct listener *ret, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "look at the socket %s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, ERR_ABORTED, "LISTEN_FAILED",
			"%s was replaced while croftd began to listen on it", path);
	if (st.st_uid != owner && fchownat(fd, "", owner, (gid_t)-1, AT_EMPTY_PATH) < 0)
		return err_sys(err, errno, "own the socket %s", path);
	snprintf(ret->path, sizeof(ret->path), "%s", path);
	ret->device = st.st_dev;
	ret->inode = st.st_ino;
	return 0;
}

static int open_unix(const char *path, uid_t owner, struct listener *ret, struct err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;
	mode_t before;
	int r;

	if (strlen(path) >= sizeof(addr.sun_path))
		return err_set(err, ERR_INVALID_ARGUMENT, "LISTEN_FAILED",
			"%s is too long for a socket: at most %zu bytes", path,
			sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, strlen(path));
	r = remove_stale(&addr, err);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The mode is made with the file, and not set by a path that may lead elsewhere by then. */
	before = umask(0111);
	r = fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	umask(before);
	if (r < 0 || listen(fd, BACKLOG) < 0)
		return err_sys(err, r < 0 ? r : errno, "listen on %s", path);
	r = own_socket(path, owner, ret, err);
	if (r < 0)
		return r;
	ret->fd = take_fd(&fd);
	return 0;
}

static int bind_one(const struct addrinfo *ai, int *ret_fd)
{
	_cleanup_close_ int fd = socket(
		ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

/* "127.0.0.1:7000", "[::1]:7000". Numbers only: a name service has no say in what is bound. */
static int open_tcp(const char *spec, int *ret_fd, struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
	const char *colon = strrchr(spec, ':');
	struct addrinfo *ai = NULL;
	char host[64];
	size_t len;
	int r;

	if (!colon || (size_t)(colon - spec) >= sizeof(host))
		return err_set(err, ERR_INVALID_ARGUMENT, "LISTEN_FAILED",
			"\"%.80s\" is not of the form ADDRESS:PORT", spec);
	len = (size_t)(colon - spec);
	memcpy(host, spec, len);
	host[len] = '\0';
	if (host[0] == '[' && len > 2 && host[len - 1] == ']') {
		host[len - 1] = '\0';
		memmove(host, host + 1, len - 1);
	}
	r = getaddrinfo(host, colon + 1, &hints, &ai);
	if (r != 0)
		return err_set(err, ERR_INVALID_ARGUMENT, "LISTEN_FAILED",
			"\"%.80s\" is not a numeric address and port: %s", spec, gai_strerror(r));
	r = bind_one(ai, ret_fd);
	freeaddrinfo(ai);
	return r < 0 ? err_sys(err, r, "listen on %s", spec) : 0;
}

int listen_open(const char *spec, uid_t owner, struct listener *ret, struct err *err)
{
	struct listener listener = {.fd = -1};
	int r = !strncmp(spec, "unix:", 5) ? open_unix(spec + 5, owner, &listener, err)
					   : open_tcp(spec + 4, &listener.fd, err);

	if (r == 0)
		*ret = listener;
	return r;
}

void listen_close(struct listener *listener)
{
	struct stat st;

	close_fd(&listener->fd);
	/* Where it may not be removed it stays, and the next croftd replaces it. */
	if (*listener->path && lstat(listener->path, &st) == 0 && st.st_dev == listener->device &&
		st.st_ino == listener->inode)
		unlink(listener->path);
	listener->path[0] = '\0';
}

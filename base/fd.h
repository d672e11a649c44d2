/* Whole-buffer I/O, small files relative to a directory, and descriptors over a unix socket. */
#pragma once

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FD_PASS_MAX 32 /* descriptors in one message; the kernel allows 253 (SCM_MAX_FD) */
#define FD_SEALS    (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* Reads until size bytes or end of file. Returns the number read (at most size) or -errno. */
ssize_t fd_read_full(int fd, void *buf, size_t size);

/* Writes all of buf, resuming after short writes. Returns 0 or -errno. */
int fd_write_full(int fd, const void *buf, size_t size);

/*
 * Reads a small text file below dirfd into buf, terminates it, and cuts one final newline.
 * Returns its length, -EFBIG when it does not fit, or -errno.
 */
ssize_t fd_read_text_at(int dirfd, const char *path, char *buf, size_t size);

/* As fd_read_text_at() on an open descriptor, from offset 0 (for fds kept open on cgroup files). */
ssize_t fd_pread_text(int fd, char *buf, size_t size);

/*
 * Writes text in a single write(2) to an existing file below dirfd, as kernel control files want
 * it. Never creates or truncates. Returns 0 or -errno.
 */
int fd_write_text_at(int dirfd, const char *path, const char *text);

/* Reads one unsigned decimal number below dirfd; "max" gives UINT64_MAX. Returns 0 or -errno. */
int fd_read_u64_at(int dirfd, const char *path, uint64_t *ret);

/* Writes one unsigned decimal number, as fd_write_text_at(). */
int fd_write_u64_at(int dirfd, const char *path, uint64_t value);

/* Opens a directory as a path-only handle (O_PATH|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC), or -errno. */
int fd_open_dir_at(int dirfd, const char *path);

/*
 * Replaces dirfd/name by a file with these bytes: written beside it, synced when `sync`, renamed
 * over it (and the directory synced), so that a reader sees the old or the new file, never half.
 * Returns 0 or -errno.
 */
int fd_replace_file_at(int dirfd, const char *name, const void *data, size_t size, bool sync);

/*
 * Sends one message with n_fds descriptors (0 to FD_PASS_MAX); never raises SIGPIPE. The
 * descriptors stay the caller's. Returns 0, -EAGAIN on a full non-blocking socket, or -errno.
 */
int fd_send(int sock, const void *data, size_t size, const int *fds, size_t n_fds);

/*
 * Receives one message, and up to FD_PASS_MAX descriptors (close-on-exec) into ret_fds. A cut
 * message or descriptor list is -EMSGSIZE with every received descriptor closed.
 * Returns the message's length (0: the peer hung up) or -errno.
 */
ssize_t fd_recv(
	int sock, void *buf, size_t size, int ret_fds[static FD_PASS_MAX], size_t *ret_n_fds);

/* Descriptors of a process that goes on with few of them. */
#define FD_LIST_MAX 96
struct fd_list {
	int fds[FD_LIST_MAX];
	size_t n; /* FD_LIST_MAX + 1: one did not fit */
};

/* Adds one; -1 is none. */
void fd_list_add(struct fd_list *list, int fd);

/*
 * Closes every descriptor that is neither in the list (which gets sorted) nor standard input,
 * output or error. Returns 0, -EOVERFLOW when the list was too short, or -errno.
 */
int fd_close_all_but(struct fd_list *list);

/* Sets or clears O_NONBLOCK. Returns 0 or -errno. */
int fd_set_nonblock(int fd, bool on);

/*
 * Takes the exclusive flock(2) lock of an open file, waiting for whoever has it. Held until every
 * descriptor of that opening is closed. Returns 0 or -errno.
 */
int fd_lock(int fd);

/*
 * Seals a memfd: no write, grow, shrink or further seal (FD_SEALS). Patient with pages that the
 * kernel itself holds for a moment, as it does when it moves or reclaims them: F_ADD_SEALS is
 * refused meanwhile. Returns 0 or -errno; -EBUSY after some seconds, or at once for a file that is
 * mapped to be written. Source: fcntl(2), mm/memfd.c.
 */
int fd_seal(int fd);

/*
 * A sealed memfd (no write, grow, shrink or further seal) with these bytes, offset 0.
 * Returns the descriptor, owned by the caller, or -errno.
 */
int fd_sealed_memfd(const char *name, const void *data, size_t size);

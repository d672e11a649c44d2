/*
 * See answer.h. Source: seccomp_unotify(2). What the kernel says of a call is its number and the
 * caller's pid and arguments, of which only the number is looked at.
 */
#include "sandbox/refuser/answer.h"

#include "base/telltale.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MESSAGE_MAX 1024

/* A newer kernel's are longer than those of our headers, and must be all zero at first. */
union message {
	struct seccomp_notif ask;
	struct seccomp_notif_resp tell;
	char room[MESSAGE_MAX];
};

bool answer_fits_kernel(void)
{
	struct seccomp_notif_sizes sizes;

	return syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0 &&
	       sizes.seccomp_notif <= MESSAGE_MAX && sizes.seccomp_notif_resp <= MESSAGE_MAX;
}

bool answer_is_due(const struct answer *a, uint64_t now_usec)
{
	return a->paid_usec + ANSWER_GAP_USEC <=
	       now_usec + (uint64_t)ANSWER_BURST * ANSWER_GAP_USEC;
}

/* Also for one that came to nothing: it was work. */
static void pay(struct answer *a, uint64_t now_usec)
{
	a->paid_usec = (a->paid_usec > now_usec ? a->paid_usec : now_usec) + ANSWER_GAP_USEC;
}

/* Read by others while we write: each number is whole, and the set is never behind. */
static void add(struct refused_count *count, int number)
{
	enum telltale call;

	if (telltale_find(number, &call) == 0)
		__atomic_or_fetch(&count->set, UINT64_C(1) << call, __ATOMIC_RELEASE);
	__atomic_add_fetch(&count->calls, 1, __ATOMIC_RELEASE);
}

int answer_give(struct answer *a, uint64_t now_usec)
{
	union message message = {.room = {0}};
	uint64_t id;
	int result;

	pay(a, now_usec);
	if (ioctl(a->fd, SECCOMP_IOCTL_NOTIF_RECV, &message) < 0)
		return errno == ENOENT || errno == EINTR ? -EAGAIN : -errno;
	id = message.ask.id;
	/* Before the caller goes on, which may be the last that its run does. */
	add(a->count, message.ask.data.nr);
	memset(&message, 0, sizeof(message));
	message.tell.id = id;
	message.tell.error = -EPERM;
	/* Interrupted, it is not answered yet, and nobody but us knows of it any more. */
	do
		result = ioctl(a->fd, SECCOMP_IOCTL_NOTIF_SEND, &message);
	while (result < 0 && errno == EINTR);
	if (result < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	return 0;
}

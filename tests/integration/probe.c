/*
 * A static program that tests put into containers to ask the kernel from inside: one raw system
 * call, as many forks as are allowed, memory and CPU on demand. Each answer is one line.
 *
 *   call NR [ARG...]      "RETURN ERRNO"; ARG: a number, s:TEXT, b:BYTES (a zeroed buffer)
 *   call32 NR [ARG...]    the same through int $0x80
 *   forks HOLD_SECONDS    when standard input ends, forks until refused: "CHILDREN ERRNO", then
 *                         holds them
 *   eat BYTES SECONDS     touches so much memory: "BYTES", then holds it
 *   burn THREADS SECONDS  that many processes at full speed
 *   fds                   every open descriptor and what it is
 *   repeat SECONDS NR [ARG...]  a call until it fails: "TIMES ERRNO", then holds what it got
 *   storm SECONDS NR [ARG...]  a call over and over, at least so long, whatever it answers:
 *                              "TIMES FAILED"
 *   hunt SECONDS          attaches to every process that it can: "ATTACHED FOREIGN", of which the
 *                         second are those whose program is none that can be seen in here
 *   within FLAGS COMMAND...  the command in new namespaces, as CLONE_NEW* say
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define N_ARGS 6

static const char *name_of_errno(int e)
{
	const char *name = e ? strerrorname_np(e) : "0";

	return name ? name : "?";
}

static int usage(void)
{
	fprintf(stderr,
		"usage: probe call|call32|forks|eat|burn|fds|repeat|storm|hunt|within ...\n");
	return 2;
}

/* A mapping low enough for a 32-bit call to name it. */
static void *low_memory(size_t size)
{
	void *at = mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

static long parse_arg(const char *text)
{
	if (!strncmp(text, "s:", 2)) {
		char *copy = low_memory(strlen(text + 2) + 1);

		if (copy)
			memcpy(copy, text + 2, strlen(text + 2) + 1);
		return (long)copy;
	}
	if (!strncmp(text, "b:", 2))
		return (long)low_memory(strtoul(text + 2, NULL, 0));
	return *text == '-' ? strtol(text, NULL, 0) : (long)strtoul(text, NULL, 0);
}

static long call_32(long nr, const long *a)
{
#ifdef __x86_64__
	long ret;
	long sixth = a[5];

	/*
	 * ebp holds the sixth argument and cannot be named as an operand; the 128 bytes below the
	 * stack pointer may be in use (the ABI's red zone).
	 */
	__asm__ volatile(
		"lea -128(%%rsp), %%rsp\n\tpush %%rbp\n\tmov %[sixth], %%rbp\n\t"
		"int $0x80\n\tpop %%rbp\n\tlea 128(%%rsp), %%rsp"
		: "=a"(ret)
		: "0"(nr), "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4]), [sixth] "r"(sixth)
		: "memory", "cc", "r8", "r9", "r10", "r11");
	ret = (int)ret;
	if (ret < 0 && ret > -4096) {
		errno = (int)-ret;
		return -1;
	}
	return ret;
#else
	(void)nr;
	(void)a;
	errno = ENOSYS;
	return -1;
#endif
}

static int do_call(int argc, char **argv, bool compat)
{
	long a[N_ARGS] = {0};
	long nr;
	long ret;

	if (argc < 1 || argc > 1 + N_ARGS)
		return usage();
	nr = strtol(argv[0], NULL, 0);
	for (int i = 1; i < argc; i++)
		a[i - 1] = parse_arg(argv[i]);
	errno = 0;
	ret = compat ? call_32(nr, a) : syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	printf("%ld %s\n", ret, name_of_errno(ret == -1 ? errno : 0));
	return 0;
}

static int do_forks(int argc, char **argv)
{
	pid_t parent = getpid();
	unsigned seconds;
	int n = 0;
	int e = 0;

	if (argc != 1)
		return usage();
	seconds = (unsigned)strtoul(argv[0], NULL, 0);
	while (getchar() != EOF)
		;
	for (;;) {
		pid_t pid = fork();

		if (pid < 0) {
			e = errno;
			break;
		}
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			/* It may have ended before that. */
			if (getppid() == parent)
				pause();
			_exit(0);
		}
		n++;
	}
	printf("%d %s\n", n, name_of_errno(e));
	fflush(stdout);
	sleep(seconds);
	return 0;
}

static int do_eat(int argc, char **argv)
{
	size_t bytes;
	char *at;

	if (argc != 2)
		return usage();
	bytes = strtoul(argv[0], NULL, 0);
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED) {
		printf("-1 %s\n", name_of_errno(errno));
		return 1;
	}
	for (size_t i = 0; i < bytes; i += 4096)
		at[i] = 1;
	printf("%zu\n", bytes);
	fflush(stdout);
	sleep((unsigned)strtoul(argv[1], NULL, 0));
	return 0;
}

static int do_burn(int argc, char **argv)
{
	int threads;
	time_t end;

	if (argc != 2)
		return usage();
	threads = (int)strtol(argv[0], NULL, 0);
	end = time(NULL) + strtol(argv[1], NULL, 0);
	for (int i = 1; i < threads; i++)
		if (fork() == 0)
			break;
	while (time(NULL) < end)
		;
	return 0;
}

static int do_fds(void)
{
	for (int fd = 0; fd < 4096; fd++) {
		char link[64];
		char target[256];
		ssize_t n;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		printf("%d %s\n", fd, target);
	}
	return 0;
}

static int do_repeat(int argc, char **argv)
{
	long a[N_ARGS] = {0};
	long times = 0;

	if (argc < 2 || argc > 2 + N_ARGS)
		return usage();
	for (int i = 2; i < argc; i++)
		a[i - 2] = parse_arg(argv[i]);
	while (times < 1000000 &&
		syscall(strtol(argv[1], NULL, 0), a[0], a[1], a[2], a[3], a[4], a[5]) >= 0)
		times++;
	printf("%ld %s\n", times, name_of_errno(errno));
	fflush(stdout);
	sleep((unsigned)strtoul(argv[0], NULL, 0));
	return 0;
}

static int do_storm(int argc, char **argv)
{
	long a[N_ARGS] = {0};
	long nr, times = 0, failed = 0;
	time_t end;

	if (argc < 2 || argc > 2 + N_ARGS)
		return usage();
	nr = strtol(argv[1], NULL, 0);
	for (int i = 2; i < argc; i++)
		a[i - 2] = parse_arg(argv[i]);
	/* The present second has begun already. */
	for (end = time(NULL) + 1 + strtol(argv[0], NULL, 0); time(NULL) < end; times++) {
		long ret = syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);

		failed += ret < 0;
		/* A child only takes up room. */
		if (nr == SYS_fork && ret == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pause();
			_exit(0);
		}
	}
	printf("%ld %ld\n", times, failed);
	return 0;
}

/* Whether a traced process runs something that is no file of the container's. */
static bool is_foreign(pid_t pid)
{
	char path[64];
	char target[4096];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return access(target, F_OK) < 0;
}

static int do_hunt(int argc, char **argv)
{
	long attached = 0, foreign = 0;
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	time_t end;

	if (argc != 1 || !proc)
		return usage();
	end = time(NULL) + strtol(argv[0], NULL, 0);
	while (time(NULL) < end) {
		rewinddir(proc);
		while ((entry = readdir(proc))) {
			pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

			if (pid <= 1 || pid == getpid() ||
				ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
				continue;
			attached++;
			foreign += is_foreign(pid);
			ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
			if (waitpid(pid, NULL, __WALL) == pid)
				ptrace(PTRACE_DETACH, pid, NULL, NULL);
		}
	}
	closedir(proc);
	printf("%ld %ld\n", attached, foreign);
	return 0;
}

static int do_within(int argc, char **argv)
{
	if (argc < 2)
		return usage();
	/* The new mounts are its own: what it mounts must not be left to the container. */
	if (unshare((int)strtol(argv[0], NULL, 0)) < 0 ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		printf("%s\n", name_of_errno(errno));
		return 1;
	}
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 127;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return usage();
	if (!strcmp(argv[1], "call"))
		return do_call(argc - 2, argv + 2, false);
	if (!strcmp(argv[1], "call32"))
		return do_call(argc - 2, argv + 2, true);
	if (!strcmp(argv[1], "forks"))
		return do_forks(argc - 2, argv + 2);
	if (!strcmp(argv[1], "eat"))
		return do_eat(argc - 2, argv + 2);
	if (!strcmp(argv[1], "burn"))
		return do_burn(argc - 2, argv + 2);
	if (!strcmp(argv[1], "fds"))
		return do_fds();
	if (!strcmp(argv[1], "repeat"))
		return do_repeat(argc - 2, argv + 2);
	if (!strcmp(argv[1], "storm"))
		return do_storm(argc - 2, argv + 2);
	if (!strcmp(argv[1], "hunt"))
		return do_hunt(argc - 2, argv + 2);
	if (!strcmp(argv[1], "within"))
		return do_within(argc - 2, argv + 2);
	return usage();
}

/*
 * Init and exec strings in a sealed memfd; see spawn_args.h. The parser runs inside the container,
 * before exec, on bytes that a client chose: it trusts no length and no count.
 */
#include "sandbox/spawn_args.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/wire.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define WANTED_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int too_large(struct err *err)
{
	err_set(err, ERR_INVALID_ARGUMENT, "ARGUMENTS_TOO_LARGE",
		"the arguments and environment are too large: at most %u strings, %u KiB each, "
		"%u KiB in all",
		SPAWN_ARGS_MAX, SPAWN_STRING_MAX >> 10, SPAWN_ARGS_BYTES_MAX >> 10);
	return -E2BIG;
}

static int put_list(struct wire_writer *w, char *const *list)
{
	uint32_t n = 0;

	while (list && list[n])
		if (strlen(list[n]) >= SPAWN_STRING_MAX || ++n > SPAWN_ARGS_MAX)
			return -E2BIG;
	wire_put_u32(w, n);
	for (uint32_t i = 0; i < n; i++)
		wire_put_str(w, list[i]);
	return 0;
}

int spawn_args_pack(const struct spawn_args *args, int *ret_fd, struct err *err)
{
	_cleanup_(wire_writer_finish) struct wire_writer w;
	int fd;

	wire_writer_init(&w, SPAWN_ARGS_BYTES_MAX);
	if (!args->argv || !args->argv[0] || !args->argv[0][0])
		return err_set(err, ERR_INVALID_ARGUMENT, "NO_COMMAND",
			"there is no command to run: name one");
	if (put_list(&w, args->argv) < 0 || put_list(&w, args->envp) < 0 ||
		strlen(args->user) >= SPAWN_STRING_MAX ||
		strlen(args->working_dir) >= SPAWN_STRING_MAX)
		return too_large(err);
	wire_put_str(&w, args->user);
	wire_put_str(&w, args->working_dir);
	if (w.error == -EMSGSIZE)
		return too_large(err);
	if (w.error)
		return err_oom(err);
	fd = fd_sealed_memfd("croft-args", w.data, w.size);
	if (fd < 0)
		return err_sys(err, fd, "pass the arguments");
	*ret_fd = fd;
	return 0;
}

static int get_list(struct wire_reader *r, char ***ret)
{
	uint32_t n = wire_get_u32(r);
	char **list;

	if (n > SPAWN_ARGS_MAX)
		return -EBADMSG;
	list = calloc((size_t)n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		list[i] = (char *)wire_get_str(r, SPAWN_STRING_MAX);
	if (r->error) {
		free(list);
		return r->error;
	}
	*ret = list;
	return 0;
}

static int parse(struct wire_reader *r, struct spawn_args *ret)
{
	struct spawn_args args = {0};
	int e = get_list(r, &args.argv);

	if (e == 0)
		e = get_list(r, &args.envp);
	if (e == 0) {
		args.user = wire_get_str(r, SPAWN_STRING_MAX);
		args.working_dir = wire_get_str(r, SPAWN_STRING_MAX);
		e = wire_reader_end(r);
	}
	if (e == 0 && !args.argv[0])
		e = -EBADMSG;
	if (e < 0) {
		free(args.argv);
		free(args.envp);
		return e;
	}
	*ret = args;
	return 0;
}

int spawn_args_parse(int fd, struct spawn_args *ret, struct err *err)
{
	struct wire_reader r;
	struct stat st;
	void *data;
	int seals = fcntl(fd, F_GET_SEALS);
	int e;

	if (seals < 0 || (seals & WANTED_SEALS) != WANTED_SEALS || fstat(fd, &st) < 0 ||
		st.st_size <= 0 || st.st_size > SPAWN_ARGS_BYTES_MAX)
		return err_sys(err, EBADMSG, "arguments");
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return err_sys(err, errno, "map the arguments");
	wire_reader_init(&r, data, (size_t)st.st_size);
	e = parse(&r, ret);
	if (e < 0) {
		munmap(data, (size_t)st.st_size);
		return err_sys(err, e, "arguments");
	}
	return 0;
}

/*
 * croft push, croft pull: files into a container and out of one, as a tar stream. What a container
 * sends is its tenant's: it is unpacked by base/tree_unpack.h, which nothing in it leads out of.
 */
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "base/tree_pack.h"
#include "base/tree_unpack.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/usage.h"
#include "croft/v1/containers.pb-c.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/stat.h>

#define SERVICE (&croft__v1__containers__descriptor)
#define CHUNK	(128u << 10)

static const char *entry_word(uint64_t n)
{
	return n == 1 ? "entry" : "entries";
}

/* "TENANT/NAME:PATH" */
static int split_place(const char *text, char ret_name[static RESOURCE_SIZE], const char **ret_path,
	struct err *err)
{
	const char *colon = strchr(text, ':');
	char container[2 * NAME_SIZE];

	if (!colon || (size_t)(colon - text) >= sizeof(container))
		return usage_error(err, "\"%.80s\" is not of the form TENANT/NAME:PATH", text);
	if (colon[1] != '/')
		return usage_error(err, "\"%.80s\" is not an absolute path", colon + 1);
	memcpy(container, text, (size_t)(colon - text));
	container[colon - text] = '\0';
	*ret_path = colon + 1;
	return cli_container_name(container, ret_name, err);
}

static void show(struct progress *p, const char *verb, uint64_t bytes)
{
	char size[LIMIT_TEXT_MAX];

	progress_show(p, "%s %s", verb, size_format(bytes, size));
}

/* A name in a line of its own: without control characters. */
static void show_one_left_out(const char *path, const char *what)
{
	fputs("croft: left out ", stderr);
	for (; *path; path++)
		putc((unsigned char)*path < 0x20 || *path == 0x7f ? '?' : *path, stderr);
	fprintf(stderr, ": %s\n", what);
}

static void show_number_left_out(uint64_t count, size_t shown)
{
	if (count > shown)
		fprintf(stderr, "croft: left out %" PRIu64 " in all\n", count);
}

/* --- push --- */

struct push {
	struct cli *cli;
	struct client *client;
	struct call *call;
	struct progress progress;
	uint64_t sent;
	size_t n;
	uint8_t chunk[CHUNK];
};

/* The server says something before the archive's end only when it refuses the rest. */
static int check_refusal(struct push *p, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *message = NULL;
	int r = call_next(p->call, &message, err);

	if (r < 0 || r == CALL_NOTHING)
		return r < 0 ? r : 0;
	return err_set(err, ERR_INTERNAL, "REPLY_COUNT", "the server ended the push too early");
}

static int send_chunk(struct push *p, struct err *err)
{
	Croft__V1__PushFilesRequest request = CROFT__V1__PUSH_FILES_REQUEST__INIT;
	int r = check_refusal(p, err);

	while (r == 0 && !call_is_writable(p->call)) {
		r = client_wait(p->client, NULL, 0, -1, err);
		if (r == 0)
			r = check_refusal(p, err);
	}
	if (r < 0 || !p->n)
		return r;
	request.kind_case = CROFT__V1__PUSH_FILES_REQUEST__KIND_DATA;
	request.data.data = p->chunk;
	request.data.len = p->n;
	r = call_send(p->call, &request.base, err);
	p->sent += p->n;
	p->n = 0;
	show(&p->progress, "sent", p->sent);
	return r;
}

static int push_bytes(void *arg, const void *data, size_t size, struct err *err)
{
	struct push *p = arg;
	const uint8_t *at = data;
	int r = 0;

	while (size && r == 0) {
		size_t n = size < CHUNK - p->n ? size : CHUNK - p->n;

		memcpy(p->chunk + p->n, at, n);
		p->n += n;
		at += n;
		size -= n;
		if (p->n == CHUNK)
			r = send_chunk(p, err);
	}
	return r;
}

/* The last component of a path, be it a name or not. */
static int take_last(const char *path, char ret[static NAME_MAX + 1], struct err *err)
{
	size_t len;
	const char *last = path_last(path, &len);

	if (len > NAME_MAX)
		return err_sys(err, ENAMETOOLONG, "%.80s", path);
	memcpy(ret, last, len);
	ret[len] = '\0';
	return 0;
}

/* The name that a file has in the archive: the last of its path, as it is on disk for "." and so.
 */
static int name_of(const char *file, char ret[static NAME_MAX + 1], struct err *err)
{
	char resolved[PATH_MAX];
	int r;

	if (strlen(file) >= PATH_MAX)
		return err_sys(err, ENAMETOOLONG, "%.80s", file);
	r = take_last(file, ret, err);
	if (r < 0 || path_is_name(ret))
		return r;
	if (!realpath(file, resolved))
		return err_sys(err, errno, "%.80s", file);
	r = take_last(resolved, ret, err);
	if (r < 0 || *ret)
		return r;
	return usage_error(err, "/ as a whole cannot be pushed: name a directory in it");
}

static int open_push(struct push *p, const char *name, const char *path, struct err *err)
{
	Croft__V1__PushFilesRequest request = CROFT__V1__PUSH_FILES_REQUEST__INIT;
	Croft__V1__PushFilesStart start = CROFT__V1__PUSH_FILES_START__INIT;
	int r = cli_connect(p->cli, &p->client, err);

	if (r == 0)
		r = call_open(p->client, SERVICE, "PushFiles", &p->call, err);
	if (r < 0)
		return r;
	start.name = (char *)name;
	start.path = (char *)path;
	request.kind_case = CROFT__V1__PUSH_FILES_REQUEST__KIND_START;
	request.start = &start;
	return call_send(p->call, &request.base, err);
}

static int finish_push(struct push *p, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	_cleanup_message_ ProtobufCMessage *more = NULL;
	int r = send_chunk(p, err);

	if (r == 0)
		r = call_half_close(p->call, err);
	if (r == 0)
		r = call_receive(p->call, &reply, err);
	if (r == CALL_MESSAGE)
		r = call_receive(p->call, &more, err);
	return r < 0 ? r : 0;
}

static void show_left_out(const struct tree_left_out *left_out)
{
	unsigned n = tree_left_out_named(left_out);

	for (unsigned i = 0; i < n; i++)
		show_one_left_out(
			left_out->first[i].path, tree_left_out_text(left_out->first[i].kind));
	show_number_left_out(left_out->count, n);
}

static int push(struct cli *cli, struct err *err)
{
	_cleanup_free_ struct push *p = calloc(1, sizeof(*p));
	const struct tree_sink sink = {.write = push_bytes, .arg = p};
	struct tree_report report = {0};
	char name[RESOURCE_SIZE];
	char as[NAME_MAX + 1];
	char size[LIMIT_TEXT_MAX];
	const char *path;
	int r = split_place(cli_arg(cli, 1), name, &path, err);

	if (r == 0)
		r = name_of(cli_arg(cli, 0), as, err);
	if (r < 0)
		return r;
	if (!p)
		return err_oom(err);
	/* Said before anything is asked of the server. */
	if (access(cli_arg(cli, 0), R_OK) < 0)
		return err_sys(err, errno, "%.200s", cli_arg(cli, 0));
	p->cli = cli;
	progress_init(&p->progress);
	r = open_push(p, name, path, err);
	if (r == 0)
		r = tree_pack(AT_FDCWD, cli_arg(cli, 0), true, as, &sink, &report, err);
	if (r == 0)
		r = finish_push(p, err);
	progress_clear(&p->progress);
	call_destroy(p->call);
	if (r < 0)
		return r;
	show_left_out(&report.left_out);
	return cli_report(cli, NULL, NULL, err, "pushed %lu %s, %s, to %s",
		(unsigned long)report.entries, entry_word(report.entries),
		size_format(report.bytes, size), cli_arg(cli, 1));
}

/* --- pull --- */

struct pull {
	struct tree_unpack unpack;
	struct tar_reader reader; /* for standard output */
	bool to_stdout;
	struct progress progress;
	uint64_t received;
};

static int stdout_entry(void *arg, const struct tar_entry *e, struct err *err)
{
	(void)arg;
	return e->type == TAR_FILE
		       ? 0
		       : err_set(err, ERR_FAILED_PRECONDITION, "NOT_A_FILE",
				 "%.200s is not a file: give a directory to pull it into", e->path);
}

static int stdout_data(void *arg, const void *data, size_t size, struct err *err)
{
	(void)arg;
	if (fwrite(data, 1, size, stdout) == size)
		return 0;
	return output_flush(stdout, err);
}

static int stdout_end(void *arg, struct err *err)
{
	(void)arg;
	return output_flush(stdout, err);
}

static const struct tar_reader_ops stdout_ops = {
	.entry = stdout_entry, .data = stdout_data, .end = stdout_end};

static void show_not_sent(const Croft__V1__FilesLeftOut *left_out)
{
	for (size_t i = 0; i < left_out->n_first; i++)
		show_one_left_out(left_out->first[i]->path, left_out->first[i]->what);
	show_number_left_out(left_out->count, left_out->n_first);
}

static int pull_all(struct cli *cli, struct pull *p, struct call *call, struct err *err)
{
	for (;;) {
		_cleanup_message_ ProtobufCMessage *message = NULL;
		const Croft__V1__PullFilesResponse *response;
		int r = cli_receive(cli, call, &message, err);

		if (r == CALL_END)
			return p->to_stdout ? tar_reader_finish(&p->reader, err)
					    : tree_unpack_end(&p->unpack, err);
		if (r < 0)
			return r;
		response = (const void *)message;
		if (p->to_stdout)
			r = tar_reader_feed(
				&p->reader, response->data.data, response->data.len, err);
		else
			r = tree_unpack_feed(
				&p->unpack, response->data.data, response->data.len, err);
		if (r < 0)
			return r;
		if (response->left_out) {
			progress_clear(&p->progress);
			show_not_sent(response->left_out);
			continue;
		}
		p->received += response->data.len;
		show(&p->progress, "received", p->received);
	}
}

/* The last component of what was asked for, which is not the sender's to choose. */
static int name_asked_for(const char *path, char ret[static NAME_MAX + 1], struct err *err)
{
	int r = take_last(path, ret, err);

	if (r < 0 || path_is_name(ret))
		return r;
	return usage_error(err, "\"%.80s\" does not end in a name", path);
}

/*
 * As in croft-files: into a directory that exists, under the name that was asked for, or under a
 * new name beside it.
 */
static int open_target(
	const char *target, char *copy, int *ret_fd, const char **ret_as, struct err *err)
{
	size_t len = strlen(target);
	struct stat st;
	char *slash;

	if (len >= PATH_MAX || !len)
		return err_sys(err, len ? ENAMETOOLONG : ENOENT, "%.80s", target);
	memcpy(copy, target, len + 1);
	if (stat(copy, &st) < 0 || !S_ISDIR(st.st_mode)) {
		slash = strrchr(copy, '/');
		*ret_as = slash ? slash + 1 : target;
		if (!**ret_as)
			return err_sys(err, ENOENT, "%.200s", target);
		if (slash == copy)
			copy = (char *)"/";
		else if (slash)
			*slash = '\0';
		else
			copy = (char *)".";
	}
	*ret_fd = open(copy, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? err_sys(err, errno, "%.200s", copy) : 0;
}

static int pull(struct cli *cli, struct err *err)
{
	_cleanup_free_ struct pull *p = calloc(1, sizeof(*p));
	Croft__V1__PullFilesRequest request = CROFT__V1__PULL_FILES_REQUEST__INIT;
	const char *target = cli_arg(cli, 1);
	_cleanup_call_ struct call *call = NULL;
	_cleanup_close_ int fd = -1;
	mode_t mask = umask(022);
	char size[LIMIT_TEXT_MAX];
	char name[RESOURCE_SIZE];
	char asked[NAME_MAX + 1];
	char copy[PATH_MAX];
	const char *path;
	const char *as = asked;
	int r = split_place(cli_arg(cli, 0), name, &path, err);

	umask(mask);
	if (r == 0 && !p)
		r = err_oom(err);
	if (r < 0)
		return r;
	p->to_stdout = !strcmp(target, "-");
	if (!p->to_stdout)
		r = name_asked_for(path, asked, err);
	if (r == 0 && !p->to_stdout)
		r = open_target(target, copy, &fd, &as, err);
	if (r < 0)
		return r;
	tar_reader_init(&p->reader, &stdout_ops, NULL);
	tree_unpack_init(&p->unpack, fd, as, 0777 & ~mask);
	progress_init(&p->progress);
	request.name = name;
	request.path = (char *)path;
	r = cli_stream(cli, SERVICE, "PullFiles", &request.base, &call, err);
	if (r == 0)
		r = pull_all(cli, p, call, err);
	progress_clear(&p->progress);
	tree_unpack_finish(&p->unpack);
	if (r < 0 || p->to_stdout)
		return r;
	return cli_report(cli, NULL, NULL, err, "pulled %lu %s, %s, to %s",
		(unsigned long)p->unpack.entries, entry_word(p->unpack.entries),
		size_format(p->unpack.bytes, size), target);
}

const struct command cmd_push = {
	.name = "push",
	.summary = "Copy a file or a directory into a running container.",
	.args = {{.name = "FILE|DIR", .kind = WORD_FILE},
		{.name = "TENANT/NAME:PATH", .kind = WORD_CONTAINER}},
	.run = push,
};

const struct command cmd_pull = {
	.name = "pull",
	.summary = "Copy a file or a directory out of a running container; - is standard output.",
	.args = {{.name = "TENANT/NAME:PATH", .kind = WORD_CONTAINER},
		{.name = "FILE|DIR|-", .kind = WORD_FILE}},
	.run = pull,
};

/*
 * A hostile archive, unpacked in this process. Whatever its bytes say, nothing may appear beside
 * the tree, the limits must hold, and a refusal must have a reason. hostile_tars.py of
 * tests/integration makes seeds: each of its files is an input.
 *
 * There is no chroot here, so that openat2 alone has to confine it. Without root, owners other
 * than oneself cannot be set, and most archives end early.
 */
#include "base/cleanup.h"
#include "sandbox/image_config.h"
#include "sandbox/importer/import.h"
#include "sandbox/tree_remove.h"

#include <fcntl.h>
#include <locale.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define BYTES_MAX   (1u << 20)
#define ENTRIES_MAX 200
#define TREES_MAX   3 /* snapshots that come with a container */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t left;
	struct snapshot_list list;
	struct stat before; /* of what the trees lie in */
};

static char outside[] = "/tmp/croft-fuzz-importer-XXXXXX";
static int outside_fd = -1;

static void require(bool condition)
{
	if (!condition)
		__builtin_trap();
}

static void remove_outside(void)
{
	rmdir(outside);
}

static void set_up(void)
{
	require(setlocale(LC_CTYPE, "C.UTF-8") != NULL);
	require(mkdtemp(outside) != NULL);
	outside_fd = open(outside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	require(outside_fd >= 0);
	atexit(remove_outside);
}

static ssize_t read_input(void *arg, void *buf, size_t size)
{
	struct input *input = arg;
	size_t n = size < input->left ? size : input->left;

	memcpy(buf, input->data, n);
	input->data += n;
	input->left -= n;
	return (ssize_t)n;
}

static const char *const names[] = {"root", "tree1", "tree2", "tree3"};

static int make_tree(struct input *input, unsigned n)
{
	int fd;

	require(mkdirat(outside_fd, names[n], 0755) == 0);
	fd = openat(outside_fd, names[n], O_PATH | O_DIRECTORY | O_CLOEXEC);
	require(fd >= 0 && fstat(outside_fd, &input->before) == 0);
	return fd;
}

/* What comes out of the list is a row that the other side takes. */
static int next_tree(void *arg, const struct image_report *report, const struct snapshot_row *row)
{
	struct input *input = arg;
	struct err err;

	require(report->bytes <= 2 * BYTES_MAX && report->entries <= 2 * ENTRIES_MAX);
	require(input->list.n < TREES_MAX);
	require(snapshot_list_add(&input->list, row, &err) == 0);
	return make_tree(input, (unsigned)input->list.n);
}

/* Beside the trees there is nothing; nor has it touched what it lies in. */
static void check_outside(const struct stat *before)
{
	int copy = openat(outside_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fdopendir(copy);
	struct dirent *entry;
	struct stat after;

	require(dir != NULL);
	while ((entry = readdir(dir)))
		require(entry->d_name[0] == '.' || !strcmp(entry->d_name, "root") ||
			!strncmp(entry->d_name, "tree", 4));
	require(fstat(outside_fd, &after) == 0);
	require(after.st_mode == before->st_mode && after.st_uid == before->st_uid &&
		after.st_mtim.tv_sec == before->st_mtim.tv_sec &&
		after.st_mtim.tv_nsec == before->st_mtim.tv_nsec);
}

/* What is said of an application must be what the other side believes. */
static void check_app(const struct wire_writer *app, uint32_t size)
{
	struct image_config *config;

	require(size == 0 || size == app->size);
	if (!size)
		return;
	require(image_config_parse(app->data, size, &config, NULL) == 0);
	image_config_free(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {.data = data, .left = size};
	const struct unpack_config config = {
		.read = read_input,
		.next_tree = next_tree,
		.arg = &input,
		.limits = {.bytes = BYTES_MAX,
			.entries = ENTRIES_MAX,
			.snapshots = TREES_MAX,
			.all_bytes = 2 * BYTES_MAX,
			.all_entries = 2 * ENTRIES_MAX},
	};
	struct image_report report;
	struct wire_writer app;
	struct err err = {0};
	int root;
	int r;

	if (outside_fd < 0)
		set_up();
	root = make_tree(&input, 0);
	r = import_run(root, &config, &report, &app, &err);
	require(r == 0 || (r < 0 && err.code != ERR_OK && err.reason[0] && err.msg[0]));
	require(r < 0 || (report.bytes <= 2 * BYTES_MAX && report.entries <= 2 * ENTRIES_MAX));
	require(r < 0 || input.list.n ||
		(report.bytes <= BYTES_MAX && report.entries <= ENTRIES_MAX));
	require(report.init <= IMAGE_INIT_SYSV);
	check_app(&app, r == 0 ? report.config_size : 0);
	wire_writer_finish(&app);
	check_outside(&input.before);
	close(root);
	for (size_t i = 0; i <= input.list.n; i++)
		require(tree_remove_at(outside_fd, names[i], &err) == 0);
	return 0;
}

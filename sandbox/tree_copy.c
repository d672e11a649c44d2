/*
 * The walk over a tree that is copied or measured; see tree_copy.h. By descriptor, one name at a
 * time, depth first. However deep the tree is, only some levels are open; the others are opened
 * again through "..", and must be the ones they were. Must never recurse or build a path.
 */
#include "sandbox/tree_copy.h"

#include "base/cleanup.h"
#include "sandbox/tree_copy_internal.h"

#include <fcntl.h>
#include <string.h>

/* Open at the same time, each with two descriptors. */
#define LEVELS_OPEN 64
/* What no tree has but one that was made to be deep; a frame is about 200 bytes. */
#define DEPTH_MAX 65536
#define OPEN_DIR  (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

struct frame {
	DIR *dir;      /* NULL: closed for the time being */
	int to_fd;     /* -1 as well, or when nothing is copied */
	long position; /* where a closed one goes on */
	struct stat st;
	struct stat to_st;
};

struct walk {
	struct tree_nodes nodes;
	struct frame *frames;
	size_t depth;
	size_t room;
};

static void frame_close(struct frame *frame)
{
	if (frame->dir)
		closedir(frame->dir);
	frame->dir = NULL;
	close_fd(&frame->to_fd);
}

static void walk_finish(struct walk *walk)
{
	while (walk->depth > 0)
		frame_close(&walk->frames[--walk->depth]);
	free(walk->frames);
	close_fd(&walk->nodes.links_fd);
}

static int make_room(struct walk *walk, struct err *err)
{
	size_t room = walk->room ? walk->room * 2 : 64;
	struct frame *frames;

	if (walk->depth < walk->room)
		return 0;
	if (walk->depth >= DEPTH_MAX)
		return err_set(err, ERR_FAILED_PRECONDITION, "TREE_TOO_DEEP",
			"directories are nested more than %d deep; remove those first", DEPTH_MAX);
	frames = realloc(walk->frames, room * sizeof(*frames));
	if (!frames)
		return err_oom(err);
	walk->frames = frames;
	walk->room = room;
	return 0;
}

/* Lets an outer level go while an inner one is worked on. */
static void suspend(struct frame *frame)
{
	frame->position = telldir(frame->dir);
	frame_close(frame);
}

/* Takes both descriptors, also on failure; to_fd may be -1. */
static int push(struct walk *walk, int from_fd, int to_fd, const struct stat *st, struct err *err)
{
	_cleanup_close_ int from = from_fd;
	_cleanup_close_ int to = to_fd;
	struct frame frame = {.st = *st, .to_fd = -1};
	int r = make_room(walk, err);

	if (r < 0)
		return r;
	if (to >= 0 && fstat(to, &frame.to_st) < 0)
		return err_sys(err, errno, "look at a directory");
	frame.dir = fdopendir(from);
	if (!frame.dir)
		return err_sys(err, errno, "list a directory");
	from = -1;
	frame.to_fd = take_fd(&to);
	if (walk->depth >= LEVELS_OPEN)
		suspend(&walk->frames[walk->depth - LEVELS_OPEN]);
	walk->frames[walk->depth++] = frame;
	return 0;
}

static int open_above(int fd, const struct stat *expected, int *ret_fd, struct err *err)
{
	_cleanup_close_ int above = openat(fd, "..", OPEN_DIR);
	struct stat st;

	if (above < 0 || fstat(above, &st) < 0)
		return err_sys(err, errno, "return to a directory");
	if (st.st_ino != expected->st_ino || st.st_dev != expected->st_dev)
		return err_set(err, ERR_ABORTED, "TREE_CHANGED",
			"directories were moved while they were copied; try again");
	*ret_fd = take_fd(&above);
	return 0;
}

/* Opens a level again from the one below it. */
static int resume(struct frame *frame, const struct frame *below, struct err *err)
{
	_cleanup_close_ int from = -1;
	int r = open_above(dirfd(below->dir), &frame->st, &from, err);

	if (r == 0 && below->to_fd >= 0)
		r = open_above(below->to_fd, &frame->to_st, &frame->to_fd, err);
	if (r < 0)
		return r;
	frame->dir = fdopendir(from);
	if (!frame->dir)
		return err_sys(err, errno, "list a directory");
	from = -1;
	seekdir(frame->dir, frame->position);
	return 0;
}

/* All of a directory is done: its attributes last, as every entry has changed its times. */
static int pop(struct walk *walk, struct err *err)
{
	struct frame *frame = &walk->frames[walk->depth - 1];
	int r = 0;

	if (frame->to_fd >= 0)
		r = tree_node_copy_metadata(
			&walk->nodes, dirfd(frame->dir), &frame->st, frame->to_fd, err);
	if (r == 0 && walk->depth > 1 && !frame[-1].dir)
		r = resume(&frame[-1], frame, err);
	if (r < 0)
		return r;
	frame_close(frame);
	walk->depth--;
	return 0;
}

static int enter(struct walk *walk, const struct frame *frame, int node_fd, const char *name,
	const struct stat *st, struct err *err)
{
	int from = openat(node_fd, ".", OPEN_DIR);
	int to = -1;
	int r;

	if (from < 0)
		return err_sys(err, errno, "open a directory");
	if (frame->to_fd >= 0) {
		r = tree_node_make_dir(&walk->nodes, from, frame->to_fd, name, &to, err);
		if (r < 0) {
			close(from);
			return r;
		}
	}
	return push(walk, from, to, st, err);
}

static int take_entry(struct walk *walk, const char *name, struct err *err)
{
	const struct frame *frame = &walk->frames[walk->depth - 1];
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r = tree_node_open(&walk->nodes, dirfd(frame->dir), name, &fd, &st, err);

	if (r < 0)
		return r;
	walk->nodes.report.entries++;
	if (S_ISDIR(st.st_mode))
		return enter(walk, frame, fd, name, &st, err);
	return tree_node_copy(&walk->nodes, fd, &st, frame->to_fd, name, err);
}

/* One entry of the deepest level, or the end of that level. */
static int step(struct walk *walk, struct err *err)
{
	struct dirent *entry;

	do {
		errno = 0;
		entry = readdir(walk->frames[walk->depth - 1].dir);
	} while (entry && (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")));
	if (entry)
		return take_entry(walk, entry->d_name, err);
	if (errno)
		return err_sys(err, errno, "list a directory");
	return pop(walk, err);
}

static int run(int from_fd, int to_fd, const struct tree_copy_options *options,
	struct tree_report *ret_report, struct err *err)
{
	_cleanup_(walk_finish) struct walk walk = {
		.nodes = {.options = options, .root_fd = to_fd, .links_fd = -1}};
	int from = openat(from_fd, ".", OPEN_DIR);
	int to = to_fd >= 0 ? openat(to_fd, ".", OPEN_DIR) : -1;
	struct stat st;
	int r;

	if (from < 0 || (to_fd >= 0 && to < 0) || fstat(from, &st) < 0) {
		r = err_sys(err, errno, "open a directory tree");
		close_fd(&from);
		close_fd(&to);
		return r;
	}
	walk.nodes.device = st.st_dev;
	r = push(&walk, from, to, &st, err);
	while (r == 0 && walk.depth > 0)
		r = step(&walk, err);
	if (r == 0)
		r = tree_nodes_finish(&walk.nodes, err);
	/* The removal of its helper has changed them. */
	if (r == 0 && to_fd >= 0)
		r = tree_node_copy_metadata(&walk.nodes, from_fd, &st, to_fd, err);
	if (r == 0 && ret_report)
		*ret_report = walk.nodes.report;
	return r;
}

int tree_copy(int from_fd, int to_fd, const struct tree_copy_options *options,
	struct tree_report *ret_report, struct err *err)
{
	return run(from_fd, to_fd, options, ret_report, err);
}

int tree_measure(int fd, struct tree_report *ret_report, struct err *err)
{
	static const struct tree_copy_options options;

	return run(fd, -1, &options, ret_report, err);
}

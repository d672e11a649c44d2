/* Between the walk (tree_copy.c) and what is done with one object (tree_copy_node.c). */
#pragma once

#include "sandbox/tree_copy.h"

#include <sys/stat.h>
#include <sys/types.h>

struct tree_nodes {
	const struct tree_copy_options *options;
	struct tree_report report;
	dev_t device;	/* of the source; nothing else is entered */
	int root_fd;	/* the target; -1: only measured */
	int links_fd;	/* names of inodes with several links, as they are met; -1: none yet */
	char links[48]; /* that directory's name in the target */
	bool cannot_clone;
};

/* An object of the source by its name in a directory: O_PATH, no link followed. */
int tree_node_open(struct tree_nodes *nodes, int dir_fd, const char *name, int *ret_fd,
	struct stat *ret_st, struct err *err);
/* Copies what is not a directory. */
int tree_node_copy(struct tree_nodes *nodes, int from_fd, const struct stat *st, int to_dir_fd,
	const char *name, struct err *err);
/* Makes (or, merging, finds) the directory that stands for from_fd, and opens it. */
int tree_node_make_dir(struct tree_nodes *nodes, int from_fd, int to_dir_fd, const char *name,
	int *ret_fd, struct err *err);
/* Owner, mode, times and extended attributes. Of a directory after all that is in it. */
int tree_node_copy_metadata(
	struct tree_nodes *nodes, int from_fd, const struct stat *st, int to_fd, struct err *err);
/* True for overlayfs' mark that a name of the lower layer is gone. */
bool tree_node_is_whiteout(const struct stat *st);
/* Removes what was needed on the way. */
int tree_nodes_finish(struct tree_nodes *nodes, struct err *err);

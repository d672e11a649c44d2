/*
 * The snapshots that travel in one file with their container: between croftd and supervisor as a
 * sealed memfd of the rows, in the file as text (docs/EXPORT-FORMAT.md).
 */
#pragma once

#include "base/err.h"
#include "base/name.h"

#include <stddef.h>
#include <stdint.h>

#define SNAPSHOT_LIST_MAX      128u /* as many as a container has */
#define SNAPSHOT_LIST_TEXT_MAX (SNAPSHOT_LIST_MAX * 96u)

/* Fixed size: also what the importer says before it unpacks one. Unused bytes are 0. */
struct snapshot_row {
	char name[NAME_SIZE];
	char base[NAME_SIZE];	   /* export: the image below it; "": none */
	int64_t created_wall_usec; /* above 0 */
	uint64_t left_s;	   /* how long it is to live; 0: for ever */
	uint64_t bytes;		   /* import: of its files' contents */
	uint32_t automatic;	   /* 1: a schedule made it */
	uint32_t reserved;
};

struct snapshot_list {
	size_t n;
	struct snapshot_row rows[SNAPSHOT_LIST_MAX];
};

/* Adds a row that came from elsewhere: INVALID_ARGUMENT / EXPORT_DAMAGED for one that makes no
 * sense, or whose name is there already, or when there are too many. */
int snapshot_list_add(struct snapshot_list *list, const struct snapshot_row *row, struct err *err);

/* The rows as a sealed memfd, the caller's, and back, each checked as above. */
int snapshot_list_send(const struct snapshot_list *list, int *ret_fd, struct err *err);
int snapshot_list_receive(int fd, struct snapshot_list *ret, struct err *err);

/*
 * As text, a line each: its name, when it was made in microseconds of Unix time, the seconds it is
 * to live (0: for ever), and "made" or "scheduled". Returns its length, at most
 * SNAPSHOT_LIST_TEXT_MAX - 1; it is not terminated.
 */
size_t snapshot_list_format(
	const struct snapshot_list *list, char out[static SNAPSHOT_LIST_TEXT_MAX]);
/* And back; nothing but that form is taken: INVALID_ARGUMENT / EXPORT_DAMAGED. */
int snapshot_list_parse(const char *text, size_t size, struct snapshot_list *ret, struct err *err);

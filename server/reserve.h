/*
 * A file of space that is given back when the disk is full, so that what must be written then can
 * be: the ends of runs, and what makes room.
 */
#pragma once

/*
 * Makes the file, up to 16 MiB or an eighth of a smaller disk, where that leaves as much free
 * again. Returns 0 when it is there, or -errno (ENOSPC) with no file.
 */
int reserve_make(const char *path);
/* Gives the space back. */
void reserve_release(const char *path);

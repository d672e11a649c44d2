/* The last component of a path; see path.h. Must never look at what is on the disk. */
#include "base/path.h"

#include <string.h>

const char *path_last(const char *path, size_t *ret_len)
{
	size_t size = strlen(path);
	size_t end = size;
	size_t start;

	while (end && path[end - 1] == '/')
		end--;
	start = end;
	while (start && path[start - 1] != '/')
		start--;
	*ret_len = end - start;
	return path + (end ? start : size);
}

bool path_is_name(const char *component)
{
	return *component && strcmp(component, ".") != 0 && strcmp(component, "..") != 0;
}

/*
 * Entry names; see entry_path.h. This is a lexical check for a clear refusal. What confines the
 * importer is its root: names that pass here are still resolved by the kernel within it.
 */
#include "sandbox/importer/entry_path.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

const char *entry_path_quote(const char *raw, char out[static ENTRY_QUOTED_MAX])
{
	size_t at = 0;

	for (const char *p = raw ? raw : ""; *p; p++) {
		if (at + 8 >= ENTRY_QUOTED_MAX) {
			snprintf(out + at, ENTRY_QUOTED_MAX - at, "...");
			return out;
		}
		if ((unsigned char)*p < 0x80 && isprint((unsigned char)*p))
			out[at++] = *p;
		else
			at += (size_t)snprintf(
				out + at, ENTRY_QUOTED_MAX - at, "\\x%02x", (unsigned char)*p);
	}
	out[at] = '\0';
	return out;
}

static int refuse(struct err *err, const char *raw, const char *why)
{
	char quoted[ENTRY_QUOTED_MAX];

	return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
		"the archive's entry \"%s\" %s; pack it with names relative to the root directory",
		entry_path_quote(raw, quoted), why);
}

int entry_path_clean(const char *raw, char ret[static PATH_MAX], struct err *err)
{
	char path[PATH_MAX];
	size_t length = 0;
	int depth = 0;

	if (!raw)
		return refuse(err, raw, "has a name that cannot be read");
	if (!raw[0])
		return refuse(err, raw, "has no name");
	if (raw[0] == '/')
		return refuse(err, raw, "has an absolute name");
	for (const char *p = raw; *p;) {
		size_t n = strcspn(p, "/");

		if (n > NAME_MAX || length + n + 2 > sizeof(path) || depth == ENTRY_DEPTH_MAX)
			return refuse(err, raw, "has a name that is too long");
		if (n == 2 && !memcmp(p, "..", 2))
			return refuse(err, raw, "has a \"..\" in its name");
		if (n > 1 || (n == 1 && *p != '.')) {
			if (length)
				path[length++] = '/';
			memcpy(path + length, p, n);
			length += n;
			depth++;
		}
		p += n;
		p += *p == '/';
	}
	path[length] = '\0';
	memcpy(ret, path, length + 1);
	return 0;
}

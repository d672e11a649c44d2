/* Data for cloud-init on the command line: files, read here, and public keys. */
#pragma once

#include "cli/columns.h"
#include "cli/options.h"
#include "croft/v1/containers.pb-c.h"

/* The options of all that make or change a container, for a command's table. */
#define CLOUD_INIT_OPTIONS                                                                         \
	{.name = "user-data",                                                                      \
		.value = "FILE",                                                                   \
		.kind = WORD_FILE,                                                                 \
		.help = "what cloud-init is to do at the first boot (-: standard input)"},         \
		{.name = "meta-data",                                                              \
			.value = "FILE",                                                           \
			.kind = WORD_FILE,                                                         \
			.help = "lines of YAML for cloud-init, beside the name and the id"},       \
		{.name = "network-config",                                                         \
			.value = "FILE",                                                           \
			.kind = WORD_FILE,                                                         \
			.help = "what cloud-init is to make of the network (nothing)"},            \
	{                                                                                          \
		.name = "ssh-key", .value = "FILE", .kind = WORD_FILE, .repeated = true,           \
		.help = "public keys that cloud-init lets in to its user"                          \
	}

#define CLOUD_INIT_PATHS 4
#define CLOUD_INIT_KEYS	 64 /* croft.v1.CloudInit.ssh_keys */

struct cloud_init_message {
	Croft__V1__CloudInit message;
	bool given;			     /* some option was */
	const char *paths[CLOUD_INIT_PATHS]; /* of an update mask: the parts that were given */
	size_t n_paths;
	char *files[CLOUD_INIT_PATHS - 1 + CLOUD_INIT_KEYS]; /* owned: what message points into */
	size_t n_files;
};

/*
 * Reads the options and their files. Returns 0 with *ret to be finished, a usage error, or -errno.
 */
int cloud_init_read(const struct options *options, struct cloud_init_message *ret, struct err *err);
void cloud_init_finish(struct cloud_init_message *message);

/*
 * For a change: what is given goes into the container and its mask, and --no-cloud-init, too. Adds
 * up to CLOUD_INIT_PATHS paths. Returns as cloud_init_read().
 */
int cloud_init_read_change(const struct options *options, struct cloud_init_message *message,
	Croft__V1__Container *container, const char **paths, size_t *n_paths, struct err *err);

/* "user data 412 bytes, 1 key" of a container. */
const char *cloud_init_text(
	const ProtobufCMessage *message, bool human, char buf[static COLUMN_TEXT_MAX]);

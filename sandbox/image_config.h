/*
 * How an application image wants to be run: the config of an OCI or docker image, as far as Croft
 * follows it. Made by croft-importer out of an untrusted archive, so its bytes are parsed anew by
 * each process that they come to.
 */
#pragma once

#include "base/err.h"
#include "base/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMAGE_CONFIG_BYTES_MAX (16u << 10)
#define IMAGE_CONFIG_ARGS_MAX  64
#define IMAGE_CONFIG_ENV_MAX   256
#define IMAGE_CONFIG_NAME_MAX  256 /* of the command's first word, with its terminator */

struct image_config {
	char **argv;		 /* NULL-terminated, at least one; the first may lack its path */
	char **envp;		 /* NULL-terminated, "NAME=value" */
	const char *user;	 /* "", or a name or number, with ":group" or without */
	const char *working_dir; /* "" or absolute */
	uint32_t stop_signal;	 /* 1 to 64 */
	bool is_init;		 /* argv is an init itself: nothing goes before it */
};

/* Writes it. The writer's error tells whether it is too large. */
void image_config_write(const struct image_config *config, struct wire_writer *w);

/*
 * Checks and parses such bytes. Returns 0 with *ret allocated (one image_config_free() for all of
 * it), or -EBADMSG (IMAGE_CONFIG_INVALID).
 */
int image_config_parse(const void *data, size_t size, struct image_config **ret, struct err *err);
void image_config_free(struct image_config *config);

/* The same of a descriptor from the supervisor, which stays the caller's. */
int image_config_read(int fd, struct image_config **ret, struct err *err);

#define IMAGE_REFERENCE_MAX 256 /* with its terminator */

/*
 * True for what may be given as a reference, the tag or digest of an image in an archive with
 * several: "", or printable ASCII without blanks.
 */
bool image_reference_is_valid(const char *reference);

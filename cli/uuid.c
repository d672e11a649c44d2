/*
 * Version 4 UUIDs; see uuid.h. Must never fall back to a guessable or repeated value: the server
 * answers a repeated request_id with the first reply instead of doing the work.
 */
#include "cli/uuid.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>

int uuid_random(char ret_uuid[static UUID_SIZE], struct err *err)
{
	uint8_t b[16];

	/* Up to 256 bytes are never cut short once the pool is initialized (getrandom(2)). */
	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		return err_sys(err, errno, "read random numbers");
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(ret_uuid, UUID_SIZE,
		"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		b[15]);
	return 0;
}

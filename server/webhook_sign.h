/*
 * Secrets and signatures of webhooks.
 * Source: Standard Webhooks 1.0.0 (github.com/standard-webhooks), "Signature scheme": HMAC-SHA256
 * with the secret's bytes over "ID.TIMESTAMP.BODY", as base64 behind "v1,".
 */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define WEBHOOK_SECRET_PREFIX  "whsec_"
#define WEBHOOK_KEY_MIN	       24 /* bytes; both are the specification's */
#define WEBHOOK_KEY_MAX	       64
#define WEBHOOK_SECRET_SIZE    96 /* the prefix, base64 of the longest key, a terminator */
#define WEBHOOK_SIGNATURE_SIZE 48

/* Makes a secret of 32 random bytes. Returns 0 or -EIO. */
int webhook_secret_make(char ret[static WEBHOOK_SECRET_SIZE], struct err *err);
/* INVALID_ARGUMENT / SECRET_INVALID where that is none; the message does not repeat it. */
int webhook_secret_check(const char *secret, struct err *err);

/* "v1,..." of a message. The secret must be one. Returns 0 or -EIO when libcrypto cannot. */
int webhook_sign(const char *secret, const char *id, int64_t timestamp_s, const void *body,
	size_t size, char ret[static WEBHOOK_SIGNATURE_SIZE], struct err *err);

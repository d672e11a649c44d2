/* Secrets and signatures through libcrypto; see webhook_sign.h. Must never put a secret into a
 * message or a log. */
#include "server/webhook_sign.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define KEY_MADE	 32
#define PREFIX_LEN	 (sizeof(WEBHOOK_SECRET_PREFIX) - 1)
#define BASE64_MAX	 88 /* of WEBHOOK_KEY_MAX bytes */
#define DIGEST_SIZE	 32
#define SIGNATURE_BASE64 44

static int failed(struct err *err)
{
	return err_set(err, ERR_INTERNAL, "SIGN_FAILED", "HMAC-SHA256 is not available");
}

int webhook_secret_make(char ret[static WEBHOOK_SECRET_SIZE], struct err *err)
{
	uint8_t key[KEY_MADE];
	uint8_t text[BASE64_MAX + 1];

	if (RAND_bytes(key, sizeof(key)) != 1)
		return err_set(err, ERR_INTERNAL, "RANDOM_FAILED", "no random bytes are to be had");
	EVP_EncodeBlock(text, key, sizeof(key));
	snprintf(ret, WEBHOOK_SECRET_SIZE, WEBHOOK_SECRET_PREFIX "%s", (const char *)text);
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(text, sizeof(text));
	return 0;
}

/* Exactly the base64 of WEBHOOK_KEY_MIN to _MAX bytes (RFC 4648, 4). Returns their number, or -1.
 */
static int read_key(const char *secret, uint8_t key[static WEBHOOK_KEY_MAX + 2])
{
	uint8_t again[BASE64_MAX + 1];
	const char *text = secret + PREFIX_LEN;
	size_t len;
	int n;

	if (strncmp(secret, WEBHOOK_SECRET_PREFIX, PREFIX_LEN) != 0)
		return -1;
	len = strlen(text);
	if (!len || len > BASE64_MAX || len % 4)
		return -1;
	n = EVP_DecodeBlock(key, (const uint8_t *)text, (int)len);
	if (n < 0)
		return -1;
	/* It counts what stands for padding as bytes. */
	for (size_t i = len; i > len - 2 && text[i - 1] == '='; i--)
		n--;
	if (n < WEBHOOK_KEY_MIN || n > WEBHOOK_KEY_MAX)
		return -1;
	EVP_EncodeBlock(again, key, n);
	return strcmp((const char *)again, text) ? -1 : n;
}

int webhook_secret_check(const char *secret, struct err *err)
{
	uint8_t key[WEBHOOK_KEY_MAX + 2];
	int n = read_key(secret, key);

	OPENSSL_cleanse(key, sizeof(key));
	if (n < 0)
		return err_set_subject(err, ERR_INVALID_ARGUMENT, "SECRET_INVALID", "secret",
			"a secret is " WEBHOOK_SECRET_PREFIX
			" and the base64 of %d to %d bytes; give none, and one is made",
			WEBHOOK_KEY_MIN, WEBHOOK_KEY_MAX);
	return 0;
}

static bool digest(EVP_MAC_CTX *ctx, const uint8_t *key, size_t key_size, const char *head,
	const void *body, size_t size, uint8_t out[static DIGEST_SIZE])
{
	char name[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string("digest", name, 0), OSSL_PARAM_construct_end()};
	size_t n;

	return EVP_MAC_init(ctx, key, key_size, params) == 1 &&
	       EVP_MAC_update(ctx, (const uint8_t *)head, strlen(head)) == 1 &&
	       EVP_MAC_update(ctx, body, size) == 1 &&
	       EVP_MAC_final(ctx, out, &n, DIGEST_SIZE) == 1 && n == DIGEST_SIZE;
}

int webhook_sign(const char *secret, const char *id, int64_t timestamp_s, const void *body,
	size_t size, char ret[static WEBHOOK_SIGNATURE_SIZE], struct err *err)
{
	uint8_t key[WEBHOOK_KEY_MAX + 2];
	uint8_t out[DIGEST_SIZE];
	uint8_t text[SIGNATURE_BASE64 + 1];
	char head[160];
	int n = read_key(secret, key);
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
	bool ok;

	snprintf(head, sizeof(head), "%s.%" PRId64 ".", id, timestamp_s);
	ok = n >= 0 && ctx && digest(ctx, key, (size_t)n, head, body, size, out);
	OPENSSL_cleanse(key, sizeof(key));
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
	if (!ok)
		return failed(err);
	EVP_EncodeBlock(text, out, sizeof(out));
	snprintf(ret, WEBHOOK_SIGNATURE_SIZE, "v1,%s", (const char *)text);
	return 0;
}

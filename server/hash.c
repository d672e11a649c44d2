/* SHA-256 through libcrypto; see hash.h. The ledger's record ids depend on this never changing. */
#include "server/hash.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *to_text(const uint8_t *digest, char out[static HASH_SIZE])
{
	for (size_t i = 0; i < (HASH_SIZE - 1) / 2; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
	return out;
}

const char *hash_bytes(const void *data, size_t size, char out[static HASH_SIZE])
{
	uint8_t digest[EVP_MAX_MD_SIZE];

	/* Fails only when libcrypto has no SHA-256 at all, which no id can be made without. */
	if (!EVP_Digest(data, size, digest, NULL, EVP_sha256(), NULL))
		abort();
	return to_text(digest, out);
}

const char *hash_strings(const char *const *strings, size_t n, char out[static HASH_SIZE])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t digest[EVP_MAX_MD_SIZE];
	int ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);

	for (size_t i = 0; ok && i < n; i++)
		ok = EVP_DigestUpdate(ctx, strings[i], strlen(strings[i]) + 1);
	if (!ok || !EVP_DigestFinal_ex(ctx, digest, NULL))
		abort();
	EVP_MD_CTX_free(ctx);
	return to_text(digest, out);
}

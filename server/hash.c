/* SHA-256 through libcrypto; see hash.h. The ledger's record ids depend on this never changing. */
#include "server/hash.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

static int finish(int ok, const uint8_t *digest, char ret[static HASH_SIZE], struct err *err)
{
	if (!ok)
		return err_set(err, ERR_INTERNAL, "HASH_FAILED", "SHA-256 is not available");
	for (size_t i = 0; i < (HASH_SIZE - 1) / 2; i++)
		snprintf(ret + 2 * i, 3, "%02x", digest[i]);
	return 0;
}

int hash_bytes(const void *data, size_t size, char ret[static HASH_SIZE], struct err *err)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	int ok = EVP_Digest(data, size, digest, NULL, EVP_sha256(), NULL);

	return finish(ok, digest, ret, err);
}

int hash_strings(const char *const *strings, size_t n, char ret[static HASH_SIZE], struct err *err)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t digest[EVP_MAX_MD_SIZE];
	int ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);

	for (size_t i = 0; ok && i < n; i++)
		ok = EVP_DigestUpdate(ctx, strings[i], strlen(strings[i]) + 1);
	ok = ok && EVP_DigestFinal_ex(ctx, digest, NULL);
	EVP_MD_CTX_free(ctx);
	return finish(ok, digest, ret, err);
}

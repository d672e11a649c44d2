/* libnftables, and nothing else of the program; see apply.h. Must be given no text but text.c's. */
#include "sandbox/net/apply.h"

#include "base/cleanup.h"

#include <nftables/libnftables.h>
#include <string.h>

static void cleanup_context(struct nft_ctx **context)
{
	if (*context)
		nft_ctx_free(*context);
}

int apply_text(const char *text, struct err *err)
{
	_cleanup_(cleanup_context) struct nft_ctx *context = nft_ctx_new(NFT_CTX_DEFAULT);
	const char *said;

	if (!context)
		return err_oom(err);
	/* Nothing of ours is a name to be looked up. */
	nft_ctx_clear_include_paths(context);
	if (nft_ctx_buffer_error(context) != 0 || nft_ctx_buffer_output(context) != 0)
		return err_oom(err);
	if (nft_run_cmd_from_buffer(context, text) == 0)
		return 0;
	said = nft_ctx_get_error_buffer(context);
	return err_set(err, ERR_FAILED_PRECONDITION, "NET_RULES_REFUSED",
		"the kernel refused the rules for the network: %.*s",
		(int)strcspn(said ? said : "", "\n"), said ? said : "");
}

/* Where a webhook may lead. */
#pragma once

#include "base/err.h"

#include <stdbool.h>

#define WEBHOOK_URL_MAX 1024

/*
 * Checks a URL: https, or http where insecure_http or where the host is this one. Returns 0 with
 * whether it must lead to this host, or INVALID_ARGUMENT / URL_INVALID.
 */
int webhook_url_check(
	const char *url, bool insecure_http, bool *ret_loopback_only, struct err *err);

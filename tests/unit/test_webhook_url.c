/* server/webhook_url.h: where a webhook may lead, and what must lead to this host. */
#include "server/webhook_url.h"

#include "tests/unit/unit.h"

#include <string.h>

enum outcome { REFUSED, ANYWHERE, LOOPBACK };

static void table(void **state)
{
	static const struct {
		const char *url;
		bool insecure;
		enum outcome outcome;
	} rows[] = {
		{"https://example.com/hook", false, ANYWHERE},
		{"https://example.com:8443/hook?token=1", false, ANYWHERE},
		{"https://[2001:db8::1]/", false, ANYWHERE},
		{"http://127.0.0.1:8080/hook", false, LOOPBACK},
		{"http://127.1/", false, LOOPBACK}, /* libcurl reads it as 127.0.0.1 */
		{"http://[::1]:80/", false, LOOPBACK},
		{"http://localhost/", false, LOOPBACK},
		{"http://example.com/", false, REFUSED},
		{"http://example.com/", true, ANYWHERE},
		{"http://localhost.example.com/", false, REFUSED},
		{"http://127.0.0.1.example.com/", false, REFUSED},
		{"http://10.0.0.1/", false, REFUSED},
		{"http://0.0.0.0/", false, REFUSED},
		{"http://127.0.0.1@example.com/", false, REFUSED},
		{"https://user:secret@example.com/", false, REFUSED},
		{"https://user@example.com/", false, REFUSED},
		{"https://example.com/#part", false, REFUSED},
		{"https://example.com/a b", false, REFUSED},
		{"https://example.com/\r\nx: y", false, REFUSED},
		{"https://ex\xc3\xa4mple.com/", false, REFUSED},
		{"ftp://example.com/", true, REFUSED},
		{"file:///etc/passwd", true, REFUSED},
		{"gopher://example.com/", true, REFUSED},
		{"example.com/hook", false, REFUSED},
		{"https://", false, REFUSED},
		{"", false, REFUSED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool loopback = false;
		struct err err;
		int r = webhook_url_check(rows[i].url, rows[i].insecure, &loopback, &err);
		enum outcome got = r < 0 ? REFUSED : loopback ? LOOPBACK : ANYWHERE;

		if (got != rows[i].outcome)
			fail_msg("%s: %d, not %d", rows[i].url, (int)got, (int)rows[i].outcome);
		/* There may be a token in it. */
		if (r < 0 && strstr(rows[i].url, "secret"))
			assert_null(strstr(err.msg, "secret"));
	}
}

static void one_that_is_too_long(void **state)
{
	char url[WEBHOOK_URL_MAX + 64];
	bool loopback;
	struct err err;

	(void)state;
	memset(url, 'a', sizeof(url));
	memcpy(url, "https://x/", 10);
	url[WEBHOOK_URL_MAX] = '\0';
	assert_int_equal(webhook_url_check(url, false, &loopback, &err), 0);
	url[WEBHOOK_URL_MAX] = 'a';
	url[WEBHOOK_URL_MAX + 1] = '\0';
	assert_true(webhook_url_check(url, false, &loopback, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(one_that_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

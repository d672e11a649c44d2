/* Webhooks.TestWebhook: one message beside those that wait; see webhook_queue.h. */
#include "server/webhook_queue.h"

#include "base/cleanup.h"
#include "proto/cloud_event.h"
#include "server/http_post.h"
#include "server/mutation.h"

#include "croft/v1/webhooks.pb-c.h"

#include <stdio.h>
#include <string.h>

struct webhook_test {
	struct webhook *webhook;
	struct mutation *mutation;
	struct http_post *post;
	char id[48];
	char *body;
	size_t size;
};

static void test_free(struct webhook_test *test)
{
	test->webhook->test = NULL;
	free(test->body);
	free(test);
}

static void fail(struct webhook_test *test, const struct err *err)
{
	mutation_fail(test->mutation, err);
	test_free(test);
}

static void on_answer(void *arg, const struct http_post_result *result)
{
	struct webhook_test *test = arg;
	Croft__V1__TestWebhookResponse reply = CROFT__V1__TEST_WEBHOOK_RESPONSE__INIT;
	char verdict[WEBHOOK_ERROR_SIZE];

	reply.taken = webhook_is_taken(result);
	reply.status = (uint32_t)result->status;
	reply.error = (char *)webhook_verdict(result, verdict);
	reply.webhook_id = test->id;
	mutation_reply(test->mutation, &reply.base);
	test_free(test);
}

static int make_body(struct webhook_test *test, struct err *err)
{
	_cleanup_fclose_ FILE *out = open_memstream(&test->body, &test->size);
	char uid[UID_SIZE];

	if (!out)
		return err_oom(err);
	model_make_uid(uid);
	snprintf(test->id, sizeof(test->id), "msg_%s", uid);
	fputc('[', out);
	cloud_event_print_test(uid, webhook_host(test->webhook->server), out);
	fputs("]\n", out);
	return fflush(out) ? err_oom(err) : 0;
}

void webhook_test_start(struct webhook *w, struct mutation *m)
{
	struct webhook_test *test;
	struct err err;

	if (w->test) {
		err_set(&err, ERR_ABORTED, "WEBHOOK_BUSY",
			"a test of webhook %s is under way; wait for it", w->name);
		mutation_fail(m, &err);
		return;
	}
	test = calloc(1, sizeof(*test));
	if (!test) {
		err_oom(&err);
		mutation_fail(m, &err);
		return;
	}
	*test = (struct webhook_test){.webhook = w, .mutation = m};
	w->test = test;
	if (make_body(test, &err) < 0 || webhook_post(w, test->id, test->body, test->size,
						 on_answer, test, &test->post, &err) < 0)
		fail(test, &err);
}

void webhook_test_cancel(struct webhook *w)
{
	struct webhook_test *test = w->test;
	struct err err;

	if (!test)
		return;
	http_post_cancel(test->post);
	err_set(&err, ERR_ABORTED, "TEST_CANCELLED",
		"the test was given up: the webhook was deleted, or croftd ends");
	fail(test, &err);
}

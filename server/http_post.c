/*
 * libcurl on libevent; see http_post.h. Must never wait: libcurl looks names up in threads of its
 * own, and is told (CURLOPT_QUICK_EXIT) not to wait for one that is still at it when a transfer
 * ends. Nothing of the environment counts: no proxy, no file with passwords, no cookie.
 */
#include "server/http_post.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#define CONNECT_MAX_MS 10000L

struct http_post {
	LIST_ENTRY(http_post) entry;
	struct http_poster *poster;
	CURL *easy;
	struct curl_slist *headers;
	http_post_done_fn done;
	void *arg;
	bool loopback_only;
	bool answered;	/* the head of an answer has come whole */
	size_t dropped; /* bytes of its body */
	char error[CURL_ERROR_SIZE];
};

struct http_poster {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;
	LIST_HEAD(, http_post) posts;
};

/* --- the loop --- */

static void free_post(struct http_post *post)
{
	LIST_REMOVE(post, entry);
	curl_multi_remove_handle(post->poster->multi, post->easy);
	curl_easy_cleanup(post->easy);
	curl_slist_free_all(post->headers);
	free(post);
}

/* A status and its headers are an answer, whatever becomes of the rest of it. */
static void finish(struct http_post *post, CURLcode code)
{
	struct http_post_result result = {0};
	http_post_done_fn done = post->done;
	void *arg = post->arg;
	curl_off_t retry_after = 0;

	curl_easy_getinfo(post->easy, CURLINFO_RESPONSE_CODE, &result.status);
	if (result.status < 200 || !post->answered)
		result.status = 0;
	if (curl_easy_getinfo(post->easy, CURLINFO_RETRY_AFTER, &retry_after) == CURLE_OK)
		result.retry_after_s = retry_after;
	if (!result.status)
		snprintf(result.error, sizeof(result.error), "%s",
			*post->error ? post->error : curl_easy_strerror(code));
	free_post(post);
	done(arg, &result);
}

static void finish_all(struct http_poster *poster)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(poster->multi, &left))) {
		struct http_post *post = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&post);
		finish(post, msg->data.result);
	}
}

static void act(struct http_poster *poster, curl_socket_t fd, int what)
{
	int running;

	curl_multi_socket_action(poster->multi, fd, what, &running);
	finish_all(poster);
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	int bits = (what & EV_READ ? CURL_CSELECT_IN : 0) |
		   (what & EV_WRITE ? CURL_CSELECT_OUT : 0);

	act(arg, fd, bits);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

/* libcurl's: how long until it wants to be called. */
static int set_timer(CURLM *multi, long ms, void *arg)
{
	struct http_poster *poster = arg;
	struct timeval pause = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	(void)multi;
	if (ms < 0)
		evtimer_del(poster->timer);
	else
		evtimer_add(poster->timer, &pause);
	return 0;
}

/* libcurl's: what it waits for of a socket. */
static int set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *data)
{
	struct http_poster *poster = arg;
	struct event *event = data;
	short flags = EV_PERSIST;

	(void)easy;
	if (event)
		event_free(event);
	event = NULL;
	if (what != CURL_POLL_REMOVE) {
		flags = (short)(flags | (what & CURL_POLL_IN ? EV_READ : 0) |
				(what & CURL_POLL_OUT ? EV_WRITE : 0));
		event = event_new(poster->base, fd, flags, on_socket, poster);
		if (!event || event_add(event, NULL) < 0)
			log_error("no-memory for=webhooks"); /* its transfer times out */
	}
	curl_multi_assign(poster->multi, fd, event);
	return 0;
}

int http_poster_create(struct event_base *base, struct http_poster **ret, struct err *err)
{
	struct http_poster *poster = calloc(1, sizeof(*poster));

	if (!poster)
		return err_oom(err);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(poster);
		return err_set(err, ERR_INTERNAL, "CURL_FAILED", "libcurl does not start");
	}
	LIST_INIT(&poster->posts);
	poster->base = base;
	poster->timer = evtimer_new(base, on_timer, poster);
	poster->multi = curl_multi_init();
	if (!poster->timer || !poster->multi) {
		http_poster_destroy(poster);
		return err_oom(err);
	}
	curl_multi_setopt(poster->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
	curl_multi_setopt(poster->multi, CURLMOPT_SOCKETDATA, poster);
	curl_multi_setopt(poster->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(poster->multi, CURLMOPT_TIMERDATA, poster);
	curl_multi_setopt(poster->multi, CURLMOPT_MAXCONNECTS, (long)HTTP_POST_CONNECTIONS_MAX);
	*ret = poster;
	return 0;
}

void http_poster_destroy(struct http_poster *poster)
{
	struct http_post *post;

	if (!poster)
		return;
	while ((post = LIST_FIRST(&poster->posts)))
		free_post(post);
	if (poster->multi)
		curl_multi_cleanup(poster->multi);
	if (poster->timer)
		event_free(poster->timer);
	curl_global_cleanup();
	free(poster);
}

/* --- a transfer --- */

/* Of a body, nothing is wanted; of an endless one, not even the end. */
static size_t drop_answer(char *data, size_t size, size_t n, void *arg)
{
	struct http_post *post = arg;

	(void)data;
	post->dropped += size * n;
	return post->dropped > HTTP_POST_ANSWER_MAX ? 0 : size * n;
}

/* libcurl gives them line by line, the empty one too, of a 100 Continue as of what comes after. */
static size_t read_header(char *line, size_t size, size_t n, void *arg)
{
	struct http_post *post = arg;

	if (size * n > 5 && !memcmp(line, "HTTP/", 5))
		post->answered = false;
	else if (size * n <= 2)
		post->answered = true;
	return size * n;
}

static bool is_loopback(const struct curl_sockaddr *address)
{
	const struct sockaddr_in *v4 = (const void *)&address->addr;
	const struct sockaddr_in6 *v6 = (const void *)&address->addr;

	if (address->family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return address->family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	const struct http_post *post = arg;

	(void)purpose;
	if (post->loopback_only && !is_loopback(address))
		return CURL_SOCKET_BAD;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static int add_headers(struct http_post *post, const char *const *headers)
{
	/* An empty value takes libcurl's own out: nobody waits for a 100 Continue. */
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");

	post->headers = list;
	for (size_t i = 0; list && headers[i]; i++) {
		list = curl_slist_append(post->headers, headers[i]);
		if (list)
			post->headers = list;
	}
	return list ? 0 : -ENOMEM;
}

#define SET(option, value)                                                                         \
	do {                                                                                       \
		if (code == CURLE_OK)                                                              \
			code = curl_easy_setopt(easy, (option), (value));                          \
	} while (0)

static CURLcode set_request(
	CURL *easy, struct http_post *post, const struct http_post_request *request)
{
	struct curl_blob ca = {.data = (void *)request->ca_pem,
		.len = strlen(request->ca_pem),
		.flags = CURL_BLOB_COPY};
	CURLcode code = CURLE_OK;

	SET(CURLOPT_URL, request->url);
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_POSTFIELDS, request->body);
	SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->size);
	SET(CURLOPT_HTTPHEADER, post->headers);
	SET(CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
	SET(CURLOPT_PRIVATE, post);
	SET(CURLOPT_ERRORBUFFER, post->error);
	SET(CURLOPT_WRITEFUNCTION, drop_answer);
	SET(CURLOPT_WRITEDATA, post);
	SET(CURLOPT_HEADERFUNCTION, read_header);
	SET(CURLOPT_HEADERDATA, post);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_OPENSOCKETDATA, post);
	if (ca.len) {
		SET(CURLOPT_CAINFO_BLOB, &ca);
		SET(CURLOPT_CAPATH, NULL);
	}
	return code;
}

static CURLcode set_guards(CURL *easy)
{
	CURLcode code = CURLE_OK;

	SET(CURLOPT_PROTOCOLS_STR, "https,http");
	SET(CURLOPT_REDIR_PROTOCOLS_STR, "https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MAX_MS);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_USERAGENT, "croft/" CROFT_VERSION);
	return code;
}

static int begin(struct http_post *post, const struct http_post_request *request)
{
	if (!post->easy || add_headers(post, request->headers) < 0 ||
		set_request(post->easy, post, request) != CURLE_OK ||
		set_guards(post->easy) != CURLE_OK ||
		curl_multi_add_handle(post->poster->multi, post->easy) != CURLM_OK)
		return -ENOMEM;
	return 0;
}

int http_post_start(struct http_poster *poster, const struct http_post_request *request,
	http_post_done_fn done, void *arg, struct http_post **ret, struct err *err)
{
	struct http_post *post = calloc(1, sizeof(*post));

	if (!post)
		return err_oom(err);
	post->poster = poster;
	post->done = done;
	post->arg = arg;
	post->loopback_only = request->loopback_only;
	post->easy = curl_easy_init();
	LIST_INSERT_HEAD(&poster->posts, post, entry);
	if (begin(post, request) < 0) {
		free_post(post);
		return err_oom(err);
	}
	*ret = post;
	return 0;
}

void http_post_cancel(struct http_post *post)
{
	if (post)
		free_post(post);
}

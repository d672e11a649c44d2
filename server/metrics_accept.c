/* Reading Accept; see metrics_accept.h. A stranger's text: bounded by the header's length alone. */
#include "server/metrics_accept.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define OPENMETRICS "application/openmetrics-text"
#define SPACES	    " \t"
#define Q_WHOLE	    1000 /* thousandths: a weight has three digits */

/* A piece of the header, without the spaces around it. */
struct piece {
	const char *start;
	size_t len;
};

/* Takes what stands before `separator`, or the end. False when nothing is left. */
static bool next_piece(struct piece *rest, char separator, struct piece *ret)
{
	const char *end;

	if (!rest->start)
		return false;
	end = memchr(rest->start, separator, rest->len);
	ret->start = rest->start;
	ret->len = end ? (size_t)(end - rest->start) : rest->len;
	rest->len -= end ? ret->len + 1 : rest->len;
	rest->start = end ? end + 1 : NULL;
	while (ret->len && strchr(SPACES, ret->start[0])) {
		ret->start++;
		ret->len--;
	}
	while (ret->len && strchr(SPACES, ret->start[ret->len - 1]))
		ret->len--;
	return true;
}

static bool is(const struct piece *piece, const char *text)
{
	return piece->len == strlen(text) && !strncasecmp(piece->start, text, piece->len);
}

static bool begins(const struct piece *piece, const char *text, struct piece *ret_behind)
{
	size_t len = strlen(text);

	if (piece->len < len || strncasecmp(piece->start, text, len) != 0)
		return false;
	*ret_behind = (struct piece){piece->start + len, piece->len - len};
	return true;
}

/* "0.25" in thousandths; what is no weight is none. */
static int weight_of(const struct piece *text)
{
	int weight = 0;
	int digit = Q_WHOLE;

	for (size_t i = 0; i < text->len && digit; i++) {
		char c = text->start[i];

		if (i == 1 && c == '.')
			continue;
		if (c < '0' || c > '9')
			return 0;
		weight += (c - '0') * digit;
		digit /= 10;
	}
	return weight > Q_WHOLE ? Q_WHOLE : weight;
}

/* One of the list: adds what it says to both weights. */
static void take(struct piece range, int weights[static METRICS_FORMATS])
{
	struct piece type;
	struct piece param;
	struct piece value;
	bool version_fits = true;
	int weight = Q_WHOLE;
	enum metrics_format format;

	next_piece(&range, ';', &type);
	while (next_piece(&range, ';', &param)) {
		if (begins(&param, "q=", &value))
			weight = weight_of(&value);
		else if (begins(&param, "version=", &value))
			version_fits = is(&value, "1.0.0") || is(&value, "\"1.0.0\"");
	}
	if (is(&type, OPENMETRICS) && version_fits)
		format = METRICS_OPENMETRICS;
	else if (is(&type, "text/plain"))
		format = METRICS_PROMETHEUS;
	else
		return;
	if (weight > weights[format])
		weights[format] = weight;
}

enum metrics_format metrics_accept(const char *header)
{
	struct piece rest = {header, header ? strlen(header) : 0};
	int weights[METRICS_FORMATS] = {0};
	struct piece range;

	while (next_piece(&rest, ',', &range))
		take(range, weights);
	return weights[METRICS_OPENMETRICS] &&
			       weights[METRICS_OPENMETRICS] >= weights[METRICS_PROMETHEUS]
		       ? METRICS_OPENMETRICS
		       : METRICS_PROMETHEUS;
}

const char *metrics_content_type(enum metrics_format format)
{
	return format == METRICS_OPENMETRICS ? OPENMETRICS "; version=1.0.0; charset=utf-8"
					     : "text/plain; version=0.0.4; charset=utf-8";
}

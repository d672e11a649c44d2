/* Which of the two text formats a scraper wants, by its Accept header. Pure. */
#pragma once

enum metrics_format {
	METRICS_PROMETHEUS, /* text/plain; version=0.0.4 */
	METRICS_OPENMETRICS,
	METRICS_FORMATS,
};

/*
 * OpenMetrics 1.0 for who names it and does not like the other one better; NULL: there was no
 * header. What is no such list is read as far as it is one. Source: RFC 9110, 12.5.1; OpenMetrics,
 * "Protocol negotiation".
 */
enum metrics_format metrics_accept(const char *header);
/* The value of Content-Type. */
const char *metrics_content_type(enum metrics_format format);

/* Clocks and their text forms; see clock.h. UTC only, no locale, no time-zone database. */
#include "base/clock.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define USEC_PER_SEC INT64_C(1000000)
#define UNEVEN_USEC  (60 * USEC_PER_SEC) /* more than a clock is slewed by between two looks */

static int64_t now_usec(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * USEC_PER_SEC + ts.tv_nsec / 1000;
}

uint64_t clock_boot_usec(void)
{
	return (uint64_t)now_usec(CLOCK_BOOTTIME);
}

int64_t clock_wall_usec(void)
{
	return now_usec(CLOCK_REALTIME);
}

bool clock_is_even(struct clock_looks *looks, uint64_t boot_usec, int64_t wall_usec)
{
	int64_t offset = wall_usec - (int64_t)boot_usec;
	int64_t step = offset - looks->offset_usec;

	looks->offset_usec = offset;
	if (step > UNEVEN_USEC || step < -UNEVEN_USEC)
		looks->even = 0;
	else if (looks->even < CLOCK_EVEN_LOOKS)
		looks->even++;
	return looks->even == CLOCK_EVEN_LOOKS;
}

int clock_boot_id(char ret_id[static BOOT_ID_LEN])
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char buf[BOOT_ID_LEN];
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, sizeof(buf));
	if (n < 0)
		return -errno;
	if (n < BOOT_ID_LEN - 1)
		return -EIO;
	memcpy(ret_id, buf, BOOT_ID_LEN - 1);
	ret_id[BOOT_ID_LEN - 1] = '\0';
	return 0;
}

const char *clock_format(int64_t wall_usec, char out[static CLOCK_TEXT_MAX])
{
	int64_t usec = wall_usec % USEC_PER_SEC;
	time_t sec = (time_t)(wall_usec / USEC_PER_SEC);
	struct tm tm;
	size_t n;

	if (usec < 0) {
		usec += USEC_PER_SEC;
		sec--;
	}
	gmtime_r(&sec, &tm);
	n = strftime(out, CLOCK_TEXT_MAX, "%04Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, CLOCK_TEXT_MAX - n, ".%06dZ", (int)usec);
	return out;
}

/* Reads exactly `width` digits and, unless it is '\0', the character `after` behind them. */
static const char *parse_field(const char *p, int width, char after, int max, int *ret)
{
	int value = 0;

	for (int i = 0; p && i < width; i++, p++) {
		if (*p < '0' || *p > '9')
			return NULL;
		value = value * 10 + (*p - '0');
	}
	if (!p || value > max || (after && *p != after))
		return NULL;
	*ret = value;
	return after ? p + 1 : p;
}

/* Reads ".ffffff" of any length; digits past the sixth are dropped. */
static const char *parse_fraction(const char *p, int64_t *ret_usec)
{
	int64_t unit = USEC_PER_SEC / 10;
	int64_t usec = 0;

	if (p && *p == '.') {
		if (*++p < '0' || *p > '9')
			return NULL;
		for (; *p >= '0' && *p <= '9'; p++, unit /= 10)
			usec += (*p - '0') * unit;
	}
	*ret_usec = usec;
	return p;
}

static int parse_offset(const char *p, int64_t *ret_seconds)
{
	int hours;
	int minutes;
	int sign;

	if (!strcmp(p, "Z") || !strcmp(p, "z")) {
		*ret_seconds = 0;
		return 0;
	}
	if (*p != '+' && *p != '-')
		return -EINVAL;
	sign = *p == '-' ? -1 : 1;
	p = parse_field(p + 1, 2, ':', 23, &hours);
	p = parse_field(p, 2, '\0', 59, &minutes);
	if (!p || *p)
		return -EINVAL;
	*ret_seconds = (hours * 60 + minutes) * 60 * sign;
	return 0;
}

int clock_parse(const char *text, int64_t *ret_wall_usec)
{
	struct tm tm = {0};
	struct tm check;
	int64_t offset;
	int64_t usec;
	time_t sec;
	int year;
	int month;
	const char *p = parse_field(text, 4, '-', 9999, &year);

	p = parse_field(p, 2, '-', 12, &month);
	p = parse_field(p, 2, '\0', 31, &tm.tm_mday);
	if (!p || (*p != 'T' && *p != 't' && *p != ' '))
		return -EINVAL;
	p = parse_field(p + 1, 2, ':', 23, &tm.tm_hour);
	p = parse_field(p, 2, ':', 59, &tm.tm_min);
	p = parse_field(p, 2, '\0', 60, &tm.tm_sec); /* 60: a leap second */
	p = parse_fraction(p, &usec);
	if (!p || parse_offset(p, &offset) < 0)
		return -EINVAL;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	check = tm;
	check.tm_sec = 0;
	sec = timegm(&check) + tm.tm_sec;
	/* timegm() folds the 31st of February into March; RFC 3339 has no such day. */
	if (tm.tm_mday != check.tm_mday || tm.tm_mon != check.tm_mon)
		return -EINVAL;
	*ret_wall_usec = ((int64_t)sec - offset) * USEC_PER_SEC + usec;
	return 0;
}

/* The table of tell-tale calls; see telltale.h. */
#include "base/telltale.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

/*
 * Not here, though refused: bpf, keyctl, quotactl, swapon, syslog and the clocks, which systemd or
 * OpenRC try when they start; modify_ldt (Wine), memfd_secret, ioperm (hwclock). What they would
 * tell is that somebody runs a distribution.
 */
static const struct telltale_row rows[TELLTALE_N] = {
	[TELLTALE_INIT_MODULE] = {"init_module", SYS_init_module},
	[TELLTALE_FINIT_MODULE] = {"finit_module", SYS_finit_module},
	[TELLTALE_DELETE_MODULE] = {"delete_module", SYS_delete_module},
	[TELLTALE_KEXEC_LOAD] = {"kexec_load", SYS_kexec_load},
	[TELLTALE_KEXEC_FILE_LOAD] = {"kexec_file_load", SYS_kexec_file_load},
	[TELLTALE_OPEN_BY_HANDLE_AT] = {"open_by_handle_at", SYS_open_by_handle_at},
	[TELLTALE_PERF_EVENT_OPEN] = {"perf_event_open", SYS_perf_event_open},
	[TELLTALE_USERFAULTFD] = {"userfaultfd", SYS_userfaultfd},
};

const struct telltale_row *telltale_row(enum telltale call)
{
	return &rows[call];
}

int telltale_find(int number, enum telltale *ret)
{
	for (size_t i = 0; i < TELLTALE_N; i++)
		if (rows[i].number == number) {
			*ret = (enum telltale)i;
			return 0;
		}
	return -ENOENT;
}

const char *telltale_format(uint64_t set, char out[static TELLTALE_TEXT_MAX])
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < TELLTALE_N; i++)
		if (set >> i & 1)
			len += (size_t)snprintf(out + len, TELLTALE_TEXT_MAX - len, "%s%s",
				len ? ", " : "", rows[i].name);
	return out;
}

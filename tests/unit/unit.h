/* What every unit test includes: cmocka with the headers that it needs before it, and base's. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above first. */
#include <cmocka.h>

#include "base/cleanup.h"

/* Leaves the test as skipped; the reason is shown and counted (tap.c). */
#define skip_because(reason)                                                                       \
	do {                                                                                       \
		print_message("# skip: %s\n", reason);                                             \
		skip();                                                                            \
	} while (0)

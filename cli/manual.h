/* croft(1), as far as it follows from the tables of commands and options. */
#pragma once

#include <stdio.h>

/* The sections GLOBAL OPTIONS and COMMANDS, in mdoc(7). */
void manual_print(FILE *out);

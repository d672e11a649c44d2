/* Shell completion, generated from the table of commands, so that it can never miss one. */
#pragma once

#include "base/err.h"

#include <stdio.h>

/* Writes the script for "bash", "zsh" or "fish". Returns 0, or a usage error for another shell. */
int completion_print(const char *shell, FILE *out, struct err *err);

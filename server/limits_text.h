/* Limits as a line of text for the database: "cpu=500 memory=67108864 core-list=0,2-3". */
#pragma once

#include "base/limits.h"

#define LIMITS_TEXT_SIZE 2048

/* Writes what is set. Returns out. */
const char *limits_text_write(const struct limits *limits, char out[static LIMITS_TEXT_SIZE]);

/* Reads such a line. DATA_LOSS for a word that this program does not know. */
int limits_text_read(const char *text, struct limits *ret, struct err *err);

/* The names of a set of limits (1 << limit_id each): "cpu memory". Returns out. */
const char *limits_text_write_names(uint32_t set, char out[static LIMITS_TEXT_SIZE]);
/* The same back. DATA_LOSS for a name that this program does not know. */
int limits_text_read_names(const char *text, uint32_t *ret, struct err *err);

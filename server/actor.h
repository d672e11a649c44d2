/* Who asked for something, as records name it. All zero: nobody did. */
#pragma once

#include <stdbool.h>

#define ACTOR_SIZE 32

struct actor {
	char name[ACTOR_SIZE]; /* "uid:1000" */
	bool is_operator;
};

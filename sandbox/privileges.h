/* The few capabilities the supervisor keeps. */
#pragma once

#include "base/err.h"

/*
 * Drops every capability that building containers does not need, from the bounding set and the
 * process. (The capabilities inside a container's namespaces are new ones, see confine.h.)
 */
int privileges_cut(struct err *err);

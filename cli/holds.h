/* A tenant's holds in words. */
#pragma once

#include "cli/columns.h"
#include "croft/v1/tenants.pb-c.h"

/* "billing abuse"; "" when there is none. */
const char *holds_text(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);

/* The hold of one type: "since ... by uid:0, stops ...: why"; "" when there is none. */
const char *holds_billing(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);
const char *holds_abuse(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);
const char *holds_operator(const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX]);

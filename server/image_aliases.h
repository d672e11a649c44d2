/* Aliases of images: the handlers, and what others have to know about them. */
#pragma once

#include "server/grpc.h"
#include "server/model.h"

void image_alias_set(struct grpc_call *call, const ProtobufCMessage *message);
void image_alias_remove(struct grpc_call *call, const ProtobufCMessage *message);

/* ALREADY_EXISTS (IMAGE_EXISTS) for a name that is an alias, or about to be one. */
int image_alias_check_free(const struct model *model, const char *name, struct err *err);

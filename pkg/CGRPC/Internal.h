// Shared by the shim's sources.
#ifndef CGRPC_INTERNAL_H
#define CGRPC_INTERNAL_H

#include "CGRPC.h"

#include <grpc/grpc.h>

/// What the queue hands back: a function and what it works on.
typedef struct {
    void (*complete)(void *owner, bool ok);
    void *owner;
} cgrpc_tag;

/// Metadata as gRPC delivers it.
struct cgrpc_metadata {
    grpc_metadata_array array;
};

/// Metadata on its way out: lives until its batch has completed.
typedef struct {
    grpc_metadata *entries;
    size_t count;
} cgrpc_outgoing;

void cgrpc_initialize(void);
void *cgrpc_allocate(size_t size);
/// Runs each completed tag until the queue has been shut down and is empty; then destroys it.
void cgrpc_drain(grpc_completion_queue *queue);
grpc_slice cgrpc_slice(cgrpc_bytes bytes);
cgrpc_bytes cgrpc_slice_bytes(const grpc_slice *slice);
cgrpc_outgoing cgrpc_outgoing_create(const cgrpc_metadatum *metadata, size_t count);
void cgrpc_outgoing_destroy(cgrpc_outgoing *outgoing);
grpc_byte_buffer *cgrpc_buffer(cgrpc_bytes bytes);
/// Frees with `cgrpc_arguments_destroy`. `authority` may be NULL.
grpc_channel_args cgrpc_arguments_create(const cgrpc_argument *arguments, size_t count, const char *authority);
void cgrpc_arguments_destroy(grpc_channel_args *arguments);

#endif

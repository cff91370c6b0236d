#include "Internal.h"

#include <grpc/byte_buffer_reader.h>
#include <grpc/support/log.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t initialized = PTHREAD_ONCE_INIT;
static void (*_Atomic log_receiver)(const char *message);

static void forward_log(gpr_log_func_args *arguments) {
    void (*receiver)(const char *) = atomic_load(&log_receiver);
    if (receiver) receiver(arguments->message);
}

static void initialize(void) {
    gpr_set_log_function(forward_log);
    gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
    // Never undone: shutting the library down and up again races with threads of its own that still end.
    grpc_init();
}

void cgrpc_initialize(void) { pthread_once(&initialized, initialize); }

void cgrpc_set_log(void (*log)(const char *message)) {
    cgrpc_initialize();
    atomic_store(&log_receiver, log);
}

void *cgrpc_allocate(size_t size) {
    void *memory = calloc(1, size ? size : 1);
    if (!memory) abort();
    return memory;
}

void cgrpc_drain(grpc_completion_queue *queue) {
    for (;;) {
        grpc_event event = grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN) break;
        if (event.type != GRPC_OP_COMPLETE) continue;
        cgrpc_tag *tag = event.tag;
        tag->complete(tag->owner, event.success != 0);
    }
    grpc_completion_queue_destroy(queue);
}

// MARK: Slices, buffers, metadata

grpc_slice cgrpc_slice(cgrpc_bytes bytes) {
    return bytes.count ? grpc_slice_from_copied_buffer(bytes.start, bytes.count) : grpc_empty_slice();
}

cgrpc_bytes cgrpc_slice_bytes(const grpc_slice *slice) {
    // A small slice holds its bytes itself: the pointer is good for as long as the caller's slice stays where it is.
    return (cgrpc_bytes){GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice)};
}

grpc_byte_buffer *cgrpc_buffer(cgrpc_bytes bytes) {
    grpc_slice slice = cgrpc_slice(bytes);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

cgrpc_outgoing cgrpc_outgoing_create(const cgrpc_metadatum *metadata, size_t count) {
    cgrpc_outgoing outgoing = {cgrpc_allocate(count * sizeof(grpc_metadata)), count};
    for (size_t index = 0; index < count; index++) {
        outgoing.entries[index].key = cgrpc_slice(metadata[index].key);
        outgoing.entries[index].value = cgrpc_slice(metadata[index].value);
    }
    return outgoing;
}

void cgrpc_outgoing_destroy(cgrpc_outgoing *outgoing) {
    for (size_t index = 0; index < outgoing->count; index++) {
        grpc_slice_unref(outgoing->entries[index].key);
        grpc_slice_unref(outgoing->entries[index].value);
    }
    free(outgoing->entries);
    *outgoing = (cgrpc_outgoing){NULL, 0};
}

size_t cgrpc_metadata_count(const cgrpc_metadata *metadata) { return metadata->array.count; }

cgrpc_metadatum cgrpc_metadata_at(const cgrpc_metadata *metadata, size_t index) {
    const grpc_metadata *entry = &metadata->array.metadata[index];
    return (cgrpc_metadatum){cgrpc_slice_bytes(&entry->key), cgrpc_slice_bytes(&entry->value)};
}

size_t cgrpc_message_size(const cgrpc_message *message) {
    return message ? grpc_byte_buffer_length((grpc_byte_buffer *)message) : 0;
}

bool cgrpc_message_copy(const cgrpc_message *message, void *destination) {
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, (grpc_byte_buffer *)message)) return false;
    char *next = destination;
    grpc_slice *slice;
    while (grpc_byte_buffer_reader_peek(&reader, &slice)) {
        memcpy(next, GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice));
        next += GRPC_SLICE_LENGTH(*slice);
    }
    grpc_byte_buffer_reader_destroy(&reader);
    return true;
}

// MARK: Channel arguments

grpc_channel_args cgrpc_arguments_create(const cgrpc_argument *arguments, size_t count, const char *authority) {
    grpc_arg *list = cgrpc_allocate((count + 1) * sizeof(grpc_arg));
    for (size_t index = 0; index < count; index++) {
        list[index].type = GRPC_ARG_INTEGER;
        list[index].key = (char *)arguments[index].key;
        list[index].value.integer = arguments[index].value;
    }
    if (authority) {
        list[count].type = GRPC_ARG_STRING;
        list[count].key = GRPC_ARG_DEFAULT_AUTHORITY;
        list[count].value.string = (char *)authority;
        count++;
    }
    return (grpc_channel_args){count, list};
}

void cgrpc_arguments_destroy(grpc_channel_args *arguments) { free(arguments->args); }

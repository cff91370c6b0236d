#include "Internal.h"

#include <grpc/grpc_security.h>
#include <stdlib.h>

struct cgrpc_channel {
    grpc_channel *channel;
    grpc_completion_queue *queue;
};

struct cgrpc_client_call {
    grpc_call *call;
    cgrpc_tag tag;
    void *context;
    void (*done)(void *context, const cgrpc_result *result);
    cgrpc_outgoing metadata;
    grpc_byte_buffer *request;
    grpc_byte_buffer *reply;
    grpc_metadata_array initial;
    cgrpc_metadata trailing;
    grpc_status_code status;
    grpc_slice details;
};

static grpc_channel_credentials *credentials(bool secure, const cgrpc_identity *identity) {
    if (!secure) return grpc_insecure_credentials_create();
    grpc_ssl_pem_key_cert_pair pair = {identity->private_key, identity->certificate};
    bool known = identity->certificate && identity->private_key;
    return grpc_ssl_credentials_create(identity->roots, known ? &pair : NULL, NULL, NULL);
}

cgrpc_channel *cgrpc_channel_create(
    const char *target, bool secure, const cgrpc_identity *identity, const char *authority,
    const cgrpc_argument *arguments, size_t count) {
    cgrpc_initialize();
    grpc_channel_credentials *chosen = credentials(secure, identity);
    if (!chosen) return NULL;
    cgrpc_channel *channel = cgrpc_allocate(sizeof *channel);
    grpc_channel_args list = cgrpc_arguments_create(arguments, count, authority);
    channel->queue = grpc_completion_queue_create_for_next(NULL);
    channel->channel = grpc_channel_create(target, chosen, &list);
    cgrpc_arguments_destroy(&list);
    grpc_channel_credentials_release(chosen);
    return channel;
}

void cgrpc_channel_run(cgrpc_channel *channel) {
    cgrpc_drain(channel->queue);
    free(channel);
}

void cgrpc_channel_close(cgrpc_channel *channel) {
    // The queue's end frees `channel` on its own thread: it is not touched after that call.
    grpc_channel_destroy(channel->channel);
    grpc_completion_queue_shutdown(channel->queue);
}

int cgrpc_channel_state(cgrpc_channel *channel, bool connect) {
    return (int)grpc_channel_check_connectivity_state(channel->channel, connect);
}

// MARK: A call

static void free_call(cgrpc_client_call *call) {
    cgrpc_outgoing_destroy(&call->metadata);
    if (call->request) grpc_byte_buffer_destroy(call->request);
    if (call->reply) grpc_byte_buffer_destroy(call->reply);
    grpc_metadata_array_destroy(&call->initial);
    grpc_metadata_array_destroy(&call->trailing.array);
    grpc_slice_unref(call->details);
    grpc_call_unref(call->call);
    free(call);
}

static void completed(void *owner, bool ok) {
    (void)ok; // A batch that receives the status always succeeds.
    cgrpc_client_call *call = owner;
    cgrpc_result result = {
        (int)call->status, cgrpc_slice_bytes(&call->details), (const cgrpc_message *)call->reply, &call->trailing};
    call->done(call->context, &result);
    free_call(call);
}

static grpc_call_error start_batch(cgrpc_client_call *call) {
    grpc_op ops[6] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA}, {.op = GRPC_OP_SEND_MESSAGE},          {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA}, {.op = GRPC_OP_RECV_STATUS_ON_CLIENT}, {.op = GRPC_OP_RECV_MESSAGE}};
    ops[0].data.send_initial_metadata.metadata = call->metadata.entries;
    ops[0].data.send_initial_metadata.count = call->metadata.count;
    ops[1].data.send_message.send_message = call->request;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &call->initial;
    ops[4].data.recv_status_on_client.trailing_metadata = &call->trailing.array;
    ops[4].data.recv_status_on_client.status = &call->status;
    ops[4].data.recv_status_on_client.status_details = &call->details;
    ops[5].data.recv_message.recv_message = &call->reply;
    return grpc_call_start_batch(call->call, ops, 6, &call->tag, NULL);
}

cgrpc_client_call *cgrpc_call_start(
    cgrpc_channel *channel, cgrpc_bytes method, int64_t timeout_ms, cgrpc_bytes body, const cgrpc_metadatum *metadata,
    size_t metadata_count, void *context, void (*done)(void *context, const cgrpc_result *result)) {
    cgrpc_client_call *call = cgrpc_allocate(sizeof *call);
    call->tag = (cgrpc_tag){completed, call};
    call->context = context;
    call->done = done;
    call->metadata = cgrpc_outgoing_create(metadata, metadata_count);
    call->request = cgrpc_buffer(body);
    call->details = grpc_empty_slice();
    grpc_metadata_array_init(&call->initial);
    grpc_metadata_array_init(&call->trailing.array);
    grpc_slice path = cgrpc_slice(method);
    gpr_timespec deadline =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
    call->call = grpc_channel_create_call(
        channel->channel, NULL, GRPC_PROPAGATE_DEFAULTS, channel->queue, path, NULL, deadline, NULL);
    grpc_slice_unref(path);
    if (start_batch(call) == GRPC_CALL_OK) return call;
    free_call(call);
    return NULL;
}

void cgrpc_call_cancel(cgrpc_client_call *call) { grpc_call_cancel(call->call, NULL); }

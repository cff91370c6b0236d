#include "Internal.h"

#include <grpc/grpc_security.h>
#include <stdlib.h>

// One call is asked for at a time; the next as soon as it has come. A call's life:
//
//   requested ─► receiving ─┬─ message ──► arrived … reply ─► replied ─┐
//                           └─ none ─────► refused ─────────► replied ─┴─► freed, once `closed` has come too
//
// Every transition but the start of a reply happens on the queue thread, so the counts below need no lock.
struct cgrpc_server {
    grpc_server *server;
    grpc_completion_queue *queue;
    cgrpc_server_events events;
    grpc_call *next_call;
    grpc_call_details details;
    grpc_metadata_array metadata;
    cgrpc_tag request_tag;
    cgrpc_tag shutdown_tag;
    size_t open_calls;
    bool requesting;
    bool drained;
};

struct cgrpc_server_call {
    cgrpc_server *server;
    grpc_call *call;
    grpc_call_details details;
    cgrpc_metadata metadata;
    grpc_byte_buffer *message;
    void *context;
    cgrpc_tag message_tag;
    cgrpc_tag close_tag;
    cgrpc_tag reply_tag;
    grpc_byte_buffer *reply;
    cgrpc_outgoing trailing;
    int cancelled;
    bool closed;
    bool replied;
};

static void request_call(cgrpc_server *server);

// MARK: The server

static void stop_when_drained(cgrpc_server *server) {
    if (!server->drained || server->requesting || server->open_calls) return;
    server->events.stopped(server->events.context);
    grpc_server_destroy(server->server);
    grpc_completion_queue_shutdown(server->queue);
}

static void shutdown_completed(void *owner, bool ok) {
    (void)ok;
    cgrpc_server *server = owner;
    server->drained = true;
    stop_when_drained(server);
}

cgrpc_server *cgrpc_server_create(const cgrpc_argument *arguments, size_t count, cgrpc_server_events events) {
    cgrpc_initialize();
    cgrpc_server *server = cgrpc_allocate(sizeof *server);
    server->events = events;
    server->shutdown_tag = (cgrpc_tag){shutdown_completed, server};
    server->queue = grpc_completion_queue_create_for_next(NULL);
    grpc_channel_args list = cgrpc_arguments_create(arguments, count, NULL);
    server->server = grpc_server_create(&list, NULL);
    cgrpc_arguments_destroy(&list);
    grpc_server_register_completion_queue(server->server, server->queue, NULL);
    return server;
}

static grpc_server_credentials *credentials(const cgrpc_identity *identity) {
    if (!identity->certificate || !identity->private_key) return grpc_insecure_server_credentials_create();
    grpc_ssl_pem_key_cert_pair pair = {identity->private_key, identity->certificate};
    return grpc_ssl_server_credentials_create_ex(
        identity->roots, &pair, 1,
        identity->roots ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                        : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
        NULL);
}

int cgrpc_server_bind(cgrpc_server *server, const char *address, const cgrpc_identity *identity) {
    grpc_server_credentials *chosen = credentials(identity);
    if (!chosen) return 0;
    int port = grpc_server_add_http2_port(server->server, address, chosen);
    grpc_server_credentials_release(chosen);
    return port;
}

void cgrpc_server_discard(cgrpc_server *server) {
    grpc_server_shutdown_and_notify(server->server, server->queue, &server->shutdown_tag);
    grpc_completion_queue_next(server->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    grpc_server_destroy(server->server);
    grpc_completion_queue_shutdown(server->queue);
    cgrpc_drain(server->queue);
    free(server);
}

void cgrpc_server_start(cgrpc_server *server) {
    grpc_server_start(server->server);
    request_call(server);
}

void cgrpc_server_run(cgrpc_server *server) {
    cgrpc_drain(server->queue);
    free(server);
}

void cgrpc_server_shutdown(cgrpc_server *server) {
    grpc_server_shutdown_and_notify(server->server, server->queue, &server->shutdown_tag);
}

void cgrpc_server_cancel_calls(cgrpc_server *server) { grpc_server_cancel_all_calls(server->server); }

// MARK: A call

static void free_when_done(cgrpc_server_call *call) {
    if (!call->closed || !call->replied) return;
    cgrpc_server *server = call->server;
    if (call->context) server->events.finished(call->context);
    if (call->message) grpc_byte_buffer_destroy(call->message);
    if (call->reply) grpc_byte_buffer_destroy(call->reply);
    cgrpc_outgoing_destroy(&call->trailing);
    grpc_metadata_array_destroy(&call->metadata.array);
    grpc_call_details_destroy(&call->details);
    grpc_call_unref(call->call);
    free(call);
    server->open_calls--;
    stop_when_drained(server);
}

static void replied(void *owner, bool ok) {
    (void)ok;
    cgrpc_server_call *call = owner;
    call->replied = true;
    free_when_done(call);
}

static void closed(void *owner, bool ok) {
    cgrpc_server_call *call = owner;
    call->closed = true;
    if (!ok) call->cancelled = 1;
    if (call->cancelled && call->context) call->server->events.cancelled(call->context);
    free_when_done(call);
}

static void message_received(void *owner, bool ok) {
    cgrpc_server_call *call = owner;
    if (!ok || !call->message) {
        static const char text[] = "a unary call carries exactly one message";
        cgrpc_bytes details = {text, sizeof text - 1};
        cgrpc_server_call_reply(call, GRPC_STATUS_INVALID_ARGUMENT, details, (cgrpc_bytes){NULL, 0}, NULL, 0);
        return;
    }
    call->context = call->server->events.arrived(call->server->events.context, call);
    if (call->closed && call->cancelled) call->server->events.cancelled(call->context);
}

static void start_receiving(cgrpc_server_call *call) {
    call->message_tag = (cgrpc_tag){message_received, call};
    call->close_tag = (cgrpc_tag){closed, call};
    call->reply_tag = (cgrpc_tag){replied, call};
    grpc_op message = {.op = GRPC_OP_RECV_MESSAGE};
    message.data.recv_message.recv_message = &call->message;
    grpc_op close = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    close.data.recv_close_on_server.cancelled = &call->cancelled;
    // Neither can fail: each is the call's first of its kind.
    grpc_call_start_batch(call->call, &close, 1, &call->close_tag, NULL);
    grpc_call_start_batch(call->call, &message, 1, &call->message_tag, NULL);
}

static void call_requested(void *owner, bool ok) {
    cgrpc_server *server = owner;
    server->requesting = false;
    if (!ok) {
        grpc_metadata_array_destroy(&server->metadata);
        grpc_call_details_destroy(&server->details);
        stop_when_drained(server);
        return;
    }
    cgrpc_server_call *call = cgrpc_allocate(sizeof *call);
    call->server = server;
    call->call = server->next_call;
    call->details = server->details;
    call->metadata.array = server->metadata;
    server->open_calls++;
    request_call(server);
    start_receiving(call);
}

static void request_call(cgrpc_server *server) {
    server->request_tag = (cgrpc_tag){call_requested, server};
    server->next_call = NULL;
    grpc_call_details_init(&server->details);
    grpc_metadata_array_init(&server->metadata);
    server->requesting = true;
    grpc_call_error error = grpc_server_request_call(
        server->server, &server->next_call, &server->details, &server->metadata, server->queue, server->queue,
        &server->request_tag);
    if (error != GRPC_CALL_OK) call_requested(server, false);
}

cgrpc_bytes cgrpc_server_call_method(const cgrpc_server_call *call) { return cgrpc_slice_bytes(&call->details.method); }

const cgrpc_metadata *cgrpc_server_call_metadata(const cgrpc_server_call *call) { return &call->metadata; }

const cgrpc_message *cgrpc_server_call_message(const cgrpc_server_call *call) {
    return (const cgrpc_message *)call->message;
}

int64_t cgrpc_server_call_remaining_ms(const cgrpc_server_call *call) {
    gpr_timespec deadline = gpr_convert_clock_type(call->details.deadline, GPR_CLOCK_MONOTONIC);
    if (gpr_time_cmp(deadline, gpr_inf_future(GPR_CLOCK_MONOTONIC)) == 0) return INT64_MAX;
    gpr_timespec rest = gpr_time_sub(deadline, gpr_now(GPR_CLOCK_MONOTONIC));
    return rest.tv_sec * 1000 + rest.tv_nsec / 1000000;
}

// MARK: The answer

static grpc_call_error start_reply(cgrpc_server_call *call, int status, grpc_slice *details) {
    grpc_op ops[3] = {{.op = GRPC_OP_SEND_INITIAL_METADATA}, {.op = GRPC_OP_SEND_STATUS_FROM_SERVER}, {.op = GRPC_OP_SEND_MESSAGE}};
    ops[1].data.send_status_from_server.status = status;
    ops[1].data.send_status_from_server.status_details = details;
    ops[1].data.send_status_from_server.trailing_metadata = call->trailing.entries;
    ops[1].data.send_status_from_server.trailing_metadata_count = call->trailing.count;
    ops[2].data.send_message.send_message = call->reply;
    return grpc_call_start_batch(call->call, ops, call->reply ? 3 : 2, &call->reply_tag, NULL);
}

void cgrpc_server_call_reply(
    cgrpc_server_call *call, int status, cgrpc_bytes details, cgrpc_bytes body, const cgrpc_metadatum *trailing,
    size_t trailing_count) {
    grpc_slice text = cgrpc_slice(details);
    call->trailing = cgrpc_outgoing_create(trailing, trailing_count);
    if (status == GRPC_STATUS_OK) call->reply = cgrpc_buffer(body);
    grpc_call_error error = start_reply(call, status, &text);
    grpc_slice_unref(text);
    if (error == GRPC_CALL_OK) return;
    // Refused whole, nothing has been started: the metadata is the only part of it that can be at fault.
    cgrpc_outgoing_destroy(&call->trailing);
    if (call->reply) grpc_byte_buffer_destroy(call->reply);
    call->reply = NULL;
    grpc_slice fault = grpc_slice_from_static_string("the reply's metadata is invalid");
    if (start_reply(call, GRPC_STATUS_INTERNAL, &fault) != GRPC_CALL_OK) abort();
}

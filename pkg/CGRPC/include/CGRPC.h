// gRPC's C core for unary calls, behind a surface that Swift can import: no macros, no unions, no slices.
//
// A server and a channel each own one completion queue and one thread, which their `run` function takes over until they have
// been closed and everything has been drained. "Queue thread" below is that thread; all callbacks come on it.
#ifndef CGRPC_H
#define CGRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cgrpc_server cgrpc_server;
typedef struct cgrpc_server_call cgrpc_server_call;
typedef struct cgrpc_channel cgrpc_channel;
typedef struct cgrpc_client_call cgrpc_client_call;
typedef struct cgrpc_message cgrpc_message;
typedef struct cgrpc_metadata cgrpc_metadata;

/// Borrowed bytes, not terminated.
typedef struct {
    const void *_Nullable start;
    size_t count;
} cgrpc_bytes;

typedef struct {
    cgrpc_bytes key;
    cgrpc_bytes value;
} cgrpc_metadatum;

/// A channel argument (grpc_types.h, GRPC_ARG_…).
typedef struct {
    const char *_Nonnull key;
    int value;
} cgrpc_argument;

/// PEM texts. No `roots` and no `certificate`: plain text.
typedef struct {
    const char *_Nullable roots;
    const char *_Nullable certificate;
    const char *_Nullable private_key;
} cgrpc_identity;

/// Sends gRPC's own messages of severity "error" to `log`, from any thread, instead of standard error.
void cgrpc_set_log(void (*_Nonnull log)(const char *_Nonnull message));

// MARK: What a call carries

/// Bytes of a message; 0 for NULL.
size_t cgrpc_message_size(const cgrpc_message *_Nullable message);

/// Writes `cgrpc_message_size` bytes to `destination`. Returns false where the message cannot be decompressed.
bool cgrpc_message_copy(const cgrpc_message *_Nonnull message, void *_Nonnull destination);

size_t cgrpc_metadata_count(const cgrpc_metadata *_Nonnull metadata);

/// Valid as long as its call is.
cgrpc_metadatum cgrpc_metadata_at(const cgrpc_metadata *_Nonnull metadata, size_t index);

// MARK: Serving

typedef struct {
    void *_Nonnull context;
    /// A call has come, with its message. Must lead to exactly one `cgrpc_server_call_reply`. What it returns names the call
    /// in the callbacks below.
    void *_Nonnull (*_Nonnull arrived)(void *_Nonnull context, cgrpc_server_call *_Nonnull call);
    /// Nobody waits for the answer any more: deadline, cancellation, lost connection. At most once, before `finished`.
    void (*_Nonnull cancelled)(void *_Nonnull call_context);
    /// The call has been answered and is about to be freed: the last callback for it.
    void (*_Nonnull finished)(void *_Nonnull call_context);
    /// The server is about to be freed: the last callback of all.
    void (*_Nonnull stopped)(void *_Nonnull context);
} cgrpc_server_events;

/// Where nobody is asked for a certificate, `identity.roots` is NULL; with it, clients must show one that it signed.
cgrpc_server *_Nonnull cgrpc_server_create(
    const cgrpc_argument *_Nullable arguments, size_t count, cgrpc_server_events events);

/// Binds one address ("127.0.0.1:0"). Returns the port, or 0. Before `run`.
int cgrpc_server_bind(
    cgrpc_server *_Nonnull server, const char *_Nonnull address, const cgrpc_identity *_Nonnull identity);

/// Frees a server that was created and never run.
void cgrpc_server_discard(cgrpc_server *_Nonnull server);

/// Accepts connections from when it returns on; `run` must follow on a thread of its own.
void cgrpc_server_start(cgrpc_server *_Nonnull server);

/// Serves until the server has been shut down and its last call finished, then frees it.
void cgrpc_server_run(cgrpc_server *_Nonnull server);

/// Refuses new calls and connections, from any thread, once. `stopped` follows when the last call has finished.
void cgrpc_server_shutdown(cgrpc_server *_Nonnull server);

/// Cancels every call; only after `cgrpc_server_shutdown`, before `stopped`.
void cgrpc_server_cancel_calls(cgrpc_server *_Nonnull server);

cgrpc_bytes cgrpc_server_call_method(const cgrpc_server_call *_Nonnull call);
const cgrpc_metadata *_Nonnull cgrpc_server_call_metadata(const cgrpc_server_call *_Nonnull call);
const cgrpc_message *_Nonnull cgrpc_server_call_message(const cgrpc_server_call *_Nonnull call);

/// Milliseconds until the caller gives up; INT64_MAX: never.
int64_t cgrpc_server_call_remaining_ms(const cgrpc_server_call *_Nonnull call);

/// Answers, from any thread, once. With status 0 `body` is the reply; otherwise `details` says what is wrong. Everything is
/// copied. Metadata that gRPC refuses is answered as an internal error without metadata.
void cgrpc_server_call_reply(
    cgrpc_server_call *_Nonnull call, int status, cgrpc_bytes details, cgrpc_bytes body,
    const cgrpc_metadatum *_Nullable trailing, size_t trailing_count);

// MARK: Calling

/// `roots` NULL with `secure`: the system's. Returns NULL where the identity is unusable.
cgrpc_channel *_Nullable cgrpc_channel_create(
    const char *_Nonnull target, bool secure, const cgrpc_identity *_Nonnull identity, const char *_Nullable authority,
    const cgrpc_argument *_Nullable arguments, size_t count);

/// Works until the channel has been closed, then frees it.
void cgrpc_channel_run(cgrpc_channel *_Nonnull channel);

/// Ends `run`; once, from any thread, when no call is under way and none will be started.
void cgrpc_channel_close(cgrpc_channel *_Nonnull channel);

/// 0 idle, 1 connecting, 2 ready, 3 failing, 4 shut down. `connect` makes an idle channel connect.
int cgrpc_channel_state(cgrpc_channel *_Nonnull channel, bool connect);

typedef struct {
    int status;
    cgrpc_bytes details;
    const cgrpc_message *_Nullable message;
    const cgrpc_metadata *_Nonnull trailing;
} cgrpc_result;

/// Starts a call, from any thread. `done` comes once; the call is freed when it returns. Returns NULL, without `done`, where
/// gRPC refuses the metadata.
cgrpc_client_call *_Nullable cgrpc_call_start(
    cgrpc_channel *_Nonnull channel, cgrpc_bytes method, int64_t timeout_ms, cgrpc_bytes body,
    const cgrpc_metadatum *_Nullable metadata, size_t metadata_count, void *_Nonnull context,
    void (*_Nonnull done)(void *_Nonnull context, const cgrpc_result *_Nonnull result));

/// Any thread, not after `done` has returned.
void cgrpc_call_cancel(cgrpc_client_call *_Nonnull call);

#endif

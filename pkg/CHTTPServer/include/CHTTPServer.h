// h2o's HTTP/1.1 server, as much of it as Martlet uses, without any of its types. Every function but chttp_open_listener belongs to the
// thread that runs the loop.
#ifndef CHTTPSERVER_H
#define CHTTPSERVER_H

#include <stddef.h>
#include <stdint.h>

typedef struct chttp_loop chttp_loop;
typedef struct chttp_request chttp_request;

/// Bytes that belong to the request (or to the caller, in an answer).
typedef struct {
    const char *bytes;
    size_t count;
} chttp_text;

typedef struct {
    chttp_text name;
    chttp_text value;
} chttp_header;

typedef struct {
    /// Larger bodies are answered with 413 by h2o itself, in plain text.
    size_t max_body_bytes;
    /// Bounds a whole request, headers and body, and the idleness of a kept-alive connection.
    uint64_t request_timeout_ms;
    size_t max_connections;
    /// Called for each complete request. The callee answers it exactly once, now or later, by chttp_answer.
    void (*on_request)(void *context, chttp_request *request);
    void *context;
} chttp_configuration;

/// What is wrong with a request that h2o let through.
typedef enum {
    CHTTP_FLAWLESS,
    /// HTTP/1.1 without Host.
    CHTTP_NO_HOST,
    /// Content-Length beside Transfer-Encoding, or several that differ: whoever stands in front may have seen another body.
    CHTTP_AMBIGUOUS_LENGTH,
    /// A header value with NUL, CR or LF in it.
    CHTTP_BROKEN_HEADER,
} chttp_flaw;

/// A listening TCP socket for `host` (a numeric address) and `port` (0: any). Returns the descriptor, or -errno; -1000 where the host is
/// no numeric address. `bound_port` receives the port.
int chttp_open_listener(const char *host, uint16_t port, int backlog, uint16_t *bound_port);

/// NULL when out of memory.
chttp_loop *chttp_loop_new(const chttp_configuration *configuration);
/// Frees what the loop holds. Requests that were not answered, and their connections, are left behind.
void chttp_loop_free(chttp_loop *loop);
/// Accepts connections from a copy of `listener`, whose original stays the caller's. Returns 0, or errno.
int chttp_loop_listen(chttp_loop *loop, int listener);
/// Calls `ready` whenever `descriptor` is readable, until the loop is freed; it stays the caller's. Once for a loop. Returns 0, or errno.
int chttp_loop_watch(chttp_loop *loop, int descriptor, void (*ready)(void *context), void *context);
/// One turn: waits for events and handles them.
void chttp_loop_turn(chttp_loop *loop);
/// Takes in the connections that wait to be accepted and then no more; answers from now on close theirs.
void chttp_loop_drain(chttp_loop *loop);
/// Ends connections, which are closed in the turns that follow: those between two requests, or all.
void chttp_loop_hang_up(chttp_loop *loop, int only_idle);
size_t chttp_loop_connections(const chttp_loop *loop);

chttp_text chttp_request_method(const chttp_request *request);
/// As it came, without the query.
chttp_text chttp_request_path(const chttp_request *request);
/// What stands behind the question mark; NULL bytes without one.
chttp_text chttp_request_query(const chttp_request *request);
chttp_text chttp_request_body(const chttp_request *request);
size_t chttp_request_header_count(const chttp_request *request);
/// Names are in lower case. Host, Content-Length, Transfer-Encoding, Expect and Upgrade are not among them.
chttp_header chttp_request_header(const chttp_request *request, size_t index);
/// The value of the first header of this lower-case name; NULL bytes where there is none.
chttp_text chttp_request_find_header(const chttp_request *request, const char *name, size_t length);
chttp_flaw chttp_request_flaw(const chttp_request *request);
/// The peer's numeric address, as text ended by NUL. Returns its length, 0 where it is unknown.
size_t chttp_request_peer(const chttp_request *request, char *buffer, size_t capacity);
/// Whether the client is still there. The other request functions may be called only while it is.
int chttp_request_is_alive(const chttp_request *request);

/// Answers; `reason` must live for ever, everything else is copied. Where the client has gone the answer is dropped. The request must not
/// be used afterwards.
void chttp_answer(chttp_request *request, int status, const char *reason, const chttp_header *headers, size_t header_count,
                  chttp_text body);

#endif

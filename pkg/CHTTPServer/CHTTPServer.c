#define _GNU_SOURCE
#define H2O_USE_LIBUV 0
#include <h2o.h>
#include <h2o/http1.h>

#include "CHTTPServer.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct chttp_loop {
    chttp_configuration configuration;
    h2o_globalconf_t global;
    h2o_context_t context;
    h2o_accept_ctx_t accept;
    h2o_hostconf_t *host;
    h2o_socket_t *listener;
    // Ends the pause that accepting makes when the process has run out of descriptors.
    h2o_timeout_entry_t accept_again;
    h2o_socket_t *watched;
    void (*watched_ready)(void *context);
    void *watched_context;
    struct connection *first;
    size_t connections;
    int is_draining;
};

// An accepted socket, in its loop's list for as long as it is open.
struct connection {
    chttp_loop *loop;
    h2o_socket_t *socket;
    struct connection *next;
    struct connection **link;
    // A request of it was handed out and not answered.
    int is_busy;
};

// The token that a handler holds. h2o frees a request whose client hangs up, so the request's pool owns a guard that says so.
struct chttp_request {
    h2o_req_t *request;
    chttp_loop *loop;
    struct guard *guard;
    chttp_flaw flaw;
};

struct guard {
    chttp_request *token;
};

typedef struct {
    h2o_handler_t super;
    chttp_loop *loop;
} martlet_handler;

// MARK: Connections

static void connection_closed(void *pointer) {
    struct connection *connection = pointer;
    connection->loop->connections--;
    *connection->link = connection->next;
    if (connection->next != NULL) connection->next->link = connection->link;
    free(connection);
}

static int connection_opened(chttp_loop *loop, h2o_socket_t *socket) {
    struct connection *connection = malloc(sizeof *connection);
    if (connection == NULL) return 0;
    *connection = (struct connection){.loop = loop, .socket = socket, .next = loop->first, .link = &loop->first};
    if (loop->first != NULL) loop->first->link = &connection->next;
    loop->first = connection;
    loop->connections++;
    socket->on_close.cb = connection_closed;
    socket->on_close.data = connection;
    return 1;
}

static h2o_socket_t *socket_of(const h2o_req_t *request) { return request->conn->callbacks->get_socket(request->conn); }

static struct connection *connection_of(const h2o_req_t *request) { return socket_of(request)->on_close.data; }

// Bytes that the kernel has received for a socket and nobody has read.
static int has_unread_bytes(h2o_socket_t *socket) {
    int count = 0;
    return ioctl(h2o_socket_get_fd(socket), FIONREAD, &count) == 0 && count > 0;
}

// Between two requests: nothing of one received, nothing of an answer on its way out.
static int is_idle(const struct connection *connection) {
    h2o_socket_t *socket = connection->socket;
    return !connection->is_busy && socket->input->size == 0 && !h2o_socket_is_writing(socket) && !has_unread_bytes(socket);
}

// MARK: Accepting

static void on_accept(h2o_socket_t *listener, const char *error);

static void accept_again(h2o_timeout_entry_t *entry) {
    chttp_loop *loop = H2O_STRUCT_FROM_MEMBER(chttp_loop, accept_again, entry);
    if (loop->listener != NULL) h2o_socket_read_start(loop->listener, on_accept);
}

static int is_out_of_resources(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

// The last descriptors that the process may have are left to others: libdispatch, which runs Swift's tasks, ends the process when it cannot
// open its workers' /proc/…/stat, once a second. New descriptors are the lowest that are free.
static int is_spare(int descriptor) {
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)descriptor + 32 >= limit.rlim_cur;
}

// Accepts up to `limit` connections; returns whether there may be more.
static int accept_some(chttp_loop *loop, size_t limit) {
    for (; limit > 0; limit--) {
        h2o_socket_t *socket = h2o_evloop_socket_accept(loop->listener);
        if (socket == NULL) return errno == EINTR || errno == ECONNABORTED;
        if (is_spare(h2o_socket_get_fd(socket))) {
            h2o_socket_close(socket);
            errno = EMFILE;
            return 0;
        }
        if (loop->connections >= loop->configuration.max_connections || !connection_opened(loop, socket)) {
            h2o_socket_close(socket);
            continue;
        }
        struct timeval now;
        gettimeofday(&now, NULL);
        h2o_http1_accept(&loop->accept, socket, now);
    }
    return 1;
}

static void on_accept(h2o_socket_t *listener, const char *error) {
    chttp_loop *loop = listener->data;
    if (error != NULL) return;
    // A few at a time, so that a flood of connections does not starve those that are there.
    if (accept_some(loop, 16) || !is_out_of_resources(errno)) return;
    // The listener stays readable: without a pause the loop would spin until a descriptor is free.
    h2o_socket_read_stop(listener);
    if (!h2o_timeout_is_linked(&loop->accept_again))
        h2o_timeout_link(loop->context.loop, &loop->context.hundred_ms_timeout, &loop->accept_again);
}

int chttp_open_listener(const char *host, uint16_t port, int backlog, uint16_t *bound_port) {
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *address;
    if (getaddrinfo(host, service, &hints, &address) != 0) return -1000;
    int error = 0;
    int descriptor = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) error = errno;
    // Not SO_REUSEPORT: a second process on the same port must fail. Loops share this one descriptor instead.
    int on = 1;
    if (error == 0 && setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) error = errno;
    if (error == 0 && bind(descriptor, address->ai_addr, address->ai_addrlen) != 0) error = errno;
    if (error == 0 && listen(descriptor, backlog) != 0) error = errno;
    freeaddrinfo(address);
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    if (error == 0 && getsockname(descriptor, (struct sockaddr *)&bound, &length) != 0) error = errno;
    if (error != 0) {
        if (descriptor >= 0) close(descriptor);
        return -error;
    }
    *bound_port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                    : ((struct sockaddr_in *)&bound)->sin_port);
    return descriptor;
}

// MARK: The loop

static int on_request(h2o_handler_t *self, h2o_req_t *request);

// h2o writes to sockets whose peer may have gone: that is an error to it, and must not be the end of the process.
static void block_broken_pipe_signals(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

chttp_loop *chttp_loop_new(const chttp_configuration *configuration) {
    chttp_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL) return NULL;
    block_broken_pipe_signals();
    loop->configuration = *configuration;
    loop->accept_again.cb = accept_again;
    h2o_config_init(&loop->global);
    // Without a name h2o sends no Server header.
    loop->global.server_name = h2o_iovec_init(NULL, 0);
    loop->global.max_request_entity_size = configuration->max_body_bytes;
    loop->global.http1.req_timeout = configuration->request_timeout_ms;
    loop->global.http1.upgrade_to_http2 = 0;
    loop->host = h2o_config_register_host(&loop->global, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_pathconf_t *path = h2o_config_register_path(loop->host, "/", 0);
    martlet_handler *handler = (martlet_handler *)h2o_create_handler(path, sizeof *handler);
    handler->super.on_req = on_request;
    handler->loop = loop;
    h2o_context_init(&loop->context, h2o_evloop_create(), &loop->global);
    loop->accept.ctx = &loop->context;
    loop->accept.hosts = loop->global.hosts;
    return loop;
}

void chttp_loop_free(chttp_loop *loop) {
    if (loop->listener != NULL) h2o_socket_close(loop->listener);
    if (loop->watched != NULL) h2o_socket_close(loop->watched);
    loop->listener = loop->watched = NULL;
    h2o_timeout_unlink(&loop->accept_again);
    // h2o has no way to end connections at once, and its context must not go before them.
    if (loop->connections > 0) return;
    h2o_loop_t *events = loop->context.loop;
    h2o_context_dispose(&loop->context);
    h2o_config_dispose(&loop->global);
    // Leaves its epoll descriptor open; there is no other way to reach it.
    h2o_evloop_destroy(events);
    free(loop);
}

int chttp_loop_listen(chttp_loop *loop, int listener) {
    int copy = fcntl(listener, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return errno;
    loop->listener = h2o_evloop_socket_create(loop->context.loop, copy, H2O_SOCKET_FLAG_DONT_READ);
    loop->listener->data = loop;
    h2o_socket_read_start(loop->listener, on_accept);
    return 0;
}

static void on_watched(h2o_socket_t *socket, const char *error) {
    chttp_loop *loop = socket->data;
    (void)error;
    loop->watched_ready(loop->watched_context);
}

int chttp_loop_watch(chttp_loop *loop, int descriptor, void (*ready)(void *context), void *context) {
    // h2o closes what it watches, so it gets a copy.
    int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return errno;
    loop->watched_ready = ready;
    loop->watched_context = context;
    loop->watched = h2o_evloop_socket_create(loop->context.loop, copy, H2O_SOCKET_FLAG_DONT_READ);
    loop->watched->data = loop;
    h2o_socket_read_start(loop->watched, on_watched);
    return 0;
}

void chttp_loop_turn(chttp_loop *loop) { h2o_evloop_run(loop->context.loop, INT32_MAX); }

void chttp_loop_drain(chttp_loop *loop) {
    loop->is_draining = 1;
    if (loop->listener == NULL) return;
    // A connection that waits in the backlog would be reset when the listener closes, with a request in it perhaps.
    while (accept_some(loop, SIZE_MAX)) continue;
    h2o_socket_close(loop->listener);
    loop->listener = NULL;
}

void chttp_loop_hang_up(chttp_loop *loop, int only_idle) {
    for (struct connection *connection = loop->first; connection != NULL; connection = connection->next)
        if (!only_idle || is_idle(connection)) shutdown(h2o_socket_get_fd(connection->socket), SHUT_RDWR);
}

size_t chttp_loop_connections(const chttp_loop *loop) { return loop->connections; }

// MARK: Requests

static void request_gone(void *pointer) {
    struct guard *guard = pointer;
    if (guard->token != NULL) guard->token->request = NULL;
}

// The end of the head that begins the connection's input: behind its empty line.
static const char *head_end(const char *start, const char *end) {
    const char *line = start;
    // Empty lines before a request are skipped, as h2o does.
    while (line < end && (*line == '\r' || *line == '\n')) line++;
    while (line < end) {
        const char *newline = memchr(line, '\n', end - line);
        if (newline == NULL) return end;
        if (newline == line || (newline == line + 1 && *line == '\r')) return newline + 1;
        line = newline + 1;
    }
    return end;
}

static int is_header(const char *line, const char *end, const char *name, size_t length) {
    return (size_t)(end - line) > length && line[length] == ':' && strncasecmp(line, name, length) == 0;
}

static chttp_text header_value(const char *line, const char *end, size_t name_length) {
    const char *value = line + name_length + 1;
    while (value < end && (*value == ' ' || *value == '\t')) value++;
    while (end > value && (end[-1] == '\r' || end[-1] == ' ' || end[-1] == '\t')) end--;
    return (chttp_text){.bytes = value, .count = end - value};
}

// h2o takes one of the headers that say where the body ends and hides them all: they are looked up in the input, which begins with
// the request's head until the answer is sent.
static int is_length_ambiguous(const h2o_req_t *request) {
    const h2o_buffer_t *input = socket_of(request)->input;
    const char *line = input->bytes, *end = head_end(line, line + input->size);
    int has_transfer_encoding = 0;
    chttp_text length = {0};
    while (line < end) {
        const char *newline = memchr(line, '\n', end - line);
        if (newline == NULL) newline = end;
        if (is_header(line, newline, H2O_STRLIT("transfer-encoding"))) {
            if (has_transfer_encoding) return 1;
            has_transfer_encoding = 1;
        } else if (is_header(line, newline, H2O_STRLIT("content-length"))) {
            chttp_text value = header_value(line, newline, strlen("content-length"));
            if (length.bytes != NULL && (length.count != value.count || memcmp(length.bytes, value.bytes, value.count) != 0)) return 1;
            length = value;
        }
        line = newline + 1;
    }
    return has_transfer_encoding && length.bytes != NULL;
}

static chttp_flaw flaw_of(const chttp_loop *loop, const h2o_req_t *request) {
    // Where there is no Host h2o supplements the configured host's name: the same bytes, at the same place.
    if (request->version >= 0x101 && request->input.authority.base == loop->host->authority.hostport.base) return CHTTP_NO_HOST;
    if (request->entity.base != NULL && is_length_ambiguous(request)) return CHTTP_AMBIGUOUS_LENGTH;
    for (size_t i = 0; i < request->headers.size; i++) {
        const h2o_header_t *header = &request->headers.entries[i];
        // The second line of a folded header comes as one without a name.
        if (header->name->len == 0) return CHTTP_BROKEN_HEADER;
    }
    return CHTTP_FLAWLESS;
}

static int on_request(h2o_handler_t *self, h2o_req_t *request) {
    chttp_loop *loop = ((martlet_handler *)self)->loop;
    chttp_request *token = malloc(sizeof *token);
    if (token == NULL) return -1;
    struct guard *guard = h2o_mem_alloc_shared(&request->pool, sizeof *guard, request_gone);
    guard->token = token;
    *token = (chttp_request){.request = request, .loop = loop, .guard = guard, .flaw = flaw_of(loop, request)};
    connection_of(request)->is_busy = 1;
    loop->configuration.on_request(loop->configuration.context, token);
    return 0;
}

static chttp_text text(h2o_iovec_t vector) { return (chttp_text){.bytes = vector.base, .count = vector.len}; }

chttp_text chttp_request_method(const chttp_request *request) { return text(request->request->method); }

chttp_text chttp_request_path(const chttp_request *request) {
    const h2o_req_t *h2o = request->request;
    size_t count = h2o->query_at == SIZE_MAX ? h2o->path.len : h2o->query_at;
    return (chttp_text){.bytes = h2o->path.base, .count = count};
}

chttp_text chttp_request_query(const chttp_request *request) {
    const h2o_req_t *h2o = request->request;
    if (h2o->query_at == SIZE_MAX) return (chttp_text){0};
    return (chttp_text){.bytes = h2o->path.base + h2o->query_at + 1, .count = h2o->path.len - h2o->query_at - 1};
}

chttp_text chttp_request_body(const chttp_request *request) { return text(request->request->entity); }

size_t chttp_request_header_count(const chttp_request *request) { return request->request->headers.size; }

chttp_header chttp_request_header(const chttp_request *request, size_t index) {
    const h2o_header_t *header = &request->request->headers.entries[index];
    return (chttp_header){.name = text(*header->name), .value = text(header->value)};
}

chttp_text chttp_request_find_header(const chttp_request *request, const char *name, size_t length) {
    const h2o_headers_t *headers = &request->request->headers;
    for (size_t i = 0; i < headers->size; i++) {
        const h2o_header_t *header = &headers->entries[i];
        if (header->name->len == length && memcmp(header->name->base, name, length) == 0) return text(header->value);
    }
    return (chttp_text){0};
}

chttp_flaw chttp_request_flaw(const chttp_request *request) { return request->flaw; }

size_t chttp_request_peer(const chttp_request *request, char *buffer, size_t capacity) {
    struct sockaddr_storage address;
    h2o_conn_t *connection = request->request->conn;
    socklen_t length = connection->callbacks->get_peername(connection, (struct sockaddr *)&address);
    buffer[0] = 0;
    if (length == 0) return 0;
    if (getnameinfo((struct sockaddr *)&address, length, buffer, (socklen_t)capacity, NULL, 0, NI_NUMERICHOST) != 0) return 0;
    return strlen(buffer);
}

int chttp_request_is_alive(const chttp_request *request) { return request->request != NULL; }

// MARK: Answers

// Whether more than this request has been received: the next one, which a closing connection would lose.
static int is_followed(const h2o_req_t *request) {
    h2o_socket_t *socket = socket_of(request);
    const char *start = socket->input->bytes, *end = start + socket->input->size;
    const char *request_end = request->entity.base != NULL ? request->entity.base + request->entity.len : head_end(start, end);
    return request_end < end || has_unread_bytes(socket);
}

static void add_headers(h2o_req_t *request, const chttp_header *headers, size_t count) {
    size_t size = 0;
    for (size_t i = 0; i < count; i++) size += headers[i].name.count + headers[i].value.count;
    char *next = h2o_mem_alloc_pool(&request->pool, size + 1);
    for (size_t i = 0; i < count; i++) {
        chttp_text name = headers[i].name, value = headers[i].value;
        char *copied_name = memcpy(next, name.bytes, name.count);
        char *copied_value = memcpy(next + name.count, value.bytes, value.count);
        next += name.count + value.count;
        h2o_add_header_by_str(&request->pool, &request->res.headers, copied_name, name.count, 1, NULL, copied_value, value.count);
    }
}

void chttp_answer(chttp_request *token, int status, const char *reason, const chttp_header *headers, size_t header_count,
                  chttp_text body) {
    h2o_req_t *request = token->request;
    int is_draining = token->loop->is_draining, is_ambiguous = token->flaw == CHTTP_AMBIGUOUS_LENGTH;
    if (request != NULL) token->guard->token = NULL;
    free(token);
    if (request == NULL) return;
    connection_of(request)->is_busy = 0;
    request->res.status = status;
    request->res.reason = reason;
    request->res.content_length = body.count;
    add_headers(request, headers, header_count);
    if (is_ambiguous || (is_draining && !is_followed(request))) request->http1_is_persistent = 0;
    h2o_send_inline(request, body.bytes, body.count);
}

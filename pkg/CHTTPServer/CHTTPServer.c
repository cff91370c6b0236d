#define _GNU_SOURCE
#define H2O_USE_LIBUV 0
#include <h2o.h>
#include <h2o/http1.h>

#include "CHTTPServer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct chttp_loop {
    chttp_configuration configuration;
    h2o_globalconf_t global;
    h2o_context_t context;
    h2o_accept_ctx_t accept;
    h2o_hostconf_t *host;
    h2o_socket_t *listener;
    struct connection *first;
    size_t connections;
    size_t pending;
    int is_draining;
};

// An accepted socket, in its loop's list for as long as it is open.
struct connection {
    chttp_loop *loop;
    h2o_socket_t *socket;
    struct connection *next;
    struct connection **link;
};

// The token that a handler holds. h2o frees a request whose client hangs up, so the request's pool owns a guard that says so.
struct chttp_request {
    h2o_req_t *request;
    chttp_loop *loop;
    struct guard *guard;
};

struct guard {
    chttp_request *token;
};

typedef struct {
    h2o_handler_t super;
    chttp_loop *loop;
} martlet_handler;

static void request_gone(void *pointer) {
    struct guard *guard = pointer;
    if (guard->token != NULL) guard->token->request = NULL;
}

static int on_request(h2o_handler_t *self, h2o_req_t *request) {
    chttp_loop *loop = ((martlet_handler *)self)->loop;
    chttp_request *token = malloc(sizeof *token);
    if (token == NULL) return -1;
    struct guard *guard = h2o_mem_alloc_shared(&request->pool, sizeof *guard, request_gone);
    guard->token = token;
    *token = (chttp_request){.request = request, .loop = loop, .guard = guard};
    loop->pending++;
    loop->configuration.on_request(loop->configuration.context, token);
    return 0;
}

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

static void on_accept(h2o_socket_t *listener, const char *error) {
    chttp_loop *loop = listener->data;
    if (error != NULL) return;
    // A few at a time, so that a flood of connections does not starve those that are there.
    for (int i = 0; i < 16; i++) {
        h2o_socket_t *socket = h2o_evloop_socket_accept(listener);
        if (socket == NULL) return;
        if (loop->connections >= loop->configuration.max_connections || !connection_opened(loop, socket)) {
            h2o_socket_close(socket);
            continue;
        }
        struct timeval now;
        gettimeofday(&now, NULL);
        h2o_http1_accept(&loop->accept, socket, now);
    }
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

chttp_loop *chttp_loop_new(const chttp_configuration *configuration) {
    chttp_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL) return NULL;
    loop->configuration = *configuration;
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

int chttp_loop_listen(chttp_loop *loop, int listener) {
    int copy = fcntl(listener, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return errno;
    loop->listener = h2o_evloop_socket_create(loop->context.loop, copy, H2O_SOCKET_FLAG_DONT_READ);
    loop->listener->data = loop;
    h2o_socket_read_start(loop->listener, on_accept);
    return 0;
}

struct watch {
    void (*ready)(void *context);
    void *context;
};

static void on_watched(h2o_socket_t *socket, const char *error) {
    struct watch *watch = socket->data;
    (void)error;
    watch->ready(watch->context);
}

void chttp_loop_watch(chttp_loop *loop, int descriptor, void (*ready)(void *context), void *context) {
    // h2o closes what it watches, so it gets a copy.
    int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    struct watch *watch = malloc(sizeof *watch);
    if (copy < 0 || watch == NULL) abort();
    *watch = (struct watch){.ready = ready, .context = context};
    h2o_socket_t *socket = h2o_evloop_socket_create(loop->context.loop, copy, H2O_SOCKET_FLAG_DONT_READ);
    socket->data = watch;
    h2o_socket_read_start(socket, on_watched);
}

void chttp_loop_turn(chttp_loop *loop) { h2o_evloop_run(loop->context.loop, INT32_MAX); }

void chttp_loop_drain(chttp_loop *loop) {
    if (loop->listener != NULL) h2o_socket_close(loop->listener);
    loop->listener = NULL;
    loop->is_draining = 1;
}

void chttp_loop_hang_up(chttp_loop *loop) {
    for (struct connection *connection = loop->first; connection != NULL; connection = connection->next)
        shutdown(h2o_socket_get_fd(connection->socket), SHUT_RDWR);
}

size_t chttp_loop_connections(const chttp_loop *loop) { return loop->connections; }

size_t chttp_loop_pending(const chttp_loop *loop) { return loop->pending; }

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

int chttp_request_version(const chttp_request *request) { return request->request->version; }

int chttp_request_has_host(const chttp_request *request) {
    // Where there is none h2o supplements the configured host's name: the same bytes, at the same place.
    return request->request->input.authority.base != request->loop->host->authority.hostport.base;
}

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

void chttp_answer(chttp_request *token, int status, const char *reason, const chttp_header *headers, size_t header_count,
                  chttp_text body, int close_connection) {
    h2o_req_t *request = token->request;
    chttp_loop *loop = token->loop;
    loop->pending--;
    if (request == NULL) {
        free(token);
        return;
    }
    token->guard->token = NULL;
    free(token);
    request->res.status = status;
    request->res.reason = h2o_strdup(&request->pool, reason, SIZE_MAX).base;
    request->res.content_length = body.count;
    for (size_t i = 0; i < header_count; i++) {
        h2o_iovec_t name = h2o_strdup(&request->pool, headers[i].name.bytes, headers[i].name.count);
        h2o_iovec_t value = h2o_strdup(&request->pool, headers[i].value.bytes, headers[i].value.count);
        h2o_add_header_by_str(&request->pool, &request->res.headers, name.base, name.len, 1, NULL, value.base, value.len);
    }
    if (close_connection || loop->is_draining) request->http1_is_persistent = 0;
    h2o_send_inline(request, body.bytes, body.count);
}

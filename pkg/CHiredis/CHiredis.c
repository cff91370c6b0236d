#include "CHiredis.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/// Takes the oldest reason from OpenSSL's queue, and empties that.
static void explain(char *error, size_t size, const char *what) {
    unsigned long code = ERR_get_error();
    char reason[200] = "no reason given";
    if (code != 0) ERR_error_string_n(code, reason, sizeof reason);
    snprintf(error, size, "%s: %s", what, reason);
    ERR_clear_error();
}

chiredis_tls_settings *chiredis_tls_settings_new(
    const char *ca_file, const char *certificate_file, const char *key_file, int verify, char *error,
    size_t error_size) {
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL) {
        explain(error, error_size, "TLS");
        return NULL;
    }
    const char *failed = NULL;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(context, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (ca_file != NULL) {
        if (SSL_CTX_load_verify_locations(context, ca_file, NULL) != 1) failed = ca_file;
    } else {
        SSL_CTX_set_default_verify_paths(context);
    }
    if (failed == NULL && certificate_file != NULL &&
        SSL_CTX_use_certificate_chain_file(context, certificate_file) != 1)
        failed = certificate_file;
    if (failed == NULL && key_file != NULL && SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1)
        failed = key_file;
    if (failed != NULL) {
        explain(error, error_size, failed);
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

void chiredis_tls_settings_free(chiredis_tls_settings *settings) { SSL_CTX_free(settings); }

// OpenSSL's own socket BIO writes with write(2), which kills a process that has not ignored SIGPIPE when the peer is gone. This one
// sends without the signal.

static int descriptor_of(BIO *bio) { return (int)(intptr_t)BIO_get_data(bio); }

static int transferred(BIO *bio, ssize_t count, int retry_flag) {
    BIO_clear_retry_flags(bio);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_flags(bio, BIO_FLAGS_SHOULD_RETRY | retry_flag);
    return (int)count;
}

static int socket_write(BIO *bio, const char *bytes, int size) {
    return transferred(bio, send(descriptor_of(bio), bytes, (size_t)size, MSG_NOSIGNAL), BIO_FLAGS_WRITE);
}

static int socket_read(BIO *bio, char *bytes, int size) {
    return transferred(bio, recv(descriptor_of(bio), bytes, (size_t)size, 0), BIO_FLAGS_READ);
}

static long socket_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

/// The BIO's methods, made once and kept for the process's life.
static BIO_METHOD *socket_methods(void) {
    static BIO_METHOD *methods;
    BIO_METHOD *known = __atomic_load_n(&methods, __ATOMIC_ACQUIRE);
    if (known != NULL) return known;
    BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket without SIGPIPE");
    if (made == NULL) return NULL;
    BIO_meth_set_write(made, socket_write);
    BIO_meth_set_read(made, socket_read);
    BIO_meth_set_ctrl(made, socket_control);
    if (__atomic_compare_exchange_n(&methods, &known, made, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return made;
    BIO_meth_free(made);
    return known;
}

/// Hangs the socket under `tls`. Returns 0 on failure.
static int attach(SSL *tls, int descriptor) {
    BIO_METHOD *methods = socket_methods();
    BIO *bio = methods == NULL ? NULL : BIO_new(methods);
    if (bio == NULL) return 0;
    BIO_set_data(bio, (void *)(intptr_t)descriptor);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls, bio, bio);
    return 1;
}

chiredis_tls *chiredis_tls_new(
    chiredis_tls_settings *settings, int descriptor, const char *host, char *error, size_t error_size) {
    ERR_clear_error();
    SSL *tls = SSL_new(settings);
    if (tls == NULL || !attach(tls, descriptor)) {
        explain(error, error_size, "TLS");
        SSL_free(tls);
        return NULL;
    }
    unsigned char address[sizeof(struct in6_addr)];
    int is_address = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    int named = is_address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host)
                           : SSL_set1_host(tls, host) == 1 && SSL_set_tlsext_host_name(tls, host) == 1;
    if (named != 1) {
        explain(error, error_size, host);
        SSL_free(tls);
        return NULL;
    }
    SSL_set_connect_state(tls);
    return tls;
}

void chiredis_tls_free(chiredis_tls *tls) { SSL_free(tls); }

/// What a call that did not succeed means. The error queue holds only this call's errors: it was cleared before.
static int outcome(SSL *tls, int result) {
    switch (SSL_get_error(tls, result)) {
    case SSL_ERROR_WANT_READ: return CHIREDIS_TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE: return CHIREDIS_TLS_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN: return CHIREDIS_TLS_ENDED;
    default: return CHIREDIS_TLS_FAILED;
    }
}

int chiredis_tls_handshake(chiredis_tls *tls) {
    ERR_clear_error();
    int result = SSL_do_handshake(tls);
    return result == 1 ? CHIREDIS_TLS_DONE : outcome(tls, result);
}

int chiredis_tls_read(chiredis_tls *tls, void *buffer, int size) {
    ERR_clear_error();
    int result = SSL_read(tls, buffer, size);
    return result > 0 ? result : outcome(tls, result);
}

int chiredis_tls_write(chiredis_tls *tls, const void *bytes, int size) {
    ERR_clear_error();
    int result = SSL_write(tls, bytes, size);
    return result > 0 ? result : outcome(tls, result);
}

void chiredis_tls_error(chiredis_tls *tls, char *error, size_t error_size) {
    int code = errno;
    long verification = SSL_get_verify_result(tls);
    if (SSL_get_verify_mode(tls) != SSL_VERIFY_NONE && verification != X509_V_OK) {
        snprintf(error, error_size, "certificate: %s", X509_verify_cert_error_string(verification));
        ERR_clear_error();
    } else if (ERR_peek_error() == 0) {
        snprintf(error, error_size, "TLS: %s", code != 0 ? strerror(code) : "the connection was closed");
    } else {
        explain(error, error_size, "TLS");
    }
}

int chiredis_sha1(const void *bytes, size_t size, char digits[40]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (EVP_Digest(bytes, size, digest, NULL, EVP_sha1(), NULL) != 1) return 0;
    for (int index = 0; index < 20; index++) {
        digits[2 * index] = "0123456789abcdef"[digest[index] >> 4];
        digits[2 * index + 1] = "0123456789abcdef"[digest[index] & 15];
    }
    return 1;
}

// hiredis' reader of replies, and what it lacks: TLS over a non-blocking socket (Debian's hiredis is older than its TLS support)
// and SHA-1, which names scripts.
#ifndef CHIREDIS_H
#define CHIREDIS_H

#include <hiredis/hiredis.h>
#include <stddef.h>

/// The settings that connections share: authorities, certificate, key.
typedef struct ssl_ctx_st chiredis_tls_settings;
/// One connection's TLS state. Confined to one thread at a time.
typedef struct ssl_st chiredis_tls;

enum chiredis_tls_result {
    CHIREDIS_TLS_DONE = 0,
    CHIREDIS_TLS_WANTS_READ = -1,
    CHIREDIS_TLS_WANTS_WRITE = -2,
    /// The peer ended the connection in order.
    CHIREDIS_TLS_ENDED = -3,
    /// See chiredis_tls_error.
    CHIREDIS_TLS_FAILED = -4,
};

/// Makes settings; each path may be NULL: `ca_file` (else the system's authorities), `certificate_file` and `key_file` (PEM). With
/// `verify` 0 any certificate is accepted. NULL on failure, with the reason in `error`.
chiredis_tls_settings *chiredis_tls_settings_new(
    const char *ca_file, const char *certificate_file, const char *key_file, int verify, char *error, size_t error_size);
void chiredis_tls_settings_free(chiredis_tls_settings *settings);

/// TLS over a connected, non-blocking socket, which stays the caller's. The peer's certificate must be for `host`, a name or an
/// address. NULL on failure, with the reason in `error`.
chiredis_tls *chiredis_tls_new(
    chiredis_tls_settings *settings, int descriptor, const char *host, char *error, size_t error_size);
void chiredis_tls_free(chiredis_tls *tls);

/// Goes on with the handshake: a chiredis_tls_result.
int chiredis_tls_handshake(chiredis_tls *tls);

/// The number of bytes read (more than 0), or a chiredis_tls_result.
int chiredis_tls_read(chiredis_tls *tls, void *buffer, int size);

/// The number of bytes written (more than 0), or a chiredis_tls_result. May be repeated with other bytes.
int chiredis_tls_write(chiredis_tls *tls, const void *bytes, int size);

/// Why the last call on this thread failed.
void chiredis_tls_error(chiredis_tls *tls, char *error, size_t error_size);

/// Writes the 40 hexadecimal digits of the SHA-1 of `bytes`. Returns 0 on failure.
int chiredis_sha1(const void *bytes, size_t size, char digits[40]);

#endif

// libsodium: passwords, ed25519, base64, random bytes.
#ifndef CSODIUM_H
#define CSODIUM_H

#include <sodium.h>

// Function-like or cast-carrying macros do not reach Swift.
static const unsigned long long csodium_password_operations_interactive = crypto_pwhash_OPSLIMIT_INTERACTIVE;
static const size_t csodium_password_memory_interactive = crypto_pwhash_MEMLIMIT_INTERACTIVE;
static const size_t csodium_password_text_bytes = crypto_pwhash_STRBYTES;

#endif

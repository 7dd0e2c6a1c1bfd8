/* scram - the client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.
 *
 * The keys of a password, a salt and a number of iterations are kept, so that a client that comes again costs no
 * PBKDF2; with a file they are kept for the next run as well. */
#ifndef POSTERN_BENCH_BACKEND_SCRAM_H
#define POSTERN_BENCH_BACKEND_SCRAM_H

#include "bench/backend/scan.h"

#include <stdint.h>

enum {
    SCRAM_KEY_BYTES = 32,
    SCRAM_NONCE_CHARS = 24,
    SCRAM_TEXT_BYTES = 1024, /* enough for each message and its Base64 form */
};

/* The exchange of one login. */
struct scram {
    char nonce[SCRAM_NONCE_CHARS + 1];
    uint8_t server_signature[SCRAM_KEY_BYTES];
};

/* scram_setup - the password of all; file: where keys are kept, or NULL. */
void scram_setup(const char *password, const char *file);

/* scram_save - write the file, if there is one and keys were added. */
void scram_save(void);

/* scram_derived - how many times PBKDF2 was computed. */
uint64_t scram_derived(void);

/* scram_first - the client-first-message in Base64, NUL-terminated. */
void scram_first(struct scram *scram, const char *user, char out[SCRAM_TEXT_BYTES]);

/* scram_final - the client-final-message in Base64, from the server-first-message in Base64; NULL, or why not. */
const char *scram_final(struct scram *scram, const char *user, struct text challenge, char out[SCRAM_TEXT_BYTES]);

/* scram_verify - whether the server-final-message, in Base64, proves that the server knows the password. */
bool scram_verify(const struct scram *scram, struct text success);

/* scram_plain - the message of SASL PLAIN (RFC 4616) in Base64. */
void scram_plain(const char *user, char out[SCRAM_TEXT_BYTES]);

#endif

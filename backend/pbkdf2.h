/* pbkdf2 - many rounds of HMAC over a password.
 *
 * By nettle: OpenSSL 3.0 takes twice as long, which is at each login with PLAIN (ADR 15).  Source: RFC 8018
 * section 5.2.
 */
#ifndef POSTERN_BACKEND_PBKDF2_H
#define POSTERN_BACKEND_PBKDF2_H

#include "backend/store.h"

#include <stddef.h>
#include <stdint.h>

/* pbkdf2_derive - the first block, as long as the hash (STORE_HASH_*), which is Hi() of RFC 5802 section 2.2.
 * iterations > 0. Nothing secret stays behind. */
void pbkdf2_derive(int hash, const char *password, const uint8_t *salt, size_t salt_len, uint32_t iterations,
                   uint8_t *out);

#endif

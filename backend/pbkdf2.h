/* pbkdf2 - many rounds of HMAC over a password, as fast as the hash itself.
 *
 * Half of an attacker's work is ours as well, at each login with PLAIN; PKCS5_PBKDF2_HMAC of OpenSSL 3.0 takes more
 * than twice as long as the hash needs, for it copies its contexts by way of the allocator in each round.
 *
 * Source: RFC 8018 section 5.2; RFC 2104. */
#ifndef POSTERN_BACKEND_PBKDF2_H
#define POSTERN_BACKEND_PBKDF2_H

#include "backend/store.h"

#include <stddef.h>
#include <stdint.h>

/* pbkdf2 - the first block, as long as the hash (STORE_HASH_*), which is Hi() of RFC 5802 section 2.2.  iterations > 0.
 * Nothing secret stays behind. */
void pbkdf2(int hash, const char *password, const uint8_t *salt, size_t salt_len, uint32_t iterations, uint8_t *out);

#endif

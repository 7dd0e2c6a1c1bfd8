/* scram - the arithmetic of SCRAM: keys from a password, proofs and signatures.
 *
 * Source: RFC 5802 section 3, RFC 7677; passwords are prepared by SASLprep (RFC 4013, by ICU). */
#ifndef POSTERN_BACKEND_SCRAM_H
#define POSTERN_BACKEND_SCRAM_H

#include "backend/store.h"
#include "lib/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCRAM_SALT_BYTES = 16 };

/* scram_hash_name - "SHA-1", … as in the mechanism's name. */
const char *scram_hash_name(int hash);

/* scram_prepare_password - SASLprep into out (cap bytes).  0, or -1 when it is forbidden, empty or too long. */
MUSTCHECK int scram_prepare_password(const char *password, char *out, size_t cap);

/* scram_derive - the keys of one hash (STORE_HASH_*) from a prepared password; salt and iterations are read from keys.
 * Slow on purpose: run it on an offload thread. */
void scram_derive(int hash, const char *prepared_password, struct store_scram_keys *keys);

/* scram_make_key - a random salt, so many iterations, keys of one hash.  scram_make_keys - likewise of every hash. */
void scram_make_key(int hash, const char *prepared_password, uint32_t iterations, struct store_scram_keys *keys);
void scram_make_keys(const char *prepared_password, uint32_t iterations, struct store_scram_keys keys[STORE_HASHES]);

/* For an account that does not exist, all by a secret of this server (so many bytes): scram_dice - a number that stays
 * the same for a name; scram_fake_keys - a salt (keys->salt_len bytes) that stays the same, and keys that fit no
 * password; the iterations are left as they are. */
uint64_t scram_dice(const uint8_t *secret, size_t secret_len, const char *bare_jid);
void scram_fake_keys(const uint8_t *secret, size_t secret_len, const char *bare_jid, int hash,
                     struct store_scram_keys *keys);

/* scram_verify - whether proof (key_len bytes) belongs to auth_message; in constant time.  On success the
 * ServerSignature (key_len bytes) is in signature. */
MUSTCHECK bool scram_verify(int hash, const struct store_scram_keys *keys, const char *auth_message,
                            const uint8_t *proof, uint8_t *signature);

#endif

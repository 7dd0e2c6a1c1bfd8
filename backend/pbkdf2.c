#include "backend/pbkdf2.h"

#include "lib/check.h"
#include "lib/mem.h"

#include <nettle/hmac.h>
#include <nettle/pbkdf2.h>
#include <string.h>

union mac {
    struct hmac_sha1_ctx sha1;
    struct hmac_sha256_ctx sha256;
    struct hmac_sha512_ctx sha512;
};

/* wipe_stack - what nettle has left of its rounds below us. */
static __attribute__((noinline)) void wipe_stack(void)
{
    uint8_t room[4096];
    mem_wipe(room, sizeof(room));
}

void pbkdf2_derive(int hash, const char *password, const uint8_t *salt, size_t salt_len, uint32_t iterations,
                   uint8_t *out)
{
    const size_t len = strlen(password);
    const uint8_t *key = (const uint8_t *)password;
    union mac mac;
    CHECK(hash >= 0 && hash < STORE_HASHES && iterations > 0);
    switch (hash) {
    case STORE_HASH_SHA1:
        hmac_sha1_set_key(&mac.sha1, len, key);
        PBKDF2(&mac.sha1, hmac_sha1_update, hmac_sha1_digest, SHA1_DIGEST_SIZE, iterations, salt_len, salt,
               SHA1_DIGEST_SIZE, out);
        break;
    case STORE_HASH_SHA256:
        hmac_sha256_set_key(&mac.sha256, len, key);
        PBKDF2(&mac.sha256, hmac_sha256_update, hmac_sha256_digest, SHA256_DIGEST_SIZE, iterations, salt_len, salt,
               SHA256_DIGEST_SIZE, out);
        break;
    default:
        hmac_sha512_set_key(&mac.sha512, len, key);
        PBKDF2(&mac.sha512, hmac_sha512_update, hmac_sha512_digest, SHA512_DIGEST_SIZE, iterations, salt_len, salt,
               SHA512_DIGEST_SIZE, out);
        break;
    }
    mem_wipe(&mac, sizeof(mac));
    wipe_stack();
}

#include "backend/scram.h"

#include "backend/pbkdf2.h"
#include "lib/mem.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>
#include <unicode/usprep.h>
#include <unicode/ustring.h>

enum { PASSWORD_MAX_UNITS = 1024, FAKE_BYTES = 32 };
_Static_assert(2 * FAKE_BYTES == STORE_SALT_MAX_BYTES && 2 * FAKE_BYTES == STORE_KEY_MAX_BYTES, "two halves fill them");

static const char *const NAMES[STORE_HASHES] = {
    [STORE_HASH_SHA1] = "SHA-1", [STORE_HASH_SHA256] = "SHA-256", [STORE_HASH_SHA512] = "SHA-512"};

const char *scram_hash_name(int hash)
{
    return NAMES[hash];
}

static const EVP_MD *hash_digest(int hash)
{
    switch (hash) {
    case STORE_HASH_SHA1:
        return EVP_sha1();
    case STORE_HASH_SHA256:
        return EVP_sha256();
    default:
        CHECK(hash == STORE_HASH_SHA512);
        return EVP_sha512();
    }
}

/* RFC 4013 section 2.1 maps spaces other than ASCII's to it (RFC 3454 table C.1.2), which ICU's profile forbids. */
static bool is_other_space(UChar c)
{
    return c == 0x00A0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200B) || c == 0x202F || c == 0x205F || c == 0x3000;
}

int scram_prepare_password(const char *password, char *out, size_t cap)
{
    UChar raw[PASSWORD_MAX_UNITS], prepared[PASSWORD_MAX_UNITS];
    UErrorCode error = U_ZERO_ERROR;
    int32_t raw_len, prepared_len = 0, out_len = 0;
    size_t len = strlen(password);

    if (len == 0 || len > PASSWORD_MAX_UNITS || cap == 0) return -1;
    u_strFromUTF8(raw, PASSWORD_MAX_UNITS, &raw_len, password, (int32_t)len, &error);
    for (int32_t i = 0; U_SUCCESS(error) && i < raw_len; i++) {
        if (is_other_space(raw[i])) raw[i] = ' ';
    }
    UStringPrepProfile *profile = usprep_openByType(USPREP_RFC4013_SASLPREP, &error);
    if (U_SUCCESS(error))
        prepared_len =
            usprep_prepare(profile, raw, raw_len, prepared, PASSWORD_MAX_UNITS, USPREP_DEFAULT, NULL, &error);
    if (profile) usprep_close(profile);
    if (U_SUCCESS(error)) u_strToUTF8(out, (int32_t)(cap - 1), &out_len, prepared, prepared_len, &error);
    mem_wipe(raw, sizeof raw);
    mem_wipe(prepared, sizeof prepared);
    if (U_FAILURE(error) || out_len == 0) {
        mem_wipe(out, cap);
        return -1;
    }
    out[out_len] = '\0';
    return 0;
}

static void hmac(const EVP_MD *digest, const void *key, size_t key_len, const void *data, size_t len, uint8_t *out)
{
    CHECK(HMAC(digest, key, (int)key_len, data, len, out, NULL) != NULL);
}

static void hash_once(const EVP_MD *digest, const void *data, size_t len, uint8_t *out)
{
    CHECK(EVP_Digest(data, len, out, NULL, digest, NULL) == 1);
}

void scram_derive(int hash, const char *prepared_password, struct store_scram_keys *keys)
{
    const EVP_MD *digest = hash_digest(hash);
    size_t len = (size_t)EVP_MD_get_size(digest);
    uint8_t salted[EVP_MAX_MD_SIZE], client_key[EVP_MAX_MD_SIZE];

    pbkdf2_derive(hash, prepared_password, keys->salt, keys->salt_len, keys->iterations, salted);
    hmac(digest, salted, len, "Client Key", 10, client_key);
    hash_once(digest, client_key, len, keys->stored_key);
    hmac(digest, salted, len, "Server Key", 10, keys->server_key);
    keys->key_len = len;
    mem_wipe(salted, sizeof salted);
    mem_wipe(client_key, sizeof client_key);
}

void scram_make_key(int hash, const char *prepared_password, uint32_t iterations, struct store_scram_keys *keys)
{
    *keys = (struct store_scram_keys){.iterations = iterations, .salt_len = SCRAM_SALT_BYTES};
    CHECK(RAND_bytes(keys->salt, SCRAM_SALT_BYTES) == 1);
    scram_derive(hash, prepared_password, keys);
}

void scram_make_keys(const char *prepared_password, uint32_t iterations, struct store_scram_keys keys[STORE_HASHES])
{
    for (int hash = 0; hash < STORE_HASHES; hash++)
        scram_make_key(hash, prepared_password, iterations, &keys[hash]);
}

/* fake_bytes - HMAC-SHA-256(secret, hash, purpose, name): looks random, and is the same at each try. */
static void fake_bytes(const uint8_t *secret, size_t secret_len, int hash, char purpose, const char *bare_jid,
                       uint8_t out[EVP_MAX_MD_SIZE])
{
    char label[3 + 2 * sizeof((struct store_account *)NULL)->local];
    size_t len = strnlen(bare_jid, sizeof label - 2);

    label[0] = (char)hash;
    label[1] = purpose;
    memcpy(label + 2, bare_jid, len);
    hmac(EVP_sha256(), secret, secret_len, label, len + 2, out);
}

uint64_t scram_dice(const uint8_t *secret, size_t secret_len, const char *bare_jid)
{
    uint8_t bytes[EVP_MAX_MD_SIZE];
    uint64_t dice = 0;

    fake_bytes(secret, secret_len, STORE_HASHES, 'd', bare_jid, bytes);
    memcpy(&dice, bytes, sizeof dice);
    return dice;
}

/* Two halves, for a salt or key may be longer than what fake_bytes makes. */
static void fake_long(const uint8_t *secret, size_t secret_len, int hash, char purpose, const char *bare_jid,
                      uint8_t out[2 * FAKE_BYTES])
{
    uint8_t bytes[EVP_MAX_MD_SIZE];

    for (int half = 0; half < 2; half++) {
        fake_bytes(secret, secret_len, hash + half * STORE_HASHES, purpose, bare_jid, bytes);
        memcpy(out + (ptrdiff_t)half * FAKE_BYTES, bytes, FAKE_BYTES);
    }
}

void scram_fake_keys(const uint8_t *secret, size_t secret_len, const char *bare_jid, int hash,
                     struct store_scram_keys *keys)
{
    keys->key_len = (size_t)EVP_MD_get_size(hash_digest(hash));
    fake_long(secret, secret_len, hash, 's', bare_jid, keys->salt);
    /* Not the hash of any key that a client could know. */
    fake_long(secret, secret_len, hash, 'k', bare_jid, keys->stored_key);
    fake_long(secret, secret_len, hash, 'v', bare_jid, keys->server_key);
}

bool scram_verify(int hash, const struct store_scram_keys *keys, const char *auth_message, const uint8_t *proof,
                  uint8_t *signature)
{
    const EVP_MD *digest = hash_digest(hash);
    size_t len = (size_t)EVP_MD_get_size(digest), message_len = strlen(auth_message);
    uint8_t client_key[EVP_MAX_MD_SIZE], stored_key[EVP_MAX_MD_SIZE];

    CHECK(keys->key_len == len);
    hmac(digest, keys->stored_key, len, auth_message, message_len, client_key);
    for (size_t i = 0; i < len; i++)
        client_key[i] ^= proof[i];
    hash_once(digest, client_key, len, stored_key);
    bool matches = CRYPTO_memcmp(stored_key, keys->stored_key, len) == 0;
    if (matches) hmac(digest, keys->server_key, len, auth_message, message_len, signature);
    mem_wipe(client_key, sizeof client_key);
    mem_wipe(stored_key, sizeof stored_key);
    return matches;
}

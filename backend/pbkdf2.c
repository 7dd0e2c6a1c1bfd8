/* The functions for single blocks are deprecated, and have no successors. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "backend/pbkdf2.h"

#include "lib/check.h"
#include "lib/mem.h"

#include <endian.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>

enum { BLOCK_MAX_BYTES = SHA512_CBLOCK, DIGEST_MAX_BYTES = SHA512_DIGEST_LENGTH };

union state {
    SHA_CTX sha1;
    SHA256_CTX sha256;
    SHA512_CTX sha512;
};

/* add: the state after one more block than from, which may be the same; result: as bytes. */
struct sha {
    const EVP_MD *(*digest)(void);
    size_t block_bytes, digest_bytes;
    void (*begin)(union state *state);
    void (*add)(union state *state, const union state *from, const uint8_t *block);
    void (*result)(const union state *state, uint8_t *out);
};

static void put_32(uint32_t word, uint8_t *out)
{
    word = htobe32(word);
    memcpy(out, &word, sizeof(word));
}

static void put_64(uint64_t word, uint8_t *out)
{
    word = htobe64(word);
    memcpy(out, &word, sizeof(word));
}

static void begin_1(union state *state)
{
    CHECK(SHA1_Init(&state->sha1) == 1);
}

static void add_1(union state *state, const union state *from, const uint8_t *block)
{
    state->sha1.h0 = from->sha1.h0;
    state->sha1.h1 = from->sha1.h1;
    state->sha1.h2 = from->sha1.h2;
    state->sha1.h3 = from->sha1.h3;
    state->sha1.h4 = from->sha1.h4;
    SHA1_Transform(&state->sha1, block);
}

static void result_1(const union state *state, uint8_t *out)
{
    const SHA_LONG words[] = {state->sha1.h0, state->sha1.h1, state->sha1.h2, state->sha1.h3, state->sha1.h4};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        put_32(words[i], out + 4 * i);
}

static void begin_256(union state *state)
{
    CHECK(SHA256_Init(&state->sha256) == 1);
}

static void add_256(union state *state, const union state *from, const uint8_t *block)
{
    memmove(state->sha256.h, from->sha256.h, sizeof(state->sha256.h));
    SHA256_Transform(&state->sha256, block);
}

static void result_256(const union state *state, uint8_t *out)
{
    for (size_t i = 0; i < ARRAY_LEN(state->sha256.h); i++)
        put_32(state->sha256.h[i], out + 4 * i);
}

static void begin_512(union state *state)
{
    CHECK(SHA512_Init(&state->sha512) == 1);
}

static void add_512(union state *state, const union state *from, const uint8_t *block)
{
    memmove(state->sha512.h, from->sha512.h, sizeof(state->sha512.h));
    SHA512_Transform(&state->sha512, block);
}

static void result_512(const union state *state, uint8_t *out)
{
    for (size_t i = 0; i < ARRAY_LEN(state->sha512.h); i++)
        put_64(state->sha512.h[i], out + 8 * i);
}

static const struct sha SHAS[STORE_HASHES] = {
    [STORE_HASH_SHA1] = {EVP_sha1, SHA_CBLOCK, SHA_DIGEST_LENGTH, begin_1, add_1, result_1},
    [STORE_HASH_SHA256] = {EVP_sha256, SHA256_CBLOCK, SHA256_DIGEST_LENGTH, begin_256, add_256, result_256},
    [STORE_HASH_SHA512] = {EVP_sha512, SHA512_CBLOCK, SHA512_DIGEST_LENGTH, begin_512, add_512, result_512},
};

/* The key as HMAC has it, and what both its hashes begin with.  Source: RFC 2104 section 2. */
struct keyed {
    uint8_t key[BLOCK_MAX_BYTES];
    union state inner, outer;
};

static void begin(const struct sha *sha, const char *password, struct keyed *keyed)
{
    const size_t len = strlen(password);
    uint8_t pad[BLOCK_MAX_BYTES];
    memset(keyed, 0, sizeof(*keyed));
    if (len > sha->block_bytes)
        CHECK(EVP_Digest(password, len, keyed->key, NULL, sha->digest(), NULL) == 1);
    else
        memcpy(keyed->key, password, len);
    for (size_t i = 0; i < sha->block_bytes; i++)
        pad[i] = keyed->key[i] ^ 0x36;
    sha->begin(&keyed->inner);
    sha->add(&keyed->inner, &keyed->inner, pad);
    for (size_t i = 0; i < sha->block_bytes; i++)
        pad[i] = keyed->key[i] ^ 0x5c;
    sha->begin(&keyed->outer);
    sha->add(&keyed->outer, &keyed->outer, pad);
    mem_wipe(pad, sizeof(pad));
}

/* The first round, whose input is of any length. */
static void first_round(const struct sha *sha, const struct keyed *keyed, const uint8_t *salt, size_t salt_len,
                        uint8_t *out)
{
    uint8_t input[STORE_SALT_MAX_BYTES + 4];
    CHECK(salt_len <= STORE_SALT_MAX_BYTES);
    memcpy(input, salt, salt_len);
    memcpy(input + salt_len, (const uint8_t[]){0, 0, 0, 1}, 4);
    CHECK(HMAC(sha->digest(), keyed->key, (int)sha->block_bytes, input, salt_len + 4, out, NULL) != NULL);
}

/* One more block is all that either hash of a later round has: the last result, with the end of a message that is this
 * and the pad long. */
static void make_block(const struct sha *sha, const uint8_t *first, uint8_t block[BLOCK_MAX_BYTES])
{
    memset(block, 0, BLOCK_MAX_BYTES);
    memcpy(block, first, sha->digest_bytes);
    block[sha->digest_bytes] = 0x80;
    put_32((uint32_t)(8 * (sha->block_bytes + sha->digest_bytes)), block + sha->block_bytes - 4);
}

void pbkdf2(int hash, const char *password, const uint8_t *salt, size_t salt_len, uint32_t iterations, uint8_t *out)
{
    CHECK(hash >= 0 && hash < STORE_HASHES && iterations > 0);
    const struct sha *sha = &SHAS[hash];
    struct keyed keyed;
    union state state;
    uint8_t block[BLOCK_MAX_BYTES], sum[DIGEST_MAX_BYTES];
    begin(sha, password, &keyed);
    first_round(sha, &keyed, salt, salt_len, sum);
    make_block(sha, sum, block);
    for (uint32_t round = 1; round < iterations; round++) {
        sha->add(&state, &keyed.inner, block);
        sha->result(&state, block);
        sha->add(&state, &keyed.outer, block);
        sha->result(&state, block);
        for (size_t i = 0; i < sha->digest_bytes; i++)
            sum[i] ^= block[i];
    }
    memcpy(out, sum, sha->digest_bytes);
    mem_wipe(&keyed, sizeof(keyed));
    mem_wipe(&state, sizeof(state));
    mem_wipe(block, sizeof(block));
    mem_wipe(sum, sizeof(sum));
}

#include "backend/pbkdf2.h"

#include "lib/check.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const EVP_MD *(*digest)(void);
    size_t bytes;
} HASHES[STORE_HASHES] = {
    [STORE_HASH_SHA1] = {EVP_sha1, 20}, [STORE_HASH_SHA256] = {EVP_sha256, 32}, [STORE_HASH_SHA512] = {EVP_sha512, 64}};

/* RFC 6070 section 2 and RFC 7914 section 11, as far as one block goes. */
static void test_known_answers(void **state)
{
    static const uint8_t SHA1[] = {0x4b, 0x00, 0x79, 0x01, 0xb7, 0x65, 0x48, 0x9a, 0xbe, 0xad,
                                   0x49, 0xd9, 0x26, 0xf7, 0x21, 0xd0, 0x65, 0xa4, 0x29, 0xc1};
    static const uint8_t SHA256[] = {0x55, 0xac, 0x04, 0x6e, 0x56, 0xe3, 0x08, 0x9f, 0xec, 0x16, 0x91,
                                     0xc2, 0x25, 0x44, 0xb6, 0x05, 0xf9, 0x41, 0x85, 0x21, 0x6d, 0xde,
                                     0x04, 0x65, 0xe6, 0x8b, 0x9d, 0x57, 0xc2, 0x0d, 0xac, 0xbc};
    uint8_t out[64];
    (void)state;
    pbkdf2_derive(STORE_HASH_SHA1, "password", (const uint8_t *)"salt", 4, 4096, out);
    assert_memory_equal(out, SHA1, sizeof(SHA1));
    pbkdf2_derive(STORE_HASH_SHA256, "passwd", (const uint8_t *)"salt", 4, 1, out);
    assert_memory_equal(out, SHA256, sizeof(SHA256));
}

/* Of every length around that of a block, beyond which HMAC hashes its key; not a byte too many is written. */
static void test_as_openssl_has_it(void **state)
{
    char password[300];
    uint8_t salt[STORE_SALT_MAX_BYTES], expected[65], out[65];
    (void)state;
    for (size_t i = 0; i < sizeof(salt); i++)
        salt[i] = (uint8_t)(i * 7);
    for (int hash = 0; hash < STORE_HASHES; hash++) {
        for (size_t len = 0; len < sizeof(password) - 1; len++) {
            const size_t salt_len = len % (sizeof(salt) + 1);
            const uint32_t iterations = 1 + (uint32_t)len % 5;
            memset(password, 'a' + (int)(len % 26), len);
            password[len] = '\0';
            memset(expected, 0xee, sizeof(expected));
            memset(out, 0xee, sizeof(out));
            assert_int_equal(PKCS5_PBKDF2_HMAC(password, (int)len, salt, (int)salt_len, (int)iterations,
                                               HASHES[hash].digest(), (int)HASHES[hash].bytes, expected),
                             1);
            pbkdf2_derive(hash, password, salt, salt_len, iterations, out);
            assert_memory_equal(out, expected, sizeof(out));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_answers), cmocka_unit_test(test_as_openssl_has_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "backend/scram.h"

#include "lib/base64.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The examples of RFC 5802 section 5 and RFC 7677 section 3: user "user", password "pencil". */
static const struct {
    int hash;
    const char *salt, *proof, *signature, *auth_message;
} EXAMPLES[] = {
    {STORE_HASH_SHA1, "QSXCR+Q6sek8bf92", "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
     "n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096,"
     "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j"},
    {STORE_HASH_SHA256, "W22ZaJ0SNY7soEsUEjb6gQ==", "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
     "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
     "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
     "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"},
};

static void test_examples_of_the_rfcs(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(EXAMPLES); i++) {
        struct store_scram_keys keys = {.iterations = 4096};
        uint8_t proof[64], wanted[64], signature[64];
        ssize_t salt_len = base64_decode(EXAMPLES[i].salt, strlen(EXAMPLES[i].salt), keys.salt);
        keys.salt_len = (size_t)salt_len;
        ssize_t len = base64_decode(EXAMPLES[i].proof, strlen(EXAMPLES[i].proof), proof);

        scram_derive(EXAMPLES[i].hash, "pencil", &keys);
        assert_int_equal(keys.key_len, len);
        assert_true(scram_verify(EXAMPLES[i].hash, &keys, EXAMPLES[i].auth_message, proof, signature));
        assert_int_equal(base64_decode(EXAMPLES[i].signature, strlen(EXAMPLES[i].signature), wanted), len);
        assert_memory_equal(signature, wanted, (size_t)len);

        for (ssize_t bit = 0; bit < len * 8; bit++) {
            proof[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_false(scram_verify(EXAMPLES[i].hash, &keys, EXAMPLES[i].auth_message, proof, signature));
            proof[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_false(scram_verify(EXAMPLES[i].hash, &keys, "n=user,another message", proof, signature));
    }
}

enum { ITERATIONS = 5000 };

static void test_saslprep(void **state)
{
    /* The first five: RFC 4013 section 3. */
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"I\xc2\xadX", "IX"},
        {"user", "user"},
        {"USER", "USER"},
        {"\xc2\xaa", "a"},
        {"\xe2\x85\xa8", "IX"},
        {"\x07", NULL},
        {"\xd8\xa7\x31", NULL},
        {"", NULL},
        {"\xc2\xad", NULL},
        {"a\xc2\xa0"
         "b",
         "a b"},
        {"a\xe3\x80\x80"
         "b",
         "a b"},
        {"\xff\xfe", NULL},
        {"p\xc3\xa4ss", "p\xc3\xa4ss"},
        {"pa\xcc\x88ss", "p\xc3\xa4ss"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[64];
        int result = scram_prepare_password(rows[i].in, out, sizeof out);
        assert_int_equal(result, rows[i].out ? 0 : -1);
        if (rows[i].out) assert_string_equal(out, rows[i].out);
    }
}

static void test_saslprep_limits(void **state)
{
    char longest[4096], out[2048], small[5];

    (void)state;
    memset(longest, 'a', sizeof longest);
    longest[1024] = '\0';
    assert_int_equal(scram_prepare_password(longest, out, sizeof out), 0);
    longest[1024] = 'a';
    longest[1025] = '\0';
    assert_int_equal(scram_prepare_password(longest, out, sizeof out), -1);
    assert_int_equal(scram_prepare_password("four", small, sizeof small), 0);
    assert_int_equal(scram_prepare_password("fives", small, sizeof small), -1);
}

static void test_made_keys_are_salted_and_fit(void **state)
{
    struct store_scram_keys a[STORE_HASHES], b[STORE_HASHES], again;

    (void)state;
    scram_make_keys("pencil", ITERATIONS, a);
    scram_make_keys("pencil", ITERATIONS, b);
    for (int hash = 0; hash < STORE_HASHES; hash++) {
        assert_int_equal(a[hash].iterations, ITERATIONS);
        assert_int_equal(a[hash].salt_len, SCRAM_SALT_BYTES);
        assert_memory_not_equal(a[hash].salt, b[hash].salt, SCRAM_SALT_BYTES);
        assert_memory_not_equal(a[hash].stored_key, b[hash].stored_key, a[hash].key_len);
        again = a[hash];
        memset(again.stored_key, 0, sizeof again.stored_key);
        scram_derive(hash, "pencil", &again);
        assert_memory_equal(again.stored_key, a[hash].stored_key, a[hash].key_len);
        scram_derive(hash, "pencils", &again);
        assert_memory_not_equal(again.stored_key, a[hash].stored_key, a[hash].key_len);
    }
    assert_memory_not_equal(a[0].salt, a[1].salt, SCRAM_SALT_BYTES);
}

static void fake(const char *secret, const char *bare, int hash, struct store_scram_keys *keys)
{
    *keys = (struct store_scram_keys){.iterations = ITERATIONS, .salt_len = SCRAM_SALT_BYTES};
    scram_fake_keys((const uint8_t *)secret, strlen(secret), bare, hash, keys);
}

static void test_fake_keys_look_real_and_stay(void **state)
{
    struct store_scram_keys real[STORE_HASHES], a, b;

    (void)state;
    scram_make_keys("pencil", ITERATIONS, real);
    for (int hash = 0; hash < STORE_HASHES; hash++) {
        fake("secret", "nobody@example.test", hash, &a);
        fake("secret", "nobody@example.test", hash, &b);
        assert_memory_equal(&a, &b, sizeof a);
        assert_int_equal(a.iterations, real[hash].iterations);
        assert_int_equal(a.salt_len, real[hash].salt_len);
        assert_int_equal(a.key_len, real[hash].key_len);
        fake("secret", "another@example.test", hash, &b);
        assert_memory_not_equal(a.salt, b.salt, SCRAM_SALT_BYTES);
        assert_memory_not_equal(a.stored_key, b.stored_key, a.key_len);
        fake("other secret", "nobody@example.test", hash, &b);
        assert_memory_not_equal(a.salt, b.salt, SCRAM_SALT_BYTES);
        fake("secret", "nobody@example.test", (hash + 1) % STORE_HASHES, &b);
        assert_memory_not_equal(a.salt, b.salt, SCRAM_SALT_BYTES);
        /* long ones are not half of zeros */
        assert_memory_not_equal(a.stored_key + 32, (uint8_t[32]){0}, 32);
    }
}

static void test_dice(void **state)
{
    const uint8_t *secret = (const uint8_t *)"secret";
    const uint64_t dice = scram_dice(secret, 6, "nobody@example.test");

    (void)state;
    assert_true(dice == scram_dice(secret, 6, "nobody@example.test"));
    assert_true(dice != scram_dice(secret, 6, "nobody@example.tesu"));
    assert_true(dice != scram_dice(secret, 5, "nobody@example.test"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_of_the_rfcs),
        cmocka_unit_test(test_saslprep),
        cmocka_unit_test(test_saslprep_limits),
        cmocka_unit_test(test_made_keys_are_salted_and_fit),
        cmocka_unit_test(test_fake_keys_look_real_and_stay),
        cmocka_unit_test(test_dice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

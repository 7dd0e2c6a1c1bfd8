#include "lib/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void rfc_vectors(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        char text[BASE64_TEXT_BYTES(6)];
        uint8_t data[BASE64_DATA_BYTES(8) + 1];
        assert_int_equal(base64_encode(pairs[i][0], strlen(pairs[i][0]), text), strlen(pairs[i][1]));
        assert_string_equal(text, pairs[i][1]);
        assert_int_equal(base64_decode(text, strlen(text), data), strlen(pairs[i][0]));
        assert_memory_equal(data, pairs[i][0], strlen(pairs[i][0]));
    }
}

static void every_byte(void **state)
{
    (void)state;
    for (unsigned b = 0; b < 256; b++) {
        const uint8_t in[2] = {(uint8_t)b, (uint8_t)(255 - b)};
        for (size_t len = 1; len <= 2; len++) {
            char text[BASE64_TEXT_BYTES(2)];
            uint8_t out[BASE64_DATA_BYTES(4)];
            assert_int_equal(base64_decode(text, base64_encode(in, len, text), out), len);
            assert_memory_equal(out, in, len);
        }
    }
}

static void refuses_what_is_not_strict(void **state)
{
    (void)state;
    static const char *const bad[] = {"=",        "Zg",    "Zg=",    "Z===", "====", "Zh==", "Zm9=",
                                      "Zg==Zg==", "Zm 9v", "Zm9v\n", "Zm9-", "Zm_v", "=Zg=", "Z=g="};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint8_t out[16];
        assert_int_equal(base64_decode(bad[i], strlen(bad[i]), out), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_vectors),
        cmocka_unit_test(every_byte),
        cmocka_unit_test(refuses_what_is_not_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

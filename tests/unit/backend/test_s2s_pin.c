/* Fingerprints of keys, as they are written in a configuration. */
#include "backend/s2s_pin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static void each_form_is_the_same_pin(void **state)
{
    (void)state;
    static const char *const FORMS[] = {
        "sha256:" HEX,
        "sha256:000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
        "sha256:00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12:13:14:15:16:17:18:19:1a:1b:1c:1d:1e:1f",
        "sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    };
    for (size_t i = 0; i < sizeof(FORMS) / sizeof(FORMS[0]); i++) {
        uint8_t pin[S2S_PIN_BYTES];
        assert_true(s2s_pin_parse(FORMS[i], pin));
        for (size_t k = 0; k < S2S_PIN_BYTES; k++)
            assert_int_equal(pin[k], k);
    }
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    uint8_t pin[S2S_PIN_BYTES];
    char text[S2S_PIN_TEXT_BYTES];
    assert_true(s2s_pin_parse("sha256:" HEX, pin));
    assert_string_equal(s2s_pin_format(pin, text), "sha256:" HEX);
}

static void others_are_no_pins(void **state)
{
    (void)state;
    static const char *const WRONG[] = {
        "",
        "sha256:",
        HEX,
        "sha1:" HEX,
        "sha256:" HEX "0",
        "sha256:" HEX "00",
        "sha256:0" HEX,
        "sha256::" HEX,
        "sha256:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1",
        "sha256:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1g",
        "sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=",
        "sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8 ",
    };
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        uint8_t pin[S2S_PIN_BYTES];
        if (s2s_pin_parse(WRONG[i], pin)) fail_msg("\"%s\" was taken", WRONG[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_is_the_same_pin),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(others_are_no_pins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

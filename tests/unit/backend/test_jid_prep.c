#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The fast paths for ASCII and the ways through ICU are compared with each other. */
#include "backend/jid_prep.c" // NOLINT(bugprone-suspicious-include)

#include <stdio.h>

typedef int prep_fn(const char *text, size_t len, char *out, const char **why);

static void same(prep_fn *fast, prep_fn *slow, const char *text, size_t len)
{
    char quick[JID_PART_MAX_BYTES + 1] = "", thorough[JID_PART_MAX_BYTES + 1] = "";
    const char *why = NULL;
    int a = fast(text, len, quick, &why), b = slow(text, len, thorough, &why);
    if (a != b) fail_msg("\"%.*s\": fast %d, by ICU %d", (int)len, text, a, b);
    if (a == 0) assert_string_equal(quick, thorough);
}

static void every_character(void **state)
{
    (void)state;
    for (int c = 0; c < 0x80; c++) {
        const char text[] = {'a', (char)c, 'b'};
        for (size_t from = 0; from < 2; from++) {
            for (size_t to = 2; to <= 3; to++) {
                same(ascii_local, unicode_local, text + from, to - from);
                same(ascii_resource, unicode_resource, text + from, to - from);
                if (c != 0) same(ascii_domain, unicode_domain, text + from, to - from);
            }
        }
    }
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 16;
}

static void generated_texts(void **state)
{
    (void)state;
    static const char letters[] = "aZ0.-b9-.x_nN";
    uint32_t seed = 7;
    unsigned compared = 0;
    for (unsigned i = 0; i < 20000; i++) {
        char text[300];
        size_t len = next_random(&seed) % (i % 10 == 0 ? 280 : 12) + 1;
        for (size_t k = 0; k < len; k++) {
            text[k] = letters[next_random(&seed) % (i % 2 ? 6 : sizeof(letters) - 1)];
        }
        if (has_a_label(text, len)) continue; /* never on the fast path */
        same(ascii_domain, unicode_domain, text, len);
        compared++;
    }
    assert_true(compared > 19000);
}

static void lengths(void **state)
{
    (void)state;
    char text[JID_PART_MAX_BYTES + 1];
    memset(text, 'L', sizeof(text));
    for (size_t i = 60; i < sizeof(text); i += 61) {
        text[i] = '.';
    }
    for (size_t len = 1; len <= JID_PART_MAX_BYTES; len++) {
        same(ascii_domain, unicode_domain, text, len);
        same(ascii_local, unicode_local, text, len);
        same(ascii_resource, unicode_resource, text, len);
    }
    memset(text, 'L', sizeof(text));
    for (size_t len = 60; len < 70; len++) {
        same(ascii_domain, unicode_domain, text, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character),
        cmocka_unit_test(generated_texts),
        cmocka_unit_test(lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

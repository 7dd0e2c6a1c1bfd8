/* Where another server is, as it is written in a configuration. */
#include "backend/s2s_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

static void names_and_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum s2s_tls tls;
        const char *name; /* NULL: it is no place */
        uint16_t port;
    } ROWS[] = {
        {"xmpp.example.net", S2S_TLS_STARTTLS, "xmpp.example.net", 5269},
        {"xmpp.example.net", S2S_TLS_DIRECT, "xmpp.example.net", 5270},
        {"XMPP.Example.net.:1234", S2S_TLS_DIRECT, "xmpp.example.net", 1234},
        {"xn--bcher-kva.example", S2S_TLS_STARTTLS, "xn--bcher-kva.example", 5269},
        {"192.0.2.7:65535", S2S_TLS_STARTTLS, "192.0.2.7", 65535},
        {"[2001:DB8::1]", S2S_TLS_STARTTLS, "2001:db8::1", 5269},
        {"[::1]:5270", S2S_TLS_STARTTLS, "::1", 5270},
        {"bücher.example", S2S_TLS_STARTTLS, NULL, 0},
        {"::1", S2S_TLS_STARTTLS, NULL, 0},
        {"[::1", S2S_TLS_STARTTLS, NULL, 0},
        {"example.net:", S2S_TLS_STARTTLS, NULL, 0},
        {"example.net:0", S2S_TLS_STARTTLS, NULL, 0},
        {"example.net:65536", S2S_TLS_STARTTLS, NULL, 0},
        {"example.net:5269x", S2S_TLS_STARTTLS, NULL, 0},
        {"example.net:-1", S2S_TLS_STARTTLS, NULL, 0},
        {":5269", S2S_TLS_STARTTLS, NULL, 0},
        {"a b", S2S_TLS_STARTTLS, NULL, 0},
        {"", S2S_TLS_STARTTLS, NULL, 0},
    };
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct s2s_place place;
        if (s2s_place_parse(ROWS[i].text, ROWS[i].tls, &place) != (ROWS[i].name != NULL))
            fail_msg("\"%s\" was taken, or not", ROWS[i].text);
        if (!ROWS[i].name) continue;
        assert_string_equal(place.name, ROWS[i].name);
        assert_int_equal(place.port, ROWS[i].port);
        assert_int_equal(place.tls, ROWS[i].tls);
        free(place.name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names_and_addresses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

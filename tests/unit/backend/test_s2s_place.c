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
        const char *name; /* NULL: it is no place */
        enum s2s_tls tls;
        uint16_t port;
    } ROWS[] = {
        {"xmpp.example.net", "xmpp.example.net", S2S_TLS_STARTTLS, 5269},
        {"xmpp.example.net", "xmpp.example.net", S2S_TLS_DIRECT, 5270},
        {"XMPP.Example.net.:1234", "xmpp.example.net", S2S_TLS_DIRECT, 1234},
        {"xn--bcher-kva.example", "xn--bcher-kva.example", S2S_TLS_STARTTLS, 5269},
        {"192.0.2.7:65535", "192.0.2.7", S2S_TLS_STARTTLS, 65535},
        {"[2001:DB8::1]", "2001:db8::1", S2S_TLS_STARTTLS, 5269},
        {"[::1]:5270", "::1", S2S_TLS_STARTTLS, 5270},
        {"bücher.example", NULL, S2S_TLS_STARTTLS, 0},
        {"::1", NULL, S2S_TLS_STARTTLS, 0},
        {"[::1", NULL, S2S_TLS_STARTTLS, 0},
        {"example.net:", NULL, S2S_TLS_STARTTLS, 0},
        {"example.net:0", NULL, S2S_TLS_STARTTLS, 0},
        {"example.net:65536", NULL, S2S_TLS_STARTTLS, 0},
        {"example.net:5269x", NULL, S2S_TLS_STARTTLS, 0},
        {"example.net:-1", NULL, S2S_TLS_STARTTLS, 0},
        {":5269", NULL, S2S_TLS_STARTTLS, 0},
        {"a b", NULL, S2S_TLS_STARTTLS, 0},
        {"", NULL, S2S_TLS_STARTTLS, 0},
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

#include "gateway/server_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static struct server_text parse(const char *text)
{
    struct server_text server;
    char why[512] = "";
    int rc = server_text_parse(text, &server, why, sizeof(why));
    if (rc != 0) fail_msg("%s: %s", text, why);
    return server;
}

static void test_places(void **state)
{
    (void)state;
    struct server_text server = parse("10.0.0.1:8443");
    assert_string_equal(server.name, "10.0.0.1:8443");
    assert_null(server.host);
    assert_int_equal(addr_port(&server.at.ip), 8443);
    assert_int_equal(server.weight, 1);
    assert_int_equal(server.max_connections, 0);
    assert_false(server.backup);
    server_text_clear(&server);

    server = parse("[2001:db8::1]:1 backup");
    assert_int_equal(server.at.sa.sa_family, AF_INET6);
    assert_true(server.backup);
    server_text_clear(&server);

    server = parse("unix:/run/x.sock weight=256");
    assert_string_equal(server.at.un.sun_path, "/run/x.sock");
    assert_int_equal(server.weight, 256);
    server_text_clear(&server);

    server = parse("  www-2.Example.com.:65535\tmax-connections=1000000  weight=1 backup ");
    assert_string_equal(server.name, "www-2.Example.com.:65535");
    assert_string_equal(server.host, "www-2.Example.com.");
    assert_int_equal(server.port, 65535);
    assert_int_equal(server.at.sa.sa_family, AF_UNSPEC);
    assert_int_equal(server.max_connections, 1000000);
    server_text_clear(&server);
    assert_null(server.name);
}

static const struct {
    const char *text, *expected;
} WRONG[] = {
    {"", "an address or a host name"},
    {"10.0.0.1", "an address or a host name"},
    {"10.0.0.1:0", "port from 1"},
    {"10.0.0.256:80", "an address or a host name"},
    {"*:80", "an address or a host name"},
    {"[*]:80", "an address or a host name"},
    {"[::1]", "an address or a host name"},
    {"www..example.com:80", "an address or a host name"},
    {"www.ex ample.com:80", "an address or a host name"},
    {"-:x", "port from 1"},
    {":80", "an address or a host name"},
    {"a_b.example:65536", "port from 1"},
    {"a.example:", "port from 1"},
    {"unix:run", "absolute path"},
    {"10.0.0.1:80 weight", "weight=NUMBER"},
    {"10.0.0.1:80 weight=0", "weight from 1"},
    {"10.0.0.1:80 weight=257", "weight from 1"},
    {"10.0.0.1:80 weight=+1", "weight from 1"},
    {"10.0.0.1:80 weight=1 weight=1", "each parameter once"},
    {"10.0.0.1:80 max-connections=0", "from 1 to 1000000"},
    {"10.0.0.1:80 max-connections=1000001", "from 1 to 1000000"},
    {"10.0.0.1:80 max-connections=99999999999999999999", "from 1 to 1000000"},
    {"10.0.0.1:80 max-connections=", "from 1 to 1000000"},
    {"10.0.0.1:80 backup backup", "each parameter once"},
    {"10.0.0.1:80 backups", "weight=NUMBER"},
    {"10.0.0.1:80 max_conns=3", "weight=NUMBER"},
};

static void test_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(WRONG); i++) {
        struct server_text server;
        char why[512] = "";
        if (server_text_parse(WRONG[i].text, &server, why, sizeof(why)) != -1) fail_msg("\"%s\"", WRONG[i].text);
        if (strstr(why, WRONG[i].expected) == NULL) fail_msg("\"%s\": %s", WRONG[i].text, why);
        assert_null(server.name);
    }
    char text[400], why[512];
    struct server_text server;
    memset(text, 'a', sizeof(text));
    strcpy(text + sizeof(text) - 10, ".b:80");
    assert_int_equal(server_text_parse(text, &server, why, sizeof(why)), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/gateway_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char GOOD[] = "user = \"nobody\"\n"
                           "listener \"l\" { address = {\"*:443\", \"[*]:443\"} backlog = 7 }\n"
                           "upstream \"u\" { server = \"unix:/run/u\" proxy-protocol = v1 connect-timeout = 3s }\n"
                           "backend \"b\" { inlet = \"/run/inlet\" }\n"
                           "route \"x\" { alpn = \"xmpp-client\" handoff = \"b\" }\n"
                           "route \"w\" { proxy = \"u\" }\n";

/* The configuration that text makes; NULL leaves the message in error. */
static struct gateway_config *load(const char *text, char *error, size_t cap)
{
    char path[] = "/tmp/test_gateway_config.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    struct gateway_config *config = gateway_config_load(path, error, cap);
    unlink(path);
    return config;
}

static void test_good_file(void **state)
{
    (void)state;
    char error[512] = "";
    struct gateway_config *config = load(GOOD, error, sizeof(error));
    assert_string_equal(error, "");
    assert_non_null(config);
    assert_int_equal(config->workers, 1);
    assert_int_equal(config->peek_timeout_ms, 5000);
    assert_int_equal(config->listener_count, 1);
    assert_int_equal(config->listeners[0].address_count, 2);
    assert_int_equal(config->listeners[0].backlog, 7);
    assert_int_equal(listener_config_address(&config->listeners[0], 1)->sa.sa_family, AF_INET6);
    assert_int_equal(config->upstreams[0].proxy_protocol, UPSTREAM_PROXY_V1);
    assert_int_equal(config->upstreams[0].connect_timeout_ms, 3000);
    assert_int_equal(config->upstreams[0].servers[0].at.sa.sa_family, AF_UNIX);
    assert_string_equal(config->backends[0].inlets[0].un.sun_path, "/run/inlet");
    assert_int_equal(gateway_config_upstream(config, "u"), 0);
    assert_int_equal(gateway_config_backend(config, "b"), 0);
    assert_int_equal(route_count(config->routes), 2);
    gateway_config_free(&config);
    assert_null(config);
}

struct wrong {
    const char *text, *where, *what;
};

/* 107 bytes, so that it is one too long behind a slash. */
#define NAME_20   "abcdefghijklmnopqrst"
#define LONG_NAME NAME_20 NAME_20 NAME_20 NAME_20 NAME_20 "uvwxyz0"

/* Each is wrong in one point; where is "LINE:". */
static const struct wrong WRONG[] = {
    {"user = \"nobody\"\nroute \"r\" { refuse = close }\n", "", "listener"},
    {"listener \"l\" { }\n", ":1:", "at least one address"},
    {"listener \"l\" { address = \"unix:/x\" }\n", ":1:", "Unix socket"},
    {"listener \"l\" { address = \"*:1\" }\nlistener \"m\" {\naddress = {\"*:2\", \"*:1\"} }\n",
     ":3:", "listener \"l\""},
    {"listener \"l\" { address = {\"*:1\", \"*:1\"} }\n", ":1:", "already used"},
    {"listener \"l\" { address = {\"127.0.0.1:1\", \"*:1\"} }\n", ":1:", "*:1 is already used by 127.0.0.1:1"},
    {"listener \"l\" { address = \"*:1\" }\nupstream \"u\" { server = \"127.0.0.1:0\" }\n", ":2:", "from 1 to 65535"},
    {"control-socket = \"/" LONG_NAME "\"\n", ":1:", "at most 107 bytes"},
    {"listener \"l\" { address = \"*:1\" }\nbackend \"b\" { inlet = \"/" LONG_NAME "\" }\n",
     ":2:", "at most 107 bytes"},
    {"listener \"l\" { address = \"*:1\" }\n\nupstream \"u\" { }\n", ":3:", "at least one server"},
    {"listener \"l\" { address = \"*:1\" }\nbackend \"b\" { }\n", ":2:", "inlet"},
    {"listener \"l\" { address = \"*:1\" }\nbackend \"b\" { inlet = {\"/a\", \"/b\", \"/a\"} }\n",
     ":2:", "given twice"},
    {"listener \"l\" { address = \"*:1\" }\nbackend \"b\" { inlet = \"/a\"\nfallback = \"u\" }\n",
     ":3:", "title of a section \"upstream\""},
    {"listener \"l\" { address = \"*:1\" }\nupstream \"u\" { server = {\"a.example:1\", \"a.example:1 backup\"} }\n",
     ":2:", "given twice"},
    {"listener \"l\" { address = \"*:1\" }\nupstream \"u\" {\nserver = \"a.example:1 weight=x\" }\n",
     ":3:", "a weight from 1 to 256"},
    {"listener \"l\" { address = \"*:1\" }\nupstream \"u\" { server = \"unix:/x\" transparent = true }\n",
     ":2:", "no Unix socket beside transparent"},
    {"listener \"l\" { address = \"*:1\" }\nupstream \"u\" { server = \"a.example:1\"\nfail-timeout = 1h }\n",
     ":2:", "no less than fail-timeout"},
    {"listener \"l\" { address = \"*:1\" }\n", "", "route"},
    {"user = \"no-such-user\"\nlistener \"l\" { address = \"*:1\" }\nroute \"r\" { refuse = close }\n",
     ":1:", "no-such-user"},
    {"listener \"l\" { address = \"*:1\" }\nuser = \"root\"\nroute \"r\" { refuse = close }\n", ":2:", "unprivileged"},
    {"user = \"nobody\"\ngroup = \"no-such-group\"\nlistener \"l\" { address = \"*:1\" }\nroute \"r\" { refuse = close "
     "}\n",
     ":2:", "no-such-group"},
    {"connection-rate-per-source = \"20\"\n", ":1:", "such as \"20/s\""},
    {"connection-rate-per-source = \"0/s\"\n", ":1:", "not \"0/s\""},
    {"connection-rate-per-source = \"20/d\"\n", ":1:", "not \"20/d\""},
    {"connection-rate-per-source = \"-1/s\"\n", ":1:", "not \"-1/s\""},
    {"connection-rate-per-source = \"10001/s\"\n", ":1:", "at most \"10000/s\""},
    {"connection-rate-per-source = \"1/h\"\nconnection-burst-per-source = 1000\n", ":2:", "within seven days"},
    {"unlimited-sources = \"192.0.2.1/24\"\n", ":1:", "behind the prefix"},
    {"listener \"l\" { address = \"*:1\"\nproxy-protocol-from = \"loopback\" }\n", ":2:", "proxy-protocol-from"},
    {"listener \"l\" { address = \"*:1\" serve = admin\nproxy-protocol-from = \"::1\" }\n", ":2:", "for routes"},
    {"listener \"l\" { address = \"*:1\"\ndefer-accept = true }\nroute \"s\" { on-timeout = true refuse = close }\n",
     ":2:", "route \"s\" of line 3"},
    {"listener \"l\" { address = \"*:1\"\ndefer-accept = true }\nlistener \"m\" { address = \"*:2\" }\n"
     "route \"s\" { listener = {\"m\", \"l\"} on-timeout = true refuse = close }\n",
     ":2:", "route \"s\" of line 4"},
    {"listener \"l\" { address = \"*:1\" }\nroute \""
     "0123456789012345678901234567890123456789012345678901234567890123\" { refuse = close }\n",
     ":2:", "1 to 63 bytes"},
};

static void test_wrong_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(WRONG); i++) {
        char error[512] = "";
        assert_null(load(WRONG[i].text, error, sizeof(error)));
        if (strstr(error, WRONG[i].where) == NULL || strstr(error, WRONG[i].what) == NULL)
            fail_msg("file %zu: \"%s\" lacks \"%s\" or \"%s\"", i, error, WRONG[i].where, WRONG[i].what);
    }
}

static const char LIMITED[] =
    "user = \"nobody\"\npeek-timeout = 1500ms\n"
    "connection-rate-per-source = \"100/m\" connection-burst-per-source = 7 max-connections-per-source = 8\n"
    "max-probing-per-source = 9 unlimited-sources = {\"192.0.2.1\", \"2001:db8::/32\"} max-probing = 10\n"
    "probing-memory = 1m\n"
    "listener \"l\" { address = \"*:1\" defer-accept = true freebind = true proxy-protocol-from = \"10.0.0.0/8\" }\n"
    "listener \"m\" { address = \"*:2\" }\n"
    "route \"s\" { listener = \"m\" on-timeout = true refuse = close }\n";

static void test_limits(void **state)
{
    (void)state;
    char error[512] = "";
    struct gateway_config *config = load(LIMITED, error, sizeof(error));
    assert_string_equal(error, "");
    assert_non_null(config);
    assert_int_equal(config->limits.rate_per_source.interval_us, 600000);
    assert_int_equal(config->limits.rate_per_source.burst, 7);
    assert_int_equal(config->limits.connections_per_source, 8);
    assert_int_equal(config->limits.probing_per_source, 9);
    assert_int_equal(config->limits.unlimited.count, 2);
    assert_int_equal(config->limits.probing, 10);
    assert_int_equal(config->limits.probing_memory_bytes, 1 << 20);
    assert_true(config->listeners[0].freebind && !config->listeners[1].freebind);
    assert_int_equal(config->listeners[0].defer_accept_s, 2);
    assert_int_equal(config->listeners[1].defer_accept_s, 0);
    assert_int_equal(config->listeners[0].proxy_from.count, 1);
    gateway_config_free(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_file),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_wrong_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

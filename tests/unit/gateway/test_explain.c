#include "gateway/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char CONFIG[] =
    "user = \"nobody\"\n"
    "listener \"public\" { address = \"127.0.0.1:1\" }\n"
    "listener \"inner\" { address = \"127.0.0.1:2\" }\n"
    "upstream \"web\" { server = {\"127.0.0.1:3\", \"unix:/run/web\"} }\n"
    "backend \"chat\" { inlet = \"/run/inlet\" }\n"
    "pattern \"odd\" { regex = '^\\x01\\x02' }\n"
    "pattern \"steps\" { regex = '^(?:a|aa|aaa)+b' }\n"
    "route \"chat\" { sni = {\"chat.example.test\", \"*.chat.example.test\"} handoff = \"chat\" }\n"
    "route \"inner\" { listener = \"inner\" alpn = {\"h2\"} proxy = \"web\" } "
    "route \"old\" { tls-version = {\"1.0\", \"1.1\"} no-alpn = true no-sni = true proxy = \"web\" } "
    "route \"www\" { sni = {'~^www[0-9]', \"y.test\"} ech = true proxy = \"web\" }\n"
    "route \"many\" { sni = {\"a.test\", \"b.test\", \"c.test\", \"d.test\", \"e.test\", \"f.test\", "
    "\"g.test\", \"h.test\"} alpn = \"x\" proxy = \"web\" }\n"
    "route \"tls\" { protocol = \"tls\" proxy = \"web\" }\n"
    "route \"odd\" { protocol = {\"odd\", \"steps\", \"xmpp\"} refuse = reset }\n"
    "route \"silent\" { on-timeout = true proxy = \"web\" }\n"
    "route \"net\" { source = {\"192.0.2.0/24\", \"::1\"} destination = {\"*:443\", \"[2001:db8::/32]:443\"} "
    "protocol = \"ssh\" proxy = \"web\" }\n";

static struct gateway_config *config;

static int setup(void **state)
{
    (void)state;
    char path[] = "/tmp/test_explain.XXXXXX", error[512] = "";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "%s", CONFIG) > 0);
    close(fd);
    config = gateway_config_load(path, error, sizeof(error));
    unlink(path);
    assert_string_equal(error, "");
    assert_non_null(config);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gateway_config_free(&config);
    return 0;
}

/* The result must be wanted, and the text (or the error, for -1) must have the parts in this order. */
static void explains(const struct explain_request request, int wanted, const char *const *parts)
{
    char *text = NULL, error[512] = "";
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    int result = explain_run(&request, config, out, error, sizeof(error));
    fclose(out);
    print_message("%s%s\n", text, error);
    assert_int_equal(result, wanted);
    const char *at = wanted < 0 ? error : text;
    for (; *parts != NULL; parts++) {
        const char *found = strstr(at, *parts);
        if (found == NULL) fail_msg("missing: %s", *parts);
        at = found + strlen(*parts);
    }
    if (wanted < 0) assert_int_equal(len, 0);
    free(text);
}

#define EXPLAINS(wanted, request, ...)                                                                                 \
    explains((struct explain_request)request, wanted, (const char *const[]){__VA_ARGS__, NULL})
#define REQUEST(...)                                                                                                   \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

static void names_are_explained(void **state)
{
    (void)state;
    EXPLAINS(0, REQUEST(.sni = "a.CHAT.example.test", .alpn = "h2,http/1.1"), "listener \"public\"", "tls\n",
             "sni   a.chat.example.test\n", "alpn  h2,http/1.1\n", "route \"chat\" (line 8)", "protocol     yes  tls\n",
             "sni          yes  a.chat.example.test\n", "Taken: route \"chat\" (line 8)",
             "backend \"chat\" at /run/inlet");
    EXPLAINS(0, REQUEST(.sni = "www.example.test", .alpn = "h2", .listener = "inner"),
             "sni          NO   www.example.test is not chat.example.test, *.chat.example.test\n",
             "listener     yes  inner", "alpn         yes  offered: h2; one of: h2",
             "upstream \"web\" at 127.0.0.1:3, unix:/run/web");
    EXPLAINS(0, REQUEST(.sni = "www.example.test"), "alpn  none",
             "listener     NO   public is not inner\n    (not looked at: protocol, alpn)\n",
             "is not a.test, b.test, c.test, d.test, e.test, f.test and 2 more\n    (not looked at: alpn)\n",
             "Taken: route \"tls\" (line 11)");
    EXPLAINS(0, REQUEST(.alpn = "x"), "sni   none", "NO   the client sends no name; wanted: chat.example.test",
             "route \"tls\"");
    EXPLAINS(0, REQUEST(.sni = "a.test"), "alpn         NO   offered: nothing; wanted: x", "Taken: route \"tls\"");
}

static void bytes_are_explained(void **state)
{
    (void)state;
    EXPLAINS(0, REQUEST(.hex = "01:02 Ff"), "3 bytes, not", "hex   01 02 ff\n", "NO   is not tls",
             "protocol     yes  odd\n", "Taken: route \"odd\" (line 12): refuse (reset)");
    EXPLAINS(1, REQUEST(.hex = "01"), "1 byte,", "protocol     ?    could become odd\n", "Undecided", "route \"chat\"",
             "protocol     NO   is not xmpp, odd, steps\n", "on-timeout   NO   the client is not silent",
             "Taken: no route");
    EXPLAINS(0, REQUEST(.hex = "16030102000100"), "beginning of a ClientHello", "?    could become tls", "Undecided",
             "sni          NO   the ClientHello is not complete", "Taken: route \"tls\"");
    EXPLAINS(
        1, REQUEST(.hex = "616161616161616161616161616161616161616161616161616161616161616161616161616161616161616163"),
        " 61 ...\n", "too many steps", "no route");
    EXPLAINS(0, REQUEST(.silent = true), "nothing until peek-timeout", "NO   the client is silent, which is for",
             "(not looked at: protocol, sni)", "on-timeout   yes  the client is silent", "Taken: route \"silent\"");

    char path[] = "/tmp/test_explain.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    EXPLAINS(-1, REQUEST(.file = path), "no byte");
    assert_int_equal(write(fd, "\1\2\0", 3), 3);
    EXPLAINS(0, REQUEST(.file = path), "hex   01 02 00", "Taken: route \"odd\"");
    /* Beyond peek-limit nothing is looked at, and the decision is forced. */
    uint8_t many[20000] = {' '};
    memset(many, 'x', sizeof(many));
    assert_int_equal(pwrite(fd, many, sizeof(many), 3), sizeof(many));
    EXPLAINS(0, REQUEST(.file = path), "16384 bytes", "Taken: route \"odd\"");
    close(fd);
    unlink(path);
}

static void hellos_are_explained(void **state)
{
    (void)state;
    EXPLAINS(0, REQUEST(.tls_version = "1.1"), "tls   1.1\n", "tls-version  yes  offered: 1.1; one of: 1.0, 1.1\n",
             "Taken: route \"old\"");
    EXPLAINS(0, REQUEST(.tls_version = "1.3", .alpn = "h2"), "tls   1.3\n",
             "no-sni       yes  the client sends no name\n",
             "no-alpn      NO   offered: h2\n    (not looked at: tls-version)\n", "Taken: route \"tls\"");
    EXPLAINS(0, REQUEST(.tls_version = "1.2", .sni = "www1.test"), "tls   1.2\n",
             "no-sni       NO   the client asks for www1.test\n",
             "sni          yes  www1.test\n    ech          NO   not offered\n", "Taken: route \"tls\"");
    EXPLAINS(0, REQUEST(.tls_version = "1.3"), "tls-version  NO   offered: 1.3; wanted: 1.0, 1.1\n",
             "Taken: route \"tls\"");
    EXPLAINS(0, REQUEST(.sni = "www.test"), "sni          NO   www.test is not y.test, ~^www[0-9]\n",
             "Taken: route \"tls\"");
}

static void places_are_explained(void **state)
{
    (void)state;
    static const char SSH[] = "5353482d322e302d";
    EXPLAINS(0, REQUEST(.hex = SSH, .source = "192.0.2.7", .destination = "198.51.100.1:443"),
             "source       yes  192.0.2.7:0 is in 192.0.2.0/24, ::1\n",
             "destination  yes  198.51.100.1:443 is in *:443, [2001:db8::/32]:443\n", "Taken: route \"net\"");
    EXPLAINS(0, REQUEST(.hex = SSH, .source = "[::1]:5", .destination = "[2001:db8::9]:443"), "[::1]:5 is in",
             "Taken: route \"net\"");
    EXPLAINS(0, REQUEST(.hex = SSH, .source = "::1", .destination = "[2001:db8::9]:443"), "[::1]:0 is in",
             "Taken: route \"net\"");
    EXPLAINS(1, REQUEST(.hex = SSH, .source = "192.0.3.7:99"),
             "source       NO   192.0.3.7:99 is not in 192.0.2.0/24, ::1\n    (not looked at: destination, protocol)\n",
             "no route");
    EXPLAINS(1, REQUEST(.hex = SSH, .source = "192.0.2.7"), "destination  NO   unknown is not in", "no route");
    EXPLAINS(1, REQUEST(.hex = SSH), "source       NO   unknown is not in", "no route");
}

/* Of many rows that do not hold the first are told in full, and of the others why. */
static void many_rows_are_summed_up(void **state)
{
    (void)state;
    char path[] = "/tmp/test_explain.XXXXXX", error[512] = "";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "user = \"nobody\"\nlistener \"a\" { address = \"127.0.0.1:1\" }\n") > 0);
    for (int i = 0; i < 90; i++)
        assert_true(dprintf(fd, "route \"r%d\" { %s = \"10.0.0.%d\" refuse = close }\n", i,
                            i % 3 ? "source" : "destination", i) > 0);
    assert_true(dprintf(fd, "route \"x\" { protocol = \"xmpp\" refuse = close }\n") > 0);
    for (int i = 0; i < 9; i++)
        assert_true(dprintf(fd, "route \"s%d\" { sni = \"s%d.test\" refuse = close }\n", i, i) > 0);
    close(fd);
    struct gateway_config *kept = config;
    config = gateway_config_load(path, error, sizeof(error));
    unlink(path);
    assert_string_equal(error, "");
    EXPLAINS(0, REQUEST(.sni = "s3.test"), "route \"r0\"", "route \"r19\" (line 22)\n    source       NO",
             "\n  ... routes \"r20\" (line 23) to \"s2\" (line 96) do not hold: 47 by source, 23 by destination, 1 by "
             "protocol, "
             "3 by sni\n  route \"s3\" (line 97)\n",
             "Taken: route \"s3\"");
    EXPLAINS(1, REQUEST(.hex = "3c"), "... routes \"r20\" (line 23) to \"r89\" (line 92)", "route \"x\" (line 93)\n",
             "?    could become xmpp", "Undecided", "... routes \"r20\" (line 23) to \"s8\" (line 102)",
             "10 by protocol", "Taken: no route");
    gateway_config_free(&config);
    config = kept;
}

static void wrong_requests_are_refused(void **state)
{
    (void)state;
    EXPLAINS(-1, REQUEST(.listener = "inner"), "one of --sni");
    EXPLAINS(-1, REQUEST(.sni = "a.test", .silent = true), "one of --sni");
    EXPLAINS(-1, REQUEST(.hex = "00", .file = "x"), "one of --sni");
    EXPLAINS(-1, REQUEST(.listener = "nowhere", .silent = true), "--listener", "\"nowhere\"");
    EXPLAINS(-1, REQUEST(.tls_version = "1.4"), "--tls-version", "\"1.4\"");
    EXPLAINS(-1, REQUEST(.tls_version = "1.2", .silent = true), "one of --sni");
    EXPLAINS(-1, REQUEST(.silent = true, .source = "x"), "--source: expected an address", "\"x\"");
    EXPLAINS(-1, REQUEST(.silent = true, .source = "192.0.2.1:99999"), "--source: expected an address", "99999");
    EXPLAINS(-1, REQUEST(.silent = true, .destination = "*:443"), "--destination: expected an address", "*:443");
    EXPLAINS(-1, REQUEST(.silent = true, .destination = "unix:/x"), "--destination: expected an address", "unix:/x");
    EXPLAINS(-1, REQUEST(.silent = true, .destination = ""), "--destination: expected an address", "\"\"");
    EXPLAINS(-1, REQUEST(.silent = true, .inside = "nowhere"), "--inside: expected the title of a tls section",
             "nowhere");
    EXPLAINS(-1, REQUEST(.inside = "web", .sni = "a.test"), "with --inside one of the last three");
    EXPLAINS(-1, REQUEST(.inside = "web", .silent = true, .alpn = "h2,x"), "--alpn: expected the one name");
    EXPLAINS(-1, REQUEST(.inside = "web", .silent = true, .alpn = ""), "--alpn: expected the one name");
    EXPLAINS(-1, REQUEST(.inside = "web", .silent = true, .sni = "a b"), "--sni: expected a host name");
    EXPLAINS(-1, REQUEST(.inside = "web", .silent = true, .tls_version = "2"), "--tls-version: expected");
    EXPLAINS(-1, REQUEST(.hex = "0"), "--hex", "\"0\"");
    EXPLAINS(-1, REQUEST(.hex = "00 1g"), "--hex", "\"1g\"");
    EXPLAINS(-1, REQUEST(.hex = " "), "no byte");
    EXPLAINS(-1, REQUEST(.file = "/nonexistent/x"), "--bytes: /nonexistent/x: No such file");
    EXPLAINS(-1, REQUEST(.file = "/tmp"), "--bytes: /tmp: ");
    EXPLAINS(-1, REQUEST(.sni = ""), "--sni");
    EXPLAINS(-1, REQUEST(.alpn = ""), "--alpn");
    EXPLAINS(-1, REQUEST(.alpn = "h2,"), "--alpn");
    EXPLAINS(-1, REQUEST(.alpn = "h2,,x"), "--alpn");
    char longest[600];
    memset(longest, 'a', sizeof(longest));
    longest[256] = '\0';
    EXPLAINS(-1, REQUEST(.alpn = longest), "--alpn");
    EXPLAINS(-1, REQUEST(.sni = longest), "--sni");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_explained),     cmocka_unit_test(bytes_are_explained),
        cmocka_unit_test(hellos_are_explained),    cmocka_unit_test(places_are_explained),
        cmocka_unit_test(many_rows_are_summed_up), cmocka_unit_test(wrong_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

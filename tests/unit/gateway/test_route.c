#include "gateway/route.h"

#include "gateway/gateway_options.h"
#include "gateway/refusal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

#include "tests/unit/gateway/sample.h"

/* Six lines, so that the routes of a test begin in line 7. */
static const char SECTIONS[] = "listener \"public\" { address = {\"127.0.0.1:1\"} }\n"
                               "listener \"inner\" { address = {\"127.0.0.1:2\"} }\n"
                               "upstream \"web\" { server = {\"127.0.0.1:3\"} }\n"
                               "upstream \"ssh\" { server = {\"127.0.0.1:4\"} }\n"
                               "backend \"chat\" { inlet = \"/tmp/inlet\" }\n"
                               "\n";

struct loaded {
    struct option_file *file;
    struct route_table *table;
    char error[512];
};

static struct loaded load(const char *routes)
{
    struct loaded l = {0};
    char path[] = "/tmp/test_route.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "%s%s", SECTIONS, routes) > 0);
    close(fd);
    l.file = option_load(path, GATEWAY_OPTIONS, GATEWAY_OPTION_COUNT, l.error, sizeof(l.error));
    unlink(path);
    if (l.file != NULL) l.table = route_table_new(l.file, l.error, sizeof(l.error));
    return l;
}

static struct loaded load_good(const char *routes)
{
    struct loaded l = load(routes);
    assert_string_equal(l.error, "");
    assert_non_null(l.table);
    return l;
}

static void unload(struct loaded *l)
{
    route_table_free(&l->table);
    assert_null(l->table);
    option_file_free(&l->file);
}

/* The file must be refused with a message that has all the parts. */
static void refused(const char *routes, int line, const char *part, const char *part2)
{
    struct loaded l = load(routes);
    print_message("%s\n", l.error);
    assert_null(l.table);
    assert_non_null(strstr(l.error, part));
    assert_non_null(strstr(l.error, part2));
    char place[16];
    snprintf(place, sizeof(place), ":%d: ", line);
    assert_non_null(strstr(l.error, place));
    unload(&l);
}

/* The name of the row, or "more" or "none". */
static const char *find(struct loaded *l, const char *listener, const void *data, size_t len, bool final)
{
    struct sight sight = {.data = data, .len = len, .final = final};
    struct route *route = NULL;
    const struct route_query query = {.listener = listener};
    switch (route_find(l->table, &sight, &query, &route)) {
    case ROUTE_FOUND:
        return route->name;
    case ROUTE_MORE:
        return "more";
    case ROUTE_NONE:
        break;
    }
    return "none";
}

static const char *find_text(struct loaded *l, const char *text)
{
    return find(l, "public", text, strlen(text), false);
}

static const char *find_sample(struct loaded *l, const char *file)
{
    struct sample sample = sample_load(file);
    const char *name = find(l, "public", sample.data, sample.len, false);
    free(sample.data);
    return name;
}

static void rows_are_read(void **state)
{
    (void)state;
    struct loaded l = load_good("route \"one\" { protocol = {\"http\"} proxy = \"web\" }\n"
                                "route \"two\" { alpn = {\"xmpp-client\"} handoff = \"chat\" }\n"
                                "route \"three\" { protocol = {\"xmpp\"} refuse = \"reset\" }\n"
                                "route \"four\" { refuse = \"close\" }\n");
    assert_int_equal(route_count(l.table), 4);
    const struct route *one = route_at(l.table, 0), *two = route_at(l.table, 1);
    const struct route *three = route_at(l.table, 2), *four = route_at(l.table, 3);
    assert_string_equal(one->name, "one");
    assert_int_equal(one->action, ROUTE_PROXY);
    assert_string_equal(one->target, "web");
    assert_int_equal(one->line, 7);
    assert_int_equal(one->index, 0);
    assert_int_equal(two->action, ROUTE_HANDOFF);
    assert_string_equal(two->target, "chat");
    assert_int_equal(two->line, 8);
    assert_int_equal(two->index, 1);
    assert_int_equal(three->action, ROUTE_REFUSE);
    assert_null(three->target);
    assert_string_equal(three->refusal->name, "reset");
    assert_int_equal(four->action, ROUTE_REFUSE);
    assert_string_equal(four->refusal->name, "close");
    unload(&l);
}

static void words_fit_the_route(void **state)
{
    (void)state;
    struct loaded l = load_good("route \"name\" { sni = {\"a.test\"} refuse = tls-unrecognized-name }\n"
                                "route \"plain\" { protocol = {\"http\"} refuse = https-redirect }\n"
                                "route \"chat\" { protocol = {\"xmpp\"} refuse = xmpp-error }\n"
                                "route \"rest\" { refuse = tls-no-application-protocol }\n");
    assert_string_equal(route_at(l.table, 0)->refusal->name, "tls-unrecognized-name");
    assert_string_equal(route_at(l.table, 3)->refusal->name, "tls-no-application-protocol");
    unload(&l);
    refused("\nroute \"a\" {\n protocol = {\"http\"}\n refuse = tls-unrecognized-name }\n", 10, "http", "tls only");
    refused("route \"a\" { protocol = {\"http\", \"http2\"} refuse = http-400 }\n", 7, "http2", "http only");
    refused("route \"a\" { alpn = {\"h2\"}\n refuse = xmpp-error }\n", 8, "tls", "xmpp only");
    refused("pattern \"odd\" { regex = 'x' }\nroute \"a\" { protocol = {\"http\", \"odd\"}\n refuse = http-400 }\n", 9,
            "odd", "http only");
    refused("pattern \"odd\" { regex = 'x' }\nroute \"a\" { protocol = {\"even\"} proxy = \"web\" }\n", 8, "ssh, odd",
            "\"even\"");
    refused("route \"a\" { on-timeout = true refuse = xmpp-error }\n", 7, "close or reset", "xmpp");
    refused("route \"a\" { refuse = politely }\n", 7, "refuse", "https-redirect");
}

static void an_empty_table_finds_nothing(void **state)
{
    (void)state;
    struct loaded l = load_good("");
    assert_int_equal(route_count(l.table), 0);
    assert_string_equal(find_text(&l, "x"), "none");
    assert_string_equal(find_text(&l, ""), "more");
    assert_string_equal(find(&l, "public", "", 0, true), "none");
    unload(&l);
}

static void names_decide(void **state)
{
    (void)state;
    struct loaded l = load_good("route \"exact\" { sni = {\"Xmpps.Example.test.\"} handoff = \"chat\" }\n"
                                "route \"both\" { sni = {\"*.example.test\"} alpn = {\"h2\"} proxy = \"web\" }\n"
                                "route \"wild\" { sni = {\"*.example.test\", \"other.test\"} proxy = \"web\" }\n"
                                "route \"acme\" { alpn = {\"acme-tls/1\", \"x\"} proxy = \"web\" }\n"
                                "route \"tls\" { protocol = {\"tls\"} proxy = \"web\" }\n");
    assert_string_equal(find_sample(&l, "real_openssl_xmpp"), "exact");
    assert_string_equal(find_sample(&l, "real_curl_http2"), "both");
    assert_string_equal(find_sample(&l, "good_post_quantum_split"), "both");
    assert_string_equal(find_sample(&l, "real_curl_no_alpn"), "wild");
    assert_string_equal(find_sample(&l, "good_upper_case"), "wild");
    assert_string_equal(find_sample(&l, "real_openssl_acme"), "acme");
    assert_string_equal(find_sample(&l, "good_trailing_dot"), "tls");
    assert_string_equal(find_sample(&l, "good_sni_ipv4"), "tls");
    assert_string_equal(find_sample(&l, "good_sslv2"), "tls");
    assert_string_equal(find_sample(&l, "bad_duplicate_extension"), "none");
    assert_string_equal(find_sample(&l, "text_http_get"), "none");
    unload(&l);
}

static void protocols_decide(void **state)
{
    (void)state;
    struct loaded l = load_good("route \"web\" { protocol = {\"http\", \"http2\"} proxy = \"web\" }\n"
                                "route \"chat\" { protocol = {\"xmpp\"} handoff = \"chat\" }\n"
                                "route \"rest\" { refuse = \"close\" }\n");
    assert_string_equal(find_sample(&l, "text_http_get"), "web");
    assert_string_equal(find_sample(&l, "text_http2"), "web");
    assert_string_equal(find_sample(&l, "text_xmpp_marked"), "chat");
    assert_string_equal(find_sample(&l, "text_ssh"), "rest");
    assert_string_equal(find_sample(&l, "more_half_hello"), "rest");
    unload(&l);
}

static void later_rows_wait_for_earlier_ones(void **state)
{
    (void)state;
    struct loaded l = load_good("route \"chat\" { protocol = {\"xmpp\"} handoff = \"chat\" }\n"
                                "route \"rest\" { proxy = \"web\" }\n");
    assert_string_equal(find_text(&l, "<stream"), "more");
    assert_string_equal(find_text(&l, "<stream:stream"), "chat");
    assert_string_equal(find_text(&l, "<streams"), "rest");
    assert_string_equal(find_text(&l, "S"), "rest");
    assert_string_equal(find(&l, "public", "<stream", 7, true), "rest");
    unload(&l);
}

static void half_a_hello_is_tls_without_names(void **state)
{
    (void)state;
    struct loaded l = load_good("route \"names\" { sni = {\"*.test\"} proxy = \"web\" }\n"
                                "route \"alpn\" { alpn = {\"h2\"} proxy = \"web\" }\n"
                                "route \"tls\" { protocol = {\"tls\"} handoff = \"chat\" }\n"
                                "route \"rest\" { proxy = \"web\" }\n");
    struct sample sample = sample_load("real_curl_http2");
    for (size_t len = 1; len < sample.len; len++) {
        assert_string_equal(find(&l, "public", sample.data, len, false), "more");
        assert_string_equal(find(&l, "public", sample.data, len, true), len < 3 ? "rest" : "tls");
    }
    assert_string_equal(find(&l, "public", sample.data, sample.len, true), "names");
    free(sample.data);
    unload(&l);
}

static void listeners_decide(void **state)
{
    (void)state;
    struct loaded l = load_good("route \"in\" { listener = {\"inner\"} proxy = \"ssh\" }\n"
                                "route \"out\" { listener = {\"public\"} protocol = {\"xmpp\"} handoff = \"chat\" }\n");
    assert_string_equal(find(&l, "inner", "<", 1, false), "in");
    assert_string_equal(find(&l, "public", "<", 1, false), "more");
    assert_string_equal(find(&l, "public", "x", 1, false), "none");
    unload(&l);
}

static void silence_has_its_own_rows(void **state)
{
    (void)state;
    struct loaded l = load_good("route \"inner\" { listener = {\"inner\"} on-timeout = true proxy = \"web\" }\n"
                                "route \"silent\" { on-timeout = true proxy = \"ssh\" }\n"
                                "route \"off\" { on-timeout = false protocol = {\"xmpp\"} handoff = \"chat\" }\n"
                                "route \"rest\" { proxy = \"web\" }\n");
    assert_string_equal(find(&l, "public", NULL, 0, false), "more");
    assert_string_equal(find(&l, "public", NULL, 0, true), "silent");
    assert_string_equal(find(&l, "inner", NULL, 0, true), "inner");
    assert_string_equal(find(&l, "inner", "x", 1, false), "rest");
    assert_string_equal(find(&l, "public", "x", 1, true), "rest");
    unload(&l);

    l = load_good("route \"rest\" { proxy = \"web\" }\n");
    assert_string_equal(find(&l, "public", NULL, 0, true), "none");
    unload(&l);
}

static void actions_are_checked(void **state)
{
    (void)state;
    refused("route \"a\" { protocol = {\"tls\"} }\n", 7, "action", "\"a\"");
    refused("\nroute \"a\" {\n proxy = \"web\"\n refuse = \"close\" }\n", 10, "one action", "proxy");
    refused("route \"a\" { proxy = \"web\" handoff = \"chat\" }\n", 7, "one action", "proxy");
    refused("route \"a\" { proxy = \"chat\" }\n", 7, "upstream", "\"chat\"");
    refused("route \"a\" { handoff = \"web\" }\n", 7, "backend", "\"web\"");
}

static void conditions_are_checked(void **state)
{
    (void)state;
    refused("route \"a\" {\n listener = {\"public\", \"nowhere\"}\n proxy = \"web\" }\n", 8, "listener", "\"nowhere\"");
    refused("route \"a\" { protocol = {\"ftp\"} proxy = \"web\" }\n", 7, "tls, http, http2, xmpp, ssh", "\"ftp\"");
    refused("route \"a\" { sni = {\"a b\"} proxy = \"web\" }\n", 7, "host name", "\"a b\"");
    refused("route \"a\" { sni = {\"caf\xc3\xa9.test\"} proxy = \"web\" }\n", 7, "xn--", "sni");
    refused("route \"a\" { sni = {\"192.0.2.1\"} proxy = \"web\" }\n", 7, "IP address", "192.0.2.1");
    refused("route \"a\" { alpn = {\"\"} proxy = \"web\" }\n", 7, "255", "alpn");
    refused("route \"a\" { protocol = {\"http\"} sni = {\"a.test\"} proxy = \"web\" }\n", 7, "tls", "alone");
    refused("route \"a\" { protocol = {\"tls\", \"http\"} alpn = {\"h2\"} proxy = \"web\" }\n", 7, "tls", "alone");
    refused("route \"a\" { on-timeout = true protocol = {\"tls\"} proxy = \"web\" }\n", 7, "on-timeout", "silent");
    refused("route \"a\" { on-timeout = true sni = {\"a.test\"} proxy = \"web\" }\n", 7, "on-timeout", "silent");
    refused("route \"a\" { on-timeout = true alpn = {\"h2\"} proxy = \"web\" }\n", 7, "on-timeout", "silent");
    refused("route \"a\" { protocol = {} proxy = \"web\" }\n", 7, "at least one", "expected");
    refused("route \"a\" { sni = {} proxy = \"web\" }\n", 7, "at least one", "expected");
}

/* first takes all that second would: the message names the second's line (8) and the first's. */
static void covers(const char *first, const char *second)
{
    char routes[512];
    snprintf(routes, sizeof(routes), "route \"a\" { %s proxy = \"web\" }\nroute \"b\" { %s proxy = \"web\" }\n", first,
             second);
    refused(routes, 8, "\"a\" in line 7", "\"b\"");
}

static void covers_not(const char *first, const char *second)
{
    char routes[512];
    snprintf(routes, sizeof(routes), "route \"a\" { %s proxy = \"web\" }\nroute \"b\" { %s proxy = \"web\" }\n", first,
             second);
    struct loaded l = load_good(routes);
    unload(&l);
}

static void unreachable_rows_are_refused(void **state)
{
    (void)state;
    covers("", "");
    covers("", "protocol = {\"tls\"}");
    covers("", "listener = {\"inner\"} sni = {\"a.test\"}");
    covers("protocol = {\"tls\"}", "sni = {\"a.test\"}");
    covers("protocol = {\"tls\", \"http\"}", "protocol = {\"http\"}");
    covers("sni = {\"*.a.test\"}", "sni = {\"b.a.test\", \"*.c.a.test\"}");
    covers("sni = {\"A.test.\"}", "sni = {\"a.test\"} alpn = {\"h2\"}");
    covers("alpn = {\"h2\", \"x\"}", "alpn = {\"x\"}");
    covers("listener = {\"public\", \"inner\"}", "listener = {\"inner\"}");
    covers("on-timeout = true", "on-timeout = true listener = {\"inner\"}");

    covers_not("protocol = {\"tls\"}", "");
    covers_not("protocol = {\"tls\"}", "protocol = {\"tls\", \"http\"}");
    covers_not("sni = {\"*.a.test\"}", "sni = {\"b.a.test\", \"a.test\"}");
    covers_not("sni = {\"b.a.test\"}", "sni = {\"*.a.test\"}");
    covers_not("sni = {\"a.test\"}", "alpn = {\"h2\"}");
    covers_not("alpn = {\"h2\"}", "alpn = {\"h2\", \"x\"}");
    covers_not("listener = {\"inner\"}", "listener = {\"public\"}");
    covers_not("listener = {\"inner\"}", "");
    covers_not("", "on-timeout = true");
    covers_not("on-timeout = true", "");
}

/* A set of protocols has a bit for each, to the last one. */
static void as_many_patterns_as_fit(void **state)
{
    (void)state;
    char text[8192] = "";
    const size_t last = PROBE_MAX - PROBE_COUNT - 1;
    for (size_t i = 0; i <= last; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "pattern \"p%zu\" { regex = 'p%02zu' }\n", i, i);
    const size_t patterns_len = strlen(text);
    snprintf(text + patterns_len, sizeof(text) - patterns_len,
             "route \"last\" { protocol = \"p%zu\" proxy = \"web\" }\nroute \"rest\" { refuse = close }\n", last);
    struct loaded l = load_good(text);
    assert_string_equal(find_text(&l, "p58"), "last");
    assert_string_equal(find_text(&l, "p5"), "more");
    assert_string_equal(find_text(&l, "p57"), "rest");
    unload(&l);
    snprintf(text + patterns_len, sizeof(text) - patterns_len,
             "route \"last\" { protocol = \"p%zu\" refuse = http-400 }\n", last);
    refused(text, 7 + (int)last + 1, "http-400", "p58");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_read),
        cmocka_unit_test(words_fit_the_route),
        cmocka_unit_test(an_empty_table_finds_nothing),
        cmocka_unit_test(names_decide),
        cmocka_unit_test(protocols_decide),
        cmocka_unit_test(later_rows_wait_for_earlier_ones),
        cmocka_unit_test(half_a_hello_is_tls_without_names),
        cmocka_unit_test(listeners_decide),
        cmocka_unit_test(silence_has_its_own_rows),
        cmocka_unit_test(actions_are_checked),
        cmocka_unit_test(conditions_are_checked),
        cmocka_unit_test(unreachable_rows_are_refused),
        cmocka_unit_test(as_many_patterns_as_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

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
                               "tls \"ours\" { } tls \"theirs\" { }\n";

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
static const char *find_query(struct loaded *l, const struct route_query *query, const void *data, size_t len,
                              bool final)
{
    struct sight sight = {.data = data, .len = len, .final = final};
    struct route *route = NULL;
    switch (route_find(l->table, &sight, query, &route)) {
    case ROUTE_FOUND:
        return route->name;
    case ROUTE_MORE:
        return "more";
    case ROUTE_NONE:
        break;
    }
    return "none";
}

static const char *find(struct loaded *l, const char *listener, const void *data, size_t len, bool final)
{
    const struct route_query query = {.listener = listener};
    return find_query(l, &query, data, len, final);
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

static struct addr address(const char *text)
{
    struct endpoint endpoint;
    const char *why;
    assert_int_equal(endpoint_parse(text, &endpoint, &why), 0);
    return endpoint.ip;
}

static const char *find_places(struct loaded *l, const char *source, const char *destination, const char *text)
{
    struct addr from = address(source), to = address(destination);
    const struct route_query query = {.listener = "public", .source = &from, .destination = &to};
    return find_query(l, &query, text, strlen(text), false);
}

static void places_decide_without_waiting(void **state)
{
    (void)state;
    struct loaded l =
        load_good("route \"net\" { source = {\"192.0.2.0/24\", \"2001:db8::/32\"} protocol = \"xmpp\" "
                  "proxy = \"web\" }\n"
                  "route \"port\" { destination = {\"*:5223\", \"[2001:db8::1]:5223\"} proxy = \"web\" }\n"
                  "route \"both\" { source = \"10.0.0.1\" destination = \"10.0.0.0/24\" handoff = \"chat\" }\n"
                  "route \"rest\" { proxy = \"ssh\" }\n");
    assert_string_equal(find_places(&l, "192.0.2.7:1", "10.0.0.2:443", "<"), "more");
    assert_string_equal(find_places(&l, "[2001:db8::7]:1", "[2001:db8::1]:443", "<"), "more");
    /* Who is elsewhere does not wait for what the first row wants to see. */
    assert_string_equal(find_places(&l, "192.0.3.7:1", "10.0.0.2:443", "<"), "rest");
    assert_string_equal(find_places(&l, "192.0.3.7:1", "10.0.0.2:5223", "<"), "port");
    assert_string_equal(find_places(&l, "[2001:db9::7]:1", "[2001:db8::1]:5223", "<"), "port");
    assert_string_equal(find_places(&l, "[2001:db9::7]:1", "[2001:db8::2]:5223", "<"), "rest");
    assert_string_equal(find_places(&l, "10.0.0.1:1", "10.0.0.2:443", "<"), "both");
    assert_string_equal(find_places(&l, "10.0.0.2:1", "10.0.0.2:443", "<"), "rest");
    assert_string_equal(find_places(&l, "10.0.0.1:1", "10.0.1.2:443", "<"), "rest");
    /* Unknown addresses are nowhere. */
    assert_string_equal(find_text(&l, "<"), "rest");
    unload(&l);
    refused("route \"a\" { source = \"10.0.0.1/8\" proxy = \"web\" }\n", 7, "source: expected a network", "10.0.0.1/8");
    refused("route \"a\" { source = \"example.test\" proxy = \"web\" }\n", 7, "source: expected an address", "example");
    refused("route \"a\" { destination = \"10.0.0.1:0\" proxy = \"web\" }\n", 7, "destination: expected a port", ":0");
    refused("route \"a\" { destination = \"*\" proxy = \"web\" }\n", 7, "destination: expected an address", "\"*\"");
}

static void hellos_decide(void **state)
{
    (void)state;
    struct loaded l = load_good("route \"nothing\" { no-sni = true no-alpn = true proxy = \"web\" }\n"
                                "route \"nameless\" { no-sni = true proxy = \"web\" }\n"
                                "route \"ech\" { ech = true proxy = \"web\" }\n"
                                "route \"no13\" { tls-version = \"1.2\" no-alpn = true proxy = \"web\" }\n"
                                "route \"old\" { tls-version = {\"1.0\", \"1.1\"} no-alpn = true proxy = \"web\" }\n"
                                "route \"plain\" { no-alpn = true proxy = \"web\" }\n"
                                "route \"tls\" { protocol = \"tls\" proxy = \"web\" }\n"
                                "route \"rest\" { proxy = \"web\" }\n");
    assert_string_equal(find_sample(&l, "real_openssl_tls12_noname"), "nothing");
    assert_string_equal(find_sample(&l, "real_curl_address"), "nameless");
    assert_string_equal(find_sample(&l, "good_tls10"), "old");
    assert_string_equal(find_sample(&l, "good_post_quantum"), "ech");
    assert_string_equal(find_sample(&l, "real_curl_no_alpn"), "no13");
    assert_string_equal(find_sample(&l, "real_curl_http2"), "tls");
    assert_string_equal(find_sample(&l, "text_http_get"), "rest");
    /* Half a hello names nothing, but it does not lack a name either. */
    struct sample sample = sample_load("real_openssl_tls12_noname");
    assert_string_equal(find(&l, "public", sample.data, sample.len - 1, false), "more");
    assert_string_equal(find(&l, "public", sample.data, sample.len - 1, true), "tls");
    free(sample.data);
    unload(&l);
    refused("route \"a\" { sni = \"a.test\" no-sni = true proxy = \"web\" }\n", 7, "no-sni: expected no sni", "none");
    refused("route \"a\" { alpn = \"h2\" no-alpn = true proxy = \"web\" }\n", 7, "no-alpn: expected no alpn",
            "nothing");
    refused("route \"a\" { tls-version = \"1.4\" proxy = \"web\" }\n", 7, "tls-version: expected one of", "\"1.4\"");
    static const char *const HELLO[] = {"no-sni = true",         "no-alpn = true", "ech = true",
                                        "tls-version = \"1.3\"", "sni = \"~x\"",   "terminate = \"ours\""};
    for (size_t i = 0; i < ARRAY_LEN(HELLO); i++) {
        char text[256];
        const char *action = strstr(HELLO[i], "terminate") == NULL ? "proxy = \"web\"" : "";
        snprintf(text, sizeof(text), "route \"a\" { %s protocol = \"ssh\" %s }\n", HELLO[i], action);
        refused(text, 7, "protocol: expected \"tls\" alone beside", "a");
        snprintf(text, sizeof(text), "route \"a\" { %s on-timeout = true %s }\n", HELLO[i], action);
        refused(text, 7, "on-timeout: expected", "silent");
    }
}

static void expressions_decide(void **state)
{
    (void)state;
    struct loaded l = load_good("route \"numbered\" { sni = {'~^CHAT[0-9]+\\.', \"b.test\"} handoff = \"chat\" }\n"
                                "route \"www\" { sni = '~\\.EXAMPLE\\.test$' alpn = \"h2\" proxy = \"web\" }\n"
                                "route \"tls\" { protocol = \"tls\" proxy = \"web\" }\n"
                                "route \"rest\" { proxy = \"ssh\" }\n");
    assert_string_equal(find_sample(&l, "real_curl_http2"), "www");
    assert_string_equal(find_sample(&l, "real_curl_no_alpn"), "tls");
    assert_string_equal(find_sample(&l, "real_openssl_tls12_noname"), "tls");
    assert_string_equal(find_text(&l, "chat1.test"), "rest");
    unload(&l);
    refused("route \"a\" {\n sni = {\"a.test\", '~('} proxy = \"web\" }\n", 8,
            "sni: \"~(\": expected a regular expression", "offset 1");
    refused("route \"a\" { sni = '~' proxy = \"web\" }\n", 7, "sni: expected a regular expression", "~");
    refused("route \"a\" { sni = {'~1', '~2', '~3', '~4', '~5', '~6', '~7', '~8', '~9'} proxy = \"web\" }\n", 7,
            "sni: expected at most 8", "one route");
}

/* What takes too long is no match, and is counted. */
static void expressions_have_limits(void **state)
{
    (void)state;
    struct loaded l = load_good("route \"steps\" { sni = '~^(?:[a-z]|[a-z.]|.)+x$' proxy = \"web\" }\n"
                                "route \"rest\" { proxy = \"web\" }\n");
    struct sample sample = sample_load("real_curl_http2");
    struct sight sight = {.data = sample.data, .len = sample.len};
    struct route *route = NULL;
    const struct route_query query = {.listener = "public"};
    assert_int_equal(route_find(l.table, &sight, &query, &route), ROUTE_FOUND);
    assert_string_equal(route->name, "rest");
    assert_int_equal(sight.pattern_limits, 1);
    free(sample.data);
    unload(&l);
}

static const char *find_inside(struct loaded *l, const char *inside, const char *sni, const char *alpn,
                               const char *text)
{
    struct clienthello negotiated;
    const struct route_query query = {.listener = "public", .inside = inside, .negotiated = &negotiated};
    clienthello_negotiated(&negotiated, sni, (const uint8_t *)alpn, alpn != NULL ? strlen(alpn) : 0, 0x0303);
    return find_query(l, &query, text, strlen(text), false);
}

static void plaintext_has_its_own_rows(void **state)
{
    (void)state;
    struct loaded l =
        load_good("route \"begin\" { sni = \"www.example.test\" terminate = \"ours\" }\n"
                  "route \"begin2\" { protocol = \"tls\" terminate = \"theirs\" }\n"
                  "route \"chat\" { inside = {\"ours\"} protocol = \"xmpp\" proxy = \"web\" }\n"
                  "route \"name\" { inside = \"ours\" sni = \"a.test\" alpn = \"h2\" proxy = \"web\" }\n"
                  "route \"noalpn\" { inside = \"ours\" no-alpn = true no-sni = true tls-version = \"1.2\" "
                  "proxy = \"web\" }\n"
                  "route \"quiet\" { inside = \"ours\" on-timeout = true alpn = \"imap\" proxy = \"web\" }\n"
                  "route \"any\" { inside = {\"ours\", \"theirs\"} proxy = \"web\" }\n"
                  "route \"rest\" { proxy = \"ssh\" }\n");
    assert_int_equal(route_at(l.table, 0)->action, ROUTE_TERMINATE);
    assert_string_equal(route_at(l.table, 0)->target, "ours");
    assert_string_equal(find_sample(&l, "real_curl_http2"), "begin");
    assert_string_equal(find_sample(&l, "real_openssl_acme"), "begin2");
    assert_string_equal(find_text(&l, "GET"), "rest");
    assert_string_equal(find_inside(&l, "ours", "a.test", "h2", "<"), "more");
    assert_string_equal(find_inside(&l, "ours", "a.test", "h2", "<stream:stream "), "chat");
    assert_string_equal(find_inside(&l, "ours", "A.test.", "h2", "GET"), "name");
    assert_string_equal(find_inside(&l, "ours", "a.test", NULL, "GET"), "any");
    assert_string_equal(find_inside(&l, "ours", NULL, NULL, "GET"), "noalpn");
    assert_string_equal(find_inside(&l, "theirs", NULL, NULL, "GET"), "any");
    assert_string_equal(find_inside(&l, "ours", "a.test", "imap", ""), "more");
    struct clienthello imap;
    const struct route_query silent = {.listener = "public", .inside = "ours", .negotiated = &imap};
    clienthello_negotiated(&imap, NULL, (const uint8_t *)"imap", 4, 0x0304);
    assert_string_equal(find_query(&l, &silent, "", 0, true), "quiet");
    clienthello_negotiated(&imap, NULL, (const uint8_t *)"pop3", 4, 0x0304);
    assert_string_equal(find_query(&l, &silent, "", 0, true), "none");
    assert_string_equal(find_inside(&l, "theirs", "a.test", "h2", "<"), "any");
    unload(&l);
    static const char BEGIN[] = "route \"b\" { sni = \"x.test\" terminate = \"ours\" }\n";
    static const struct {
        const char *route, *part, *part2;
    } WRONG[] = {
        {"inside = \"ours\" handoff = \"chat\"", "handoff: expected proxy or refuse", "decrypted"},
        {"inside = \"ours\" terminate = \"ours\"", "terminate: expected proxy or refuse", "already"},
        {"inside = \"ours\" refuse = tls-unrecognized-name", "refuse: expected another", "handshake"},
        {"inside = \"ours\" protocol = \"http\" refuse = https-redirect", "refuse: expected another", "already"},
        {"inside = \"ours\" ech = true proxy = \"web\"", "ech: expected it in the route that terminates", "inside"},
        {"inside = \"ours\" on-timeout = true protocol = \"http\" proxy = \"web\"", "on-timeout: expected no protocol",
         "silent"},
        {"inside = \"nobody\" proxy = \"web\"", "inside: expected the title of a tls section", "nobody"},
        {"terminate = \"nobody\"", "terminate: expected the title of a section", "nobody"},
        {"inside = \"theirs\" proxy = \"web\"", "inside: expected a route with terminate = \"theirs\"", "theirs"},
        {"alpn = \"x\" terminate = \"theirs\"", "terminate: expected a route with inside = \"theirs\"", "theirs"},
    };
    for (size_t i = 0; i < ARRAY_LEN(WRONG); i++) {
        char text[512];
        snprintf(text, sizeof(text),
                 "%sroute \"i\" { inside = \"ours\" sni = \"y\" proxy = \"web\" }\nroute \"a\" { %s }\n", BEGIN,
                 WRONG[i].route);
        refused(text, 9, WRONG[i].part, WRONG[i].part2);
    }
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

    covers("source = \"10.0.0.0/8\"", "source = {\"10.0.0.0/9\", \"10.128.0.0/9\"} alpn = \"h2\"");
    covers("destination = {\"*:443\", \"[*]:443\"}", "destination = {\"10.0.0.1:443\", \"[2001:db8::/32]:443\"}");
    covers("source = {\"::/0\", \"10.0.0.0/8\"} protocol = {\"ssh\", \"xmpp\"}",
           "source = \"10.1.2.3\" protocol = \"ssh\"");
    covers("source = \"0.0.0.0/0\"", "source = \"192.0.2.0/24\" sni = \"a.test\"");
    covers("source = \"10.0.0.0/8\" sni = \"*.test\"", "source = \"10.9.0.0/16\" sni = \"a.test\"");
    covers("source = \"2001:db8::/33\" sni = '~a'", "source = \"2001:db8:7fff::/48\" sni = \"a.test\"");
    covers("no-sni = true", "no-sni = true no-alpn = true");
    covers("no-alpn = true", "no-alpn = true ech = true");
    covers("ech = true", "ech = true sni = \"a.test\"");
    covers("tls-version = {\"1.2\", \"1.3\"}", "tls-version = \"1.3\" sni = '~x'");
    covers("sni = '~^a'", "sni = {'~^a', \"A.test\"}");
    covers("sni = {'~^a', \"*.b.test\"}", "sni = {\"a.test\", \"x.b.test\"}");

    covers_not("source = \"10.0.0.0/8\"", "");
    covers_not("source = \"10.0.0.0/8\"", "source = {\"10.0.0.0/9\", \"11.0.0.1\"}");
    covers_not("destination = \"*:443\"", "destination = {\"10.0.0.1:443\", \"[2001:db8::/32]:443\"}");
    covers_not("source = \"2001:db8::/33\"", "source = \"2001:db8:8000::/48\"");
    covers_not("source = \"::/0\"", "source = \"10.0.0.0/8\"");
    covers_not("destination = \"*:443\"", "destination = \"10.0.0.1\"");
    covers_not("destination = \"*:443\"", "");
    covers_not("no-sni = true", "sni = \"a.test\"");
    covers_not("no-alpn = true", "protocol = \"tls\"");
    covers_not("ech = true", "alpn = \"h2\"");
    covers_not("tls-version = \"1.3\"", "tls-version = {\"1.2\", \"1.3\"}");
    covers_not("tls-version = \"1.3\"", "no-sni = true");
    covers_not("sni = '~^a'", "sni = '~^a.'");
    covers_not("sni = '~^[*]'", "sni = \"*.a.test\"");
    covers_not("sni = \"a.test\"", "sni = '~^a'");
    covers_not("sni = '~^a'", "alpn = \"h2\"");
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
        cmocka_unit_test(places_decide_without_waiting),
        cmocka_unit_test(hellos_decide),
        cmocka_unit_test(expressions_decide),
        cmocka_unit_test(expressions_have_limits),
        cmocka_unit_test(plaintext_has_its_own_rows),
        cmocka_unit_test(silence_has_its_own_rows),
        cmocka_unit_test(actions_are_checked),
        cmocka_unit_test(conditions_are_checked),
        cmocka_unit_test(unreachable_rows_are_refused),
        cmocka_unit_test(as_many_patterns_as_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* No verdict depends on how the bytes were cut: every sample of the corpus, at every split point. */
#include "gateway/route.h"

#include "gateway/gateway_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

#include "tests/unit/gateway/sample.h"

static const char SECTIONS[] = "listener \"a\" { address = {\"127.0.0.1:1\"} }\n"
                               "upstream \"u\" { server = {\"127.0.0.1:2\"} }\n";

static const char *const ROUTES[] = {
    "route \"r1\" { protocol = {\"http\", \"http2\"} proxy = \"u\" }\n"
    "route \"r2\" { sni = {\"xmpps.example.test\"} proxy = \"u\" }\n"
    "route \"r3\" { protocol = {\"tls\"} proxy = \"u\" }\n"
    "route \"r4\" { proxy = \"u\" }\n",
    "route \"r1\" { protocol = {\"xmpp\"} proxy = \"u\" }\n"
    "route \"r2\" { alpn = {\"xmpp-client\", \"acme-tls/1\"} proxy = \"u\" }\n"
    "route \"r3\" { sni = {\"*.example.test\"} alpn = {\"h2\"} proxy = \"u\" }\n"
    "route \"r4\" { on-timeout = true proxy = \"u\" }\n",
    "route \"r1\" { source = \"198.51.100.0/24\" protocol = \"xmpp\" proxy = \"u\" }\n"
    "route \"r2\" { source = \"192.0.2.0/24\" sni = '~^www\\.' proxy = \"u\" }\n"
    "route \"r3\" { destination = \"*:443\" no-sni = true tls-version = \"1.3\" proxy = \"u\" }\n"
    "route \"r4\" { destination = \"*:444\" sni = \"*.example.test\" proxy = \"u\" }\n"
    "route \"r5\" { source = \"198.51.100.0/24\" sni = \"chat.example.test\" proxy = \"u\" }\n"
    "route \"r6\" { ech = true no-alpn = true proxy = \"u\" }\n"
    "route \"r7\" { sni = {\"*.example.test\", \"example.test\"} alpn = \"h2\" proxy = \"u\" }\n"
    "route \"r8\" { protocol = {\"http\", \"xmpp\"} proxy = \"u\" }\n"
    "route \"r9\" { tls-version = {\"1.0\", \"1.2\"} no-sni = true proxy = \"u\" }\n"
    "route \"r10\" { destination = \"*:443\" proxy = \"u\" }\n",
    "route \"r1\" { proxy = \"u\" }\n",
    "route \"r1\" { listener = {\"a\"} protocol = {\"http2\"} proxy = \"u\" }\n"
    "route \"r2\" { protocol = {\"http\", \"ssh\"} proxy = \"u\" }\n"
    "route \"r3\" { protocol = {\"tls\", \"xmpp\"} refuse = \"reset\" }\n",
    "pattern \"look\" { regex = '^<(?!html)' }\n"
    "pattern \"end\" { regex = '^GET[^\\n]*\\n$' }\n"
    "pattern \"first\" { regex = '^(?:\\x00[\\x0e-\\xff]\\x38|\\x05|\\x10[\\x80-\\xff]{0,3}.|\\x16\\x03[^\\x03])' }\n"
    "pattern \"far\" { regex = '[\\x00-\\xff]{200,}?\\x00\\x23' }\n"
    "pattern \"steps\" { regex = '^(?:[SG]|[A-Z]|.)+!' }\n"
    "route \"r1\" { protocol = {\"look\", \"end\", \"first\"} proxy = \"u\" }\n"
    "route \"r2\" { protocol = {\"steps\", \"ssh\"} proxy = \"u\" }\n"
    "route \"r3\" { protocol = \"far\" proxy = \"u\" }\n"
    "route \"r4\" { protocol = \"tls\" proxy = \"u\" }\n",
    "",
};

static struct option_file *files[ARRAY_LEN(ROUTES)];
static struct route_table *tables[ARRAY_LEN(ROUTES)];

static struct option_file *load(const char *routes)
{
    char path[] = "/tmp/test_split.XXXXXX";
    char error[512] = "";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "%s%s", SECTIONS, routes) > 0);
    close(fd);
    struct option_file *file = option_load(path, GATEWAY_OPTIONS, GATEWAY_OPTION_COUNT, error, sizeof(error));
    unlink(path);
    assert_string_equal(error, "");
    assert_non_null(file);
    return file;
}

static int setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROUTES); i++) {
        char error[512] = "";
        files[i] = load(ROUTES[i]);
        tables[i] = route_table_new(files[i], error, sizeof(error));
        assert_string_equal(error, "");
        assert_non_null(tables[i]);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROUTES); i++) {
        route_table_free(&tables[i]);
        option_file_free(&files[i]);
    }
    return 0;
}

/* A copy of len bytes, so that the sanitizer sees a read beyond them. */
static uint8_t *prefix_of(const struct sample *sample, size_t len)
{
    uint8_t *prefix = malloc(len > 0 ? len : 1);
    assert_non_null(prefix);
    memcpy(prefix, sample->data, len);
    return prefix;
}

static void split_clienthello(const struct sample *sample)
{
    struct clienthello whole_hello, hello;
    enum clienthello_verdict whole = clienthello_parse(sample->data, sample->len, &whole_hello);
    for (size_t len = 0; len < sample->len; len++) {
        uint8_t *prefix = prefix_of(sample, len);
        enum clienthello_verdict verdict = clienthello_parse(prefix, len, &hello);
        free(prefix);
        assert_true(verdict == CLIENTHELLO_MORE || verdict == whole);
        if (verdict == CLIENTHELLO_COMPLETE) assert_memory_equal(&hello, &whole_hello, sizeof(hello));
    }
}

static void split_probes(const struct sample *sample)
{
    for (size_t i = 0; i < PROBE_COUNT; i++) {
        struct sight sight = {.data = sample->data, .len = sample->len};
        enum probe_verdict whole = PROBES[i].look(&sight);
        for (size_t len = 0; len < sample->len; len++) {
            uint8_t *prefix = prefix_of(sample, len);
            struct sight cut = {.data = prefix, .len = len};
            enum probe_verdict verdict = PROBES[i].look(&cut);
            cut.final = true;
            enum probe_verdict at_end = PROBES[i].look(&cut);
            free(prefix);
            assert_true(verdict == PROBE_MORE || verdict == whole);
            assert_int_not_equal(at_end, PROBE_MORE);
            assert_true(verdict == PROBE_MORE || verdict == at_end);
        }
    }
}

/* The decision as one number: the row, or which kind of none. */
static size_t decide(struct route_table *table, struct sight *sight)
{
    struct route *route = NULL;
    static const struct addr FROM = {.in = {.sin_family = AF_INET, .sin_addr.s_addr = 0x010200c0}}; /* 192.0.2.1 */
    static const struct addr TO = {.in = {.sin_family = AF_INET, .sin_port = 0xbb01}};              /* 443 */
    const struct route_query query = {.listener = "a", .source = &FROM, .destination = &TO};
    switch (route_find(table, sight, &query, &route)) {
    case ROUTE_FOUND:
        assert_non_null(route);
        return route->index;
    case ROUTE_MORE:
        assert_false(sight->final);
        return SIZE_MAX;
    case ROUTE_NONE:
        break;
    }
    return SIZE_MAX - 1;
}

static void split_routes(const struct sample *sample)
{
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        struct sight sight = {.data = sample->data, .len = sample->len};
        size_t whole = decide(tables[i], &sight);
        for (size_t len = 0; len < sample->len; len++) {
            uint8_t *prefix = prefix_of(sample, len);
            struct sight cut = {.data = prefix, .len = len};
            size_t decided = decide(tables[i], &cut);
            assert_true(decided == SIZE_MAX || decided == whole);
            cut.final = true;
            size_t at_end = decide(tables[i], &cut);
            assert_true(decided == SIZE_MAX || decided == at_end);
            free(prefix);
        }
    }
}

/* As a connection sees it: one sight that grows by random steps until there is a decision. */
static void grow_routes(const struct sample *sample)
{
    unsigned seed = 443;
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        struct sight all = {.data = sample->data, .len = sample->len};
        size_t whole = decide(tables[i], &all);
        for (int run = 0; run < 50; run++) {
            struct sight sight = {.data = sample->data};
            size_t decided = SIZE_MAX;
            size_t step_max = 1 + (size_t)rand_r(&seed) % sample->len;
            while (decided == SIZE_MAX && sight.len < sample->len) {
                sight.len += 1 + (size_t)rand_r(&seed) % step_max;
                if (sight.len > sample->len) sight.len = sample->len;
                decided = decide(tables[i], &sight);
            }
            assert_true(decided == whole);
            assert_int_equal(sight.hello_partial, 0);
        }
    }
}

static void clienthello_verdicts(void **state)
{
    (void)state;
    assert_true(sample_each(split_clienthello) >= 40);
}

static void probe_verdicts(void **state)
{
    (void)state;
    assert_true(sample_each(split_probes) >= 40);
}

static void route_verdicts(void **state)
{
    (void)state;
    assert_true(sample_each(split_routes) >= 40);
}

static void route_verdicts_of_random_cuts(void **state)
{
    (void)state;
    assert_true(sample_each(grow_routes) >= 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clienthello_verdicts),
        cmocka_unit_test(probe_verdicts),
        cmocka_unit_test(route_verdicts),
        cmocka_unit_test(route_verdicts_of_random_cuts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

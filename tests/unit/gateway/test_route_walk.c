/* What the index finds is what looking at every row in turn finds, for random tables and clients. */
#include "gateway/gateway_options.h"
#include "gateway/name_index.h"
#include "gateway/route.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/ssl.h>
#include <unistd.h>

static const char SECTIONS[] =
    "listener \"a\" { address = {\"127.0.0.1:1\"} }\n"
    "listener \"b\" { address = {\"127.0.0.1:2\"} }\n"
    "listener \"never\" { address = {\"127.0.0.1:4\"} }\n"
    "upstream \"u\" { server = {\"127.0.0.1:3\"} }\n"
    "tls \"t\" { }\n"
    "route \"in\" { listener = \"never\" sni = \"never.seen\" terminate = \"t\" }\n"
    "route \"out\" { inside = \"t\" listener = \"never\" sni = \"never.seen\" proxy = \"u\" }\n";

/* Few enough that they meet; the last ones cannot stand in a file. */
static const char *const NAMES[] = {"a.test",         "b.test",  "x.a.test", "y.x.a.test", "test",   "c.b.test",
                                    "a.b.c.d.e.test", ".a.test", "..a.test", "a.test.x",   "xa.test"};
enum { NAMES_OF_FILES = 7 };
static const char *const PATTERNS[] = {"*.test", "*.a.test", "*.x.a.test", "*.e.test", "*.c.d.e.test",
                                       "~^x",    "~a\\\\.",  "~^A",        "~never"};

static unsigned seed = 1;

static size_t below(size_t n)
{
    return (size_t)rand_r(&seed) % n;
}

static bool one_of(size_t n)
{
    return below(n) == 0;
}

static void add_conditions(char *text, size_t cap, bool inside)
{
    char *at = text + strlen(text);
    size_t left = cap - strlen(text);
    const char *comma = "";
    int used = 0;
    if (one_of(4)) used += snprintf(at + used, left, " listener = \"%s\"", one_of(2) ? "a" : "b");
    if (one_of(4)) used += snprintf(at + used, left, " source = \"%s\"", one_of(2) ? "192.0.2.0/24" : "::/0");
    if (one_of(6)) used += snprintf(at + used, left, " destination = \"*:%d\"", one_of(2) ? 443 : 444);
    bool sni = !one_of(4);
    if (sni) {
        used += snprintf(at + used, left, " sni = {");
        for (size_t i = 1 + below(3); i > 0; i--, comma = ", ")
            used += snprintf(at + used, left, "%s\"%s\"", comma,
                             one_of(3) ? PATTERNS[below(ARRAY_LEN(PATTERNS))] : NAMES[below(NAMES_OF_FILES)]);
        used += snprintf(at + used, left, "}");
    }
    bool alpn = one_of(3);
    if (alpn) used += snprintf(at + used, left, " alpn = \"%s\"", one_of(2) ? "h2" : "x");
    bool tls = sni || alpn;
    if (!sni && one_of(5)) tls |= (used += snprintf(at + used, left, " no-sni = true")) > 0;
    if ((inside || !tls) && one_of(2))
        used += snprintf(at + used, left, " protocol = \"%s\"", one_of(2) ? "xmpp" : "http");
    if (!inside && !tls && one_of(9) && strstr(at, "protocol") == NULL) snprintf(at + used, left, " on-timeout = true");
    if (inside) snprintf(at + strlen(at), left, " inside = \"t\"");
}

static struct option_file *load(const char *text)
{
    char path[] = "/tmp/test_route_walk.XXXXXX", error[512] = "";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "%s%s", SECTIONS, text) > 0);
    close(fd);
    struct option_file *file = option_load(path, GATEWAY_OPTIONS, GATEWAY_OPTION_COUNT, error, sizeof(error));
    unlink(path);
    assert_string_equal(error, "");
    return file;
}

/* A table of up to rows random rows; those that an earlier one covers are left out. */
static struct route_table *random_table(size_t rows, struct option_file **file)
{
    char text[16384] = "", error[512];
    struct route_table *table = NULL;
    *file = NULL;
    for (size_t i = 0; i < rows; i++) {
        char row[512];
        snprintf(row, sizeof(row), "route \"r%zu\" {", i);
        add_conditions(row, sizeof(row), one_of(5));
        strcat(row, " proxy = \"u\" }\n");
        size_t kept = strlen(text);
        strcat(text, row);
        struct option_file *next_file = load(text);
        struct route_table *next = route_table_new(next_file, error, sizeof(error));
        if (next == NULL) {
            assert_non_null(strstr(error, "that can be reached"));
            option_file_free(&next_file);
            text[kept] = '\0';
            continue;
        }
        route_table_free(&table);
        option_file_free(file);
        table = next;
        *file = next_file;
    }
    return table;
}

struct client {
    uint8_t bytes[4096];
    size_t len;
};

static void say_hello(struct client *client, const char *sni, const char *alpn)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem()), *sent = BIO_new(BIO_s_mem());
    assert_non_null(ssl);
    SSL_set_bio(ssl, in, sent);
    char name[64];
    snprintf(name, sizeof(name), "%s", sni != NULL ? sni : "");
    if (sni != NULL) assert_int_equal(SSL_set_tlsext_host_name(ssl, name), 1);
    uint8_t wire[16];
    if (alpn != NULL) {
        wire[0] = (uint8_t)strlen(alpn);
        memcpy(wire + 1, alpn, strlen(alpn));
        assert_int_equal(SSL_set_alpn_protos(ssl, wire, 1 + (unsigned)strlen(alpn)), 0);
    }
    (void)SSL_connect(ssl);
    int got = BIO_read(sent, client->bytes, sizeof(client->bytes));
    assert_true(got > 0);
    client->len = (size_t)got;
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

static void random_client(struct client *client)
{
    static const char *const TEXTS[] = {"<stream:stream ", "GET / HTTP/1.1\r\n", "x", "\x16\x03\x01"};
    if (!one_of(3)) {
        say_hello(client, one_of(5) ? NULL : NAMES[below(ARRAY_LEN(NAMES))], one_of(2) ? "h2" : one_of(2) ? "x" : NULL);
        return;
    }
    const char *text = TEXTS[below(ARRAY_LEN(TEXTS))];
    client->len = strlen(text);
    memcpy(client->bytes, text, client->len);
}

static size_t decide(struct route_table *table, bool trace, const struct client *client, size_t len, bool final,
                     const struct route_query *query)
{
    struct sight sight = {.data = client->bytes, .len = len, .final = final};
    struct route *route = NULL;
    enum route_verdict verdict =
        trace ? route_trace(table, &sight, query, &route, NULL, NULL) : route_find(table, &sight, query, &route);
    assert_true(verdict != ROUTE_MORE || !final);
    return verdict == ROUTE_FOUND ? route->index : verdict == ROUTE_MORE ? SIZE_MAX : SIZE_MAX - 1;
}

static struct addr address(const char *text)
{
    struct endpoint endpoint;
    const char *why;
    assert_int_equal(endpoint_parse(text, &endpoint, &why), 0);
    return endpoint.ip;
}

static void the_index_finds_what_a_walk_finds(void **state)
{
    (void)state;
    const struct addr sources[] = {address("192.0.2.1:5"), address("192.0.3.1:5"), address("[::1]:5")};
    const struct addr destinations[] = {address("192.0.2.9:443"), address("192.0.2.9:444")};
    size_t found = 0, more = 0, none = 0;
    for (int t = 0; t < 60; t++) {
        struct option_file *file;
        struct route_table *table = random_table(1 + below(24), &file);
        if (table == NULL) continue;
        for (int c = 0; c < 150; c++) {
            struct client client;
            struct clienthello negotiated;
            random_client(&client);
            struct route_query query = {.listener = one_of(2) ? "a" : "b",
                                        .source = one_of(9) ? NULL : &sources[below(ARRAY_LEN(sources))],
                                        .destination = one_of(9) ? NULL : &destinations[below(2)]};
            if (one_of(4)) {
                query.inside = "t";
                query.negotiated = &negotiated;
                clienthello_negotiated(&negotiated, one_of(5) ? NULL : NAMES[below(ARRAY_LEN(NAMES))],
                                       (const uint8_t *)"h2", one_of(2) ? 2 : 0, 0x0304);
            }
            size_t len = one_of(2) ? client.len : below(client.len + 1);
            bool final = one_of(4);
            size_t by_index = decide(table, false, &client, len, final, &query);
            size_t by_walk = decide(table, true, &client, len, final, &query);
            if (by_index != by_walk) fail_msg("table %d, client %d: %zu, not %zu", t, c, by_index, by_walk);
            found += by_walk < SIZE_MAX - 1;
            more += by_walk == SIZE_MAX;
            none += by_walk == SIZE_MAX - 1;
        }
        route_table_free(&table);
        option_file_free(&file);
    }
    print_message("found %zu, more %zu, none %zu\n", found, more, none);
    assert_true(found > 500 && more > 300 && none > 300);
}

static void rows(struct name_index *index, const char *name, const char *wanted)
{
    struct name_matches matches;
    char text[256] = "";
    name_index_find(index, name, &matches);
    for (size_t row = 0; (row = name_matches_from(&matches, row)) != SIZE_MAX; row++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%zu ", row);
    assert_string_equal(text, wanted);
}

static void names_and_their_rows(void **state)
{
    (void)state;
    struct name_index *index = name_index_new();
    rows(index, "a.test", "");
    name_index_add(index, "a.test", 0);
    name_index_add(index, "*.test", 1);
    name_index_add(index, "*.a.test", 2);
    name_index_add(index, "a.test", 2);
    name_index_add(index, "a.test", 2);
    for (size_t row = 3; row < 9; row++)
        name_index_add(index, "many.test", row);
    rows(index, "a.test", "0 1 2 ");
    rows(index, "x.a.test", "1 2 ");
    rows(index, "y.x.a.test", "1 2 ");
    rows(index, "xa.test", "1 ");
    rows(index, "test", "");
    rows(index, ".test", "");
    rows(index, ".a.test", "1 ");
    rows(index, "many.test", "1 3 4 5 6 7 8 ");
    rows(index, "*.test", "1 ");
    rows(index, "*.x.a.test", "1 2 ");
    rows(index, "*.x", "");
    rows(index, "a.test.x", "");
    /* As many labels as a name can have. */
    char longest[256];
    for (size_t i = 0; i < 254; i++)
        longest[i] = i % 2 == 0 ? 'a' : '.';
    longest[253] = '\0';
    rows(index, longest, "");
    name_index_add(index, "*.a.a", 9);
    rows(index, longest, "9 ");
    name_index_free(&index);
    assert_null(index);
}

/* Thousands of rows are read in a moment, and the last is found as the first is. */
static void many_names(void **state)
{
    (void)state;
    enum { ROWS = 3000 };
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    for (int i = 0; i < ROWS; i++)
        fprintf(out, "route \"r%d\" { sni = {\"n%d.test\", \"*.w%d.test\"} proxy = \"u\" }\n", i, i, i);
    fprintf(out, "route \"list\" { alpn = \"h2\" sni = {\"*.x.test\"");
    for (int i = 0; i < ROWS; i++)
        fprintf(out, ", \"n%d.list\"", i);
    fprintf(out, "} proxy = \"u\" }\nroute \"rest\" { proxy = \"u\" }\n");
    fclose(out);
    struct option_file *file = load(text);
    char error[256];
    struct route_table *table = route_table_new(file, error, sizeof(error));
    assert_non_null(table);
    static const struct {
        const char *sni;
        size_t row;
    } CASES[] = {{"n0.test", 2},        {"n2999.test", 2 + 2999}, {"a.w2999.test", 2 + 2999},
                 {"n7.list", 2 + ROWS}, {"a.x.test", 2 + ROWS},   {"w1.test", 3 + ROWS},
                 {NULL, 3 + ROWS}};
    const struct route_query query = {.listener = "a"};
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct client client;
        say_hello(&client, CASES[i].sni, "h2");
        assert_int_equal(decide(table, false, &client, client.len, false, &query), CASES[i].row);
        assert_int_equal(decide(table, false, &client, client.len / 2, false, &query), SIZE_MAX);
    }
    route_table_free(&table);
    option_file_free(&file);
    free(text);
}

/* A table of rows with two names each. */
static struct route_table *table_of(size_t rows, struct option_file **file)
{
    char *text = NULL, error[256];
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    for (size_t i = 0; i < rows; i++)
        fprintf(out, "route \"r%zu\" { sni = {\"n%zu.test\", \"*.w%zu.test\"} proxy = \"u\" }\n", i, i, i);
    fclose(out);
    *file = load(text);
    free(text);
    struct route_table *table = route_table_new(*file, error, sizeof(error));
    assert_non_null(table);
    return table;
}

/* The fastest of many rounds: what else the machine does cannot make it smaller. */
static int64_t fastest_ns(size_t rows, bool trace)
{
    enum { ROUNDS = 200, TIMES = 20 };
    struct option_file *file;
    struct route_table *table = table_of(rows, &file);
    const struct route_query query = {.listener = "a"};
    struct client client;
    char name[32];
    snprintf(name, sizeof(name), "x.w%zu.test", rows - 1);
    say_hello(&client, name, NULL);
    int64_t best = INT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        for (int i = 0; i < TIMES; i++)
            assert_int_equal(decide(table, trace, &client, client.len, false, &query), rows + 1);
        clock_gettime(CLOCK_MONOTONIC, &to);
        int64_t took = (to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec;
        if (took < best) best = took;
    }
    route_table_free(&table);
    option_file_free(&file);
    return best / TIMES;
}

static void names_cost_the_same_however_many_there_are(void **state)
{
    (void)state;
    int64_t few = fastest_ns(10, false), many = fastest_ns(10000, false), walk = fastest_ns(1000, true);
    print_message("10 rows: %" PRId64 " ns, 10,000: %" PRId64 " ns; looking at each of 1,000: %" PRId64 " ns\n", few,
                  many, walk);
    assert_true(many < 2 * few);
    assert_true(walk > 4 * few); /* or the time would tell nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_their_rows),
        cmocka_unit_test(the_index_finds_what_a_walk_finds),
        cmocka_unit_test(many_names),
        cmocka_unit_test(names_cost_the_same_however_many_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

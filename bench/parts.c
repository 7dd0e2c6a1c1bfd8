/* parts - CPU time of the parts that every connection or stanza passes, each measured alone.
 *
 *     cmake --build --preset release --target bench-parts && build/release/bench/bench-parts
 *
 * For finding out where time goes and whether a change helped; how servers compare is another matter.  Each figure is
 * the least of several rounds, in nanoseconds of this thread's CPU time for one unit. */
#include "backend/elem.h"
#include "backend/jid.h"
#include "backend/ns.h"
#include "backend/xml.h"
#include "gateway/gateway_options.h"
#include "gateway/route.h"
#include "lib/buf.h"
#include "lib/pp2.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 9, ROUND_NS = 40 * 1000 * 1000 };

static uint8_t hello[4096];
static size_t hello_len;
static struct route_table *routes, *few_names, *many_names;
static struct xml *xml;
static struct elem *stanza;

static const char HEADER[] = "<stream:stream xmlns='jabber:client' xmlns:stream='" NS_STREAM "' version='1.0'>";
static const char MESSAGE[] = "<message to='romeo@example.test' type='chat' id='7d1f'><body>Wherefore art thou?</body>"
                              "<active xmlns='http://jabber.org/protocol/chatstates'/></message>";

static void load_hello(void)
{
    FILE *file = fopen(BENCH_HELLO, "rb");
    if (file) {
        hello_len = fread(hello, 1, sizeof(hello), file);
        fclose(file);
    }
    if (hello_len == 0) {
        fprintf(stderr, "bench-parts: cannot read %s\n", BENCH_HELLO);
        exit(1);
    }
}

/* The rows that write writes, and a default behind them. */
static struct route_table *load_routes(void (*write)(FILE *file, int count), int count)
{
    char path[] = "/tmp/bench-parts-XXXXXX", error[512] = "";
    int fd = mkstemp(path);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!file) {
        perror("bench-parts: mkstemp");
        exit(1);
    }
    fprintf(file, "upstream web { server = \"127.0.0.1:8443\" }\n");
    write(file, count);
    fprintf(file, "route default { proxy = web }\n");
    fclose(file);
    struct option_file *options = option_load(path, GATEWAY_OPTIONS, GATEWAY_OPTION_COUNT, error, sizeof(error));
    unlink(path);
    struct route_table *table = options ? route_table_new(options, error, sizeof(error)) : NULL;
    if (table) return table;
    fprintf(stderr, "bench-parts: %s\n", error);
    exit(1);
}

/* Of which none matches. */
static void write_alpn(FILE *file, int count)
{
    for (int i = 0; i < count; i++)
        fprintf(file, "route r%d {\n alpn = name-%d\n proxy = web\n}\n", i, i);
}

/* Of which the last matches the hello of BENCH_HELLO. */
static void write_names(FILE *file, int count)
{
    for (int i = 1; i < count; i++)
        fprintf(file, "route r%d {\n sni = { \"host%d.example.test\", \"*.sub%d.example.test\" }\n proxy = web\n}\n", i,
                i, i);
    fprintf(file, "route last {\n sni = \"www.example.test\"\n proxy = web\n}\n");
}

static enum xml_unit next_unit(const char *text, size_t len, struct elem **out)
{
    const uint8_t *data = (const uint8_t *)text;
    return xml_next(xml, &data, &len, out);
}

static void load_stream(void)
{
    struct elem *root = NULL;
    xml = xml_new(&XML_LIMITS_AUTHENTICATED);
    CHECK(next_unit(HEADER, sizeof(HEADER) - 1, &root) == XML_STREAM_START);
    elem_free(&root);
    CHECK(next_unit(MESSAGE, sizeof(MESSAGE) - 1, &stanza) == XML_STANZA);
}

static void run_clienthello(void)
{
    struct clienthello out;
    CHECK(clienthello_parse(hello, hello_len, &out) == CLIENTHELLO_COMPLETE);
}

static void find_route(struct route_table *table)
{
    struct sight sight = {.data = hello, .len = hello_len};
    struct route *route;
    const struct route_query query = {.listener = "public"};
    CHECK(route_find(table, &sight, &query, &route) == ROUTE_FOUND);
}

static void run_route(void)
{
    find_route(routes);
}

static void run_few_names(void)
{
    find_route(few_names);
}

static void run_many_names(void)
{
    find_route(many_names);
}

/* What a hello in two segments costs before its second is there. */
static void run_many_names_waiting(void)
{
    struct sight sight = {.data = hello, .len = hello_len / 2};
    struct route *route;
    const struct route_query query = {.listener = "public"};
    CHECK(route_find(many_names, &sight, &query, &route) == ROUTE_MORE);
}

static void run_pp2(void)
{
    struct pp2 pp = {.tlv_count = 1, .tlvs = {{PP2_TLV_AUTHORITY, 18, (const uint8_t *)"xmpps.example.test"}}};
    uint8_t out[256];
    pp.src.in.sin_family = pp.dst.in.sin_family = AF_INET;
    CHECK(pp2_encode(&pp, out, sizeof(out)) > 0);
}

static void run_xml(void)
{
    struct elem *e = NULL;
    CHECK(next_unit(MESSAGE, sizeof(MESSAGE) - 1, &e) == XML_STANZA);
    elem_free(&e);
}

static void run_print(void)
{
    struct buf out = {0};
    elem_print(stanza, NS_CLIENT, &out);
    buf_free(&out);
}

static void run_jid(void)
{
    static const char TEXT[] = "juliet@example.test/balcony";
    struct jid *jid = jid_parse(TEXT, sizeof(TEXT) - 1, NULL);
    CHECK(jid != NULL);
    jid_free(&jid);
}

static int64_t cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void measure(const char *what, void (*run)(void))
{
    double least = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = cpu_ns(), spent = 0;
        long units = 0;
        while (spent < ROUND_NS) {
            for (int i = 0; i < 100; i++)
                run();
            units += 100;
            spent = cpu_ns() - start;
        }
        double each = (double)spent / (double)units;
        if (round == 0 || each < least) least = each;
    }
    printf("%-48s %8.0f ns\n", what, least);
}

int main(void)
{
    load_hello();
    routes = load_routes(write_alpn, 10);
    few_names = load_routes(write_names, 10);
    many_names = load_routes(write_names, 10000);
    load_stream();
    measure("ClientHello parsed", run_clienthello);
    measure("route found behind 10 ALPN rules", run_route);
    measure("route found by the last of 10 names", run_few_names);
    measure("route found by the last of 10,000 names", run_many_names);
    measure("half a ClientHello, 10,000 names", run_many_names_waiting);
    measure("PROXY v2 header written", run_pp2);
    measure("message stanza parsed", run_xml);
    measure("message stanza printed", run_print);
    measure("JID parsed (ASCII)", run_jid);
    return 0;
}

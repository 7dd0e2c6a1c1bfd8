#include "backend/dialer.h"

#include "backend/dns.h"
#include "backend/host.h"
#include "backend/shard.h"

#include "../dns_fixture.h"

#include <event2/event.h>
#include <fcntl.h>

static struct dns_fixture dns;
static struct backend backend;
static struct shard shard;
static struct hosts *hosts;
static struct backend_config *config;
static int listening[5]; /* on 127.0.0.2, .3, .4, ::1 and 127.0.0.5 */
static unsigned port;    /* all of them on this */

static struct {
    unsigned connected, failed;
    struct dialer_way way;
    uint8_t tlsa[64];
    char why[512];
    enum s2s_failure failure;
    char trace[16384];
    int fd;
} heard;

static void on_connected(void *arg, int fd, const struct dialer_way *way)
{
    (void)arg;
    heard.connected++;
    heard.way = *way;
    heard.fd = fd;
    if (way->tlsa_count > 0) memcpy(heard.tlsa, way->tlsa[0].data, way->tlsa[0].len);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    loop_stop(shard.loop);
}

static void on_failed(void *arg, enum s2s_failure failure, const char *why)
{
    (void)arg;
    heard.failed++;
    heard.failure = failure;
    snprintf(heard.why, sizeof(heard.why), "%s", why);
    loop_stop(shard.loop);
}

static const struct dialer_events EVENTS = {.on_connected = on_connected, .on_failed = on_failed};

static void on_trace(void *arg, int ok, const char *step, const char *text)
{
    const size_t len = strlen(heard.trace);
    (void)arg;
    snprintf(heard.trace + len, sizeof(heard.trace) - len, "%d %s %s\n", ok, step, text);
}

static const struct s2s_trace TRACE = {.fn = on_trace};

static void expect_trace(const char *text)
{
    if (!strstr(heard.trace, text)) fail_msg("no \"%s\" in:\n%s", text, heard.trace);
}

static struct dialer *dial(const char *domain, const struct s2s_policy *policy)
{
    memset(&heard, 0, sizeof(heard));
    heard.fd = -1;
    struct dialer *dialer = dialer_new(&shard, domain, policy, &TRACE, &EVENTS, NULL);
    loop_run(shard.loop);
    return dialer;
}

static void next(struct dialer *dialer, enum s2s_failure failure, const char *why)
{
    if (heard.fd >= 0) close(heard.fd);
    heard.fd = -1;
    dialer_next(dialer, failure, why);
    loop_run(shard.loop);
}

static void end(struct dialer **dialer)
{
    dialer_free(dialer);
    if (heard.fd >= 0) close(heard.fd);
}

static const struct s2s_policy ASK_DNS = {.dane = true};

static void expect_address(const char *expected)
{
    char text[ADDR_TEXT_BYTES];
    assert_string_equal(addr_format_host(&heard.way.addr, text, sizeof(text)), expected);
}

static void expect_failure(const char *domain, enum s2s_failure failure)
{
    struct dialer *dialer = dial(domain, &ASK_DNS);
    assert_int_equal(heard.failed, 1);
    if (heard.failure != failure) fail_msg("%s: %s, %s", domain, S2S_FAILURE_ROWS[heard.failure].name, heard.why);
    end(&dialer);
}

static int listen_on(const char *host, unsigned wanted)
{
    struct endpoint e;
    const char *why = NULL;
    char *text = mem_asprintf("%s:%u", host, wanted);
    assert_int_equal(endpoint_parse(text, &e, &why), 0);
    free(text);
    const int fd = socket(e.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    assert_int_equal(bind(fd, &e.sa, e.len), 0);
    assert_int_equal(listen(fd, 100), 0);
    return fd;
}

/* Conforms: XEP-0368, 3: how a connection begins is the service's of its record */
/* Conforms: RFC 6120, 3.3: what fails leads to the next address */
static void test_srv_and_next(void **state)
{
    (void)state;
    struct dialer *dialer = dial("two.test", &ASK_DNS);
    assert_int_equal(heard.connected, 1);
    assert_string_equal(heard.way.target, "h2.test");
    assert_true(heard.way.direct_tls);
    assert_false(heard.way.secure);
    assert_int_equal(heard.way.port, port);
    expect_address("127.0.0.2");
    next(dialer, S2S_TLS, "no handshake");
    assert_int_equal(heard.connected, 2);
    assert_string_equal(heard.way.target, "h3.test");
    assert_false(heard.way.direct_tls);
    expect_address("127.0.0.3");
    next(dialer, S2S_HOST_UNKNOWN, "unknown");
    assert_int_equal(heard.failed, 1);
    assert_int_equal(heard.failure, S2S_TLS); /* the first of equals */
    assert_string_equal(heard.why, "no handshake");
    end(&dialer);
}

static void test_refused_then_next(void **state)
{
    (void)state;
    struct dialer *dialer = dial("half.test", &ASK_DNS);
    assert_int_equal(heard.connected, 1);
    assert_string_equal(heard.way.target, "h3.test");
    expect_trace("0 connect 127.0.0.9:");
    next(dialer, S2S_BROKEN, "broke");
    assert_int_equal(heard.failed, 1);
    assert_int_equal(heard.failure, S2S_BROKEN);
    end(&dialer);
}

static void test_fallback(void **state)
{
    (void)state;
    expect_failure("plain.test", S2S_CONNECT); /* nobody listens on 5269 of 127.0.0.9 */
    expect_trace("-1 srv no records: the domain's own addresses, port 5269");
    expect_trace("0 connect 127.0.0.9:5269: Connection refused");
    expect_failure("alias.test", S2S_CONNECT);
    expect_trace("0 connect 127.0.0.9:5269: Connection refused");
}

/* Conforms: XEP-0368, 5: where a target "." is all there is no address is tried */
static void test_failures(void **state)
{
    (void)state;
    expect_failure("nowhere.test", S2S_NOT_FOUND);
    expect_failure("none.test", S2S_NO_SERVICE);
    expect_failure("direct-none.test", S2S_NO_SERVICE); /* no fallback (XEP-0368 section 5) */
    expect_failure("elsewhere.example", S2S_DNS_FAILED);
    expect_failure("gone.test", S2S_NOT_FOUND);
    expect_failure("odd.test", S2S_NOT_FOUND);
    expect_failure("bogus.signed.test", S2S_DNS_BOGUS);
    expect_failure("refused.test", S2S_CONNECT);
    expect_failure("x.onion", S2S_NOT_FOUND);
}

/* One of both services says that it is not there: the other one counts. */
/* Conforms: XEP-0368, 5: a target "." of one service leaves the other one */
static void test_one_service(void **state)
{
    (void)state;
    struct dialer *dialer = dial("one.test", &ASK_DNS);
    assert_int_equal(heard.connected, 1);
    assert_false(heard.way.direct_tls);
    end(&dialer);
}

static void test_idn(void **state)
{
    (void)state;
    struct dialer *dialer = dial("m\xc3\xbcnchen.test", &ASK_DNS);
    assert_int_equal(heard.connected, 1);
    assert_string_equal(heard.way.target, "h3.test");
    end(&dialer);
}

static void test_both_families(void **state)
{
    (void)state;
    struct dialer *dialer = dial("dual.test", &ASK_DNS);
    assert_int_equal(heard.connected, 1);
    if (listening[3] >= 0) {
        expect_address("::1");
        next(dialer, S2S_TLS, "x");
    }
    expect_address("127.0.0.2");
    end(&dialer);
}

static void test_thousand_records(void **state)
{
    (void)state;
    struct dialer *dialer = dial("many.test", &ASK_DNS);
    unsigned tries = 1;
    assert_int_equal(heard.connected, 1);
    while (heard.failed == 0 && tries < 100) {
        next(dialer, S2S_TLS, "x");
        tries++;
    }
    assert_int_equal(heard.failed, 1);
    assert_in_range(tries, 2, 33);
    end(&dialer);
}

/* Conforms: RFC 7673, 3.1 3.2 3.3: only what DNS validates on all the way counts */
static void test_dane(void **state)
{
    (void)state;
    struct dialer *dialer = dial("signed.test", &ASK_DNS);
    assert_int_equal(heard.connected, 1);
    assert_true(heard.way.secure);
    assert_int_equal(heard.way.tlsa_count, 1);
    assert_int_equal(heard.way.tlsa[0].usage, 3);
    assert_int_equal(heard.way.tlsa[0].len, 32);
    assert_int_equal(heard.tlsa[0], 0xab);
    end(&dialer);
    const struct s2s_policy without = {.dane = false};
    dialer = dial("signed.test", &without);
    assert_true(heard.way.secure);
    assert_int_equal(heard.way.tlsa_count, 0);
    end(&dialer);
    dialer = dial("insecure-target.signed.test", &ASK_DNS); /* the addresses are not signed */
    assert_int_equal(heard.connected, 1);
    assert_false(heard.way.secure);
    assert_int_equal(heard.way.tlsa_count, 0);
    end(&dialer);
    /* Whoever can keep the records from us cannot make us do without. */
    expect_failure("kept.signed.test", S2S_DNS_BOGUS);
}

static void test_places(void **state)
{
    struct s2s_place places[] = {
        {(char *)(uintptr_t) "127.0.0.9", 1, S2S_TLS_ANY},
        {(char *)(uintptr_t) "h3.test", 0, S2S_TLS_DIRECT},
        {(char *)(uintptr_t) "127.0.0.2", 0, S2S_TLS_STARTTLS},
    };
    (void)state;
    places[1].port = places[2].port = (uint16_t)port;
    const struct s2s_policy policy = {.places = places, .place_count = 3};
    struct dialer *dialer = dial("nowhere.test", &policy);
    assert_int_equal(heard.connected, 1);
    assert_string_equal(heard.way.target, "h3.test");
    assert_true(heard.way.direct_tls);
    expect_trace("-1 srv not asked for: a section remote says where it is");
    assert_null(strstr(heard.trace, "_tcp"));
    next(dialer, S2S_TLS, "x");
    expect_address("127.0.0.2");
    assert_false(heard.way.direct_tls);
    end(&dialer);
}

static void test_ourselves(void **state)
{
    (void)state;
    expect_failure("ourselves.test", S2S_OURSELVES);
    expect_failure("our-pages.test", S2S_OURSELVES);
}

static void test_address_as_domain(void **state)
{
    (void)state;
    expect_failure("127.0.0.9", S2S_CONNECT);
    expect_trace("0 connect 127.0.0.9:5269: Connection refused");
    assert_null(strstr(heard.trace, "srv"));
    expect_failure("[::1]", S2S_CONNECT);
    expect_trace("0 connect [::1]:5269");
}

static void test_freed_at_any_time(void **state)
{
    (void)state;
    for (int turns = 0; turns < 30; turns++) {
        memset(&heard, 0, sizeof(heard));
        struct dialer *dialer = dialer_new(&shard, "dual.test", &ASK_DNS, &TRACE, &EVENTS, NULL);
        for (int i = 0; i < turns && heard.connected == 0; i++)
            event_base_loop(loop_base(shard.loop), EVLOOP_NONBLOCK);
        dialer_free(&dialer);
        if (heard.connected) close(heard.fd);
    }
    struct dialer *dialer = dial("one.test", &ASK_DNS); /* the loop still runs */
    end(&dialer);
}

static void test_limit_of_time(void **state)
{
    (void)state;
    dns_fixture_stop(&dns);
    expect_failure("never-asked.test", S2S_DNS_FAILED);
    dns_fixture_start(&dns);
}

static void make_backend(void)
{
    char *options = mem_asprintf("servers = \"127.0.0.1:%u\" trust-anchor = \"%s/anchor\" hosts = \"%s/hosts\" "
                                 "timeout = 2s } s2s-connect-timeout = 3s\n"
                                 "listener \"a\" { serve = admin address = \"127.0.0.5:%u\" }\n"
                                 "listener \"s\" { serve = servers address = {\"127.0.0.4:%u\"} ",
                                 dns.port, dns.folder, dns.folder, port, port);
    char error[512];
    config = dns_fixture_config(&dns, options);
    free(options);
    hosts = hosts_new(config, error, sizeof(error));
    if (!hosts) fail_msg("%s", error);
    shard.backend = &backend;
    shard.hosts = hosts;
    shard.loop = loop_new();
    shard.mailbox = mailbox_new(shard.loop);
    backend.dns = dns_new(config, shard.loop, shard.mailbox);
}

static char *records(void)
{
    char many[16384], *to = many;
    for (unsigned i = 0; i < 300; i++)
        to += sprintf(to, "_xmpp-server._tcp.many SRV 1 %u %u h%u\n", i, port, i % 3 + 2);
    return mem_asprintf("h2 A 127.0.0.2\nh3 A 127.0.0.3\nh4 A 127.0.0.4\nh5 A 127.0.0.5\nh9 A 127.0.0.9\n"
                        "dualhost A 127.0.0.2\ndualhost AAAA ::1\n"
                        "two A 127.0.0.9\n_xmpps-server._tcp.two SRV 1 0 %u h2\n_xmpp-server._tcp.two SRV 2 0 %u h3\n"
                        "_xmpp-server._tcp.half SRV 1 1 %u h9\n_xmpp-server._tcp.half SRV 2 1 %u h3\n"
                        "plain A 127.0.0.9\nalias CNAME plain\n"
                        "none A 127.0.0.2\n_xmpps-server._tcp.none SRV 0 0 0 .\n_xmpp-server._tcp.none SRV 0 0 0 .\n"
                        "direct-none A 127.0.0.2\n_xmpps-server._tcp.direct-none SRV 0 0 0 .\n"
                        "_xmpps-server._tcp.one SRV 0 0 0 .\n_xmpp-server._tcp.one SRV 0 0 %u h2\n"
                        "_xmpp-server._tcp.gone SRV 0 0 5269 nowhere\n"
                        "odd A 127.0.0.2\n_xmpp-server._tcp.odd SRV 0 0 5269 a\\032b\n"
                        "_xmpp-server._tcp.refused SRV 0 0 1 h9\n_xmpp-server._tcp.refused SRV 0 0 5269 nowhere\n"
                        "_xmpp-server._tcp.xn--mnchen-3ya SRV 0 0 %u h3\n"
                        "_xmpp-server._tcp.dual SRV 0 0 %u dualhost\n"
                        "_xmpp-server._tcp.ourselves SRV 0 0 %u h4\n_xmpp-server._tcp.our-pages SRV 0 0 %u h5\n%s",
                        port, port, port, port, port, port, port, port, port, many);
}

static int set_up(void **state)
{
    (void)state;
    port = dns_fixture_free_port();
    listening[0] = listen_on("127.0.0.2", port);
    listening[1] = listen_on("127.0.0.3", port);
    listening[2] = listen_on("127.0.0.4", port);
    const int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const bool has_v6 = probe >= 0 && bind(probe, (const struct sockaddr *)&loopback, sizeof(loopback)) == 0;
    if (probe >= 0) close(probe);
    listening[4] = listen_on("127.0.0.5", port);
    listening[3] = has_v6 ? listen_on("[::1]", port) : -1;
    char *plain = records();
    char *secure =
        mem_asprintf("_xmpps-server._tcp SRV 0 0 %u h\nh A 127.0.0.2\n"
                     "_%u._tcp.h TLSA 3 1 1 abababababababababababababababababababababababababababababababab\n"
                     "_xmpp-server._tcp.insecure-target SRV 0 0 %u h3.test.\n"
                     "_xmpp-server._tcp.bogus SRV 0 0 4444 h\n"
                     "_xmpp-server._tcp.kept SRV 0 0 %u k\nk A 127.0.0.2\n_%u._tcp.k TLSA 3 1 2 cdcd\n",
                     port, port, port, port, port);
    dns_fixture_set_up(&dns, plain, secure);
    free(plain);
    free(secure);
    dns_fixture_stop(&dns);
    char *command = mem_asprintf(
        "cd %s && sed -i 's/0 0 4444 /0 0 5555 /; s/3 1 2 [cC][dD]/3 1 2 ef/' signed.zone && grep -q 'SRV.0 0 5555' "
        "signed.zone && grep -q '3 1 2 ef' signed.zone",
        dns.folder);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): words of our own */
    free(command);
    dns_fixture_start(&dns);
    make_backend();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dns_stop(backend.dns);
    while (mailbox_drain(shard.mailbox))
        continue;
    dns_free(&backend.dns);
    mailbox_free(&shard.mailbox);
    loop_free(&shard.loop);
    hosts_unref(&hosts);
    backend_config_unref(&config);
    for (size_t i = 0; i < ARRAY_LEN(listening); i++)
        if (listening[i] >= 0) close(listening[i]);
    dns_fixture_tear_down(&dns);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_srv_and_next),
        cmocka_unit_test(test_refused_then_next),
        cmocka_unit_test(test_fallback),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_one_service),
        cmocka_unit_test(test_idn),
        cmocka_unit_test(test_both_families),
        cmocka_unit_test(test_thousand_records),
        cmocka_unit_test(test_dane),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_ourselves),
        cmocka_unit_test(test_address_as_domain),
        cmocka_unit_test(test_freed_at_any_time),
        cmocka_unit_test(test_limit_of_time),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

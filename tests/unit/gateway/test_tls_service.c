#include "gateway/tls_service.h"

#include "gateway/tls_certs.h"
#include "lib/mem.h"
#include "tests/unit/gateway/tls_pair_of_ends.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct tls_fixture fixture;
static struct tls_tickets *tickets;
static SSL_CTX *client_ctx;

/* A section and its service; text stands in a section "x". */
struct section {
    struct option_file *file;
    struct tls_config config;
    struct route_table *routes;
    struct tls_service *service;
};

static void open_routed(struct section *s, const char *title, const char *text, const char *inside)
{
    char error[512] = "";
    char *whole = mem_asprintf("tls \"%s\" { %s }\nupstream \"u\" { server = \"unix:/x\" }\n"
                               "route \"t\" { protocol = \"tls\" terminate = \"%s\" }\n%s\n",
                               title, text, title, inside);
    int rc = tls_section(whole, &fixture, &s->file, &s->config, error, sizeof(error));
    if (rc == 0) rc = tls_config_load(&s->config, error, sizeof(error));
    if (rc != 0) fail_msg("%s", error);
    s->routes = route_table_new(s->file, error, sizeof(error));
    if (s->routes == NULL) fail_msg("%s", error);
    s->service = tls_service_new(&s->config, s->routes, tickets);
    free(whole);
}

static void open_titled(struct section *s, const char *title, const char *text)
{
    char *inside = mem_asprintf("route \"i\" { inside = \"%s\" proxy = \"u\" }", title);
    open_routed(s, title, text, inside);
    free(inside);
}

static void open_section(struct section *s, const char *text)
{
    open_titled(s, "x", text);
}

static void close_section(struct section *s)
{
    tls_service_free(&s->service);
    tls_config_clear(&s->config);
    route_table_free(&s->routes);
    option_file_free(&s->file);
}

static const char *common_name(const X509 *cert)
{
    static char name[64];
    assert_non_null(cert);
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof(name));
    return name;
}

static void test_certificate_by_name(void **state)
{
    static const struct {
        const char *sni, *cn;
    } ROWS[] = {
        {"a.test", "a"},     {"www.a.test", "a"}, {"b.test", "b"}, {"A.TEST", "a"}, {"x.b.test", "b"},
        {"y.x.b.test", "a"}, {"other.test", "a"}, {NULL, "a"},     {"c.test", "c"},
    };
    struct section s;
    (void)state;
    open_section(&s, "certificate = {\"a.pem\", \"b.pem\", \"c.crt\"}");
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct ends ends = ends_new(client_ctx, s.service, ROWS[i].sni);
        assert_true(ends_shake(&ends));
        assert_string_equal(common_name(SSL_get0_peer_certificate(ends.client)), ROWS[i].cn);
        ends_free(&ends);
    }
    close_section(&s);
}

static void test_unknown_name_is_refused(void **state)
{
    static const struct {
        const char *sni;
        bool served;
    } ROWS[] = {{"a.test", true}, {"other.test", false}, {NULL, false}, {"test", false}};
    struct section s;
    (void)state;
    open_section(&s, "certificate = \"a.pem\" unknown-name = refuse");
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct ends ends = ends_new(client_ctx, s.service, ROWS[i].sni);
        assert_int_equal(ends_shake(&ends), ROWS[i].served);
        if (!ROWS[i].served) assert_int_equal(ends.alert, SSL_AD_UNRECOGNIZED_NAME);
        ends_free(&ends);
    }
    close_section(&s);
}

/* The gateway has routed by the first. */
static void test_a_second_hello_asks_for_the_same_name(void **state)
{
    static const struct {
        const char *first, *second;
        bool served;
    } ROWS[] = {{"a.test", "a.test", true}, {"a.test", "A.TEST.", true}, {"a.test", "b.test", false},
                {"a.test", NULL, false},    {NULL, "b.test", false},     {NULL, NULL, true}};
    struct section s;
    (void)state;
    open_section(&s, "certificate = {\"a.pem\", \"b.pem\"}");
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct ends ends = ends_new(client_ctx, s.service, ROWS[i].first);
        /* It guesses a group that we do not have. */
        assert_int_equal(SSL_set1_groups_list(ends.client, (uintptr_t) "P-521:X25519"), 1);
        assert_int_equal(SSL_do_handshake(ends.client), -1);
        assert_int_equal(SSL_do_handshake(ends.server), -1);
        assert_non_null(SSL_get_pending_cipher(ends.server)); /* what a HelloRetryRequest has settled */
        assert_int_equal(SSL_set_tlsext_host_name(ends.client, (uintptr_t)ROWS[i].second), 1);
        assert_int_equal(ends_shake(&ends), ROWS[i].served);
        if (!ROWS[i].served) assert_int_equal(ends.alert, SSL_AD_ILLEGAL_PARAMETER);
        ends_free(&ends);
    }
    close_section(&s);
}

static void test_kind_by_what_the_client_can(void **state)
{
    static const struct {
        const char *algorithms;
        int kind;
    } ROWS[] = {
        {"ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256", EVP_PKEY_EC},
        {"ECDSA+SHA256", EVP_PKEY_EC},
        {"RSA-PSS+SHA256:RSA+SHA256", EVP_PKEY_RSA},
    };
    struct section s;
    (void)state;
    open_section(&s, "certificate = {\"rsa.pem\", \"a.pem\"}");
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
            struct ends ends = ends_new(client_ctx, s.service, "a.test");
            SSL_set_max_proto_version(ends.client, version);
            assert_int_equal(SSL_set1_sigalgs_list(ends.client, ROWS[i].algorithms), 1);
            assert_true(ends_shake(&ends));
            const X509 *cert = SSL_get0_peer_certificate(ends.client);
            assert_int_equal(EVP_PKEY_get_base_id(X509_get0_pubkey(cert)), ROWS[i].kind);
            ends_free(&ends);
        }
    }
    close_section(&s);
}

static SSL_SESSION *last_session;

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(last_session);
    last_session = session;
    return 1;
}

/* A first connection; its session is last_session, NULL when no ticket came. */
static void first_visit(struct section *s, const char *sni, int version, uint8_t *end_point, size_t *len)
{
    SSL_SESSION_free(last_session);
    last_session = NULL;
    struct ends ends = ends_new(client_ctx, s->service, sni);
    SSL_set_max_proto_version(ends.client, version);
    assert_true(ends_shake(&ends));
    assert_int_equal(SSL_session_reused(ends.client), 0);
    if (end_point != NULL) *len = tls_service_end_point(ends.server, end_point);
    ends_free(&ends);
}

static bool resumed(struct section *s, const char *sni, int version, uint8_t *end_point, size_t *len)
{
    struct ends ends = ends_new(client_ctx, s->service, sni);
    SSL_set_max_proto_version(ends.client, version);
    SSL_SESSION *copy = SSL_SESSION_dup(last_session);
    assert_int_equal(SSL_set_session(ends.client, copy), 1);
    SSL_SESSION_free(copy);
    assert_true(ends_shake(&ends));
    bool reused = SSL_session_reused(ends.client) == 1;
    assert_int_equal(SSL_session_reused(ends.server), reused);
    if (end_point != NULL) *len = tls_service_end_point(ends.server, end_point);
    ends_free(&ends);
    return reused;
}

static void test_tickets_are_bound(void **state)
{
    struct section s, other, asks;
    (void)state;
    open_section(&s, "certificate = {\"a.pem\", \"b.pem\"}");
    open_titled(&other, "y", "certificate = {\"a.pem\", \"b.pem\"}");
    open_section(&asks, "certificate = {\"a.pem\", \"b.pem\"} client-certificate = optional");
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        uint8_t first[TLS_END_POINT_MAX_BYTES], again[TLS_END_POINT_MAX_BYTES];
        size_t first_len, again_len;
        first_visit(&s, "a.test", version, first, &first_len);
        assert_non_null(last_session);
        SSL_SESSION *used = last_session;
        SSL_SESSION_up_ref(used);
        assert_true(resumed(&s, "a.test", version, again, &again_len));
        assert_int_equal(last_session != used, version == TLS1_3_VERSION); /* tickets of TLS 1.3 are used once */
        SSL_SESSION_free(used);
        assert_int_equal(first_len, 32);
        assert_int_equal(again_len, 32);
        assert_memory_equal(first, again, 32);
        assert_true(resumed(&s, "a.test", version, again, &again_len)); /* TLS 1.3: by the resumed one's ticket */
        assert_int_equal(again_len, 32);
        assert_memory_equal(first, again, 32);
        first_visit(&s, "a.test", version, NULL, NULL);
        assert_false(resumed(&s, "www.a.test", version, NULL, NULL)); /* the same certificate, another name */
        assert_false(resumed(&s, "b.test", version, NULL, NULL));
        assert_false(resumed(&s, NULL, version, NULL, NULL));
        first_visit(&s, "a.test", version, NULL, NULL);
        assert_false(resumed(&other, "a.test", version, NULL, NULL)); /* another section */
        first_visit(&s, "a.test", version, NULL, NULL);
        assert_false(resumed(&asks, "a.test", version, NULL, NULL)); /* another policy */
    }
    close_section(&s);
    close_section(&other);
    close_section(&asks);
}

/* An offer on the wire, from "h2,http/1.1". */
static size_t wire(const char *names, uint8_t *out)
{
    size_t len = 0;
    while (*names != '\0') {
        size_t one = strcspn(names, ",");
        out[len++] = (uint8_t)one;
        memcpy(out + len, names, one);
        len += one;
        names += one + (names[one] == ',');
    }
    return len;
}

/* NULL: no name was agreed on; "!": the alert. */
static const char *agreed(struct section *s, const char *sni, const char *offer, const struct route_query *query)
{
    static char out[256];
    uint8_t bytes[256];
    struct ends ends = ends_new(client_ctx, s->service, sni);
    tls_service_set_query(ends.server, query);
    if (offer != NULL) assert_int_equal(SSL_set_alpn_protos(ends.client, bytes, (unsigned)wire(offer, bytes)), 0);
    bool done = ends_shake(&ends);
    const char *name = done ? tls_service_alpn(ends.server, out) : "!";
    if (!done) assert_int_equal(ends.alert, SSL_AD_NO_APPLICATION_PROTOCOL);
    ends_free(&ends);
    return name;
}

struct alpn_case {
    const char *inside, *sni, *offer, *agreed;
};

#define BOTH                                                                                                           \
    "route \"x\" { inside = \"x\" alpn = \"xmpp-client\" proxy = \"u\" }"                                              \
    "route \"w\" { inside = \"x\" protocol = {\"http\", \"http2\"} proxy = \"u\" }"
#define NAMED                                                                                                          \
    "route \"a\" { inside = \"x\" sni = \"a.test\" alpn = {\"foo\", \"h2\"} proxy = \"u\" }"                           \
    "route \"b\" { inside = \"x\" sni = '~^(www|b)\\.' protocol = \"xmpp\" proxy = \"u\" }"                            \
    "route \"n\" { inside = \"x\" no-sni = true protocol = \"http\" proxy = \"u\" }"                                   \
    "route \"no\" { inside = \"x\" refuse = close }"

static const struct alpn_case ALPN_CASES[] = {
    {BOTH, "a.test", "h2,http/1.1", "h2"},
    {BOTH, "a.test", "http/1.1", "http/1.1"},
    {BOTH, "a.test", "http/1.1,xmpp-client", "xmpp-client"},
    {BOTH, "a.test", "xmpp-server", "!"},
    {BOTH, "a.test", NULL, NULL},
    {NAMED, "a.test", "h2,foo", "foo"},
    {NAMED, "a.test", "xmpp-client", "!"},
    {NAMED, "www.a.test", "h2,xmpp-server", "xmpp-server"},
    {NAMED, "www.a.test", "h2", "!"},
    {NAMED, NULL, "h2,http/1.1", "http/1.1"},
    {"route \"i\" { inside = \"x\" proxy = \"u\" }", "a.test", "h2,http/1.1", NULL},
    {"route \"i\" { inside = \"x\" proxy = \"u\" sni = \"a.test\" } " BOTH, "a.test", "h2,xmpp-client", NULL},
    {BOTH "route \"i\" { inside = \"x\" proxy = \"u\" }", "a.test", "foo", NULL},
    {BOTH "route \"i\" { inside = \"x\" protocol = \"ssh\" proxy = \"u\" }", "a.test", "foo", NULL},
    {BOTH "route \"i\" { inside = \"x\" no-alpn = true proxy = \"u\" }", "a.test", "foo", "!"},
    {BOTH "route \"i\" { inside = \"x\" on-timeout = true proxy = \"u\" }", "a.test", "foo", "!"},
    {"route \"i\" { inside = \"x\" tls-version = \"1.2\" alpn = \"h2\" proxy = \"u\" }" BOTH, "a.test",
     "h2,xmpp-client", "xmpp-client"},
};

static void test_alpn_by_routes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ALPN_CASES); i++) {
        const struct alpn_case *row = &ALPN_CASES[i];
        struct section s;
        open_routed(&s, "x", "certificate = \"a.pem\"", row->inside);
        const char *name = agreed(&s, row->sni, row->offer, NULL);
        if (name == NULL || row->agreed == NULL ? name != row->agreed : strcmp(name, row->agreed) != 0)
            fail_msg("case %zu: %s", i, name != NULL ? name : "none");
        close_section(&s);
    }
}

static void test_alpn_by_place(void **state)
{
    struct section s;
    struct addr near, far;
    (void)state;
    assert_int_equal(inet_pton(AF_INET, "10.0.0.1", &near.in.sin_addr), 1);
    near.in.sin_family = AF_INET;
    far = near;
    far.in.sin_addr.s_addr = htonl(0xc0000201);
    open_routed(&s, "x", "certificate = \"a.pem\"",
                "route \"i\" { inside = \"x\" source = \"10.0.0.0/8\" alpn = \"h2\" proxy = \"u\" }" BOTH);
    const struct route_query from_near = {.listener = "l", .source = &near, .inside = "x"};
    const struct route_query from_far = {.listener = "l", .source = &far, .inside = "x"};
    assert_string_equal(agreed(&s, "a.test", "h2,xmpp-client", &from_near), "h2");
    assert_string_equal(agreed(&s, "a.test", "h2,xmpp-client", &from_far), "xmpp-client");
    close_section(&s);
}

/* What a client shows, and what comes of it. */
struct client_case {
    const char *section, *shown; /* NULL: no certificate */
    bool served;
    enum tls_verified verified;
    int alert;
};

#define ASKS "certificate = \"a.pem\" client-ca = \"ca.pem\" client-certificate = "

static const struct client_case CLIENT_CASES[] = {
    {"certificate = \"a.pem\"", "client.pem", true, TLS_VERIFIED_NONE, 0}, /* nobody asks for it */
    {ASKS "optional", NULL, true, TLS_VERIFIED_NONE, 0},
    {ASKS "optional", "client.pem", true, TLS_VERIFIED_GOOD, 0},
    {ASKS "optional", "stranger.pem", true, TLS_VERIFIED_BAD, 0},
    {ASKS "optional", "expired.pem", true, TLS_VERIFIED_BAD, 0},
    {ASKS "optional", "server.pem", true, TLS_VERIFIED_BAD, 0}, /* it is for servers only */
    {ASKS "optional client-purpose = any", "server.pem", true, TLS_VERIFIED_GOOD, 0},
    {ASKS "optional client-crl = \"crl.pem\"", "client.pem", true, TLS_VERIFIED_GOOD, 0},
    {ASKS "optional client-crl = \"crl.pem\"", "revoked.pem", true, TLS_VERIFIED_BAD, 0},
    {"certificate = \"a.pem\" client-certificate = optional", "client.pem", true, TLS_VERIFIED_BAD, 0},
    {ASKS "required", "client.pem", true, TLS_VERIFIED_GOOD, 0},
    {ASKS "required", NULL, false, TLS_VERIFIED_NONE, SSL_AD_CERTIFICATE_REQUIRED},
    {ASKS "required", "stranger.pem", false, TLS_VERIFIED_NONE, SSL_AD_UNKNOWN_CA},
    {ASKS "required", "expired.pem", false, TLS_VERIFIED_NONE, SSL_AD_CERTIFICATE_EXPIRED},
};

static void show(SSL *client, const char *name)
{
    if (name == NULL) return;
    assert_int_equal(SSL_use_certificate_file(client, tls_fixture_path(&fixture, name), SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_use_PrivateKey_file(client, tls_fixture_path(&fixture, name), SSL_FILETYPE_PEM), 1);
}

static void test_client_certificates(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(CLIENT_CASES); i++) {
        const struct client_case *row = &CLIENT_CASES[i];
        struct section s;
        open_section(&s, row->section);
        struct ends ends = ends_new(client_ctx, s.service, "a.test");
        show(ends.client, row->shown);
        if (ends_shake(&ends) != row->served) fail_msg("case %zu", i);
        if (!row->served)
            assert_int_equal(ends.alert, row->alert);
        else if (tls_service_verified(ends.server) != row->verified)
            fail_msg("case %zu: %d", i, (int)tls_service_verified(ends.server));
        ends_free(&ends);
        close_section(&s);
    }
}

static unsigned tickets_sent;

static void count_tickets(int sent, int version, int type, const void *bytes, size_t len, SSL *ssl, void *arg)
{
    (void)sent, (void)version, (void)ssl, (void)arg;
    bool ticket = type == SSL3_RT_HANDSHAKE && len > 0 && *(const uint8_t *)bytes == SSL3_MT_NEWSESSION_TICKET;
    tickets_sent += ticket && len > 10; /* TLS 1.2 has said that one comes, and sends an empty one */
}

/* A ticket would hold no chain: who has shown a certificate gets none. */
static void test_no_ticket_for_who_has_shown_a_certificate(void **state)
{
    struct section s;
    (void)state;
    open_section(&s, ASKS "optional");
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        for (int shows = 0; shows < 2; shows++) {
            SSL_SESSION_free(last_session);
            last_session = NULL;
            struct ends ends = ends_new(client_ctx, s.service, "a.test");
            SSL_set_max_proto_version(ends.client, version);
            show(ends.client, shows ? "client.pem" : NULL);
            SSL_set_msg_callback(ends.client, count_tickets);
            tickets_sent = 0;
            assert_true(ends_shake(&ends));
            bool has = last_session != NULL && SSL_SESSION_has_ticket(last_session);
            assert_int_equal(has, shows == 0);
            assert_int_equal(tickets_sent, shows ? 0 : version == TLS1_3_VERSION ? 2 : 1);
            char byte = 0;
            assert_int_equal(SSL_write(ends.server, "x", 1), 1);
            assert_int_equal(SSL_read(ends.client, &byte, 1), 1);
            ends_free(&ends);
        }
    }
    close_section(&s);
}

static void test_update(void **state)
{
    struct section s, with;
    (void)state;
    open_section(&s, "certificate = \"a.pem\"");
    open_titled(&with, "y", "certificate = \"a2.pem\"");
    struct ends before = ends_new(client_ctx, s.service, "a.test");
    assert_true(ends_shake(&before));
    tls_service_update(s.service, with.config.certs);
    struct ends after = ends_new(client_ctx, s.service, "a.test");
    assert_true(ends_shake(&after));
    assert_string_equal(common_name(SSL_get0_peer_certificate(after.client)), "a2");
    assert_string_equal(common_name(SSL_get_certificate(before.server)), "a"); /* it keeps what it had */
    char byte = 0;
    assert_int_equal(SSL_write(before.server, "x", 1), 1);
    assert_int_equal(SSL_read(before.client, &byte, 1), 1);
    ends_free(&before);
    ends_free(&after);
    close_section(&s);
    close_section(&with);
}

/* What the client was shown at first binds the channel, whatever has been renewed since. */
static void test_end_point_of_a_renewed_certificate(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct section s, with;
        uint8_t first[TLS_END_POINT_MAX_BYTES], again[TLS_END_POINT_MAX_BYTES];
        size_t first_len = 0, again_len = 0;
        open_section(&s, "certificate = \"a.pem\"");
        open_titled(&with, "y", "certificate = \"a2.pem\"");
        first_visit(&s, "a.test", version, first, &first_len);
        tls_service_update(s.service, with.config.certs);
        for (int i = 0; i < 3; i++) {
            assert_true(resumed(&s, "a.test", version, again, &again_len));
            assert_int_equal(again_len, first_len);
            assert_memory_equal(again, first, first_len);
        }
        first_visit(&s, "a.test", version, again, &again_len);
        assert_memory_not_equal(again, first, first_len);
        close_section(&s);
        close_section(&with);
    }
}

/* A key that was rotated out opens no ticket; the one before the current does. */
static void test_rotation(void **state)
{
    struct section s;
    (void)state;
    open_section(&s, "certificate = \"a.pem\"");
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        first_visit(&s, "a.test", version, NULL, NULL);
        tls_tickets_set_rotation(tickets, 0);
        tls_tickets_rotate(tickets);
        SSL_SESSION *old = SSL_SESSION_dup(last_session);
        assert_true(resumed(&s, "a.test", version, NULL, NULL));
        tls_tickets_rotate(tickets);
        SSL_SESSION_free(last_session);
        last_session = old;
        assert_false(resumed(&s, "a.test", version, NULL, NULL));
        tls_tickets_set_rotation(tickets, 3600000);
    }
    close_section(&s);
}

/* The client's CA, and what it has signed, and has not. */
static void make_clients(void)
{
    EVP_PKEY *key = tls_fixture_key("EC");
    X509 *ca = tls_fixture_cert(&(struct tls_recipe){.cn = "ca"}, key);
    FILE *file = tls_fixture_create(&fixture, "ca.pem");
    assert_int_equal(PEM_write_X509(file, ca), 1);
    fclose(file);
    const struct {
        const char *name;
        struct tls_recipe recipe;
    } rows[] = {
        {"client.pem", {.cn = "client", .usage = "clientAuth", .serial = 2, .issuer = ca, .issuer_key = key}},
        {"server.pem", {.cn = "server", .usage = "serverAuth", .serial = 3, .issuer = ca, .issuer_key = key}},
        {"revoked.pem", {.cn = "revoked", .serial = 4, .issuer = ca, .issuer_key = key}},
        {"expired.pem",
         {.cn = "expired", .serial = 5, .from_s = -7200, .until_s = -60, .issuer = ca, .issuer_key = key}},
        {"stranger.pem", {.cn = "stranger"}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        tls_fixture_make(&fixture, rows[i].name, NULL, &rows[i].recipe);
    X509_CRL *crl = X509_CRL_new();
    X509_REVOKED *revoked = X509_REVOKED_new();
    ASN1_INTEGER *serial = ASN1_INTEGER_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, -60), *later = X509_gmtime_adj(NULL, 86400);
    assert_int_equal(ASN1_INTEGER_set(serial, 4), 1);
    assert_int_equal(X509_REVOKED_set_serialNumber(revoked, serial), 1);
    assert_int_equal(X509_REVOKED_set_revocationDate(revoked, now), 1);
    X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca));
    X509_CRL_set1_lastUpdate(crl, now);
    X509_CRL_set1_nextUpdate(crl, later);
    assert_int_equal(X509_CRL_add0_revoked(crl, revoked), 1);
    assert_true(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
    file = tls_fixture_create(&fixture, "crl.pem");
    assert_int_equal(PEM_write_X509_CRL(file, crl), 1);
    fclose(file);
    ASN1_TIME_free(now);
    ASN1_TIME_free(later);
    ASN1_INTEGER_free(serial);
    X509_CRL_free(crl);
    X509_free(ca);
    EVP_PKEY_free(key);
}

static int set_up(void **state)
{
    (void)state;
    tls_fixture_open(&fixture);
    tls_fixture_make(&fixture, "a.pem", NULL, &(struct tls_recipe){.cn = "a", .names = "DNS:a.test,DNS:www.a.test"});
    tls_fixture_make(&fixture, "rsa.pem", NULL, &(struct tls_recipe){.cn = "r", .names = "DNS:a.test", .kind = "RSA"});
    tls_fixture_make(&fixture, "b.pem", NULL, &(struct tls_recipe){.cn = "b", .names = "DNS:b.test,DNS:*.b.test"});
    tls_fixture_make(&fixture, "c.crt", "c.key", &(struct tls_recipe){.cn = "c", .names = "DNS:C.test"});
    tls_fixture_make(&fixture, "a2.pem", NULL, &(struct tls_recipe){.cn = "a2", .names = "DNS:a.test"});
    make_clients();
    tickets = tls_tickets_new(3600000);
    assert_non_null(tickets);
    client_ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(client_ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(client_ctx, keep_session);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    SSL_SESSION_free(last_session);
    SSL_CTX_free(client_ctx);
    tls_tickets_free(&tickets);
    tls_fixture_drop(&fixture);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_certificate_by_name),
        cmocka_unit_test(test_unknown_name_is_refused),
        cmocka_unit_test(test_a_second_hello_asks_for_the_same_name),
        cmocka_unit_test(test_kind_by_what_the_client_can),
        cmocka_unit_test(test_tickets_are_bound),
        cmocka_unit_test(test_client_certificates),
        cmocka_unit_test(test_no_ticket_for_who_has_shown_a_certificate),
        cmocka_unit_test(test_update),
        cmocka_unit_test(test_end_point_of_a_renewed_certificate),
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_alpn_by_routes),
        cmocka_unit_test(test_alpn_by_place),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

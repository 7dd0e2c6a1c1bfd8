#include "gateway/tls_service.h"

#include "gateway/tls_certs.h"
#include "lib/mem.h"
#include "tests/unit/gateway/tls_pair_of_ends.h"

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
    struct tls_service *service;
};

static void open_titled(struct section *s, const char *title, const char *text)
{
    char error[512] = "";
    char *whole = mem_asprintf("tls \"%s\" { %s }\n", title, text);
    int rc = tls_section(whole, &fixture, &s->file, &s->config, error, sizeof(error));
    if (rc == 0) rc = tls_config_load(&s->config, error, sizeof(error));
    if (rc != 0) fail_msg("%s", error);
    s->service = tls_service_new(&s->config, NULL, tickets);
    free(whole);
}

static void open_section(struct section *s, const char *text)
{
    open_titled(s, "x", text);
}

static void close_section(struct section *s)
{
    tls_service_free(&s->service);
    tls_config_clear(&s->config);
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
        assert_true(resumed(&s, "a.test", version, again, &again_len));
        assert_int_equal(first_len, 32);
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

static int set_up(void **state)
{
    (void)state;
    tls_fixture_open(&fixture);
    tls_fixture_make(&fixture, "a.pem", NULL, &(struct tls_recipe){.cn = "a", .names = "DNS:a.test,DNS:www.a.test"});
    tls_fixture_make(&fixture, "rsa.pem", NULL, &(struct tls_recipe){.cn = "r", .names = "DNS:a.test", .kind = "RSA"});
    tls_fixture_make(&fixture, "b.pem", NULL, &(struct tls_recipe){.cn = "b", .names = "DNS:b.test,DNS:*.b.test"});
    tls_fixture_make(&fixture, "c.crt", "c.key", &(struct tls_recipe){.cn = "c", .names = "DNS:C.test"});
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
        cmocka_unit_test(test_kind_by_what_the_client_can),
        cmocka_unit_test(test_tickets_are_bound),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

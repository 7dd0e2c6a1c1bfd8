#include "lib/tls.h"

#include "tests/unit/cert_fixture.h"

#include <openssl/err.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct cert_fixture cert_a, cert_b;
static SSL_CTX *ctx_a, *ctx_b, *client_ctx;

static SSL_CTX *make_ctx(const struct cert_fixture *cert, enum tls_profile profile)
{
    char why[256] = "";
    SSL_CTX *ctx = tls_server_ctx(cert->cert, cert->key, profile, why, sizeof why);
    if (!ctx) print_error("%s\n", why);
    assert_non_null(ctx);
    return ctx;
}

/* What the chooser saw last; a name that starts with "b" gets the second context, "x" none. */
static char seen[300];

static struct tls_choice choose(SSL *hello, const char *sni, void *arg)
{
    (void)hello;
    (void)arg;
    snprintf(seen, sizeof seen, "%s", sni ? sni : "(none)");
    if (sni && sni[0] == 'x') return (struct tls_choice){0};
    return (struct tls_choice){.ctx = sni && sni[0] == 'b' ? ctx_b : ctx_a, .alpn = "xmpp-client"};
}

struct pair {
    SSL *client, *server;
    bool done;
    unsigned long client_error;
};

/* handshake - both ends over memory; whether both finished. */
static bool handshake(struct pair *p)
{
    BIO *a, *b;
    bool client_done = false, server_done = false;

    assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    SSL_set_bio(p->client, a, a);
    SSL_set_bio(p->server, b, b);
    SSL_set_connect_state(p->client);
    SSL_set_accept_state(p->server);
    for (int i = 0; i < 20 && !(client_done && server_done); i++) {
        ERR_clear_error();
        client_done = SSL_do_handshake(p->client) == 1;
        if (!client_done && !p->client_error) p->client_error = ERR_peek_error();
        server_done = SSL_do_handshake(p->server) == 1;
    }
    ERR_clear_error();
    return client_done && server_done;
}

static struct pair pair_new(SSL_CTX *server_ctx, const char *sni, int max_version)
{
    struct pair p = {.client = SSL_new(client_ctx), .server = SSL_new(server_ctx)};
    if (sni) SSL_set_tlsext_host_name(p.client, (uintptr_t)sni);
    if (max_version) SSL_set_max_proto_version(p.client, max_version);
    return p;
}

static void pair_free(struct pair *p)
{
    SSL_free(p->client);
    SSL_free(p->server);
}

static const char *peer_name(SSL *ssl)
{
    static char name[64];
    X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(ssl)), NID_commonName, name, sizeof name);
    return name;
}

static void test_choice_by_name(void **state)
{
    static const struct {
        const char *sni, *seen, *cert;
    } rows[] = {
        {NULL, "(none)", "a.test"},
        {"a.test", "a.test", "a.test"},
        {"b.test", "b.test", "b.test"},
        {"B.TEST.", "b.test", "b.test"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pair p = pair_new(ctx_a, rows[i].sni, 0);
        assert_true(handshake(&p));
        assert_string_equal(seen, rows[i].seen);
        assert_string_equal(peer_name(p.client), rows[i].cert);
        pair_free(&p);
    }
    struct pair p = pair_new(ctx_a, "x.test", 0);
    assert_false(handshake(&p));
    assert_int_equal(ERR_GET_REASON(p.client_error), SSL_AD_REASON_OFFSET + SSL_AD_UNRECOGNIZED_NAME);
    pair_free(&p);
}

static void test_alpn(void **state)
{
    static const struct {
        const char *offer;
        unsigned len;
        const char *selected;
    } rows[] = {
        {"\x0bxmpp-client", 12, "xmpp-client"},
        {"\x02h2\x0bxmpp-client\x08http/1.1", 24, "xmpp-client"},
        {"\x02h2\x08http/1.1", 12, ""}, /* served all the same, without ALPN */
        {"\x0bxmpp-server", 12, ""},
        {"\x0axmpp-clien", 11, ""},
        {NULL, 0, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pair p = pair_new(ctx_a, "b.test", 0);
        const unsigned char *alpn;
        unsigned len;
        if (rows[i].offer)
            assert_int_equal(SSL_set_alpn_protos(p.client, (const unsigned char *)rows[i].offer, rows[i].len), 0);
        assert_true(handshake(&p));
        SSL_get0_alpn_selected(p.client, &alpn, &len);
        assert_int_equal(len, strlen(rows[i].selected));
        if (len > 0) assert_memory_equal(alpn, rows[i].selected, len);
        pair_free(&p);
    }
}

/* The profile is that of the chosen context, not of the one that the connection began with. */
static void test_profiles(void **state)
{
    static const struct {
        const char *sni;
        int max_version;
        bool served;
    } rows[] = {
        {"a.test", TLS1_1_VERSION, false}, {"a.test", TLS1_2_VERSION, true}, {"a.test", TLS1_3_VERSION, true},
        {"b.test", TLS1_2_VERSION, false}, {"b.test", TLS1_3_VERSION, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pair p = pair_new(ctx_a, rows[i].sni, rows[i].max_version);
        SSL_set_min_proto_version(p.client, TLS1_1_VERSION);
        assert_int_equal(handshake(&p), rows[i].served);
        pair_free(&p);
    }
}

static void test_no_resumption(void **state)
{
    (void)state;
    struct pair first = pair_new(ctx_a, "a.test", TLS1_2_VERSION);
    assert_true(handshake(&first));
    SSL_SESSION *session = SSL_get1_session(first.client);
    struct pair second = pair_new(ctx_a, "b.test", TLS1_3_VERSION);
    SSL_set_session(second.client, session);
    assert_true(handshake(&second));
    assert_int_equal(SSL_session_reused(second.client), 0);
    SSL_SESSION_free(session);
    pair_free(&first);
    pair_free(&second);
}

static void test_exporter(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        uint8_t ours[TLS_EXPORTER_BYTES], theirs[TLS_EXPORTER_BYTES], again[TLS_EXPORTER_BYTES];
        struct pair p = pair_new(ctx_a, "a.test", versions[i]);
        assert_false(tls_exporter(p.server, ours)); /* before the handshake */
        assert_true(handshake(&p));
        assert_true(tls_exporter(p.server, ours));
        assert_int_equal(SSL_export_keying_material(p.client, theirs, sizeof theirs, "EXPORTER-Channel-Binding", 24,
                                                    (const unsigned char *)"", 0, 1),
                         1);
        assert_memory_equal(ours, theirs, sizeof ours);
        pair_free(&p);
        p = pair_new(ctx_a, "a.test", versions[i]);
        assert_true(handshake(&p));
        assert_true(tls_exporter(p.server, again));
        assert_memory_not_equal(ours, again, sizeof ours);
        pair_free(&p);
    }
}

static void test_no_exporter_without_extended_master_secret(void **state)
{
    uint8_t out[TLS_EXPORTER_BYTES];

    (void)state;
    struct pair p = pair_new(ctx_a, "a.test", TLS1_2_VERSION);
    SSL_set_options(p.client, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    assert_true(handshake(&p));
    assert_false(tls_exporter(p.server, out));
    pair_free(&p);
}

/* How many keys of the exchange the server still holds; an emptied one belongs to no provider. */
static int exchange_keys(SSL *ssl)
{
    EVP_PKEY *own = NULL, *peer = NULL;
    int count = 0;
    if (SSL_get_tmp_key(ssl, &own) == 1 && EVP_PKEY_get0_provider(own) != NULL) count++;
    if (SSL_get_peer_tmp_key(ssl, &peer) == 1 && EVP_PKEY_get0_provider(peer) != NULL) count++;
    EVP_PKEY_free(own);
    EVP_PKEY_free(peer);
    return count;
}

static void test_forget_exchange(void **state)
{
    static const struct {
        int version;
        const char *group;
    } rows[] = {{TLS1_3_VERSION, "X25519"},
                {TLS1_3_VERSION, "P-256"},
                {TLS1_2_VERSION, "X25519:P-256"},
                {TLS1_2_VERSION, "P-256"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pair p = pair_new(ctx_a, "a.test", rows[i].version);
        uint8_t ours[TLS_EXPORTER_BYTES];
        char got[16];
        assert_int_equal(SSL_set1_groups_list(p.client, rows[i].group), 1);
        assert_true(handshake(&p));
        if (rows[i].version == TLS1_3_VERSION) assert_int_equal(exchange_keys(p.server), 2);
        tls_forget_exchange(p.server);
        assert_int_equal(exchange_keys(p.server), 0);
        tls_forget_exchange(p.server);
        assert_int_equal(ERR_peek_error(), 0);
        /* All goes on: bindings, data, and in TLS 1.3 a new key for them. */
        assert_true(tls_exporter(p.server, ours));
        if (rows[i].version == TLS1_3_VERSION) assert_int_equal(SSL_key_update(p.server, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_write(p.server, "hello", 5), 5);
        assert_int_equal(SSL_read(p.client, got, sizeof(got)), 5);
        assert_int_equal(SSL_write(p.client, "world", 5), 5);
        assert_int_equal(SSL_read(p.server, got, sizeof(got)), 5);
        assert_memory_equal(got, "world", 5);
        pair_free(&p);
    }
}

static void test_server_end_point(void **state)
{
    static const struct {
        const char *kind, *digest, *hash;
    } rows[] = {
        {"EC", "SHA256", "SHA256"}, {"EC", "SHA384", "SHA384"}, {"RSA", "SHA512", "SHA512"},
        {"RSA", "SHA1", "SHA256"},  {"RSA", "MD5", "SHA256"},   {"ED25519", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cert_fixture cert;
        uint8_t out[TLS_END_POINT_MAX_BYTES];
        unsigned char wanted[EVP_MAX_MD_SIZE];
        unsigned wanted_len = 0;
        cert_fixture_make(&cert, rows[i].kind, rows[i].digest ? EVP_get_digestbyname(rows[i].digest) : NULL, "c.test");
        SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
        SSL_CTX_set_security_level(ctx, 0); /* old signatures: what is asked is their hash */
        assert_int_equal(SSL_CTX_use_certificate_chain_file(ctx, cert.cert), 1);
        SSL *ssl = SSL_new(ctx);
        if (rows[i].hash)
            X509_digest(SSL_get_certificate(ssl), EVP_get_digestbyname(rows[i].hash), wanted, &wanted_len);
        assert_int_equal(tls_server_end_point(ssl, out), wanted_len);
        assert_memory_equal(out, wanted, wanted_len);
        SSL_free(ssl);
        SSL_CTX_free(ctx);
        cert_fixture_drop(&cert);
    }
}

static void expect_refusal(const char *cert, const char *key, const char *says)
{
    char why[512] = "";
    assert_null(tls_server_ctx(cert, key, TLS_INTERMEDIATE, why, sizeof why));
    if (!strstr(why, says)) print_error("why: %s\n", why);
    assert_non_null(strstr(why, says));
}

static void test_refusals(void **state)
{
    char mends[256];

    (void)state;
    expect_refusal("/nonexistent/cert.pem", cert_a.key, "/nonexistent/cert.pem: No such file");
    expect_refusal(cert_a.cert, "/nonexistent/key.pem", "/nonexistent/key.pem: No such file");
    expect_refusal(cert_a.key, cert_a.key, "no certificate");
    chmod(cert_a.cert, 0600);
    expect_refusal(cert_a.cert, cert_a.cert, "no private key in PEM form");
    expect_refusal(cert_a.cert, cert_b.key, "not the key of the first certificate");
    snprintf(mends, sizeof mends, "chmod 600 %s", cert_a.key);
    chmod(cert_a.key, 0604);
    expect_refusal(cert_a.cert, cert_a.key, mends);
    chmod(cert_a.key, 0660);
    expect_refusal(cert_a.cert, cert_a.key, mends);
    chmod(cert_a.key, 0600);
    SSL_CTX_free(make_ctx(&cert_a, TLS_MODERN));
    assert_int_equal(ERR_peek_error(), 0);
}

/* As Debian's ssl-cert does it; root is not in that group. */
static void test_root_shares_a_key_with_a_group(void **state)
{
    (void)state;
    if (geteuid() != 0) skip();
    assert_int_equal(chown(cert_a.key, 0, 12345), 0);
    assert_int_equal(chmod(cert_a.key, 0640), 0);
    SSL_CTX_free(make_ctx(&cert_a, TLS_MODERN));
    assert_int_equal(chown(cert_a.key, 65534, 12345), 0);
    expect_refusal(cert_a.cert, cert_a.key, "open to others");
    assert_int_equal(chown(cert_a.key, 0, 0), 0);
    assert_int_equal(chmod(cert_a.key, 0600), 0);
}

/* An encrypted key must not make the server ask at a terminal. */
static void test_encrypted_key_is_refused(void **state)
{
    char path[128];

    (void)state;
    snprintf(path, sizeof path, "%s/locked.pem", cert_a.folder);
    EVP_PKEY *key = cert_fixture_make_key("EC");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    assert_int_equal(PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(), NULL, 0, NULL, (char[]){"word"}), 1);
    fclose(file);
    expect_refusal(cert_a.cert, path, "the private key is encrypted");
    EVP_PKEY_free(key);
    unlink(path);
}

static int set_up(void **state)
{
    (void)state;
    cert_fixture_make(&cert_a, "EC", EVP_sha256(), "a.test");
    cert_fixture_make(&cert_b, "RSA", EVP_sha256(), "b.test");
    ctx_a = make_ctx(&cert_a, TLS_INTERMEDIATE);
    ctx_b = make_ctx(&cert_b, TLS_MODERN);
    tls_set_chooser(ctx_a, choose, NULL);
    client_ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(client_ctx, 0); /* may offer TLS 1.1 */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    SSL_CTX_free(ctx_a);
    SSL_CTX_free(ctx_b);
    SSL_CTX_free(client_ctx);
    cert_fixture_drop(&cert_a);
    cert_fixture_drop(&cert_b);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice_by_name),
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_no_resumption),
        cmocka_unit_test(test_exporter),
        cmocka_unit_test(test_no_exporter_without_extended_master_secret),
        cmocka_unit_test(test_forget_exchange),
        cmocka_unit_test(test_server_end_point),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_root_shares_a_key_with_a_group),
        cmocka_unit_test(test_encrypted_key_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

#include "lib/tls_ask.h"

#include "lib/tls.h"
#include "tests/unit/cert_fixture.h"

#include <openssl/err.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Certificates that are their own authorities. */
static struct cert_fixture server, trusted, stranger;

static SSL_CTX *asking(enum tls_ask ask)
{
    char why[256] = "";
    SSL_CTX *ctx = tls_server_ctx(server.cert, server.key, TLS_INTERMEDIATE, why, sizeof(why));
    assert_non_null(ctx);
    assert_int_equal(tls_ask_client(ctx, ask, trusted.cert, why, sizeof(why)), 0);
    return ctx;
}

static SSL_CTX *chosen;

static struct tls_choice choose(SSL *hello, const char *sni, void *arg)
{
    (void)hello;
    (void)sni;
    (void)arg;
    return (struct tls_choice){.ctx = chosen};
}

/* What the server knows after a handshake with a client that has (or has not) a certificate: done, the chain. */
struct outcome {
    bool done;
    STACK_OF(X509) * chain;
    long result;
};

/* The client meets a context that does not ask, which chooses the one that may. */
static struct outcome meet(SSL_CTX *ctx, const struct cert_fixture *certificate, int version)
{
    char why[256];
    BIO *a = NULL, *b = NULL;
    SSL_CTX *first = tls_server_ctx(server.cert, server.key, TLS_INTERMEDIATE, why, sizeof(why));
    SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());
    chosen = ctx;
    tls_set_chooser(first, choose, NULL);
    SSL_CTX_set_max_proto_version(client_ctx, version);
    if (certificate) {
        assert_int_equal(SSL_CTX_use_certificate_chain_file(client_ctx, certificate->cert), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(client_ctx, certificate->key, SSL_FILETYPE_PEM), 1);
    }
    SSL *client = SSL_new(client_ctx), *ssl = SSL_new(first);
    assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    SSL_set_bio(client, a, a);
    SSL_set_bio(ssl, b, b);
    SSL_set_connect_state(client);
    SSL_set_accept_state(ssl);
    struct outcome outcome = {.done = false};
    for (int i = 0; i < 20 && !outcome.done; i++) {
        ERR_clear_error();
        (void)SSL_do_handshake(client);
        outcome.done = SSL_do_handshake(ssl) == 1;
    }
    outcome.chain = tls_ask_chain(ssl);
    outcome.result = SSL_get_verify_result(ssl);
    SSL_free(client);
    SSL_free(ssl);
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(first);
    ERR_clear_error();
    return outcome;
}

static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void test_optional(void **state)
{
    (void)state;
    SSL_CTX *ctx = asking(TLS_ASK_OPTIONAL);
    const char *why = NULL;
    for (size_t i = 0; i < ARRAY_LEN(VERSIONS); i++) {
        struct outcome o = meet(ctx, NULL, VERSIONS[i]);
        assert_true(o.done);
        assert_null(o.chain);
        o = meet(ctx, &trusted, VERSIONS[i]);
        assert_true(o.done);
        assert_int_equal(sk_X509_num(o.chain), 1);
        assert_int_not_equal(o.result, X509_V_OK); /* nobody has checked it yet */
        assert_true(tls_ask_verify(ctx, o.chain, &why));
        assert_null(why);
        sk_X509_pop_free(o.chain, X509_free);
        o = meet(ctx, &stranger, VERSIONS[i]);
        assert_true(o.done);
        assert_int_equal(sk_X509_num(o.chain), 1);
        assert_false(tls_ask_verify(ctx, o.chain, &why));
        assert_non_null(why);
        sk_X509_pop_free(o.chain, X509_free);
    }
    SSL_CTX_free(ctx);
}

static void test_required(void **state)
{
    (void)state;
    SSL_CTX *ctx = asking(TLS_ASK_REQUIRED);
    const char *why = NULL;
    for (size_t i = 0; i < ARRAY_LEN(VERSIONS); i++) {
        struct outcome o = meet(ctx, NULL, VERSIONS[i]);
        assert_false(o.done);
        o = meet(ctx, &stranger, VERSIONS[i]);
        assert_false(o.done);
        sk_X509_pop_free(o.chain, X509_free);
        o = meet(ctx, &trusted, VERSIONS[i]);
        assert_true(o.done);
        assert_true(tls_ask_verify(ctx, o.chain, &why));
        sk_X509_pop_free(o.chain, X509_free);
    }
    SSL_CTX_free(ctx);
}

static void test_who_does_not_ask_trusts_nobody(void **state)
{
    (void)state;
    char why_text[256];
    const char *why = NULL;
    SSL_CTX *silent = tls_server_ctx(server.cert, server.key, TLS_INTERMEDIATE, why_text, sizeof(why_text));
    SSL_CTX *ctx = asking(TLS_ASK_OPTIONAL);
    struct outcome o = meet(silent, &trusted, TLS1_3_VERSION);
    assert_true(o.done);
    assert_null(o.chain);
    o = meet(ctx, &trusted, TLS1_3_VERSION);
    assert_false(tls_ask_verify(silent, o.chain, &why));
    assert_string_equal(why, "no certificates are asked for");
    sk_X509_pop_free(o.chain, X509_free);
    SSL_CTX_free(ctx);
    SSL_CTX_free(silent);
}

static void test_bad_files(void **state)
{
    (void)state;
    const char *const paths[] = {"/nonexistent/ca.pem", "/dev/null", server.key};
    char why[256];
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        SSL_CTX *ctx = tls_server_ctx(server.cert, server.key, TLS_INTERMEDIATE, why, sizeof(why));
        assert_int_equal(tls_ask_client(ctx, TLS_ASK_OPTIONAL, paths[i], why, sizeof(why)), -1);
        assert_int_equal(strncmp(why, paths[i], strlen(paths[i])), 0);
        SSL_CTX_free(ctx);
    }
}

static int set_up(void **state)
{
    (void)state;
    cert_fixture_make(&server, "EC", EVP_sha256(), "a.test");
    cert_fixture_make(&trusted, "EC", EVP_sha256(), "somebody");
    cert_fixture_make(&stranger, "EC", EVP_sha256(), "somebody");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cert_fixture_drop(&server);
    cert_fixture_drop(&trusted);
    cert_fixture_drop(&stranger);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_optional),
        cmocka_unit_test(test_required),
        cmocka_unit_test(test_who_does_not_ask_trusts_nobody),
        cmocka_unit_test(test_bad_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

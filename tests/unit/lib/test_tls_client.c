/* The client's side of TLS: two ios in one loop that talk to each other. */
#include "lib/tls_client.h"

#include "lib/io.h"
#include "lib/loop.h"
#include "lib/tls.h"
#include "lib/tls_ask.h"
#include "tests/unit/cert_fixture.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <string.h>
#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct side {
    struct io *io;
    bool secure, ended, clean;
    const char *why;
    char got[256];
    void (*then)(struct side *side);
};

static struct loop *loop;
static struct side server, client;
static struct cert_fixture cert, other;
static SSL_CTX *server_ctx, *client_ctx, *plain_server_ctx;

static struct tls_choice choose(SSL *hello, const char *sni, void *arg)
{
    (void)hello;
    (void)sni;
    (void)arg;
    return (struct tls_choice){.ctx = server_ctx, .alpn = "xmpp-server"};
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct side *side = arg;
    const size_t used = strlen(side->got);
    assert_true(used + len < sizeof(side->got));
    memcpy(side->got + used, data, len);
    side->got[used + len] = '\0';
    if (side->then) side->then(side);
}

static void on_secure(void *arg)
{
    struct side *side = arg;
    side->secure = true;
    if (side->then) side->then(side);
}

static void on_end(void *arg, bool clean, const char *why)
{
    struct side *side = arg;
    side->ended = true;
    side->clean = clean;
    side->why = why;
    if (server.ended && client.ended) loop_stop(loop);
}

static const struct io_events EVENTS = {on_data, on_secure, NULL, on_end};

/* Begins with plain ios; the caller has set what the sides do. */
static void begin(void)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    loop = loop_new();
    server.io = io_new(loop, fds[0], &EVENTS, &server);
    client.io = io_new(loop, fds[1], &EVENTS, &client);
}

static void finish(void (*look)(void))
{
    loop_run(loop);
    if (look) look();
    io_free(&server.io);
    io_free(&client.io);
    loop_free(&loop);
}

static void reset(void)
{
    server = client = (struct side){0};
}

static void say(struct side *side, const char *text)
{
    io_write(side->io, text, strlen(text));
}

static void serve(struct side *side)
{
    if (!side->secure && strcmp(side->got, "starttls") == 0) {
        side->got[0] = '\0';
        say(side, "proceed");
        io_start_tls(side->io, server_ctx);
    }
    if (side->secure && strcmp(side->got, "hello") == 0) say(side, "welcome");
}

static void ask_for_tls(struct side *side)
{
    if (strcmp(side->got, "proceed") == 0 && !io_ssl(side->io)) {
        side->got[0] = '\0';
        io_connect_tls(side->io, tls_client_ssl(client_ctx, "a.test", "xmpp-server"));
    }
    if (side->secure && !side->got[0]) say(side, "hello");
    if (strcmp(side->got, "welcome") == 0) io_shutdown(side->io, 5000);
}

/* Both sides have the certificate of the other, unverified, and know what was negotiated. */
static void assert_met(void)
{
    const unsigned char *alpn = NULL;
    unsigned len = 0;
    STACK_OF(X509) *chain = tls_ask_chain(io_ssl(server.io));
    assert_int_equal(sk_X509_num(chain), 1);
    assert_int_equal(X509_cmp(sk_X509_value(chain, 0), SSL_CTX_get0_certificate(client_ctx)), 0);
    sk_X509_pop_free(chain, X509_free);
    chain = tls_ask_chain(io_ssl(client.io));
    assert_int_equal(sk_X509_num(chain), 1);
    assert_int_equal(X509_cmp(sk_X509_value(chain, 0), SSL_CTX_get0_certificate(server_ctx)), 0);
    sk_X509_pop_free(chain, X509_free);
    assert_int_not_equal(SSL_get_verify_result(io_ssl(server.io)), X509_V_OK);
    assert_int_not_equal(SSL_get_verify_result(io_ssl(client.io)), X509_V_OK);
    SSL_get0_alpn_selected(io_ssl(client.io), &alpn, &len);
    assert_int_equal(len, strlen("xmpp-server"));
    assert_memory_equal(alpn, "xmpp-server", len);
    assert_string_equal(SSL_get_servername(io_ssl(server.io), TLSEXT_NAMETYPE_host_name), "a.test");
}

static void test_starttls(void **state)
{
    (void)state;
    reset();
    server.then = serve;
    client.then = ask_for_tls;
    begin();
    say(&client, "starttls");
    finish(assert_met);
    assert_true(server.secure && client.secure);
    assert_string_equal(server.got, "hello");
    assert_string_equal(client.got, "welcome");
    assert_true(server.clean && client.clean);
}

static void greet(struct side *side)
{
    if (side->secure && !side->got[0]) say(side, "hello");
    if (strcmp(side->got, "welcome") == 0) io_shutdown(side->io, 5000);
}

static void test_direct_tls(void **state)
{
    static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(VERSIONS); i++) {
        reset();
        server.then = serve;
        client.then = greet;
        begin();
        SSL *ssl = tls_client_ssl(client_ctx, "a.test", "xmpp-server");
        SSL_set_max_proto_version(ssl, VERSIONS[i]);
        io_connect_tls(client.io, ssl);
        io_start_tls(server.io, server_ctx);
        finish(assert_met);
        assert_true(server.clean && client.clean);
    }
}

static void end_at_once(struct side *side)
{
    if (side->secure) io_shutdown(side->io, 5000);
}

static void assert_no_name(void)
{
    STACK_OF(X509) *chain = tls_ask_chain(io_ssl(server.io));
    assert_null(SSL_get_servername(io_ssl(server.io), TLSEXT_NAMETYPE_host_name));
    assert_null(chain);
}

/* Without a certificate of our own, and towards an address, for which there are no server names. */
static void test_nothing_to_show(void **state)
{
    static const char *const NAMES[] = {NULL, "192.0.2.1", "2001:db8::1"};
    SSL_CTX *bare = tls_client_ctx(NULL, TLS_INTERMEDIATE);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        reset();
        client.then = end_at_once;
        begin();
        io_connect_tls(client.io, tls_client_ssl(bare, NAMES[i], NULL));
        io_start_tls(server.io, server_ctx);
        finish(assert_no_name);
        assert_true(server.secure && client.secure);
    }
    SSL_CTX_free(bare);
}

static void answer_in_the_clear(struct side *side)
{
    say(side, "HTTP/1.1 400 Bad Request\r\n\r\n");
    io_shutdown(side->io, 10);
}

static void test_peer_without_tls(void **state)
{
    (void)state;
    reset();
    server.then = answer_in_the_clear;
    begin();
    io_connect_tls(client.io, tls_client_ssl(client_ctx, "a.test", NULL));
    finish(NULL);
    assert_false(client.secure || client.clean);
    assert_int_equal(strncmp(client.why, "tls: ", 5), 0);
}

/* Packs what the other side has shown, before anything is said; the connection goes on as if nothing had happened. */
static void serve_packed(struct side *side)
{
    if (side->secure && !side->got[0]) tls_ask_pack(io_ssl(side->io), true);
    serve(side);
}

static void greet_packed(struct side *side)
{
    if (side->secure && !side->got[0]) {
        tls_ask_pack(io_ssl(side->io), false);
        if (SSL_version(io_ssl(side->io)) == TLS1_3_VERSION)
            assert_int_equal(SSL_key_update(io_ssl(side->io), SSL_KEY_UPDATE_REQUESTED), 1);
    }
    greet(side);
}

static void assert_packed(void)
{
    SSL *ssl = io_ssl(server.io);
    assert_null(SSL_get0_peer_certificate(ssl));
    assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(ssl)), 0);
    for (int i = 0; i < 2; i++) {
        STACK_OF(X509) *chain = tls_ask_chain(ssl);
        assert_int_equal(sk_X509_num(chain), 1);
        assert_int_equal(X509_cmp(sk_X509_value(chain, 0), SSL_CTX_get0_certificate(client_ctx)), 0);
        sk_X509_pop_free(chain, X509_free);
        tls_ask_pack(ssl, true); /* twice is once */
    }
    ssl = io_ssl(client.io);
    assert_null(SSL_get0_peer_certificate(ssl));
    assert_null(tls_ask_chain(ssl));
    tls_ask_pack(ssl, true);
    assert_null(tls_ask_chain(ssl));
    assert_non_null(SSL_get_cipher_name(ssl));
    assert_true(strcmp(SSL_get_version(ssl), SSL_get_version(io_ssl(server.io))) == 0);
}

static void test_packed(void **state)
{
    static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(VERSIONS); i++) {
        reset();
        server.then = serve_packed;
        client.then = greet_packed;
        /* with tickets, which OpenSSL's own servers send: each makes a new session of the old one */
        if (i >= ARRAY_LEN(VERSIONS)) SSL_CTX_set_num_tickets(server_ctx, 3);
        begin();
        SSL *ssl = tls_client_ssl(client_ctx, "a.test", "xmpp-server");
        SSL_set_max_proto_version(ssl, VERSIONS[i % 2]);
        io_connect_tls(client.io, ssl);
        io_start_tls(server.io, server_ctx);
        finish(assert_packed);
        assert_true(server.clean && client.clean);
        assert_string_equal(client.got, "welcome");
        SSL_CTX_set_num_tickets(server_ctx, 0);
    }
}

static X509 *with_key(EVP_PKEY *key)
{
    X509 *cert_of_key = X509_new();
    assert_non_null(key);
    assert_int_equal(X509_set_pubkey(cert_of_key, key), 1);
    EVP_PKEY_free(key);
    return cert_of_key;
}

/* A number with that many bits, odd. */
static BIGNUM *number(int bits)
{
    BIGNUM *n = BN_new();
    assert_int_equal(BN_set_word(n, 1) && BN_set_bit(n, bits - 1), 1);
    return n;
}

static EVP_PKEY *rsa(int bits, int exponent_bits)
{
    EVP_PKEY *key = NULL;
    BIGNUM *n = number(bits), *e = number(exponent_bits);
    OSSL_PARAM_BLD *list = OSSL_PARAM_BLD_new();
    OSSL_PARAM_BLD_push_BN(list, OSSL_PKEY_PARAM_RSA_N, n);
    OSSL_PARAM_BLD_push_BN(list, OSSL_PKEY_PARAM_RSA_E, e);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(list);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(list);
    BN_free(n);
    BN_free(e);
    return key;
}

static void assert_bearable(X509 *of, bool expected)
{
    assert_int_equal(tls_ask_bearable(of), expected);
    X509_free(of);
}

static void test_what_keys_may_cost(void **state)
{
    (void)state;
    assert_bearable(with_key(rsa(2048, 17)), true);
    assert_bearable(with_key(rsa(8192, 64)), true);
    assert_bearable(with_key(rsa(8200, 17)), false);
    assert_bearable(with_key(rsa(2048, 65)), false);
    assert_bearable(with_key(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-521")), true);
    assert_bearable(with_key(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")), true);
    assert_bearable(with_key(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "sect571r1")), false);
    assert_bearable(X509_new(), false);
}

/* Who shows a key whose signatures cost too much is refused before one is checked. */
static void test_a_key_that_costs_too_much(void **state)
{
    EVP_PKEY *key = NULL;
    BIGNUM *exponent = number(80);
    SSL_CTX *costly = tls_client_ctx(NULL, TLS_INTERMEDIATE);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
    (void)state;
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048), 1);
    assert_int_equal(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, exponent), 1);
    assert_int_equal(EVP_PKEY_keygen(ctx, &key), 1);
    EVP_PKEY_CTX_free(ctx);
    BN_free(exponent);
    X509 *shown = X509_new();
    X509_set_version(shown, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(shown), 0);
    X509_gmtime_adj(X509_getm_notAfter(shown), 60);
    X509_set_pubkey(shown, key);
    assert_true(X509_sign(shown, key, EVP_sha256()) > 0);
    assert_int_equal(SSL_CTX_use_certificate(costly, shown), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(costly, key), 1);
    reset();
    client.then = end_at_once;
    begin();
    io_connect_tls(client.io, tls_client_ssl(costly, NULL, NULL));
    io_start_tls(server.io, server_ctx);
    finish(NULL);
    assert_false(server.secure);
    assert_string_equal(server.why, "tls: certificate verify failed");
    X509_free(shown);
    EVP_PKEY_free(key);
    SSL_CTX_free(costly);
}

static int set_up(void **state)
{
    char why[256];
    (void)state;
    cert_fixture_make(&cert, "EC", EVP_sha256(), "a.test");
    cert_fixture_make(&other, "EC", EVP_sha256(), "b.test");
    plain_server_ctx = tls_server_ctx(cert.cert, cert.key, TLS_INTERMEDIATE, why, sizeof(why));
    server_ctx = tls_client_ctx(plain_server_ctx, TLS_INTERMEDIATE);
    SSL_CTX *own = tls_server_ctx(other.cert, other.key, TLS_INTERMEDIATE, why, sizeof(why));
    client_ctx = tls_client_ctx(own, TLS_INTERMEDIATE);
    SSL_CTX_free(own);
    tls_set_chooser(server_ctx, choose, NULL);
    return server_ctx && client_ctx ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    SSL_CTX_free(plain_server_ctx);
    SSL_CTX_free(server_ctx);
    SSL_CTX_free(client_ctx);
    cert_fixture_drop(&cert);
    cert_fixture_drop(&other);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starttls),
        cmocka_unit_test(test_direct_tls),
        cmocka_unit_test(test_nothing_to_show),
        cmocka_unit_test(test_peer_without_tls),
        cmocka_unit_test(test_packed),
        cmocka_unit_test(test_what_keys_may_cost),
        cmocka_unit_test(test_a_key_that_costs_too_much),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

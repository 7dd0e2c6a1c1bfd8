/* Which certificate a client gets, and which another server, and what is asked of each. */
#include "backend/host.h"

#include "backend/backend_config.h"
#include "backend/backend_options.h"
#include "lib/mem.h"
#include "lib/tls.h"
#include "lib/tls_client.h"
#include "tests/unit/cert_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct cert_fixture cert_a, cert_b, ca, peer;
static struct hosts *hosts;
static SSL_CTX *bare, *with_certificate;

static struct hosts *load(const char *text, char *error, size_t cap)
{
    char path[] = "/tmp/test_host_tls.XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    struct backend_config *config = MEM_NEW(struct backend_config);
    atomic_init(&config->refs, 1);
    config->file = option_load(path, BACKEND_OPTIONS, BACKEND_OPTION_COUNT, error, cap);
    unlink(path);
    assert_non_null(config->file);
    struct hosts *made = hosts_new(config, error, cap);
    backend_config_unref(&config);
    return made;
}

struct outcome {
    bool done;
    char subject[64], alpn[32]; /* of the server's certificate; what was negotiated */
    bool asked, named;          /* for a certificate; with names of authorities */
};

static bool asked;

static int on_request(SSL *ssl, X509 **cert, EVP_PKEY **key)
{
    (void)ssl;
    (void)cert;
    (void)key;
    asked = true;
    return 0;
}

static struct outcome meet(SSL_CTX *server_ctx, SSL_CTX *client_ctx, const char *sni, const char *alpn)
{
    struct outcome outcome = {.done = false};
    BIO *a = NULL, *b = NULL;
    const unsigned char *selected = NULL;
    unsigned len = 0;
    SSL *client = tls_client_ssl(client_ctx, sni, alpn), *ssl = SSL_new(server_ctx);
    assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    SSL_set_bio(client, a, a);
    SSL_set_bio(ssl, b, b);
    SSL_set_accept_state(ssl);
    asked = false;
    for (int i = 0; i < 20 && !outcome.done; i++) {
        ERR_clear_error();
        (void)SSL_do_handshake(client);
        outcome.done = SSL_do_handshake(ssl) == 1;
    }
    X509 *cert = SSL_get0_peer_certificate(client);
    if (cert)
        X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, outcome.subject,
                                  sizeof(outcome.subject));
    SSL_get0_alpn_selected(ssl, &selected, &len);
    if (len > 0 && len < sizeof(outcome.alpn)) memcpy(outcome.alpn, selected, len);
    outcome.asked = asked;
    outcome.named = sk_X509_NAME_num(SSL_get0_peer_CA_list(client)) > 0;
    SSL_free(client);
    SSL_free(ssl);
    ERR_clear_error();
    return outcome;
}

static void assert_met(struct outcome outcome, const char *subject, const char *alpn)
{
    assert_true(outcome.done);
    assert_string_equal(outcome.subject, subject);
    assert_string_equal(outcome.alpn, alpn);
}

/* A client without the certificate that is required of clients is refused; a server is not. */
static void test_servers_on_the_ports_of_clients(void **state)
{
    (void)state;
    assert_false(meet(hosts_tls(hosts), bare, "a.test", "xmpp-client").done);
    assert_false(meet(hosts_tls(hosts), bare, "a.test", NULL).done);
    struct outcome o = meet(hosts_tls(hosts), bare, "a.test", "xmpp-server");
    assert_met(o, "a.test", "xmpp-server");
    assert_true(o.asked);
    assert_false(o.named);
    o = meet(hosts_tls(hosts), with_certificate, "a.test", "xmpp-server");
    assert_met(o, "a.test", "xmpp-server");
    o = meet(hosts_tls(hosts), bare, "b.test", "xmpp-client");
    assert_met(o, "b.test", "xmpp-client");
    assert_false(o.asked);
    o = meet(hosts_tls(hosts), bare, "b.test", "xmpp-server");
    assert_met(o, "b.test", "xmpp-server");
    assert_true(o.asked);
    o = meet(hosts_tls(hosts), bare, "b.test", "h2");
    assert_met(o, "b.test", "");
    assert_false(o.asked);
}

static void test_servers(void **state)
{
    static const struct {
        const char *local, *sni, *subject;
    } ROWS[] = {
        {NULL, NULL, "a.test"},
        {NULL, "b.test", "b.test"},
        {NULL, "elsewhere.test", "a.test"},
        {"b.test", NULL, "b.test"},
        {"b.test", "a.test", "a.test"},
        {"b.test", "elsewhere.test", "b.test"},
        /* components: below a host, among its server names, and neither */
        {"rooms.b.test", NULL, "b.test"},
        {NULL, "rooms.b.test", "b.test"},
        {"gateway.test", NULL, "b.test"},
        {NULL, "gateway.test", "b.test"},
        {"other.test", NULL, "a.test"},
        {NULL, "other.test", "a.test"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        const struct outcome o = meet(hosts_tls_server(hosts, ROWS[i].local), bare, ROWS[i].sni, NULL);
        assert_met(o, ROWS[i].subject, "");
        assert_true(o.asked);
        assert_false(o.named);
    }
}

static const char *subject_of(SSL_CTX *ctx, char out[64])
{
    X509 *cert = SSL_CTX_get0_certificate(ctx);
    out[0] = '\0';
    if (cert) X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, out, 64);
    return out;
}

static void test_what_is_shown_to_servers(void **state)
{
    char out[64];
    (void)state;
    assert_string_equal(subject_of(hosts_tls_client(hosts, "a.test"), out), "a.test");
    assert_string_equal(subject_of(hosts_tls_client(hosts, "b.test"), out), "b.test");
    assert_string_equal(subject_of(hosts_tls_client(hosts, "rooms.b.test"), out), "b.test");
    assert_string_equal(subject_of(hosts_tls_client(hosts, "gateway.test"), out), "b.test");
}

#define ONION "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"

/* Behind an onion address there is no certificate: none is offered, and none is shown. */
static void test_hosts_without(void **state)
{
    char out[64], error[512];
    (void)state;
    char *text = mem_asprintf("s2s-proxy = \"127.0.0.1:9050\"\nhost \"" ONION "\" { }\n"
                              "host \"a.test\" { certificate = \"%s\" key = \"%s\" }\n",
                              cert_a.cert, cert_a.key);
    struct hosts *hidden = load(text, error, sizeof(error));
    free(text);
    if (!hidden) fail_msg("%s", error);
    assert_int_equal(hosts_load_certificates(hidden, error, sizeof(error)), 0);
    assert_null(hosts_tls_server(hidden, ONION));
    assert_non_null(hosts_tls_client(hidden, ONION));
    assert_string_equal(subject_of(hosts_tls_client(hidden, ONION), out), "");
    assert_met(meet(hosts_tls_server(hidden, NULL), bare, NULL, "xmpp-server"), "a.test", "xmpp-server");
    hosts_unref(&hidden);
}

static int set_up(void **state)
{
    char why[512];
    (void)state;
    cert_fixture_make(&cert_a, "EC", EVP_sha256(), "a.test");
    cert_fixture_make(&cert_b, "EC", EVP_sha256(), "b.test");
    cert_fixture_make(&ca, "EC", EVP_sha256(), "somebody");
    cert_fixture_make(&peer, "EC", EVP_sha256(), "c.test");
    char *text = mem_asprintf("listener \"components\" { address = \"127.0.0.1:5347\" serve = components }\n"
                              "component \"rooms.b.test\" { secret = \"0123456789abcdef\" }\n"
                              "component \"gateway.test\" { secret = \"0123456789abcdef\" }\n"
                              "component \"other.test\" { secret = \"0123456789abcdef\" }\n"
                              "host \"a.test\" { certificate = \"%s\" key = \"%s\" client-certificate = required "
                              "client-ca = \"%s\" }\n"
                              "host \"b.test\" { certificate = \"%s\" key = \"%s\" server-names = \"gateway.test\" }\n",
                              cert_a.cert, cert_a.key, ca.cert, cert_b.cert, cert_b.key);
    hosts = load(text, why, sizeof(why));
    free(text);
    if (!hosts || hosts_load_certificates(hosts, why, sizeof(why)) != 0) {
        fprintf(stderr, "%s\n", why);
        return -1;
    }
    SSL_CTX *own = tls_server_ctx(peer.cert, peer.key, TLS_INTERMEDIATE, why, sizeof(why));
    bare = tls_client_ctx(NULL, TLS_INTERMEDIATE);
    with_certificate = tls_client_ctx(own, TLS_INTERMEDIATE);
    SSL_CTX_free(own);
    SSL_CTX_set_client_cert_cb(bare, on_request);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hosts_unref(&hosts);
    SSL_CTX_free(bare);
    SSL_CTX_free(with_certificate);
    cert_fixture_drop(&cert_a);
    cert_fixture_drop(&cert_b);
    cert_fixture_drop(&ca);
    cert_fixture_drop(&peer);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_servers_on_the_ports_of_clients),
        cmocka_unit_test(test_servers),
        cmocka_unit_test(test_what_is_shown_to_servers),
        cmocka_unit_test(test_hosts_without),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

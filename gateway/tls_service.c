#include "gateway/tls_service.h"

#include "gateway/server_name.h"
#include "gateway/tls_alpn.h"
#include "gateway/tls_certs.h"
#include "lib/map.h"
#include "lib/mem.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

enum { SERVICE_MAGIC = 0x544c5353, BINDING_BYTES = 32 };

struct tls_service {
    unsigned magic;
    const struct tls_config *config;
    struct tls_certs *certs; /* a reference */
    SSL_CTX *ctx;
    struct tls_alpn *alpn;
    const struct tls_tickets *tickets;
    EVP_MD *digest;
    EVP_CIPHER *cipher;
    EVP_MD_CTX *digesting;
    int name_index;                /* of the connection's data that tells the name in its first hello */
    uint8_t policy[BINDING_BYTES]; /* hash of what a session was made under */
};

static struct tls_service *service_of(SSL *ssl)
{
    struct tls_service *service = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    CHECK_MAGIC(service, SERVICE_MAGIC);
    return service;
}

static void hash_text(EVP_MD_CTX *ctx, const char *text)
{
    if (text == NULL) text = "";
    CHECK(EVP_DigestUpdate(ctx, text, strlen(text) + 1) == 1);
}

/* A ticket is worth nothing under another section, another policy for client certificates, or other ciphers. */
static void hash_policy(struct tls_service *service)
{
    const struct tls_config *config = service->config;
    const uint8_t modes[] = {(uint8_t)config->client_certificate, config->any_purpose, config->policy.profile};
    EVP_MD_CTX *ctx = service->digesting;
    CHECK(EVP_DigestInit_ex2(ctx, service->digest, NULL) == 1);
    hash_text(ctx, config->name);
    CHECK(EVP_DigestUpdate(ctx, modes, sizeof(modes)) == 1);
    hash_text(ctx, config->client_ca);
    hash_text(ctx, config->policy.ciphers);
    hash_text(ctx, config->policy.ciphersuites);
    CHECK(EVP_DigestFinal_ex(ctx, service->policy, NULL) == 1);
}

/* Nor under another name: OpenSSL resumes no session of another context. */
static bool bind_sessions(struct tls_service *service, SSL *ssl, const char *name)
{
    uint8_t context[BINDING_BYTES];
    EVP_MD_CTX *ctx = service->digesting;
    if (EVP_DigestInit_ex2(ctx, service->digest, NULL) != 1) return false;
    if (EVP_DigestUpdate(ctx, service->policy, sizeof(service->policy)) != 1) return false;
    if (name != NULL && EVP_DigestUpdate(ctx, name, strlen(name)) != 1) return false;
    if (EVP_DigestFinal_ex(ctx, context, NULL) != 1) return false;
    return SSL_set_session_id_context(ssl, context, sizeof(context)) == 1;
}

static const char *clean_name(const char *name, char clean[SERVER_NAME_BYTES])
{
    if (name == NULL) return NULL;
    return server_name_clean((const uint8_t *)name, strlen(name), clean) == SERVER_NAME_HOST ? clean : NULL;
}

/* The clean name that the client asks for, or NULL; in callbacks after that of the hello. */
static const char *asked_name(SSL *ssl, char clean[SERVER_NAME_BYTES])
{
    return clean_name(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), clean);
}

static const struct tls_name *find_name(const struct tls_service *service, const char *name)
{
    const struct tls_name *found = name != NULL ? tls_certs_find(service->certs, name) : NULL;
    if (found != NULL || service->config->refuse_unknown) return found;
    return tls_certs_default(service->certs);
}

/* A second hello, after a HelloRetryRequest, must ask for the same name (RFC 8446 section 4.1.2): by the first one the
 * connection has come here.  OpenSSL takes any, and forgets the first; kept of it is a hash, never 0. */
static bool same_as_before(const struct tls_service *service, SSL *ssl, const char *name)
{
    char clean[SERVER_NAME_BYTES];
    const char *now = clean_name(name, clean);
    const uintptr_t hash = (uintptr_t)hash_bytes(now != NULL ? now : "", now != NULL ? strlen(now) : 0) | 1;
    const uintptr_t before = (uintptr_t)SSL_get_ex_data(ssl, service->name_index);
    return before != 0 ? before == hash : SSL_set_ex_data(ssl, service->name_index, (void *)hash) == 1;
}

static int on_hello(SSL *ssl, int *alert, void *arg)
{
    struct tls_service *service = arg;
    char text[TLS_NAME_BYTES];
    CHECK_MAGIC(service, SERVICE_MAGIC);
    const char *name = tls_hello_name(ssl, text);
    if (!same_as_before(service, ssl, name)) {
        *alert = SSL_AD_ILLEGAL_PARAMETER;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (find_name(service, name) == NULL) {
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (bind_sessions(service, ssl, name)) return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_CLIENT_HELLO_ERROR;
}

/* The handshake is a full one: it needs a certificate.  OpenSSL chooses by the key's kind. */
static int on_certificate(SSL *ssl, void *arg)
{
    struct tls_service *service = arg;
    char clean[SERVER_NAME_BYTES];
    CHECK_MAGIC(service, SERVICE_MAGIC);
    const struct tls_name *name = find_name(service, asked_name(ssl, clean));
    if (name == NULL) return 0;
    for (size_t i = 0; i < TLS_CERTS_KINDS; i++) {
        const struct tls_pair *pair = name->pairs[i];
        if (pair != NULL && SSL_use_cert_and_key(ssl, pair->leaf, pair->key, pair->chain, 1) != 1) return 0;
    }
    return 1;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *offer,
                   unsigned offer_len, void *arg)
{
    const struct tls_service *service = arg;
    char clean[SERVER_NAME_BYTES];
    CHECK_MAGIC(service, SERVICE_MAGIC);
    const struct tls_alpn_client client = {.sni = asked_name(ssl, clean),
                                           .version = (uint16_t)SSL_version(ssl),
                                           .query = SSL_get_app_data(ssl),
                                           .offer = offer,
                                           .offer_len = offer_len};
    switch (tls_alpn_choose(service->alpn, &client, out, out_len)) {
    case TLS_ALPN_CHOSEN:
        return SSL_TLSEXT_ERR_OK;
    case TLS_ALPN_WITHOUT:
        return SSL_TLSEXT_ERR_NOACK;
    case TLS_ALPN_NOTHING:
        break;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Whoever has shown a certificate starts anew each time: a ticket would not hold its chain. */
static bool may_resume(SSL *ssl)
{
    return SSL_get0_peer_certificate(ssl) == NULL;
}

static int on_verify(int good, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    SSL_set_num_tickets(ssl, 0);
    return good || service_of(ssl)->config->client_certificate == TLS_CLIENT_OPTIONAL;
}

static int start_mac(EVP_MAC_CTX *mac, struct tls_ticket_key *key)
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac_key, sizeof(key->mac_key)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, params);
}

static int seal(const struct tls_service *service, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    struct tls_ticket_key key;
    tls_tickets_current(service->tickets, &key);
    memcpy(name, key.name, sizeof(key.name));
    int done = RAND_bytes(iv, EVP_CIPHER_get_iv_length(service->cipher)) == 1 &&
               EVP_EncryptInit_ex2(cipher, service->cipher, key.cipher_key, iv, NULL) == 1 && start_mac(mac, &key) == 1;
    mem_wipe(&key, sizeof(key));
    return done ? 1 : -1;
}

/* Returns 2 for a ticket under the previous key: it is taken, and replaced. */
static int open_ticket(const struct tls_service *service, const uint8_t *name, const uint8_t *iv,
                       EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    struct tls_ticket_key key;
    bool current = false;
    if (!tls_tickets_find(service->tickets, name, &key, &current)) return 0;
    int done = EVP_DecryptInit_ex2(cipher, service->cipher, key.cipher_key, iv, NULL) == 1 && start_mac(mac, &key) == 1;
    mem_wipe(&key, sizeof(key));
    if (!done) return -1;
    return current ? 1 : 2;
}

static int on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                         int sealing)
{
    const struct tls_service *service = service_of(ssl);
    if (!sealing) return open_ticket(service, name, iv, cipher, mac);
    return may_resume(ssl) ? seal(service, name, iv, cipher, mac) : 0;
}

/* A resumed session shows no certificate: its ticket remembers the hash of the one that was shown at first. */
static int on_new_ticket(SSL *ssl, void *arg)
{
    (void)arg;
    uint8_t hash[TLS_END_POINT_MAX_BYTES];
    if (SSL_session_reused(ssl)) return 1;
    size_t len = tls_server_end_point(ssl, hash);
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), hash, len);
}

/* With TLS 1.3 clients use a ticket once (RFC 8446 appendix C.4), so each resumption gives them a new one. */
static SSL_TICKET_RETURN on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t name_len,
                                   SSL_TICKET_STATUS status, void *arg)
{
    (void)session, (void)name, (void)name_len, (void)arg;
    if (status == SSL_TICKET_SUCCESS && SSL_version(ssl) < TLS1_3_VERSION) return SSL_TICKET_RETURN_USE;
    if (status == SSL_TICKET_SUCCESS) return SSL_TICKET_RETURN_USE_RENEW;
    return status == SSL_TICKET_SUCCESS_RENEW ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_IGNORE_RENEW;
}

static void set_tickets(struct tls_service *service)
{
    SSL_CTX_clear_options(service->ctx, SSL_OP_NO_TICKET);
    CHECK(SSL_CTX_set_num_tickets(service->ctx, 2) == 1);
    SSL_CTX_set_timeout(service->ctx, tls_tickets_lifetime_s(service->tickets));
    CHECK(SSL_CTX_set_tlsext_ticket_key_evp_cb(service->ctx, on_ticket_key) == 1);
    CHECK(SSL_CTX_set_session_ticket_cb(service->ctx, on_new_ticket, on_ticket, NULL) == 1);
}

static void set_callbacks(struct tls_service *service)
{
    static const int VERIFY[] = {
        [TLS_CLIENT_NONE] = SSL_VERIFY_NONE,
        [TLS_CLIENT_OPTIONAL] = SSL_VERIFY_PEER,
        [TLS_CLIENT_REQUIRED] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    };
    const struct tls_config *config = service->config;
    SSL_CTX_set_app_data(service->ctx, service);
    SSL_CTX_set_client_hello_cb(service->ctx, on_hello, service);
    SSL_CTX_set_tlsext_servername_callback(service->ctx, tls_accept_name);
    SSL_CTX_set_alpn_select_cb(service->ctx, on_alpn, service);
    SSL_CTX_set_cert_cb(service->ctx, on_certificate, service);
    SSL_CTX_set_verify(service->ctx, VERIFY[config->client_certificate],
                       config->client_certificate == TLS_CLIENT_NONE ? NULL : on_verify);
    if (service->tickets != NULL && config->tickets && config->client_certificate != TLS_CLIENT_REQUIRED)
        set_tickets(service);
}

/* One for all services. */
static int name_index(void)
{
    static int made = -1;
    if (made < 0) made = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    CHECK(made >= 0);
    return made;
}

struct tls_service *tls_service_new(const struct tls_config *config, struct route_table *routes,
                                    const struct tls_tickets *tickets)
{
    CHECK(config->ctx != NULL && config->certs != NULL);
    struct tls_service *service = MEM_NEW(struct tls_service);
    service->magic = SERVICE_MAGIC;
    service->config = config;
    service->certs = tls_certs_ref(config->certs);
    CHECK(SSL_CTX_up_ref(config->ctx) == 1);
    service->ctx = config->ctx;
    service->tickets = tickets;
    service->alpn = tls_alpn_new(routes, config->name);
    service->digest = EVP_MD_fetch(NULL, "SHA256", NULL);
    service->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    service->digesting = EVP_MD_CTX_new();
    CHECK(service->digest != NULL && service->cipher != NULL && service->digesting != NULL);
    service->name_index = name_index();
    hash_policy(service);
    set_callbacks(service);
    return service;
}

void tls_service_free(struct tls_service **service)
{
    struct tls_service *old = *service;
    if (old == NULL) return;
    *service = NULL;
    SSL_CTX_free(old->ctx);
    tls_certs_unref(&old->certs);
    tls_alpn_free(&old->alpn);
    EVP_MD_CTX_free(old->digesting);
    EVP_MD_free(old->digest);
    EVP_CIPHER_free(old->cipher);
    old->magic = 0;
    free(old);
}

const struct tls_config *tls_service_config(const struct tls_service *service)
{
    return service->config;
}

SSL *tls_service_accept(struct tls_service *service, int fd)
{
    CHECK_MAGIC(service, SERVICE_MAGIC);
    SSL *ssl = SSL_new(service->ctx);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_accept_state(ssl);
    return ssl;
}

void tls_service_set_query(SSL *ssl, const struct route_query *query)
{
    CHECK(SSL_set_app_data(ssl, (void *)(uintptr_t)query) == 1);
}

const char *tls_service_alpn(SSL *ssl, char out[256])
{
    const unsigned char *name = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(ssl, &name, &len);
    if (len == 0 || len > 255) return NULL;
    memcpy(out, name, len);
    out[len] = '\0';
    return out;
}

size_t tls_service_end_point(SSL *ssl, uint8_t out[TLS_END_POINT_MAX_BYTES])
{
    void *hash = NULL;
    size_t len = 0;
    if (!SSL_session_reused(ssl)) return tls_server_end_point(ssl, out);
    if (SSL_SESSION_get0_ticket_appdata(SSL_get_session(ssl), &hash, &len) != 1) return 0;
    if (hash == NULL || len > TLS_END_POINT_MAX_BYTES) return 0;
    memcpy(out, hash, len);
    return len;
}

enum tls_verified tls_service_verified(SSL *ssl)
{
    if (SSL_get0_peer_certificate(ssl) == NULL) return TLS_VERIFIED_NONE;
    return SSL_get_verify_result(ssl) == X509_V_OK ? TLS_VERIFIED_GOOD : TLS_VERIFIED_BAD;
}

const struct tls_certs *tls_service_certs(const struct tls_service *service)
{
    return service->certs;
}

void tls_service_update(struct tls_service *service, struct tls_certs *certs)
{
    CHECK_MAGIC(service, SERVICE_MAGIC);
    tls_certs_ref(certs);
    tls_certs_unref(&service->certs);
    service->certs = certs;
}

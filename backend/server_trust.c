#include "backend/server_trust.h"

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/tls.h"
#include "lib/tls_ask.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { HASH_DIGITS = 8 };

struct server_trust {
    char *ca_path, *crl_path; /* crl_path may be NULL */
    pthread_mutex_t lock;     /* of the rest, until it is read */
    X509_STORE *store;        /* NULL: nothing was read yet */
    bool has_authorities;     /* false: they could not be read */
    int level;                /* of security, as OpenSSL's configuration has it */
};

struct server_trust *server_trust_new(const char *ca_path, const char *crl_path)
{
    struct server_trust *trust = MEM_NEW(struct server_trust);
    trust->ca_path = mem_strdup(ca_path);
    trust->crl_path = mem_strdup(crl_path);
    CHECK(pthread_mutex_init(&trust->lock, NULL) == 0);
    return trust;
}

void server_trust_free(struct server_trust **trust)
{
    struct server_trust *t = *trust;
    if (!t) return;
    *trust = NULL;
    X509_STORE_free(t->store);
    pthread_mutex_destroy(&t->lock);
    free(t->ca_path);
    free(t->crl_path);
    free(t);
}

/* As "openssl rehash" names them. */
static bool is_hashed(const char *name)
{
    for (size_t i = 0; i < HASH_DIGITS; i++)
        if (!isxdigit((unsigned char)name[i])) return false;
    return name[HASH_DIGITS] == '.' && isdigit((unsigned char)name[HASH_DIGITS + 1]);
}

static int look_into(const char *folder, char *why, size_t cap)
{
    const struct dirent *entry = NULL;
    DIR *dir = opendir(folder);
    if (!dir) return snprintf(why, cap, "%s: %s", folder, strerror(errno)), -1;
    bool found = false;
    while (!found && (entry = readdir(dir)) != NULL)
        found = is_hashed(entry->d_name);
    closedir(dir);
    if (found) return 0;
    return snprintf(why, cap, "%s: no certificates under hashed names; openssl rehash makes them", folder), -1;
}

static int add_authorities(X509_STORE *store, const char *path, char *why, size_t cap)
{
    struct stat st;
    if (stat(path, &st) != 0) return snprintf(why, cap, "%s: %s", path, strerror(errno)), -1;
    if (S_ISDIR(st.st_mode)) {
        CHECK(X509_STORE_load_path(store, path) == 1);
        return look_into(path, why, cap);
    }
    if (X509_STORE_load_file(store, path) == 1) return 0;
    return snprintf(why, cap, "%s: no certificates in PEM form: %s", path, tls_error()), -1;
}

static void warn_of_old_lists(const struct server_trust *trust)
{
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(trust->store);
    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509_CRL *crl = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(objects, i));
        const ASN1_TIME *next = crl ? X509_CRL_get0_nextUpdate(crl) : NULL;
        if (!next || X509_cmp_current_time(next) > 0) continue;
        char *issuer = X509_NAME_oneline(X509_CRL_get_issuer(crl), NULL, 0);
        log_msg(LOG_LEVEL_WARN, "certificate", "%s: the revocation list of %s is out of date; it is used all the same",
                trust->crl_path, issuer ? issuer : "-");
        OPENSSL_free(issuer);
    }
}

static int add_lists(struct server_trust *trust, char *why, size_t cap)
{
    X509_LOOKUP *lookup = X509_STORE_add_lookup(trust->store, X509_LOOKUP_file());
    struct stat there;
    CHECK(lookup != NULL);
    if (stat(trust->crl_path, &there) != 0) return snprintf(why, cap, "%s: %s", trust->crl_path, strerror(errno)), -1;
    if (X509_load_crl_file(lookup, trust->crl_path, X509_FILETYPE_PEM) <= 0)
        return snprintf(why, cap, "%s: no revocation lists in PEM form: %s", trust->crl_path, tls_error()), -1;
    warn_of_old_lists(trust);
    return 0;
}

/* Debian, for one, wants more of keys and digests than OpenSSL does by itself. */
static int default_level(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    CHECK(ctx != NULL);
    const int level = SSL_CTX_get_security_level(ctx);
    SSL_CTX_free(ctx);
    return level;
}

/* What cannot be read is left out: then nobody is trusted, or nothing revoked. */
static int read_all(struct server_trust *trust, char *why, size_t cap)
{
    char more[512];
    trust->store = X509_STORE_new();
    CHECK(trust->store != NULL);
    trust->level = default_level();
    int result = add_authorities(trust->store, trust->ca_path, why, cap);
    trust->has_authorities = result == 0;
    if (trust->crl_path && add_lists(trust, more, sizeof(more)) != 0 && result == 0) {
        snprintf(why, cap, "%s", more);
        result = -1;
    }
    ERR_clear_error();
    return result;
}

int server_trust_check(struct server_trust *trust, char *why, size_t cap)
{
    pthread_mutex_lock(&trust->lock);
    CHECK(trust->store == NULL);
    const int result = read_all(trust, why, cap);
    pthread_mutex_unlock(&trust->lock);
    return result;
}

static void need(struct server_trust *trust)
{
    char why[512];
    pthread_mutex_lock(&trust->lock);
    if (!trust->store && read_all(trust, why, sizeof(why)) != 0)
        log_msg(LOG_LEVEL_WARN, "certificate", "s2s-ca: %s: no other server's certificate can be checked", why);
    pthread_mutex_unlock(&trust->lock);
}

/* A list that is missing or old says nothing against a certificate. */
static int on_fault(int good, X509_STORE_CTX *check)
{
    const int error = X509_STORE_CTX_get_error(check);
    return good || error == X509_V_ERR_UNABLE_TO_GET_CRL || error == X509_V_ERR_CRL_HAS_EXPIRED;
}

static const char *text_of(const struct server_trust *trust, X509_STORE_CTX *check)
{
    const int error = X509_STORE_CTX_get_error(check);
    const bool leaf = X509_STORE_CTX_get_error_depth(check) == 0;
    switch (error) {
    case X509_V_OK:
        return "it cannot be checked";
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return leaf ? "it has expired" : "the certificate of its authority has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return leaf ? "it is not valid yet; or our clock is wrong"
                    : "the certificate of its authority is not valid yet";
    case X509_V_ERR_CERT_REVOKED:
        return leaf ? "it is revoked" : "the certificate of its authority is revoked";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return "it is self-signed";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        if (!trust->has_authorities) return "there are no authorities to check it by (s2s-ca)";
        return error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN
                   ? "its authority is not trusted (s2s-ca)"
                   : "its authority is not trusted (s2s-ca), or the server does not send an intermediate certificate";
    default:
        return X509_verify_cert_error_string(error);
    }
}

/* What a certificate may be used for, of what counts here.  Public authorities issue for servers only, so a server
 * shows the same one when it connects.  RFC 6120 section 13.7.1.4 has an own use for XMPP. */
enum { FOR_SERVERS = 1, FOR_CLIENTS = 2, FOR_ALL = FOR_SERVERS | FOR_CLIENTS };

static unsigned uses_of(X509 *cert)
{
    unsigned uses = 0;
    if (X509_get_ext_by_NID(cert, NID_ext_key_usage, -1) < 0) return FOR_ALL;
    EXTENDED_KEY_USAGE *list = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
    for (int i = 0; i < sk_ASN1_OBJECT_num(list); i++) {
        switch (OBJ_obj2nid(sk_ASN1_OBJECT_value(list, i))) {
        case NID_server_auth:
            uses |= FOR_SERVERS;
            break;
        case NID_client_auth:
            uses |= FOR_CLIENTS;
            break;
        case NID_anyExtendedKeyUsage:
        case NID_XmppAddr:
            uses |= FOR_ALL;
            break;
        default:
            break;
        }
    }
    sk_ASN1_OBJECT_pop_free(list, ASN1_OBJECT_free);
    return uses;
}

/* The authorities between, too, may be meant for something; what an anchor is for, the administrator has said. */
static const char *check_uses(STACK_OF(X509) * path)
{
    X509 *leaf = sk_X509_value(path, 0);
    const int count = sk_X509_num(path);
    const uint32_t usage = X509_get_key_usage(leaf); /* all bits set: it does not say */
    unsigned uses = FOR_ALL;
    for (int i = 0; i < count && (i == 0 || i < count - 1); i++)
        uses &= uses_of(sk_X509_value(path, i));
    if (uses == 0) return "it is for neither TLS servers nor TLS clients (extendedKeyUsage)";
    if (!(usage & (KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT | KU_KEY_AGREEMENT)))
        return "its key is not for TLS (keyUsage)";
    if (count > 1 && X509_check_ca(leaf) == 1) return "it is the certificate of an authority";
    return NULL;
}

static const char *check_costs(STACK_OF(X509) * chain)
{
    if (sk_X509_num(chain) == 0) return "there is none";
    if (sk_X509_num(chain) > TLS_ASK_CHAIN_MAX) return "its chain is too long";
    for (int i = 0; i < sk_X509_num(chain); i++)
        if (!tls_ask_bearable(sk_X509_value(chain, i)))
            return "its chain has a key of a kind or size that is not taken";
    return NULL;
}

static STACK_OF(X509) *
    find_path(struct server_trust *trust, STACK_OF(X509) * chain, STACK_OF(X509) * anchors, const char **why)
{
    STACK_OF(X509) *path = NULL;
    X509_STORE_CTX *check = X509_STORE_CTX_new();
    CHECK(check != NULL && X509_STORE_CTX_init(check, trust->store, sk_X509_value(chain, 0), chain) == 1);
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(check);
    X509_VERIFY_PARAM_set_depth(param, TLS_ASK_CHAIN_MAX);
    X509_VERIFY_PARAM_set_auth_level(param, trust->level);
    if (trust->crl_path) X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    if (anchors) {
        X509_STORE_CTX_set0_trusted_stack(check, anchors);
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    }
    X509_STORE_CTX_set_verify_cb(check, on_fault);
    if (X509_verify_cert(check) == 1)
        path = X509_STORE_CTX_get1_chain(check);
    else
        *why = text_of(trust, check);
    X509_STORE_CTX_free(check);
    ERR_clear_error();
    return path;
}

STACK_OF(X509) *
    server_trust_verify(struct server_trust *trust, STACK_OF(X509) * chain, STACK_OF(X509) * anchors, const char **why)
{
    *why = check_costs(chain);
    if (*why) return NULL;
    need(trust);
    STACK_OF(X509) *path = find_path(trust, chain, anchors, why);
    if (!path) return NULL;
    *why = check_uses(path);
    if (!*why) return path;
    sk_X509_pop_free(path, X509_free);
    return NULL;
}

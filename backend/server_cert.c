#include "backend/server_cert.h"

#include "backend/cert_domain.h"
#include "backend/dane.h"
#include "backend/server_trust.h"
#include "lib/check.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

enum { RECORDS_MAX = 16 }; /* each may cost as much as a check of the chain */

struct proof {
    struct server_trust *trust;
    STACK_OF(X509) * chain;
    X509 *leaf;
    const char *domain;
    const struct dialer_way *way; /* may be NULL */
    const char *why;              /* static: of what was tried last */
};

void server_cert_fingerprint(X509 *leaf, uint8_t out[S2S_PIN_BYTES])
{
    unsigned char *der = NULL;
    const int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);
    CHECK(len > 0 && EVP_Digest(der, (size_t)len, out, NULL, EVP_sha256(), NULL) == 1);
    OPENSSL_free(der);
}

static bool is_pinned(X509 *leaf, const struct s2s_policy *policy)
{
    uint8_t fingerprint[S2S_PIN_BYTES];
    bool found = false;
    server_cert_fingerprint(leaf, fingerprint);
    for (size_t i = 0; i < policy->pin_count; i++)
        found |= CRYPTO_memcmp(policy->pins[i], fingerprint, S2S_PIN_BYTES) == 0;
    return found;
}

/* RFC 7673 section 4.1: when DNS is validated all the way, what it leads to is as good a name as where it began. */
static bool has_name(struct proof *proof)
{
    if (cert_domain_has(proof->leaf, proof->domain)) return true;
    if (proof->way && proof->way->secure && cert_domain_has_target(proof->leaf, proof->way->target)) return true;
    proof->why = "it is not for this domain";
    return false;
}

/* The path to an authority, or to one of the anchors (NULL: none are given); NULL and proof->why. */
static STACK_OF(X509) * path_of(struct proof *proof, STACK_OF(X509) * anchors)
{
    const char *why = NULL;
    STACK_OF(X509) *path = server_trust_verify(proof->trust, proof->chain, anchors, &why);
    if (!path) proof->why = why;
    if (!path || has_name(proof)) return path;
    sk_X509_pop_free(path, X509_free);
    return NULL;
}

static bool proved_by_pkix(struct proof *proof)
{
    STACK_OF(X509) *path = path_of(proof, NULL);
    sk_X509_pop_free(path, X509_free);
    return path != NULL;
}

static bool proved_by_pkix_ta(struct proof *proof, const struct dialer_tlsa *record)
{
    bool found = false;
    STACK_OF(X509) *path = path_of(proof, NULL);
    if (!path) return false;
    for (int i = 1; i < sk_X509_num(path) && !found; i++)
        found = dane_matches(record, sk_X509_value(path, i));
    sk_X509_pop_free(path, X509_free);
    return found;
}

/* The anchor is in the chain, or in the record itself: RFC 7671 section 5.2. */
static bool proved_by_ta(struct proof *proof, const struct dialer_tlsa *record)
{
    STACK_OF(X509) *anchors = sk_X509_new_null(), *path = NULL;
    X509 *given = dane_certificate(record);
    CHECK(anchors != NULL);
    if (given) CHECK(sk_X509_push(anchors, given) > 0);
    for (int i = 1; i < sk_X509_num(proof->chain) && !given; i++) {
        X509 *cert = sk_X509_value(proof->chain, i);
        if (dane_matches(record, cert)) CHECK(X509_up_ref(cert) == 1 && sk_X509_push(anchors, cert) > 0);
    }
    if (sk_X509_num(anchors) > 0) path = path_of(proof, anchors);
    sk_X509_pop_free(anchors, X509_free);
    sk_X509_pop_free(path, X509_free);
    return path != NULL;
}

static bool proved_by_record(struct proof *proof, const struct dialer_tlsa *record)
{
    proof->why = "its key is not one that the domain has in DNS (TLSA records)";
    switch (record->usage) {
    case DANE_EE:
        return dane_matches(record, proof->leaf); /* names and dates do not count: RFC 7671 section 5.1 */
    case DANE_PKIX_EE:
        return dane_matches(record, proof->leaf) && proved_by_pkix(proof);
    case DANE_TA:
        return proved_by_ta(proof, record);
    default:
        return proved_by_pkix_ta(proof, record);
    }
}

/* The first usable record that proves the domain.  used: whether there was a usable one, so that DNS has the word. */
static bool proved_by_dns(struct proof *proof, bool *used)
{
    const struct dialer_way *way = proof->way;
    const char *why = NULL;
    for (size_t i = 0; way && i < way->tlsa_count && i < RECORDS_MAX; i++) {
        if (!dane_is_usable(way->tlsa, way->tlsa_count, i)) continue;
        *used = true;
        if (proved_by_record(proof, &way->tlsa[i])) return true;
        if (!why) why = proof->why;
    }
    if (*used) proof->why = why;
    return false;
}

void server_cert_check(struct server_cert *out, struct server_trust *trust, STACK_OF(X509) * chain, const char *domain,
                       const struct s2s_policy *policy, const struct dialer_way *way)
{
    struct proof proof = {
        .trust = trust, .chain = chain, .leaf = sk_X509_value(chain, 0), .domain = domain, .way = way};
    bool by_dns = false;
    *out = (struct server_cert){.by = SERVER_CERT_NONE};
    if (!proof.leaf) {
        out->why = "there is none";
    } else if (policy->pin_count > 0) {
        out->wrong_pin = !is_pinned(proof.leaf, policy);
        out->by = out->wrong_pin ? SERVER_CERT_NONE : SERVER_CERT_PIN;
        out->why = out->wrong_pin ? "its key is not one of those that are pinned" : NULL;
    } else if (policy->dane && proved_by_dns(&proof, &by_dns)) {
        out->by = SERVER_CERT_DANE;
    } else if (!by_dns && proved_by_pkix(&proof)) {
        out->by = SERVER_CERT_PKIX;
    } else {
        out->denied_by_dns = by_dns;
        out->why = proof.why;
    }
}

/* server_cert - whether a certificate proves that a server is who it says.
 *
 * By a pinned key, by signed TLSA records of DNS, or by an authority and an identifier of the domain.  A certificate
 * for servers or for clients is taken on either side, since public authorities issue the former only. Source: RFC 6120
 * section 13.7.2, RFC 7671, RFC 7673. */
#ifndef POSTERN_BACKEND_SERVER_CERT_H
#define POSTERN_BACKEND_SERVER_CERT_H

#include "backend/dialer.h"
#include "backend/s2s_policy.h"

#include <openssl/x509.h>
#include <stdbool.h>

struct server_trust;

enum server_cert_by { SERVER_CERT_NONE, SERVER_CERT_PKIX, SERVER_CERT_DANE, SERVER_CERT_PIN };

struct server_cert {
    enum server_cert_by by; /* what proves the domain; NONE: nothing */
    bool wrong_pin;         /* there are pins, and this is none of them */
    bool denied_by_dns;     /* there are TLSA records, by which this server is another one: dialback must not do */
    const char *why;        /* static, of the certificate ("it has expired"): why not; NULL when it is proved */
};

/* server_cert_check - chain (leaf first; may be NULL) for domain (prepared), under its policy.  way: how we came to
 * connect to it, NULL: it has connected to us. */
void server_cert_check(struct server_cert *out, struct server_trust *trust, STACK_OF(X509) * chain, const char *domain,
                       const struct s2s_policy *policy, const struct dialer_way *way);

/* server_cert_fingerprint - SHA-256 of the leaf's SubjectPublicKeyInfo. */
void server_cert_fingerprint(X509 *leaf, uint8_t out[S2S_PIN_BYTES]);

#endif

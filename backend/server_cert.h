/* server_cert - whether a certificate proves that a server is who it says.
 *
 * Names: the identifiers of subjectAltName alone, DNS-ID, SRV-ID (_xmpp-server) and XmppAddr; never the common name.
 * A certificate for servers or for clients is taken on either side, since public authorities issue the former only.
 * Source: RFC 6120 section 13.7, RFC 6125, RFC 7673, RFC 5280. */
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
    const char *why;        /* static: why not; NULL when it is proved */
};

/* server_trust_new - the authorities and revocation lists of the configuration; read when first needed.  A snapshot of
 * hosts has one. */
struct server_trust *server_trust_new(const char *ca_path, const char *crl_path);
void server_trust_free(struct server_trust **trust);
/* server_trust_check - read them now.  Returns 0, or -1 and a message that begins with the path. */
MUSTCHECK int server_trust_check(struct server_trust *trust, char *why, size_t cap);

/* server_cert_check - chain (leaf first; may be NULL) for domain (prepared), under its policy.  way: how we came to
 * connect to it, NULL: it has connected to us. */
void server_cert_check(struct server_cert *out, struct server_trust *trust, STACK_OF(X509) * chain, const char *domain,
                       const struct s2s_policy *policy, const struct dialer_way *way);

/* server_cert_names - whether the leaf has an identifier for the domain. */
bool server_cert_names(X509 *leaf, const char *domain);

/* server_cert_fingerprint - SHA-256 of the leaf's SubjectPublicKeyInfo. */
void server_cert_fingerprint(X509 *leaf, uint8_t out[S2S_PIN_BYTES]);

#endif

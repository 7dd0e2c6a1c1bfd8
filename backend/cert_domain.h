/* cert_domain - whether a certificate has an identifier for a server's domain.
 *
 * Only the identifiers of subjectAltName count, never the common name: DNS-ID, SRV-ID of services between servers,
 * XmppAddr, and iPAddress for a domain that is an address.  When there are several subjectAltNames none counts.
 * Source: RFC 6120 section 13.7, RFC 6125 section 6, RFC 4985, RFC 5280 section 4.2.1.6. */
#ifndef POSTERN_BACKEND_CERT_DOMAIN_H
#define POSTERN_BACKEND_CERT_DOMAIN_H

#include <openssl/x509.h>
#include <stdbool.h>

/* cert_domain_has - any identifier for the domain (prepared).  A wildcard stands for exactly one label, the first, and
 * only before two others or more. */
bool cert_domain_has(X509 *cert, const char *domain);

/* cert_domain_has_target - a DNS-ID for the host of a DNS record (A-labels). */
bool cert_domain_has_target(X509 *cert, const char *target);

#endif

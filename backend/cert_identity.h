/* cert_identity - the XMPP addresses that a certificate is for. */
#ifndef POSTERN_BACKEND_CERT_IDENTITY_H
#define POSTERN_BACKEND_CERT_IDENTITY_H

#include <openssl/x509.h>

struct jid;

/* cert_identity_each - call fn with each address of the type id-on-xmppAddr in the certificate's subjectAltName, of
 * users and of servers alike, in their order; jid is fn's for the call only.  What is no address is left out, and all
 * of it when there are several subjectAltNames.  Source: RFC 6120 section 13.7.1.4, RFC 5280 section 4.2.1.6. */
typedef void cert_identity_fn(const struct jid *jid, void *arg);
void cert_identity_each(X509 *cert, cert_identity_fn *fn, void *arg);

#endif

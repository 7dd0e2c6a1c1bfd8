/* server_trust - the authorities that may vouch for other servers, and what they have revoked.
 *
 * Nothing is read before it is needed.  A folder is read as OpenSSL does it: a certificate when its authority is asked
 * for, found by its hashed name.  Source: RFC 5280 section 6. */
#ifndef POSTERN_BACKEND_SERVER_TRUST_H
#define POSTERN_BACKEND_SERVER_TRUST_H

#include "lib/check.h"

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

struct server_trust;

/* server_trust_new - ca_path: a file (PEM) or a folder; crl_path: a file of revocation lists (PEM), NULL: none.  A
 * snapshot of hosts has one.  Any thread may use it. */
struct server_trust *server_trust_new(const char *ca_path, const char *crl_path);
void server_trust_free(struct server_trust **trust);

/* server_trust_check - read the files now, and see whether the folder is one of certificates.  Returns 0, or -1 and a
 * message that begins with the path at fault. */
MUSTCHECK int server_trust_check(struct server_trust *trust, char *why, size_t cap);

/* server_trust_verify - whether a path leads from the first certificate of the chain to an authority, or, where anchors
 * is not NULL, to one of those instead, all of it valid now, not revoked, and meant for TLS servers or clients.  A
 * certificate whose authority has no revocation list is not looked up.  Returns the path, leaf first (free with
 * sk_X509_pop_free), or NULL and why not (static). */
MUSTCHECK STACK_OF(X509) *
    server_trust_verify(struct server_trust *trust, STACK_OF(X509) * chain, STACK_OF(X509) * anchors, const char **why);

#endif

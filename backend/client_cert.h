/* client_cert - which accounts of a host a client's certificate proves. */
#ifndef POSTERN_BACKEND_CLIENT_CERT_H
#define POSTERN_BACKEND_CLIENT_CERT_H

#include "lib/check.h"

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

struct host;

/* The local parts of addresses at the host, prepared, each once; whether there are such accounts is not asked. */
struct client_cert {
    char **locals;
    size_t count;
};

/* client_cert_read - fill out from a chain (leaf first), if the host's own client-ca vouches for it.  false, with no
 * local parts, and why (static) when it does not. */
MUSTCHECK bool client_cert_read(struct client_cert *out, const struct host *host, STACK_OF(X509) * chain,
                                const char **why);
void client_cert_clear(struct client_cert *cert);

#endif
